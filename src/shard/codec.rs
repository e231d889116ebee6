//! What all encoders of a shard share: how each dialect sees the events, and the deflaters of messages that stand alone.
//!
//! Invariant: a deflater begins anew with each message, so no message depends on another. Never decides what is deflated.

use std::cell::RefCell;
use std::sync::Arc;

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
pub(super) struct Deflaters(RefCell<[Option<Box<Deflater>>; 16]>);

impl Deflaters {
    /// Appends a message, deflated as if it were the only one.
    pub(super) fn deflate(&self, window_bits: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
        let mut deflaters = self.0.borrow_mut();
        let slot = &mut deflaters[usize::from(window_bits) & 15];
        let deflater =
            slot.get_or_insert_with(|| Box::new(Deflater::new(LEVEL_DEFAULT, window_bits)));
        deflater.reset();
        deflater.compress(parts, out);
    }
}
