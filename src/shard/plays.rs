//! When playbacks are to be looked at again.
//!
//! Invariant: a connection stands here once at most, and not after its replays have ended; so what a turn does for playbacks is as much as is due. Never looks at
//! what is played.

use super::conns::Conns;
use super::deadlines::Schedule;
use super::input::ConnId;
use super::input::ConnRef;
use super::solo::Solo;
use crate::clock::Now;

/// Connections with playbacks, by when the next thing of theirs is due.
#[derive(Debug, Default)]
pub(super) struct Plays {
    due: Schedule<ConnRef>,
}

impl Plays {
    /// Has a connection looked at when something of its playbacks is due.
    pub(super) fn plan(&mut self, conns: &mut Conns, id: ConnId) {
        let Some(conn) = conns.conn_ref(id) else { return };
        let Some(solo) = conns.solo_mut(id) else { return };
        let players = solo.replays.iter().filter_map(|replay| replay.player.as_ref());
        let due_ms = players.filter_map(|player| player.wake_ms()).min();
        // Who does not read is gone on with when that has ended.
        let due_ms = due_ms.filter(|_| solo.closing.is_none() && solo.has_room_for_pages());
        let due_ms = due_ms.map(|due_ms| due_ms.max(solo.rests_until_ms));
        self.set(conn, solo, due_ms);
    }

    /// A connection's playbacks end.
    pub(super) fn forget(&mut self, conns: &mut Conns, id: ConnId) {
        let Some(conn) = conns.conn_ref(id) else { return };
        if let Some(solo) = conns.solo_mut(id) {
            self.set(conn, solo, None);
        }
    }

    fn set(&mut self, conn: ConnRef, solo: &mut Solo, due_ms: Option<u64>) {
        if let Some(before_ms) = std::mem::replace(&mut solo.past.plays_ms, due_ms) {
            self.due.remove(before_ms, conn);
        }
        if let Some(due_ms) = due_ms {
            self.due.insert(due_ms, conn);
        }
    }

    /// Takes the next connection that is due out of the line.
    pub(super) fn pop_due(&mut self, now: Now) -> Option<ConnRef> {
        self.due.pop_due(now.mono_ms)
    }

    /// When the first one is due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due.next_ms()
    }
}
