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
use crate::limits::OUTBOX_TURNS_MIN;
use crate::limits::UNITS_TURN_MIN;

impl Shard {
    /// Whether the shard takes more data from its inbox now. Control it always takes.
    #[must_use]
    pub fn wants_inbox(&self) -> bool {
        self.arrived.has_room() && !self.is_spent()
    }

    /// Whether there is something to do without anything new coming in.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.arrived.is_empty()
            || !self.dirty.is_empty()
            || self.flight.is_underway()
            || !self.queue.is_empty()
            || self.is_revoking
            || self.can_read_on()
            || !self.unheard.is_empty()
    }

    /// Whether a round was begun and not ended: what arrives now waits for the next one.
    #[must_use]
    pub fn is_underway(&self) -> bool {
        self.flight.is_underway() || self.queue.is_underway()
    }

    /// Says how many units one turn may do from now on; a `send` is `UNITS_SEND` of them.
    pub fn set_units(&mut self, units: u64) {
        self.units_max = units.max(UNITS_TURN_MIN);
    }

    /// Units that the last turn did.
    #[must_use]
    pub const fn units_done(&self) -> u64 {
        self.done
    }

    /// Does a turn's work; says how many events were fanned out.
    pub fn work<S: Sink>(&mut self, sink: &mut S, now: Now) -> u64 {
        let (told, spent_before) = (self.stats.events, self.spent);
        let for_members = self.units_max - self.units_max / FLIGHT_UNITS_SHARE;
        self.tell_interest();
        self.close_revoked(now);
        self.read_on(now);
        loop {
            if !self.is_underway() {
                self.begin_round(for_members, now);
            }
            let has_flown = self.fly(sink, for_members, now);
            self.pump(sink, now);
            self.large.forget_recent();
            let is_more = !self.arrived.is_empty() || !self.dirty.is_empty();
            if !has_flown || self.is_underway() || !is_more || !self.may_queue(for_members) {
                break;
            }
        }
        self.hear_on(now);
        self.retry_held(now);
        self.go_on_stopping(now);
        self.done = std::mem::take(&mut self.spent) - spent_before;
        self.queued_bytes = 0;
        self.stats.events - told
    }

    /// Whether this turn has done what it may.
    pub(super) const fn is_spent(&self) -> bool {
        self.spent >= self.units_max
    }

    /// Fans out what has arrived until a flight is full, and has it sent.
    fn begin_round(&mut self, units_max: u64, now: Now) {
        while let Some(arrived) = self.arrived.pop() {
            match arrived {
                Arrived::Event(event) => self.fan_out(&event, now),
                Arrived::Page(answer) => self.page_arrived(*answer, now),
            }
            if self.is_flush_due() || !self.may_queue(units_max) {
                break;
            }
        }
        self.end_windows(now);
        self.close_due_batches(now);
        self.launch();
    }

    /// Whether this turn may fan out more: it has work left to do, and has not queued so much for anyone that their sockets must be looked at
    /// first.
    const fn may_queue(&self, units_max: u64) -> bool {
        self.spent < units_max
            && self.queued_bytes < self.settings.outbox_bytes_max / OUTBOX_TURNS_MIN
    }

    fn close_due_batches(&mut self, now: Now) {
        while !self.is_flight_full()
            && let Some(class) = self.batch_deadlines.pop_due(now.mono_ms)
        {
            let is_due =
                |class: &Class| class.open.as_ref().is_some_and(|open| open.due_ms <= now.mono_ms);
            if self.classes.find(class).is_some_and(is_due) {
                self.close_batch(class);
            }
        }
    }
}
