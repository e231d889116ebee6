//! Keeps the keys of a token issuer up to date: fetches its key set, now and again, on a thread of its own.
//!
//! Invariants: one address, given by the operator and never by a token; encrypted, unless it is this
//! machine's; no redirect is followed. What was fetched stays good until something better was: a failed fetch
//! takes no key away. At most one fetch every `JWKS_WISH_S_MIN` seconds while they succeed, whoever asks.
//! Never on a shard's thread.

mod fetch;

use std::thread;
use std::thread::JoinHandle;
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
use crate::limits::JWKS_WISH_S_MIN;

pub use fetch::JwksSetupError;

use fetch::Fetched;
use fetch::Fetcher;

/// When to fetch next. Pure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Schedule {
    failures: u32,
}

impl Schedule {
    fn after_success(&mut self, fresh_s: Option<u64>) -> u64 {
        self.failures = 0;
        fresh_s.unwrap_or(JWKS_REFRESH_S).clamp(JWKS_REFRESH_S_MIN, JWKS_REFRESH_S_MAX)
    }

    fn after_failure(&mut self) -> u64 {
        let doubled = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        self.failures = self.failures.saturating_add(1);
        JWKS_RETRY_S_MIN.saturating_mul(doubled).min(JWKS_RETRY_S_MAX)
    }

    /// Seconds to wait from now when someone wishes for fresh keys, `since_s` after the last fetch, with
    /// `left_s` to the next.
    fn after_wish(since_s: u64, left_s: u64) -> u64 {
        left_s.min(JWKS_WISH_S_MIN.saturating_sub(since_s))
    }
}

enum Wish {
    FreshKeys,
    Stop,
}

/// The thread that keeps one issuer's keys up to date. Stops when dropped.
#[derive(Debug)]
pub struct JwksKeeper {
    wishes: flume::Sender<Wish>,
    thread: Option<JoinHandle<()>>,
}

impl JwksKeeper {
    /// Begins at once. `on_keys` is called, on the thread, with each key set that differs from the last or
    /// may.
    ///
    /// # Errors
    /// The address is not one that keys are fetched from, or this machine cannot.
    pub fn start(
        url: &str,
        clock: Clock,
        on_keys: impl FnMut(Jwks) + Send + 'static,
    ) -> Result<Self, JwksSetupError> {
        let fetcher = Fetcher::new(url)?;
        // One wish is enough: it is for the newest keys there are. More are dropped, as it covers them.
        let (wishes, inbox) = flume::bounded(1);
        let thread = thread::Builder::new()
            .name("jwks".to_owned())
            .spawn(move || keep(fetcher, clock, &inbox, on_keys))
            .map_err(JwksSetupError::Thread)?;
        Ok(Self { wishes, thread: Some(thread) })
    }

    /// Asks for fresh keys soon: a token came whose key is not known, so they may have been rotated. Never
    /// waits.
    pub fn wish(&self) {
        // Full: the same wish waits already.
        drop(self.wishes.try_send(Wish::FreshKeys));
    }

    /// Stops and waits for the thread: at most for one fetch.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // Gone: it has ended by itself, which `join` will say.
        drop(self.wishes.send(Wish::Stop));
        if thread.join().is_err() {
            warn!("the thread that fetched keys had panicked");
        }
    }
}

impl Drop for JwksKeeper {
    fn drop(&mut self) {
        self.end();
    }
}

fn keep(
    mut fetcher: Fetcher,
    clock: Clock,
    inbox: &flume::Receiver<Wish>,
    mut on_keys: impl FnMut(Jwks),
) {
    let mut schedule = Schedule::default();
    loop {
        let wait_s = match fetcher.fetch() {
            Ok(Fetched { keys, fresh_s }) => {
                if let Some(keys) = keys {
                    tell(&fetcher.url, &keys);
                    on_keys(keys);
                }
                schedule.after_success(fresh_s)
            }
            Err(error) => {
                // Once for each outage; the former keys stay.
                if schedule.failures == 0 {
                    warn!(url = fetcher.url, %error, "no fresh keys");
                } else {
                    debug!(url = fetcher.url, %error, "no fresh keys yet");
                }
                schedule.after_failure()
            }
        };
        if !wait(inbox, clock, wait_s) {
            return;
        }
    }
}

fn tell(url: &str, keys: &Jwks) {
    info!(url, keys = keys.keys.len(), "fetched keys");
    for (index, reason) in &keys.passed_over {
        debug!(url, index, %reason, "passed over a key");
    }
}

/// Waits until the next fetch is due; `false`: there is none.
fn wait(inbox: &flume::Receiver<Wish>, clock: Clock, wait_s: u64) -> bool {
    let fetched_ms = clock.now().mono_ms;
    let mut due_ms = fetched_ms.saturating_add(wait_s.saturating_mul(1000));
    loop {
        let now_ms = clock.now().mono_ms;
        if now_ms >= due_ms {
            return true;
        }
        match inbox.recv_timeout(Duration::from_millis(due_ms - now_ms)) {
            Ok(Wish::FreshKeys) => {
                let now_ms = clock.now().mono_ms;
                let (since_s, left_s) =
                    ((now_ms - fetched_ms) / 1000, due_ms.saturating_sub(now_ms) / 1000);
                due_ms = due_ms
                    .min(now_ms.saturating_add(
                        Schedule::after_wish(since_s, left_s).saturating_mul(1000),
                    ));
            }
            Err(flume::RecvTimeoutError::Timeout) => return true,
            Ok(Wish::Stop) | Err(flume::RecvTimeoutError::Disconnected) => return false,
        }
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
        let mut schedule = Schedule::default();
        let waits: Vec<u64> = (0..80).map(|_| schedule.after_failure()).collect();
        assert_eq!(waits[..5], [1, 2, 4, 8, 16]);
        assert!(waits[10..].iter().all(|wait_s| *wait_s == JWKS_RETRY_S_MAX));
        assert_eq!(schedule.after_success(None), JWKS_REFRESH_S);
        assert_eq!(schedule.after_failure(), JWKS_RETRY_S_MIN);
        assert_eq!(schedule.after_success(Some(0)), JWKS_REFRESH_S_MIN);
        assert_eq!(schedule.after_success(Some(u64::MAX)), JWKS_REFRESH_S_MAX);
        assert_eq!(Schedule::after_wish(5, 3000), JWKS_WISH_S_MIN - 5);
        assert_eq!(Schedule::after_wish(500, 3000), 0);
        assert_eq!(Schedule::after_wish(5, 3), 3);
    }

    #[test]
    fn the_thread_hands_over_keys_and_stops() {
        let (url, server) = issuer(vec![answer("200 OK", "", KEYS)]);
        let (sender, receiver) = flume::bounded(1);
        let keeper =
            JwksKeeper::start(&url, Clock::start(), move |jwks| sender.send(jwks).unwrap())
                .unwrap();
        let jwks = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(jwks.keys.len(), 1);
        for _ in 0..3 {
            keeper.wish();
        }
        keeper.stop();
        assert!(receiver.try_recv().is_err(), "wishes right after a fetch wait");
        server.join().unwrap();
    }
}
