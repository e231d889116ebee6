//! How long to wait before somebody who is lost is looked for again.
//!
//! Invariants: a wait is at most as long as it may be, and at least half of what it would be without chance, so that many servers that lost one database do not come back at once. Never waits itself.

use std::time::Duration;

use aws_lc_rs::rand;

/// What was waited so far.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    min_ms: u64,
    max_ms: u64,
    next_ms: u64,
}

impl Backoff {
    /// Nothing yet; waits lie between these, in milliseconds.
    #[must_use]
    pub const fn new(min_ms: u64, max_ms: u64) -> Self {
        Self { min_ms, max_ms, next_ms: min_ms }
    }

    /// How long to wait now: twice as long as before, less up to a half by chance.
    pub fn wait(&mut self, chance: u64) -> Duration {
        let most = self.next_ms;
        self.next_ms = (most * 2).min(self.max_ms);
        Duration::from_millis(most - chance % (most / 2 + 1))
    }

    /// The next wait is the longest: nothing is likely to change by itself.
    pub const fn slow_down(&mut self) {
        self.next_ms = self.max_ms;
    }

    /// The next wait is the shortest.
    pub const fn start_over(&mut self) {
        self.next_ms = self.min_ms;
    }
}

/// A number by chance.
#[must_use]
pub fn chance() -> u64 {
    let mut bytes = [0; 8];
    // Without it servers come back together, which is worse and not wrong.
    if rand::fill(&mut bytes).is_err() {
        tracing::debug!("the system gives no random bytes");
    }
    u64::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN_MS: u64 = 50;
    const MAX_MS: u64 = 5_000;

    #[test]
    fn waits_double_up_to_a_bound_and_chance_takes_up_to_a_half() {
        for chance in [0, 1, 7, 99, u64::MAX] {
            let mut backoff = Backoff::new(MIN_MS, MAX_MS);
            let mut most = MIN_MS;
            for _ in 0..20 {
                let waited = backoff.wait(chance);
                assert!(waited <= Duration::from_millis(most), "{waited:?} {most}");
                assert!(waited >= Duration::from_millis(most / 2), "{waited:?} {most}");
                most = (most * 2).min(MAX_MS);
            }
            assert_eq!(most, MAX_MS);
            backoff.start_over();
            assert!(backoff.wait(chance) <= Duration::from_millis(MIN_MS));
            backoff.slow_down();
            assert!(backoff.wait(chance) >= Duration::from_millis(MAX_MS / 2));
        }
        let differ = |chance| Backoff::new(MIN_MS, MAX_MS).wait(chance);
        assert_ne!(differ(1), differ(30));
    }
}
