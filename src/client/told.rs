//! What a subscription is told, as values.
//!
//! Members that this version does not know are passed over. Pure.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Something happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// The topic's name.
    pub topic: String,
    /// Which thing it is about; empty: nothing in particular.
    pub key: String,
    /// `upsert`, `delete`, `event` or `leave`.
    pub op: String,
    /// Counts the topic's events.
    pub offset: u64,
    /// When the server ordered it, in microseconds since 1970.
    pub time_us: u64,
    /// The payload's text, as it was published.
    pub payload: Box<RawValue>,
}

impl Event {
    /// The payload as a value of the application's.
    ///
    /// # Errors
    /// If it is not one.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.payload.get())
    }
}

/// Events of a topic that are not coming, from the first of them to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The topic's name, or the pattern that was subscribed to where the server has forgotten topics; then `to` is 0.
    pub topic: String,
    /// The offset of the first of them.
    pub from: u64,
    /// The offset of the last of them.
    pub to: u64,
    /// `evicted`, `epoch`, `slow`, `corrupt`, `unavailable`, or what later servers say.
    pub reason: String,
}

/// Events that were passed over because newer ones of the same keys follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// When the server ordered the first of them, in microseconds since 1970.
    pub from_us: u64,
    /// When it ordered the last of them, in microseconds since 1970.
    pub to_us: u64,
}

/// The past has been told, and the present begins: after the first connection, and after each further one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// What of the time before is not coming: each was told in its place, too; the first 1,024.
    pub gaps: Vec<Gap>,
    /// How many events of the past were told over this connection.
    pub replayed: u64,
}

impl Live {
    /// Whether everything since the position was told, and nothing is missing.
    #[must_use]
    pub const fn is_recovered(&self) -> bool {
        self.gaps.is_empty()
    }
}

/// What comes out of a subscription, in its order.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something happened.
    Event(Event),
    /// Events that are not coming.
    Gap(Gap),
    /// Events that were passed over.
    Skipped(Skipped),
    /// The present begins.
    Live(Live),
}

/// An event has its place in its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The topic's name.
    pub topic: String,
    /// The numbering that the offset is of.
    pub epoch: String,
    /// The event's place in its topic.
    pub offset: u64,
    /// When the server ordered it, in microseconds since 1970.
    pub time_us: u64,
}

/// Where the client stands, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// An attempt begins.
    Connecting,
    /// The server is there, and has taken the token if there is one.
    Open {
        /// The epoch of its offsets.
        epoch: String,
    },
    /// Until the next attempt.
    Waiting {
        /// Why.
        lost: Lost,
        /// For how long.
        wait: Duration,
    },
    /// The end.
    Closed {
        /// Why.
        lost: Lost,
    },
}

/// Why a connection ended, or was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Of which kind the reason is.
    pub cause: Cause,
    /// The close code, or the status that a handshake was refused with; 0 if there is neither.
    pub code: u16,
    /// In words.
    pub reason: String,
}

/// Of which kind the reason of a state is: `docs/CLIENTS.md` says what follows from each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The connection broke, or could not be made.
    Lost,
    /// Nothing was heard for too long.
    Silent,
    /// The server stops, and has said when to come back.
    Stopping,
    /// The token is over.
    Expired,
    /// The token was revoked.
    Revoked,
    /// A token is needed.
    Required,
    /// The application could not give a token.
    NoToken,
    /// The server took none of the tokens.
    Refused,
    /// The same client would only be told the same again.
    Mistake,
    /// The application closed it.
    Closed,
}

impl Cause {
    /// The cause's name, as `docs/CLIENTS.md` has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Stopping => "stopping",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Required => "required",
            Self::NoToken => "no_token",
            Self::Refused => "refused",
            Self::Mistake => "mistake",
            Self::Closed => "closed",
        }
    }

    /// What a close of the server's says about the token, if it does.
    pub(crate) fn of_reason(reason: &str) -> Option<Self> {
        match reason {
            "token expired" => Some(Self::Expired),
            "token revoked" => Some(Self::Revoked),
            "authentication required" => Some(Self::Required),
            _ => None,
        }
    }
}
