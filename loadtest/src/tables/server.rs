//! The servers that have tables: Fanwire, and one of the usual make in Go.

use super::TablesTools;
use crate::attack::AttackError;
use crate::attack::Server;
use crate::crew;
use crate::proc;
use crate::proc::Snapshot;
use crate::subject;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Fanwire,
    Go,
}

impl Subject {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fanwire => "Fanwire",
            Self::Go => "Go (net/http, gorilla/websocket, go-sqlite3)",
        }
    }
}

/// One of them, with an empty database of its own.
#[derive(Debug)]
pub(super) enum Started {
    Fanwire(Server),
    Go { child: Child, addr: SocketAddr, folder: PathBuf },
}

impl Started {
    pub(super) fn start(
        subject: Subject,
        tools: &TablesTools,
        configuration: &str,
    ) -> Result<Self, AttackError> {
        if subject == Subject::Fanwire {
            return Ok(Self::Fanwire(Server::start(&tools.tools, tools.shards, configuration)?));
        }
        let port = subject::free_port()?;
        let name = format!("fanwire-tables-{}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new(&tools.go);
        command.arg("--port").arg(port.to_string()).current_dir(&folder);
        let (child, _) = subject::launch_in(&folder, &[], &command, &[port])?;
        Ok(Self::Go { child, addr: subject::local(port), folder })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        match self {
            Self::Fanwire(server) => server.addr,
            Self::Go { addr, .. } => *addr,
        }
    }

    /// What its threads have run so far.
    pub(super) fn snapshot(&self) -> Result<Snapshot, AttackError> {
        let pid = match self {
            Self::Fanwire(server) => server.pid(),
            Self::Go { child, .. } => child.id(),
        };
        Ok(Snapshot::take(&proc::family(pid)?)?)
    }

    /// What they have run since, in nanoseconds.
    pub(super) fn run_ns_since(&self, before: &Snapshot) -> Result<u64, AttackError> {
        Ok(self.snapshot()?.since(before, 1).run_ns)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Self::Go { child, folder, .. } = self {
            // Fails only for a process that is gone already, which is what is wanted.
            drop(child.kill());
            crew::end(child);
            drop(std::fs::remove_dir_all(folder));
        }
    }
}
