//! What paced and leaving subscriptions remember: which keys were sent and have not left, what is held until a window ends, and when that is.
//!
//! Invariants: what is remembered of each connection lies with it and is counted here; a key is looked up among insiders as long as it is inside
//! for some connection; a window that something is held until has a deadline. Never sends anything.

use std::collections::HashMap;
use std::sync::Arc;

use super::conns::Conns;
use super::deadlines::Schedule;
use super::input::ConnId;
use super::input::ConnRef;
use super::keys::Keys;
use super::pace::Offered;
use super::pace::Pace;
use super::shaped::Shaped;
use crate::clock::Now;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::Op;
use crate::event::TopicKey;
use crate::event::TopicName;
use crate::limits::SHAPED_KEYS_MAX;

/// Who has a key inside: looked up for each event, so that leaving costs nothing where nobody waits for it.
type Insiders = HashMap<TopicKey, Vec<ConnId>, foldhash::fast::RandomState>;

/// Notes that a subscription of a connection has the event's key inside; false if it has more than it may. An event without a key is about
/// nothing in particular: nothing is inside by it, and so nothing leaves.
fn enter(inside: &mut Keys, insiders: &mut Insiders, id: ConnId, event: &Event) -> bool {
    if event.key.is_empty() {
        return true;
    }
    let key = event.topic_key();
    if !inside.insert(key.clone()) {
        return true;
    }
    let conns = insiders.entry(key).or_default();
    if !conns.contains(&id) {
        conns.push(id);
    }
    inside.len() <= SHAPED_KEYS_MAX
}

/// What a shard's paced and leaving subscriptions remember together.
#[derive(Debug)]
pub(super) struct Shapings {
    insiders: Insiders,
    /// When windows end that something is held until.
    windows: Schedule<ConnRef>,
    /// Bytes of what is remembered, and how many there may be.
    bytes: usize,
    bytes_max: usize,
}

fn subs_of(conns: &Conns, id: ConnId) -> &[Shaped] {
    let shaping = conns.find(id).and_then(|conn| conn.shaping.as_deref());
    shaping.map_or(&[], |shaping| &shaping.subs)
}

fn subs_of_mut(conns: &mut Conns, id: ConnId) -> &mut [Shaped] {
    let shaping = conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut());
    shaping.map_or(&mut [], |shaping| &mut shaping.subs)
}

impl Shapings {
    /// Nothing yet; at most so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { insiders: Insiders::default(), windows: Schedule::default(), bytes: 0, bytes_max }
    }

    /// Sees an event that a shaped connection's subscriptions want; returns those that get it now. `None`: more would be remembered than may be.
    pub(super) fn offer(
        &mut self,
        conns: &mut Conns,
        id: ConnId,
        (event, subs): (&Arc<Event>, u64),
        offer: impl Fn(&mut Pace, &Arc<Event>) -> Offered,
    ) -> Option<u64> {
        let Some(conn) = conns.find_mut(id) else { return Some(0) };
        let Some(shaping) = conn.shaping.as_deref_mut() else { return Some(subs) };
        let conn_ref = ConnRef { id, generation: conn.generation };
        let mut go = subs;
        let mut is_full = false;
        for shaped in &mut shaping.subs {
            let bit = 1 << shaped.sub;
            if subs & bit == 0 {
                continue;
            }
            if let Some(inside) = &mut shaped.inside {
                if matches!(event.op, Op::Delete | Op::Leave) {
                    inside.remove(&event.topic_key());
                } else {
                    is_full |= !enter(inside, &mut self.insiders, id, event);
                }
            }
            match shaped.pace.as_mut().map(|pace| (offer(pace, event), pace.ends_ms)) {
                None | Some((Offered::Now, _)) => {}
                Some((Offered::Held { first }, ends_ms)) => {
                    go &= !bit;
                    if first {
                        self.windows.insert(ends_ms, conn_ref);
                    }
                }
                Some((Offered::Full, _)) => is_full = true,
            }
        }
        is_full |= !self.count(conns, id);
        (!is_full).then_some(go)
    }

    /// Counts anew what is remembered of a connection's subscriptions; false: it has grown, and there is no room for it.
    fn count(&mut self, conns: &mut Conns, id: ConnId) -> bool {
        let shaping = conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut());
        let Some(shaping) = shaping else { return true };
        let bytes = shaping.subs.iter().map(Shaped::bytes).sum();
        let before = std::mem::replace(&mut shaping.counted, bytes);
        self.bytes = self.bytes + bytes - before;
        bytes <= before || self.bytes <= self.bytes_max
    }

    /// Takes an event's key out where it was inside and the filter no longer lets it pass: of which subscriptions of which connections.
    /// `matched` knows who still wants it.
    pub(super) fn take_leaving(
        &mut self,
        conns: &mut Conns,
        event: &Event,
        matched: &[(ConnId, u64)],
    ) -> Vec<(ConnId, u64)> {
        if self.insiders.is_empty() {
            return Vec::new();
        }
        let key = event.topic_key();
        let Some(insiders) = self.insiders.remove(&key) else { return Vec::new() };
        let mut staying = Vec::with_capacity(insiders.len());
        let mut leaving = Vec::new();
        for id in insiders {
            let wanted = matched.iter().find(|(conn, _)| *conn == id).map_or(0, |(_, subs)| *subs);
            let not_live = conns.solo(id).map_or(0, |solo| solo.not_live(event.home));
            let mut subs = 0;
            let mut is_inside = false;
            for shaped in subs_of_mut(conns, id) {
                let Some(inside) = &mut shaped.inside else { continue };
                let bit = 1 << shaped.sub;
                if (wanted | not_live) & bit != 0 {
                    is_inside |= inside.contains(&key);
                } else if inside.remove(&key) {
                    subs |= bit;
                }
            }
            self.count(conns, id);
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
        leaving
    }

    /// The next connection with a window that has ended.
    pub(super) fn pop_ended(&mut self, now: Now) -> Option<ConnRef> {
        self.windows.pop_due(now.mono_ms)
    }

    /// When a window ends.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.windows.next_ms()
    }

    /// Takes what is held of those of a connection's subscriptions whose time has come, in the order in which it is to be sent.
    pub(super) fn take_held(
        &mut self,
        conns: &mut Conns,
        id: ConnId,
        is_due: impl Fn(u8, &Pace) -> bool,
        now: Now,
    ) -> Vec<(Arc<Event>, u64)> {
        let mut held: Vec<(Arc<Event>, u64)> = Vec::new();
        let mut ended_ms = Vec::new();
        for shaped in subs_of_mut(conns, id) {
            let bit = 1 << shaped.sub;
            let Some(pace) = &mut shaped.pace else { continue };
            if !pace.held.is_empty() && is_due(shaped.sub, pace) {
                ended_ms.push(pace.ends_ms);
                held.extend(pace.take_held(now).into_iter().map(|event| (event, bit)));
            }
        }
        self.windows_ended(conns, id, &ended_ms);
        self.count(conns, id);
        held.sort_by_key(|(event, _)| event.time_us);
        held.dedup_by(|next, known| {
            let is_same = Arc::ptr_eq(&next.0, &known.0);
            known.1 |= if is_same { next.1 } else { 0 };
            is_same
        });
        held
    }

    /// Windows of a connection need not be looked at any more when they end; those that others of its subscriptions wait for still do.
    fn windows_ended(&mut self, conns: &Conns, id: ConnId, ended_ms: &[u64]) {
        let Some(conn_ref) = conns.conn_ref(id).filter(|_| !ended_ms.is_empty()) else {
            return;
        };
        for ends_ms in ended_ms {
            self.windows.remove(*ends_ms, conn_ref);
        }
        for ends_ms in subs_of(conns, id).iter().filter_map(Shaped::due_ms) {
            self.windows.insert(ends_ms, conn_ref);
        }
    }

    /// A subscription whose updates depend on what it was sent before begins, or has changed. Nothing is held of it.
    pub(super) fn begin(
        &mut self,
        conns: &mut Conns,
        id: ConnId,
        sub: u8,
        subscription: &Subscription,
    ) {
        let Some(conn) = conns.find_mut(id) else { return };
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
        self.count(conns, id);
        self.forget_inside(conns, id, forgotten.unwrap_or_default());
    }

    /// A subscription begins anew elsewhere: it has been sent nothing. Nothing is held of it.
    pub(super) fn begin_anew(&mut self, conns: &mut Conns, id: ConnId, sub: u8) {
        let shaped = subs_of_mut(conns, id).iter_mut().find(|shaped| shaped.sub == sub);
        let Some(shaped) = shaped else { return };
        if let Some(pace) = &mut shaped.pace {
            pace.sent.clear();
        }
        let forgotten = shaped.inside.as_mut().map(std::mem::take).unwrap_or_default();
        self.count(conns, id);
        self.forget_inside(conns, id, forgotten);
    }

    /// A subscription ends: what it was kept waiting for goes with it.
    pub(super) fn end(&mut self, conns: &mut Conns, id: ConnId, sub: u8) {
        let shaping = conns.find_mut(id).and_then(|conn| conn.shaping.as_deref_mut());
        let Some(shaping) = shaping else { return };
        let index = shaping.subs.iter().position(|shaped| shaped.sub == sub);
        let ended = index.map(|index| shaping.subs.remove(index));
        for shaped in &mut shaping.subs {
            if shaped.sub > sub {
                shaped.sub -= 1;
            }
        }
        self.windows_ended(conns, id, ended.as_ref().and_then(Shaped::due_ms).as_slice());
        self.count(conns, id);
        self.forget_inside(conns, id, ended.and_then(|ended| ended.inside).unwrap_or_default());
    }

    /// A connection is gone: nobody is inside on its account.
    pub(super) fn forget(&mut self, conns: &mut Conns, id: ConnId) {
        let Some(shaping) = conns.find_mut(id).and_then(|conn| conn.shaping.take()) else {
            return;
        };
        let ended_ms: Vec<u64> = shaping.subs.iter().filter_map(Shaped::due_ms).collect();
        self.windows_ended(conns, id, &ended_ms);
        self.bytes -= shaping.counted;
        for keys in shaping.subs.into_iter().filter_map(|shaped| shaped.inside) {
            self.forget_inside(conns, id, keys);
        }
    }

    /// Confines what rates hold, and of which keys it is known that they were sent, to what is left of each event and to topics heard of.
    pub(super) fn confine(
        &mut self,
        conns: &mut Conns,
        id: ConnId,
        confine: impl Fn(&Arc<Event>) -> Option<Arc<Event>>,
        hears_of: impl Fn(&TopicName) -> bool,
    ) {
        let mut hidden = Keys::default();
        for shaped in subs_of_mut(conns, id) {
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
        self.count(conns, id);
        self.forget_inside(conns, id, hidden);
    }

    /// These keys are no longer inside for one subscription of a connection; they may be for another.
    fn forget_inside(&mut self, conns: &Conns, id: ConnId, keys: Keys) {
        let subs = subs_of(conns, id);
        let others: Vec<&Keys> = subs.iter().filter_map(|shaped| shaped.inside.as_ref()).collect();
        for key in keys {
            if others.iter().any(|inside| inside.contains(&key)) {
                continue;
            }
            if let Some(insiders) = self.insiders.get_mut(&key) {
                insiders.retain(|conn| *conn != id);
                if insiders.is_empty() {
                    self.insiders.remove(&key);
                }
            }
        }
    }

    /// Notes that a client that comes back has the event's key inside; false if it has more than it may.
    pub(super) fn note_inside(
        &mut self,
        conns: &mut Conns,
        id: ConnId,
        sub: u8,
        event: &Event,
    ) -> bool {
        let shaped = subs_of_mut(conns, id).iter_mut().find(|shaped| shaped.sub == sub);
        match shaped.and_then(|shaped| shaped.inside.as_mut()) {
            Some(inside) => {
                let fits = enter(inside, &mut self.insiders, id, event);
                self.count(conns, id) && fits
            }
            None => true,
        }
    }
}
