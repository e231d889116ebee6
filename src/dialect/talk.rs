//! What every dialect is to a client that it converses with, on a WebSocket or in packets of its own: one conversation, a state machine without a socket.
//!
//! A conversation hears what its client says, and what became of what it asked; it answers with steps, which the shard takes in order. What
//! becomes of its subscriptions is said by its dialect's words ([`Dialect::outcome`](crate::dialect::Dialect)), which know all there is to say.
//! Invariants: what is asked once is answered once, and known by its ticket. No method has a default body, and none is empty: an event
//! stream's client says nothing, so an event stream has no conversation, and a call has a smaller one ([`Respond`](crate::dialect::Respond)).

use std::fmt;
use std::sync::Arc;

use crate::clock::Now;
use crate::dialect::Change;
use crate::dialect::DialectId;
use crate::dialect::Published;
use crate::dialect::Refusal;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::dialect::Views;
use crate::dialect::hook;
use crate::dialect::hook::HookTerms;
use crate::event::Draft;
use crate::position::Playback;
use crate::position::Seek;
use crate::position::Since;
use crate::tables::Page;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::Write;
use crate::tables::Written;

/// One client's side of a dialect.
pub trait Talk: fmt::Debug + Send {
    /// The WebSocket is open, or the connection that packets come by. Who its client is, is known (`Context::is_known`) or learned later by `Request::Identify`.
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>);

    /// The client sent a message.
    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>);

    /// The part of the conversation that hears answers. `None`: this conversation asks nothing.
    fn asker(&mut self) -> Option<&mut dyn Ask>;

    /// Bytes that it remembers of what its client has said or is being answered, besides itself. It is asked after whatever it hears.
    fn held_bytes(&self) -> usize;

    /// What of the conversation outlasts its connection, under the name that its client has claimed. `None`: nothing.
    fn keep(&mut self) -> Option<Kept>;
}

/// What of a conversation outlasts its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What the session needs to go on; only its dialect reads that.
    pub words: Box<[u8]>,
    /// Seconds for which it is kept.
    pub lasts_s: u32,
    /// The client knows that the session began. A client that does not may have had another session before, and would take this one for that: nobody goes on from this one.
    pub is_met: bool,
    /// Something of it is said or heard exactly once, so that nobody may go on from what it was before.
    pub is_once: bool,
    /// Of something that was to be heard exactly once it is not known whether it was done.
    pub is_open: bool,
}

/// What is published for a client that goes, or does not come back in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    pub draft: Draft,
    /// Seconds after the end of the connection; if what is kept of the client ends before, then. Where nothing is kept it is published at once.
    pub delay_s: u32,
}

/// A conversation whose messages are published.
pub trait Correspond: Talk {
    /// What is heard from here on is of the client whose topics begin so: `PREFIX/CLIENT`.
    fn hears_from(&mut self, base: &str);

    /// This is what the client has shown of who it is, for hooks to look at.
    fn shows(&mut self, shown: hook::Credentials);

    /// How many subscriptions there have been.
    fn subscription_count(&self) -> u64;

    /// The next subscription is the one behind so many: what it is called follows from that.
    fn goes_on_behind(&mut self, subscription_count: u64);
}

/// A conversation that asks.
pub trait Ask {
    /// A question of the conversation is answered.
    fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    );
}

/// A message of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// A text message, RFC 6455 section 5.6.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A whole packet, in a protocol that has packets.
    Packet(&'a [u8]),
    /// What follows is no packet, and nothing more is heard.
    NoPacket(NoPacket),
}

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPacket {
    /// None begins so.
    Malformed,
    /// The packet is longer than this server takes.
    TooLong,
    /// The packet came as text, on a WebSocket whose packets are binary.
    Text,
}

impl<'a> Said<'a> {
    /// The message as text, whichever opcode it had; binary that is not UTF-8 is an empty text, and so is what is no packet.
    #[must_use]
    pub fn text(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Binary(bytes) | Self::Packet(bytes) => {
                std::str::from_utf8(bytes).unwrap_or_default()
            }
            Self::NoPacket(_) => "",
        }
    }
}

/// What a conversation is told of the server and its client with each call.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Now,
    pub view: &'a View,
    /// How every protocol sees the events.
    pub views: &'a Views,
    pub epoch: &'a str,
    /// Whether it is known who the client is.
    pub is_known: bool,
    /// A number that no other connection of the process has had.
    pub serial: u64,
    /// Which tables there are.
    pub tables: &'a Schema,
    /// Which hooks are asked.
    pub hooks: HookTerms,
}

/// What a conversation calls a question of its own, so that it knows the answer by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// The id that the client gave to what it said, or that it gave none.
    Id(Option<SubId>),
    /// The number that the conversation gave it.
    Number(u32),
    /// One question at a time needs no name.
    Only,
}

/// What a conversation may ask.
#[derive(Clone, Debug)]
pub enum Request {
    /// Publishes these drafts: all of them, or none where the client may not publish one of them.
    Publish(Vec<Draft>),
    /// Authenticates the client by this token.
    Identify { token: Box<str> },
    /// Lets the client in as an HTTP request with this token would be: without one, or where there are no keys to check it with, by its certificate,
    /// or as anyone.
    Enter { token: Option<Box<str>> },
    /// The client has a name of which there is one among those of its user: whoever had it before is closed with 4009. Nothing else is heard before the answer.
    Claim {
        client: Box<str>,
        /// Nothing that was left behind under that name is gone on from.
        is_clean: bool,
    },
    /// What is kept of the conversation is to outlast the process from here on, as far as it can. Nothing else is heard before the answer.
    Keep,
    /// Goes on from what was left behind, with these subscriptions, of which it is answered what became as of others.
    Resume(Vec<Wish>),
    /// Subscribes to each of these; one whose id runs already takes its place, and loses nothing.
    Subscribe(Vec<Wish>),
    /// Rows of a table. They come in pages, each in an answer of its own with the same ticket; nothing else that the client says is carried out before the last one. What the client's
    /// token does not let it see is not there.
    Query(Box<Query>),
    /// Changes a row. It is answered before the client hears the row's event.
    Write(Box<Write>),
    /// Asks whoever answers this hook. Nothing else that the client says is carried out before the answer; what it is told after a write waits, too, so that the answer comes first.
    Hook(Box<hook::Call>),
    /// Lets the client in as whom a hook has named, if nobody knows yet who it is.
    Admit(Box<hook::Identity>),
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// What became of drafts.
    Published(Published<'a>),
    /// The client is who the token names; when the token expires, in seconds since 1970.
    Identified { expires_at_s: Option<u64> },
    /// The token is refused, or without one nobody is let in.
    NotIdentified { reason: &'a str },
    /// The name is the client's.
    Claimed {
        /// What of an earlier conversation was kept, if the client goes on from it.
        words: Option<&'a [u8]>,
        /// Numbers of messages that the client had said it has, and with which it is not done, in that order.
        received: &'a [u16],
    },
    /// What is kept of the conversation outlasts the process, or cannot for reasons of its own. `false`: it should, and there is no room for it; nothing of it is kept beyond the connection.
    Kept { is_kept: bool },
    /// Of each subscription, in order, that it runs, or why not.
    Subscribed(&'a [Result<(), Refusal>]),
    /// Rows of a query; `Page::end` says whether they are the last.
    Rows(&'a Page),
    /// What became of a write.
    Written(&'a Written),
    /// A query or a write is refused, or failed; a query's pages may have come before.
    TableFailed(&'a TableError),
    /// What whoever answers the hook says, or why nobody does.
    Hooked(&'a hook::Answered),
}

/// One thing to be done for a client.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends the client this message; `kind`: what an event stream calls it.
    Say { kind: &'static str, text: Box<[u8]> },
    /// Tells the client alone, as an event of this topic, if any of its subscriptions is to it: whatever these ask of the content of events, and
    /// whatever their policy is. It has no place, and nothing keeps it.
    Tell(Box<Draft>),
    /// From here on these are the client's subscriptions, by id; its other subscriptions end without a word.
    Want(Vec<Wish>),
    /// Subscribes; the outcome is told (`Dialect::outcome`). A client whose dialect has no words for outcomes is closed with 1008 if it is refused.
    Subscribe(Wish),
    /// Changes a running subscription; the outcome is told.
    Update { id: SubId, change: Box<Change>, seek: Box<Seek> },
    /// Ends a subscription; the outcome is told.
    Unsubscribe { id: SubId },
    /// Asks a question; the answer comes to `Ask::answered` with this ticket.
    Ask { ticket: Ticket, what: Request },
    /// What was said belongs to what was said before, and is no message more in the client's rate.
    Uncounted,
    /// Charges the client with so many steps of a filter's work, done to read its message. A client that has used up its allowance is closed.
    Pay { steps: u64 },
    /// From here on the client is spoken to in this dialect of the same protocol.
    Speak(DialectId),
    /// The client is gone once it has been silent for so many seconds, where its dialect leaves that to be agreed; 0: it may be silent.
    Silence { after_s: u32 },
    /// What is published for the client when its connection ends, if it may publish that; `None`: nothing. It takes the place of what was to be before.
    Will(Option<Box<Will>>),
    /// The client takes so many messages without having acknowledged them, where they are to be, and no packet of more bytes; 0: of any.
    Window { most: u16, bytes_max: u32 },
    /// The client has the message of this number; `is_done`: the number is free again.
    Acknowledged { number: u16, is_done: bool },
    /// Whoever answers hooks is told with this call that the connection has ended; nobody waits for what is said to that.
    AtEnd(Box<hook::Call>),
    /// Closes the connection with this code and reason.
    Close { code: u16, reason: &'static str },
    /// Ends the connection without a word.
    Abort,
}

impl Step {
    /// Says a message that no event stream names.
    #[must_use]
    pub fn say(text: impl Into<Box<[u8]>>) -> Self {
        Self::Say { kind: "said", text: text.into() }
    }
}

/// A subscription that a conversation wants to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub subscription: Arc<Subscription>,
    /// What the subscription is told of the past, be it new or running.
    pub since: Since,
    /// At which pace of its own time; `None`: as fast as it can be told. Only of a [`Since::is_place_in_time`].
    pub playback: Option<Playback>,
}

impl Wish {
    /// One that is told of the past as fast as it can be.
    #[must_use]
    pub const fn new(subscription: Arc<Subscription>, since: Since) -> Self {
        Self { subscription, since, playback: None }
    }
}
