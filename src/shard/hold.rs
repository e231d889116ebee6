//! A connection's hold on the name that is its client's own, and what has come for those who have one.
//!
//! Invariant: what a client goes on from lies with its connection until it has gone on, so that it is left again if it never does. Never asks for a name.

use std::sync::Arc;

use super::bookmark::Begun;
use super::bookmark::Bookmark;
use super::bookmark::ClientName;
use super::input::Address;
use super::input::ConnRef;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::event::Event;

/// What was last written of a session whose client is there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Noted {
    /// When, in seconds since the start.
    pub(super) at_s: u32,
    /// Messages that had been acknowledged.
    pub(super) acknowledged: u32,
}

/// A connection's hold on a name.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) name: ClientName,
    /// The connection was told that the name is its own.
    pub(super) is_granted: bool,
    /// What the session goes on from, until it has.
    pub(super) left: Option<Box<Bookmark>>,
    /// Subscriptions that began while something before them was still to be sent.
    pub(super) begun: Vec<Begun>,
    /// Something of the session is missing: nothing of it is left behind.
    pub(super) is_lost: bool,
    /// Something of it lies in the folder of a store.
    pub(super) is_lying: bool,
    pub(super) noted: Noted,
    /// Answers that are awaited before the client is told that it has what it asked for.
    pub(super) awaited: u8,
    /// What the client shares with others, if it does.
    pub(super) shared: Option<Box<SharedPart>>,
}

/// What a client shares with others.
#[derive(Debug, Default)]
pub(super) struct SharedPart {
    /// Groups that share a subscription of the client's.
    pub(super) joined: Vec<Joined>,
    /// What the groups have handed to the client, and with which it is not done.
    pub(super) handed: Vec<Handed>,
}

/// A group that a connection has joined.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) name: ClientName,
    pub(super) sub: SubId,
    pub(super) subscription: Arc<Subscription>,
}

/// A group that a connection has left, and what goes back to it for another.
#[derive(Debug)]
pub(super) struct Parted {
    pub(super) name: ClientName,
    pub(super) address: Address,
    pub(super) back: Vec<Arc<Event>>,
}

/// An event that a group has handed to a connection.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) name: ClientName,
    pub(super) sub: SubId,
    pub(super) event: Arc<Event>,
}

/// What has come for those who have names, or from them, since the last turn.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Connections here whose names others have now.
    pub(super) taken_over: Vec<ConnRef>,
    /// Names that connections here have now, and what they go on from.
    pub(super) granted: Vec<(ConnRef, ClientName, Option<Box<Bookmark>>)>,
    /// Names that connections here have let go of, and what they have left behind.
    pub(super) released: Vec<(ClientName, Address, Option<Box<Bookmark>>)>,
    /// Groups that connections here have left.
    pub(super) parted: Vec<Parted>,
    /// Connections here whose sessions were written as they wanted, or could not be.
    pub(super) kept: Vec<(ConnRef, bool)>,
}

impl Names {
    /// Whether there is nothing to do.
    pub(super) const fn is_empty(&self) -> bool {
        self.taken_over.is_empty()
            && self.granted.is_empty()
            && self.released.is_empty()
            && self.parted.is_empty()
            && self.kept.is_empty()
    }
}
