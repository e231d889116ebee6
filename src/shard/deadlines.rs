//! What is to be looked at when.
//!
//! [`Deadlines`] is a heap: an entry whose reason has gone is simply found to have none, so whoever pushes has at most one entry, or few.
//! [`Schedule`] is for what is put off and called off all the time: it holds exactly what still stands.

use std::cmp::Ordering;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::collections::BinaryHeap;

use crate::clock::Now;

/// Whole seconds since the start.
pub(super) fn seconds(now: Now) -> u32 {
    u32::try_from(now.mono_ms / 1000).unwrap_or(u32::MAX)
}

/// Deadlines that are taken out when their reason goes: at most one for each thing, if whoever schedules it anew takes the old one out.
#[derive(Debug)]
pub(super) struct Schedule<T>(BTreeSet<(u64, T)>);

impl<T: Ord> Default for Schedule<T> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<T: Ord + Copy> Schedule<T> {
    pub(super) fn insert(&mut self, due_ms: u64, what: T) {
        self.0.insert((due_ms, what));
    }

    pub(super) fn remove(&mut self, due_ms: u64, what: T) {
        self.0.remove(&(due_ms, what));
    }

    /// The next one that is due.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<T> {
        if self.next_ms()? > now_ms {
            return None;
        }
        self.0.pop_first().map(|(_, what)| what)
    }

    /// When the next one is due.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.0.first().map(|(due_ms, _)| *due_ms)
    }

    /// The next one, due or not.
    pub(super) fn pop_next(&mut self) -> Option<T> {
        self.0.pop_first().map(|(_, what)| what)
    }
}

#[derive(Debug)]
pub(super) struct Deadlines<T>(BinaryHeap<Reverse<Deadline<T>>>);

#[derive(Debug)]
struct Deadline<T> {
    due_ms: u64,
    what: T,
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self(BinaryHeap::new())
    }
}

impl<T> Deadlines<T> {
    /// Has `what` looked at from `due_ms` on.
    pub(super) fn push(&mut self, due_ms: u64, what: T) {
        self.0.push(Reverse(Deadline { due_ms, what }));
    }

    /// The next one that is due.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<T> {
        if self.next_ms()? > now_ms {
            return None;
        }
        self.0.pop().map(|Reverse(entry)| entry.what)
    }

    /// When the next one is due.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.0.peek().map(|Reverse(entry)| entry.due_ms)
    }
}

impl<T> PartialEq for Deadline<T> {
    fn eq(&self, other: &Self) -> bool {
        self.due_ms == other.due_ms
    }
}

impl<T> Eq for Deadline<T> {}

impl<T> PartialOrd for Deadline<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Deadline<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due_ms.cmp(&other.due_ms)
    }
}
