//! What parties beside the shards count: each figure by its name, and where its party leaves it.
//!
//! Invariant: each cell has one writer; figures of one moment may be read a moment apart.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::shard::FigureKind;

/// One of what a party counts in `F`.
pub(super) struct PartyFigure<F> {
    pub(super) name: &'static str,
    pub(super) kind: FigureKind,
    pub(super) help: &'static str,
    pub(super) read: fn(&F) -> u64,
}

pub(super) const fn figure<F>(
    name: &'static str,
    kind: FigureKind,
    help: &'static str,
    read: fn(&F) -> u64,
) -> PartyFigure<F> {
    PartyFigure { name, kind, help, read }
}

/// Where a party leaves so many of them.
#[derive(Debug)]
pub(super) struct PartyCells<const N: usize> {
    cells: [AtomicU64; N],
    is_there: AtomicBool,
}

impl<const N: usize> PartyCells<N> {
    pub(super) const fn new() -> Self {
        Self { cells: [const { AtomicU64::new(0) }; N], is_there: AtomicBool::new(false) }
    }

    /// Takes note of what a party has counted.
    pub(super) fn note<F>(&self, counted: &F, figures: &[PartyFigure<F>; N]) {
        for (cell, figure) in self.cells.iter().zip(figures) {
            cell.store((figure.read)(counted), Ordering::Relaxed);
        }
        self.is_there.store(true, Ordering::SeqCst);
    }

    /// What the party has counted, in the order of its figures; nothing, if there is no such party.
    pub(super) fn read(&self) -> impl Iterator<Item = u64> {
        let count = if self.is_there.load(Ordering::SeqCst) { N } else { 0 };
        self.cells.iter().take(count).map(|cell| cell.load(Ordering::Relaxed))
    }
}
