//! Looking into an outbox, for those who ask why an event has not come.

use super::Item;
use super::Outbox;
use crate::event::Event;

impl Outbox {
    /// Events that wait in the order of their stamps, and which subscriptions each is for.
    pub fn events(&self) -> impl Iterator<Item = (&Event, u64)> {
        self.items.iter().flatten().filter_map(|waiting| match &waiting.item {
            Item::Event { event, subs } => Some((&**event, *subs)),
            _ => None,
        })
    }

    /// Whether the next item is something that the server says itself.
    #[must_use]
    pub fn is_answer_next(&self) -> bool {
        let next = self.items.front().and_then(Option::as_ref);
        next.is_some_and(|next| matches!(next.item, Item::Said { .. } | Item::Raw(_)))
    }

    /// Subscriptions for which states of the past wait, one bit each.
    #[must_use]
    pub fn past_subs(&self) -> u64 {
        self.items.iter().flatten().fold(0, |set, waiting| match &waiting.item {
            Item::Past { subs, .. } => set | subs,
            _ => set,
        })
    }

    /// Whether an event waits in it.
    #[must_use]
    pub fn holds(&self, wanted: &Event) -> bool {
        let is_it = |event: &Event| event.offset == wanted.offset && event.topic == wanted.topic;
        let mut events = self.items.iter().flatten().filter_map(|waiting| waiting.item.event());
        events.any(|(event, _)| is_it(event))
    }
}
