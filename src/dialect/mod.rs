//! What it sounds like: one self-contained folder per protocol.
//!
//! A dialect writes events ([`Dialect`]), talks with clients ([`Talk`]) and answers their calls ([`Respond`]). It never sees a socket, a
//! connection or another dialect, and never reads the clock.
//! To add one: its folder, a line in [`PROTOCOLS`], transcripts, a page. Its routes and what an operator may set of it stand in its folder, too.

mod door;

mod event_id;

pub mod hook;

pub mod hyperbeam;

pub mod json;

mod media;

pub mod mqtt;

pub mod native;

pub mod peat;

pub mod provisioning;

pub mod resolvespec;

pub mod rtbdp;

mod outcome;

mod protocol;

pub mod records;

mod respond;

mod subscription;

mod talk;

mod terms;

mod upload;

#[cfg(test)]
pub(crate) mod testing;

mod view;

pub use door::Body;
pub use door::Call;
pub use door::Calling;
pub use door::Door;
pub use door::First;
pub use door::Guard;
pub use door::Inquire;
pub use door::Kind;
pub use door::NotOpened;
pub use door::Opening;
pub use door::OpensStream;
pub use door::OpensUpload;
pub use door::Path;
pub use door::Port;
pub use door::Socket;
pub use door::Wanted;
use event_id::LAST_ID_PARAMETER;
pub use event_id::cursor_of;
pub use event_id::last_id;
pub use hook::Hook;
pub use hook::HookTerms;
pub use media::JSON;
pub use media::LINES;
pub use media::MediaType;
pub use media::NotTaken;
pub use media::Takes;
pub use outcome::DISK_FULL;
pub use outcome::Outcome;
pub use outcome::Placed;
pub use outcome::PublishResult;
pub use outcome::Published;
pub use outcome::RATE_LIMITED;
pub use outcome::Refusal;
pub use outcome::RefusalCode;
pub use outcome::STORE_SILENT;
pub use outcome::Subs;
pub use protocol::BatchPart;
pub use protocol::ByTopic;
pub use protocol::Dialect;
pub use protocol::DialectId;
pub use protocol::Encode;
pub use protocol::Ending;
pub use protocol::Envelopes;
pub use protocol::FLOOD;
pub use protocol::Farewell;
pub use protocol::Form;
pub use protocol::Guest;
pub use protocol::Head;
pub use protocol::Heading;
pub use protocol::Manners;
pub use protocol::Packets;
pub use protocol::PerTopic;
pub use protocol::Protocol;
pub use protocol::Punctuation;
pub use protocol::PutOutcome;
pub use protocol::Run;
pub use protocol::Setting;
pub use protocol::SettingTakes;
pub use protocol::Silence;
pub use protocol::Told;
pub use protocol::Whole;
pub use respond::Listing;
pub use respond::Next;
pub use respond::Respond;
pub use respond::Response;
pub use respond::Tells;
pub use respond::Then;
pub use respond::ThenListed;
pub use respond::ThenPublished;
pub use subscription::Batch;
pub use subscription::BatchForm;
pub use subscription::Change;
pub use subscription::Delivery;
pub use subscription::Forced;
pub use subscription::MaxRate;
pub use subscription::RatePer;
pub use subscription::Share;
pub use subscription::SubId;
pub use subscription::Subscription;
pub use talk::Answer;
pub use talk::Ask;
pub use talk::Context;
pub use talk::Correspond;
pub use talk::Kept;
pub use talk::NoPacket;
pub use talk::Request;
pub use talk::Said;
pub use talk::Step;
pub use talk::Talk;
pub use talk::Ticket;
pub use talk::Will;
pub use talk::Wish;
pub use upload::Ended;
pub use upload::FindFields;
pub use upload::Lines;
pub use upload::Uploaded;
pub use upload::Uploading;
pub use view::Secret;
pub use view::View;
pub use view::Views;

/// The dialect in which operators write events.
pub mod own {
    pub use super::native::NATIVE as DIALECT;
    pub use super::native::event_of;
}

/// What an operator has set that opening a door depends on.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    pub views: &'a Views,
    /// Bytes of one message of a client.
    pub message_bytes_max: usize,
    /// Which hooks are asked.
    pub hooks: HookTerms,
}

/// All protocols that there are. To add one, add its line, and its module above.
pub static PROTOCOLS: &[&Protocol] = &[
    &native::PROTOCOL,
    &peat::PROTOCOL,
    &hyperbeam::PROTOCOL,
    &provisioning::PROTOCOL,
    &mqtt::PROTOCOL,
    &rtbdp::PROTOCOL,
    &resolvespec::PROTOCOL,
];

/// The one in whose form the server's own events are, and whose names are those of the types of events that need a role.
pub static HOUSE: &Protocol = &provisioning::PROTOCOL;
/// The one whose messages may be published, in a protocol that carries publications.
pub static BY_TOPIC: &ByTopic = &resolvespec::BY_TOPIC;
pub use provisioning::LOG_ENTRY;
pub use provisioning::METRIC_UPDATE;
