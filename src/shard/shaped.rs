//! What the paced and leaving subscriptions of one connection remember.
//!
//! Invariant: what a changed subscription has sent before stays remembered. Never sends anything.

use std::sync::Arc;

use super::keys::Keys;
use super::pace::Pace;
use crate::dialect::Subscription;
use crate::event::Event;

/// What a connection's paced and leaving subscriptions remember.
#[derive(Debug, Default)]
pub(super) struct Shaping {
    pub(super) subs: Vec<Shaped>,
    /// Bytes of what is remembered that the shard has counted.
    pub(super) counted: usize,
}

/// What one paced or leaving subscription remembers.
#[derive(Debug)]
pub(super) struct Shaped {
    /// Which of the connection's subscriptions.
    pub(super) sub: u8,
    pub(super) pace: Option<Pace>,
    /// Keys that were sent and have not left.
    pub(super) inside: Option<Keys>,
}

impl Shaped {
    pub(super) fn new(sub: u8, subscription: &Subscription) -> Self {
        let inside = subscription.leave.then(Keys::default);
        Self { sub, pace: subscription.max_rate.map(Pace::new), inside }
    }

    /// When the window ends that something is held until.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.pace.as_ref().filter(|pace| !pace.held.is_empty()).map(|pace| pace.ends_ms)
    }

    pub(super) fn bytes(&self) -> usize {
        let paced = self.pace.as_ref().map_or(0, |pace| pace.sent.bytes() + pace.held.bytes());
        paced + self.inside.as_ref().map_or(0, Keys::bytes)
    }

    /// Takes over what a changed subscription has sent before; returns the keys that nobody has to hear of any more.
    pub(super) fn follow(&mut self, before: Self) -> Keys {
        if let (Some(pace), Some(before)) = (&mut self.pace, before.pace)
            && pace.rate == before.rate
        {
            *pace = before;
        }
        match (&mut self.inside, before.inside) {
            (Some(inside), Some(before)) => {
                *inside = before;
                Keys::default()
            }
            (None, Some(before)) => before,
            (_, None) => Keys::default(),
        }
    }
}

impl Shaping {
    /// Takes an event's key out of those that are inside for one subscription; whether it was among them. `None`: it remembers none.
    pub(super) fn take_inside(&mut self, sub: u8, event: &Event) -> Option<bool> {
        let shaped = self.subs.iter_mut().find(|shaped| shaped.sub == sub)?;
        let inside = shaped.inside.as_mut()?;
        Some(inside.remove(&event.topic_key()))
    }

    /// What rates keep the connection waiting for.
    pub(super) fn held(&self) -> impl Iterator<Item = &Arc<Event>> {
        let paces = self.subs.iter().filter_map(|shaped| shaped.pace.as_ref());
        paces.flat_map(|pace| pace.held.values())
    }
}
