//! Items that go while others before them have to stay.
//!
//! Invariant: an item that has to stay is looked at once for as long as it has to. Never decides which those are.

use std::sync::Arc;

use super::Item;
use super::Outbox;
use crate::batch::Counted;
use crate::event::Event;

impl Outbox {
    /// Takes the first item that may go while others have to stay; those up to the number `looked` are known to have to.
    pub fn pop_passing(&mut self, looked: &mut u64, may: impl Fn(&Item) -> bool) -> Option<Item> {
        let from = usize::try_from(looked.saturating_sub(self.left)).unwrap_or(usize::MAX);
        for index in from..self.items.len() {
            let Some(waiting) = &self.items[index] else { continue };
            if matches!(waiting.item, Item::Reserved) {
                *looked = self.left + index as u64;
                return None;
            }
            if may(&waiting.item) {
                *looked = self.left + index as u64;
                let waiting = self.items[index].take();
                let item = self.gone(waiting);
                self.drop_leading_holes();
                return item;
            }
        }
        *looked = self.end();
        None
    }

    /// Takes the next item for those of its subscriptions that are told it in one message, and leaves it to the others.
    pub fn pop_part(&mut self, part: impl FnOnce(&Arc<Event>, u64) -> u64) -> Option<Item> {
        let next = self.items.front_mut().and_then(Option::as_mut);
        if let Some(waiting) = next
            && let Some((event, subs)) = waiting.item.event()
        {
            let first = part(event, subs) & subs;
            if first != subs && first != 0 {
                let mut item = waiting.item.clone();
                item.set(first);
                waiting.item.set(subs & !first);
                return Some(item);
            }
        }
        self.pop()
    }

    /// The number of the item that comes next.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.left + self.items.len() as u64
    }

    /// Another share of the same budget, for what has left it and is held all the same.
    #[must_use]
    pub fn share(&self) -> Counted {
        self.counted.alike()
    }
}
