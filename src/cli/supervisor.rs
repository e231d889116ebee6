//! What a service manager is told (systemd's `sd_notify(3)`): that the server is ready, reads its configuration anew, stops, goes on as another process, and that it lives.
//!
//! Invariants: without a service manager nothing is said; one that does not listen is no fault. That the server lives is said only while every core makes its rounds, so that a server that is stuck is
//! started anew.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::RecvTimeoutError;
use flume::Sender;

use crate::clock::Clock;
use crate::server::Rounds;

/// Where to say it, and how often that the server lives.
#[derive(Clone, Debug)]
pub(super) struct Supervisor {
    to: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The one that has started this process, if one has.
    pub(super) fn found() -> Self {
        let none = Self { to: None, watchdog: None };
        let Some(path) = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return none;
        };
        let opened = address(&path).and_then(|to| Ok((UnixDatagram::unbound()?, to)));
        let to = match opened {
            Ok(to) => Some(Arc::new(to)),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the service manager cannot be told anything");
                return none;
            }
        };
        let number = |name: &str| env::var_os(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|us| is_ours && *us > 0);
        Self { to, watchdog: watchdog.map(Duration::from_micros) }
    }

    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is read anew from now until it is ready again.
    pub(super) fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", Clock::system_us()));
    }

    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Another process goes on in this one's place.
    pub(super) fn goes_on_as(&self, process: u32) {
        self.tell(&format!("MAINPID={process}"));
    }

    /// Says that the server lives while it does, twice as often as it is wanted, until what this returns is dropped.
    pub(super) fn watch(&self, rounds: Rounds) -> io::Result<Option<Watchdog>> {
        let Some(within) = self.watchdog else { return Ok(None) };
        let supervisor = self.clone();
        let (stop, stopped) = flume::bounded::<()>(0);
        let body = move || {
            let mut rounds = rounds;
            supervisor.tell("WATCHDOG=1");
            while stopped.recv_timeout(within / 2) == Err(RecvTimeoutError::Timeout) {
                match rounds.stuck() {
                    None => supervisor.tell("WATCHDOG=1"),
                    Some(shard) => {
                        tracing::error!(
                            shard,
                            "a core has made no round, and the service manager is not told that the server lives"
                        );
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(body)?;
        Ok(Some(Watchdog { stop: Some(stop), thread: Some(thread) }))
    }

    fn tell(&self, text: &str) {
        let Some(to) = &self.to else { return };
        if let Err(error) = to.0.send_to_addr(text.as_bytes(), &to.1) {
            tracing::debug!(%error, text, "the service manager does not listen");
        }
    }
}

/// A path, or a name without a file if it begins with `@`.
fn address(path: &OsStr) -> io::Result<SocketAddr> {
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

/// The thread that says that the server lives. Ends when dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the thread that says that the server lives had panicked");
        }
    }
}
