//! Which event of each key is its newest, by stamp alone: what `since: last` is read by, and what an index file says of its segment.
//!
//! Invariants: of every key that changed after `after_us` the newest stamp is known; `bytes <= bytes_max` after every call: at the bound the keys that have been unchanged the
//! longest are forgotten, an eighth of them at a time. A key that was deleted is remembered until its segment is closed. Never holds a payload.

use std::collections::HashMap;
use std::sync::Arc;

use super::bytes::Taker;
use super::bytes::put_run;
use super::bytes::put_varint;
use super::record::Part;
use crate::event::Op;
use crate::event::TopicName;
use crate::limits::KEY_BYTES_MAX;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// A key's newest event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Newest {
    time_us: u64,
    is_delete: bool,
}

/// The keys of a class.
#[derive(Debug, Default)]
pub struct Keys {
    topics: Map<TopicName, Map<Arc<str>, Newest>>,
    bytes: usize,
    bytes_max: usize,
    after_us: u64,
}

/// Bytes of a key in its table, as empty as that may be, and of its text's counts.
const KEY_BYTES: usize = 96;
/// What an index says instead of its keys, if whoever wrote it did not know them.
const NOT_KNOWN: u64 = u64::MAX;
/// Bytes of a topic's table.
const TOPIC_BYTES: usize = 256;

impl Keys {
    /// Of none yet; for no bytes: of none ever.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { topics: Map::default(), bytes: 0, bytes_max, after_us: 0 }
    }

    /// Of keys that changed after this moment everything is known; 0: of all.
    pub(super) const fn after_us(&self) -> u64 {
        self.after_us
    }

    /// Of keys that changed up to this moment not everything is known.
    pub(super) fn raise(&mut self, upto_us: u64) {
        self.after_us = self.after_us.max(upto_us);
    }

    /// Takes in an event; `own` makes its key one that may be kept.
    pub(super) fn note(
        &mut self,
        (topic, key): (&TopicName, &str),
        (op, time_us): (Op, u64),
        own: impl FnOnce() -> Arc<str>,
    ) {
        if self.bytes_max == 0 {
            return;
        }
        let newest = Newest { time_us, is_delete: op == Op::Delete };
        let keys = match self.topics.get_mut(topic) {
            Some(keys) => keys,
            None => {
                self.bytes += TOPIC_BYTES + topic.as_str().len();
                self.topics.entry(topic.clone()).or_default()
            }
        };
        match keys.get_mut(key) {
            Some(known) => {
                if known.time_us <= time_us {
                    *known = newest;
                }
            }
            None => {
                self.bytes += KEY_BYTES + key.len();
                keys.insert(own(), newest);
                if self.bytes > self.bytes_max {
                    self.shrink();
                }
            }
        }
    }

    /// Whether the event of this stamp is the newest of its key, and no delete.
    pub(super) fn is_last(&self, topic: &TopicName, key: &str, time_us: u64) -> bool {
        let newest = self.topics.get(topic).and_then(|keys| keys.get(key));
        newest.is_some_and(|newest| newest.time_us == time_us && !newest.is_delete)
    }

    /// The stamp of a key's newest event, and whether that deleted it; `None`: it is not known.
    pub(super) fn newest(&self, topic: &TopicName, key: &str) -> Option<(u64, bool)> {
        let newest = self.topics.get(topic)?.get(key)?;
        Some((newest.time_us, newest.is_delete))
    }

    /// Stamps of the newest events of all keys of topics for which `wants` is true, after a moment and up to another, ascending.
    pub(super) fn stamps(
        &self,
        (after_us, upto_us): (u64, u64),
        wants: impl Fn(&TopicName) -> bool,
    ) -> Vec<u64> {
        let topics = self.topics.iter().filter(|(topic, _)| wants(topic));
        let keys = topics.flat_map(|(_, keys)| keys.values());
        let keys = keys.filter(|newest| {
            !newest.is_delete && newest.time_us > after_us && newest.time_us <= upto_us
        });
        let mut stamps: Vec<u64> = keys.map(|newest| newest.time_us).collect();
        stamps.sort_unstable();
        stamps
    }

    /// Forgets deletes: they stand in the indexes of closed segments, and nothing older is looked for.
    pub(super) fn forget_deletes(&mut self) {
        self.keep(|newest| !newest.is_delete);
    }

    fn shrink(&mut self) {
        let mut stamps: Vec<u64> = self
            .topics
            .values()
            .flat_map(|keys| keys.values().map(|newest| newest.time_us))
            .collect();
        let eighth = stamps.len() / 8;
        let (_, oldest_us, _) = stamps.select_nth_unstable(eighth);
        let upto_us = *oldest_us;
        self.after_us = self.after_us.max(upto_us);
        self.keep(|newest| newest.time_us > upto_us);
    }

    fn keep(&mut self, stays: impl Fn(&Newest) -> bool) {
        let mut freed = 0;
        self.topics.retain(|topic, keys| {
            keys.retain(|key, newest| {
                let stays = stays(newest);
                freed += if stays { 0 } else { KEY_BYTES + key.len() };
                stays
            });
            freed += if keys.is_empty() { TOPIC_BYTES + topic.as_str().len() } else { 0 };
            !keys.is_empty()
        });
        self.bytes -= freed;
    }

    /// What an index says of the keys of these parts that changed at a moment or after it.
    pub(super) fn put(&self, out: &mut Vec<u8>, parts: &[Part], from_us: u64) {
        if self.bytes_max == 0 {
            return put_varint(out, NOT_KNOWN);
        }
        put_varint(out, if self.after_us >= from_us { self.after_us } else { 0 });
        for part in parts {
            let none = Map::default();
            let keys = self.topics.get(&part.topic).unwrap_or(&none);
            let mut keys: Vec<(&Arc<str>, &Newest)> =
                keys.iter().filter(|(_, newest)| newest.time_us >= from_us).collect();
            keys.sort_unstable_by_key(|(_, newest)| newest.time_us);
            put_varint(out, keys.len() as u64);
            let mut last_us = from_us;
            for (key, newest) in keys {
                put_varint(out, (newest.time_us - last_us) << 1 | u64::from(newest.is_delete));
                put_run(out, key.as_bytes());
                last_us = newest.time_us;
            }
        }
    }

    /// Takes in what an index says; `None`: it says nothing.
    pub(super) fn take(
        &mut self,
        taker: &mut Taker<'_>,
        parts: &[Part],
        from_us: u64,
    ) -> Option<()> {
        match taker.varint()? {
            NOT_KNOWN => return (self.bytes_max == 0).then_some(()),
            after_us => self.raise(after_us),
        }
        for part in parts {
            let mut time_us = from_us;
            for _ in 0..taker.varint()? {
                let said = taker.varint()?;
                time_us = time_us.checked_add(said >> 1)?;
                let op = if said & 1 == 1 { Op::Delete } else { Op::Upsert };
                let key = taker.text(KEY_BYTES_MAX)?;
                self.note((&part.topic, key), (op, time_us), || Arc::from(key));
            }
        }
        Some(())
    }
}
