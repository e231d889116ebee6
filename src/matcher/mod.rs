//! Event -> the subscriptions that want it.
//!
//! Owned by one shard, so there is no lock in it. Never looks at a connection or a dialect.

use crate::event::Event;
use crate::event::TopicPattern;

/// One wish of the shard (a class's subscription), numbered densely by the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WishId(pub u32);

/// The wishes of one shard.
#[derive(Debug, Default)]
pub struct Matcher {
    wishes: Vec<(WishId, Vec<TopicPattern>)>,
}

impl Matcher {
    /// Adds a wish for events of any of `topics`. The id must be free.
    pub fn insert(&mut self, wish: WishId, topics: &[TopicPattern]) {
        self.wishes.push((wish, topics.to_vec()));
    }

    /// Forgets a wish; an unknown id is a fault of the caller.
    pub fn remove(&mut self, wish: WishId) {
        self.wishes.retain(|(id, _)| *id != wish);
    }

    /// Appends to `out` every wish that wants `event`, each once, in no particular order.
    pub fn matches(&mut self, event: &Event, out: &mut Vec<WishId>) {
        for (wish, topics) in &self.wishes {
            if topics.iter().any(|pattern| pattern.matches(&event.topic)) {
                out.push(*wish);
            }
        }
    }
}
