//! A server of PostgreSQL of one's own: a cluster in a temporary folder, started on a socket in it, or on a port that is free, and stopped by its process id.
//!
//! Root may not run it, so it runs as `nobody` then. A machine without PostgreSQL fails the tests: `.ci/run` installs it.

use std::io;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

/// Who runs it if root may not.
const NOBODY: u32 = 65534;
/// How often its coming is looked for: a minute.
const LOOKS: usize = 3_000;
const LOOK: Duration = Duration::from_millis(20);

/// A cluster, and the server that runs on it.
pub(crate) struct Cluster {
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    server: Option<Child>,
}

/// The folder of PostgreSQL's programs.
fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("FANWIRE_POSTGRES_BIN") {
        return folder.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop().expect("install PostgreSQL (Debian: postgresql), or name its folder of programs in FANWIRE_POSTGRES_BIN")
}

/// A command that root hands to somebody else.
fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(programs().join(program));
    command.current_dir(folder).stdin(Stdio::null()).env_clear().env("LC_ALL", "C");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// A new cluster's files. Making them takes seconds, so it is done once for a build's folder and each PostgreSQL; what is kept there is never started.
fn made_once() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let whose = rustix::process::geteuid().as_raw();
        let name: String = programs()
            .display()
            .to_string()
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres{name}-{whose}"));
        if kept.is_dir() {
            return kept;
        }
        // Whom root hands the work to may not see the build's folder.
        let folder = std::env::temp_dir().join(format!("fw-pg-{}.made", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let made = command("initdb", &folder)
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=ada",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .arg("--pgdata")
            .arg(folder.join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let part = kept.with_extension(std::process::id().to_string());
        copy(&folder.join("data"), &part);
        std::fs::remove_dir_all(&folder).unwrap();
        // Another run may have been quicker: its files are as good.
        if std::fs::rename(&part, &kept).is_err() {
            std::fs::remove_dir_all(&part).unwrap();
        }
        kept
    })
}

/// Copies a folder with all that is said of its files.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
}

impl Cluster {
    /// Starts one that logs anybody in, with these settings besides.
    pub(crate) fn start(name: &str, settings: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("fw-pg-{}-{name}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        if rustix::process::geteuid().is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        copy(made_once(), &folder.join("data"));
        // Whoever binds it next gets another one: ports are given out in turn.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut cluster = Self { folder, port, settings, server: None };
        cluster.run();
        cluster
    }

    /// Starts the server, and waits until it takes connections.
    pub(crate) fn run(&mut self) {
        assert!(self.server.is_none());
        for _ in 0..LOOKS {
            let mut server = self.spawn();
            if self.comes_up(&mut server) {
                self.server = Some(server);
                return;
            }
            // After a crash what is left of it may still be going.
            server.wait().unwrap();
            std::thread::park_timeout(LOOK);
        }
        panic!("PostgreSQL does not start: {}", self.log());
    }

    fn spawn(&self) -> Child {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let mut run = command("postgres", &self.folder);
        run.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        run.arg("-p").arg(self.port.to_string());
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=40"] {
            run.args(["-c", setting]);
        }
        for setting in &self.settings {
            run.args(["-c", setting]);
        }
        run.stdout(Stdio::null()).stderr(log.unwrap()).spawn().unwrap()
    }

    fn comes_up(&self, server: &mut Child) -> bool {
        for _ in 0..LOOKS {
            if server.try_wait().unwrap().is_some() {
                return false;
            }
            let ready = command("pg_isready", &self.folder)
                .args(["-q", "-U", "ada", "-d", "postgres", "-p", &self.port.to_string(), "-h"])
                .arg(&self.folder)
                .status()
                .unwrap();
            if ready.success() && UnixStream::connect(self.socket()).is_ok() {
                return true;
            }
            std::thread::park_timeout(LOOK);
        }
        false
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// Where it listens on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The address of one of its databases, by its socket.
    pub(crate) fn address(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port={}&user=ada", self.folder.display(), self.port)
    }

    /// Carries out SQL as its operator would; what it says.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let done = command("psql", &self.folder)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "ada", "-d", database])
            .args(["-p", &self.port.to_string(), "-h"])
            .arg(&self.folder)
            .args(["-c", sql])
            .output()
            .unwrap();
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Ends it as a crash does: without a word.
    pub(crate) fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Ends it as an operator does: whoever is connected is told goodbye.
    pub(crate) fn stop(&mut self) {
        self.end(Signal::INT);
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut server) = self.server.take() else { return };
        let pid = i32::try_from(server.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
        server.wait().unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
        // What a killed server has left may go a moment later.
        for _ in 0..LOOKS {
            match std::fs::remove_dir_all(&self.folder) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(_) => std::thread::park_timeout(LOOK),
            }
        }
    }
}
