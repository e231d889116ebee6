//! How long to wait before a database that is lost is looked for again.
//!
//! Invariants: a wait is at most `TABLES_BACKOFF_MS_MAX`, and at least half of what it would be without chance, so that many servers that lost one database do not come back at once. Pure: chance is an argument.

use std::time::Duration;

use crate::limits::TABLES_BACKOFF_MS_MAX;
use crate::limits::TABLES_BACKOFF_MS_MIN;

/// What was waited so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    next_ms: u64,
}

impl Backoff {
    /// Nothing yet.
    pub(super) const fn new() -> Self {
        Self { next_ms: TABLES_BACKOFF_MS_MIN }
    }

    /// How long to wait now: twice as long as before, less up to a half by chance.
    pub(super) fn wait(&mut self, chance: u64) -> Duration {
        let most = self.next_ms;
        self.next_ms = (most * 2).min(TABLES_BACKOFF_MS_MAX);
        Duration::from_millis(most - chance % (most / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_and_chance_takes_up_to_a_half() {
        for chance in [0, 1, 7, 99, u64::MAX] {
            let mut backoff = Backoff::new();
            let mut most = TABLES_BACKOFF_MS_MIN;
            for _ in 0..20 {
                let waited = backoff.wait(chance);
                assert!(waited <= Duration::from_millis(most), "{waited:?} {most}");
                assert!(waited >= Duration::from_millis(most / 2), "{waited:?} {most}");
                most = (most * 2).min(TABLES_BACKOFF_MS_MAX);
            }
            assert_eq!(most, TABLES_BACKOFF_MS_MAX);
        }
        let differ = |chance| Backoff::new().wait(chance);
        assert_ne!(differ(1), differ(30));
    }
}
