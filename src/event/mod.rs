//! The noun: one thing that happened, as every other module sees it.
//!
//! Invariants: an `Event` is never changed once its home shard has stamped it; its payload is one JSON object in valid UTF-8,
//! checked once at ingest, and its text survives byte for byte. This module never does I/O and knows no dialect.

pub mod projection;

pub mod fields;

mod ack;

mod finder;

mod home;

mod meta;

pub mod interest;

pub mod json;

pub mod moment;

pub mod naming;

pub mod number;

pub mod opaque;

mod soften;

pub mod text;

pub mod topic;

mod trace;

use std::sync::Arc;

use bytes::Bytes;

use crate::limits::LARGE_BYTES;

pub use ack::Ack;
pub use fields::Fields;
pub use fields::PayloadError;
pub use home::HomeId;
pub use home::Homes;
pub use home::home_of;
pub use interest::Arrays;
pub use interest::FieldPath;
pub use interest::Interest;
pub use interest::Sought;
pub use meta::Meta;
pub use meta::Origin;
pub use naming::Naming;
pub use number::Number;
pub use projection::Projection;
pub use text::Payload;
pub use text::Text;
pub use topic::Mark;
pub use topic::TopicError;
pub use topic::TopicKey;
pub use topic::TopicName;
pub use topic::TopicPattern;
pub use trace::TRACE_BYTES;
pub use trace::TRACEPARENT;
pub use trace::TraceContext;

/// What an event says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// The payload is the key's new state.
    Upsert,
    /// An upsert of a key that was not there before: said by a table of a row that is new, never published. On the wire, and on disk, it is an upsert.
    Create,
    /// The key is gone.
    Delete,
    /// Something happened; no state is meant.
    Event,
    /// The key no longer passes a subscription's filter: said by the server, never published.
    Leave,
}

impl Op {
    /// The word for it on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upsert | Self::Create => "upsert",
            Self::Delete => "delete",
            Self::Event => "event",
            Self::Leave => "leave",
        }
    }

    /// The operation that a word names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "upsert" => Some(Self::Upsert),
            "delete" => Some(Self::Delete),
            "event" => Some(Self::Event),
            _ => None,
        }
    }
}

/// A shard, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard's index in a list of all shards.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// An event that has not yet been given its place: what a source or a client hands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub topic: TopicName,
    /// Empty: about nothing in particular. At most `KEY_BYTES_MAX` bytes.
    pub key: Arc<str>,
    pub op: Op,
    /// One JSON object, checked.
    pub payload: Bytes,
    /// What live filters read of the payload, found when it was checked. Default: nothing was looked for.
    pub fields: Fields,
    /// When the publisher is told that it was taken.
    pub ack: Ack,
    /// What the publisher says of it besides.
    pub meta: Option<Arc<Meta>>,
}

impl Draft {
    /// Bytes that this draft keeps alive, for budgets: its payload, fields, key and the struct itself.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let meta_bytes = self.meta.as_ref().map_or(0, |meta| meta.weight_bytes());
        self.payload.len()
            + self.key.len()
            + self.fields.weight_bytes()
            + size_of::<Self>()
            + meta_bytes
    }

    /// Bytes that it holds by itself, its topic's name among them.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.weight_bytes() + self.topic.as_str().len()
    }
}

impl Draft {
    /// The event that it would be at its home, at a moment in microseconds since 1970; it has no place there.
    #[must_use]
    pub fn without_place(self, home: HomeId, time_us: u64) -> Event {
        let Self { topic, key, op, payload, fields, ack: _, meta } = self;
        let (offset, previous, before) = (0, 0, None);
        Event { topic, key, op, home, offset, previous, time_us, payload, fields, before, meta }
    }
}

/// An event with its place in its topic. Shared between cores as `Arc<Event>`, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub topic: TopicName,
    /// Empty: about nothing in particular.
    pub key: Arc<str>,
    pub op: Op,
    /// Who ordered it.
    pub home: HomeId,
    /// Ascends over the topic's events. Those given here count them; those that another system gave may have holes.
    pub offset: u64,
    /// The offset of the topic's event before it; 0: there was none. Nothing happened between the two, whatever their difference.
    pub previous: u64,
    /// When the event was ordered: microseconds since 1970-01-01 UTC, strictly ascending per home shard.
    pub time_us: u64,
    /// One JSON object, exactly as it was published.
    pub payload: Bytes,
    /// What live filters read of the payload, found when it was checked. Default: nothing was looked for.
    pub fields: Fields,
    /// Of a delete, and of an event of the past that is the first news of its key for a reader that comes back: the last event of its key before it,
    /// where its home shard knows it, so that those who could see the key may know that it is gone. That event has none of its own.
    pub before: Option<Arc<Self>>,
    /// What the publisher has said of it besides.
    pub meta: Option<Arc<Meta>>,
}

impl Event {
    /// The key that it is about, which is one of its topic alone.
    #[must_use]
    pub fn topic_key(&self) -> TopicKey {
        (self.topic.clone(), Arc::clone(&self.key))
    }

    /// Who published it, as a hash; 0: nobody said so.
    #[must_use]
    pub fn publisher(&self) -> u64 {
        self.meta.as_ref().map_or(0, |meta| meta.publisher)
    }

    /// Which request of its publisher's the event belongs to, if that was said.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.meta.as_ref()?.trace
    }

    /// Whether the event's time was over at a moment, in microseconds since 1970.
    #[must_use]
    pub fn is_expired(&self, now_us: u64) -> bool {
        self.meta.as_ref().and_then(|meta| meta.left_s(self.time_us, now_us)) == Some(0)
    }

    /// Whether the event is sent in pieces, so that its payload lies in memory once however many are owed it.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.payload.len() >= LARGE_BYTES
    }

    /// Bytes that this event keeps alive, for budgets: its payload, fields, key and the struct itself, and the event before it. Its topic's
    /// name is shared.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let before_bytes = self.before.as_ref().map_or(0, |before| before.weight_bytes());
        let meta_bytes = self.meta.as_ref().map_or(0, |meta| meta.weight_bytes());
        before_bytes
            + meta_bytes
            + self.payload.len()
            + self.key.len()
            + self.fields.weight_bytes()
            + size_of::<Self>()
            + WEIGHT_COUNTS_BYTES
    }
}

/// Bytes of the counts of those who hold an event, and who hold its key.
const WEIGHT_COUNTS_BYTES: usize = 4 * size_of::<usize>();
