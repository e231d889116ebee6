//! A token shown on an open connection confines what waits for it already, not only what comes.
//!
//! Invariant: what stands behind `authenticated` is granted by the token that was shown, wherever it waited: held by a rate, in a batch that is
//! still open, in the outbox, or on a page of the past. What was bytes before that (a flight to its class, a chunk of a slow reader)
//! stands before it. Nothing of others in its class changes.

use std::cell::Cell;
use std::sync::Arc;

use super::Shard;
use super::access::Who;
use super::input::ConnId;
use super::sight::bare;
use crate::batch::Item;
use crate::event::Event;
use crate::event::Op;
use crate::event::TopicName;
use crate::event::TopicPattern;

impl Who {
    /// Whether the client may know that something happened on a topic.
    pub(super) fn hears_of(&self, topic: &TopicName) -> bool {
        self.principal.may_hear(topic) && !self.is_barred(topic)
    }

    /// Whether this client may hear of every topic that a pattern can match.
    pub(super) fn hears_of_all(&self, topics: &TopicPattern) -> bool {
        match topics {
            TopicPattern::Exact(topic) => self.hears_of(topic),
            TopicPattern::Wild(_) => self.principal.may_subscribe(topics),
        }
    }

    /// Whether two tokens let the same be heard: then nothing that waits has to be looked at.
    pub(super) fn hears_alike(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.principal, &other.principal);
        ours.subscribe.patterns() == theirs.subscribe.patterns()
            && ours.forced_filters == theirs.forced_filters
            && ours.roles == theirs.roles
    }

    /// What is left of an event that was to be told. That a key is gone, or has left a filter, is told without its payload.
    fn confine_event(&self, event: &Arc<Event>, steps: &Cell<u64>) -> Option<Arc<Event>> {
        if self.lets_see(event, steps) {
            return Some(Arc::clone(event));
        }
        match event.op {
            Op::Delete if self.lets_know(event, steps) => Some(bare(event)),
            Op::Leave if self.hears_of(&event.topic) => Some(bare(event)),
            _ => None,
        }
    }
}

impl Shard {
    /// Confines what waits for a connection to whom it is now; the steps that its filters took. What runs is confined by `want`.
    pub(super) fn confine_waiting(&mut self, id: ConnId) -> u64 {
        let Some(who) = self.conns.find(id).and_then(|conn| conn.who.clone()) else { return 0 };
        let steps = &Cell::new(0);
        let open_batch = self.leave_open_batch(id);
        if let Some(solo) = self.conns.solo_mut(id) {
            solo.outbox.confine(
                |event| who.confine_event(event, steps),
                |topics| who.hears_of_all(topics),
            );
            for replay in &mut solo.replays {
                replay.is_narrowed = true;
                replay.live.offsets.retain(|(topic, _)| who.hears_of(topic));
            }
        }
        // Of the batch it has an outbox's worth of events instead, those that are granted: behind the outbox, which is judged once.
        for (event, subs) in open_batch {
            if let Some(event) = who.confine_event(&event, steps) {
                self.push_item(id, Item::Event { event, subs });
            }
        }
        let (confine, hears_of) =
            (|event: &_| who.confine_event(event, steps), |topic: &_| who.hears_of(topic));
        self.telling.shapings.confine(&mut self.conns, id, confine, hears_of);
        steps.get()
    }

    /// Takes a connection out of step; the events of the batch that its class is filling, which is not ended for it.
    pub(super) fn leave_open_batch(&mut self, id: ConnId) -> Vec<(Arc<Event>, u64)> {
        let class =
            self.conns.find(id).filter(|conn| conn.solo.is_none()).and_then(|conn| conn.class);
        let open = class.and_then(|class| self.classes.at(class).open.take());
        self.go_solo(id);
        let (Some(class), Some(open)) = (class, open) else { return Vec::new() };
        let told = open.told.iter().map(|batched| (Arc::clone(batched), batched.subs)).collect();
        if self.classes.at(class).members.is_empty() {
            self.telling.gathered.forget_batch(open.due_ms, class);
        } else {
            self.classes.at(class).open = Some(open);
        }
        told
    }
}
