//! When a source connects, and what is said of it: whether its far end is there, how long to wait, what is worth a line in the log.
//!
//! Invariants: one line for each change of state and none for what stays as it is; who is lost is looked for in growing steps, and at once only after it was there for a while, so one that lets us in and throws us out
//! is no reason to hurry. Pure: the time and chance are arguments, in milliseconds.

use std::time::Duration;

use super::connector::FaultKind;
use crate::limits::SOURCE_BACKOFF_MS_MAX;
use crate::limits::SOURCE_BACKOFF_MS_MIN;
use crate::limits::SOURCE_STEADY_MS;
use crate::outbound::Backoff;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Connect,
    /// Nothing, for so long.
    Wait(Duration),
    Fetch,
    /// Nothing, until the settings change.
    Rest,
}

/// What has changed, and is worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is connected; after so many milliseconds without, if it was before.
    Up { after_ms: Option<u64> },
    /// It is not, and was or was never tried before.
    Down,
    /// It is not connected, and otherwise so than it was.
    Otherwise,
    /// Nothing more will come.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Up { since_ms: u64 },
    Down { kind: FaultKind, since_ms: u64, until_ms: u64 },
    Ended,
}

/// A source's state, and how long it waits.
#[derive(Debug)]
pub(super) struct Supervision {
    state: State,
    backoff: Backoff,
}

impl Supervision {
    /// Of a source that was never connected.
    pub(super) const fn new() -> Self {
        let backoff = Backoff::new(SOURCE_BACKOFF_MS_MIN, SOURCE_BACKOFF_MS_MAX);
        Self { state: State::New, backoff }
    }

    /// What is to be done now.
    pub(super) fn next(&self, now_ms: u64) -> Next {
        match self.state {
            State::New => Next::Connect,
            State::Up { .. } => Next::Fetch,
            State::Ended => Next::Rest,
            State::Down { until_ms, .. } if until_ms <= now_ms => Next::Connect,
            State::Down { until_ms, .. } => Next::Wait(Duration::from_millis(until_ms - now_ms)),
        }
    }

    /// The far end is there.
    pub(super) fn connected(&mut self, now_ms: u64) -> Change {
        let after_ms = match self.state {
            State::Down { since_ms, .. } => Some(now_ms.saturating_sub(since_ms)),
            _ => None,
        };
        self.state = State::Up { since_ms: now_ms };
        Change::Up { after_ms }
    }

    /// The far end is at fault.
    pub(super) fn failed(&mut self, kind: FaultKind, now_ms: u64, chance: u64) -> Option<Change> {
        if kind == FaultKind::Ended {
            self.state = State::Ended;
            return Some(Change::Ended);
        }
        let (since_ms, change) = match self.state {
            State::Up { since_ms } => {
                if now_ms.saturating_sub(since_ms) >= SOURCE_STEADY_MS {
                    self.backoff.start_over();
                }
                (now_ms, Some(Change::Down))
            }
            State::Down { kind: before, since_ms, .. } => {
                (since_ms, (before != kind).then_some(Change::Otherwise))
            }
            State::New | State::Ended => (now_ms, Some(Change::Down)),
        };
        if kind.needs_somebody() {
            self.backoff.slow_down();
        }
        let wait_ms = u64::try_from(self.backoff.wait(chance).as_millis()).unwrap_or(u64::MAX);
        self.state = State::Down { kind, since_ms, until_ms: now_ms.saturating_add(wait_ms) };
        change
    }

    /// The settings are others now: whatever was wrong before is tried at once.
    pub(super) const fn renew(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_lost_is_looked_for_in_growing_steps_and_told_of_once() {
        let mut supervision = Supervision::new();
        let mut now_ms = 1_000;
        assert_eq!(supervision.next(now_ms), Next::Connect);
        let mut most = SOURCE_BACKOFF_MS_MIN;
        let mut lines = Vec::new();
        for _ in 0..20 {
            lines.extend(supervision.failed(FaultKind::Unreachable, now_ms, 0));
            let Next::Wait(wait) = supervision.next(now_ms) else { panic!("it waits") };
            assert_eq!(wait, Duration::from_millis(most));
            let wait_ms = u64::try_from(wait.as_millis()).unwrap();
            assert_eq!(
                supervision.next(now_ms + wait_ms - 1),
                Next::Wait(Duration::from_millis(1))
            );
            now_ms += wait_ms;
            assert_eq!(supervision.next(now_ms), Next::Connect);
            most = (2 * most).min(SOURCE_BACKOFF_MS_MAX);
        }
        assert_eq!(most, SOURCE_BACKOFF_MS_MAX);
        assert_eq!(lines, [Change::Down], "one line for all of it");
        let after_ms = Some(now_ms - 1_000);
        assert_eq!(supervision.connected(now_ms), Change::Up { after_ms });
        assert_eq!(supervision.next(now_ms), Next::Fetch);
    }

    #[test]
    fn one_that_lets_us_in_and_throws_us_out_is_no_reason_to_hurry() {
        let mut supervision = Supervision::new();
        let mut now_ms = 0;
        let mut tries = 0;
        while now_ms < 10 * 60_000 {
            supervision.connected(now_ms);
            now_ms += 5;
            supervision.failed(FaultKind::Lost, now_ms, 0);
            let Next::Wait(wait) = supervision.next(now_ms) else { panic!("it waits") };
            now_ms += u64::try_from(wait.as_millis()).unwrap();
            tries += 1;
        }
        assert!(tries < 40, "{tries} connections in ten minutes");
        // Who was there for a while is looked for at once.
        supervision.connected(now_ms);
        now_ms += SOURCE_STEADY_MS;
        supervision.failed(FaultKind::Lost, now_ms, 0);
        let soon = Duration::from_millis(SOURCE_BACKOFF_MS_MIN);
        assert_eq!(supervision.next(now_ms), Next::Wait(soon));
    }

    #[test]
    fn what_only_somebody_can_mend_is_tried_seldom_and_at_once_when_the_settings_change() {
        let mut supervision = Supervision::new();
        assert_eq!(supervision.failed(FaultKind::Denied, 0, 0), Some(Change::Down));
        let Next::Wait(wait) = supervision.next(0) else { panic!("it waits") };
        assert!(wait >= Duration::from_millis(SOURCE_BACKOFF_MS_MAX / 2));
        assert_eq!(supervision.failed(FaultKind::Denied, 40_000, 0), None);
        let otherwise = supervision.failed(FaultKind::Unreachable, 80_000, 0);
        assert_eq!(otherwise, Some(Change::Otherwise));
        supervision.renew();
        assert_eq!(supervision.next(80_000), Next::Connect);
    }

    #[test]
    fn what_has_ended_rests() {
        let mut supervision = Supervision::new();
        supervision.connected(0);
        assert_eq!(supervision.failed(FaultKind::Ended, 5, 0), Some(Change::Ended));
        assert_eq!(supervision.next(u64::MAX), Next::Rest);
    }
}
