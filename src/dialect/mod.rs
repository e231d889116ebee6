//! What it sounds like: one self-contained folder per protocol, behind one trait.
//!
//! A dialect turns a client's message into [`Command`]s and what became of them, and the events, into messages. It never sees a
//! socket, a connection or another dialect, keeps no state but what it is handed, and never reads the clock.
//! To add one: a folder with its doors, a line in [`DialectId`], one in the list of tables (`shard/doors.rs`), transcripts, a page.

mod door;

pub mod hyperbeam;

pub mod json;

mod media;

pub mod native;

pub mod peat;

pub mod provisioning;

mod talk;

#[cfg(test)]
pub(crate) mod testing;

mod view;

use std::fmt;
use std::sync::Arc;

use crate::batch::Slow;
use crate::clock::Now;
use crate::event::Draft;
use crate::event::Event;
use crate::event::Payload;
use crate::event::Projection;
use crate::event::Text;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::matcher::Filter;
use crate::position::Gap;
use crate::position::Live;
use crate::position::Since;
use crate::position::Skipped;
pub use door::Call;
pub use door::Door;
pub use door::Guard;
pub use door::Kind;
pub use door::NotOpened;
pub use door::Opening;
pub use door::Path;
pub use door::Port;
pub use door::Socket;
pub use door::Stream;
pub use door::Wanted;
pub use media::JSON;
pub use media::LINES;
pub use media::MediaType;
pub use media::NotTaken;
pub use media::Takes;
pub use talk::Context;
pub use talk::Step;
pub use talk::Talk;
pub use talk::Wish;
pub use view::View;
pub use view::Views;

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
    /// What its subscriber's tokens force on it, besides what `filter` says of them.
    pub forced: Forced,
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
    /// Bytes that it takes in a shard, with what finds it there.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let topic = |topic: &TopicPattern| WISHED_TOPIC_BYTES + 2 * topic.as_str().len();
        SUBSCRIPTION_BYTES
            + self.topics.iter().map(topic).sum::<usize>()
            + self.filter.as_ref().map_or(0, Filter::weight_bytes)
            + self.fields.as_ref().map_or(0, |fields| fields.weight_bytes())
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
}

/// What a client asks of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Subscribe {
        subscription: Arc<Subscription>,
        since: Since,
    },
    /// Changes a running subscription.
    Update {
        id: SubId,
        change: Box<Change>,
    },
    Unsubscribe {
        id: SubId,
    },
    /// `id`: names the acknowledgement that is wanted, if one is.
    Publish {
        id: Option<SubId>,
        draft: Draft,
    },
    Ping {
        id: Option<SubId>,
    },
    /// The client says that it is whoever this token was given to.
    Authenticate {
        id: Option<SubId>,
        token: Box<str>,
    },
}

/// What became of a command, or what the server has to say besides events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The connection is open.
    Welcome {
        epoch: &'a str,
    },
    Subscribed {
        id: &'a SubId,
    },
    Live {
        id: &'a SubId,
        live: &'a Live,
    },
    Updated {
        id: &'a SubId,
    },
    Unsubscribed {
        id: &'a SubId,
        /// Why, if the client did not ask for it: a word.
        reason: Option<&'static str>,
    },
    Published {
        id: &'a SubId,
        topic: &'a TopicName,
        placed: Placed,
        epoch: &'a str,
    },
    Pong {
        id: Option<&'a SubId>,
        now: Now,
    },
    /// The client is who its token says.
    Authenticated {
        id: Option<&'a SubId>,
        expires_at_s: Option<u64>,
    },
    /// The client's token is soon over.
    Expiring {
        expires_at_s: u64,
    },
    Gap {
        subs: Subs<'a>,
        gap: &'a Gap,
    },
    Skipped {
        subs: Subs<'a>,
        skipped: Skipped,
    },
    Refused {
        id: Option<&'a SubId>,
        refusal: &'a Refusal,
    },
}

impl Outcome<'_> {
    /// The word for what it is.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::Subscribed { .. } => "subscribed",
            Self::Live { .. } => "live",
            Self::Updated { .. } => "updated",
            Self::Unsubscribed { .. } => "unsubscribed",
            Self::Published { .. } => "published",
            Self::Pong { .. } => "pong",
            Self::Authenticated { .. } => "authenticated",
            Self::Expiring { .. } => "token_expiring",
            Self::Gap { .. } => "gap",
            Self::Skipped { .. } => "skipped",
            Self::Refused { .. } => "error",
        }
    }
}

/// Some of a connection's subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subs<'a> {
    /// All of them, in the order in which they were made.
    pub of: &'a [Arc<Subscription>],
    /// Which are meant, one bit each.
    pub set: u64,
}

impl<'a> Subs<'a> {
    /// The ids of those that are meant.
    pub fn ids(self) -> impl Iterator<Item = &'a SubId> {
        let meant = move |index: usize| self.set & (1 << index) != 0;
        self.of.iter().enumerate().filter(move |(index, _)| meant(*index)).map(|(_, sub)| &sub.id)
    }
}

/// Where an event was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub offset: u64,
    pub time_us: u64,
}

/// A client's fault, or the server's answer that it will not: what is wrong, and in which member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    /// The member at fault, as a path: `topics[1]`.
    pub field: Option<Box<str>>,
    pub message: Box<str>,
}

impl Refusal {
    /// A refusal that names no member.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl fmt::Display) -> Self {
        Self { code, field: None, message: message.to_string().into() }
    }

    /// A refusal of one member.
    #[must_use]
    pub fn of(code: RefusalCode, field: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self { code, field: Some(field.to_string().into()), message: message.to_string().into() }
    }
}

/// Each way to be refused. The words are `docs/dialects/native.md`'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    BadJson,
    UnknownType,
    UnknownField,
    MissingField,
    BadField,
    BadTopic,
    BadFilter,
    DuplicateId,
    UnknownId,
    TooManySubscriptions,
    TooManyTopics,
    TooLarge,
    Full,
    RateLimited,
    Forbidden,
    ShuttingDown,
}

impl RefusalCode {
    /// Its word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::UnknownType => "unknown_type",
            Self::UnknownField => "unknown_field",
            Self::MissingField => "missing_field",
            Self::BadField => "bad_field",
            Self::BadTopic => "bad_topic",
            Self::BadFilter => "bad_filter",
            Self::DuplicateId => "duplicate_id",
            Self::UnknownId => "unknown_id",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::TooManyTopics => "too_many_topics",
            Self::TooLarge => "too_large",
            Self::Full => "full",
            Self::RateLimited => "rate_limited",
            Self::Forbidden => "forbidden",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

/// A message that is no command: why, and the id it carried, if it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub id: Option<SubId>,
    pub refusal: Refusal,
}

/// How one protocol is spoken. No method has a default body: a silent no-op hides a missing wire.
pub trait Dialect {
    /// Reads one text message of a client.
    ///
    /// # Errors
    /// What is wrong with it, and in which member; the connection stays open.
    fn decode(&self, text: &str) -> Result<Command, Malformed>;

    /// Appends the message that says what became of a command. Appends nothing where the dialect has no word for it.
    fn reply(&self, outcome: &Outcome<'_>, out: &mut Vec<u8>);

    /// Appends what every subscriber of an event is sent alike; stands after [`Dialect::head`] in one message.
    /// `payload` is the event's, or what is left of it where subscribers asked for some of its members only. The same each time it is asked for.
    fn encode(&self, event: &Event, payload: Payload<'_>, view: &View, out: &mut Text);

    /// Appends what differs by the subscriptions that an event matches, and stands before the shared body.
    fn head(&self, form: Form, event: &Event, view: &View, subs: Subs<'_>, out: &mut Vec<u8>);

    /// Which of the subscriptions that an event matches are each sent a message of their own; all others share one.
    fn apart(&self, subs: Subs<'_>) -> u64;

    /// Appends the begin, the separator or the end of a message of several events, each written as head and body; `time_us`: of the first.
    fn batch(&self, part: BatchPart, time_us: u64, out: &mut Vec<u8>);

    /// How it treats its clients.
    fn manners(&self) -> Manners;
}

/// How a dialect treats its clients, where its specification says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    pub silence: Silence,
    /// The close code and reason for a subscriber whose outbox is full, if nothing may be dropped; `None`: its subscriptions all drop the
    /// oldest in silence, so that there is always room.
    pub slow: Option<(u16, &'static str)>,
    /// What the reason of 1008 says to a client that sends more messages in a second than it may.
    pub flood: &'static str,
    /// Whether a binary message is heard as if it were text; else it closes the connection with 1003.
    pub hears_binary: bool,
}

/// What a client that sends too many messages is told, where its dialect has no words of its own for that.
pub const FLOOD: &str = "messages_per_s: too many messages in a second";

/// What becomes of a client that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It is pinged, and closed with 1011 if it does not answer that either.
    Pinged,
    /// It is closed with 1000 after the time that is set for the dialect.
    Closed,
}

/// The punctuation of a message of several events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchPart {
    Begin,
    Between,
    End,
}

/// Whether an event is a message of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    Single,
    InBatch,
}

/// What an operator has set that opening a door depends on.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    pub views: &'a Views,
    pub hyperbeam: hyperbeam::Options,
}

/// The dialects that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialectId {
    /// `fanwire.v1` over WebSocket.
    Native,
    /// The same events over SSE.
    NativeSse,
    /// peat-node's changes as proto3-JSON.
    Peat,
    /// The same as protobuf.
    PeatProto,
    /// HyperBEAM's WebSocket device.
    HyperBeam,
    /// The Provisioning Platform's events.
    Provisioning,
}

impl DialectId {
    /// Who speaks it.
    #[must_use]
    pub fn speaker(self) -> &'static dyn Dialect {
        match self {
            Self::Native => &native::Native,
            Self::NativeSse => &native::NativeSse,
            Self::Peat => &peat::Peat,
            Self::PeatProto => &peat::PeatProto,
            Self::HyperBeam => &hyperbeam::HyperBeam,
            Self::Provisioning => &provisioning::Provisioning,
        }
    }
}
