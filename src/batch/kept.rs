//! Bytes that were made for many and wait for those who are behind.
//!
//! Invariant: the budget of the shard's outboxes counts them once, however many are owed them.

use std::rc::Rc;

use super::budget::Budget;
use super::budget::Counted;

/// Bytes that are kept until the last one who is owed them has been sent them.
#[derive(Debug)]
pub struct Kept {
    bytes: Box<[u8]>,
    _counted: Counted,
}

impl Kept {
    /// Keeps bytes, which this budget counts.
    #[must_use]
    pub fn new(budget: &Rc<Budget>, bytes: Box<[u8]>) -> Rc<Self> {
        let mut counted = Counted::of(budget);
        counted.take(bytes.len());
        Rc::new(Self { bytes, _counted: counted })
    }

    /// The frames' bytes, one behind the other.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
