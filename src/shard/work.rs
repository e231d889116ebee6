//! A turn's work: what has arrived is fanned out, what was gathered is sent, and after so many units of it everything else has its turn.
//!
//! Work goes in rounds: events are fanned out until a flight is full or nothing is left, the flight goes to those in step, and each solo
//! connection that can take something is sent its next chunks; only then does the next round begin. A turn may end anywhere in a round, and the
//! next one goes on there. Invariants: a turn does at most `units_max` units and one piece more, and at least one piece; members
//! never take all of a turn from those who are solo, and both leave time for reading, accepting and answering.

use super::Shard;
use super::Sink;
use super::arrivals::Arrived;
use super::class::Class;
use crate::clock::Now;
use crate::limits::FLIGHT_UNITS_SHARE;
use crate::limits::UNITS_EVENT;

impl Shard {
    /// Whether the shard takes more data from its inbox now. Control it always takes.
    #[must_use]
    pub fn wants_inbox(&self) -> bool {
        self.arrived.has_room() && !self.is_spent()
    }

    /// Whether there is something to do without anything new coming in.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.may_tell()
            || self.flight.is_underway()
            || !self.queue.is_empty()
            || self.tokens.is_revoking()
            || self.can_read_on()
            || self.can_go_on_with_past()
            || !self.unheard.is_empty()
    }

    /// Whether a round was begun and not ended: what arrives now waits for the next one.
    #[must_use]
    pub fn is_underway(&self) -> bool {
        self.ungathered > 0 || self.flight.is_underway() || self.queue.is_underway()
    }

    /// Says how many units one turn may do from now on; a `send` is `UNITS_SEND` of them.
    pub fn set_units(&mut self, units: u64) {
        self.turn.set_units_max(units);
    }

    /// Units that the last turn did.
    #[must_use]
    pub const fn units_done(&self) -> u64 {
        self.turn.done()
    }

    /// Does a turn's work; says how many events were fanned out.
    pub fn work<S: Sink>(&mut self, sink: &mut S, now: Now) -> u64 {
        let (told, spent_before) = (self.stats.events, self.turn.spent());
        let for_members = self.turn.units_max() - self.turn.units_max() / FLIGHT_UNITS_SHARE;
        self.outboxes.set_share(self.outbox_share());
        self.tell_interest();
        self.close_revoked(now);
        self.read_on(now);
        loop {
            let is_telling = !self.flight.is_underway() && !self.queue.is_underway();
            let has_gathered = !is_telling || self.gather(for_members, now);
            // Whoever queued much for others lets them take it before it queues more.
            let has_queued = self.queued_bytes > 0;
            if has_gathered && is_telling {
                self.launch();
            }
            let has_flown = self.fly(sink, for_members, now);
            self.pump(sink, now);
            self.large.forget_recent();
            let is_over = has_gathered && has_flown && !self.queue.is_underway();
            if !is_over || has_queued || !self.may_tell() || self.turn.spent() >= for_members {
                break;
            }
        }
        self.relieve_outboxes(now);
        self.go_on_with_past(now);
        self.hear_on(now);
        self.retry_held(now);
        self.go_on_stopping(now);
        self.turn.end(spent_before);
        self.stats.events - told
    }

    /// Whether this turn has done what it may.
    pub(super) const fn is_spent(&self) -> bool {
        self.turn.is_spent()
    }

    /// Whether something waits that a round would tell.
    pub(super) fn may_tell(&self) -> bool {
        !self.dirty.is_empty() || (!self.arrived.is_empty() && !self.brake.is_on())
    }

    /// Fans out what had arrived when the round began, until a flight is full; false if that takes another turn.
    fn gather(&mut self, units_max: u64, now: Now) -> bool {
        if self.ungathered == 0 && self.may_begin_round(now) {
            self.ungathered = self.arrived.len();
        }
        while self.ungathered > 0 {
            if self.turn.spent() >= units_max {
                return false;
            }
            self.ungathered -= 1;
            match self.arrived.pop() {
                Some(Arrived::Event(event)) => self.fan_out(&event, now),
                Some(Arrived::Page(answer)) => self.page_arrived(*answer, now),
                None => self.ungathered = 0,
            }
            if self.is_flush_due() {
                break;
            }
        }
        self.brake.leaves_events = self.ungathered > 0;
        self.ungathered = 0;
        self.end_windows(now);
        self.close_due_batches(now);
        self.end_rests(now);
        true
    }

    fn close_due_batches(&mut self, now: Now) {
        while !self.is_flight_full()
            && let Some(class) = self.batch_deadlines.pop_due(now.mono_ms)
        {
            let is_due =
                |class: &Class| class.open.as_ref().is_some_and(|open| open.due_ms <= now.mono_ms);
            if self.classes.find(class).is_some_and(is_due) {
                self.turn.spend(UNITS_EVENT);
                self.close_batch(class);
            }
            if self.is_spent() {
                break;
            }
        }
    }
}
