//! The hot path on one page: match, encode, batch.
//!
//! Work is done per event, then per class of subscribers alike; a subscriber costs nothing here unless it is solo, and then one entry in
//! its outbox. No I/O, no clock, no log, no async.

use std::sync::Arc;

use super::Shard;
use super::conns::ClassId;
use super::encoded::Encoded;
use super::input::ConnId;
use super::sharing::Sharing;
use crate::batch::Pushed;
use crate::clock::Now;
use crate::event::Event;
use crate::limits::FILTER_STEPS_PER_UNIT;
use crate::limits::OUTBOX_ROUNDS_MIN;
use crate::limits::UNITS_EVENT;
use crate::limits::UNITS_QUEUED;

impl Shard {
    /// Tells one event to every class that wants it.
    pub(super) fn fan_out(&mut self, event: &Arc<Event>, now: Now) {
        self.telling.gathered.begin_event(event);
        self.stats.events += 1;
        self.telling.turn.spend(UNITS_EVENT);
        let mut buffers = self.telling.take_buffers();
        self.classes.begin_second(now);
        let (wanted, steps) = self.classes.match_event(event);
        self.stats.filter_steps += steps;
        self.telling.turn.spend(wanted as u64 * UNITS_QUEUED + steps / FILTER_STEPS_PER_UNIT);
        if wanted > 0 {
            self.telling.latency.gather(event.time_us);
        }
        self.close_all_spent(now);
        // One is gone if its filters took too much for this event.
        self.classes.take_wanting(&mut buffers.classes);
        buffers.encoded.begin();
        buffers.alone.clear();
        for id in buffers.classes.drain(..) {
            let class = self.classes.at(id);
            let mut subs = std::mem::take(&mut class.matched);
            if subs & class.unmatched.excluding != 0 {
                subs = class.without_own(event, subs);
            }
            if subs & class.unmatched.at(event.op) != 0 {
                buffers.forced.push((id, subs));
                continue;
            }
            if let Some(conn) = self.classes.only_conn(id) {
                buffers.alone.push((conn, subs));
                subs = self.shape_live(conn, event, subs, now);
            }
            if subs != 0 {
                self.emit(id, event, subs, &mut buffers.encoded, now);
            }
        }
        if !buffers.forced.is_empty() {
            self.fan_out_forced(event, &buffers.forced, &mut buffers.alone, now);
            buffers.forced.clear();
        }
        buffers.encoded.end();
        self.announce_leaves(event, &buffers.alone, now);
        if !self.rights.groups.is_empty() {
            Sharing::at(self).share(event, now);
        }
        self.telling.put_back_buffers(buffers);
    }

    /// Queues an event for a class: once for its members, and for each who is solo.
    pub(super) fn emit(
        &mut self,
        id: ClassId,
        event: &Arc<Event>,
        subs: u64,
        encoded: &mut Encoded,
        now: Now,
    ) {
        let class = self.classes.at(id);
        if !std::mem::replace(&mut class.is_told, true) {
            self.arrived.brake.told.push(id);
        }
        if !class.members.is_empty() {
            self.telling.gathered.append(&mut self.classes, id, (event, subs), encoded, now);
        }
        let mut full = self.telling.solos.take_full();
        self.queue_for_solos(id, event, subs, &mut full);
        for conn in full.drain(..) {
            self.outbox_full(conn, now);
        }
        self.telling.solos.put_back_full(full);
    }

    /// Sees an event for a connection with a class of its own; returns the subscriptions that get it now.
    pub(super) fn shape_live(
        &mut self,
        conn: ConnId,
        event: &Arc<Event>,
        subs: u64,
        now: Now,
    ) -> u64 {
        let live = self.conns.solo(conn).map_or(subs, |solo| solo.live(event, subs));
        self.shape(conn, event, live, now)
    }

    /// Whether what was gathered must go out before the next event is taken.
    pub(super) fn is_flush_due(&self) -> bool {
        self.telling.gathered.is_due(self.outbox_share() / OUTBOX_ROUNDS_MIN)
    }

    fn queue_for_solos(
        &mut self,
        id: ClassId,
        event: &Arc<Event>,
        subs: u64,
        full: &mut Vec<ConnId>,
    ) {
        let class = self.classes.at(id);
        if class.solos.is_empty() {
            return;
        }
        self.telling.turn.spend(class.solos.len() as u64 * UNITS_QUEUED);
        self.telling.gathered.queued(event.weight_bytes());
        for id in &class.solos {
            let Some(solo) = self.conns.solo_mut(*id) else {
                continue;
            };
            let subs = solo.live(event, subs);
            if subs == 0 {
                continue;
            }
            if solo.outbox.push_event(event, subs, &class.policy, self.settings.outbox_bytes_max)
                == Pushed::Full
            {
                full.push(*id);
            } else if !solo.dirty && !solo.blocked {
                solo.dirty = true;
                self.telling.solos.push(*id, true);
            }
        }
    }
}
