//! Whether the source waits for those who listen: only where events come faster than the core tells them, and practically nobody keeps up.
//!
//! Who is slow alone is behind alone: it has its outbox, and then its policy. But a core to which events come faster than it can send
//! queues them faster than it sends them, and readers that share its machine, or all hang on one link of it, then lose them together although each
//! reads as fast as it was ever sent to. So a shard that leaves events waiting at the end of its rounds, and finds that of those it told in them
//! not one in `BRAKE_SHARE` keeps up, tells nothing more until enough of them do. Invariants: it has never been held for longer than it was busy
//! telling, so it tells at least half as fast as it could, whoever is slow; who has not moved for `BRAKE_MOVED_MS` does not count; it is
//! never held while nothing waits.

use super::Shard;
use super::conns::ClassId;
use super::solo::Solo;
use crate::clock::Now;
use crate::limits::BRAKE_HELD_MS_MAX;
use crate::limits::BRAKE_MOVED_MS;
use crate::limits::BRAKE_SHARE;
use crate::limits::BRAKE_UNREAD_SHARE;

/// What is known of the rounds since events last stopped coming faster than they were told.
#[derive(Debug, Default)]
pub(super) struct Brake {
    /// Classes that were told something since the brake was last looked at.
    pub(super) told: Vec<ClassId>,
    /// The last round left events waiting, for its flight was full.
    pub(super) leaves_events: bool,
    /// When the round began that left events waiting; `None`: none did.
    busy_since_ms: Option<u64>,
    /// For how many milliseconds the shard may be held: as long as it was busy telling, less what it was held already.
    credit_ms: u64,
    held: Option<Braked>,
}

/// The brake is on: the shard tells nothing for now.
#[derive(Clone, Copy, Debug)]
struct Braked {
    since_ms: u64,
    until_ms: u64,
    /// How many more subscribers have to catch up.
    wanted: usize,
}

impl Brake {
    /// Whether events have to wait.
    pub(super) fn is_on(&self) -> bool {
        self.held.is_some_and(|held| held.wanted > 0)
    }

    /// When the brake is let go at the latest.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.held.map(|held| held.until_ms)
    }

    /// Notes that a subscriber who was behind keeps up again.
    pub(super) fn caught_up(&mut self) {
        if let Some(held) = &mut self.held {
            held.wanted = held.wanted.saturating_sub(1);
        }
    }

    /// Takes in how a round ended.
    fn round_ended(&mut self, now_ms: u64) {
        match self.busy_since_ms {
            _ if !self.leaves_events => {
                self.busy_since_ms = None;
                self.credit_ms = 0;
            }
            None => self.busy_since_ms = Some(now_ms),
            Some(since_ms) => {
                let credit_ms = self.credit_ms + now_ms.saturating_sub(since_ms);
                self.credit_ms = credit_ms.min(BRAKE_HELD_MS_MAX);
                self.busy_since_ms = Some(now_ms);
            }
        }
    }

    /// Holds the shard until so many have caught up, or its credit is used up.
    fn hold(&mut self, wanted: usize, now_ms: u64) {
        if self.credit_ms > 0 {
            let until_ms = now_ms + self.credit_ms;
            self.held = Some(Braked { since_ms: now_ms, until_ms, wanted });
        }
    }

    /// Lets go if it may; false if the shard is still held.
    fn release(&mut self, now_ms: u64) -> bool {
        let Some(held) = self.held else { return true };
        if held.wanted > 0 && now_ms < held.until_ms {
            return false;
        }
        self.held = None;
        self.credit_ms = self.credit_ms.saturating_sub(now_ms.saturating_sub(held.since_ms));
        // What it did meanwhile was not telling; what waited then waits still.
        self.busy_since_ms = Some(now_ms);
        true
    }
}

impl Shard {
    /// Whether a round may begin: between two of them it is seen who keeps up.
    pub(super) fn may_begin_round(&mut self, now: Now) -> bool {
        if self.arrived.brake.held.is_some() {
            return self.arrived.brake.release(now.mono_ms);
        }
        self.arrived.brake.round_ended(now.mono_ms);
        if self.arrived.brake.credit_ms > 0 {
            let wanted = self.lacking(now);
            self.arrived.brake.hold(wanted, now.mono_ms);
            if self.arrived.brake.is_on() {
                self.stats.held += 1;
                return false;
            }
            self.arrived.brake.held = None;
        }
        self.forget_told();
        true
    }

    fn forget_told(&mut self) {
        for id in self.arrived.brake.told.drain(..) {
            if let Some(class) = self.classes.find_mut(id) {
                class.is_told = false;
            }
        }
    }

    /// How many of those who were told something would have to catch up for enough to keep up; 0: enough do, or nobody moves.
    fn lacking(&self, now: Now) -> usize {
        let classes = || self.arrived.brake.told.iter().filter_map(|id| self.classes.find(*id));
        let members: usize = classes().map(|class| class.members.len()).sum();
        let solos: usize = classes().map(|class| class.solos.len()).sum();
        if members * BRAKE_SHARE >= members + solos {
            return 0;
        }
        let (mut keeping, mut moving) = (members, members);
        for id in classes().flat_map(|class| &class.solos) {
            let Some(solo) = self.conns.solo(*id) else {
                continue;
            };
            if solo.moves(now) {
                moving += 1;
                keeping += usize::from(self.keeps_up(solo));
            }
        }
        moving.div_ceil(BRAKE_SHARE).saturating_sub(keeping)
    }

    /// Whether a solo connection has so little to take that it will not meet its policy soon.
    pub(super) fn keeps_up(&self, solo: &Solo) -> bool {
        solo.unread_bytes() <= self.outbox_share() / BRAKE_UNREAD_SHARE
    }

    /// Bytes that each outbox may come to if all subscribers fall behind together.
    pub(super) fn outbox_share(&self) -> usize {
        let all = self.settings.outboxes_bytes_max / (self.conns.len() + 1);
        self.settings.outbox_bytes_max.min(all)
    }
}

impl Solo {
    /// Whether the client is told of the present, and its socket took something lately or could.
    fn moves(&self, now: Now) -> bool {
        let moved_lately = now.mono_ms.saturating_sub(self.moved_ms) < BRAKE_MOVED_MS;
        // Whoever waits for a hook could not be told more by waiting for it.
        let is_told = self.replays.is_empty() && self.closing.is_none();
        is_told && !self.outbox.is_reserved() && (!self.blocked || moved_lately)
    }
}
