//! Batches that classes are filling: when each is ended, and what all of them hold together.
//!
//! Invariants: an open batch has one deadline here; what all of them hold is counted, the events in them once, however many batches they are in, and
//! when it is more than it may be those that are due next are ended before their time. Never ends one itself: `Gathered` does.

use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::conns::ClassId;
use super::deadlines::Schedule;
use super::runs::Runs;
use crate::batch::Budget;
use crate::batch::Counted;
use crate::event::Event;

/// The messages of several events that are still being filled.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub(super) runs: Runs,
    /// The events that are in it, and for which of the class's subscriptions each is: for a member that is to hear a part of them only.
    pub(super) told: Vec<Batched>,
    pub(super) events_max: u16,
    /// When the batch is closed at the latest, in milliseconds since the start.
    pub(super) due_ms: u64,
    /// What the batch holds besides the events themselves, of what all open batches may.
    counted: Counted,
}

impl OpenBatch {
    /// Whether the batch is empty.
    pub(super) fn new(counted: Counted) -> Self {
        let (runs, told) = (Runs::default(), Vec::new());
        Self { runs, told, events_max: u16::MAX, due_ms: u64::MAX, counted }
    }

    /// Takes note of an event whose text was added.
    pub(super) fn push(&mut self, batched: Batched) {
        self.told.push(batched);
        let told = self.told.capacity() * size_of::<Batched>();
        self.counted.set(OPEN_BATCH_BYTES + self.runs.held_bytes() + told);
    }
}

/// Bytes of an open batch that nothing is in, and of its deadline.
const OPEN_BATCH_BYTES: usize = size_of::<OpenBatch>() + 64;

/// An event of an open batch, for which of the class's subscriptions it is, and that it is held for it.
#[derive(Debug)]
pub(super) struct Batched {
    event: Rc<HeldEvent>,
    pub(super) subs: u64,
}

/// An event that batches hold on to, which they may be the last to do: their texts may have left most of it out.
#[derive(Debug)]
struct HeldEvent {
    event: Arc<Event>,
    _counted: Counted,
}

impl Deref for Batched {
    type Target = Arc<Event>;

    fn deref(&self) -> &Self::Target {
        &self.event.event
    }
}

/// The open batches of all classes.
#[derive(Debug)]
pub(super) struct Batches {
    due: Schedule<ClassId>,
    budget: Rc<Budget>,
    /// The event that was batched last.
    newest: Option<Rc<HeldEvent>>,
}

impl Batches {
    /// None yet; they hold so many bytes together.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { due: Schedule::default(), budget: Budget::new(bytes_max), newest: None }
    }

    /// A batch that nothing is in.
    pub(super) fn open(&self) -> OpenBatch {
        OpenBatch::new(Counted::of(&self.budget))
    }

    /// An event of a batch, held.
    pub(super) fn hold(&mut self, event: &Arc<Event>, subs: u64) -> Batched {
        let newest = self.newest.take().filter(|newest| Arc::ptr_eq(&newest.event, event));
        let held = newest.unwrap_or_else(|| {
            let mut counted = Counted::of(&self.budget);
            counted.set(event.weight_bytes());
            Rc::new(HeldEvent { event: Arc::clone(event), _counted: counted })
        });
        self.newest = Some(Rc::clone(&held));
        Batched { event: held, subs }
    }

    /// What was batched last is told to everyone.
    pub(super) fn end_event(&mut self) {
        self.newest = None;
    }

    /// A class's batch is to be ended at this time, and no longer at the one before.
    pub(super) fn put_forward(&mut self, before_ms: Option<u64>, due_ms: u64, class: ClassId) {
        if let Some(before_ms) = before_ms {
            self.due.remove(before_ms, class);
        }
        self.due.insert(due_ms, class);
    }

    /// A class has no open batch any more.
    pub(super) fn forget(&mut self, due_ms: u64, class: ClassId) {
        self.due.remove(due_ms, class);
    }

    /// The class whose batch is due.
    pub(super) fn pop_due(&mut self, now_ms: u64) -> Option<ClassId> {
        self.due.pop_due(now_ms)
    }

    /// The class whose batch is due next, if all of them hold more than they may.
    pub(super) fn pop_to_give_way(&mut self) -> Option<ClassId> {
        if self.budget.is_over() { self.due.pop_next() } else { None }
    }

    /// When one is ended at the latest.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due.next_ms()
    }
}
