//! Looking into an outbox, for those who ask why an event has not come.

use super::Item;
use super::Outbox;
use crate::event::Event;

impl Outbox {
    /// Events that wait, which subscriptions each is for, and whether it is told out of the order of its stamp.
    pub fn events(&self) -> impl Iterator<Item = (&Event, u64, bool)> {
        self.items.iter().flatten().filter_map(|waiting| match &waiting.item {
            Item::Event { event, subs } => Some((&**event, *subs, false)),
            Item::Past { event, subs } => Some((&**event, *subs, true)),
            _ => None,
        })
    }

    /// Whether the next item is something that the server says itself.
    #[must_use]
    pub fn is_answer_next(&self) -> bool {
        let next = self.items.front().and_then(Option::as_ref);
        next.is_some_and(|next| matches!(next.item, Item::Said { .. } | Item::Raw(_)))
    }
}
