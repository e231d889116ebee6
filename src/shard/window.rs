//! What a client that acknowledges what it is sent has not acknowledged: its window.
//!
//! Invariants: a number is in flight once, and no more are than the client takes, nor more bytes than its share of what outboxes may hold: further messages
//! wait in its outbox. What is in flight is counted in their budget; of a session that goes on, what was in flight is sent again under its old numbers and
//! in its old order, before anything new is. Never sends anything, and knows no dialect.

use std::collections::VecDeque;
use std::sync::Arc;

use super::bookmark::Flying;
use super::bookmark::InFlight;
use crate::batch::Counted;
use crate::event::Event;
use crate::limits::WINDOW_BYTES_MAX;

/// Bytes of a number in flight, in a list with room for twice as many.
const FLYING_BYTES: usize = 2 * size_of::<Flying>();

/// Messages that a client has not acknowledged.
#[derive(Debug)]
pub(super) struct Window {
    /// How many may be.
    most: u16,
    /// The number that was given last.
    last: u16,
    flying: VecDeque<Flying>,
    /// How many of them, from the end, were not sent on this connection yet.
    unsent: usize,
    /// Numbers of messages that the client has, in the order in which it said so: they stay in use until it is done with them.
    received: VecDeque<u16>,
    counted: Counted,
    /// Messages with which the client was done by now, all of them together.
    pub(super) acknowledged_count: u32,
    /// Items of the outbox up to this number were looked at while the window was full, and must wait.
    pub(super) held_until: u64,
}

impl Window {
    /// For a client that takes so many.
    pub(super) fn new(most: u16, counted: Counted) -> Self {
        Self {
            most,
            last: 0,
            flying: VecDeque::new(),
            unsent: 0,
            received: VecDeque::new(),
            counted,
            acknowledged_count: 0,
            held_until: 0,
        }
    }

    /// The window of a session that goes on: all that is in flight is to be sent again.
    pub(super) fn resumed(most: u16, of: InFlight, counted: Counted) -> Self {
        let mut window = Self::new(most, counted);
        window.last = of.last;
        window.unsent = of.flying.len();
        let numbers = of.flying.len() + of.received.len();
        let events = of.flying.iter().map(|flying| flying.event.weight_bytes());
        window.counted.set(numbers * FLYING_BYTES + events.sum::<usize>());
        window.flying = of.flying.into();
        window.received = of.received.into();
        window
    }

    /// What is in flight, for whoever keeps it until the client comes back.
    pub(super) fn into_flight(self) -> InFlight {
        InFlight { last: self.last, flying: self.flying.into(), received: self.received.into() }
    }

    fn in_flight(&self) -> usize {
        self.flying.len() - self.unsent + self.received.len()
    }

    /// Whether nothing new may be sent that is to be acknowledged.
    pub(super) fn is_full(&self) -> bool {
        self.unsent > 0
            || self.in_flight() >= usize::from(self.most)
            || self.bytes() >= WINDOW_BYTES_MAX.min(self.counted.share())
    }

    /// Whether nothing at all may be sent that is to be acknowledged, new or again.
    pub(super) fn is_shut(&self) -> bool {
        self.in_flight() >= usize::from(self.most)
    }

    /// Bytes of what is in flight.
    pub(super) const fn bytes(&self) -> usize {
        self.counted.bytes()
    }

    /// Whether anything is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.flying.is_empty() && self.received.is_empty()
    }

    /// What is to be sent again next, if that may be.
    pub(super) fn again(&self) -> Option<&Flying> {
        let index = self.flying.len() - self.unsent;
        self.flying.get(index).filter(|_| !self.is_shut())
    }

    /// What was to be sent again next is.
    pub(super) const fn sent_again(&mut self) {
        self.unsent = self.unsent.saturating_sub(1);
    }

    fn is_in_use(&self, number: u16) -> bool {
        self.flying.iter().any(|flying| flying.number == number) || self.received.contains(&number)
    }

    /// Gives an event its number.
    pub(super) fn number(
        &mut self,
        event: &Arc<Event>,
        subs: u64,
        (qos, is_past): (u8, bool),
    ) -> u16 {
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            if !self.is_in_use(self.last) {
                break;
            }
        }
        self.counted.set(self.bytes() + FLYING_BYTES + event.weight_bytes());
        let (number, event) = (self.last, Arc::clone(event));
        self.flying.push_back(Flying { number, event, subs, qos, is_past });
        number
    }

    /// Takes a message out of those in flight; false: there is none of this number.
    fn take(&mut self, number: u16) -> bool {
        // Clients acknowledge in order, so it is the first nearly always.
        let Some(place) = self.flying.iter().position(|flying| flying.number == number) else {
            return false;
        };
        if place >= self.flying.len() - self.unsent {
            // Its client had it before it was sent again.
            self.unsent -= 1;
        }
        if let Some(flying) = self.flying.remove(place) {
            self.counted.set(self.bytes() - FLYING_BYTES - flying.event.weight_bytes());
        }
        true
    }

    /// The client has a message; its number stays in use until it says so. False: there is none.
    pub(super) fn received(&mut self, number: u16) -> bool {
        let is_taken = self.take(number);
        if is_taken {
            self.received.push_back(number);
            self.counted.set(self.bytes() + FLYING_BYTES);
        }
        is_taken || self.received.contains(&number)
    }

    /// The client is done with a message; true if others may have waited for that.
    pub(super) fn acknowledged(&mut self, number: u16) -> bool {
        // How many bytes it may hold depends on what others do, so it may have been full before.
        let was_full = self.is_full() || self.held_until > 0;
        if !self.take(number) {
            let Some(place) = self.received.iter().position(|of| *of == number) else {
                return false;
            };
            self.received.remove(place);
            self.counted.set(self.bytes() - FLYING_BYTES);
        }
        self.held_until = 0;
        self.acknowledged_count = self.acknowledged_count.wrapping_add(1);
        was_full
    }

    /// The quality of service with which an event is in flight to one of these subscriptions, if it is.
    pub(super) fn qos_in_flight(&self, event: &Arc<Event>, subs: u64) -> Option<u8> {
        let is_it = |of: &&Flying| Arc::ptr_eq(&of.event, event) && of.subs & subs != 0;
        self.flying.iter().find(is_it).map(|flying| flying.qos)
    }

    /// The event that is in flight under a number, and to which subscriptions.
    pub(super) fn in_flight_as(&self, number: u16) -> Option<(Arc<Event>, u64)> {
        let flying = self.flying.iter().find(|flying| flying.number == number);
        flying.map(|flying| (Arc::clone(&flying.event), flying.subs))
    }

    /// The events that are in flight.
    pub(super) fn events(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.flying.iter().map(|flying| &flying.event)
    }

    /// Whether something of it is to be told exactly once.
    pub(super) fn is_once(&self) -> bool {
        !self.received.is_empty() || self.flying.iter().any(|flying| flying.qos > 1)
    }

    /// Lowers a cursor to before what is in flight to these subscriptions; answers which of them are being told which states there are.
    pub(super) fn lower(&self, homes: &mut [u64], kept: u64) -> u64 {
        let mut told = 0;
        for Flying { event, subs, is_past, .. } in &self.flying {
            match homes.get_mut(event.home.index()).filter(|_| subs & kept != 0) {
                Some(_) if *is_past => told |= subs & kept,
                Some(at) => *at = event.time_us.saturating_sub(1).min(*at),
                None => {}
            }
        }
        told
    }

    /// Applies `change` to the set of subscriptions of everything that is in flight.
    pub(super) fn change_subs(&mut self, change: impl Fn(u64) -> u64) {
        for flying in &mut self.flying {
            flying.subs = change(flying.subs);
        }
    }
}

#[cfg(test)]
mod tests;
