//! Updates at the subscriber's own pace, and keys that leave its filter.
//!
//! Invariants: of each key the newest event is sent in the end; what a subscription is sent ascends; a key that was sent, and no longer
//! passes, is announced once. State like this is one connection's own, so its class has no other member.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use super::Shard;
use super::class::ClassId;
use super::conns::Conn;
use super::input::ConnId;
use crate::clock::Now;
use crate::dialect::MaxRate;
use crate::dialect::RatePer;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::Fields;
use crate::event::Op;
use crate::event::TopicName;
use crate::limits::SHAPED_KEYS_MAX;

type Key = (TopicName, Arc<str>);
type Keys = HashSet<Key, foldhash::fast::RandomState>;

/// What a connection's paced and leaving subscriptions remember.
#[derive(Debug, Default)]
pub(super) struct Shaping(pub(super) Vec<Shaped>);

/// What one of them remembers.
#[derive(Debug)]
pub(super) struct Shaped {
    /// Which of the connection's subscriptions.
    pub(super) sub: u8,
    pace: Option<Pace>,
    /// Keys that were sent and have not left.
    inside: Option<Keys>,
}

#[derive(Debug)]
struct Pace {
    rate: MaxRate,
    /// When the window ends that events are held until, in milliseconds since the start.
    ends_ms: u64,
    /// Keys that had their update in this window.
    sent: Keys,
    held: HashMap<Key, Arc<Event>, foldhash::fast::RandomState>,
}

/// What is known of an event of the past for one subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// It passes the filter.
    pub(super) passes: bool,
    /// Nothing is known of what its key was before.
    pub(super) is_news: bool,
}

/// What becomes of an event that a paced subscription wants.
enum Offered {
    /// It goes now.
    Now,
    /// It waits for the window's end; `first`: nothing did before.
    Held {
        first: bool,
    },
    Full,
}

impl Shaped {
    pub(super) fn new(sub: u8, subscription: &Subscription) -> Self {
        let inside = subscription.leave.then(Keys::default);
        Self { sub, pace: subscription.max_rate.map(Pace::new), inside }
    }

    /// Takes over what a changed subscription has sent before.
    fn follow(&mut self, before: Self) {
        if self.inside.is_some() {
            self.inside = before.inside.or_else(|| self.inside.take());
        }
    }
}

impl Pace {
    fn new(rate: MaxRate) -> Self {
        Self { rate, ends_ms: 0, sent: Keys::default(), held: HashMap::default() }
    }

    fn key_of(&self, event: &Event) -> Key {
        match self.rate.per {
            RatePer::Key => key_of(event),
            // One key for everything: only the newest event of all is sent.
            RatePer::Subscription => (event.topic.clone(), Arc::from("")),
        }
    }

    /// Sent at once only if nothing is held, or what is sent would not ascend.
    fn offer(&mut self, event: &Arc<Event>, now: Now) -> Offered {
        if now.mono_ms >= self.ends_ms && self.held.is_empty() {
            self.ends_ms = now.mono_ms + u64::from(self.rate.every_ms);
            self.sent.clear();
        }
        let key = self.key_of(event);
        let is_first = self.rate.per == RatePer::Key || self.sent.is_empty();
        if self.held.is_empty() && is_first && self.sent.insert(key.clone()) {
            return if self.sent.len() > SHAPED_KEYS_MAX { Offered::Full } else { Offered::Now };
        }
        let first = self.held.is_empty();
        if self.rate.per == RatePer::Subscription {
            self.held.clear();
        }
        self.held.insert(key, Arc::clone(event));
        if self.held.len() > SHAPED_KEYS_MAX { Offered::Full } else { Offered::Held { first } }
    }

    /// What was held until the window's end, oldest first; a new window begins.
    fn take_held(&mut self, now: Now) -> Vec<Arc<Event>> {
        self.ends_ms = now.mono_ms + u64::from(self.rate.every_ms);
        self.sent.clear();
        let mut events = Vec::with_capacity(self.held.len());
        for (key, event) in std::mem::take(&mut self.held) {
            self.sent.insert(key);
            events.push(event);
        }
        events.sort_unstable_by_key(|event| event.time_us);
        events
    }
}

fn key_of(event: &Event) -> Key {
    (event.topic.clone(), Arc::clone(&event.key))
}

/// Who has a key inside: looked up for each event, so that leaving costs nothing where nobody waits for it.
pub(super) type Insiders = HashMap<Key, Vec<ConnId>, foldhash::fast::RandomState>;

/// The event's twin that says that its key has left.
fn leave_of(event: &Event) -> Arc<Event> {
    Arc::new(Event { op: Op::Leave, ..event.clone() })
}

/// The same for one connection: what its token keeps from it is not in it.
fn leave_for(conn: Option<&Conn>, event: &Event) -> Arc<Event> {
    let who = conn.and_then(|conn| conn.who.as_deref());
    if who.is_some_and(|who| who.lets_see(event)) {
        return leave_of(event);
    }
    let payload = Bytes::from_static(b"{}");
    Arc::new(Event { op: Op::Leave, payload, fields: Fields::default(), ..event.clone() })
}

impl Shard {
    /// Sees an event that a shaped connection's subscriptions want; returns those that get it now.
    pub(super) fn shape(&mut self, id: ConnId, event: &Arc<Event>, subs: u64, now: Now) -> u64 {
        let Some(conn) = self.conns.find_mut(id) else { return 0 };
        let Some(shaping) = conn.shaping.as_deref_mut() else { return subs };
        let conn_ref = super::ConnRef { id, generation: conn.generation };
        let mut go = subs;
        let mut is_full = false;
        for shaped in &mut shaping.0 {
            let bit = 1 << shaped.sub;
            if subs & bit == 0 {
                continue;
            }
            if let Some(inside) = &mut shaped.inside {
                let key = key_of(event);
                if matches!(event.op, Op::Delete | Op::Leave) {
                    inside.remove(&key);
                } else if inside.insert(key.clone()) {
                    is_full |= inside.len() > SHAPED_KEYS_MAX;
                    let insiders = self.insiders.entry(key).or_default();
                    if !insiders.contains(&id) {
                        insiders.push(id);
                    }
                }
            }
            match shaped.pace.as_mut().map(|pace| (pace.offer(event, now), pace.ends_ms)) {
                None | Some((Offered::Now, _)) => {}
                Some((Offered::Held { first }, ends_ms)) => {
                    go &= !bit;
                    if first {
                        self.pace_deadlines.push(ends_ms, conn_ref);
                    }
                }
                Some((Offered::Full, _)) => is_full = true,
            }
        }
        if is_full {
            // Its class may be gone with it.
            self.outbox_full(id, now);
            return 0;
        }
        go
    }

    /// Announces an event's key to those who had it inside and whose filter it no longer passes. `matched` knows who still wants it.
    pub(super) fn announce_leaves(
        &mut self,
        event: &Arc<Event>,
        matched: &[(ConnId, u64)],
        now: Now,
    ) {
        if self.insiders.is_empty() {
            return;
        }
        let key = key_of(event);
        let Some(conns) = self.insiders.remove(&key) else { return };
        let mut staying = Vec::with_capacity(conns.len());
        let mut leaving = Vec::new();
        for id in conns {
            let wanted = matched.iter().find(|(conn, _)| *conn == id).map_or(0, |(_, subs)| *subs);
            let Some(conn) = self.conns.find_mut(id) else { continue };
            let not_live = conn.solo.as_deref().map_or(0, |solo| solo.not_live(event.home));
            let mut subs = 0;
            let mut is_inside = false;
            for shaped in conn.shaping.as_deref_mut().map_or(&mut [][..], |shaping| &mut shaping.0)
            {
                let Some(inside) = &mut shaped.inside else { continue };
                let bit = 1 << shaped.sub;
                if (wanted | not_live) & bit != 0 {
                    is_inside |= inside.contains(&key);
                } else if inside.remove(&key) {
                    subs |= bit;
                }
            }
            if is_inside {
                staying.push(id);
            }
            if subs != 0 {
                leaving.push((id, subs));
            }
        }
        if !staying.is_empty() {
            self.insiders.insert(key, staying);
        }
        if leaving.is_empty() {
            return;
        }
        for (id, subs) in leaving {
            let leave = leave_for(self.conns.find(id), event);
            let subs = self.shape(id, &leave, subs, now);
            self.emit_to(id, &leave, subs, now);
        }
    }

    /// Sends what paced connections were kept waiting for.
    pub(super) fn end_windows(&mut self, now: Now) {
        while let Some(conn) = self.pace_deadlines.pop_due(now.mono_ms) {
            if self.conns.find_ref(conn).is_some() {
                self.send_held(conn.id, |pace| pace.ends_ms <= now.mono_ms, now);
            }
        }
    }

    fn send_held(&mut self, id: ConnId, is_due: impl Fn(&Pace) -> bool, now: Now) {
        let Some(shaping) = self.conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut())
        else {
            return;
        };
        let mut held: Vec<(Arc<Event>, u64)> = Vec::new();
        for shaped in &mut shaping.0 {
            let bit = 1 << shaped.sub;
            let Some(pace) =
                shaped.pace.as_mut().filter(|pace| is_due(pace) && !pace.held.is_empty())
            else {
                continue;
            };
            for event in pace.take_held(now) {
                match held.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &event)) {
                    Some((_, subs)) => *subs |= bit,
                    None => held.push((event, bit)),
                }
            }
        }
        held.sort_by_key(|(event, _)| event.time_us);
        for (event, subs) in held {
            self.emit_to(id, &event, subs, now);
        }
    }

    /// Sends one event to the connection of a class of its own.
    fn emit_to(&mut self, id: ConnId, event: &Arc<Event>, subs: u64, now: Now) {
        let Some(class) = self.conns.find(id).and_then(|conn| conn.class) else { return };
        if subs != 0 {
            let mut scratch = std::mem::take(&mut self.scratch_alone);
            scratch.begin();
            self.emit(class, event, subs, &mut scratch, now);
            self.scratch_alone = scratch;
        }
    }

    /// The connection of a class that has no other.
    pub(super) fn only_conn(&self, class: ClassId) -> Option<ConnId> {
        let class = self.classes.find(class)?;
        class.key.alone?;
        class.members.first().or_else(|| class.solos.first()).copied()
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
        self.send_held(id, |_| true, now);
        let Some(conn) = self.conns.find_mut(id) else { return };
        let before = conn.shaping.as_deref_mut().and_then(|shaping| {
            let index = shaping.0.iter().position(|shaped| shaped.sub == sub)?;
            Some(shaping.0.remove(index))
        });
        if subscription.is_alone() {
            let mut shaped = Shaped::new(sub, subscription);
            if let Some(before) = before {
                shaped.follow(before);
            }
            conn.shaping.get_or_insert_default().0.push(shaped);
        }
    }

    /// A subscription ends: what it was kept waiting for goes with it.
    pub(super) fn end_shaping(&mut self, id: ConnId, sub: u8) {
        let Some(shaping) = self.conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut())
        else {
            return;
        };
        shaping.0.retain(|shaped| shaped.sub != sub);
        for shaped in &mut shaping.0 {
            if shaped.sub > sub {
                shaped.sub -= 1;
            }
        }
    }

    /// A connection is gone: nobody is inside on its account.
    pub(super) fn forget_shaping(&mut self, id: ConnId) {
        let Some(shaping) = self.conns.find_mut(id).and_then(|conn| conn.shaping.take()) else {
            return;
        };
        for key in shaping.0.into_iter().filter_map(|shaped| shaped.inside).flatten() {
            if let Some(conns) = self.insiders.get_mut(&key) {
                conns.retain(|conn| *conn != id);
                if conns.is_empty() {
                    self.insiders.remove(&key);
                }
            }
        }
    }

    /// Sees an event of the past for one subscription of a connection: what goes into its outbox, if anything does.
    pub(super) fn shape_past(
        &mut self,
        id: ConnId,
        event: &Arc<Event>,
        set: u64,
        past: Past,
        now: Now,
    ) -> Option<Arc<Event>> {
        let conn = self.conns.find_mut(id)?;
        let may_see = past.passes || conn.who.as_deref().is_some_and(|who| who.lets_see(event));
        let Some(shaping) = conn.shaping.as_deref_mut() else {
            return past.passes.then(|| Arc::clone(event));
        };
        let shaped = shaping.0.iter_mut().find(|shaped| 1 << shaped.sub == set);
        let event = match shaped.and_then(|shaped| shaped.inside.as_mut()) {
            _ if past.passes => Arc::clone(event),
            // Of a client that comes back it is not known what it had inside: the first news of a key that does not pass says that it has not.
            Some(inside) => {
                let was_inside = inside.remove(&key_of(event));
                if !(was_inside || past.is_news && may_see) {
                    return None;
                }
                leave_for(self.conns.find(id), event)
            }
            None => return None,
        };
        (self.shape(id, &event, set, now) != 0).then_some(event)
    }
}
