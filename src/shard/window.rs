//! What a client that acknowledges what it is sent has not acknowledged: its window.
//!
//! Invariants: a number is in flight once, and no more are than the client takes, nor more bytes than its share of what outboxes may hold: further messages
//! wait in its outbox. What is in flight is counted in their budget. Never sends anything, and knows no dialect.

use std::collections::VecDeque;
use std::sync::Arc;

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
    counted: Counted,
    /// Items of the outbox up to this number were looked at while the window was full, and must wait.
    pub(super) held_until: u64,
}

/// One of them.
#[derive(Debug)]
struct Flying {
    number: u16,
    /// `None`: its client has it, and only the number is still in use.
    event: Option<Arc<Event>>,
}

impl Window {
    /// For a client that takes so many.
    pub(super) fn new(most: u16, counted: Counted) -> Self {
        Self { most, last: 0, flying: VecDeque::new(), counted, held_until: 0 }
    }

    /// Whether nothing more may be sent that is to be acknowledged.
    pub(super) fn is_full(&self) -> bool {
        self.flying.len() >= usize::from(self.most)
            || self.bytes() >= WINDOW_BYTES_MAX.min(self.counted.share())
    }

    /// Bytes of what is in flight.
    pub(super) const fn bytes(&self) -> usize {
        self.counted.bytes()
    }

    /// Whether anything is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.flying.is_empty()
    }

    /// Gives an event its number.
    pub(super) fn number(&mut self, event: &Arc<Event>) -> u16 {
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            if !self.flying.iter().any(|flying| flying.number == self.last) {
                break;
            }
        }
        self.counted.set(self.bytes() + FLYING_BYTES + event.weight_bytes());
        let event = Some(Arc::clone(event));
        self.flying.push_back(Flying { number: self.last, event });
        self.last
    }

    /// The client has a message; its number stays in use until it says so. False: there is none.
    pub(super) fn received(&mut self, number: u16) -> bool {
        let found = self.flying.iter_mut().find(|flying| flying.number == number);
        let Some(flying) = found else { return false };
        if let Some(event) = flying.event.take() {
            self.counted.set(self.bytes() - event.weight_bytes());
        }
        true
    }

    /// The client is done with a message; true if others may have waited for that.
    pub(super) fn acknowledged(&mut self, number: u16) -> bool {
        // How many bytes it may hold depends on what others do, so it may have been full before.
        let was_full = self.is_full() || self.held_until > 0;
        // Clients acknowledge in order, so it is the first nearly always.
        let Some(place) = self.flying.iter().position(|flying| flying.number == number) else {
            return false;
        };
        let event = self.flying.remove(place).and_then(|flying| flying.event);
        let freed = FLYING_BYTES + event.map_or(0, |event| event.weight_bytes());
        self.counted.set(self.bytes() - freed);
        self.held_until = 0;
        was_full
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Budget;
    use crate::dialect::testing::event;
    use crate::event::Op;

    #[test]
    fn a_number_is_given_again_only_when_it_is_free() {
        let budget = Budget::new(1 << 20);
        let mut window = Window::new(3, Counted::of(&budget));
        let event = Arc::new(event("t", "", Op::Event, "{}"));
        assert_eq!([1, 2, 3].map(|_| window.number(&event)), [1, 2, 3]);
        assert!(window.is_full());
        assert!(window.received(2) && !window.received(9));
        assert!(window.is_full(), "it is not done with");
        assert!(window.acknowledged(2) && !window.acknowledged(2));
        assert!(!window.acknowledged(1));
        window.last = u16::MAX - 1;
        assert_eq!(window.number(&event), u16::MAX);
        assert_eq!(window.number(&event), 1);
        assert!(window.acknowledged(3) && !window.acknowledged(1));
        assert!(!window.acknowledged(u16::MAX));
        assert_eq!(budget.held(), 0, "what is done with is held no longer");
        assert!(window.is_empty());
    }

    #[test]
    fn numbers_in_flight_are_passed_over() {
        let budget = Budget::new(1 << 20);
        let mut window = Window::new(4, Counted::of(&budget));
        let event = Arc::new(event("t", "", Op::Event, "{}"));
        assert_eq!(window.number(&event), 1);
        window.last = u16::MAX;
        assert_eq!(window.number(&event), 2);
    }
}
