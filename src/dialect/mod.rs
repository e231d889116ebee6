//! What it sounds like: one self-contained folder per protocol.
//!
//! A dialect writes events ([`Dialect`]) and talks with clients ([`Talk`]). It never sees a socket, a connection or another dialect, and
//! never reads the clock.
//! To add one: a folder with its doors, a line in [`DialectId`], one in the list of tables (`shard/doors.rs`), transcripts, a page.

mod door;

pub mod hyperbeam;

pub mod json;

mod media;

pub mod native;

pub mod peat;

pub mod provisioning;

mod outcome;

mod subscription;

mod talk;

#[cfg(test)]
pub(crate) mod testing;

mod view;

use crate::event::Event;
use crate::event::Mark;
use crate::event::Payload;
use crate::event::Text;
use crate::event::TopicName;
use crate::event::TopicPattern;
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
pub use outcome::Outcome;
pub use outcome::RATE_LIMITED;
pub use outcome::Refusal;
pub use outcome::RefusalCode;
pub use outcome::Subs;
pub use subscription::Batch;
pub use subscription::Change;
pub use subscription::Forced;
pub use subscription::MaxRate;
pub use subscription::RatePer;
pub use subscription::Slow;
pub use subscription::SubId;
pub use subscription::Subscription;
pub use talk::Answer;
pub use talk::Context;
pub use talk::PublishResult;
pub use talk::Request;
pub use talk::Said;
pub use talk::Step;
pub use talk::Talk;
pub use talk::Ticket;
pub use talk::Voiced;
pub use talk::Wish;
pub use view::View;
pub use view::Views;

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// With the next event.
    Now,
    /// With the oldest event that history holds.
    Earliest,
    /// With the last event of each key.
    Last,
    /// With the last event of each key of these topics, topic by topic as they are listed, in the order of the keys.
    Snapshot(Vec<TopicPattern>),
    /// With the last so many events of each topic.
    Tail(u32),
    /// With the first event ordered at this time or later, in microseconds since 1970.
    Time(u64),
    /// After a position.
    Position(Position),
    /// After a cursor: what was sent of each home shard, as SSE's `id` says it.
    Cursor(Cursor),
    /// After a position that is none here, of another server or of the future: with what history holds, and with a gap before it.
    Lost,
}

/// The last offset seen of each topic.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Position {
    pub epoch: Option<Box<str>>,
    pub offsets: Vec<(TopicName, u64)>,
    /// Topics not named begin after this moment; absent: with the next event.
    pub time_us: Option<u64>,
    /// What was told up to here was told under other filters, too: what they let pass may be inside.
    pub filter_changed: bool,
}

/// Up to which moment the events of each home shard were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub epoch: Box<str>,
    pub times_us: Vec<u64>,
    /// The last event that was told: where a gap of its topic begins.
    pub mark: Option<Mark>,
}

/// The position at which live delivery begins.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Live {
    pub epoch: Box<str>,
    /// For each topic asked for by name, the offset after which live delivery begins.
    pub offsets: Vec<(TopicName, u64)>,
    pub time_us: u64,
    /// Events that were replayed.
    pub replayed: u64,
}

/// Where an event was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub offset: u64,
    pub time_us: u64,
}

/// Events that are not coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The topic; of topics that were forgotten, whose names nobody knows, the pattern that was asked for.
    pub topic: TopicPattern,
    /// The first and the last offset, both inclusive.
    pub from: u64,
    pub to: u64,
    pub reason: GapReason,
}

/// Why events are not coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// History no longer holds them.
    Evicted,
    /// The position was of another epoch.
    Epoch,
    /// The subscriber was too slow, and asked for `drop_oldest`.
    Slow,
}

/// Events passed over, because a newer one of the same key follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub count: u64,
    pub from_us: u64,
    pub to_us: u64,
}

/// How one protocol writes events. Pure encoding: who talks with a client is a [`Talk`].
pub trait Dialect {
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
    /// Whether what a client says behind a subscription to the present is heard only once that is live.
    pub hears_once_live: bool,
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
