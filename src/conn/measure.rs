//! What the loop measures of itself: how much fits a turn, how long turns take, and how old events are when they are sent.
//!
//! Invariant: one look at the clock for all events of a turn; none if there were none. Nothing here depends on what was measured but how much work a turn does.

use super::gauge::Gauge;
use crate::clock::Clock;
use crate::shard::Pulse;

/// One core's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measure {
    pub(super) gauge: Gauge,
    pub(super) pulse: Pulse,
}

impl Measure {
    /// Events with these stamps have just been sent: in microseconds since 1970.
    pub(super) fn landed(&mut self, stamps_us: &[u64], clock: &Clock) {
        if stamps_us.is_empty() {
            return;
        }
        let now_us = clock.now().wall_us;
        for stamp_us in stamps_us {
            // Stamps run ahead of the clock when many events come in one moment.
            self.pulse.told.observe(now_us.saturating_sub(*stamp_us));
        }
    }

    /// A turn that had something to do took so long.
    pub(super) fn turned(&mut self, took_us: u64) {
        self.pulse.turns.observe(took_us);
    }
}
