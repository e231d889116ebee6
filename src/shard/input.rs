//! What parties say to one another, which lane each message takes, and how shards name each other's connections.
//!
//! Invariant: from one party to another the messages of a lane arrive in the order in which they were sent; replay and live delivery meet
//! without a seam because of it.

use std::net::IpAddr;
use std::sync::Arc;

use super::bookmark::Bookmark;
use super::bookmark::ClientName;
use super::inquiry::Findings;
use super::inquiry::Inquiry;
use super::lanes::Lane;
use super::lanes::Message;
use crate::auth::LimitError;
use crate::auth::Publisher;
use crate::auth::Revoke;
use crate::auth::Verifier;
use crate::dialect::Listing;
use crate::dialect::Placed;
pub use crate::dialect::Port;
use crate::dialect::RefusalCode;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::dialect::hook::Answered;
use crate::dialect::hook::HookAsk;
use crate::dialect::hook::Verdict;
use crate::event::Draft;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::Interest;
use crate::event::ShardId;
use crate::event::TopicName;
use crate::history::Page;
use crate::history::Read;
use crate::history::asks;
use crate::tables::asks as tables;

/// A connection of a shard: its place in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

impl ConnId {
    /// The connection's index in the slab.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A connection and which of those that had its place it is: what outlives the connection must not reach its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnRef {
    pub id: ConnId,
    pub generation: u32,
}

/// A connection of some shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub shard: ShardId,
    pub conn: ConnRef,
}

/// Who wants a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimant {
    pub address: Address,
    /// The claimant does not go on from what was left behind.
    pub is_clean: bool,
}

/// How whoever has the tables, or answers hooks, knows a connection.
pub(super) fn asker_of(shard: ShardId, conn: ConnRef) -> tables::Asker {
    tables::Asker { shard, conn: u64::from(conn.generation) << 32 | u64::from(conn.id.0) }
}

/// The connection of its shard that is meant.
#[expect(clippy::cast_possible_truncation, reason = "each half of it is one")]
#[must_use]
pub const fn conn_of(asker: tables::Asker) -> ConnRef {
    ConnRef { id: ConnId(asker.conn as u32), generation: (asker.conn >> 32) as u32 }
}

/// A message from one party to another.
#[derive(Debug)]
pub enum Mesh {
    /// To a home shard: please order these.
    Publish(Box<PublishRun>),
    /// From it: what became of them.
    Published(Box<PublishedRun>),
    /// From a home shard to every shard: this happened.
    Events(Box<[Arc<Event>]>),
    /// To a home shard: what happened before?
    Read(Box<ReadRequest>),
    /// From it.
    Page(Box<PageAnswer>),
    /// To the shard that counts connections: may this one come in?
    Enter(Box<EntryRequest>),
    /// From it.
    Entered { conn: ConnRef, result: Result<(), LimitError> },
    /// To it: this one has left.
    Leave(Address),
    /// To the shard that keeps a name: this connection wants it.
    Claim { name: ClientName, claimant: Claimant },
    /// From it: the connection has it, and goes on from what the one before has left behind.
    Named { conn: ConnRef, name: ClientName, left: Option<Box<Bookmark>> },
    /// From it: another connection is to have the name of this one.
    TakenOver(ConnRef),
    /// To it: the connection has let go of its name, and leaves this behind.
    Released { name: ClientName, address: Address, left: Option<Box<Bookmark>> },
    /// To it: what goes on after a restart is this, while the connection has its name; `None`: nothing.
    Keep { name: ClientName, address: Address, is_awaited: bool, record: Option<Box<[u8]>> },
    /// From it, if that is awaited: it is kept, or cannot be.
    Kept { conn: ConnRef, is_kept: bool },
    /// To the shard that keeps a group: this connection shares its subscription, and takes so many messages without having acknowledged them. It is answered as `Keep` is.
    Join { name: ClientName, address: Address, subscription: Arc<Subscription>, window: u16 },
    /// To it: the connection does no longer, and hands these back.
    Part { name: ClientName, address: Address, back: Box<[Arc<Event>]> },
    /// From it: this is for the connection, of those who share the subscription.
    Handed { conn: ConnRef, name: ClientName, sub: SubId, event: Arc<Event> },
    /// To it: the connection is done with one, or hands it back.
    Done { name: ClientName, address: Address, back: Option<Arc<Event>> },
    /// To the shard that counts: how many events may this publisher publish?
    Ask(Box<AllowanceAsk>),
    /// From it.
    Granted { conn: ConnRef, publisher: Box<Publisher>, events: u32 },
    /// To the party that fetches keys: a token came whose key is not known, it may be a new one.
    KeysWanted,
    /// To every shard, from that party: tokens are checked with these keys now.
    Keys(Arc<Verifier>),
    /// To every shard: these tokens open nothing any more.
    Revoke(Box<Revoke>),
    /// To every shard: the fields that this shard's filters read now.
    Interest(ShardId, Interest),

    /// To the store: keep this, or read that.
    Store(asks::Ask),
    /// From it, to the shard whose home asked.
    StoreSays(asks::Answer),

    /// To a shard: an operator wants to know something, or have it done.
    Inquire(Address, Box<Inquiry>),
    /// From it: what it has found.
    Found { conn: ConnRef, findings: Box<Findings> },
    /// To whoever has the tables.
    Tables(tables::Ask),
    /// From it, to the shard of whoever asked.
    TablesSay { conn: ConnRef, answer: Box<tables::Answer> },
    /// From it, to the home of the table's topic: a row has changed.
    Told(Box<tables::Told>),
    /// To whoever answers hooks.
    Hook(Box<HookAsk>),
    /// From it, to the shard of whoever asked.
    HookSays { conn: ConnRef, answered: Box<Answered> },

    /// To every shard: which topics are listed there?
    AskTopics(Address, Listing),
    /// From each.
    Topics { conn: ConnRef, topics: Vec<String> },
}

impl Message for Mesh {
    fn lane(&self) -> Lane {
        match self {
            // A page and what its home spreads after it arrive in this order, or replay and live delivery would not meet. Drafts are
            // as much to take in as events are.
            Self::Publish(_) | Self::Events(_) | Self::Page(_) => Lane::Data,
            // As much to take in as events are.
            Self::Handed { .. } => Lane::Data,
            // Runs arrive in order, and are as much to take in as events are; a page of the past can wait, and be waited for.
            Self::Store(asks::Ask::Append(_)) | Self::StoreSays(asks::Answer::Page(_)) => {
                Lane::Data
            }
            // What was asked for was stored long before; it costs little until it is read.
            Self::Store(asks::Ask::Page(_)) => Lane::Control,
            // What has been decided and must last: it is about no event.
            Self::Store(asks::Ask::Note(_)) => Lane::Control,
            // As large as what one client has subscribed to and is in flight to it; those of one name keep their order.
            Self::Store(asks::Ask::Session(_)) => Lane::Control,
            // Publishers wait for it, and whole lines of runs.
            Self::StoreSays(_) => Lane::Control,
            // In the order in which they were said, as much as there is of it; rows can wait until there is room for them.
            Self::Tables(_) | Self::Told(_) => Lane::Data,
            // As large as what clients say and are answered; each is about one connection that waits for it.
            Self::Hook(_) | Self::HookSays { .. } => Lane::Data,
            // Whoever wrote a row is answered before it hears the row's event.
            Self::TablesSay { answer, .. } => match **answer {
                tables::Answer::Written(_) => Lane::Control,
                tables::Answer::Page(_) | tables::Answer::Failed(_) => Lane::Data,
            },
            // What has been decided and must hold soon: it is about no event in particular, so it may overtake all of them.
            Self::Revoke(_) | Self::Keys(_) | Self::KeysWanted | Self::Interest(..) => {
                Lane::Control
            }
            // A publisher is answered before it hears its event.
            Self::Published(_) => Lane::Control,
            // A request for a page costs little until it is read, and its page takes the other lane. A connection asks for nothing while
            // it publishes, so none of its own events is overtaken.
            Self::Read(_) => Lane::Control,
            // Questions and answers, each about one connection: among themselves they keep their order.
            Self::Enter(_)
            | Self::Entered { .. }
            | Self::Leave(_)
            | Self::Claim { .. }
            | Self::Named { .. }
            | Self::TakenOver(_)
            | Self::Released { .. }
            | Self::Keep { .. }
            | Self::Kept { .. }
            | Self::Join { .. }
            | Self::Part { .. }
            | Self::Done { .. }
            | Self::Ask(_)
            | Self::Granted { .. }
            | Self::Inquire(..)
            | Self::Found { .. }
            | Self::AskTopics(..)
            | Self::Topics { .. } => Lane::Control,
        }
    }

    fn is_past(&self) -> bool {
        matches!(self, Self::Page(_))
    }

    fn weight_bytes(&self) -> usize {
        let more = match self {
            Self::Publish(run) => run.drafts.iter().map(Draft::weight_bytes).sum(),
            Self::Published(run) => size_of_val(&*run.results),
            Self::Events(events) => weight_of(events),
            Self::Page(answer) => weight_of(&answer.page.events),
            Self::Store(asks::Ask::Append(run)) => weight_of(&run.events),
            Self::Store(asks::Ask::Note(ask)) => ask.note.name.len(),
            Self::Store(asks::Ask::Session(ask)) => {
                ask.record.name.len() + ask.record.bytes.as_ref().map_or(0, |bytes| bytes.len())
            }
            Self::Join { subscription, .. } => subscription.weight_bytes(),
            Self::Part { name, back, .. } => name.as_str().len() + weight_of(back),
            Self::Handed { event, .. } => event.weight_bytes(),
            Self::Done { back, .. } => back.as_ref().map_or(0, |event| event.weight_bytes()),
            Self::Keep { name, record, .. } => {
                name.as_str().len() + record.as_ref().map_or(0, |bytes| bytes.len())
            }
            Self::StoreSays(asks::Answer::Page(page)) => {
                page.result.as_ref().map_or(0, |stretch| weight_of(&stretch.events))
            }
            Self::StoreSays(asks::Answer::Stored { befores, .. }) => {
                befores.iter().map(|(_, before)| before.weight_bytes()).sum()
            }
            Self::Inquire(_, inquiry) => match &**inquiry {
                Inquiry::Explain { event, .. } => event.weight_bytes(),
                _ => 0,
            },
            Self::Found { findings, .. } => findings.weight_bytes(),
            Self::Tables(ask) => ask.weight_bytes(),
            Self::TablesSay { answer, .. } => answer.weight_bytes(),
            Self::Told(told) => told.draft.weight_bytes(),
            Self::Hook(ask) => ask.call.weight_bytes(),
            Self::HookSays { answered, .. } => {
                answered.as_ref().as_ref().map_or(0, Verdict::weight_bytes)
            }
            Self::Topics { topics, .. } => {
                topics.iter().map(|topic| topic.len() + size_of::<String>()).sum()
            }
            Self::Claim { name, .. } => name.as_str().len(),
            Self::Named { name, left, .. } | Self::Released { name, left, .. } => {
                left.as_ref().map_or(0, |left| left.weight_bytes(name))
            }
            Self::Read(_)
            | Self::Store(_)
            | Self::StoreSays(_)
            | Self::Enter(_)
            | Self::Entered { .. }
            | Self::Leave(_)
            | Self::TakenOver(_)
            | Self::Kept { .. }
            | Self::Ask(_)
            | Self::Granted { .. }
            | Self::KeysWanted
            | Self::Keys(_)
            | Self::Revoke(_)
            | Self::Interest(..)
            | Self::AskTopics(..) => 0,
        };
        MESSAGE_BYTES + more
    }
}

/// Bytes of a message beyond what it carries: itself, and one small thing that it points to.
const MESSAGE_BYTES: usize = 256;

/// Bytes that a run of events keeps alive.
pub(super) fn weight_of(events: &[Arc<Event>]) -> usize {
    events.iter().map(|event| event.weight_bytes()).sum()
}

/// Drafts of one publisher for one home shard, in order.
#[derive(Debug)]
pub struct PublishRun {
    pub publisher: Address,
    pub home: HomeId,
    pub drafts: Vec<Draft>,
}

/// What became of each draft of a run.
#[derive(Debug)]
pub struct PublishedRun {
    pub publisher: ConnRef,
    pub home: HomeId,
    pub results: Vec<Result<Placed, RefusalCode>>,
}

/// A request to read a home shard's history.
#[derive(Debug)]
pub struct ReadRequest {
    pub reader: Address,
    /// Which replay of that connection.
    pub replay: u32,
    pub home: HomeId,
    pub read: Arc<Read>,
    pub after_us: u64,
    /// Bytes that the page may have.
    pub page_bytes: usize,
}

/// A page of history, and where the present begins if this is the last one.
#[derive(Debug)]
pub struct PageAnswer {
    pub reader: ConnRef,
    pub replay: u32,
    pub home: HomeId,
    /// What was asked, for the page after this one.
    pub read: Arc<Read>,
    pub page: Page,
    pub began: Option<Began>,
}

/// Where live delivery begins at one home shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Began {
    pub time_us: u64,
    /// The newest offset of each topic of that home which was asked for by name.
    pub offsets: Vec<(TopicName, u64)>,
}

/// A shard's question to the registrar.
#[derive(Clone, Debug)]
pub struct AllowanceAsk {
    pub address: Address,
    pub publisher: Publisher,
    pub events: u32,
}

/// A connection that wants to be let in, or that says late whose it is.
#[derive(Clone, Debug)]
pub struct EntryRequest {
    pub address: Address,
    pub user: Option<Arc<str>>,
    pub peer: IpAddr,
}

/// A request that is answered outside of the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRequest {
    /// Escapes resolved.
    pub path: String,
    /// The field `If-None-Match`, all its lines with commas between them.
    pub if_none_match: Option<String>,
    /// What was sent with it.
    pub body: Vec<u8>,
}
