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
use super::class::Voice;
use super::conns::Conn;
use super::input::ConnId;
use crate::batch::Item;
use crate::batch::Pushed;
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
    /// With one rate for the whole subscription: the key whose update is held. All else that is held are keys that leave.
    newest: Option<Key>,
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
#[derive(Debug, PartialEq, Eq)]
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

    /// When the window ends that something is held until.
    fn due_ms(&self) -> Option<u64> {
        self.pace.as_ref().filter(|pace| !pace.held.is_empty()).map(|pace| pace.ends_ms)
    }

    /// Takes over what a changed subscription has sent before; returns the keys that nobody has to hear of any more.
    fn follow(&mut self, before: Self) -> Keys {
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

impl Pace {
    fn new(rate: MaxRate) -> Self {
        Self { rate, ends_ms: 0, sent: Keys::default(), held: HashMap::default(), newest: None }
    }

    /// Sent at once only if nothing is held, or what is sent would not ascend.
    fn offer(&mut self, event: &Arc<Event>, now: Now) -> Offered {
        self.begin_window(now);
        if !self.held.is_empty() {
            return self.hold(event);
        }
        let goes = match self.rate.per {
            RatePer::Key => self.sent.insert(key_of(event)),
            // That a key leaves is no update: it is told of each, and a later update of another key is none of the first one.
            RatePer::Subscription if event.op == Op::Leave => true,
            RatePer::Subscription => self.sent.is_empty() && self.sent.insert(key_of(event)),
        };
        match goes {
            true if self.sent.len() > SHAPED_KEYS_MAX => Offered::Full,
            true => Offered::Now,
            false => self.hold(event),
        }
    }

    /// Of the past only what is newest at its end is of interest: nothing goes at once.
    fn offer_past(&mut self, event: &Arc<Event>, now: Now) -> Offered {
        self.begin_window(now);
        self.hold(event)
    }

    fn begin_window(&mut self, now: Now) {
        if now.mono_ms >= self.ends_ms && self.held.is_empty() {
            self.ends_ms = now.mono_ms + u64::from(self.rate.every_ms);
            self.sent.clear();
        }
    }

    fn hold(&mut self, event: &Arc<Event>) -> Offered {
        let first = self.held.is_empty();
        let key = key_of(event);
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
    fn take_held(&mut self, now: Now) -> Vec<Arc<Event>> {
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

fn key_of(event: &Event) -> Key {
    (event.topic.clone(), Arc::clone(&event.key))
}

/// Who has a key inside: looked up for each event, so that leaving costs nothing where nobody waits for it.
pub(super) type Insiders = HashMap<Key, Vec<ConnId>, foldhash::fast::RandomState>;

/// Notes that a subscription of a connection has the event's key inside; false if it has more than it may.
fn enter(inside: &mut Keys, insiders: &mut Insiders, id: ConnId, event: &Event) -> bool {
    let key = key_of(event);
    if !inside.insert(key.clone()) {
        return true;
    }
    let conns = insiders.entry(key).or_default();
    if !conns.contains(&id) {
        conns.push(id);
    }
    inside.len() <= SHAPED_KEYS_MAX
}

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
        self.shape_by(id, event, subs, now, Pace::offer)
    }

    fn shape_by(
        &mut self,
        id: ConnId,
        event: &Arc<Event>,
        subs: u64,
        now: Now,
        offer: impl Fn(&mut Pace, &Arc<Event>, Now) -> Offered,
    ) -> u64 {
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
                if matches!(event.op, Op::Delete | Op::Leave) {
                    inside.remove(&key_of(event));
                } else {
                    is_full |= !enter(inside, &mut self.insiders, id, event);
                }
            }
            match shaped.pace.as_mut().map(|pace| (offer(pace, event, now), pace.ends_ms)) {
                None | Some((Offered::Now, _)) => {}
                Some((Offered::Held { first }, ends_ms)) => {
                    go &= !bit;
                    if first {
                        self.pace_deadlines.insert(ends_ms, conn_ref);
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
        // What is due and finds no room in this flight is due to the next.
        while !self.is_flight_full()
            && let Some(conn) = self.pace_deadlines.pop_due(now.mono_ms)
        {
            if self.conns.find_ref(conn).is_some() {
                for (event, subs) in
                    self.take_held(conn.id, |_, pace| pace.ends_ms <= now.mono_ms, now)
                {
                    self.emit_to(conn.id, &event, subs, now);
                }
            }
        }
    }

    /// How far an event stream has come that is in step: as far as this shard, but not beyond what it is kept waiting for.
    pub(super) fn cursor_before_held(&self, id: ConnId) -> Vec<u64> {
        let mut cursor = self.cursor.clone();
        let shaping = self.conns.find(id).and_then(|conn| conn.shaping.as_deref());
        let paces =
            shaping.into_iter().flat_map(|shaping| &shaping.0).filter_map(|of| of.pace.as_ref());
        for event in paces.flat_map(|pace| pace.held.values()) {
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
        if self.voice_of(id).is_some_and(Voice::is_sse) {
            // Each of these events has an id of its own, which must not cover those that follow it.
            self.go_solo(id);
        }
        let shaping = self.conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut());
        let mut held: Vec<(Arc<Event>, u64)> = Vec::new();
        let mut ended_ms = Vec::new();
        for shaped in shaping.map_or(&mut [][..], |shaping| &mut shaping.0) {
            let bit = 1 << shaped.sub;
            let Some(pace) = &mut shaped.pace else { continue };
            if !pace.held.is_empty() && is_due(shaped.sub, pace) {
                ended_ms.push(pace.ends_ms);
                held.extend(pace.take_held(now).into_iter().map(|event| (event, bit)));
            }
        }
        self.windows_ended(id, &ended_ms);
        held.sort_by_key(|(event, _)| event.time_us);
        held.dedup_by(|next, known| {
            let is_same = Arc::ptr_eq(&next.0, &known.0);
            known.1 |= if is_same { next.1 } else { 0 };
            is_same
        });
        held
    }

    /// Windows of a connection need not be looked at any more when they end; those that others of its subscriptions wait for still do.
    fn windows_ended(&mut self, id: ConnId, ended_ms: &[u64]) {
        let Some(conn_ref) = self.conns.conn_ref(id).filter(|_| !ended_ms.is_empty()) else {
            return;
        };
        for ends_ms in ended_ms {
            self.pace_deadlines.remove(*ends_ms, conn_ref);
        }
        let shaping = self.conns.find(id).and_then(|conn| conn.shaping.as_deref());
        for ends_ms in
            shaping.map_or(&[][..], |shaping| &shaping.0).iter().filter_map(Shaped::due_ms)
        {
            self.pace_deadlines.insert(ends_ms, conn_ref);
        }
    }

    /// Sends what one subscription was kept waiting for, before its terms change.
    fn send_held(&mut self, id: ConnId, sub: u8, now: Now) {
        for (event, subs) in self.take_held(id, |of, _| of == sub, now) {
            self.emit_to(id, &event, subs, now);
        }
    }

    /// Sends what a connection was kept waiting for, because it is about to end.
    pub(super) fn send_all_held(&mut self, id: ConnId, now: Now) {
        for (event, subs) in self.take_held(id, |_, _| true, now) {
            self.emit_to(id, &event, subs, now);
        }
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
        if let Some(solo) = self.conns.find_mut(id).and_then(|conn| conn.solo.as_deref_mut()) {
            let bytes_max = self.settings.outbox_bytes_max;
            match solo.outbox.push_event(event, subs, &policy, bytes_max) {
                Pushed::Full => self.outbox_full(id, now),
                Pushed::Queued => self.mark_solo(id),
            }
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch_alone);
        scratch.begin();
        self.emit(class, event, subs, &mut scratch, now);
        scratch.end();
        self.scratch_alone = scratch;
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
        self.send_held(id, sub, now);
        let Some(conn) = self.conns.find_mut(id) else { return };
        let before = conn.shaping.as_deref_mut().and_then(|shaping| {
            let index = shaping.0.iter().position(|shaped| shaped.sub == sub)?;
            Some(shaping.0.remove(index))
        });
        let forgotten = if subscription.is_alone() {
            let mut shaped = Shaped::new(sub, subscription);
            let forgotten = before.map(|before| shaped.follow(before));
            conn.shaping.get_or_insert_default().0.push(shaped);
            forgotten
        } else {
            before.and_then(|before| before.inside)
        };
        self.forget_inside(id, forgotten.unwrap_or_default());
    }

    /// A subscription ends: what it was kept waiting for goes with it.
    pub(super) fn end_shaping(&mut self, id: ConnId, sub: u8) {
        let Some(shaping) = self.conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut())
        else {
            return;
        };
        let index = shaping.0.iter().position(|shaped| shaped.sub == sub);
        let ended = index.map(|index| shaping.0.remove(index));
        for shaped in &mut shaping.0 {
            if shaped.sub > sub {
                shaped.sub -= 1;
            }
        }
        self.windows_ended(id, ended.as_ref().and_then(Shaped::due_ms).as_slice());
        self.forget_inside(id, ended.and_then(|ended| ended.inside).unwrap_or_default());
    }

    /// A connection is gone: nobody is inside on its account.
    pub(super) fn forget_shaping(&mut self, id: ConnId) {
        let Some(shaping) = self.conns.find_mut(id).and_then(|conn| conn.shaping.take()) else {
            return;
        };
        let ended_ms: Vec<u64> = shaping.0.iter().filter_map(Shaped::due_ms).collect();
        self.windows_ended(id, &ended_ms);
        for keys in shaping.0.into_iter().filter_map(|shaped| shaped.inside) {
            self.forget_inside(id, keys);
        }
    }

    /// These keys are no longer inside for one subscription of a connection; they may be for another.
    fn forget_inside(&mut self, id: ConnId, keys: Keys) {
        let shaping = self.conns.find(id).and_then(|conn| conn.shaping.as_deref());
        let others: Vec<&Keys> = shaping
            .map_or(&[][..], |shaping| &shaping.0)
            .iter()
            .filter_map(|shaped| shaped.inside.as_ref())
            .collect();
        for key in keys {
            if others.iter().any(|inside| inside.contains(&key)) {
                continue;
            }
            if let Some(conns) = self.insiders.get_mut(&key) {
                conns.retain(|conn| *conn != id);
                if conns.is_empty() {
                    self.insiders.remove(&key);
                }
            }
        }
    }

    /// Notes that a client that comes back has the event's key inside; false if it has more than it may.
    pub(super) fn note_inside(&mut self, id: ConnId, sub: u8, event: &Event) -> bool {
        let shaping = self.conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut());
        let shaped = shaping.and_then(|shaping| shaping.0.iter_mut().find(|of| of.sub == sub));
        match shaped.and_then(|shaped| shaped.inside.as_mut()) {
            Some(inside) => enter(inside, &mut self.insiders, id, event),
            None => true,
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
        let may_see = past.passes || conn.who.as_deref().is_some_and(|who| who.lets_know(event));
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
        (self.shape_by(id, &event, set, now, Pace::offer_past) != 0).then_some(event)
    }
}
