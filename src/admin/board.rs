//! Where each shard leaves its counts, and whether the server takes connections.
//!
//! Each cell has one writer. Counts of different shards, and of one shard among each other, may be a tick apart: nobody who reads
//! metrics can tell.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::store_figures::STORE_FIGURES;
use crate::event::ShardId;
use crate::history::keeper::Figures;
use crate::shard::FIGURES;
use crate::shard::Stats;

/// The counts of all shards.
#[derive(Debug)]
pub struct Board {
    cells: Vec<[AtomicU64; FIGURES.len()]>,
    is_ready: AtomicBool,
    /// What the store has counted, if there is one.
    store: [AtomicU64; STORE_FIGURES.len()],
    has_store: AtomicBool,
    is_store_full: AtomicBool,
}

impl Board {
    /// A board for so many shards, on which everything is zero.
    #[must_use]
    pub fn new(shard_count: u16) -> Self {
        let cells =
            (0..shard_count).map(|_| [const { AtomicU64::new(0) }; FIGURES.len()]).collect();
        Self {
            cells,
            is_ready: AtomicBool::new(false),
            store: [const { AtomicU64::new(0) }; STORE_FIGURES.len()],
            has_store: AtomicBool::new(false),
            is_store_full: AtomicBool::new(false),
        }
    }

    /// Says whether connections are taken.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::SeqCst);
    }

    /// Whether connections are taken, and events of all topics.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::SeqCst) && !self.is_store_full.load(Ordering::SeqCst)
    }

    /// Takes note of what the store has counted. Whoever finds its disk full is sent elsewhere.
    pub fn note_store(&self, figures: &Figures) {
        for (cell, metric) in self.store.iter().zip(STORE_FIGURES) {
            cell.store((metric.read)(figures), Ordering::Relaxed);
        }
        self.has_store.store(true, Ordering::SeqCst);
        self.is_store_full.store(figures.is_full == 1, Ordering::SeqCst);
    }

    /// What the store has counted, in the order of `STORE_FIGURES`; nothing, if there is none.
    pub(super) fn store(&self) -> impl Iterator<Item = u64> {
        let count = if self.has_store.load(Ordering::SeqCst) { self.store.len() } else { 0 };
        self.store.iter().take(count).map(|cell| cell.load(Ordering::Relaxed))
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
