//! A histogram that one thread fills while others read it.
//!
//! Invariants: it has one writer; counts of one moment may be read a moment apart. Costs no lock.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::shard::BUCKETS_US;
use crate::shard::Histogram;

/// The counts.
#[derive(Debug)]
pub struct SharedHistogram {
    counts: [AtomicU64; BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Default for SharedHistogram {
    fn default() -> Self {
        let counts = [const { AtomicU64::new(0) }; BUCKETS_US.len() + 1];
        Self { counts, sum_us: AtomicU64::new(0) }
    }
}

impl SharedHistogram {
    /// Something took so many microseconds.
    pub fn observe(&self, took_us: u64) {
        let mut one = Histogram::default();
        one.observe(took_us);
        for (cell, count) in self.counts.iter().zip(one.counts).filter(|(_, count)| *count > 0) {
            cell.fetch_add(count, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> Histogram {
        let mut read = Histogram::default();
        for (count, cell) in read.counts.iter_mut().zip(&self.counts) {
            *count = cell.load(Ordering::Relaxed);
        }
        read.sum_us = self.sum_us.load(Ordering::Relaxed);
        read
    }
}
