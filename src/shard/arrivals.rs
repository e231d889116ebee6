//! What other parties say: what each message is about, and what of it waits to be fanned out: events and pages of the past, in their homes' order.
//!
//! Invariants: what waits is bounded in entries and in bytes, but for what one message brings; a shard that has no room for events takes no data from its inbox, and
//! as a home it refuses publishes. Pages have a part of their own: they take no room from what is new.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Shard;
use super::brake::Brake;
use super::hold::Handed;
use super::input::Mesh;
use super::input::PageAnswer;
use super::input::weight_of;
use super::names::Holding;
use super::operator::Operator;
use super::outlasting::Outlasting;
use super::session::Reply;
use super::sharing::Sharing;
use crate::clock::Now;
use crate::event::Event;
use crate::limits::ARRIVED_BYTES_MAX;
use crate::limits::ARRIVED_EVENTS_MAX;
use crate::limits::ARRIVED_PAGES_MAX;
use crate::limits::MESH_PAST_SHARE;

impl Shard {
    /// Takes in a message of another party.
    pub fn inbox(&mut self, message: Mesh, now: Now) {
        match message {
            Mesh::Events(events) => self.arrived.push_events(events),
            Mesh::Page(answer) => self.arrived.push_page(answer),
            Mesh::Publish(run) => self.publish_here(*run, now),
            Mesh::Published(answer) => self.home_answered(*answer, now),
            Mesh::Read(request) => self.read_here(request, now),
            Mesh::Enter(request) => self.enter_here(&request, now),
            Mesh::Entered { conn, result } => self.entered(conn, result, now),
            Mesh::Leave(address) => self.leave(address),
            Mesh::Claim { name, claimant } => Holding::at(self).claimed(name, claimant, now),
            Mesh::Named { conn, name, left } => self.rights.names.granted.push((conn, name, left)),
            Mesh::TakenOver(conn) => self.rights.names.taken_over.push(conn),
            Mesh::Released { name, address, left } => {
                Holding::at(self).released(&name, address, left, now);
            }
            Mesh::Keep { name, address, is_awaited, record } => {
                Outlasting::at(self).keep_here(&name, (address, is_awaited), record, now);
            }
            Mesh::Join { name, address, subscription, window } => {
                Sharing::at(self).join(&name, address, (subscription, window));
            }
            Mesh::Part { name, address, back } => {
                self.rights.groups.part(&name, address, back.into());
            }
            Mesh::Handed { conn, name, sub, event } => {
                Sharing::at(self).handed(conn, Handed { name, sub, event }, now);
            }
            Mesh::Done { name, address, back } => {
                self.rights.groups.done(&name, address, back);
            }
            Mesh::Kept { conn, is_kept } => self.rights.names.kept.push((conn, is_kept)),
            Mesh::Revoke(what) => self.rights.tokens.take_in_revocation(*what, now),
            // This shard fetches none.
            Mesh::KeysWanted => {}
            // This shard has no tables.
            Mesh::Tables(_) => {}
            Mesh::TablesSay { conn, answer } => {
                self.answered_outside(conn, &Reply::Table(&answer), now);
            }
            // This shard answers none.
            Mesh::Hook(_) => {}
            Mesh::HookSays { conn, answered } => {
                self.answered_outside(conn, &Reply::Hook(&answered), now);
            }
            Mesh::Told(told) => self.row_told(*told, now),
            // This shard is no store.
            Mesh::Store(_) => {}
            Mesh::StoreSays(answer) => self.store_said(answer, now),
            Mesh::Ask(ask) => self.grant(*ask, now),
            Mesh::Granted { conn, publisher, events } => {
                self.granted(conn, *publisher, events, now);
            }
            Mesh::Keys(verifier) => self.take_keys(verifier),
            Mesh::Interest(shard, interest) => self.intake.ingest.learn(shard, interest),
            Mesh::Inquire(asker, inquiry) => {
                Operator::at(self).asked(asker, &inquiry, now);
            }
            Mesh::Found { conn, findings } => {
                Operator::at(self).found(conn, *findings, now);
            }
            Mesh::AskTopics(asker, listing) => self.tell_topics(asker, &listing),
            Mesh::Topics { conn, topics } => self.topics_told(conn, topics, now),
        }
    }
}

/// Something that waits to be fanned out.
#[derive(Debug)]
pub(super) enum Arrived {
    Event(Arc<Event>),
    Page(Box<PageAnswer>),
}

/// All that waits to be fanned out, oldest first.
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
