//! One topic's past: a ring of events, and the last event of each key.
//!
//! Invariants: offsets in the ring ascend, and each event names the one before it; stamps ascend; `last` and `keys` name the same events; each event of the ring knows how
//! far back the event of its key lies that was the last until it came; `bytes` is the sum of what the ring holds.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::Event;
use crate::event::Op;
use crate::event::TopicName;

/// The newest event that is no longer held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evicted {
    pub(super) offset: u64,
    pub(super) time_us: u64,
}

/// Which budget a topic itself is counted in: it lives as long as the greatest of what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicBudget {
    /// The topic has events.
    History,
    /// The topic has last events of keys, and no others.
    Last,
    /// The topic has nothing, and will be forgotten.
    Idle,
}

/// What is known of a topic that has nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    /// The newest event that is no longer held.
    pub(super) evicted: Evicted,
    /// The newest of the last events that had to go, though their keys were not deleted.
    pub(super) last_evicted: Evicted,
    /// The newest delete that is no longer held.
    pub(super) delete_evicted: Evicted,
    /// Offsets above the newest that may have been given to events which are lost; 0 once another was given.
    pub(super) ahead: u64,
}

impl Gone {
    /// Takes in what has gone of one topic: the latest of each kind by its stamp.
    pub(super) fn take(&mut self, other: Self) {
        let latest = |one: &mut Evicted, other: Evicted| {
            if other.time_us > one.time_us {
                *one = other;
            }
        };
        latest(&mut self.evicted, other.evicted);
        latest(&mut self.last_evicted, other.last_evicted);
        latest(&mut self.delete_evicted, other.delete_evicted);
    }
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) ring: VecDeque<Arc<Event>>,
    /// Of each event in the ring: how many offsets before it the last event of its key lies; 0: its key had none, or it is not known.
    back: VecDeque<u32>,
    pub(super) bytes: usize,
    pub(super) gone: Gone,
    /// The offset that it went on above when it was new or its end forgotten, if nothing is known of what it had before; else 0.
    pub(super) base: u64,
    /// The last event of each key, by its stamp.
    pub(super) last: BTreeMap<u64, Arc<Event>>,
    keys: HashMap<Arc<str>, u64, foldhash::fast::RandomState>,
    /// Which budget it is counted in now.
    pub(super) class: TopicBudget,
    /// The topic stands in the list of those that may be forgotten.
    pub(super) is_listed: bool,
}

/// Bytes of a topic that has nothing: its place, its entries in the tables of names, as full as they are at worst, and two in the orders of what has gone,
/// whose leaves are half full.
const TOPIC_BYTES: usize =
    size_of::<Topic>() + NAMES_BYTES + 4 * size_of::<Option<Box<Topic>>>() + 2 * GONE_BYTES;
/// Bytes of a stamp and a topic's number in a tree whose leaves are half full, as they are if stamps only grow.
const GONE_BYTES: usize = 36;
/// Bytes of a name in two tables, without its text.
pub(super) const NAMES_BYTES: usize = 20 * size_of::<usize>();
/// Bytes of an event in the ring and in the order of all, besides itself.
pub(super) const RING_EVENT_BYTES: usize = 7 * size_of::<usize>() + 2 * size_of::<u32>();
/// Bytes of a last event in its tree, among the keys and in the order of all, besides itself.
pub(super) const LAST_EVENT_BYTES: usize = 18 * size_of::<usize>();
/// Bytes of the smallest tree and table of keys.
pub(super) const LAST_TOPIC_BYTES: usize = 28 * size_of::<usize>();

impl Topic {
    /// A topic without events that goes on after what it had.
    pub(super) fn new(name: TopicName, gone: Gone, base: u64) -> Self {
        Self {
            name,
            ring: VecDeque::new(),
            back: VecDeque::new(),
            bytes: 0,
            gone,
            base,
            last: BTreeMap::new(),
            keys: HashMap::default(),
            class: TopicBudget::Idle,
            is_listed: false,
        }
    }

    /// Bytes of the topic itself, whatever it has.
    pub(super) fn weight_bytes(&self) -> usize {
        TOPIC_BYTES + self.name.as_str().len()
    }

    /// Which budget it belongs to.
    pub(super) fn class_now(&self) -> TopicBudget {
        match (self.ring.is_empty(), self.last.is_empty()) {
            (false, _) => TopicBudget::History,
            (true, false) => TopicBudget::Last,
            (true, true) => TopicBudget::Idle,
        }
    }

    /// The newest offset that was given.
    pub(super) fn newest_offset(&self) -> u64 {
        self.ring.back().map_or(self.gone.evicted.offset, |event| event.offset)
    }

    /// The greatest offset that may have been given.
    pub(super) fn ceiling(&self) -> u64 {
        self.newest_offset() + self.gone.ahead
    }

    /// Takes a last event of a key over from the store. Answers its bytes.
    pub(super) fn restore_last(&mut self, event: &Arc<Event>) -> usize {
        self.keys.insert(Arc::clone(&event.key), event.time_us);
        self.last.insert(event.time_us, Arc::clone(event));
        last_weight(event)
    }

    /// Adds the newest event. Answers the bytes of last events that came, and that went.
    pub(super) fn push(&mut self, event: &Arc<Event>) -> (usize, usize) {
        debug_assert!(
            self.newest_offset() == event.previous && event.previous < event.offset,
            "offsets ascend, and each event names the one before it"
        );
        self.gone.ahead = 0;
        self.bytes += ring_weight(event);
        self.ring.push_back(Arc::clone(event));
        let gone = self.remember_last(event);
        let back = gone.as_ref().map_or(0, |gone| event.offset - gone.offset);
        self.back.push_back(u32::try_from(back).unwrap_or(0));
        let came = if event.op == Op::Delete { 0 } else { last_weight(event) };
        (came, gone.map_or(0, |gone| last_weight(&gone)))
    }

    /// Answers the event that was the last of its key until now.
    fn remember_last(&mut self, event: &Arc<Event>) -> Option<Arc<Event>> {
        let before = if event.op == Op::Delete {
            self.keys.remove(&event.key)
        } else {
            self.keys.insert(Arc::clone(&event.key), event.time_us)
        };
        let gone = before.and_then(|time_us| self.last.remove(&time_us));
        if event.op != Op::Delete {
            self.last.insert(event.time_us, Arc::clone(event));
        }
        gone
    }

    /// The event that was the last of its key until the one at this place of the ring came, if the ring holds it still. It is no delete, so it has none
    /// before it itself.
    pub(super) fn before(&self, place: usize) -> Option<&Arc<Event>> {
        let back = u64::from(*self.back.get(place).filter(|back| **back > 0)?);
        let offset = self.ring.get(place)?.offset - back;
        self.ring.get(self.index_after_offset(offset - 1)).filter(|event| event.offset == offset)
    }

    /// The last event of a key, if it is held.
    pub(super) fn last_of(&self, key: &str) -> Option<Arc<Event>> {
        self.last.get(self.keys.get(key)?).map(Arc::clone)
    }

    /// Lets go of the oldest event of the ring; returns its bytes.
    pub(super) fn evict_oldest(&mut self) -> usize {
        let Some(oldest) = self.ring.pop_front() else { return 0 };
        self.back.pop_front();
        self.gone.evicted = Evicted { offset: oldest.offset, time_us: oldest.time_us };
        if oldest.op == Op::Delete {
            self.gone.delete_evicted = self.gone.evicted;
        }
        let bytes = ring_weight(&oldest);
        self.bytes -= bytes;
        if self.ring.len() * 4 < self.ring.capacity() {
            self.ring.shrink_to(self.ring.len() * 2);
            self.back.shrink_to(self.ring.len() * 2);
        }
        bytes
    }

    /// Lets go of the key that has been unchanged the longest; returns its bytes.
    pub(super) fn evict_key(&mut self) -> usize {
        let Some((_, oldest)) = self.last.pop_first() else { return 0 };
        self.keys.remove(&oldest.key);
        if self.keys.len() * 4 < self.keys.capacity() {
            self.keys.shrink_to(self.keys.len() * 2);
        }
        self.gone.last_evicted = Evicted { offset: oldest.offset, time_us: oldest.time_us };
        last_weight(&oldest)
    }

    /// Index in the ring of the first event stamped after `time_us`.
    pub(super) fn index_after_time(&self, time_us: u64) -> usize {
        self.ring.partition_point(|event| event.time_us <= time_us)
    }

    /// Index in the ring of the first event with an offset above `offset`.
    pub(super) fn index_after_offset(&self, offset: u64) -> usize {
        self.ring.partition_point(|event| event.offset <= offset)
    }

    /// Stamp of the oldest event held.
    pub(super) fn oldest_us(&self) -> Option<u64> {
        self.ring.front().map(|event| event.time_us)
    }

    /// Stamp of the oldest last event.
    pub(super) fn oldest_last_us(&self) -> Option<u64> {
        self.last.first_key_value().map(|(time_us, _)| *time_us)
    }

    pub(super) fn key_count(&self) -> usize {
        self.last.len()
    }
}

/// Bytes of an event in a ring.
pub(super) fn ring_weight(event: &Event) -> usize {
    event.weight_bytes() + RING_EVENT_BYTES
}

/// Bytes of an event as the last of its key.
fn last_weight(event: &Event) -> usize {
    event.weight_bytes() + LAST_EVENT_BYTES
}
