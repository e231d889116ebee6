//! What all outboxes of a shard may hold together, or all replays.
//!
//! Invariant: whoever queues an event may hold as much as is still free: so the first to fall behind has half of it at most, a hundred have a
//! hundred-and-first part each, and there is room for the next one always. What each may hold whatever others do is its share, and no less than
//! `OUTBOX_SPARE_BYTES`; by as much as all shares together what is counted may be more than `bytes_max`, until those give way that hold more than
//! theirs. Knows nothing of connections.

use std::cell::Cell;
use std::rc::Rc;

use crate::limits::OUTBOX_SPARE_BYTES;
use crate::limits::OUTBOXES_FREED_SHARE;
use crate::limits::PAYLOAD_BYTES_MAX;

/// The bytes that many may hold together: of a shard's outboxes, or of its replays. Each of them holds on to it.
#[derive(Debug)]
pub struct Budget {
    bytes_max: usize,
    held: Cell<usize>,
    share: Cell<usize>,
}

impl Budget {
    /// One that nothing is taken from yet.
    #[must_use]
    pub fn new(bytes_max: usize) -> Rc<Self> {
        let share = Cell::new(OUTBOX_SPARE_BYTES);
        Rc::new(Self { bytes_max, held: Cell::new(0), share })
    }

    /// Whether so much is held that not even a large event more may be.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.held.get() > self.bytes_max.saturating_add(PAYLOAD_BYTES_MAX)
    }

    /// Says how many bytes each may hold from now on whatever others do.
    pub fn set_share(&self, bytes: usize) {
        self.share.set(bytes.max(OUTBOX_SPARE_BYTES));
    }

    /// Whether more is held than may be.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.held.get() > self.bytes_max
    }

    /// Whether so much is held that those who are to give way need not any more.
    #[must_use]
    pub fn is_relieved(&self) -> bool {
        self.held.get() <= self.bytes_max - self.bytes_max / OUTBOXES_FREED_SHARE
    }

    /// Bytes that nobody holds.
    #[must_use]
    pub fn free(&self) -> usize {
        self.bytes_max.saturating_sub(self.held.get())
    }

    /// Bytes that all of them hold.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.get()
    }
}

/// What one holds of it; gives it back when it goes.
#[derive(Debug, Default)]
pub struct Counted {
    /// None: this one stands alone.
    budget: Option<Rc<Budget>>,
    bytes: usize,
}

impl Counted {
    /// Nothing yet.
    #[must_use]
    pub fn of(budget: &Rc<Budget>) -> Self {
        Self { budget: Some(Rc::clone(budget)), bytes: 0 }
    }

    /// Nothing yet, of the same budget.
    pub(super) fn alike(&self) -> Self {
        Self { budget: self.budget.clone(), bytes: 0 }
    }

    /// Bytes that it holds.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that it may hold now.
    #[must_use]
    pub fn share(&self) -> usize {
        let Some(budget) = &self.budget else { return usize::MAX };
        budget.free().max(budget.share.get())
    }

    /// From now on it holds so many bytes, whether there is room for them or not.
    pub fn set(&mut self, bytes: usize) {
        self.give_back(self.bytes);
        self.take(bytes);
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
