//! The pace of one subscription: what goes at once, and what is held until its window ends.
//!
//! Invariants: of each key the newest event is held; what is sent at once ascends. Never sends anything itself.

use std::sync::Arc;

use super::keys::HeldEvents;
use super::keys::Keys;
use crate::clock::Now;
use crate::dialect::MaxRate;
use crate::dialect::RatePer;
use crate::event::Event;
use crate::event::Op;
use crate::event::TopicKey;
use crate::limits::SHAPED_KEYS_MAX;

/// What one subscription has been sent and is kept waiting for.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) rate: MaxRate,
    /// When the window ends that events are held until, in milliseconds since the start.
    pub(super) ends_ms: u64,
    /// Keys that had their update in this window.
    pub(super) sent: Keys,
    pub(super) held: HeldEvents,
    /// With one rate for the whole subscription: the key whose update is held. All else that is held are keys that leave.
    pub(super) newest: Option<TopicKey>,
}

/// What becomes of an event that a paced subscription wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// The event goes now.
    Now,
    /// The event waits for the window's end; `first`: nothing did before.
    Held {
        first: bool,
    },
    Full,
}

impl Pace {
    pub(super) fn new(rate: MaxRate) -> Self {
        Self { rate, ends_ms: 0, sent: Keys::default(), held: HeldEvents::default(), newest: None }
    }

    /// Sent at once only if nothing is held, or what is sent would not ascend.
    pub(super) fn offer(&mut self, event: &Arc<Event>, now: Now) -> Offered {
        self.begin_window(now);
        if !self.held.is_empty() {
            return self.hold(event);
        }
        let goes = match self.rate.per {
            RatePer::Key => self.sent.insert(event.topic_key()),
            // That a key leaves is no update: it is told of each, and a later update of another key is none of the first one.
            RatePer::Subscription if event.op == Op::Leave => true,
            RatePer::Subscription => self.sent.is_empty() && self.sent.insert(event.topic_key()),
        };
        match goes {
            true if self.sent.len() > SHAPED_KEYS_MAX => Offered::Full,
            true => Offered::Now,
            false => self.hold(event),
        }
    }

    /// Of the past only what is newest at its end is of interest: nothing goes at once.
    pub(super) fn offer_past(&mut self, event: &Arc<Event>, now: Now) -> Offered {
        self.begin_window(now);
        self.hold(event)
    }

    pub(super) fn begin_window(&mut self, now: Now) {
        if now.mono_ms >= self.ends_ms && self.held.is_empty() {
            self.ends_ms = now.mono_ms + u64::from(self.rate.every_ms);
            self.sent.clear();
        }
    }

    pub(super) fn hold(&mut self, event: &Arc<Event>) -> Offered {
        let first = self.held.is_empty();
        let key = event.topic_key();
        if self.rate.per == RatePer::Subscription {
            if event.op != Op::Leave
                && let Some(passed_over) = self.newest.replace(key.clone())
            {
                self.held.remove(&passed_over);
            } else if event.op == Op::Leave && self.newest.as_ref() == Some(&key) {
                self.newest = None;
            }
        }
        self.held.insert(key, Arc::clone(event));
        if self.held.len() > SHAPED_KEYS_MAX { Offered::Full } else { Offered::Held { first } }
    }

    /// What was held until the window's end, oldest first; a new window begins.
    pub(super) fn take_held(&mut self, now: Now) -> Vec<Arc<Event>> {
        self.ends_ms = now.mono_ms + u64::from(self.rate.every_ms);
        self.sent.clear();
        self.newest = None;
        let mut events = Vec::with_capacity(self.held.len());
        for (key, event) in std::mem::take(&mut self.held) {
            if self.rate.per == RatePer::Key || event.op != Op::Leave {
                self.sent.insert(key);
            }
            events.push(event);
        }
        events.sort_unstable_by_key(|event| event.time_us);
        events
    }
}
