//! Handing the listeners over to a process that was started for that, so that no client is refused while a server is replaced.
//!
//! Invariants: the sockets themselves are handed over, with everybody who waits in them; this server stops only once the other has said that it is ready, and goes on
//! as if nothing had happened if it never does. Nothing is kept of the sockets in between.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::time::Duration;

use flume::Sender;
use rustix::io::FdFlags;
use rustix::io::fcntl_setfd;
use rustix::net::sockopt;

use super::Running;
use super::successor::Successor;
use super::successor::receive;
use crate::conn::Relisten;
use crate::limits::HANDOVER_MS_MAX;
use crate::limits::HANDOVER_SHARE_MS_MAX;

/// Why nothing was handed over: the server goes on.
#[derive(Debug)]
pub enum HandoverError {
    /// A shard did not give its sockets.
    Shard(io::Error),
    /// The program could not be started.
    Start(io::Error),
    /// The new process ended, or did not become ready in time.
    NotReady(String),
}

impl fmt::Display for HandoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shard(error) => write!(f, "a core did not hand its listeners over: {error}"),
            Self::Start(error) => write!(f, "the new server cannot be started: {error}"),
            Self::NotReady(how) => {
                write!(f, "the new server {how}; its reason is in the log, and this one goes on")
            }
        }
    }
}

impl std::error::Error for HandoverError {}

/// Where a shard is asked for copies of its listening sockets, where they come, and where it is told of others.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) ask: Sender<()>,
    pub(super) end: OwnedFd,
    /// Where it is told which listeners it has.
    pub(super) relisten: Sender<Relisten>,
}

/// The beginning of an argument that names an inherited socket.
pub const INHERIT: &str = "--inherit=";
/// The beginning of the one that names where to say that all is well.
pub const READY: &str = "--ready-fd=";
/// The one that says from whom to take over: whoever is started by the former has been told.
const UPGRADE: &str = "--upgrade";

impl Running {
    /// Starts a program with these arguments, hands it the listeners, and waits until it is ready: then this server is to be stopped. Says which process it is.
    ///
    /// # Errors
    /// Why it is not ready. This server goes on.
    pub fn hand_over(&self, program: &Path, arguments: &[OsString]) -> Result<u32, HandoverError> {
        let sockets = self.sockets().map_err(HandoverError::Shard)?;
        let (ours, theirs) = UnixStream::pair().map_err(HandoverError::Start)?;
        let for_child = sockets.iter().map(|(_, socket)| fcntl_setfd(socket, FdFlags::empty()));
        let for_child = for_child.chain([fcntl_setfd(&theirs, FdFlags::empty())]);
        for done in for_child {
            done.map_err(|error| HandoverError::Start(error.into()))?;
        }
        let is_former = |argument: &&OsString| {
            let argument = argument.to_string_lossy();
            argument.starts_with(INHERIT) || argument.starts_with(READY) || argument == UPGRADE
        };
        let mut command = Command::new(program);
        command.args(arguments.iter().filter(|argument| !is_former(argument)));
        for (name, socket) in &sockets {
            command.arg(format!("{INHERIT}{}:{name}", socket.as_raw_fd()));
        }
        command.arg(format!("{READY}{}", theirs.as_raw_fd()));
        tracing::info!(program = %program.display(), sockets = sockets.len(), "handing over");
        // Whoever watches this process is to be told by the other one from then on.
        command.env_remove("WATCHDOG_PID");
        let mut child = command.spawn().map_err(HandoverError::Start)?;
        drop((sockets, theirs));
        let said = wait_until_ready(&ours);
        if matches!(said, Ok(true)) {
            return Ok(child.id());
        }
        Err(HandoverError::NotReady(ended(&mut child, said.is_err())))
    }

    /// Hands copies of the listeners to a process that has asked for them, and waits until it is ready: then this server is to be stopped.
    ///
    /// # Errors
    /// Why it is not ready. This server goes on.
    pub fn hand_over_to(&self, successor: &Successor) -> Result<(), HandoverError> {
        let sockets = self.sockets().map_err(HandoverError::Shard)?;
        tracing::info!(process = successor.process, sockets = sockets.len(), "handing over");
        successor.give(&sockets).map_err(HandoverError::Start)?;
        drop(sockets);
        match wait_until_ready(&successor.connection) {
            Ok(true) => Ok(()),
            Ok(false) => Err(HandoverError::NotReady("has ended".to_owned())),
            Err(_) => Err(HandoverError::NotReady(late())),
        }
    }

    /// Copies of all listening sockets, and their names.
    fn sockets(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let each: io::Result<Vec<_>> = self.wires.iter().map(Wire::sockets).collect();
        Ok(each?.into_iter().flatten().collect())
    }
}

/// Waits until a process has said that it is ready; false: it has ended, or has let go of us.
///
/// # Errors
/// If it says nothing for too long.
fn wait_until_ready(mut ours: &UnixStream) -> io::Result<bool> {
    ours.set_read_timeout(Some(Duration::from_millis(HANDOVER_MS_MAX)))?;
    loop {
        match ours.read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            read => return Ok(read? == 1),
        }
    }
}

fn late() -> String {
    format!("was not ready within {HANDOVER_MS_MAX} ms")
}

/// How a process that is not ready has ended; one that is late is ended.
fn ended(child: &mut Child, is_late: bool) -> String {
    if is_late && let Err(error) = child.kill() {
        tracing::warn!(%error, "a server that is not ready cannot be stopped");
    }
    match child.wait() {
        _ if is_late => late(),
        Ok(status) => format!("ended with {status}"),
        Err(error) => format!("is gone: {error}"),
    }
}

impl Wire {
    /// Copies of a shard's listening sockets, and their names.
    fn sockets(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let patience = Duration::from_millis(HANDOVER_SHARE_MS_MAX);
        sockopt::set_socket_timeout(&self.end, sockopt::Timeout::Recv, Some(patience))?;
        if self.ask.try_send(()).is_err() {
            return Err(io::Error::other("it is asked already"));
        }
        receive(&self.end)
    }
}
