//! What every dialect is on a WebSocket: one conversation, a state machine without a socket.
//!
//! A conversation hears what its client says, and what became of what it asked; it answers with steps, which the shard takes in order. What
//! becomes of its subscriptions is said by its dialect's words ([`Dialect::outcome`](crate::dialect::Dialect)), which know all there is to say.
//! Invariants: what is asked once is answered once, and known by its ticket. No method has a default body, and none is empty: an event
//! stream's client says nothing, so an event stream has no conversation, and a call has a smaller one ([`Respond`](crate::dialect::Respond)).

use std::fmt;
use std::sync::Arc;

use crate::clock::Now;
use crate::dialect::Change;
use crate::dialect::Published;
use crate::dialect::Refusal;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::dialect::View;
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
    /// The WebSocket is open. Who its client is, is known (`Context::is_known`) or learned later by `Request::Identify`.
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>);

    /// The client sent a message.
    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>);

    /// The part of the conversation that hears answers. `None`: this conversation asks nothing.
    fn asker(&mut self) -> Option<&mut dyn Ask>;
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
}

impl<'a> Said<'a> {
    /// The message as text, whichever opcode it had; binary that is not UTF-8 is an empty text.
    #[must_use]
    pub fn text(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Binary(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        }
    }
}

/// What a conversation is told of the server and its client with each call.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Now,
    pub view: &'a View,
    pub epoch: &'a str,
    /// Whether it is known who the client is.
    pub is_known: bool,
    /// Which tables there are.
    pub tables: &'a Schema,
}

/// What a conversation calls a question of its own, so that it knows the answer by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ticket {
    /// The id that the client gave to what it said, or that it gave none.
    Id(Option<SubId>),
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
    /// Subscribes to what happens from here on: for dialects whose answer to that says more than a subscription's id. It is answered before anything of it is told.
    Subscribe(Arc<Subscription>),
    /// Rows of a table. They come in pages, each in an answer of its own with the same ticket; nothing else that the client says is carried out before the last one. What the client's
    /// token does not let it see is not there.
    Query(Box<Query>),
    /// Changes a row. It is answered before the client hears the row's event.
    Write(Box<Write>),
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// What became of drafts.
    Published(Published<'a>),
    /// The client is who the token names; when the token expires, in seconds since 1970.
    Identified { expires_at_s: Option<u64> },
    /// The token is refused.
    NotIdentified { reason: &'a str },
    /// The subscription is there, or why it is not.
    Subscribed(Result<(), &'a Refusal>),
    /// Rows of a query; `Page::end` says whether they are the last.
    Rows(&'a Page),
    /// What became of a write.
    Written(&'a Written),
    /// A query or a write is refused, or failed; a query's pages may have come before.
    TableFailed(&'a TableError),
}

/// One thing to be done for a client.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends the client this message; `kind`: what an event stream calls it.
    Say { kind: &'static str, text: Box<[u8]> },
    /// From here on these are the client's subscriptions, by id; its other subscriptions end without a word.
    Want(Vec<Wish>),
    /// Subscribes; the outcome is told (`Dialect::outcome`).
    Subscribe(Wish),
    /// Changes a running subscription; the outcome is told.
    Update { id: SubId, change: Box<Change>, seek: Box<Seek> },
    /// Ends a subscription; the outcome is told.
    Unsubscribe { id: SubId },
    /// Asks a question; the answer comes to `Ask::answered` with this ticket.
    Ask { ticket: Ticket, what: Request },
    /// Charges the client with so many steps of a filter's work, done to read its message. A client that has used up its allowance is closed.
    Pay { steps: u64 },
    /// Closes the WebSocket with this code and reason.
    Close { code: u16, reason: &'static str },
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
    /// What it is told of the past, be it new or running.
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
