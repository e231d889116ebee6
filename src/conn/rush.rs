//! How long a core under load waits for more events before it tells the ones it has.
//!
//! Telling one event to ten thousand subscribers takes a core some 40 ms, telling it and the three that come right behind it little more.
//! Publishers hear of an event's arrival, or of its delivery, at about the same time, so what they say next comes within microseconds:
//! whoever runs off with the first of it makes the others wait for a whole round. Invariants: without load nothing waits, nor where
//! events come one by one; under load, never longer than a small share of what the last round took. Never looks at a clock.

use crate::limits::RUSH_ROUNDS;
use crate::limits::RUSH_SHARE;
use crate::limits::RUSH_WAIT_US_MAX;
use crate::limits::RUSH_WAIT_US_MIN;

/// The last round of work. Times are monotonic, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rush {
    ended_us: u64,
    took_us: u64,
    /// Rounds for which company is still expected, since one had it.
    rounds: u8,
    /// A round that some turns have worked on and that is not over: when it began, and the events told so far.
    underway: Option<(u64, u64)>,
}

impl Rush {
    /// Notes that so many events were told between these times; the round goes on in the next turn if it is `underway`.
    pub(super) fn worked(&mut self, began_us: u64, ended_us: u64, events: u64, underway: bool) {
        let (began_us, before) = self.underway.take().unwrap_or((began_us, 0));
        let events = before + events;
        if underway {
            self.underway = Some((began_us, events));
            return;
        }
        let rounds = if events > 1 { RUSH_ROUNDS } else { self.rounds.saturating_sub(1) };
        let took_us = ended_us.saturating_sub(began_us);
        *self = Self { ended_us, took_us, rounds, underway: None };
    }

    /// For how many microseconds more events may be waited for, if one has come now.
    pub(super) fn patience_us(&self, now_us: u64) -> u64 {
        let share_us = self.took_us / RUSH_SHARE;
        let was_idle = now_us.saturating_sub(self.ended_us) > self.took_us;
        if was_idle || self.rounds == 0 || share_us < RUSH_WAIT_US_MIN {
            0
        } else {
            share_us.min(RUSH_WAIT_US_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_load_nothing_waits() {
        assert_eq!(Rush::default().patience_us(0), 0);
        let mut rush = Rush::default();
        rush.worked(1_000_000, 1_040_000, 3, false);
        assert_eq!(rush.patience_us(1_040_000), 40_000 / RUSH_SHARE);
        assert_eq!(rush.patience_us(1_080_000), 40_000 / RUSH_SHARE);
        assert_eq!(rush.patience_us(1_080_001), 0);
    }

    #[test]
    fn company_is_expected_until_so_many_rounds_were_without() {
        let mut rush = Rush::default();
        rush.worked(0, 40_000, 1, false);
        assert_eq!(rush.patience_us(40_000), 0);
        rush.worked(0, 40_000, 2, false);
        for _ in 0..RUSH_ROUNDS {
            assert!(rush.patience_us(40_000) > 0);
            rush.worked(0, 40_000, 1, false);
        }
        assert_eq!(rush.patience_us(40_000), 0);
    }

    #[test]
    fn short_rounds_are_not_worth_it_and_long_ones_are_capped() {
        let mut rush = Rush::default();
        rush.worked(0, RUSH_SHARE * RUSH_WAIT_US_MIN - 1, 2, false);
        assert_eq!(rush.patience_us(rush.ended_us), 0);
        rush.worked(0, RUSH_SHARE * RUSH_WAIT_US_MIN, 2, false);
        assert_eq!(rush.patience_us(rush.ended_us), RUSH_WAIT_US_MIN);
        rush.worked(0, 10_000_000, 2, false);
        assert_eq!(rush.patience_us(rush.ended_us), RUSH_WAIT_US_MAX);
    }

    #[test]
    fn a_round_of_several_turns_is_one_round() {
        let mut rush = Rush::default();
        rush.worked(0, 5_000, 1, true);
        rush.worked(5_100, 10_000, 0, true);
        assert_eq!(rush.patience_us(10_000), 0);
        rush.worked(10_100, 16_000, 1, false);
        assert_eq!(rush.patience_us(16_000), 16_000 / RUSH_SHARE);
    }
}
