//! What happened before you subscribed: memory holds the newest part of it, and a store may stand behind that.
//!
//! Invariants: a gap is an answer, not an error; a page is in the order in which its home stamped its events. Never does I/O itself: what memory has let
//! go of is asked of the store ([`asks`]), which answers later, as an input of the shard.

pub mod asks;
pub mod keeper;
pub mod log;
mod memory;
mod merge;
mod older;
mod page;
mod topic;
mod topics;

use std::sync::Arc;

pub use memory::Memory;

use crate::event::Event;
use crate::event::Mark;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::position::Gap;

/// How much of a topic is kept, and how much of all topics together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events of one topic; the oldest go first.
    pub topic_events_max: usize,
    /// Bytes of one topic's events.
    pub topic_bytes_max: usize,
    /// Age of an event, in microseconds.
    pub age_us_max: u64,
    /// Keys of one topic whose last event is kept; the longest unchanged go first.
    pub topic_keys_max: usize,
    /// Bytes of all topics' events together, in this shard: its share of the process's budget.
    pub bytes_max: usize,
    /// Bytes of all topics' last events per key together, in this shard.
    pub last_bytes_max: usize,
    /// Bytes of topics that have nothing, and of what is remembered of those that were forgotten, in this shard.
    pub topics_bytes_max: usize,
}

/// What a subscriber wants to be told of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub topics: Vec<TopicPattern>,
    pub start: Start,
    /// Only events stamped after this moment: where the page before this one ended, or 0.
    pub after_us: u64,
    /// Bytes after which a page ends; one event or step it takes in any case.
    pub page_bytes: usize,
    /// Whether the first event of each key comes with the one before it (`Event::before`), if the reader may have had that and it is held.
    pub with_before: bool,
}

impl Start {
    /// Whether a reader that goes on from a position may have had this event.
    #[must_use]
    pub fn is_before(&self, event: &Event) -> bool {
        match self {
            Self::AfterTime { time_us, .. } => event.time_us <= *time_us,
            Self::AfterOffsets { offsets, others_us } => {
                match offsets.binary_search_by(|(topic, _)| topic.cmp(&event.topic)) {
                    Ok(place) => event.offset <= offsets[place].1,
                    Err(_) => others_us.is_some_and(|time_us| event.time_us <= time_us),
                }
            }
            _ => false,
        }
    }
}

/// Where reading begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// After the newest event: nothing of the past, only where the present begins.
    Now,
    Earliest,
    /// The last event of each key.
    Last {
        /// On every page but the first: when the first was read. What was deleted after it may be of a key that was told already, and is told, too.
        deleted_after_us: Option<u64>,
    },
    /// The last event of each key, of those stamped up to a moment.
    Snapshot {
        up_to_us: u64,
    },
    /// The last so many events of each topic.
    Tail {
        count: u32,
        /// On every page but the first: when the first was read. What came after it is told, too, and pushes nothing out. On the first: 0.
        counted_us: u64,
    },
    /// Events stamped after this moment.
    AfterTime {
        time_us: u64,
        /// What the reader has had of one topic: where a gap of it begins.
        mark: Option<Mark>,
    },
    /// Events after the offset of each topic named; of all others those stamped after `others_us`, or none.
    AfterOffsets {
        /// In the order of the names. Of a topic that nothing is known of any more `others_us` holds.
        offsets: Arc<[(TopicName, u64)]>,
        others_us: Option<u64>,
    },
    /// The position was of another epoch: everything that is held, and a gap for each topic named.
    OtherEpoch {
        topics: Vec<TopicName>,
    },
}

/// A part of the past, in the order of the stamps.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Events that are not coming; each stands before the events of its topic.
    pub gaps: Vec<Gap>,
    /// Events that are not coming either, each with the stamp of the newest of them: told where that one would have stood. Ascending.
    pub late_gaps: Vec<(u64, Gap)>,
    pub events: Vec<Arc<Event>>,
    /// Ask again after this moment; `None`: the present begins here. A page may end early, even without any event, if there was much to look at.
    pub more_after_us: Option<u64>,
    /// Events, keys and topics that were looked at for it.
    pub work: usize,
}

/// What memory holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub events: u64,
    pub bytes: u64,
    pub keys: u64,
    /// Bytes of topics that have nothing or were forgotten.
    pub topics_bytes: u64,
}

impl Held {
    /// What two of them hold together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            bytes: self.bytes + other.bytes,
            keys: self.keys + other.keys,
            topics_bytes: self.topics_bytes + other.topics_bytes,
        }
    }
}
