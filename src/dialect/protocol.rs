//! What a folder declares of itself: its doors, what may be set of it, and how its messages are written.
//!
//! Invariant: everything that the rest of the server knows of a dialect stands in its declaration, so a dialect that is added is its folder
//! and a line in the list. What a declaration leaves out does not exist: nothing is filled in for it.

use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;

use crate::dialect::Correspond;
use crate::dialect::Door;
use crate::dialect::NoPacket;
use crate::dialect::Opening;
use crate::dialect::Outcome;
use crate::dialect::Setup;
use crate::dialect::Subs;
use crate::dialect::View;
use crate::dialect::Views;
use crate::event::Event;
use crate::event::Payload;
use crate::event::Text;

/// A protocol, as its folder declares it.
#[derive(Debug)]
pub struct Protocol {
    /// The word for it in the configuration, and for its listener.
    pub key: &'static str,
    /// What pages call it.
    pub name: &'static str,
    pub doors: &'static [Door],
    /// `Some`: its clients came from somewhere. Then it may have a listener of its own, and sees topics under names of its own.
    pub guest: Option<Guest>,
    /// `Some`: its clients say packets: on its own listener without anything around them, elsewhere in a WebSocket's binary messages.
    pub packets: Option<&'static Packets>,
    /// What may be set of it besides.
    pub settings: &'static [Setting],
}

/// How a protocol's packets are told apart, and who hears them.
#[derive(Debug)]
pub struct Packets {
    /// Whether a connection that begins with this byte is a client's of the protocol; if not, it is HTTP.
    pub begins: fn(u8) -> bool,
    /// Bytes of the packet that begins here, at most so many; `None`: too few have come to tell.
    pub length: fn(&[u8], usize) -> Result<Option<usize>, NoPacket>,
    /// Begins a conversation without a request before it.
    pub opens: fn(&Setup<'_>) -> Opening,
}

/// How a protocol's messages are said by publishing them, in another protocol that carries publications: `PREFIX/CLIENT/request` is heard, and answers
/// and events go to `PREFIX/CLIENT/response` and `PREFIX/CLIENT/notify/NAME`. They are told to the connection that asked, and to nobody else.
#[derive(Debug)]
pub struct ByTopic {
    pub protocol: &'static Protocol,
    /// Begins a conversation, each of whose messages is a publication.
    pub opens: fn(&Views) -> Box<dyn Correspond>,
    /// As [`Dialect::encode`].
    pub encode: Encode,
    /// As [`Dialect::head`], for the subscription of this id.
    pub head: fn(&str, &Event, &mut Vec<u8>),
    /// What the topic of a subscription's events ends with, by its id.
    pub name_of: fn(&str) -> &str,
    /// The setting that says with which quality of service answers and events are told.
    pub qos: &'static str,
}

/// What the page of the configuration says of a protocol whose clients came from somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// As part of a sentence: `peat-node's dialect`.
    pub called: &'static str,
    /// Where the dialect's origin listens, as a sentence without a full stop.
    pub origin: &'static str,
    /// What deletes are told as if that is switched on, in a dialect that has no word for them. `None`: it has one.
    pub deletes_as: Option<&'static str>,
    /// What a secret is for that all its clients share, in whole sentences. `None`: it knows of none.
    pub secret: Option<&'static str>,
    /// What clients' messages are published under in a protocol that carries publications, as its origin has it. `None`: they are not published.
    pub published_under: Option<&'static str>,
}

/// A number, or a switch that is 0 or 1, that an operator may set of one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: &'static str,
    pub takes: SettingTakes,
    pub default: u64,
    /// What the setting means, in whole sentences.
    pub doc: &'static str,
}

/// Which values a setting may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingTakes {
    Switch,
    Number { min: u64, max: u64, unit: &'static str },
}

/// What writes the message of one event.
pub type Encode = fn(&Event, Payload<'_>, &View, &mut Text);
/// What writes that part of a message which differs by subscriptions.
pub type Head = fn(&Heading<'_>, &mut Vec<u8>);
/// What writes the punctuation of a message of several events.
pub type Punctuation = fn(BatchPart, u64, &mut Vec<u8>);
/// What says farewell: for a close code and its reason, as a WebSocket would be closed with them, to a client that takes packets of so many bytes at most (0: of
/// any); the code that a WebSocket is closed with.
pub type Farewell = fn(u16, &str, u32, &mut Vec<u8>) -> u16;
/// What says an outcome, and what an event stream calls that message; `None`: there are no words for this one.
pub type PutOutcome = fn(&Outcome<'_>, &mut Vec<u8>) -> Option<&'static str>;

/// How one protocol writes events, or one of its forms. Pure encoding: who talks with a client is a [`Talk`](crate::dialect::Talk).
#[derive(Debug)]
pub struct Dialect {
    /// No other dialect has this name.
    pub name: &'static str,
    pub protocol: &'static Protocol,
    /// Appends what every subscriber of an event is sent alike; stands after the head in one message. The payload is the event's, or what is
    /// left of it where subscribers asked for some of its members only. The same each time it is asked for.
    pub encode: Encode,
    /// Appends what differs by the subscriptions that an event matches, and stands before the shared body. `None`: nothing differs.
    pub head: Option<Head>,
    /// Which of the subscriptions that an event matches are each sent a message of their own. `None`: all share one.
    pub apart: Option<fn(Subs<'_>) -> u64>,
    /// How several events are one message. `None`: every event is a message of its own.
    pub run: Option<Run>,
    /// The dialect in which a batch is told to whoever asks for columns; what is no batch is told in this one. `None`: nobody asks.
    pub columns: Option<DialectId>,
    /// Appends what a client is told of what becomes of its subscriptions. `None`: there are no words for any of it.
    pub outcome: Option<PutOutcome>,
    /// How a call is answered with a stream of messages. `None`: none is.
    pub envelopes: Option<Envelopes>,
    /// What a client is told before it is closed. `None`: what its transport says of it.
    pub farewell: Option<Farewell>,
    pub manners: Manners,
}

/// What that part of a message which differs by subscriptions is written for.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    pub form: Form,
    pub event: &'a Event,
    pub view: &'a View,
    /// The subscriptions that the event matches.
    pub subs: Subs<'a>,
    /// Bytes of the body behind it.
    pub body_bytes: usize,
    pub told: Told,
}

/// How one client is told of an event; the default is how all are that are told alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The number that it acknowledges it by; 0: it need not.
    pub number: u16,
    /// The quality of service, if it has a number.
    pub qos: u8,
    /// The message was sent under this number before.
    pub is_again: bool,
    /// The event is of the past.
    pub is_past: bool,
    /// When the event is told, in microseconds since 1970; 0: as it is ordered.
    pub now_us: u64,
}

/// How several events are one message.
#[derive(Clone, Copy, Debug)]
pub enum Run {
    /// All events as they come, each written as head and body: this appends the begin, the separator or the end; the time in microseconds since 1970 is the first
    /// one's.
    Joined(Punctuation),
    /// Each topic's events are a message of their own, which is made of their bodies once it is complete.
    PerTopic(PerTopic),
    /// All events as they come, in a message that is made of what was written of each once it is complete.
    Whole(Whole),
}

/// How events of any topics become one message.
#[derive(Clone, Copy, Debug)]
pub struct Whole {
    /// What an event stream calls the message.
    pub kind: &'static str,
    /// Whether an event, the second one, may be in one message with those before it.
    pub goes_with: fn(&[u8], &[u8]) -> bool,
    /// Appends the message of events, one after the other.
    pub end: fn(&[u8], &mut Vec<u8>),
}

/// How the events of one topic become one message.
#[derive(Clone, Copy, Debug)]
pub struct PerTopic {
    /// Whether the body of an event, the second one, may be in one message with the bodies before it.
    pub goes_with: fn(&[u8], &[u8]) -> bool,
    /// Appends the message of bodies, one after the other.
    pub end: fn(&[u8], &mut Vec<u8>),
    /// Appends the whole message of an event that is alone in it, where parts of the payload are sent from where they are.
    pub alone: Encode,
}

/// What a stream of messages has besides them.
#[derive(Clone, Copy, Debug)]
pub struct Envelopes {
    /// Appends what stands before a message of so many bytes.
    pub put: fn(usize, &mut Vec<u8>),
    /// Appends the last message, envelope and all: a close code and its reason say why it is the last, as they would on a WebSocket.
    pub put_end: fn(u16, &str, &mut Vec<u8>),
}

impl Dialect {
    /// Appends what differs by subscriptions, if anything does.
    pub fn put_head(&self, heading: &Heading<'_>, out: &mut Vec<u8>) {
        if let Some(head) = self.head {
            head(heading, out);
        }
    }

    /// How several events are one message.
    ///
    /// # Panics
    /// If they never are: then none of its subscriptions asks for it.
    #[must_use]
    pub fn run(&self) -> Run {
        self.run.expect("a dialect without batches asks for none")
    }

    /// Appends what a client is told of an outcome, if there are words for it.
    #[must_use]
    pub fn put_outcome(&self, outcome: &Outcome<'_>, out: &mut Vec<u8>) -> Option<&'static str> {
        self.outcome.and_then(|put| put(outcome, out))
    }

    /// How streams of messages are written.
    ///
    /// # Panics
    /// If there are none: then no call is answered with one.
    #[must_use]
    pub fn envelopes(&self) -> Envelopes {
        self.envelopes.expect("a call is answered with a stream in a dialect that has envelopes")
    }

    /// Which subscriptions are sent a message of their own.
    #[must_use]
    pub fn apart(&self, subs: Subs<'_>) -> u64 {
        self.apart.map_or(0, |apart| apart(subs))
    }
}

/// A dialect, by where it is declared.
#[derive(Clone, Copy)]
pub struct DialectId(&'static Dialect);

impl DialectId {
    #[must_use]
    pub const fn of(dialect: &'static Dialect) -> Self {
        Self(dialect)
    }

    /// How the dialect writes.
    #[must_use]
    pub const fn speaker(self) -> &'static Dialect {
        self.0
    }
}

impl PartialEq for DialectId {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for DialectId {}

// By name and not by address: what is hashed is in the same order in every process.
impl Hash for DialectId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl fmt::Debug for DialectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

/// How a dialect treats its clients, where its specification says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    pub silence: Silence,
    /// The close code and reason for a subscriber whose outbox is full, if nothing may be dropped; `None`: its subscriptions all drop the
    /// oldest in silence, so that there is always room.
    pub slow: Option<(u16, &'static str)>,
    /// How a client is sent away that the server will not have any longer.
    pub ending: Ending,
    /// Bytes of a message that is deflated; a smaller one is sent as it is.
    pub deflate_bytes_min: usize,
    /// What the reason of 1008 says to a client that sends more messages in a second than it may.
    pub flood: &'static str,
    /// Whether what a client says behind a subscription to the present is heard only once that is live.
    pub hears_once_live: bool,
    /// Whether the dialect has a word for when a client is to come back; if not, clients are closed one after the other when the server stops.
    pub says_reconnect: bool,
    /// Whether the dialect has a word for which other server a client is to go to: then it is closed with 4011, or for good with 4012, and the server's name as the reason.
    pub says_elsewhere: bool,
}

/// What a client that sends too many messages is told, where its dialect has no words of its own for that.
pub const FLOOD: &str = "messages_per_s: too many messages in a second";

/// What becomes of a client that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The connection is pinged, and closed with 1011 if it does not answer that either.
    Pinged,
    /// The connection is closed with 1000 after as many seconds as this setting of the protocol says.
    Closed { after_s: &'static str },
    /// The connection is closed with 1000 after as many seconds as it has agreed to (`Step::Silence`).
    Agreed,
}

/// How the server ends a connection of its own accord. What the dialect itself closes, and what breaks the protocol of WebSockets, is closed with a close frame always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a close frame that says why.
    Close,
    /// Without a word: a close frame would keep its clients from coming back.
    Abort,
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
