//! Sessions that outlast the process: each is written to the folder of the store by the shard that keeps its name, while its client is there, and when it goes.
//!
//! Invariants: only a session lies there all of whose messages that are to be acknowledged are of durable topics. What lies there of a client that is there is where it stood a while ago, so that after a
//! restart it hears some messages again; of one to which that must not happen, as something is exactly once, nothing lies there but its will until it has gone. Whoever waits for what it
//! was told to be written is told nothing before. Never knows what a conversation remembers.

use super::Shard;
use super::bookmark::Begun;
use super::bookmark::Bookmark;
use super::bookmark::ClientName;
use super::deadlines::seconds;
use super::hold::Hold;
use super::hold::Noted;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::kept;
use super::lanes::Lane;
use super::names::CLOSE_LOST;
use super::names::Holding;
use super::names::kept_of;
use super::window::Window;
use crate::clock::Now;
use crate::dialect::Kept;
use crate::dialect::SubId;
use crate::event::ShardId;
use crate::history::asks;
use crate::history::log::SessionRecord;
use crate::limits::SESSION_AT_REST_S;
use crate::limits::SESSION_KEPT_MS_MAX;
use crate::limits::SESSION_NOTED_S;

/// A shard, as it looks after sessions that outlast the process.
pub(super) struct Outlasting<'a> {
    shard: &'a mut Shard,
}

impl<'a> Outlasting<'a> {
    pub(super) const fn at(shard: &'a mut Shard) -> Self {
        Self { shard }
    }

    /// Goes on from the sessions that lie in the folder, as far as their names are kept here.
    pub(super) fn restore(&mut self, restored: &asks::Restored, now: Now) {
        let here = self.shard.shards.here();
        for (name, bytes) in &*restored.sessions {
            let name = ClientName::kept(name);
            if self.shard.shards.keeper(&name) != here {
                continue;
            }
            self.shard.rights.keeping.found(name.clone());
            let Some(kept::ReadBookmark { mut bookmark, goes_on, was_held }) =
                kept::read(bytes, now)
            else {
                self.forget(&name, None, now);
                continue;
            };
            self.place(&mut bookmark.homes, restored.stamped_us);
            let is_whole = bookmark.homes.len() == self.shard.shards.homes().count();
            if goes_on && (is_whole || !bookmark.is_met) {
                let settled = self.shard.rights.claims.restore(name.clone(), bookmark, now);
                Holding::at(self.shard).settle(None, settled, now);
                // Its client has gone with the process before: from now on its time passes.
                if was_held {
                    self.left_behind(&name, now);
                }
            } else {
                self.shard.life.wills.extend(bookmark.will.map(|will| will.draft));
                self.forget(&name, None, now);
            }
        }
    }

    /// Positions of the process before, as they are in this one: nothing of what memory alone held is there any more, and nothing was stored later than this.
    fn place(&self, homes: &mut [u64], stamped_us: u64) {
        let shard_count = self.shard.shards.count();
        for (home, at_us) in self.shard.shards.homes().all().zip(homes) {
            *at_us = match home.is_durable(shard_count) {
                true => (*at_us).min(stamped_us.max(1)),
                false => 1,
            };
        }
    }

    /// Has a connection's session written as it is now; false: there is nothing to be written, and nothing to wait for.
    pub(super) fn keep(&mut self, id: ConnId, is_awaited: bool, now: Now) -> bool {
        if !self.shard.rights.keeping.is_possible() {
            return false;
        }
        let record = self.record(id, now);
        let here = self.shard.shards.here();
        let Some(conn) = self.shard.conns.conn_ref(id) else { return false };
        let acknowledged = self.acknowledged(id);
        let Some(hold) = self.hold_mut(id).filter(|hold| hold.is_granted) else { return false };
        if record.is_none() && !hold.is_lying {
            return false;
        }
        hold.is_lying = record.is_some();
        hold.awaited += u8::from(is_awaited);
        hold.noted = Noted { at_s: seconds(now), acknowledged };
        let name = hold.name.clone();
        let address = Address { shard: here, conn };
        let keeper = self.shard.shards.keeper(&name);
        match keeper == here {
            true => self.keep_here(&name, (address, is_awaited), record, now),
            false => {
                let message = Mesh::Keep { name, address, is_awaited, record };
                self.shard.outgoing.to(keeper).push(message);
            }
        }
        true
    }

    /// Has a connection's session written, and waits for that and for whatever else its client is to be told of; false: there is nothing to wait for.
    pub(super) fn settle_first(&mut self, id: ConnId, now: Now) -> bool {
        let _is_written: bool = self.keep(id, true, now);
        self.hold_mut(id).is_some_and(|hold| hold.awaited > 0)
    }

    /// What is to lie in the folder of a connection's session while its client is there.
    fn record(&mut self, id: ConnId, now: Now) -> Option<Box<[u8]>> {
        let found = self.shard.conns.find_mut(id)?;
        let Kept { words, lasts_s, is_met, is_once, is_open: _ } = found.talk.as_mut()?.keep()?;
        let who = found.who.clone();
        let origin = found.caller.origin.as_deref_mut()?;
        let will = origin.will.clone();
        let will = will.filter(|will| {
            who.as_ref().is_some_and(|who| who.principal.may_publish(&will.draft.topic))
        });
        let Hold { left, begun, .. } = origin.hold.as_deref()?;
        let (left, begun) = (left.as_deref().cloned(), begun.clone());
        let standing = left.unwrap_or_else(|| self.standing(id, begun));
        if !standing.is_durable {
            return None;
        }
        let is_once = is_once || standing.is_once() || self.is_once(id);
        let bookmark = match is_once || !is_met {
            true if will.is_none() => return None,
            true => Bookmark { will, lasts_s, ..Bookmark::default() },
            false => Bookmark { words, lasts_s, is_met, will, ..standing },
        };
        kept::written(&bookmark, true, now)
    }

    /// Where a connection's client stands, as far as it has acknowledged what it was sent.
    fn standing(&self, id: ConnId, begun: Vec<Begun>) -> Bookmark {
        let mut homes = self.shard.cursor_before_held(id);
        let subs = self.shard.subs_of(id).to_vec();
        let is_durable = self.shard.rights.keeping.covers(subs.iter().map(|sub| &**sub));
        let mut untold = Vec::new();
        if let Some(solo) = self.shard.conns.solo(id) {
            solo.lower(&mut homes, &subs);
            untold = solo.untold(&subs);
            let window = solo.window.as_deref();
            let told = window.map_or(0, |window| window.lower(&mut homes, kept_of(&subs)));
            let is_told = |(at, _): &(usize, _)| told & 1 << at != 0;
            let told =
                subs.iter().enumerate().filter(is_told).map(|(_, sub)| SubId::clone(&sub.id));
            untold.extend(told.filter(|id| !untold.contains(id)).collect::<Vec<_>>());
        }
        let is_later = |begun: &[u64]| begun.iter().zip(&homes).any(|(begun, at)| begun > at);
        let begun = begun.into_iter().filter(|(_, at)| is_later(at)).collect();
        let (homes, untold) = (homes.into(), untold.into());
        Bookmark { homes, begun, untold, is_durable, ..Bookmark::default() }
    }

    fn hold_mut(&mut self, id: ConnId) -> Option<&mut Hold> {
        self.shard.conns.find_mut(id)?.caller.origin.as_deref_mut()?.hold.as_deref_mut()
    }

    /// Whether something that is in flight to a connection is to be told exactly once.
    fn is_once(&self, id: ConnId) -> bool {
        let window = self.shard.conns.solo(id).and_then(|solo| solo.window.as_deref());
        window.is_some_and(Window::is_once)
    }

    fn acknowledged(&self, id: ConnId) -> u32 {
        let window = self.shard.conns.solo(id).and_then(|solo| solo.window.as_deref());
        window.map_or(0, |window| window.acknowledged_count)
    }

    /// Once a second for each connection: what lies in the folder of its session is to be no older than this.
    pub(super) fn note_progress(&mut self, id: ConnId, now: Now) {
        let acknowledged = self.acknowledged(id);
        let Some(hold) = self.hold_mut(id).filter(|hold| hold.is_lying) else { return };
        let Noted { at_s, acknowledged: before } = hold.noted;
        let after_s = if acknowledged == before { SESSION_AT_REST_S } else { SESSION_NOTED_S };
        if seconds(now).saturating_sub(at_s) < after_s {
            return;
        }
        let keeper = self
            .hold_mut(id)
            .map(|hold| hold.name.clone())
            .map(|name| self.shard.shards.keeper(&name));
        // What lies there is good for longer: it can wait for those who are waited for.
        if keeper.is_some_and(|keeper| self.shard.outgoing.has_room(keeper, Lane::Control)) {
            let _is_written: bool = self.keep(id, false, now);
        }
    }

    /// A connection of some shard has its session written, whose name is kept here.
    pub(super) fn keep_here(
        &mut self,
        name: &ClientName,
        (address, is_awaited): (Address, bool),
        record: Option<Box<[u8]>>,
        now: Now,
    ) {
        let who = is_awaited.then_some(address);
        if !self.shard.rights.claims.is_held_by(name, address) {
            // Another is to have its name, and it is being closed.
            return self.tell_kept(who, true);
        }
        match record {
            Some(bytes) => self.write(name, who, Some(bytes), now),
            None => self.forget(name, who, now),
        }
    }

    /// A client has gone, and something of it is left or nothing.
    pub(super) fn left_behind(&mut self, name: &ClientName, now: Now) {
        let left = self.shard.rights.claims.left_of(name);
        let bytes =
            left.filter(|left| left.is_durable).and_then(|left| kept::written(left, false, now));
        match bytes {
            Some(bytes) if self.shard.rights.keeping.is_possible() => {
                self.write(name, None, Some(bytes), now);
            }
            _ => self.forget(name, None, now),
        }
    }

    /// The server stops, and the shard that keeps a name may be gone before it hears of this.
    pub(super) fn leave_at_once(&mut self, name: &ClientName, left: Option<&Bookmark>, now: Now) {
        let bytes =
            left.filter(|left| left.is_durable).and_then(|left| kept::written(left, false, now));
        if let (Some(bytes), true) = (bytes, self.shard.rights.keeping.is_possible()) {
            self.ask(0, (name, Some(bytes)), false);
        }
    }

    /// A session has ended: nothing of it is to lie in the folder.
    pub(super) fn forget(&mut self, name: &ClientName, who: Option<Address>, now: Now) {
        match self.shard.rights.keeping.lies(name) {
            true => self.write(name, who, None, now),
            false => self.tell_kept(who, true),
        }
    }

    fn write(
        &mut self,
        name: &ClientName,
        who: Option<Address>,
        bytes: Option<Box<[u8]>>,
        now: Now,
    ) {
        let asking = (who, bytes.is_none());
        match self.shard.rights.keeping.ask(name, asking, now.mono_ms) {
            Some(ticket) => self.ask(ticket, (name, bytes), who.is_some()),
            None => self.tell_kept(who, false),
        }
    }

    fn ask(
        &mut self,
        ticket: u64,
        (name, bytes): (&ClientName, Option<Box<[u8]>>),
        is_awaited: bool,
    ) {
        // What its client has left behind is the last word, and what was written before may be worth nothing.
        let wants_sync = is_awaited || bytes.as_deref().is_some_and(kept::is_left);
        let Some(durable) = &self.shard.settings.durable else { return };
        let record = SessionRecord { name: name.as_str().into(), bytes };
        let shard = self.shard.shards.here();
        let ask = asks::SessionAsk { shard, ticket, record, wants_sync };
        let ask = Mesh::Store(asks::Ask::Session(Box::new(ask)));
        self.shard.outgoing.to(durable.store).push(ask);
    }

    /// The store has written a session, or has not.
    pub(super) fn session_kept(&mut self, ticket: u64, result: Result<(), asks::NotNoted>) {
        let who = self.shard.rights.keeping.answered(ticket, result.is_ok());
        if let Err(why) = result {
            tracing::debug!(shard = self.shard.shards.here().0, ?why, "a session is not kept");
            self.shard.stats.left.unkept += 1;
        }
        self.tell_kept(who, result.is_ok());
    }

    /// Whoever has waited too long for the store is told so; what has ended and lies in the folder is taken out. To be called with every tick.
    pub(super) fn go_on_keeping(&mut self, now: Now) {
        let before_ms = (now.mono_ms + 1).saturating_sub(SESSION_KEPT_MS_MAX);
        for who in self.shard.rights.keeping.take_late(before_ms) {
            self.tell_kept(Some(who), false);
        }
        let ended: Vec<_> = std::iter::from_fn(|| self.shard.rights.keeping.pop_ended()).collect();
        for name in ended {
            self.write(&name, None, None, now);
        }
    }

    /// The store has ended.
    pub(super) fn keep_no_more(&mut self) {
        self.shard.rights.keeping.is_closed = true;
        for who in self.shard.rights.keeping.take_late(u64::MAX) {
            self.tell_kept(Some(who), false);
        }
    }

    fn tell_kept(&mut self, who: Option<Address>, is_kept: bool) {
        let Some(Address { shard, conn }) = who else { return };
        match shard == self.here() {
            true => self.shard.rights.names.kept.push((conn, is_kept)),
            false => self.shard.outgoing.to(shard).push(Mesh::Kept { conn, is_kept }),
        }
    }

    const fn here(&self) -> ShardId {
        self.shard.shards.here()
    }

    /// A connection's session is written, or it is in a group that it shares; or that cannot be: then it ends with its connection.
    pub(super) fn kept(&mut self, conn: ConnRef, is_kept: bool, now: Now) {
        if self.shard.conns.find_ref(conn).is_none() {
            return;
        }
        let Some(hold) = self.hold_mut(conn.id) else { return };
        hold.awaited = hold.awaited.saturating_sub(1);
        hold.is_lost |= !is_kept;
        // One answer is enough to say no, and all of them to say yes.
        if !is_kept || hold.awaited == 0 {
            self.shard.session_kept(conn.id, is_kept, now);
        }
        if !is_kept && !self.shard.conns.is_closing(conn.id) {
            // Nobody had asked: a session that is gone on with is in its groups again.
            let reason = "there is no room for one more who shares the subscription";
            self.shard.close(conn.id, CLOSE_LOST, reason, now);
        }
    }
}
