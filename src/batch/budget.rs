//! What all outboxes of a shard may hold together.
//!
//! Invariant: what is counted never takes more than `bytes_max`, and `OUTBOX_SPARE_BYTES` for each outbox. Whoever queues an event may hold as much
//! as is still free: so the first to fall behind has half of it at most, a hundred have a hundred-and-first part each, and there is room for the next
//! one always. Knows nothing of connections.

use std::cell::Cell;
use std::rc::Rc;

use crate::limits::OUTBOX_SPARE_BYTES;
use crate::limits::PAYLOAD_BYTES_MAX;

/// The bytes of a shard's outboxes; every outbox of the shard holds on to it.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    held: Cell<usize>,
}

impl Budget {
    /// One that nothing is taken from yet.
    #[must_use]
    pub fn new(bytes_max: usize) -> Rc<Self> {
        Rc::new(Self { bytes_max, held: Cell::new(0) })
    }

    /// Whether so much is held that not even a large event more may be.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.held.get() > self.bytes_max.saturating_add(PAYLOAD_BYTES_MAX)
    }

    /// Bytes that all outboxes hold.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.get()
    }
}

/// What one outbox holds of it; gives it back when it goes.
#[derive(Debug, Default)]
pub(super) struct Counted {
    /// None: this one stands alone.
    budget: Option<Rc<Budget>>,
    bytes: usize,
}

impl Counted {
    pub(super) fn of(budget: &Rc<Budget>) -> Self {
        Self { budget: Some(Rc::clone(budget)), bytes: 0 }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that it may hold now.
    pub(super) fn share(&self) -> usize {
        let Some(budget) = &self.budget else { return usize::MAX };
        budget.bytes_max.saturating_sub(budget.held.get()).max(OUTBOX_SPARE_BYTES)
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.bytes += bytes;
        if let Some(budget) = &self.budget {
            budget.held.set(budget.held.get() + bytes);
        }
    }

    pub(super) fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(budget) = &self.budget {
            budget.held.set(budget.held.get() - bytes);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}
