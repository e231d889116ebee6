//! The place of an answer that is not known yet, before what comes meanwhile.
//!
//! Invariants: nothing behind a reserved place leaves before it is filled, and it is filled once; what comes behind it meets the outbox's bounds as ever. Never waits: whoever has reserved a
//! place fills it, or ends the connection.

use super::ITEM_BYTES;
use super::Item;
use super::Outbox;

impl Outbox {
    /// Keeps the next place for an answer.
    pub fn reserve(&mut self) {
        self.push(Item::Reserved);
    }

    /// Whether nothing may leave just now.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        let next = self.items.front().and_then(Option::as_ref);
        next.is_some_and(|waiting| matches!(waiting.item, Item::Reserved))
    }

    /// Puts an answer in its place; behind everything else if none was kept for it.
    pub fn fill(&mut self, answer: Item) {
        let mut places = self.items.iter_mut().flatten();
        let place = places.find(|waiting| matches!(waiting.item, Item::Reserved));
        let Some(place) = place.filter(|_| answer.is_answer()) else { return self.push(answer) };
        let more_bytes = answer.weight_bytes() - ITEM_BYTES;
        place.item = answer;
        self.bytes += more_bytes;
        self.answer_bytes += more_bytes;
        self.counted.take(more_bytes);
    }
}
