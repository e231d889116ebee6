//! The command as an operator meets it: it says where it listens, obeys signals, and names mistakes.

use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

/// A server that is killed if a test fails.
struct Server {
    child: Bound,
    log: BufReader<std::process::ChildStderr>,
    first_line: String,
}

/// A process that ends with the test that started it, even if that fails.
struct Bound(Child);

impl Drop for Bound {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.kill().unwrap();
        }
    }
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_fanwire")), arguments)
    }

    /// By a command that becomes the server.
    fn start_by(mut command: Command, arguments: &[&str]) -> Self {
        command
            .arg("serve")
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stderr(Stdio::piped());
        let mut child = Bound(command.spawn().unwrap());
        let mut log = BufReader::new(child.0.stderr.take().unwrap());
        let mut first_line = String::new();
        // What is said of what it has opened may stand before.
        while !first_line.contains(" address=") {
            first_line.clear();
            assert_ne!(log.read_line(&mut first_line).unwrap(), 0, "it has ended");
        }
        Self { child, log, first_line }
    }

    fn field(&self, name: &str) -> &str {
        let (_, rest) = self
            .first_line
            .split_once(&format!(" {name}="))
            .unwrap_or_else(|| panic!("{}", self.first_line));
        rest.split([' ', '\n']).next().unwrap()
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.field("address").parse::<SocketAddr>().unwrap()).unwrap()
    }

    fn ask(&self, path: &str) -> String {
        let mut socket = self.connect();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// So many clients, each of which was answered.
    fn answered(&self, count: usize) -> Vec<TcpStream> {
        let one = |_| {
            let mut client = self.connect();
            client.write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
            assert_ne!(client.read(&mut [0; 4096]).unwrap(), 0, "each is answered");
            client
        };
        (0..count).map(one).collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }

    fn end(&mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.0.wait().unwrap(), rest)
    }
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    for (driver, signal) in [("epoll", Signal::TERM), ("io_uring", Signal::INT)] {
        let mut server = Server::start(&["--driver", driver, "--shards", "2"]);
        assert_eq!(server.field("driver"), driver, "{}", server.first_line);
        assert_eq!(server.field("shards"), "2");
        assert!(server.ask("/readyz").starts_with("HTTP/1.1 200 "));
        let metrics = server.ask("/metrics");
        assert!(metrics.contains("\nfanwire_shards 2\n"), "{metrics}");
        assert!(server.ask("/nowhere").starts_with("HTTP/1.1 404 "));
        let mut idle = server.connect();
        idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        assert_ne!(idle.read(&mut [0; 4096]).unwrap(), 0);
        let mut silent = server.connect();
        server.signal(signal);
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"", "it is closed, and nothing else");
        drop(idle);
        let (status, log) = server.end();
        assert!(status.success(), "{status}: {log}");
        assert!(log.contains("stopped"), "{log}");
        // Who has said nothing until then was never accepted (decision 0011), and learns it when it does.
        let told = silent.write_all(b"GET / HTTP/1.1\r\n").and_then(|()| silent.read(&mut [0]));
        // On a slow day it was accepted after its second, and then it was told as the other.
        assert!(
            matches!(told, Ok(0)) || told.is_err_and(|it| it.kind() == ErrorKind::ConnectionReset)
        );
    }
}

fn fails(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    let output = command.arg("serve").args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_port_that_is_taken_is_named() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let (code, message) = fails(&["--listen", &address]);
    assert_eq!(code, Some(1));
    assert_eq!(
        message,
        format!("fanwire: command line: `listen`: somebody listens on {address} already\n")
    );
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_its_place() {
    let path = std::env::temp_dir().join(format!("fanwire-serve-{}.toml", std::process::id()));
    std::fs::write(&path, "shards = 1\ndrain_timeout = 3\n").unwrap();
    let shown = path.display().to_string();
    let (code, message) = fails(&["--config", &shown]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(code, Some(2));
    assert!(
        message.starts_with(&format!("fanwire: {shown}:2: `drain_timeout`: there is no such key")),
        "{message}"
    );
}

#[test]
fn more_connections_than_descriptors_are_refused() {
    let path = std::env::temp_dir().join(format!("fanwire-fds-{}.toml", std::process::id()));
    std::fs::write(&path, "connections_max = 16000000\nfd_tables = 'shared'\n").unwrap();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let (code, message) = match limit {
        Some(limit) if limit < 16_000_000 => {
            fails(&["--config", &path.display().to_string(), "--listen", "127.0.0.1:0"])
        }
        // Nothing can be shown to be impossible here.
        _ => (Some(2), "`connections_max`".to_owned()),
    };
    std::fs::remove_file(&path).unwrap();
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("`connections_max`"), "{message}");
}

#[test]
fn without_free_descriptors_it_waits_and_says_so_once() {
    let mut server = Server::start(&["--shards", "1", "--driver", "epoll"]);
    let limit = rustix::process::Rlimit { current: Some(40), maximum: Some(40) };
    rustix::process::prlimit(
        Some(Pid::from_child(&server.child.0)),
        rustix::process::Resource::Nofile,
        limit,
    )
    .unwrap();
    // More than fit, all of them connected as far as they can see.
    let clients: Vec<_> = (0..60)
        .map(|_| {
            let mut client = server.connect();
            client.write_all(b"G").unwrap();
            client
        })
        .collect();
    let mut late = server.connect();
    write!(late, "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let timeout = Some(std::time::Duration::from_millis(300));
    late.set_read_timeout(timeout).unwrap();
    assert!(late.read(&mut [0]).is_err(), "there is no descriptor for it");
    drop(clients);
    late.set_read_timeout(None).unwrap();
    let mut answer = [0; 12];
    late.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(late);
    server.signal(Signal::TERM);
    let (status, log) = server.end();
    assert!(status.success(), "{status}: {log}");
    assert_eq!(log.matches("cannot accept connections for now").count(), 1, "{log}");
}

/// A file that is gone when the test is over.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fanwire-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// The command with a limit on open files of its own.
fn limited(files: u32) -> Command {
    let mut command = Command::new("sh");
    let line = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
    command.args(["-c", &line, env!("CARGO_BIN_EXE_fanwire")]);
    command
}

#[test]
fn few_descriptors_are_enough_for_few_connections() {
    let config = Scratch::new("few", "connections_max = 100\nshards = 1\n");
    let server = Server::start_by(limited(256), &["--config", config.path()]);
    assert_eq!(server.field("connections_max"), "100", "{}", server.first_line);
    let clients = server.answered(100);
    drop(clients);
}

#[test]
fn what_is_advised_where_descriptors_are_few_helps() {
    let advised = |files: u32, text: &str| {
        let config = Scratch::new(&format!("advice-{files}-{}", text.len()), text);
        let output = limited(files)
            .args(["serve", "--listen", "127.0.0.1:0", "--config", config.path()])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let text = "fd_tables = 'shared'\nconnections_max = 300\nshards = 2\n";
    let message = advised(256, text);
    assert!(message.contains("which is 256: 2 shards need 48 for themselves"), "{message}");
    assert!(message.contains("at most 208 connections fit"), "{message}");
    assert!(message.contains("or set fewer connections, or fd_tables = \"own\""), "{message}");
    for text in [
        "fd_tables = 'shared'\nconnections_max = 208\nshards = 2\n",
        "fd_tables = 'own'\nconnections_max = 300\nshards = 2\n",
    ] {
        let config = Scratch::new(&format!("helps-{}", text.len()), text);
        let server = Server::start_by(limited(256), &["--config", config.path()]);
        assert!(server.ask("/readyz").starts_with("HTTP/1.1 200 "), "{}", server.first_line);
    }
    let message = advised(64, "connections_max = 10\nshards = 8\n");
    assert!(message.contains("of 64 open files 8 shards need 120 for themselves"), "{message}");
    let config = Scratch::new("fewer", "connections_max = 10\nshards = 2\n");
    let server = Server::start_by(limited(64), &["--config", config.path()]);
    assert!(server.ask("/readyz").starts_with("HTTP/1.1 200 "), "{}", server.first_line);
}

#[test]
fn what_is_open_besides_connections_was_reserved() {
    let folder = std::env::temp_dir().join(format!("fanwire-reserved-{}", std::process::id()));
    let own = fanwire::config::Config::default();
    let own = own.guests().map(|(key, _)| format!("{key}.listen = '127.0.0.1:0'\n"));
    let text = format!(
        "shards = 2\nfd_tables = 'shared'\nconnections_max = 60\ndata_dir = '{}'\ntables.readers = 16\n{}[[table]]\nname = 't'\ncolumns = ['id int key']\n[[history.durable]]\ntopics = ['a/*']\n",
        folder.display(),
        own.collect::<String>()
    );
    let config = Scratch::new("reserved", &text);
    let refused = limited(20).args(["serve", "--config", config.path()]).output().unwrap();
    let message = String::from_utf8(refused.stderr).unwrap();
    let (_, reserved) = message.split_once("2 shards need ").unwrap_or_else(|| panic!("{message}"));
    let reserved: u32 = reserved.split(' ').next().unwrap().parse().unwrap();
    let mut server = Server::start_by(limited(reserved + 60), &["--config", config.path()]);
    assert!(server.ask("/readyz").starts_with("HTTP/1.1 200 "), "{}", server.first_line);
    let clients = server.answered(20);
    let open = std::fs::read_dir(format!("/proc/{}/fd", server.child.0.id())).unwrap().count();
    let open = u32::try_from(open - clients.len()).unwrap();
    assert!(open <= reserved, "{open} are open, {reserved} were reserved");
    drop(clients);
    server.signal(Signal::TERM);
    let (status, log) = server.end();
    assert!(status.success(), "{status}: {log}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_hangup_has_the_configuration_read_anew() {
    let config = Scratch::new("anew", "echo = false\ntopics_max = 10\n");
    let mut server = Server::start(&["--config", config.path()]);
    let after = |server: &mut Server, text: &str, word: &str| {
        std::fs::write(config.path(), text).unwrap();
        server.signal(Signal::HUP);
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert_ne!(server.log.read_line(&mut line).unwrap(), 0, "it ended without a word");
        }
        line
    };
    let line = after(&mut server, "echo = true\ntopics_max = 20\n", "read anew");
    assert!(line.contains("changed=echo needs_restart=topics_max"), "{line}");
    let line = after(&mut server, "echo = true\ntopics_mx = 20\n", "stays as it was");
    let place = format!("{}:2: `topics_mx`: there is no such key", config.path());
    assert!(line.contains(&place), "{line}");
    assert!(server.ask("/readyz").starts_with("HTTP/1.1 200 "));
    // Each core hears of what has changed within a tick: twenty in a row, so that all have.
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let is_there = !server.ask("/echo").starts_with("HTTP/1.1 404 ");
        in_a_row = if is_there { in_a_row + 1 } else { 0 };
    }
    // A level of the log that leaves out what it would say of that, and then one that does not.
    std::fs::write(config.path(), "echo = false\ntopics_max = 10\nlog = 'error'\n").unwrap();
    server.signal(Signal::HUP);
    while !server.ask("/echo").starts_with("HTTP/1.1 404 ") {}
    let line = after(&mut server, "echo = 1\n", "stays as it was");
    assert!(line.contains("`echo`: must be true or false"), "{line}");
    let line = after(&mut server, "echo = true\nlog = 'info'\ntopics_max = 10\n", "read anew");
    assert!(line.contains("changed=echo, log needs_restart=\n"), "{line}");
    server.signal(Signal::TERM);
    let (status, log) = server.end();
    assert!(status.success() && log.contains("stopped"), "{status}: {log}");
}

/// A port that was free a moment ago, for a server whose log nobody can read.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until a server answers, as long as it lives.
fn answer_of(child: &mut Child, address: SocketAddr, path: &str) -> String {
    loop {
        assert!(matches!(child.try_wait(), Ok(None)), "it has ended");
        if let Ok(mut socket) = TcpStream::connect(address) {
            write!(socket, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                .unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            return answer;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_log_that_cannot_be_written_costs_its_lines_and_nothing_else() {
    let config = Scratch::new("log", "auth.handshakes_per_s = 1000000\n");
    for kind in ["full", "closed", "unread"] {
        let address = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        command.args(["serve", "--listen", &address.to_string(), "--log", "debug"]);
        command.args(["--config", config.path()]);
        let unread = match kind {
            "full" => {
                command.stderr(std::fs::File::options().write(true).open("/dev/full").unwrap());
                None
            }
            "closed" => {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                command.stderr(writer);
                None
            }
            // Somebody has it open and reads nothing of it.
            _ => {
                let (reader, writer) = std::io::pipe().unwrap();
                command.stderr(writer);
                Some(reader)
            }
        };
        let mut child = Bound(command.spawn().unwrap());
        drop(command);
        let lost = |child: &mut Child| -> u64 {
            let metrics = answer_of(child, address, "/metrics");
            let (_, rest) = metrics.split_once("\nfanwire_log_lines_lost_total ").unwrap();
            rest.split('\n').next().unwrap().parse().unwrap()
        };
        // Each is worth a line: a violation of the protocol is logged at `debug`.
        let mut violations = 0_u32;
        while lost(&mut child.0) < 3 {
            let mut socket = TcpStream::connect(address).unwrap();
            let request = "GET /v1/ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n\u{1}\u{1}";
            socket.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 101 "), "{kind}");
            violations += 1;
            assert!(violations < 20_000, "{kind}: nothing was lost");
        }
        // Lines of the start are lost as well, when another shard may not be there yet.
        let mut is_ready =
            || answer_of(&mut child.0, address, "/readyz").starts_with("HTTP/1.1 200 ");
        assert!((0..20_000).any(|_| is_ready()), "{kind}");
        kill_process(Pid::from_child(&child.0), Signal::TERM).unwrap();
        assert!(child.0.wait().unwrap().success(), "{kind}");
        drop(unread);
    }
}
