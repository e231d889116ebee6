//! What of a client outlasts its connection: where it stands, what it wants, and what is in flight. A bookmark and not a queue: what is published
//! while its client is away lies in history, once for all.
//!
//! Invariants: of each home all that was stamped up to the bookmark's moment, and is to be acknowledged, was sent, and nothing that was stamped after it; a
//! message in flight lies in it. Never knows a dialect: what a conversation remembers are bytes to it.

use std::sync::Arc;

use crate::dialect::SubId;
use crate::dialect::Will;
use crate::event::Event;
use crate::limits::BOOKMARK_BYTES;

/// The name that is a client's own among those of its user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientName(Arc<str>);

impl ClientName {
    /// Of a user, or of whoever is anonymous.
    pub(super) fn new(user: Option<&str>, client: &str) -> Self {
        match user {
            Some(user) => Self(format!("{}:{user}{client}", user.len()).into()),
            None => Self(format!(":{client}").into()),
        }
    }

    /// Whose the name is: the same for all names of one user.
    pub(super) fn owner(&self) -> &str {
        let (digits, rest) = self.0.split_once(':').unwrap_or_default();
        rest.get(..digits.parse().unwrap_or(0)).unwrap_or_default()
    }

    /// One that was kept.
    pub(super) fn kept(name: &str) -> Self {
        Self(name.into())
    }

    /// The name as it is kept.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a subscription began, if that is later than where its client stands: the newest stamp of each home until then.
pub(super) type Begun = (SubId, Box<[u64]>);

/// Where a client is to go on.
#[derive(Clone, Debug, Default)]
pub struct Bookmark {
    /// What the session's conversation remembers.
    pub(super) words: Box<[u8]>,
    /// Up to which stamp of each home everything was sent.
    pub(super) homes: Box<[u64]>,
    pub(super) begun: Box<[Begun]>,
    /// Subscriptions that were being told which states there are, and are to be told of them anew.
    pub(super) untold: Box<[SubId]>,
    pub(super) in_flight: Option<Box<Underway>>,
    /// What is to be published for its client, once so many seconds have passed or it ends.
    pub(super) will: Option<Box<Will>>,
    /// Seconds for which it is kept.
    pub(super) lasts_s: u32,
    /// The client knows of the session; a client that does not does not go on from it.
    pub(super) is_met: bool,
    /// All that it waits for outlasts the process, and so it does.
    pub(super) is_durable: bool,
}

/// Messages that were in flight, and the subscriptions that their bits mean, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Underway {
    pub(super) subs: Box<[SubId]>,
    pub(super) of: InFlight,
}

/// A message that its client has not acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Flying {
    pub(super) number: u16,
    pub(super) event: Arc<Event>,
    /// The subscriptions that it is for, one bit each.
    pub(super) subs: u64,
    /// The quality of service that it is told with.
    pub(super) qos: u8,
    /// The event is told as one of the past.
    pub(super) is_past: bool,
}

/// What a window holds when its connection ends.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    pub(super) last: u16,
    pub(super) flying: Vec<Flying>,
    pub(super) received: Vec<u16>,
}

impl InFlight {
    /// Whether nothing is.
    pub(super) const fn is_empty(&self) -> bool {
        self.flying.is_empty() && self.received.is_empty()
    }
}

impl Bookmark {
    /// Whether something of it is to be told exactly once.
    pub(super) fn is_once(&self) -> bool {
        let underway = self.in_flight.as_deref();
        underway.is_some_and(|of| {
            !of.of.received.is_empty() || of.of.flying.iter().any(|flying| flying.qos > 1)
        })
    }

    /// Bytes that it takes, with its name and its place.
    pub(super) fn weight_bytes(&self, name: &ClientName) -> usize {
        let begun = self.begun.iter().map(|(id, homes)| 64 + id.len() + size_of_val(&**homes));
        let underway = self.in_flight.as_deref().map_or(0, Underway::weight_bytes);
        let will = self.will.as_ref().map_or(0, |will| 32 + will.draft.weight_bytes());
        BOOKMARK_BYTES
            + name.as_str().len()
            + self.words.len()
            + size_of_val(&*self.homes)
            + begun.sum::<usize>()
            + self.untold.iter().map(|id| 32 + id.len()).sum::<usize>()
            + underway
            + will
    }
}

impl Underway {
    fn weight_bytes(&self) -> usize {
        let events = self.of.flying.iter().map(|flying| 64 + flying.event.weight_bytes());
        let subs = self.subs.iter().map(|id| 32 + id.len());
        size_of::<Self>() + 2 * self.of.received.len() + events.sum::<usize>() + subs.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_write_another_users_name() {
        let name = |user, client| ClientName::new(user, client);
        assert_ne!(name(Some("a"), "bc"), name(Some("ab"), "c"));
        assert_ne!(name(None, "1:ab"), name(Some("a"), "b"));
        assert_ne!(name(Some(""), "x"), name(None, "x"));
        assert_eq!(name(Some("ada:1"), "b:2").owner(), "ada:1");
        assert_eq!(name(None, "3:x").owner(), "");
    }
}
