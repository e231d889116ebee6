//! Shared subscriptions: the shard that keeps a group hands each event to one of its members, on whichever shard that is; it says when it is done with it, or hands it back.
//!
//! Invariants: an event goes to one member that may hear it and has room for it; what was handed to a connection that ends goes back, unless it is told exactly once and was begun: that is its own. A subscription
//! that is shared is in nobody's matcher. Never looks at how a group came about.

use std::collections::HashSet;
use std::sync::Arc;

use super::Shard;
use super::bookmark::ClientName;
use super::hold::Handed;
use super::hold::Hold;
use super::hold::Joined;
use super::hold::Parted;
use super::hold::SharedPart;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::lanes::Lane;
use crate::batch::Pushed;
use crate::clock::Now;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::ShardId;
use crate::limits::FILTER_STEPS_PER_UNIT;
use crate::limits::SHARED_LOOKS_MAX;
use crate::limits::UNITS_QUEUED;

/// A shard, as it looks after groups.
pub(super) struct Sharing<'a> {
    shard: &'a mut Shard,
}

/// What becomes of an event in a group.
enum Next {
    /// The member at this place is handed that.
    Of(usize, Arc<Event>),
    /// Whoever would hear it has no room.
    Nobody,
    /// Nobody in the group would hear it.
    Unwanted,
}

impl Shard {
    /// A client has acknowledged a message: others may follow.
    pub(super) fn acknowledged(&mut self, id: ConnId, number: u16, is_done: bool) {
        Sharing::at(self).acknowledged(id, number);
        let Some(solo) = self.conns.solo_mut(id) else { return };
        let Some(window) = solo.window.as_deref_mut() else { return };
        let is_free = match is_done {
            true => window.acknowledged(number),
            false => !window.received(number),
        };
        if is_free || solo.outbox.is_empty() {
            self.mark_solo(id);
        }
    }
}

impl<'a> Sharing<'a> {
    pub(super) const fn at(shard: &'a mut Shard) -> Self {
        Self { shard }
    }

    fn hold_mut(&mut self, id: ConnId) -> Option<&mut Hold> {
        self.shard.conns.find_mut(id)?.caller.origin.as_deref_mut()?.hold.as_deref_mut()
    }

    fn part_mut(&mut self, id: ConnId) -> Option<&mut SharedPart> {
        self.hold_mut(id)?.shared.as_deref_mut()
    }

    const fn here(&self) -> ShardId {
        self.shard.shards.here()
    }

    /// A connection's subscriptions are others now: it joins groups, and leaves those that it shares no longer.
    pub(super) fn changed(&mut self, id: ConnId, subs: &[Arc<Subscription>]) {
        let is_shared = subs.iter().any(|sub| sub.share.is_some());
        if !is_shared && self.part_mut(id).is_none_or(|part| part.joined.is_empty()) {
            return;
        }
        let here = self.here();
        let Some(conn) = self.shard.conns.conn_ref(id) else { return };
        let Some(found) = self.shard.conns.find_mut(id) else { return };
        let user = found.who.as_ref().and_then(|who| who.principal.user.clone());
        let window = found.caller.window_max();
        let Some(hold) = self.hold_mut(id) else { return };
        let part = hold.shared.get_or_insert_default();
        let is_gone =
            |joined: &Joined| !subs.iter().any(|sub| sub.id == joined.sub && sub.share.is_some());
        let gone: Vec<Joined> = part.joined.extract_if(.., |joined| is_gone(joined)).collect();
        let mut new = Vec::new();
        for sub in subs.iter().filter(|sub| sub.share.is_some()) {
            let name = ClientName::new(user.as_deref(), &sub.id);
            match part.joined.iter_mut().find(|joined| joined.sub == sub.id) {
                Some(joined) if joined.subscription == *sub => continue,
                Some(joined) => joined.subscription = Arc::clone(sub),
                None => part.joined.push(Joined {
                    name: name.clone(),
                    sub: SubId::clone(&sub.id),
                    subscription: Arc::clone(sub),
                }),
            }
            hold.awaited += 1;
            new.push((name, Arc::clone(sub)));
        }
        if !gone.is_empty() {
            self.leave_groups(id, gone, false);
        }
        let address = Address { shard: here, conn };
        for (name, subscription) in new {
            let keeper = self.shard.shards.keeper(&name);
            match keeper == here {
                true => self.join(&name, address, (subscription, window)),
                false => self.shard.outgoing.to(keeper).push(Mesh::Join {
                    name,
                    address,
                    subscription,
                    window,
                }),
            }
        }
    }

    /// A connection of some shard joins a group that is kept here.
    pub(super) fn join(
        &mut self,
        name: &ClientName,
        address: Address,
        (subscription, window): (Arc<Subscription>, u16),
    ) {
        let sub = SubId::clone(&subscription.id);
        let is_kept = self.shard.rights.groups.join(name, (address, sub), (subscription, window));
        let Address { shard, conn } = address;
        match shard == self.here() {
            true => self.shard.rights.names.kept.push((conn, is_kept)),
            false => self.shard.outgoing.to(shard).push(Mesh::Kept { conn, is_kept }),
        }
    }

    /// An event has happened: one member of each group that wants it is handed it.
    pub(super) fn share(&mut self, event: &Arc<Event>, now: Now) {
        let count = self.shard.rights.groups.len();
        self.shard.telling.turn.spend(count as u64 * UNITS_QUEUED);
        for index in 0..count {
            let group = self.shard.rights.groups.at(index);
            if !group.hears_of(&event.topic) {
                continue;
            }
            // Who was there before comes first.
            if group.has_backlog() {
                self.shard.rights.groups.push(index, Arc::clone(event), false);
                continue;
            }
            match self.turn(index, event, now) {
                Next::Of(place, shown) => self.hand(index, place, shown, now),
                Next::Nobody => self.shard.rights.groups.push(index, Arc::clone(event), false),
                Next::Unwanted => {}
            }
        }
    }

    /// Whose turn an event is.
    fn turn(&mut self, index: usize, event: &Arc<Event>, now: Now) -> Next {
        let group = self.shard.rights.groups.at(index);
        let (count, first) = (group.members.len(), group.next);
        self.shard.telling.turn.spend(UNITS_QUEUED);
        let mut is_wanted = false;
        for step in 0..count {
            let place = (first + step) % count;
            let member = &self.shard.rights.groups.at(index).members[place];
            let shard = member.address.shard;
            let has_room = member.has_room() && self.shard.outgoing.has_room(shard, Lane::Data);
            let member = &self.shard.rights.groups.at(index).members[place];
            // Of one that has no room it is only of interest whether it would hear the event, and that may be known.
            if (is_wanted && !has_room) || !member.hears_of(&event.topic) || member.is_spent(now) {
                continue;
            }
            let Some(shown) = self.shown((index, place), event, now) else { continue };
            if has_room {
                return Next::Of(place, shown);
            }
            is_wanted = true;
        }
        if is_wanted { Next::Nobody } else { Next::Unwanted }
    }

    /// An event as a member may see it, if that passes what it asks of the content.
    fn shown(
        &mut self,
        (index, place): (usize, usize),
        event: &Arc<Event>,
        now: Now,
    ) -> Option<Arc<Event>> {
        let member = &self.shard.rights.groups.at(index).members[place];
        let Subscription { filter, forced, .. } = &*member.subscription;
        if filter.is_none() && forced.filters.is_empty() {
            return Some(Arc::clone(event));
        }
        let subscription = Arc::clone(&member.subscription);
        let Subscription { filter, forced, .. } = &*subscription;
        let shown = self.shard.shown(filter.as_ref(), forced, event);
        let (steps, is_spent) = self.shard.classes.spending.take_page();
        self.shard.stats.filter_steps += steps;
        self.shard.telling.turn.spend(UNITS_QUEUED + steps / FILTER_STEPS_PER_UNIT);
        self.shard.rights.groups.at(index).members[place].spend(steps, now);
        shown.filter(|_| !is_spent)
    }

    fn hand(&mut self, index: usize, place: usize, event: Arc<Event>, now: Now) {
        let group = self.shard.rights.groups.at(index);
        group.next = place + 1;
        let name = group.name.clone();
        let member = &mut group.members[place];
        member.ahead += 1;
        let (Address { shard, conn }, sub) = (member.address, SubId::clone(&member.sub));
        match shard == self.here() {
            true => self.handed(conn, Handed { name, sub, event }, now),
            false => self.shard.outgoing.to(shard).push(Mesh::Handed { conn, name, sub, event }),
        }
    }

    /// What waits in groups goes to whoever has room now.
    pub(super) fn go_on(&mut self, now: Now) {
        if !self.shard.rights.groups.is_woken() {
            return;
        }
        self.shard.rights.groups.begin_look();
        for index in 0..self.shard.rights.groups.len() {
            if self.shard.rights.groups.take_woken(index) {
                self.look_at_waiting(index, now);
            }
        }
    }

    fn look_at_waiting(&mut self, index: usize, now: Now) {
        let (mut at, mut is_moving) = (0, false);
        for _ in 0..SHARED_LOOKS_MAX {
            let Some(event) = self.shard.rights.groups.at(index).waiting(at).cloned() else {
                return;
            };
            if event.is_expired(now.wall_us) {
                self.shard.rights.groups.take(index, at);
                continue;
            }
            match self.turn(index, &event, now) {
                Next::Of(place, shown) => {
                    self.shard.rights.groups.take(index, at);
                    self.hand(index, place, shown, now);
                    is_moving = true;
                }
                Next::Unwanted => self.shard.rights.groups.take(index, at),
                Next::Nobody => at += 1,
            }
        }
        if is_moving {
            self.shard.rights.groups.wake(index);
        }
    }

    /// A connection here is handed an event of a group that it shares.
    pub(super) fn handed(&mut self, conn: ConnRef, handed: Handed, now: Now) {
        let id = conn.id;
        let is_there = self.shard.conns.find_ref(conn).is_some_and(|found| !found.is_closing());
        let index = self.shard.subs_of(id).iter().position(|sub| sub.id == handed.sub);
        let (true, Some(index)) = (is_there, index) else {
            return self.done(handed.name, conn, Some(handed.event));
        };
        self.shard.go_solo(id);
        let Some(class) = self.shard.conns.find(id).and_then(|found| found.class) else { return };
        let class = self.shard.classes.at(class);
        let Some(sub) = class.key.subs.get(index) else { return };
        let qos = handed.event.meta.as_ref().map_or(2, |meta| meta.qos).min(sub.delivery.qos);
        let Some(solo) = self.shard.conns.solo_mut(id) else { return };
        let (event, bytes_max) = (Arc::clone(&handed.event), self.shard.settings.outbox_bytes_max);
        let pushed = solo.outbox.push_event(&event, 1 << index, &class.policy, bytes_max);
        let is_taken = qos == 0 && solo.has_room_for_pages();
        match self.part_mut(id) {
            Some(part) if !is_taken => part.handed.push(handed),
            _ => self.done(handed.name, conn, None),
        }
        match pushed {
            Pushed::Full => self.shard.outbox_full(id, now),
            Pushed::Queued => self.shard.mark_solo(id),
        }
    }

    /// A connection here is done with a message, or hands it back.
    fn done(&mut self, name: ClientName, conn: ConnRef, back: Option<Arc<Event>>) {
        let address = Address { shard: self.here(), conn };
        let keeper = self.shard.shards.keeper(&name);
        match keeper == address.shard {
            true => self.shard.rights.groups.done(&name, address, back),
            false => self.shard.outgoing.to(keeper).push(Mesh::Done { name, address, back }),
        }
    }

    /// A client acknowledges the message in flight under a number: if it was handed that, it is done with it.
    fn acknowledged(&mut self, id: ConnId, number: u16) {
        let Some(conn) = self.shard.conns.conn_ref(id) else { return };
        if self.part_mut(id).is_none_or(|part| part.handed.is_empty()) {
            return;
        }
        let window = self.shard.conns.solo(id).and_then(|solo| solo.window.as_deref());
        let Some((event, subs)) = window.and_then(|window| window.in_flight_as(number)) else {
            return;
        };
        let running = self.shard.subs_of(id).to_vec();
        let is_to = |sub: &SubId| {
            running.iter().position(|of| of.id == *sub).is_some_and(|at| subs & 1 << at != 0)
        };
        let Some(part) = self.part_mut(id) else { return };
        let is_it = |of: &Handed| Arc::ptr_eq(&of.event, &event) && is_to(&of.sub);
        let Some(place) = part.handed.iter().position(is_it) else { return };
        let handed = part.handed.remove(place);
        self.done(handed.name, conn, None);
    }

    /// A connection is in these groups no longer: what they have handed to it goes back, as far as another may have it. Of what is told exactly once that is not what was begun, and on a connection that
    /// goes on not what is in flight.
    fn leave_groups(&mut self, id: ConnId, joined: Vec<Joined>, is_over: bool) {
        let Some(conn) = self.shard.conns.conn_ref(id) else { return };
        let address = Address { shard: self.here(), conn };
        let running = self.shard.subs_of(id).to_vec();
        let Some(part) = self.part_mut(id) else { return };
        let mut handed = std::mem::take(&mut part.handed);
        let solo = self.shard.conns.solo(id);
        let window = solo.and_then(|solo| solo.window.as_deref());
        for Joined { name, sub, .. } in joined {
            let bit = running.iter().position(|of| of.id == sub).map_or(0, |at| 1 << at);
            let stays = |event: &Arc<Event>| {
                let qos = window.and_then(|window| window.qos_in_flight(event, bit));
                qos.is_some_and(|qos| qos > 1 || !is_over)
            };
            let back = handed.extract_if(.., |of| of.sub == sub).map(|of| of.event);
            let back = back.filter(|event| !stays(event)).collect();
            self.shard.rights.names.parted.push(Parted { name, address, back });
        }
        if let Some(part) = self.part_mut(id) {
            part.handed = handed;
        }
    }

    /// A connection ends: it is in no group any more.
    pub(super) fn leave(&mut self, id: ConnId) {
        let Some(part) = self.part_mut(id) else { return };
        let joined = std::mem::take(&mut part.joined);
        if !joined.is_empty() {
            self.leave_groups(id, joined, true);
        }
    }

    /// Tells a group that a connection has left it, and what that hands back.
    pub(super) fn parts(&mut self, of: Parted) {
        let Parted { name, address, back } = of;
        let keeper = self.shard.shards.keeper(&name);
        match keeper == self.here() {
            true => self.shard.rights.groups.part(&name, address, back),
            false => {
                let back = back.into();
                self.shard.outgoing.to(keeper).push(Mesh::Part { name, address, back });
            }
        }
    }

    /// Once a second for each connection: what was handed to it and is neither to be sent nor awaited any more is done.
    pub(super) fn look(&mut self, id: ConnId) {
        let Some(conn) = self.shard.conns.conn_ref(id) else { return };
        let Some(part) = self.part_mut(id).filter(|part| !part.handed.is_empty()) else { return };
        let handed = std::mem::take(&mut part.handed);
        let solo = self.shard.conns.solo(id);
        let lying = solo.into_iter().flat_map(|solo| solo.outbox.events());
        let mut underway: HashSet<*const Event> =
            lying.map(|(event, ..)| std::ptr::from_ref(event)).collect();
        let window = solo.and_then(|solo| solo.window.as_deref());
        underway.extend(window.into_iter().flat_map(|window| window.events()).map(Arc::as_ptr));
        self.shard.telling.turn.spend(underway.len() as u64);
        let is_underway = |of: &Handed| underway.contains(&Arc::as_ptr(&of.event));
        let (kept, over): (Vec<_>, Vec<_>) = handed.into_iter().partition(is_underway);
        if let Some(part) = self.part_mut(id) {
            part.handed = kept;
        }
        for of in over {
            self.done(of.name, conn, None);
        }
    }
}
