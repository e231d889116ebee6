//! Where each shard leaves its counts, and whether the server takes connections.
//!
//! Each cell has one writer. Counts of different shards, and of one shard among each other, may be a tick apart: nobody who reads
//! metrics can tell.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::event::ShardId;
use crate::shard::FIGURES;
use crate::shard::Stats;

/// The counts of all shards.
#[derive(Debug)]
pub struct Board {
    cells: Vec<[AtomicU64; FIGURES.len()]>,
    is_ready: AtomicBool,
}

impl Board {
    /// A board for so many shards, on which everything is zero.
    #[must_use]
    pub fn new(shard_count: u16) -> Self {
        let cells =
            (0..shard_count).map(|_| [const { AtomicU64::new(0) }; FIGURES.len()]).collect();
        Self { cells, is_ready: AtomicBool::new(false) }
    }

    /// Says whether connections are taken.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::SeqCst);
    }

    /// Whether connections are taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::SeqCst)
    }

    /// Takes note of a shard's counts.
    pub fn note(&self, shard: ShardId, stats: &Stats) {
        for (cell, metric) in self.cells[shard.index()].iter().zip(FIGURES) {
            cell.store((metric.read)(stats), Ordering::Relaxed);
        }
    }

    pub(super) fn shard_count(&self) -> usize {
        self.cells.len()
    }

    /// One metric of all shards, by its place in the list.
    pub(super) fn sum(&self, metric: usize) -> u64 {
        self.cells
            .iter()
            .map(|cell| cell[metric].load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add)
    }
}
