//! Looking into an outbox, for those who ask why an event has not come.

use super::Outbox;
use crate::event::Event;

impl Outbox {
    /// Whether an event waits in it.
    #[must_use]
    pub fn holds(&self, wanted: &Event) -> bool {
        let is_it = |event: &Event| event.offset == wanted.offset && event.topic == wanted.topic;
        let mut events = self.items.iter().flatten().filter_map(|waiting| waiting.item.event());
        events.any(|(event, _)| is_it(event))
    }
}
