//! What whoever answers hooks counts, for those who watch it.
//!
//! Invariants: what is counted apart is a word of ours (a hook, a kind of failure), never a client's; counting costs no lock.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::conn::SharedHistogram;
use crate::dialect::Hook;
use crate::dialect::hook::Answered;
use crate::dialect::hook::FAILURES;
use crate::dialect::hook::HOOK_COUNT;
use crate::dialect::hook::HookSet;
use crate::shard::Histogram;

/// What is counted of one hook.
#[derive(Debug, Default)]
struct OfHook {
    /// From a call until it was answered, or has failed.
    took: SharedHistogram,
    aborts: AtomicU64,
    /// By their places in `FAILURES`.
    failures: [AtomicU64; FAILURES.len()],
}

/// The counts.
#[derive(Debug)]
pub struct Figures {
    asked: HookSet,
    hooks: [OfHook; HOOK_COUNT],
    waiting: AtomicU64,
    waiting_bytes: AtomicU64,
}

impl Figures {
    pub(super) fn new(asked: HookSet) -> Self {
        Self {
            asked,
            hooks: std::array::from_fn(|_| OfHook::default()),
            waiting: AtomicU64::new(0),
            waiting_bytes: AtomicU64::new(0),
        }
    }

    /// A call was answered, or has failed, after so many microseconds.
    pub(super) fn count(&self, hook: Hook, took_us: u64, answered: &Answered) {
        let of = &self.hooks[hook.index()];
        of.took.observe(took_us);
        match answered {
            Ok(verdict) if verdict.abort.is_some() => add(&of.aborts),
            Ok(_) => {}
            Err(failure) => {
                let place = FAILURES.iter().position(|name| *name == failure.name());
                place.into_iter().for_each(|place| add(&of.failures[place]));
            }
        }
    }

    /// So many calls wait for their turn, and so many bytes of them.
    pub(super) fn note_waiting(&self, (calls, bytes): (usize, usize)) {
        self.waiting.store(calls as u64, Ordering::Relaxed);
        self.waiting_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// The hooks that are asked.
    pub fn hooks(&self) -> impl Iterator<Item = Hook> {
        Hook::ALL.into_iter().filter(|hook| self.asked.contains(*hook))
    }

    /// How long calls of a hook took until they were answered, or have failed.
    #[must_use]
    pub fn took(&self, hook: Hook) -> Histogram {
        self.hooks[hook.index()].took.read()
    }

    /// How often a hook has said no.
    #[must_use]
    pub fn aborts(&self, hook: Hook) -> u64 {
        self.hooks[hook.index()].aborts.load(Ordering::Relaxed)
    }

    /// How often a hook has failed, by the word for how.
    pub fn failures(&self, hook: Hook) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = &self.hooks[hook.index()].failures;
        FAILURES.into_iter().zip(counts.iter().map(|cell| cell.load(Ordering::Relaxed)))
    }

    /// Calls that wait for their turn, and their bytes.
    #[must_use]
    pub fn waiting(&self) -> (u64, u64) {
        (self.waiting.load(Ordering::Relaxed), self.waiting_bytes.load(Ordering::Relaxed))
    }
}

fn add(cell: &AtomicU64) {
    cell.fetch_add(1, Ordering::Relaxed);
}
