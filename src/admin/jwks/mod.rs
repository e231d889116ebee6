//! Keeps the keys of a token issuer up to date: fetches its key set, now and again, on a thread of its own.
//!
//! Invariants: one address, given by the operator and never by a token; encrypted, unless it is this
//! machine's; no redirect is followed. What was fetched stays good until something better was: a failed fetch
//! takes no key away. At most one fetch every `wish_s_min` seconds while they succeed, whoever asks.
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
use crate::limits::JWKS_FETCH_S_MAX;
use crate::limits::JWKS_REFRESH_S;
use crate::limits::JWKS_REFRESH_S_MAX;
use crate::limits::JWKS_REFRESH_S_MIN;
use crate::limits::JWKS_RETRY_S_MAX;
use crate::limits::JWKS_RETRY_S_MIN;

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
    fn after_wish(wish_s_min: u64, since_s: u64, left_s: u64) -> u64 {
        left_s.min(wish_s_min.saturating_sub(since_s))
    }
}

#[derive(Debug)]
enum Wish {
    FreshKeys,
    Stop,
}

/// Asks a keeper for fresh keys soon: a token came whose key is not known, so they may have been rotated.
#[derive(Clone, Debug)]
pub struct KeyWisher(flume::Sender<Wish>);

impl KeyWisher {
    /// Asks. Never waits.
    pub fn wish(&self) {
        // Full: the same wish waits already.
        drop(self.0.try_send(Wish::FreshKeys));
    }
}

/// A keeper that has not begun: its address is one that keys are fetched from.
#[derive(Debug)]
pub struct JwksSetup {
    fetcher: Fetcher,
    /// Seconds from a fetch to the next one because of a token with an unknown key.
    wish_s_min: u64,
    wishes: flume::Sender<Wish>,
    inbox: flume::Receiver<Wish>,
}

impl JwksSetup {
    /// Checks the address.
    ///
    /// # Errors
    /// It is not one that keys are fetched from, or this machine cannot.
    pub fn new(url: &str, wish_s_min: u64) -> Result<Self, JwksSetupError> {
        // One wish is enough: it is for the newest keys there are. More are dropped, as it covers them.
        let (wishes, inbox) = flume::bounded(1);
        Ok(Self { fetcher: Fetcher::new(url)?, wish_s_min, wishes, inbox })
    }

    /// Who may ask for fresh keys.
    #[must_use]
    pub fn wisher(&self) -> KeyWisher {
        KeyWisher(self.wishes.clone())
    }

    /// Begins at once. `on_keys` is called, on the thread, with each key set that differs from the last or
    /// may.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(
        self,
        clock: Clock,
        on_keys: impl FnMut(Jwks) + Send + 'static,
    ) -> Result<JwksKeeper, JwksSetupError> {
        let Self { fetcher, wish_s_min, wishes, inbox } = self;
        let (first, began) = flume::bounded(1);
        let thread = thread::Builder::new()
            .name("jwks".to_owned())
            .spawn(move || keep(fetcher, clock, wish_s_min, &inbox, first, on_keys))
            .map_err(JwksSetupError::Thread)?;
        Ok(JwksKeeper { wishes, began, thread: Some(thread) })
    }
}

/// The thread that keeps one issuer's keys up to date. Stops when dropped.
#[derive(Debug)]
pub struct JwksKeeper {
    wishes: flume::Sender<Wish>,
    began: flume::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl JwksKeeper {
    /// Waits until the first fetch has brought keys, or failed: not longer than one may take.
    pub fn wait_for_first(&self) {
        let most = Duration::from_secs(JWKS_FETCH_S_MAX + 1);
        if self.began.recv_timeout(most) == Err(flume::RecvTimeoutError::Timeout) {
            debug!("the first fetch of keys has not ended yet");
        }
    }

    /// Stops, and does not wait: a fetch that is underway may take its time to fail.
    pub fn let_go(mut self) {
        drop(self.thread.take());
        drop(self.wishes.try_send(Wish::Stop));
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
    wish_s_min: u64,
    inbox: &flume::Receiver<Wish>,
    first: flume::Sender<()>,
    mut on_keys: impl FnMut(Jwks),
) {
    let mut schedule = Schedule::default();
    let mut first = Some(first);
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
        // Whoever waits for the first one hears that by this end being gone.
        drop(first.take());
        if !wait(inbox, clock, wish_s_min, wait_s) {
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
fn wait(inbox: &flume::Receiver<Wish>, clock: Clock, wish_s_min: u64, wait_s: u64) -> bool {
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
                due_ms = due_ms.min(now_ms.saturating_add(
                    Schedule::after_wish(wish_s_min, since_s, left_s).saturating_mul(1000),
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
        assert_eq!(Schedule::after_wish(30, 5, 3000), 25);
        assert_eq!(Schedule::after_wish(30, 500, 3000), 0);
        assert_eq!(Schedule::after_wish(30, 5, 3), 3);
    }

    #[test]
    fn the_thread_hands_over_keys_and_stops() {
        let (url, server) = issuer(vec![answer("200 OK", "", KEYS)]);
        let (sender, receiver) = flume::bounded(1);
        let setup = JwksSetup::new(&url, 30).unwrap();
        let wisher = setup.wisher();
        let keeper = setup.start(Clock::start(), move |jwks| sender.send(jwks).unwrap()).unwrap();
        keeper.wait_for_first();
        let jwks = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(jwks.keys.len(), 1);
        for _ in 0..3 {
            wisher.wish();
        }
        keeper.stop();
        assert!(receiver.try_recv().is_err(), "wishes right after a fetch wait");
        server.join().unwrap();
    }
}
