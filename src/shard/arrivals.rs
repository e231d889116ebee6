//! What has arrived from home shards, in their order, and waits to be fanned out: events, and pages of the past.
//!
//! Invariants: bounded in entries and in bytes, but for what one message brings; a shard that has no room for events takes no data from its inbox, and
//! as a home it refuses publishes. Pages have a part of their own: they take no room from what is new.

use std::collections::VecDeque;
use std::sync::Arc;

use super::brake::Brake;
use super::input::PageAnswer;
use super::input::weight_of;
use crate::event::Event;
use crate::limits::ARRIVED_BYTES_MAX;
use crate::limits::ARRIVED_EVENTS_MAX;
use crate::limits::ARRIVED_PAGES_MAX;
use crate::limits::MESH_PAST_SHARE;

/// One entry.
#[derive(Debug)]
pub(super) enum Arrived {
    Event(Arc<Event>),
    Page(Box<PageAnswer>),
}

/// All of them.
#[derive(Debug)]
pub(super) struct Arrivals {
    queue: VecDeque<Arrived>,
    /// Entries that are pages, and bytes of these and of the events.
    pages: usize,
    page_bytes: usize,
    event_bytes: usize,
    bytes_max: usize,
    /// Entries that had arrived when the round began and are not fanned out.
    round: usize,
    /// Whether it waits although there is time for it.
    pub(super) brake: Brake,
}

impl Arrivals {
    /// None yet; at most so many bytes, and `ARRIVED_BYTES_MAX`.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            pages: 0,
            page_bytes: 0,
            event_bytes: 0,
            bytes_max: bytes_max.min(ARRIVED_BYTES_MAX),
            round: 0,
            brake: Brake::default(),
        }
    }

    /// Events of one home, in its order.
    pub(super) fn push_events(&mut self, events: impl IntoIterator<Item = Arc<Event>>) {
        for event in events {
            self.event_bytes += event.weight_bytes();
            self.queue.push_back(Arrived::Event(event));
        }
    }

    pub(super) fn push_page(&mut self, answer: Box<PageAnswer>) {
        self.pages += 1;
        self.page_bytes += weight_of(&answer.page.events);
        self.queue.push_back(Arrived::Page(answer));
    }

    /// A round begins, of what has arrived.
    pub(super) fn begin_round(&mut self) {
        self.round = self.queue.len();
    }

    /// The round is over; it may leave entries for the next one.
    pub(super) fn end_round(&mut self) {
        self.brake.leaves_events = std::mem::take(&mut self.round) > 0;
    }

    /// Whether something waits that may be fanned out.
    pub(super) fn has_next(&self) -> bool {
        !self.is_empty() && !self.brake.is_on()
    }

    /// Whether a round has entries left.
    pub(super) const fn is_in_round(&self) -> bool {
        self.round > 0
    }

    /// The next entry of the round.
    pub(super) fn pop_of_round(&mut self) -> Option<Arrived> {
        self.round = self.round.checked_sub(1)?;
        self.pop()
    }

    /// The oldest entry.
    fn pop(&mut self) -> Option<Arrived> {
        let arrived = self.queue.pop_front()?;
        match &arrived {
            Arrived::Event(event) => self.event_bytes -= event.weight_bytes(),
            Arrived::Page(answer) => {
                self.pages -= 1;
                self.page_bytes -= weight_of(&answer.page.events);
            }
        }
        Some(arrived)
    }

    /// Whether events may come in.
    pub(super) fn has_room(&self) -> bool {
        let events = self.queue.len() - self.pages;
        events < ARRIVED_EVENTS_MAX && self.event_bytes < self.bytes_max - self.page_bytes_max()
    }

    /// Whether a page of the past may come in.
    pub(super) fn has_room_for_page(&self) -> bool {
        self.pages < ARRIVED_PAGES_MAX && self.page_bytes < self.page_bytes_max()
    }

    const fn page_bytes_max(&self) -> usize {
        self.bytes_max / MESH_PAST_SHARE
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}
