//! One topic's past: a ring of events, and the last event of each key.
//!
//! Invariants: offsets in the ring are dense and ascending, stamps ascend; `last` and `keys` name the same events; `bytes` and
//! `last_bytes` are the sums of what the ring and `last` hold.

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

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: TopicName,
    pub(super) ring: VecDeque<Arc<Event>>,
    pub(super) bytes: usize,
    pub(super) evicted: Evicted,
    /// The last event of each key, by its stamp.
    pub(super) last: BTreeMap<u64, Arc<Event>>,
    keys: HashMap<Arc<str>, u64, foldhash::fast::RandomState>,
    pub(super) last_bytes: usize,
    /// The newest of the last events that had to go, though their keys were not deleted.
    pub(super) last_evicted: Evicted,
    /// The newest delete that is no longer held.
    pub(super) delete_evicted: Evicted,
}

impl Topic {
    pub(super) fn new(name: TopicName) -> Self {
        Self {
            name,
            ring: VecDeque::new(),
            bytes: 0,
            evicted: Evicted::default(),
            last: BTreeMap::new(),
            keys: HashMap::default(),
            last_bytes: 0,
            last_evicted: Evicted::default(),
            delete_evicted: Evicted::default(),
        }
    }

    /// Adds the newest event.
    pub(super) fn push(&mut self, event: &Arc<Event>) {
        debug_assert!(
            self.ring.back().is_none_or(|newest| newest.offset + 1 == event.offset),
            "offsets are dense"
        );
        self.bytes += event.weight_bytes();
        self.ring.push_back(Arc::clone(event));
        self.remember_last(event);
    }

    fn remember_last(&mut self, event: &Arc<Event>) {
        let before = if event.op == Op::Delete {
            self.keys.remove(&event.key)
        } else {
            self.keys.insert(Arc::clone(&event.key), event.time_us)
        };
        if let Some(gone) = before.and_then(|time_us| self.last.remove(&time_us)) {
            self.last_bytes -= gone.weight_bytes();
        }
        if event.op != Op::Delete {
            self.last_bytes += event.weight_bytes();
            self.last.insert(event.time_us, Arc::clone(event));
        }
    }

    /// Lets go of the oldest event of the ring; returns its bytes.
    pub(super) fn evict_oldest(&mut self) -> usize {
        let Some(oldest) = self.ring.pop_front() else { return 0 };
        self.evicted = Evicted { offset: oldest.offset, time_us: oldest.time_us };
        if oldest.op == Op::Delete {
            self.delete_evicted = self.evicted;
        }
        let bytes = oldest.weight_bytes();
        self.bytes -= bytes;
        if self.ring.len() * 4 < self.ring.capacity() {
            self.ring.shrink_to(self.ring.len() * 2);
        }
        bytes
    }

    /// Lets go of the key that has been unchanged the longest; returns its bytes.
    pub(super) fn evict_key(&mut self) -> usize {
        let Some((_, oldest)) = self.last.pop_first() else { return 0 };
        self.keys.remove(&oldest.key);
        self.last_evicted = Evicted { offset: oldest.offset, time_us: oldest.time_us };
        let bytes = oldest.weight_bytes();
        self.last_bytes -= bytes;
        bytes
    }

    /// Index in the ring of the first event stamped after `time_us`.
    pub(super) fn index_after_time(&self, time_us: u64) -> usize {
        self.ring.partition_point(|event| event.time_us <= time_us)
    }

    /// Index in the ring of the first event with an offset above `offset`.
    pub(super) fn index_after_offset(&self, offset: u64) -> usize {
        self.ring.partition_point(|event| event.offset <= offset)
    }

    /// The offset of its newest event, held or not.
    pub(super) fn newest_offset(&self) -> u64 {
        self.ring.back().map_or(self.evicted.offset, |newest| newest.offset)
    }

    /// Stamp of the oldest event held.
    pub(super) fn oldest_us(&self) -> Option<u64> {
        self.ring.front().map(|event| event.time_us)
    }

    pub(super) fn key_count(&self) -> usize {
        self.last.len()
    }
}
