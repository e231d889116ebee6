//! Waiting for one of two things, and before another attempt.
//!
//! The pieces that `tokio`'s macros would bring, without them: a client needs no more. Never detaches a task.

use std::future::Future;
use std::hash::BuildHasher;
use std::pin::Pin;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::client::limits::BACKOFF_MAX;
use crate::client::limits::BACKOFF_MIN;

/// Which of two futures was done first.
#[derive(Debug)]
pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}

/// Waits for the first of two; if both are ready it is the former. What the other had done so far is kept by whoever pinned it.
pub(crate) async fn either<A: Future, B: Future>(
    first: A,
    second: B,
) -> Either<A::Output, B::Output> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(output));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}

/// What a future has to say at once, if anything. It stays pinned, and can be awaited after.
pub(crate) async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// How long to wait before the next attempt: anything from nothing to a ceiling that doubles each time.
#[derive(Debug)]
pub(crate) struct Backoff {
    ceiling: Duration,
    jitter: u64,
}

impl Backoff {
    /// Begins with the lowest ceiling.
    pub(crate) fn new(seed: u64) -> Self {
        Self { ceiling: BACKOFF_MIN, jitter: seed | 1 }
    }

    /// The next wait, drawn evenly from all below the ceiling, so that the clients of a restarted server do not return in step.
    pub(crate) fn wait(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (self.ceiling * 2).min(BACKOFF_MAX);
        // Xorshift: any spread will do.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let share = u32::try_from((self.jitter >> 16) % 1001).unwrap_or_default();
        ceiling * share / 1000
    }

    /// An attempt has worked: the next ceiling is the lowest again.
    pub(crate) fn reset(&mut self) {
        self.ceiling = BACKOFF_MIN;
    }
}

/// A number that differs from process to process: the standard library seeds its hash tables from the kernel.
pub(crate) fn entropy() -> u64 {
    std::hash::RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceilings_grow_to_a_limit_and_start_again() {
        let mut backoff = Backoff::new(7);
        let mut ceiling = BACKOFF_MIN;
        for _ in 0..20 {
            let wait = backoff.wait();
            assert!(wait <= ceiling, "{wait:?} of {ceiling:?}");
            ceiling = (ceiling * 2).min(BACKOFF_MAX);
        }
        backoff.reset();
        assert!(backoff.wait() <= BACKOFF_MIN);
    }

    #[test]
    fn a_wait_is_drawn_from_all_below_its_ceiling() {
        let waits: Vec<_> = (0..1000).map(|seed| Backoff::new(seed * 7919 + 1).wait()).collect();
        for tenth in 0..10 {
            let (from, to) = (BACKOFF_MIN * tenth / 10, BACKOFF_MIN * (tenth + 1) / 10);
            let count = waits.iter().filter(|wait| **wait >= from && **wait < to).count();
            assert!((60..=140).contains(&count), "{count} of 1000 from {from:?} to {to:?}");
        }
    }
}
