//! How often each table was written through us: what was read before the last write is never handed out after it.
//!
//! Invariants: a table's count rises before anybody is told of a write, or answered; a generation names one state of one table and is never given twice.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::tables::TableId;

/// How often tables were written, counted by whoever hears of it and read by the threads that tell servers.
#[derive(Clone, Debug)]
pub(super) struct Generations(Arc<[AtomicU64]>);

impl Generations {
    pub(super) fn new(table_count: usize) -> Self {
        Self((0..table_count).map(|_| AtomicU64::new(0)).collect())
    }

    /// A table was written, or may have been.
    pub(super) fn written(&self, table: TableId) {
        self.0[table.index()].fetch_add(1, Ordering::SeqCst);
    }

    /// How often a table was written.
    pub(super) fn of(&self, table: TableId) -> u64 {
        self.0[table.index()].load(Ordering::SeqCst)
    }

    /// Of some tables, in their order.
    pub(super) fn of_all(&self, tables: &[TableId]) -> Box<[u64]> {
        tables.iter().map(|table| self.of(*table)).collect()
    }

    /// Of every table.
    pub(super) fn each(&self) -> impl Iterator<Item = (TableId, u64)> {
        (0..).map(TableId).zip(self.0.iter().map(|count| count.load(Ordering::SeqCst)))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Names one state of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation([u8; Self::BYTES]);

impl Generation {
    pub(super) const BYTES: usize = 16;

    /// Of a process or a thread that calls itself so, the so many-th.
    pub(super) fn new(maker: u64, count: u64) -> Self {
        Self((u128::from(maker) << 64 | u128::from(count)).to_le_bytes())
    }

    /// As it was written; `None`: it is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An answer with the generations that it is of.
pub(super) fn tagged(generations: &[Generation], answer: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(generations.len() * Generation::BYTES + answer.len());
    generations.iter().for_each(|generation| out.extend_from_slice(generation.bytes()));
    out.extend_from_slice(answer);
    out
}

/// The answer, if it is of these generations.
pub(super) fn untagged<'a>(generations: &[Generation], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = bytes;
    for generation in generations {
        rest = rest.strip_prefix(generation.bytes())?;
    }
    Some(rest)
}
