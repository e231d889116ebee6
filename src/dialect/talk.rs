//! What every dialect is on a connection: one conversation, a state machine without a socket.
//!
//! A conversation hears what its client says, and is told what became of what it wanted and what it asked; it answers with steps, which
//! the shard takes in order. Invariants: what is asked once is answered once, and known by its ticket; nobody speaks to a client but its
//! conversation. No method has a default body, and none is empty.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Now;
use crate::dialect::Change;
use crate::dialect::DialectId;
use crate::dialect::Outcome;
use crate::dialect::Placed;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Setup;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::event::Draft;
use crate::event::TopicName;
use crate::limits::RETRY_AFTER_S;
use crate::position::Since;

/// One client's side of a dialect.
pub trait Talk: fmt::Debug + Send {
    /// The connection is open. Who the client is, is known now or learned later by `Request::Identify`.
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>);

    /// The client said something.
    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>);

    /// What became of something that it wanted, or what the server has to say besides events: appends its words, where it has some.
    fn told(&mut self, outcome: &Outcome<'_>, out: &mut Vec<u8>) -> Voiced;

    /// What it asked is answered.
    fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    );

    /// The connection ends, and this is why, as a close code and its reason: appends a stream's last message, where the dialect has one.
    fn ended(&mut self, code: u16, reason: &str, out: &mut Vec<u8>) -> Voiced;
}

/// What a client says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// A message that is text.
    Text(&'a str),
    /// A message that is binary.
    Binary(&'a [u8]),
    /// A whole packet: the body of a call.
    Packet(&'a [u8]),
}

impl<'a> Said<'a> {
    /// As text, be it said so or in binary; what is no text is heard as nothing.
    #[must_use]
    pub fn text(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Binary(bytes) | Self::Packet(bytes) => {
                std::str::from_utf8(bytes).unwrap_or_default()
            }
        }
    }
}

/// Whether a conversation has words for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voiced {
    /// The dialect has none.
    Silent,
    /// They were appended; this is what an event stream calls them.
    As(&'static str),
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
    /// Which topics there are, on all shards together.
    Topics(Listing),
}

/// Which topics are listed.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Whose subscribers' topics.
    pub dialect: DialectId,
    /// By which names a subscription of that dialect is listed.
    pub names_of: fn(&Subscription, &View) -> Vec<String>,
    /// Whether topics are listed as well that events were seen of.
    pub with_seen: bool,
    /// Whether a name says what others filter by: it is for whoever may hear all that the dialect sees.
    pub is_filter: fn(&str, &Setup<'_>) -> bool,
    /// At most so many names of each shard.
    pub names_max: usize,
}

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Of each draft, in order, its topic and its place, or why it has none.
    Published { topics: &'a [TopicName], results: &'a [PublishResult] },
    /// The client may not publish this, so nothing was.
    NotPublished { topic: &'a TopicName, refusal: &'a Refusal },
    /// It is.
    Identified { expires_at_s: Option<u64> },
    /// It is not.
    NotIdentified { reason: &'a str },
    /// In order, each once; those that the client may know of.
    Topics(&'a [String]),
}

/// What became of one draft.
pub type PublishResult = Result<Placed, RefusalCode>;

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
    /// Answer the call with this.
    Reply(Box<Response>),
    /// Answer the call with a stream of messages: what is said and wanted from here on goes there.
    Stream { dialect: DialectId, content_type: &'static str },
    /// End the stream with this message, after everything that its client is owed.
    Last(Box<[u8]>),
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    /// Further fields: name and value.
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Step {
    /// Says a message that no event stream names.
    #[must_use]
    pub fn say(text: impl Into<Box<[u8]>>) -> Self {
        Self::Say { kind: "said", text: text.into() }
    }
}

impl Response {
    /// An answer in JSON.
    #[must_use]
    pub fn json(status: u16, body: Bytes) -> Self {
        let retry = matches!(status, 429 | 503 | 507);
        let headers = retry.then(|| ("retry-after", RETRY_AFTER_S.to_string()));
        Self {
            status,
            content_type: "application/json",
            headers: headers.into_iter().collect(),
            body,
        }
    }

    /// `{"error":{"code":…,"message":…}}`
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = serde_json::json!({ "code": code, "message": message });
        let body = serde_json::json!({ "error": error }).to_string();
        Self::json(status, body.into())
    }
}

/// A subscription that a conversation wants to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub subscription: Arc<Subscription>,
    /// What it is told of the past, be it new or running.
    pub since: Since,
}
