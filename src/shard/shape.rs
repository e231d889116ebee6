//! Updates at the subscriber's own pace, and keys that leave its filter.
//!
//! Invariants: of each key the newest event is sent in the end; what a subscription is sent ascends; a key that was sent, and no longer
//! passes, is announced once. State like this is one connection's own, so its class has no other member.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Shard;
use super::class::ClassId;
use super::class::Voice;
use super::conns::Conn;
use super::input::ConnId;
use super::keys::Key;
use super::keys::Keys;
use super::keys::key_of;
use super::pace::Offered;
use super::pace::Pace;
use crate::batch::Item;
use crate::batch::Pushed;
use crate::clock::Now;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::Fields;
use crate::event::Op;
use crate::event::TopicName;
use crate::limits::SHAPED_KEYS_MAX;
use crate::limits::UNITS_EVENT;

/// What a connection's paced and leaving subscriptions remember.
#[derive(Debug, Default)]
pub(super) struct Shaping {
    pub(super) subs: Vec<Shaped>,
    /// Bytes of it that the shard has counted.
    counted: usize,
}

/// What one of them remembers.
#[derive(Debug)]
pub(super) struct Shaped {
    /// Which of the connection's subscriptions.
    pub(super) sub: u8,
    pace: Option<Pace>,
    /// Keys that were sent and have not left.
    inside: Option<Keys>,
}

/// What is known of an event of the past for one subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    /// It passes the filter.
    pub(super) passes: bool,
    /// Nothing is known of what its key was before.
    pub(super) is_news: bool,
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

    fn bytes(&self) -> usize {
        let paced = self.pace.as_ref().map_or(0, |pace| pace.sent.bytes() + pace.held.bytes());
        paced + self.inside.as_ref().map_or(0, Keys::bytes)
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

/// Who has a key inside: looked up for each event, so that leaving costs nothing where nobody waits for it.
pub(super) type Insiders = HashMap<Key, Vec<ConnId>, foldhash::fast::RandomState>;

/// Notes that a subscription of a connection has the event's key inside; false if it has more than it may. An event without a key is about
/// nothing in particular: nothing is inside by it, and so nothing leaves.
fn enter(inside: &mut Keys, insiders: &mut Insiders, id: ConnId, event: &Event) -> bool {
    if event.key.is_empty() {
        return true;
    }
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
        for shaped in &mut shaping.subs {
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
        is_full |= !self.count_shaping(id);
        if is_full {
            // Its class may be gone with it.
            self.outbox_full(id, now);
            return 0;
        }
        go
    }

    /// Counts anew what is remembered of a connection's subscriptions; false: it has grown, and there is no room for it.
    fn count_shaping(&mut self, id: ConnId) -> bool {
        let shaping = self.conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut());
        let Some(shaping) = shaping else { return true };
        let bytes = shaping.subs.iter().map(Shaped::bytes).sum();
        let before = std::mem::replace(&mut shaping.counted, bytes);
        self.shaping_bytes = self.shaping_bytes + bytes - before;
        bytes <= before || self.shaping_bytes <= self.settings.memory.shaping_bytes_max
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
            for shaped in
                conn.shaping.as_deref_mut().map_or(&mut [][..], |shaping| &mut shaping.subs)
            {
                let Some(inside) = &mut shaped.inside else { continue };
                let bit = 1 << shaped.sub;
                if (wanted | not_live) & bit != 0 {
                    is_inside |= inside.contains(&key);
                } else if inside.remove(&key) {
                    subs |= bit;
                }
            }
            self.count_shaping(id);
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
        while !self.is_flight_full()
            && let Some(conn) = self.pace_deadlines.pop_due(now.mono_ms)
        {
            if self.conns.find_ref(conn).is_some() {
                let held = self.take_held(conn.id, |_, pace| pace.ends_ms <= now.mono_ms, now);
                self.turn.spend(held.len() as u64 * UNITS_EVENT);
                for (event, subs) in held {
                    self.emit_to(conn.id, &event, subs, now);
                }
            }
            if self.is_spent() {
                break;
            }
        }
    }

    /// How far an event stream has come that is in step: as far as this shard, but not beyond what it is kept waiting for.
    pub(super) fn cursor_before_held(&self, id: ConnId) -> Vec<u64> {
        let mut cursor = self.cursor.clone();
        let shaping = self.conns.find(id).and_then(|conn| conn.shaping.as_deref());
        let paces =
            shaping.into_iter().flat_map(|shaping| &shaping.subs).filter_map(|of| of.pace.as_ref());
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
        for shaped in shaping.map_or(&mut [][..], |shaping| &mut shaping.subs) {
            let bit = 1 << shaped.sub;
            let Some(pace) = &mut shaped.pace else { continue };
            if !pace.held.is_empty() && is_due(shaped.sub, pace) {
                ended_ms.push(pace.ends_ms);
                held.extend(pace.take_held(now).into_iter().map(|event| (event, bit)));
            }
        }
        self.windows_ended(id, &ended_ms);
        self.count_shaping(id);
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
            shaping.map_or(&[][..], |shaping| &shaping.subs).iter().filter_map(Shaped::due_ms)
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
            let index = shaping.subs.iter().position(|shaped| shaped.sub == sub)?;
            Some(shaping.subs.remove(index))
        });
        let forgotten = if subscription.is_alone() {
            let mut shaped = Shaped::new(sub, subscription);
            let forgotten = before.map(|before| shaped.follow(before));
            conn.shaping.get_or_insert_default().subs.push(shaped);
            forgotten
        } else {
            before.and_then(|before| before.inside)
        };
        self.count_shaping(id);
        self.forget_inside(id, forgotten.unwrap_or_default());
    }

    /// A subscription ends: what it was kept waiting for goes with it.
    pub(super) fn end_shaping(&mut self, id: ConnId, sub: u8) {
        let Some(shaping) = self.conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut())
        else {
            return;
        };
        let index = shaping.subs.iter().position(|shaped| shaped.sub == sub);
        let ended = index.map(|index| shaping.subs.remove(index));
        for shaped in &mut shaping.subs {
            if shaped.sub > sub {
                shaped.sub -= 1;
            }
        }
        self.windows_ended(id, ended.as_ref().and_then(Shaped::due_ms).as_slice());
        self.count_shaping(id);
        self.forget_inside(id, ended.and_then(|ended| ended.inside).unwrap_or_default());
    }

    /// A connection is gone: nobody is inside on its account.
    pub(super) fn forget_shaping(&mut self, id: ConnId) {
        let Some(shaping) = self.conns.find_mut(id).and_then(|conn| conn.shaping.take()) else {
            return;
        };
        let ended_ms: Vec<u64> = shaping.subs.iter().filter_map(Shaped::due_ms).collect();
        self.windows_ended(id, &ended_ms);
        self.shaping_bytes -= shaping.counted;
        for keys in shaping.subs.into_iter().filter_map(|shaped| shaped.inside) {
            self.forget_inside(id, keys);
        }
    }

    /// Confines what rates hold, and of which keys it is known that they were sent, to what is left of each event and to topics heard of.
    pub(super) fn confine_shaping(
        &mut self,
        id: ConnId,
        confine: impl Fn(&Arc<Event>) -> Option<Arc<Event>>,
        hears_of: impl Fn(&TopicName) -> bool,
    ) {
        let shaping = self.conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut());
        let mut hidden = Keys::default();
        for shaped in shaping.map_or(&mut [][..], |shaping| &mut shaping.subs) {
            if let Some(pace) = &mut shaped.pace {
                for (key, event) in std::mem::take(&mut pace.held) {
                    if let Some(event) = confine(&event) {
                        pace.held.insert(key, event);
                    }
                }
                pace.newest = pace.newest.take().filter(|key| pace.held.contains(key));
            }
            if let Some(inside) = &mut shaped.inside {
                for key in std::mem::take(inside) {
                    let goes_to = if hears_of(&key.0) { &mut *inside } else { &mut hidden };
                    goes_to.insert(key);
                }
            }
        }
        self.count_shaping(id);
        self.forget_inside(id, hidden);
    }

    /// These keys are no longer inside for one subscription of a connection; they may be for another.
    fn forget_inside(&mut self, id: ConnId, keys: Keys) {
        let shaping = self.conns.find(id).and_then(|conn| conn.shaping.as_deref());
        let others: Vec<&Keys> = shaping
            .map_or(&[][..], |shaping| &shaping.subs)
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
        let shaped = shaping.and_then(|shaping| shaping.subs.iter_mut().find(|of| of.sub == sub));
        match shaped.and_then(|shaped| shaped.inside.as_mut()) {
            Some(inside) => {
                let fits = enter(inside, &mut self.insiders, id, event);
                self.count_shaping(id) && fits
            }
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
        let steps = Cell::new(0);
        let conn = self.conns.find_mut(id)?;
        let may_see =
            past.passes || conn.who.as_deref().is_some_and(|who| who.lets_know(event, &steps));
        let Some(shaping) = conn.shaping.as_deref_mut() else {
            return past.passes.then(|| Arc::clone(event));
        };
        let shaped = shaping.subs.iter_mut().find(|shaped| 1 << shaped.sub == set);
        let event = match shaped.and_then(|shaped| shaped.inside.as_mut()) {
            _ if past.passes => Arc::clone(event),
            _ if event.key.is_empty() => return None,
            // Of a client that comes back it is not known what it had inside: the first news of a key that does not pass says that it has not.
            Some(inside) => {
                let was_inside = inside.remove(&key_of(event));
                if !(was_inside || past.is_news && may_see) {
                    return None;
                }
                leave_for(self.conns.find(id), event, &steps)
            }
            None => return None,
        };
        self.spending.looked_at_page(steps.get());
        (self.shape_by(id, &event, set, now, Pace::offer_past) != 0).then_some(event)
    }
}
