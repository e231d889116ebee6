//! The place of an answer that is not known yet, before what comes meanwhile.
//!
//! Invariants: nothing behind a reserved place leaves before it is filled, and it is filled once; what comes behind it meets the outbox's bounds as ever. Never waits: whoever has reserved a
//! place fills it, or ends the connection.

use super::ITEM_BYTES;
use super::Item;
use super::Outbox;
use super::Waiting;

impl Outbox {
    /// Whether nothing may leave just now.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        let next = self.items.front().and_then(Option::as_ref);
        next.is_some_and(|waiting| matches!(waiting.item, Item::Reserved))
    }

    /// Puts an answer in its place, or behind everything else if none was kept for it; `None`: there is none, and nothing waits for it any more.
    pub fn fill(&mut self, answer: Option<Item>) {
        let is_reserved = |waiting: &Waiting| matches!(waiting.item, Item::Reserved);
        let place = self.items.iter().position(|slot| slot.as_ref().is_some_and(is_reserved));
        let slot = place.and_then(|place| self.items.get_mut(place));
        match (slot, answer) {
            (None, None) => {}
            (None, Some(answer)) => self.push(answer),
            (Some(slot), None) => {
                let waiting = slot.take();
                self.gone(waiting);
                self.drop_leading_holes();
            }
            (Some(slot), Some(answer)) => {
                let more_bytes = answer.weight_bytes() - ITEM_BYTES;
                *slot = Some(Waiting { item: answer, is_counted: true });
                self.bytes += more_bytes;
                self.answer_bytes += more_bytes;
                self.counted.take(more_bytes);
            }
        }
    }
}
