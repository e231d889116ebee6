//! Solo connections that are to be looked at, and what all of them may hold together.
//!
//! Invariant: in the queue stands who is not blocked and has something to be sent, once. Never sends anything.

use std::collections::VecDeque;
use std::rc::Rc;

use super::chunk::ChunkBuffers;
use super::codec::Codec;
use super::input::ConnId;
use super::solo::Solo;
use crate::batch::Budget;
use crate::batch::Outbox;
use crate::clock::Now;
use crate::limits::OUTBOXES_RELIEF_MS;

/// The connections that are not in step, and whom of them to look at.
#[derive(Debug)]
pub(super) struct Solos {
    /// The budget of all outboxes together.
    outboxes: Rc<Budget>,
    /// Who subscribes to nothing, and so waits for one answer: it does not stand in line behind megabytes.
    askers: VecDeque<ConnId>,
    /// Subscribers, from now on.
    subscribers: VecDeque<ConnId>,
    /// Subscribers whose turn it is: nothing new is fanned out before they have had it.
    round: VecDeque<ConnId>,
    /// Subscribers for whom only the past waits: what is new does not wait for them.
    past: VecDeque<ConnId>,
    /// When there was nobody to give way: in milliseconds since the start, when to look again.
    relief_ms: u64,
    /// Room for those whose outboxes an event finds full.
    full: Vec<ConnId>,
    buffers: ChunkBuffers,
}

impl Solos {
    /// Nobody yet; all outboxes share the budget.
    pub(super) fn new(outboxes: Rc<Budget>, codec: &Rc<Codec>) -> Self {
        Self {
            outboxes,
            askers: VecDeque::new(),
            subscribers: VecDeque::new(),
            round: VecDeque::new(),
            past: VecDeque::new(),
            relief_ms: 0,
            full: Vec::new(),
            buffers: ChunkBuffers::new(codec),
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

    /// Whether all hold more than they may, and those who are to give way should be looked for.
    pub(super) fn wants_relief(&self, now: Now) -> bool {
        self.outboxes.is_over() && now.mono_ms >= self.relief_ms
    }

    /// Nobody was found who had to give way, or not enough: so it need not be looked again at once.
    pub(super) const fn put_relief_off(&mut self, now: Now) {
        self.relief_ms = now.mono_ms + OUTBOXES_RELIEF_MS;
    }

    /// Has a connection looked at, unless it stands in the queue or cannot take anything.
    pub(super) fn mark(&mut self, id: ConnId, solo: &mut Solo, is_subscriber: bool) {
        if solo.dirty || solo.blocked {
            return;
        }
        if is_subscriber && solo.is_told_past() {
            if !std::mem::replace(&mut solo.is_past_due, true) {
                self.past.push_back(id);
            }
            return;
        }
        solo.dirty = true;
        self.push(id, is_subscriber);
    }

    /// Has a connection looked at that does not stand in the queue.
    pub(super) fn push(&mut self, id: ConnId, is_subscriber: bool) {
        if is_subscriber { &mut self.subscribers } else { &mut self.askers }.push_back(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.askers.is_empty()
            && self.subscribers.is_empty()
            && self.round.is_empty()
            && self.past.is_empty()
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
            std::mem::swap(&mut self.round, &mut self.subscribers);
        }
        self.round.len()
    }

    pub(super) fn pop_of_round(&mut self) -> Option<ConnId> {
        self.round.pop_front()
    }

    /// How many wait for whom there is only something of the past.
    pub(super) fn past_count(&self) -> usize {
        self.past.len()
    }

    pub(super) fn pop_past(&mut self) -> Option<ConnId> {
        self.past.pop_front()
    }

    /// An empty list for those whose outboxes are full, which is to be put back.
    pub(super) fn take_full(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.full)
    }

    pub(super) fn put_back_full(&mut self, full: Vec<ConnId>) {
        self.full = full;
    }

    /// What chunks are made with, which is to be put back.
    pub(super) fn take_buffers(&mut self) -> ChunkBuffers {
        std::mem::take(&mut self.buffers)
    }

    pub(super) fn put_back_buffers(&mut self, mut buffers: ChunkBuffers) {
        buffers.end();
        self.buffers = buffers;
    }
}
