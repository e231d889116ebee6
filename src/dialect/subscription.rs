//! What a subscriber asks for, and how a running subscription is changed.
//!
//! Invariant: two subscriptions that are equal are told the same, byte for byte. Never says where a subscription begins.

use std::hash::Hash;
use std::hash::Hasher;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::batch::Slow;
use crate::dialect::DialectId;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::event::Event;
use crate::event::Projection;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::matcher::Filter;

/// A subscription's name as its subscriber chose it, in the dialect's own notation (native: its JSON text).
pub type SubId = Arc<str>;

/// What a subscriber asks for: part of what makes two connections alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Subscription {
    pub id: SubId,
    pub topics: Vec<TopicPattern>,
    /// Only events that pass.
    pub filter: Option<Filter>,
    pub batch: Option<Batch>,
    pub slow: Slow,
    pub max_rate: Option<MaxRate>,
    /// Only these members of the payload are sent.
    pub fields: Option<Arc<Projection>>,
    /// A key that passed the filter and no longer does is announced once.
    pub leave: bool,
    /// It is told which request of its publisher's an event belongs to, where that is known and its dialect has a word for it.
    pub trace: bool,
    /// What the subscriber wants of each message, in a dialect that tells events in packets.
    pub delivery: Delivery,
    /// The dialect in which it is told events, where that is not its connection's; of the same protocol. Subscriptions that share a message and differ in it are
    /// told in their connection's.
    pub told_in: Option<DialectId>,
    /// Topics that events are told of by their places in this list, as the subscriber was told when the subscription began; what confines it takes none away.
    pub numbered: Arc<[TopicName]>,
    /// What the subscriber's tokens force on the subscription, besides what `filter` says of them.
    pub forced: Forced,
    /// What all share who share the subscription: of those one is told each event. Then `topics` is empty, so that no matcher finds the subscription.
    pub share: Option<Arc<Share>>,
}

/// What is shared: topics, in the place of those of a subscription that is its subscriber's alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Share {
    pub topics: Vec<TopicPattern>,
}

/// What a subscriber wants of each message, where events are told in packets. The default is what all others want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// The highest quality of service: 0, 1 or 2.
    pub qos: u8,
    /// Whether the subscriber is told of each event that it was published to be retained.
    pub retain_as_published: bool,
    /// What the subscriber calls the subscription, to be said with each of its events.
    pub number: Option<NonZeroU32>,
    /// Events that who is known by this hash has published are not for it; 0: it is for everybody's.
    pub without: u64,
    /// Bytes of the largest message that it takes; 0: it takes any. What is larger is passed over.
    pub bytes_max: u32,
}

/// Filters that tokens force on a subscription, all of which hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Forced {
    /// Sorted by their texts, each once.
    pub filters: Arc<[Filter]>,
    /// Whether the subscription's filter holds them too, but for deletes: then only those have to be looked at again.
    pub is_joined: bool,
}

/// Bytes of a subscription, of its class and of what finds it in an index, without its topics, fields and filter.
const SUBSCRIPTION_BYTES: usize = 768;
/// Bytes of one of its topics: in itself, and in the index.
const WISHED_TOPIC_BYTES: usize = 640;

impl Subscription {
    /// The topics that it is of, shared or not.
    pub fn patterns(&self) -> impl Iterator<Item = &TopicPattern> {
        self.topics.iter().chain(self.share.iter().flat_map(|share| &share.topics))
    }

    /// Bytes that it takes in a shard, with what finds it there.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let topic = |topic: &TopicPattern| WISHED_TOPIC_BYTES + 2 * topic.as_str().len();
        SUBSCRIPTION_BYTES
            + self.id.len()
            + self.patterns().map(topic).sum::<usize>()
            + self.filter.as_ref().map_or(0, Filter::weight_bytes)
            + self.fields.as_ref().map_or(0, |fields| fields.weight_bytes())
            + size_of_val(&*self.numbered)
    }
}

/// What is to be changed of a running subscription; `None`: it stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Change {
    pub filter: Option<Option<Filter>>,
    pub batch: Option<Option<Batch>>,
    pub slow: Option<Slow>,
    pub max_rate: Option<Option<MaxRate>>,
    pub fields: Option<Option<Arc<Projection>>>,
    pub leave: Option<bool>,
    pub trace: Option<bool>,
}

impl Change {
    /// The subscription as it is from here on.
    ///
    /// # Errors
    /// If what it asks for does not go together.
    pub fn apply(self, running: &Subscription) -> Result<Subscription, Refusal> {
        // A new filter holds nothing of what is forced until it is confined.
        let is_joined = self.filter.is_none() && running.forced.is_joined;
        let changed = Subscription {
            id: Arc::clone(&running.id),
            topics: running.topics.clone(),
            filter: self.filter.unwrap_or_else(|| running.filter.clone()),
            batch: self.batch.unwrap_or(running.batch),
            slow: self.slow.unwrap_or(running.slow),
            max_rate: self.max_rate.unwrap_or(running.max_rate),
            fields: self.fields.unwrap_or_else(|| running.fields.clone()),
            leave: self.leave.unwrap_or(running.leave),
            trace: self.trace.unwrap_or(running.trace),
            delivery: running.delivery,
            told_in: running.told_in,
            numbered: Arc::clone(&running.numbered),
            share: running.share.clone(),
            forced: Forced { is_joined, ..running.forced.clone() },
        };
        changed.check()?;
        Ok(changed)
    }
}

impl Subscription {
    /// Whether what it asks for goes together.
    ///
    /// # Errors
    /// The member that needs another.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.leave && self.filter.is_none() {
            return Err(Refusal::of(
                RefusalCode::BadField,
                "leave",
                "`leave` needs a `filter`: without one nothing stops matching",
            ));
        }
        Ok(())
    }

    /// The subscription under another id.
    #[must_use]
    pub fn called(&self, id: &SubId) -> Self {
        Self { id: Arc::clone(id), ..self.clone() }
    }

    /// Hashes what it asks for, whatever it is called.
    pub fn hash_but_id(&self, hasher: &mut impl Hasher) {
        let Self {
            id: _,
            topics,
            filter,
            batch,
            slow,
            max_rate,
            fields,
            leave,
            trace,
            delivery,
            told_in,
            numbered,
            forced,
            share,
        } = self;
        (topics, filter, batch, slow, max_rate, fields, leave).hash(hasher);
        (trace, delivery, forced, told_in, numbered, share).hash(hasher);
    }

    /// Whether the subscription is not for an event because of who published that.
    #[must_use]
    pub fn excludes(&self, event: &Event) -> bool {
        self.delivery.without != 0 && self.delivery.without == event.publisher()
    }

    /// Whether what it is sent depends on what it was sent before, so that no other connection is like it.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.max_rate.is_some() || self.leave
    }
}

/// At most so many updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxRate {
    pub per: RatePer,
    /// Milliseconds between two updates: 1 to 100,000.
    pub every_ms: u32,
}

/// What a rate is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RatePer {
    Key,
    Subscription,
}

/// Many events in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// At most so many events.
    pub events_max: u16,
    /// None of them waits longer than this, in milliseconds.
    pub delay_ms: u32,
    pub form: BatchForm,
}

/// How the events of a message stand in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BatchForm {
    /// One behind the other.
    #[default]
    Rows,
    /// Member by member, in a dialect that has a word for that.
    Columns,
}
