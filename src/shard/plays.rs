//! When playbacks are to be looked at again.
//!
//! Invariant: a connection stands here once at most, and not after its replays have ended; so what a turn does for playbacks is as much as is due. Never looks at
//! what is played.

use super::deadlines::Schedule;
use super::input::ConnRef;
use super::solo::Solo;
use crate::clock::Now;

/// Connections with playbacks, by when the next thing of theirs is due.
#[derive(Debug, Default)]
pub(super) struct Plays {
    due: Schedule<ConnRef>,
}

impl Plays {
    /// A connection is to be looked at then, in milliseconds since the start, and at no other time.
    pub(super) fn set(&mut self, conn: ConnRef, solo: &mut Solo, due_ms: Option<u64>) {
        if let Some(before_ms) = std::mem::replace(&mut solo.past.plays_ms, due_ms) {
            self.due.remove(before_ms, conn);
        }
        if let Some(due_ms) = due_ms {
            self.due.insert(due_ms, conn);
        }
    }

    /// The next connection that is due; it stands here no longer.
    pub(super) fn pop_due(&mut self, now: Now) -> Option<ConnRef> {
        self.due.pop_due(now.mono_ms)
    }

    /// When the first one is due.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due.next_ms()
    }
}
