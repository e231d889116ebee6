//! The server under attack: started for one attack, with a configuration of its own, and ended with it.
//!
//! Invariant: one process, one shard unless the attack says otherwise, on a free port of loopback; what it says goes into a log of its folder.

use super::AttackError;
use super::peer::Peer;
use crate::clock;
use crate::clock::MILLI;
use crate::crew;
use crate::proc;
use crate::subject;
use crate::subject::Tools;

use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

/// Every attack's server refuses nothing for coming from one address too often: all clients here do.
const COMMON: &str = "pin = false\n";

/// A server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
    folder: PathBuf,
}

/// What came back for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) took_ns: u64,
}

impl Server {
    /// Starts one with a configuration in TOML, and waits until it is ready.
    pub(crate) fn start(
        tools: &Tools,
        shards: u32,
        configuration: &str,
    ) -> Result<Self, AttackError> {
        let port = subject::free_port()?;
        let name = format!("fanwire-attack-{}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("fanwire.toml");
        std::fs::write(&file, format!("{COMMON}{configuration}"))?;
        let arguments = tools
            .fanwire_args
            .replace("{port}", &port.to_string())
            .replace("{shards}", &shards.to_string())
            .replace("{driver}", &tools.driver);
        let mut command = Command::new(&tools.fanwire);
        command.args(arguments.split_ascii_whitespace()).arg("--config").arg(&file);
        command.current_dir(&folder);
        let (child, _) = subject::launch_in(&folder, &[], &command, &[port])?;
        Ok(Self { child, addr: subject::local(port), folder })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes resident now.
    pub(crate) fn resident(&self) -> Result<u64, AttackError> {
        Ok(proc::resident(self.pid())?)
    }

    /// From now on [`Self::peak`] counts anew.
    pub(crate) fn forget_peak(&self) -> Result<(), AttackError> {
        Ok(proc::forget_peak(self.pid())?)
    }

    /// The most bytes that were ever resident since [`Self::forget_peak`].
    pub(crate) fn peak(&self) -> Result<u64, AttackError> {
        Ok(proc::peak(self.pid())?)
    }

    /// One request on a connection of its own, answered within ten seconds.
    pub(crate) fn ask(&self, request: &str) -> Result<Reply, AttackError> {
        ask(self.addr, request)
    }

    /// Asks it to stop (SIGTERM), which it does once everybody was sent away.
    pub(crate) fn tell_to_stop(&self) -> Result<(), AttackError> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::TERM)?)
    }

    /// The code that it ends with, within so many nanoseconds; `None`: it has not ended, or by a signal.
    pub(crate) fn ended_within(&mut self, ns: u64) -> Result<Option<i32>, AttackError> {
        let mut code = None;
        within(ns, || {
            let ended = self.child.try_wait()?;
            code = ended.and_then(|status| status.code());
            Ok(ended.is_some())
        })?;
        Ok(code)
    }

    /// A figure of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, AttackError> {
        let reply =
            self.ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let line = reply.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse().ok())
            .ok_or(AttackError::Unanswered { wanted: "a figure of /metrics" })
    }

    /// A WebSocket of the native protocol, welcomed.
    pub(crate) fn native(&self) -> Result<Peer, AttackError> {
        let mut peer = Peer::connect(self.addr, None)?;
        peer.upgrade("/v1/ws", "")?;
        peer.wait_for("\"type\":\"welcome\"")?;
        Ok(peer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only for a process that is gone already, which is what is wanted.
        drop(self.child.kill());
        crew::end(&mut self.child);
        // A folder that stays is found by name, and harms nobody.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// One request on a connection of its own; its answer up to the end of the connection, within ten seconds.
pub(crate) fn ask(addr: SocketAddr, request: &str) -> Result<Reply, AttackError> {
    let began_ns = clock::now_ns();
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Reply { status, text, took_ns: clock::now_ns() - began_ns })
}

/// Waits until something is so, at most so long; false if it never was.
pub(crate) fn within(
    ns: u64,
    mut is_so: impl FnMut() -> Result<bool, AttackError>,
) -> Result<bool, AttackError> {
    let until_ns = clock::now_ns() + ns;
    loop {
        if is_so()? {
            return Ok(true);
        }
        if clock::now_ns() > until_ns {
            return Ok(false);
        }
        clock::pause(20 * MILLI);
    }
}
