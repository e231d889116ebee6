//! What a connection that is not in step still has to be sent: one thing of it.
//!
//! Invariant: an event is held once, whoever's item it is. Never decides what becomes of one.

use std::sync::Arc;

use crate::event::Event;
use crate::event::Mark;

/// Bytes that an item costs besides what it holds.
pub(crate) const ITEM_BYTES: usize = 48;

/// One thing to be sent.
#[derive(Clone, Debug)]
pub enum Item {
    /// An event, and which of the connection's subscriptions it is for, one bit each.
    Event { event: Arc<Event>, subs: u64 },
    /// An event of the past that is told out of the order of its stamp, and that no policy drops.
    Past { event: Arc<Event>, subs: u64 },
    /// An event that is told to this connection alone, in answer to it; no policy drops it.
    Own { event: Arc<Event>, subs: u64 },
    /// A message of the server's, as text, and the word for what it is.
    Said { kind: &'static str, text: Box<[u8]> },
    /// Up to which stamp of which shards everything has now been sent; no bytes of its own.
    Reached {
        homes: Box<[(u16, u64)]>,
        /// What the reader has now had of its topic, if it asked for one.
        mark: Option<Mark>,
    },
    /// Bytes that go as they are: a control frame.
    Raw(Box<[u8]>),
    /// The place of an answer that is not known yet: nothing behind it leaves before it is filled. At most one.
    Reserved,
}

impl Item {
    /// Whether the server says it of itself: nothing else holds its bytes.
    pub(super) const fn is_answer(&self) -> bool {
        matches!(self, Self::Own { .. } | Self::Said { .. } | Self::Raw(_) | Self::Reserved)
    }

    /// The event that it tells of, and which of the connection's subscriptions it is for.
    #[must_use]
    pub const fn event(&self) -> Option<(&Arc<Event>, u64)> {
        match self {
            Self::Event { event, subs }
            | Self::Past { event, subs }
            | Self::Own { event, subs } => Some((event, *subs)),
            Self::Said { .. } | Self::Reached { .. } | Self::Raw(_) | Self::Reserved => None,
        }
    }

    /// Keeps the item for these subscriptions only.
    pub(super) const fn set(&mut self, only: u64) {
        if let Self::Event { subs, .. } | Self::Past { subs, .. } | Self::Own { subs, .. } = self {
            *subs = only;
        }
    }

    pub(super) fn weight_bytes(&self) -> usize {
        ITEM_BYTES
            + match self {
                Self::Event { event, .. } | Self::Past { event, .. } | Self::Own { event, .. } => {
                    event.weight_bytes()
                }
                Self::Said { text: bytes, .. } | Self::Raw(bytes) => bytes.len(),
                Self::Reached { homes, .. } => size_of_val(&**homes),
                Self::Reserved => 0,
            }
    }
}
