//! Looking into an outbox, for those who ask why an event has not come.

use super::Item;
use super::Outbox;
use crate::event::Event;

impl Outbox {
    /// Whether an event waits in it.
    #[must_use]
    pub fn holds(&self, wanted: &Event) -> bool {
        self.items.iter().flatten().any(|waiting| match &waiting.item {
            Item::Event { event, .. } | Item::Past { event, .. } => {
                event.offset == wanted.offset && event.topic == wanted.topic
            }
            Item::Said { .. } | Item::Reached { .. } | Item::Raw(_) | Item::Reserved => false,
        })
    }
}
