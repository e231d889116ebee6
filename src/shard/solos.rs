//! Solo connections that are to be looked at, and what all of them may hold together.
//!
//! Invariant: in the queue stands who is not blocked and has something to be sent, once. Never sends anything.

use std::collections::VecDeque;
use std::rc::Rc;

use super::chunk::Scratch;
use super::codec::Codec;
use super::input::ConnId;
use crate::batch::Budget;
use crate::batch::Outbox;

/// Those who are not in step.
#[derive(Debug)]
pub(super) struct Solos {
    /// What their outboxes may hold together.
    outboxes: Rc<Budget>,
    /// Who subscribes to nothing, and so waits for one answer: it does not stand in line behind megabytes.
    askers: VecDeque<ConnId>,
    /// Subscribers, from now on.
    listeners: VecDeque<ConnId>,
    /// Subscribers whose turn it is: nothing new is fanned out before they have had it.
    round: VecDeque<ConnId>,
    /// Room for those whose outboxes an event finds full.
    full: Vec<ConnId>,
    scratch: Scratch,
}

impl Solos {
    /// Nobody yet; all outboxes share the budget.
    pub(super) fn new(outboxes: Rc<Budget>, codec: &Rc<Codec>) -> Self {
        Self {
            outboxes,
            askers: VecDeque::new(),
            listeners: VecDeque::new(),
            round: VecDeque::new(),
            full: Vec::new(),
            scratch: Scratch::new(codec),
        }
    }

    /// What all outboxes may hold together.
    pub(super) const fn outboxes(&self) -> &Rc<Budget> {
        &self.outboxes
    }

    /// An outbox within the budget.
    pub(super) fn outbox(&self) -> Outbox {
        Outbox::within(&self.outboxes)
    }

    /// Has a connection looked at that does not stand in the queue.
    pub(super) fn push(&mut self, id: ConnId, is_listener: bool) {
        if is_listener { &mut self.listeners } else { &mut self.askers }.push_back(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.askers.is_empty() && self.listeners.is_empty() && self.round.is_empty()
    }

    /// Whether subscribers whose turn it is are still to be looked at.
    pub(super) fn is_underway(&self) -> bool {
        !self.round.is_empty()
    }

    /// How many askers wait.
    pub(super) fn asker_count(&self) -> usize {
        self.askers.len()
    }

    pub(super) fn pop_asker(&mut self) -> Option<ConnId> {
        self.askers.pop_front()
    }

    /// Begins a round, if none is underway; how many subscribers have their turn in it.
    pub(super) fn begin_round(&mut self) -> usize {
        if self.round.is_empty() {
            std::mem::swap(&mut self.round, &mut self.listeners);
        }
        self.round.len()
    }

    pub(super) fn pop_of_round(&mut self) -> Option<ConnId> {
        self.round.pop_front()
    }

    /// An empty list for those whose outboxes are full, which is to be put back.
    pub(super) fn take_full(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.full)
    }

    pub(super) fn put_back_full(&mut self, full: Vec<ConnId>) {
        self.full = full;
    }

    /// What chunks are made with, which is to be put back.
    pub(super) fn take_scratch(&mut self) -> Scratch {
        std::mem::take(&mut self.scratch)
    }

    pub(super) fn put_back_scratch(&mut self, scratch: Scratch) {
        self.scratch = scratch;
    }
}
