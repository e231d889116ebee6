//! Waiting for one of two things, for a signal to stop, and a little longer each time.
//!
//! The pieces that `tokio`'s macros would bring, without them: the client needs no more. Never detaches a task.

use std::future::Future;
use std::hash::BuildHasher;
use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::cli::limits::BACKOFF_MAX;
use crate::cli::limits::BACKOFF_MIN;

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

/// The operator's wish that this process ends: SIGINT (Ctrl-C) or SIGTERM. A second SIGINT is not needed: we stop at the first.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens from now on. Must be called inside a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits until somebody asks.
    pub(crate) async fn asked(&mut self) {
        either(self.interrupt.recv(), self.terminate.recv()).await;
    }
}

/// How long to wait before the next attempt: twice as long each time, and never exactly as long as anybody else.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    jitter: u64,
}

impl Backoff {
    /// Begins with the shortest wait.
    pub(crate) fn new(seed: u64) -> Self {
        Self { next: BACKOFF_MIN, jitter: seed | 1 }
    }

    /// The next wait: between half of it and all of it, so that the clients of a restarted server do not return in step.
    pub(crate) fn wait(&mut self) -> Duration {
        let ceiling = self.next;
        self.next = (self.next * 2).min(BACKOFF_MAX);
        // Xorshift: any spread will do.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let half = ceiling / 2;
        let share = u32::try_from(self.jitter % 1000).unwrap_or_default();
        half + half * share / 1000
    }

    /// An attempt has worked: the next wait is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.next = BACKOFF_MIN;
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
    fn the_waits_grow_to_a_limit_and_start_again() {
        let mut backoff = Backoff::new(7);
        let mut ceiling = BACKOFF_MIN;
        for _ in 0..20 {
            let wait = backoff.wait();
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?} of {ceiling:?}");
            ceiling = (ceiling * 2).min(BACKOFF_MAX);
        }
        backoff.reset();
        assert!(backoff.wait() <= BACKOFF_MIN);
    }
}
