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
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::event::Draft;
use crate::position::Since;

/// One client's side of a dialect.
pub trait Talk: fmt::Debug + Send {
    /// The connection is open. Who the client is, is known now or learned later by `Request::Identify`.
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>);

    /// The client said something.
    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>);

    /// Who hears the answers to what it asks. `None`: it asks nothing.
    fn asker(&mut self) -> Option<&mut dyn Ask>;
}

/// A conversation that asks.
pub trait Ask {
    /// What it asked is answered.
    fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    );
}

/// What a client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// A message that is text.
    Text(&'a str),
    /// A message that is binary.
    Binary(&'a [u8]),
}

impl<'a> Said<'a> {
    /// As text, be it said so or in binary; what is no text is heard as nothing.
    #[must_use]
    pub fn text(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Binary(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        }
    }
}

/// What a conversation may know of the world.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub now: Now,
    pub view: &'a View,
    pub epoch: &'a str,
    /// Whether it is known who the client is.
    pub is_known: bool,
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
    /// Orders these. Either all of them are asked for or, where one may not be published, none is.
    Publish(Vec<Draft>),
    /// The client says that it is whoever this token was given to.
    Identify { token: Box<str> },
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// What became of drafts.
    Published(Published<'a>),
    /// It is.
    Identified { expires_at_s: Option<u64> },
    /// It is not.
    NotIdentified { reason: &'a str },
}

/// One thing to be done for a client.
#[derive(Clone, Debug)]
pub enum Step {
    /// Say this to it alone, as one message; `kind`: what an event stream calls it.
    Say { kind: &'static str, text: Box<[u8]> },
    /// From here on these are its subscriptions, by id; whatever else it has ends in silence.
    Want(Vec<Wish>),
    /// One subscription more. What became of it is told.
    Subscribe(Wish),
    /// Changes a running subscription. What became of it is told.
    Update { id: SubId, change: Box<Change> },
    /// Ends a subscription. What became of it is told.
    Unsubscribe { id: SubId },
    /// Ask; the answer names the ticket.
    Ask { ticket: Ticket, what: Request },
    /// So many steps of a filter's work were done to read what the client said. Who cannot pay is closed.
    Pay { steps: u64 },
    /// Say good-bye.
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
}
