//! A connection's hold on the name that is its client's own, and what has come for those who have one.
//!
//! Invariant: what a client goes on from lies with its connection until it has gone on, so that it is left again if it never does. Never asks for a name.

use super::bookmark::Begun;
use super::bookmark::Bookmark;
use super::bookmark::ClientName;
use super::input::Address;
use super::input::ConnRef;

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
    /// Connections here whose sessions were written as they wanted, or could not be.
    pub(super) kept: Vec<(ConnRef, bool)>,
}

impl Names {
    /// Whether there is nothing to do.
    pub(super) const fn is_empty(&self) -> bool {
        self.taken_over.is_empty()
            && self.granted.is_empty()
            && self.released.is_empty()
            && self.kept.is_empty()
    }
}
