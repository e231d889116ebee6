//! Keeps the keys of a token issuer up to date: fetches its key set, now and again.
//!
//! Invariants: one address, given by the operator and never by a token; encrypted, unless it is this
//! machine's; no redirect is followed. What was fetched stays good until something better was: a failed fetch
//! takes no key away. At most one fetch every `wish_s_min` seconds while they succeed, whoever asks and however
//! often. A fetch takes its time, so it is never made on a shard's thread.

mod fetch;

use std::time::Duration;

use tracing::debug;
use tracing::info;
use tracing::warn;

use crate::auth::Jwks;
use crate::clock::Clock;
use crate::limits::JWKS_REFRESH_S;
use crate::limits::JWKS_REFRESH_S_MAX;
use crate::limits::JWKS_REFRESH_S_MIN;
use crate::limits::JWKS_RETRY_S_MAX;
use crate::limits::JWKS_RETRY_S_MIN;
use crate::outbound::AddressError;

use fetch::Fetched;
use fetch::Fetcher;

/// When to fetch next. Pure; times are milliseconds since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Schedule {
    failures: u32,
    fetched_ms: u64,
    due_ms: u64,
    /// Milliseconds from a fetch to the next one because of a token with an unknown key.
    wish_ms_min: u64,
}

impl Schedule {
    /// The first fetch is due at once.
    const fn new(wish_s_min: u64) -> Self {
        let wish_ms_min = wish_s_min.saturating_mul(1000);
        Self { failures: 0, fetched_ms: 0, due_ms: 0, wish_ms_min }
    }

    fn succeeded(&mut self, fresh_s: Option<u64>, now_ms: u64) {
        self.failures = 0;
        let wait_s = fresh_s.unwrap_or(JWKS_REFRESH_S);
        self.fetched(wait_s.clamp(JWKS_REFRESH_S_MIN, JWKS_REFRESH_S_MAX), now_ms);
    }

    fn failed(&mut self, now_ms: u64) {
        let doubled = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        self.failures = self.failures.saturating_add(1);
        self.fetched(JWKS_RETRY_S_MIN.saturating_mul(doubled).min(JWKS_RETRY_S_MAX), now_ms);
    }

    fn fetched(&mut self, wait_s: u64, now_ms: u64) {
        self.fetched_ms = now_ms;
        self.due_ms = now_ms.saturating_add(wait_s.saturating_mul(1000));
    }

    /// Someone wishes for fresh keys. The moment that is wished for depends on the last fetch alone, so a second wish draws nothing nearer.
    fn wish(&mut self) {
        self.due_ms = self.due_ms.min(self.fetched_ms.saturating_add(self.wish_ms_min));
    }
}

/// Keeps one issuer's keys up to date. Whoever has it fetches when it is due.
#[derive(Debug)]
pub struct JwksKeeper {
    fetcher: Fetcher,
    schedule: Schedule,
}

impl JwksKeeper {
    /// Checks the address. `wish_s_min`: seconds from a fetch to the next one because of a token with an unknown key.
    ///
    /// # Errors
    /// The address is not one that keys are fetched from, or this machine cannot.
    pub fn new(url: &str, wish_s_min: u64) -> Result<Self, AddressError> {
        Ok(Self { fetcher: Fetcher::new(url)?, schedule: Schedule::new(wish_s_min) })
    }

    /// How long it is until the next fetch is due, at so many milliseconds since the start.
    #[must_use]
    pub const fn due_in(&self, now_ms: u64) -> Duration {
        Duration::from_millis(self.schedule.due_ms.saturating_sub(now_ms))
    }

    /// A token came whose key is not known, so keys may have been rotated.
    pub fn wish(&mut self) {
        self.schedule.wish();
    }

    /// Fetches, for `JWKS_FETCH_S_MAX` seconds at most; the keys if they differ from the last, or may.
    pub fn fetch(&mut self, clock: Clock) -> Option<Jwks> {
        let fetched = self.fetcher.fetch();
        let now_ms = clock.now().mono_ms;
        match fetched {
            Ok(Fetched { keys, fresh_s }) => {
                self.schedule.succeeded(fresh_s, now_ms);
                if let Some(keys) = &keys {
                    tell(&self.fetcher.url, keys);
                }
                keys
            }
            Err(error) => {
                // Once for each outage; the former keys stay.
                if self.schedule.failures == 0 {
                    warn!(url = self.fetcher.url, %error, "no fresh keys");
                } else {
                    debug!(url = self.fetcher.url, %error, "no fresh keys yet");
                }
                self.schedule.failed(now_ms);
                None
            }
        }
    }
}

fn tell(url: &str, keys: &Jwks) {
    info!(url, keys = keys.keys.len(), "fetched keys");
    for (index, reason) in &keys.passed_over {
        debug!(url, index, %reason, "passed over a key");
    }
}

#[cfg(test)]
mod tests {
    use super::fetch::issuer::KEYS;
    use super::fetch::issuer::answer;
    use super::fetch::issuer::issuer;
    use super::*;

    #[test]
    fn the_schedule_keeps_to_its_bounds() {
        let mut schedule = Schedule::new(30);
        let mut now_ms = 0;
        let mut waits = Vec::new();
        for _ in 0..80 {
            schedule.failed(now_ms);
            waits.push((schedule.due_ms - now_ms) / 1000);
            now_ms = schedule.due_ms;
        }
        assert_eq!(waits[..5], [1, 2, 4, 8, 16]);
        assert!(waits[10..].iter().all(|wait_s| *wait_s == JWKS_RETRY_S_MAX));
        for (fresh_s, wait_s) in [
            (None, JWKS_REFRESH_S),
            (Some(0), JWKS_REFRESH_S_MIN),
            (Some(u64::MAX), JWKS_REFRESH_S_MAX),
        ] {
            schedule.succeeded(fresh_s, now_ms);
            assert_eq!(schedule.due_ms, now_ms + wait_s * 1000);
        }
        schedule.failed(now_ms);
        assert_eq!(schedule.due_ms, now_ms + JWKS_RETRY_S_MIN * 1000);
    }

    /// A thousand wishes a second, for ten minutes of virtual time, from whatever moment on.
    #[test]
    fn however_many_wish_there_is_one_fetch_each_so_many_seconds() {
        for offset_ms in [0, 1, 500, 999] {
            let mut schedule = Schedule::new(30);
            let mut fetched_ms = Vec::new();
            for now_ms in offset_ms..offset_ms + 600_000 {
                if schedule.due_ms <= now_ms {
                    fetched_ms.push(now_ms);
                    schedule.succeeded(None, now_ms);
                }
                schedule.wish();
            }
            let expected: Vec<u64> = (0..20).map(|fetch| offset_ms + fetch * 30_000).collect();
            assert_eq!(fetched_ms, expected);
        }
    }

    #[test]
    fn a_wish_is_granted_at_once_if_the_last_fetch_is_long_ago_and_never_puts_one_off() {
        let mut schedule = Schedule::new(30);
        schedule.succeeded(None, 1_000);
        schedule.wish();
        assert_eq!(schedule.due_ms, 31_000);
        schedule.failed(31_000);
        schedule.wish();
        assert_eq!(schedule.due_ms, 31_000 + JWKS_RETRY_S_MIN * 1000, "it comes sooner anyway");
    }

    #[test]
    fn a_keeper_fetches_when_it_is_due_and_then_rests() {
        let (url, server) = issuer(vec![answer("200 OK", "", KEYS)]);
        let clock = Clock::start();
        let mut keeper = JwksKeeper::new(&url, 30).unwrap();
        assert_eq!(keeper.due_in(clock.now().mono_ms), Duration::ZERO);
        assert_eq!(keeper.fetch(clock).unwrap().keys.len(), 1);
        keeper.wish();
        let now_ms = clock.now().mono_ms;
        assert!(keeper.due_in(now_ms) > Duration::from_secs(20), "wishes right after a fetch wait");
        server.join().unwrap();
    }
}
