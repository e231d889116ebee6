//! What it sounds like: one self-contained folder per protocol.
//!
//! A dialect writes events ([`Dialect`]) and talks with clients ([`Talk`]). It never sees a socket, a connection or another dialect, and
//! never reads the clock.
//! To add one: its folder, a line in [`PROTOCOLS`], transcripts, a page.

mod door;

mod event_id;

pub mod hyperbeam;

pub mod json;

mod media;

pub mod native;

pub mod peat;

pub mod provisioning;

mod outcome;

mod protocol;

mod subscription;

mod talk;

#[cfg(test)]
pub(crate) mod testing;

mod view;

use crate::event::Mark;
use crate::event::TopicName;
use crate::event::TopicPattern;
pub use door::Body;
pub use door::Call;
pub use door::Calling;
pub use door::Door;
pub use door::First;
pub use door::Guard;
pub use door::Kind;
pub use door::NotOpened;
pub use door::Opening;
pub use door::OpensStream;
pub use door::Path;
pub use door::Port;
pub use door::Socket;
pub use door::Wanted;
use event_id::LAST_ID_PARAMETER;
pub use event_id::cursor_of;
pub use event_id::last_id;
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
pub use protocol::BatchPart;
pub use protocol::Dialect;
pub use protocol::DialectId;
pub use protocol::Encode;
pub use protocol::FLOOD;
pub use protocol::Form;
pub use protocol::Head;
pub use protocol::Manners;
pub use protocol::Protocol;
pub use protocol::Run;
pub use protocol::Setting;
pub use protocol::Silence;
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
pub use talk::Listing;
pub use talk::PublishResult;
pub use talk::Request;
pub use talk::Response;
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

/// What an operator has set that opening a door depends on.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    pub views: &'a Views,
    /// Bytes of one message of a client.
    pub message_bytes_max: usize,
}

/// All protocols that there are. To add one, add its line, and its module above.
pub static PROTOCOLS: &[&Protocol] =
    &[&native::PROTOCOL, &peat::PROTOCOL, &hyperbeam::PROTOCOL, &provisioning::PROTOCOL];

/// The one in whose form the server's own events are, and whose names are those of the types of events that need a role.
pub static HOUSE: &Protocol = &provisioning::PROTOCOL;
pub use provisioning::LOG_ENTRY;
pub use provisioning::METRIC_UPDATE;
