//! Keys that are remembered of a subscription, and events that are held by their keys: weighed as they come and go.
//!
//! Invariant: `bytes` is the sum of what is held, each with its place in the tables as empty as they may be.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use crate::event::Event;
use crate::event::TopicKey;
use crate::limits::SHAPED_KEY_BYTES;

fn weight_of(key: &TopicKey) -> usize {
    SHAPED_KEY_BYTES + key.0.as_str().len() + key.1.len()
}

/// A set of keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    set: HashSet<TopicKey, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Keys {
    /// False: it was there already.
    pub(super) fn insert(&mut self, key: TopicKey) -> bool {
        let weight = weight_of(&key);
        let is_new = self.set.insert(key);
        self.bytes += if is_new { weight } else { 0 };
        is_new
    }

    /// False: it was not there.
    pub(super) fn remove(&mut self, key: &TopicKey) -> bool {
        let was_there = self.set.remove(key);
        self.bytes -= if was_there { weight_of(key) } else { 0 };
        was_there
    }

    pub(super) fn contains(&self, key: &TopicKey) -> bool {
        self.set.contains(key)
    }

    pub(super) fn len(&self) -> usize {
        self.set.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl IntoIterator for Keys {
    type Item = TopicKey;
    type IntoIter = std::collections::hash_set::IntoIter<TopicKey>;

    fn into_iter(self) -> Self::IntoIter {
        self.set.into_iter()
    }
}

/// The event that is held of each key.
#[derive(Debug, Default)]
pub(super) struct HeldEvents {
    by_key: HashMap<TopicKey, Arc<Event>, foldhash::fast::RandomState>,
    bytes: usize,
}

impl HeldEvents {
    /// In the place of the one that is held of the key, if there is one.
    pub(super) fn insert(&mut self, key: TopicKey, event: Arc<Event>) {
        self.bytes += weight_of(&key) + event.weight_bytes();
        let weight = weight_of(&key);
        if let Some(former) = self.by_key.insert(key, event) {
            self.bytes -= weight + former.weight_bytes();
        }
    }

    pub(super) fn remove(&mut self, key: &TopicKey) {
        if let Some(event) = self.by_key.remove(key) {
            self.bytes -= weight_of(key) + event.weight_bytes();
        }
    }

    pub(super) fn contains(&self, key: &TopicKey) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.by_key.values()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl IntoIterator for HeldEvents {
    type Item = (TopicKey, Arc<Event>);
    type IntoIter = std::collections::hash_map::IntoIter<TopicKey, Arc<Event>>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_key.into_iter()
    }
}
