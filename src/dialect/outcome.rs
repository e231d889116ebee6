//! What clients are told besides events: what became of what they wanted and published, notices about what they are sent, and refusals.
//!
//! The words for it are the dialect's own; here are only the nouns. Invariant: a refusal names what was wrong, and where.

use std::fmt;
use std::sync::Arc;

use crate::dialect::Delivery;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::event::Ack;
use crate::event::Event;
use crate::event::TopicName;
use crate::position::Gap;
use crate::position::Live;
use crate::position::Skipped;

/// What became of something that a conversation wanted, or what the server has to say besides events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    Subscribed {
        id: &'a SubId,
        /// Topics that events of the subscription are told of by their places in this list.
        numbered: &'a [TopicName],
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
    /// The client's token is soon over.
    Expiring {
        expires_at_s: u64,
    },
    /// The server stops: come back, but not before so many milliseconds have passed.
    Reconnect {
        after_ms: u64,
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

/// What became of drafts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published<'a> {
    /// Of each draft, in order, its topic and its place, or why it has none.
    Answered { topics: &'a [TopicName], results: &'a [PublishResult] },
    /// The client may not publish this, so nothing was.
    Barred { topic: &'a TopicName, refusal: &'a Refusal },
}

/// What became of one draft.
pub type PublishResult = Result<Placed, RefusalCode>;

/// Where an event was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub offset: u64,
    pub time_us: u64,
}

impl Placed {
    /// The event was taken, and its publisher did not want to know where to.
    pub const NOT_SAID: Self = Self { offset: 0, time_us: 0 };

    /// What a publisher is told that wants an acknowledgement of a kind.
    #[must_use]
    pub const fn as_said(self, ack: Ack) -> Self {
        match ack {
            Ack::None => Self::NOT_SAID,
            Ack::Ordered | Ack::Stored | Ack::Durable => self,
        }
    }
}

/// Some of a connection's subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subs<'a> {
    /// All subscriptions of the connection, in the order in which they were made.
    pub of: &'a [Arc<Subscription>],
    /// What their subscriber calls them, in the same order; `None`: what stands in them.
    pub names: Option<&'a [SubId]>,
    /// Which are meant, one bit each.
    pub set: u64,
}

impl<'a> Subs<'a> {
    /// What the subscribers of those that are meant want of each message.
    pub fn deliveries(self) -> impl Iterator<Item = Delivery> {
        let meant = move |index: usize| self.set & (1 << index) != 0;
        let all = self.of.iter().enumerate();
        all.filter(move |(index, _)| meant(*index)).map(|(_, sub)| sub.delivery)
    }

    /// Whether one of those that are meant asks which requests events belong to.
    #[must_use]
    pub fn want_trace(self) -> bool {
        self.of.iter().enumerate().any(|(index, sub)| sub.trace && self.set & (1 << index) != 0)
    }

    /// The quality of service that an event is told with: the highest that is wanted, and at most what it was published with.
    #[must_use]
    pub fn qos_of(self, event: &Event) -> u8 {
        let wanted = self.deliveries().map(|delivery| delivery.qos).max().unwrap_or(0);
        event.meta.as_ref().map_or(wanted, |meta| wanted.min(meta.qos))
    }

    /// What the subscriber calls those that are meant.
    pub fn ids(self) -> impl Iterator<Item = &'a SubId> {
        let meant = move |index: usize| self.set & (1 << index) != 0;
        self.every_id().enumerate().filter(move |(index, _)| meant(*index)).map(|(_, id)| id)
    }

    /// What the subscriber calls each of all of them.
    pub fn every_id(self) -> impl Iterator<Item = &'a SubId> {
        let name = move |index: usize| self.names.map(|names| &names[index]);
        self.of.iter().enumerate().map(move |(index, sub)| name(index).unwrap_or(&sub.id))
    }
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

    /// Why an event was not taken.
    #[must_use]
    pub fn of_publish(code: RefusalCode, topic: &TopicName) -> Self {
        match code {
            RefusalCode::Full => {
                Self::new(code, "the server is full; the event was not taken, try again")
            }
            RefusalCode::DiskFull => Self::new(code, DISK_FULL),
            RefusalCode::Unavailable => Self::new(code, STORE_SILENT),
            RefusalCode::NotDurable => Self::of(code, "ack", NOT_DURABLE),
            RefusalCode::RateLimited => Self::new(code, RATE_LIMITED),
            RefusalCode::BadTopic => Self::of(
                code,
                "topic",
                format_args!(
                    "topic_bytes_max: the topic has {} bytes, which is more than this server takes",
                    topic.as_str().len()
                ),
            ),
            RefusalCode::TooManyTopics => Self::of(
                code,
                "topic",
                format_args!(
                    "the server holds as many topics as it may, and {topic} is not one of them"
                ),
            ),
            RefusalCode::ShuttingDown => {
                Self::new(code, "the server is shutting down; the event was not taken")
            }
            _ => Self::new(code, "the event was not taken"),
        }
    }
}

/// Why an event was not taken whose publisher has reached its rate.
pub const RATE_LIMITED: &str = "publish_per_s: more events than one client may publish a second; the event was not taken, try again";

/// Why an event of a durable topic was not taken for which there is no room.
pub const DISK_FULL: &str = "the disk is full: the topic is durable, and the event was not taken; try again when there is room";

/// Why nothing can be said of an event of a durable topic.
pub const STORE_SILENT: &str =
    "the store does not answer: the topic is durable, and whether the event is kept is not known";

/// Why an event was not taken whose publisher wants to know more than can be.
const NOT_DURABLE: &str = "the topic is not durable: `ack` is `none` or `ordered`, for nothing of it outlives the process";

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
    /// There is no room to store it.
    DiskFull,
    /// The store does not answer, or is gone.
    Unavailable,
    /// The event was to be stored, and nothing of its topic is.
    NotDurable,
    RateLimited,
    Forbidden,
    ShuttingDown,
}

impl RefusalCode {
    /// All codes, each once.
    pub const ALL: [Self; 19] = [
        Self::BadJson,
        Self::UnknownType,
        Self::UnknownField,
        Self::MissingField,
        Self::BadField,
        Self::BadTopic,
        Self::BadFilter,
        Self::DuplicateId,
        Self::UnknownId,
        Self::TooManySubscriptions,
        Self::TooManyTopics,
        Self::TooLarge,
        Self::Full,
        Self::DiskFull,
        Self::Unavailable,
        Self::NotDurable,
        Self::RateLimited,
        Self::Forbidden,
        Self::ShuttingDown,
    ];

    /// The code's word in figures: as on the wire, but that a full disk is told from a full server.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            other => other.name(),
        }
    }

    /// The code's word on the wire.
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
            Self::Full | Self::DiskFull => "full",
            Self::Unavailable => "unavailable",
            Self::NotDurable => "not_durable",
            Self::RateLimited => "rate_limited",
            Self::Forbidden => "forbidden",
            Self::ShuttingDown => "shutting_down",
        }
    }
}
