//! Updates at the subscriber's own pace, and keys that leave its filter.
//!
//! Invariants: of each key the newest event is sent in the end; what a subscription is sent ascends; a key that was sent, and no longer
//! passes, is announced once. State like this is one connection's own, so its class has no other member.

use std::cell::Cell;
use std::sync::Arc;

use bytes::Bytes;

use super::Shard;
use super::conns::Conn;
use super::input::ConnId;
use super::pace::Pace;
use super::shaped::Shaping;
use super::transport::Voice;
use crate::batch::Item;
use crate::batch::Pushed;
use crate::clock::Now;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::Fields;
use crate::event::Op;
use crate::limits::UNITS_EVENT;

/// What is known of an event of the past for one subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct PastEvent {
    /// The event passes the filter.
    pub(super) passes: bool,
    /// Nothing is known of what its key was before.
    pub(super) is_news: bool,
    /// The event is told at its own time, so rates hold for it as they do for what is new.
    pub(super) is_played: bool,
}

/// The event's twin that says that its key has left.
fn leave_of(event: &Event) -> Arc<Event> {
    Arc::new(Event { op: Op::Leave, ..event.clone() })
}

/// The leave of an event for one connection: what the connection's token keeps from it is not in the leave.
fn leave_for(conn: Option<&Conn>, event: &Event, steps: &Cell<u64>) -> Arc<Event> {
    let who = conn.and_then(|conn| conn.who.as_deref());
    if who.is_some_and(|who| who.lets_see(event, steps)) {
        return leave_of(event);
    }
    let payload = Bytes::from_static(b"{}");
    Arc::new(Event { op: Op::Leave, payload, fields: Fields::default(), ..event.clone() })
}

impl Shard {
    /// Sees an event that a shaped connection's subscriptions want; returns those that get it now.
    pub(super) fn shape(&mut self, id: ConnId, event: &Arc<Event>, subs: u64, now: Now) -> u64 {
        let offer = |pace: &mut Pace, event: &Arc<Event>| pace.offer(event, now);
        let go = self.telling.shapings.offer(&mut self.conns, id, (event, subs), offer);
        self.unless_full(id, go, now)
    }

    fn unless_full(&mut self, id: ConnId, go: Option<u64>, now: Now) -> u64 {
        if go.is_none() {
            // Its class may be gone with it.
            self.outbox_full(id, now);
        }
        go.unwrap_or(0)
    }

    /// Announces an event's key to those who had it inside and whose filter it no longer passes. `matched` knows who still wants it.
    pub(super) fn announce_leaves(
        &mut self,
        event: &Arc<Event>,
        matched: &[(ConnId, u64)],
        now: Now,
    ) {
        for (id, subs) in self.telling.shapings.take_leaving(&mut self.conns, event, matched) {
            let steps = Cell::new(0);
            let leave = leave_for(self.conns.find(id), event, &steps);
            self.charge_looking(id, steps.get(), now);
            let subs = self.shape(id, &leave, subs, now);
            self.emit_to(id, &leave, subs, now);
        }
    }

    /// Sends what paced connections were kept waiting for.
    pub(super) fn end_windows(&mut self, now: Now) {
        // What is due and finds no room in this flight, or no time in this turn, is due to the next.
        while !self.telling.gathered.is_full()
            && let Some(conn) = self.telling.shapings.pop_ended(now)
        {
            if self.conns.find_ref(conn).is_some() {
                self.send_held(conn.id, |_, pace| pace.ends_ms <= now.mono_ms, now);
            }
            if self.telling.turn.is_spent() {
                break;
            }
        }
    }

    /// How far an event stream has come that is in step: as far as this shard, but not beyond what it is kept waiting for.
    pub(super) fn cursor_before_held(&self, id: ConnId) -> Vec<u64> {
        let mut cursor = self.telling.gathered.cursor().to_vec();
        let shaping = self.conns.find(id).and_then(|conn| conn.shaping.as_deref());
        for event in shaping.into_iter().flat_map(Shaping::held) {
            if let Some(sent) = cursor.get_mut(event.home.index()) {
                *sent = event.time_us.saturating_sub(1).min(*sent);
            }
        }
        cursor
    }

    /// Takes what is held of those subscriptions whose time has come, in the order in which it is to be sent.
    fn take_held(
        &mut self,
        id: ConnId,
        is_due: impl Fn(u8, &Pace) -> bool,
        now: Now,
    ) -> Vec<(Arc<Event>, u64)> {
        if self.conns.voice_of(id).is_some_and(Voice::is_sse) {
            // Each of these events has an id of its own, which must not cover those that follow it.
            self.go_solo(id);
        }
        self.telling.shapings.take_held(&mut self.conns, id, is_due, now)
    }

    fn send_held(&mut self, id: ConnId, is_due: impl Fn(u8, &Pace) -> bool, now: Now) {
        let held = self.take_held(id, is_due, now);
        self.telling.turn.spend(held.len() as u64 * UNITS_EVENT);
        for (event, subs) in held {
            self.emit_to(id, &event, subs, now);
        }
    }

    /// Sends what a connection was kept waiting for, because it is about to end.
    pub(super) fn send_all_held(&mut self, id: ConnId, now: Now) {
        self.send_held(id, |_, _| true, now);
    }

    /// The past of one subscription has been told: what it was kept waiting for of it stands before the present.
    pub(super) fn end_past(&mut self, id: ConnId, sub: u8, now: Now) {
        for (event, subs) in self.take_held(id, |of, _| of == sub, now) {
            self.push_item(id, Item::Event { event, subs });
        }
    }

    /// Sends one event to the connection of a class of its own. It was decided already that it is due, so a past that is still being told
    /// does not hold it up.
    fn emit_to(&mut self, id: ConnId, event: &Arc<Event>, subs: u64, now: Now) {
        let Some(class) = self.conns.find(id).and_then(|conn| conn.class) else { return };
        if subs == 0 {
            return;
        }
        let policy = self.classes.at(class).policy;
        if event.is_large() {
            // It is sent when its turn comes, and not gathered.
            self.go_solo(id);
        }
        if let Some(solo) = self.conns.solo_mut(id) {
            let bytes_max = self.settings.outbox_bytes_max;
            match solo.outbox.push_event(event, subs, &policy, bytes_max) {
                Pushed::Full => self.outbox_full(id, now),
                Pushed::Queued => self.mark_solo(id),
            }
            return;
        }
        let mut alone = self.telling.take_alone();
        alone.begin();
        self.emit(class, event, subs, &mut alone, now);
        alone.end();
        self.telling.put_back_alone(alone);
    }

    /// A subscription whose updates depend on what it was sent before begins, or has changed.
    pub(super) fn begin_shaping(
        &mut self,
        id: ConnId,
        sub: u8,
        subscription: &Subscription,
        now: Now,
    ) {
        // What was held under the old terms is sent under them.
        self.send_held(id, |of, _| of == sub, now);
        self.telling.shapings.begin(&mut self.conns, id, sub, subscription);
    }

    /// Sees an event of the past for one subscription of a connection: what goes into its outbox, if anything does.
    pub(super) fn shape_past(
        &mut self,
        id: ConnId,
        event: &Arc<Event>,
        sub: u8,
        past: PastEvent,
        now: Now,
    ) -> Option<Arc<Event>> {
        let steps = Cell::new(0);
        let conn = self.conns.find_mut(id)?;
        let may_see =
            past.passes || conn.who.as_deref().is_some_and(|who| who.lets_know(event, &steps));
        self.classes.spending.looked_at_page(steps.take());
        let Some(shaping) = conn.shaping.as_deref_mut() else {
            return past.passes.then(|| Arc::clone(event));
        };
        let event = if past.passes {
            Arc::clone(event)
        } else if event.key.is_empty() {
            return None;
        } else {
            // Of a client that comes back it is not known what it had inside: the first news of a key that does not pass says that it has not.
            let was_inside = shaping.take_inside(sub, event)?;
            if !(was_inside || past.is_news && may_see) {
                return None;
            }
            let leave = leave_for(self.conns.find(id), event, &steps);
            self.classes.spending.looked_at_page(steps.get());
            leave
        };
        let offer = |pace: &mut Pace, event: &Arc<Event>| match past.is_played {
            true => pace.offer(event, now),
            false => pace.offer_past(event, now),
        };
        let go = self.telling.shapings.offer(&mut self.conns, id, (&event, 1 << sub), offer);
        (self.unless_full(id, go, now) != 0).then_some(event)
    }
}
