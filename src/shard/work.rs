//! A turn's work: what has arrived is fanned out, what was gathered is sent, and after so many units of it everything else has its turn.
//!
//! Work goes in rounds: events are fanned out until a flight is full or nothing is left, the flight goes to those in step, and each solo
//! connection that can take something is sent its next chunks; only then does the next round begin. A turn may end anywhere in a round, and the
//! next one goes on there. Invariants: a turn does at most `units_max` units and one piece more, and at least one piece; members
//! never take all of a turn from those who are solo, and both leave time for reading, accepting and answering.

use super::Shard;
use super::arrivals::Arrived;
use super::flight::Ground;
use super::flight::Unsent;
use super::names::Holding;
use super::sink::Sink;
use super::telling::Telling;
use crate::clock::Now;
use crate::limits::FLIGHT_UNITS_SHARE;

/// What a turn's work did.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    /// In units, of which a `send` is `UNITS_SEND`.
    pub units: u64,
    /// The stamps of events that it has sent to everyone in step who wanted them, in microseconds since 1970.
    pub landed_us: &'a [u64],
}

impl Shard {
    /// Whether the shard takes more data from its inbox now. Control it always takes.
    #[must_use]
    pub fn wants_inbox(&self) -> bool {
        self.arrived.has_room() && !self.telling.turn.is_spent() && self.intake.untold.is_empty()
    }

    /// Whether there is something to do without anything new coming in.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.may_tell()
            || self.telling.flight.is_underway()
            || !self.telling.solos.is_empty()
            || self.rights.tokens.is_revoking()
            || !self.rights.names.is_empty()
            || self.rights.groups.is_woken()
            || self.can_read_on()
            || self.can_go_on_with_past()
            || self.intake.has_unheard()
    }

    /// Whether a round was begun and not ended: what arrives now waits for the next one.
    #[must_use]
    pub fn is_underway(&self) -> bool {
        self.arrived.is_in_round()
            || self.telling.flight.is_underway()
            || self.telling.solos.is_underway()
    }

    /// Says how many units one turn may do from now on; a `send` is `UNITS_SEND` of them.
    pub fn set_units(&mut self, units: u64) {
        self.telling.turn.set_units_max(units);
    }

    /// What the last turn did.
    #[must_use]
    pub fn done(&self) -> Done<'_> {
        Done { units: self.telling.turn.done(), landed_us: self.telling.latency.landed() }
    }

    /// Does a turn's work; says how many events were fanned out.
    pub fn work<S: Sink>(&mut self, sink: &mut S, now: Now) -> u64 {
        let (told, spent_before) = (self.stats.events, self.telling.turn.spent());
        self.telling.latency.begin_turn();
        let for_members =
            self.telling.turn.units_max() - self.telling.turn.units_max() / FLIGHT_UNITS_SHARE;
        self.telling.solos.outboxes().set_share(self.outbox_share());
        self.tell_interest();
        self.close_revoked(now);
        Holding::at(self).go_on(now);
        self.read_on(now);
        self.tell_rows(now);
        loop {
            let is_telling =
                !self.telling.flight.is_underway() && !self.telling.solos.is_underway();
            let has_gathered = !is_telling || self.gather(for_members, now);
            // Whoever queued much for others lets them take it before it queues more.
            let has_queued = self.telling.gathered.has_queued();
            if has_gathered && is_telling {
                self.telling.launch(&mut self.classes, self.conns.places());
            }
            let has_flown = self.fly(sink, for_members, now);
            if has_flown {
                self.telling.latency.land();
            }
            self.pump(sink, now);
            self.telling.gathered.large().forget_recent();
            let is_over = has_gathered && has_flown && !self.telling.solos.is_underway();
            if !is_over
                || has_queued
                || !self.may_tell()
                || self.telling.turn.spent() >= for_members
            {
                break;
            }
        }
        self.relieve_outboxes(now);
        self.play_due(now);
        self.go_on_with_past(now);
        self.hear_on(now);
        self.publish_wills(now);
        self.retry_held(now);
        self.go_on_stopping(now);
        self.telling.turn.end(spent_before);
        self.stats.events - told
    }

    /// Whether something waits that a round would tell.
    pub(super) fn may_tell(&self) -> bool {
        !self.telling.gathered.is_empty() || self.arrived.has_next()
    }

    /// Fans out what had arrived when the round began, until a flight is full; false if that takes another turn.
    fn gather(&mut self, units_max: u64, now: Now) -> bool {
        if !self.arrived.is_in_round() && self.may_begin_round(now) {
            self.arrived.begin_round();
        }
        while self.arrived.is_in_round() {
            if self.telling.turn.spent() >= units_max {
                return false;
            }
            match self.arrived.pop_of_round() {
                Some(Arrived::Event(event)) => self.fan_out(&event, now),
                Some(Arrived::Page(answer)) => self.page_arrived(*answer, now),
                None => break,
            }
            if self.is_flush_due() {
                break;
            }
        }
        self.arrived.end_round();
        self.end_windows(now);
        let Telling { gathered, turn, .. } = &mut self.telling;
        gathered.close_due_batches(&mut self.classes, turn, now);
        self.end_rests(now);
        true
    }

    /// Sends on, while this turn has done less than `units_max`; false if some have not been sent it yet.
    pub(super) fn fly<S: Sink>(&mut self, sink: &mut S, units_max: u64, now: Now) -> bool {
        let Telling { flight, turn, solos, .. } = &mut self.telling;
        let (conns, classes, stats) = (&mut self.conns, &self.classes, &mut self.stats);
        let ground = &mut Ground { conns, classes, turn, stats, outboxes: solos.outboxes() };
        let is_over = flight.fly(sink, ground, units_max);
        let mut unsent = flight.take_unsent();
        for unsent in unsent.drain(..) {
            self.settle(unsent, now);
        }
        self.telling.flight.put_back_unsent(unsent);
        is_over
    }

    /// A member that could not be sent everything is no longer in step.
    fn settle(&mut self, unsent: Unsent, now: Now) {
        let Unsent { conn, rest, is_begun } = unsent;
        match rest {
            None => self.closed(conn, now),
            Some(_) if self.is_outbox_refused(now) => {
                self.outbox_full(conn, now);
                if is_begun {
                    // The frame would have to be ended before anything is said, and there is no room to hold it.
                    self.remove(conn);
                }
            }
            Some(rest) => {
                self.go_solo(conn);
                if let Some(solo) = self.conns.solo_mut(conn) {
                    solo.owed.push_all_first(rest);
                    solo.blocked = true;
                    solo.moved_ms = now.mono_ms;
                }
            }
        }
    }
}
