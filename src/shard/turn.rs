//! How much work a turn has done, and how much it may do, in units of which one `send` is `UNITS_SEND`.
//!
//! Invariant: what is done between two turns counts for the turn that follows. Never does any work, and never decides what is done first.

use crate::limits::UNITS_TURN;
use crate::limits::UNITS_TURN_MIN;

/// The turn at hand, and what the one before it did.
#[derive(Debug)]
pub(super) struct Turn {
    spent: u64,
    done: u64,
    units_max: u64,
}

impl Default for Turn {
    fn default() -> Self {
        Self { spent: 0, done: 0, units_max: UNITS_TURN }
    }
}

impl Turn {
    /// Notes that so many units of work are done.
    #[inline]
    pub(super) const fn spend(&mut self, units: u64) {
        self.spent += units;
    }

    /// Units that this turn has done so far.
    #[inline]
    pub(super) const fn spent(&self) -> u64 {
        self.spent
    }

    /// Units that a turn may do at most.
    pub(super) const fn units_max(&self) -> u64 {
        self.units_max
    }

    pub(super) fn set_units_max(&mut self, units: u64) {
        self.units_max = units.max(UNITS_TURN_MIN);
    }

    /// Whether the turn has done what it may.
    pub(super) const fn is_spent(&self) -> bool {
        self.spent >= self.units_max
    }

    /// Ends the turn, which had done so much when it began.
    pub(super) fn end(&mut self, spent_before: u64) {
        self.done = std::mem::take(&mut self.spent) - spent_before;
    }

    /// Units that the last turn did.
    pub(super) const fn done(&self) -> u64 {
        self.done
    }
}
