//! What all encoders of a shard share: how each dialect sees the events, and the deflaters of messages that stand alone.
//!
//! Invariant: a deflater begins anew with each message, so no message depends on another. Never decides what is deflated.

use std::cell::Cell;
use std::cell::RefCell;
use std::sync::Arc;

use super::stats::Deflated;
use crate::dialect::Views;
use crate::wire::deflate::Deflater;
use crate::wire::deflate::LEVEL_DEFAULT;

/// One shard's.
#[derive(Debug)]
pub(super) struct Codec {
    pub(super) views: Arc<Views>,
    pub(super) deflaters: Deflaters,
}

impl Codec {
    pub(super) fn new(views: Arc<Views>) -> Self {
        Self { views, deflaters: Deflaters::default() }
    }
}

/// One deflater for each window size that was ever asked for, 315 KB each.
#[derive(Debug, Default)]
pub(super) struct Deflaters {
    by_window: RefCell<[Option<Box<Deflater>>; 16]>,
    deflated: Cell<Deflated>,
}

impl Deflaters {
    /// Appends a message, deflated as if it were the only one.
    pub(super) fn deflate(&self, window_bits: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
        let mut deflaters = self.by_window.borrow_mut();
        let slot = &mut deflaters[usize::from(window_bits) & 15];
        let deflater =
            slot.get_or_insert_with(|| Box::new(Deflater::new(LEVEL_DEFAULT, window_bits)));
        deflater.reset();
        let before = out.len();
        deflater.compress(parts, out);
        self.count(parts.iter().map(|part| part.len()).sum(), out.len() - before);
    }

    /// So many bytes of a message have become so many.
    pub(super) fn count(&self, from_bytes: usize, to_bytes: usize) {
        let Deflated { from_bytes: from, to_bytes: to } = self.deflated.get();
        self.deflated
            .set(Deflated { from_bytes: from + from_bytes as u64, to_bytes: to + to_bytes as u64 });
    }

    /// What all messages were before, and have become.
    pub(super) const fn deflated(&self) -> Deflated {
        self.deflated.get()
    }
}
