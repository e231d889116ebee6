//! Clients that have a name of their own: it is claimed where it is kept, and what its last connection has left behind is gone on from.
//!
//! Invariants: a connection asks for a name once, and lets go of it once, when nothing more is sent to it: then it leaves behind where its client stands. Nothing of a session
//! is on two connections at a time. A session of which something is missing ends, and its client is told so.

use std::mem;

use super::Shard;
use super::bookmark::Begun;
use super::bookmark::Bookmark;
use super::bookmark::ClientName;
use super::bookmark::Flying;
use super::bookmark::InFlight;
use super::bookmark::Underway;
use super::claims::Settled;
use super::hold::Hold;
use super::hold::Names;
use super::hold::Noted;
use super::input::Address;
use super::input::Claimant;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::outlasting::Outlasting;
use super::sharing::Sharing;
use super::solo::Solo;

use super::window::Window;
use crate::clock::Now;
use crate::dialect::Kept;
use crate::dialect::Refusal;
use crate::dialect::SubId;
use crate::dialect::Subs;
use crate::dialect::Subscription;
use crate::dialect::Wish;
use crate::position::Since;

/// The close code for whose name is another's now.
const CLOSE_TAKEN_OVER: u16 = 4009;
/// The close code for whose session has ended, since something of it is missing.
pub(super) const CLOSE_LOST: u16 = 4010;

/// A shard, as it looks after names.
pub(super) struct Holding<'a> {
    pub(super) shard: &'a mut Shard,
}

impl<'a> Holding<'a> {
    pub(super) const fn at(shard: &'a mut Shard) -> Self {
        Self { shard }
    }

    /// A connection's client wants a name among those of its user: so nobody sends another user's clients away by calling itself like them.
    pub(super) fn claim(&mut self, id: ConnId, client: &str, is_clean: bool, now: Now) {
        let here = self.shard.shards.here();
        let Some(conn) = self.shard.conns.conn_ref(id) else { return };
        let Some(found) = self.shard.conns.find_mut(id) else { return };
        let user = found.who.as_ref().and_then(|who| who.principal.user.as_deref());
        let name = ClientName::new(user, client);
        let hold = Hold {
            name: name.clone(),
            is_granted: false,
            left: None,
            begun: Vec::new(),
            is_lost: false,
            is_lying: false,
            noted: Noted::default(),
            awaited: 0,
            shared: None,
        };
        found.caller.origin_mut().hold = Some(Box::new(hold));
        let claimant = Claimant { address: Address { shard: here, conn }, is_clean };
        let keeper = self.shard.shards.keeper(&name);
        match keeper == here {
            true => self.claimed(name, claimant, now),
            false => self.shard.outgoing.to(keeper).push(Mesh::Claim { name, claimant }),
        }
    }

    /// A connection of some shard wants a name that is kept here.
    pub(super) fn claimed(&mut self, name: ClientName, claimant: Claimant, now: Now) {
        let settled = self.shard.rights.claims.claim(name.clone(), claimant);
        self.settle(Some(name), settled, now);
    }

    /// A connection of some shard lets go of a name that is kept here.
    pub(super) fn released(
        &mut self,
        name: &ClientName,
        address: Address,
        left: Option<Box<Bookmark>>,
        now: Now,
    ) {
        let is_left = left.is_some();
        let settled = self.shard.rights.claims.release(name.clone(), address, left, now);
        self.settle(Some(name.clone()), settled, now);
        if is_left && self.shard.rights.claims.left_of(name).is_some() {
            Outlasting::at(self.shard).left_behind(name, now);
        }
    }

    /// Does what follows from what was said of names.
    pub(super) fn settle(&mut self, name: Option<ClientName>, settled: Settled, now: Now) {
        let here = self.shard.shards.here();
        for Address { shard, conn } in settled.taken_over {
            match shard == here {
                true => self.shard.rights.names.taken_over.push(conn),
                false => self.shard.outgoing.to(shard).push(Mesh::TakenOver(conn)),
            }
        }
        if let (Some(name), Some((Address { shard, conn }, left))) = (name, settled.granted) {
            match shard == here {
                true => self.shard.rights.names.granted.push((conn, name, left)),
                false => self.shard.outgoing.to(shard).push(Mesh::Named { conn, name, left }),
            }
        }
        self.shard.life.wills.extend(settled.wills);
        self.shard.stats.left.crowded_out += settled.crowded_out;
        for name in settled.ended {
            Outlasting::at(self.shard).forget(&name, None, now);
        }
        for name in settled.changed {
            Outlasting::at(self.shard).left_behind(&name, now);
        }
    }

    /// Does what has come since the last turn.
    pub(super) fn go_on(&mut self, now: Now) {
        while !self.shard.rights.names.is_empty() {
            let Names { taken_over, granted, released, parted, kept } =
                mem::take(&mut self.shard.rights.names);
            for parted in parted {
                Sharing::at(self.shard).parts(parted);
            }
            for (conn, is_kept) in kept {
                Outlasting::at(self.shard).kept(conn, is_kept, now);
            }
            for (conn, name, left) in granted {
                self.granted(conn, name, left, now);
            }
            for conn in taken_over {
                self.taken_over(conn, now);
            }
            for (name, address, left) in released {
                self.release(name, address, left, now);
            }
        }
        Sharing::at(self.shard).go_on(now);
        let shared = self.shard.rights.groups.bytes();
        self.shard.rights.claims.lend(shared);
        let settled = self.shard.rights.claims.look(now);
        self.settle(None, settled, now);
    }

    fn release(
        &mut self,
        name: ClientName,
        address: Address,
        left: Option<Box<Bookmark>>,
        now: Now,
    ) {
        let keeper = self.shard.shards.keeper(&name);
        let is_here = keeper == self.shard.shards.here();
        if !is_here && self.shard.life.is_stopping() {
            Outlasting::at(self.shard).leave_at_once(&name, left.as_deref(), now);
        }
        match is_here {
            true => self.released(&name, address, left, now),
            false => self.shard.outgoing.to(keeper).push(Mesh::Released { name, address, left }),
        }
    }

    /// A name is a connection's, unless that has gone: then it is let go of at once, with what was left.
    fn granted(&mut self, conn: ConnRef, name: ClientName, left: Option<Box<Bookmark>>, now: Now) {
        let found = self.shard.conns.find_ref(conn).filter(|found| !found.is_closing());
        let hold = found.and_then(|found| found.caller.origin_mut().hold.as_deref_mut());
        let Some(hold) = hold.filter(|hold| !hold.is_granted && hold.name == name) else {
            let address = Address { shard: self.shard.shards.here(), conn };
            return self.release(name, address, left, now);
        };
        hold.is_granted = true;
        hold.is_lying = left.as_ref().is_some_and(|left| left.is_durable);
        let left = left.filter(|left| left.is_met);
        let words: Option<Box<[u8]>> = left.as_ref().map(|left| left.words.clone());
        let received = left.as_ref().and_then(|left| left.in_flight.as_ref());
        let received = received.map_or(Vec::new(), |underway| underway.of.received.clone());
        hold.left = left;
        self.shard.name_granted(conn.id, (words.as_deref(), &received), now);
    }

    /// Another connection has a connection's name, or is to have it in its place.
    fn taken_over(&mut self, conn: ConnRef, now: Now) {
        let Some(found) = self.shard.conns.find_ref(conn) else { return };
        let hold = &mut found.caller.origin_mut().hold;
        if hold.as_ref().is_some_and(|hold| !hold.is_granted) {
            // It is not waited for any more.
            *hold = None;
        }
        let reason = "another client has this one's name";
        self.shard.close(conn.id, CLOSE_TAKEN_OVER, reason, now);
    }

    /// Nothing more is sent to a connection: it lets go of its name, and leaves behind where its client stands. What is to be published for its client is, unless
    /// that waits.
    pub(super) fn leave(&mut self, id: ConnId) {
        Sharing::at(self.shard).leave(id);
        let here = self.shard.shards.here();
        let Some(conn) = self.shard.conns.conn_ref(id) else { return };
        let Some(found) = self.shard.conns.find_mut(id) else { return };
        let Some(origin) = found.caller.origin.as_deref_mut() else { return };
        let will = origin.will.take();
        // Of a name that was not granted yet it lets go when it is.
        let hold = origin.hold.take_if(|hold| hold.is_granted);
        let may_publish = |who: &super::access::Who| {
            will.as_ref().is_some_and(|will| who.principal.may_publish(&will.draft.topic))
        };
        let may_publish = found.who.as_deref().is_some_and(may_publish);
        let mut will = will.filter(|_| may_publish);
        let kept = found.talk.as_mut().filter(|_| hold.is_some()).and_then(|talk| talk.keep());
        let Some(Hold { name, left, begun, is_lost, .. }) = hold.map(|hold| *hold) else {
            return self.shard.life.wills.extend(will.map(|will| will.draft));
        };
        let left = kept.filter(|_| !is_lost).map(|kept| {
            let will = will.take_if(|will| will.delay_s > 0);
            // What was not gone on from is left as it was.
            let bookmark = left.map_or_else(|| self.bookmark(id, begun), |left| *left);
            let Kept { words, lasts_s, is_met, is_once: _, is_open } = kept;
            let is_durable = bookmark.is_durable && !is_open;
            Box::new(Bookmark { words, lasts_s, is_met, will, is_durable, ..bookmark })
        });
        self.shard.life.wills.extend(will.map(|will| will.draft));
        let address = Address { shard: here, conn };
        self.shard.rights.names.released.push((name, address, left));
    }

    /// Where a connection's client stands.
    fn bookmark(&mut self, id: ConnId, begun: Vec<Begun>) -> Bookmark {
        let mut homes = self.shard.cursor_before_held(id);
        let subs = self.shard.subs_of(id).to_vec();
        let is_durable = self.shard.rights.keeping.covers(subs.iter().map(|sub| &**sub));
        let (mut in_flight, mut untold) = (None, Vec::new());
        if let Some(solo) = self.shard.conns.solo_mut(id) {
            solo.lower(&mut homes, &subs);
            untold = solo.untold(&subs);
            let window = solo.window.take().map(|window| {
                let mut of = window.into_flight();
                // What is shared is another's now, unless it is told exactly once and was begun.
                let (kept, shared) = (kept_of(&subs), shared_of(&subs));
                let is_own =
                    |of: &Flying| of.subs & kept != 0 || of.subs & shared != 0 && of.qos > 1;
                of.flying.retain(|flying| flying.subs == 0 || is_own(flying));
                of
            });
            in_flight = window.filter(|of| !of.is_empty()).map(|of| {
                let subs = subs.iter().map(|sub| SubId::clone(&sub.id)).collect();
                Box::new(Underway { subs, of })
            });
        }
        let is_later = |begun: &[u64]| begun.iter().zip(&homes).any(|(begun, at)| begun > at);
        let begun = begun.into_iter().filter(|(_, at)| is_later(at)).collect();
        let (homes, untold) = (homes.into(), untold.into());
        Bookmark { homes, begun, untold, in_flight, is_durable, ..Bookmark::default() }
    }

    /// A subscription begins: notes when, if its client has still to be sent what came before.
    pub(super) fn began(&mut self, id: ConnId, sub: &SubId) {
        let is_behind = self.shard.conns.solo(id).is_some_and(Solo::is_behind);
        let at = self.shard.telling.gathered.cursor().into();
        let conn = self.shard.conns.find_mut(id);
        let hold = conn.and_then(|conn| conn.caller.origin.as_deref_mut()?.hold.as_deref_mut());
        if let Some(hold) = hold {
            hold.begun.retain(|(of, _)| of != sub);
            if is_behind {
                hold.begun.push((SubId::clone(sub), at));
            }
        }
    }

    /// Subscriptions that began while something before them was still to be sent, and when.
    pub(super) fn begun(&self, id: ConnId) -> Vec<Begun> {
        let conn = self.shard.conns.find(id);
        let hold = conn.and_then(|conn| conn.caller.origin.as_deref()?.hold.as_deref());
        hold.map_or_else(Vec::new, |hold| hold.begun.clone())
    }

    /// Something of a session is not to be had: it ends if that is gone for good, else its client may come back for it.
    pub(super) fn break_off(&mut self, id: ConnId, is_lost: bool, now: Now) {
        let conn = self.shard.conns.find_mut(id);
        let hold = conn.and_then(|conn| conn.caller.origin.as_deref_mut()?.hold.as_deref_mut());
        if let Some(hold) = hold.filter(|_| is_lost) {
            hold.is_lost = true;
            self.shard.stats.left.lost += 1;
        }
        let reason = match is_lost {
            true => "the session has ended: what it waits for is no longer kept",
            false => "what the session waits for cannot be read just now",
        };
        self.shard.close(id, CLOSE_LOST, reason, now);
    }

    /// Goes on from where the last connection of the client was left, with these subscriptions.
    pub(super) fn resume(
        &mut self,
        id: ConnId,
        wishes: &[Wish],
        now: Now,
    ) -> Vec<Result<(), Refusal>> {
        let conn = self.shard.conns.find_mut(id);
        let hold = conn.and_then(|conn| conn.caller.origin.as_deref_mut()?.hold.as_deref_mut());
        let left = hold.and_then(|hold| hold.left.take());
        let mut left = left.map_or_else(Bookmark::default, |left| *left);
        let results = wishes
            .iter()
            .map(|wish| {
                let subscription = &wish.subscription;
                let since = match left.untold.contains(&subscription.id) {
                    true => Since::States(subscription.topics.clone()),
                    false => Since::Now,
                };
                let wish = Wish::new(subscription.clone(), since);
                self.shard.subscribe_or_replace(id, &wish, now)
            })
            .collect();
        self.send_again(id, left.in_flight.take());
        let conn = self.shard.conns.find_mut(id);
        let hold = conn.and_then(|conn| conn.caller.origin.as_deref_mut()?.hold.as_deref_mut());
        if let Some(hold) = hold {
            hold.begun = left.begun.into();
        }
        self.begin_missed(id, &left.homes, now);
        results
    }

    /// What was in flight is to be sent again, as far as its client may still hear it.
    fn send_again(&mut self, id: ConnId, underway: Option<Box<Underway>>) {
        let Some(underway) = underway else { return };
        let Underway { subs, of } = *underway;
        self.shard.go_solo(id);
        let running = self.shard.subs_of(id).to_vec();
        let Some(conn) = self.shard.conns.find_mut(id) else { return };
        let (most, who) = (conn.caller.window_max(), conn.who.clone());
        let Some(solo) = conn.solo.as_deref_mut() else { return };
        let bit = |old: &SubId| running.iter().position(|sub| sub.id == *old);
        let bits: Vec<u64> = subs.iter().map(|old| bit(old).map_or(0, |at| 1 << at)).collect();
        let set = |old: u64| {
            let meant = bits.iter().enumerate().filter(|(at, _)| old & (1 << at) != 0);
            meant.fold(0, |set, (_, bit)| set | bit)
        };
        let mut flying = of.flying;
        flying.retain(|of| who.as_deref().is_some_and(|who| who.hears_of(&of.event.topic)));
        for of in &mut flying {
            of.subs = set(of.subs);
        }
        let share = solo.outbox.share();
        solo.window = Some(Box::new(Window::resumed(most, InFlight { flying, ..of }, share)));
        self.shard.mark_solo(id);
    }
}

/// The subscriptions of a connection that outlast it, one bit each: not what is shared, which has others meanwhile.
pub(super) fn kept_of(subs: &[std::sync::Arc<Subscription>]) -> u64 {
    let kept = subs.iter().enumerate().filter(|(_, sub)| sub.share.is_none());
    kept.fold(0, |set, (at, _)| set | 1 << at)
}

/// The subscriptions of a connection that are shared, one bit each.
fn shared_of(subs: &[std::sync::Arc<Subscription>]) -> u64 {
    let shared = subs.iter().enumerate().filter(|(_, sub)| sub.share.is_some());
    shared.fold(0, |set, (at, _)| set | 1 << at)
}

impl Solo {
    /// Whether the client has still to be sent something that came before now.
    fn is_behind(&self) -> bool {
        let is_awaited = self.window.as_ref().is_some_and(|window| !window.is_empty());
        self.outbox.has_items() || !self.replays.is_empty() || is_awaited
    }

    /// Lowers a cursor to what was sent of messages that are to be acknowledged.
    pub(super) fn lower(&self, homes: &mut [u64], subs: &[std::sync::Arc<Subscription>]) {
        for (home, told_us) in self.replays.iter().flat_map(|replay| replay.missed_up_to()) {
            if let Some(at) = homes.get_mut(home.index()) {
                *at = told_us;
            }
        }
        let kept = kept_of(subs);
        for (event, set, _) in self.outbox.events().filter(|(.., is_past)| !is_past) {
            let qos = Subs { of: subs, names: None, set: set & kept }.qos_of(event);
            if let Some(at) = homes.get_mut(event.home.index()).filter(|_| qos > 0) {
                *at = event.time_us.saturating_sub(1).min(*at);
            }
        }
    }

    /// Subscriptions that are being told which states there are, and were not told of all of them.
    pub(super) fn untold(&self, subs: &[std::sync::Arc<Subscription>]) -> Vec<SubId> {
        let telling = self.replays.iter().filter(|replay| replay.untold.is_some());
        let telling = telling.fold(0, |set, replay| set | 1 << replay.sub);
        let past = self.outbox.events().filter(|(.., is_past)| *is_past);
        let set = past.fold(telling, |set, (_, subs, _)| set | subs);
        let meant = |(at, sub): (usize, &std::sync::Arc<Subscription>)| {
            (set & 1 << at != 0 && sub.delivery.qos > 0).then(|| SubId::clone(&sub.id))
        };
        subs.iter().enumerate().filter_map(meant).collect()
    }
}
