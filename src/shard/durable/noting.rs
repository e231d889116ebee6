//! Connections that wait until the store has noted what they asked for, so that it outlasts a restart.
//!
//! Invariants: one request for each connection at most, so connections bound it; an answer that nobody waits for changes nothing. Never sends anything.

use std::collections::VecDeque;

use super::super::input::ConnRef;

/// The connections that wait, in the order in which they asked: since when, in milliseconds since the start.
#[derive(Debug, Default)]
pub(super) struct Noting {
    asked: VecDeque<(ConnRef, u64)>,
}

impl Noting {
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// A connection waits from now on; answers its ticket.
    pub(super) fn ask(&mut self, conn: ConnRef, now_ms: u64) -> u64 {
        self.asked.push_back((conn, now_ms));
        ticket_of(conn)
    }

    /// The store has answered; whom. `None`: nobody waits for it any more.
    pub(super) fn answered(&mut self, ticket: u64) -> Option<ConnRef> {
        let place = self.asked.iter().position(|(conn, _)| ticket_of(*conn) == ticket)?;
        self.asked.remove(place).map(|(conn, _)| conn)
    }

    /// Takes the connections that asked before a moment: they wait no longer.
    pub(super) fn take_late(&mut self, before_ms: u64) -> Vec<ConnRef> {
        let count = self.asked.partition_point(|(_, since_ms)| *since_ms < before_ms);
        self.asked.drain(..count).map(|(conn, _)| conn).collect()
    }
}

fn ticket_of(conn: ConnRef) -> u64 {
    u64::from(conn.id.0) << 32 | u64::from(conn.generation)
}
