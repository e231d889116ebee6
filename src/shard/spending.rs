//! What the filters of each connection take, and what becomes of one whose filters take more than they may.
//!
//! The matcher keeps an account for each class: its members have the same filters, so each of them spends what the class does. What a
//! connection spent before it entered its class is kept here. Invariants: changing one's subscriptions gains nothing; whose filters
//! have spent what they may is closed before anything else of the event is told to it, so that it comes back to a position at
//! which nothing is missing; nobody else pays.

use std::collections::HashMap;

use super::Shard;
use super::closes::CLOSE_POLICY;
use super::conns::ClassId;
use super::input::ConnId;
use super::input::ConnRef;
use crate::clock::Now;
use crate::dialect::Outcome;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::event::Event;
use crate::event::fields::Scratch;
use crate::limits::FILTER_FREE_STEPS;
use crate::limits::FILTER_SECOND_STEPS_MAX;
use crate::limits::FILTER_STEPS_PER_UNIT;
use crate::matcher::Filter;

/// The reason with which a connection is closed whose filters took too much.
const REASON: &str = "filter_work";

/// What connections have spent in this second apart from their classes' accounts. At most one entry for each connection.
#[derive(Debug, Default)]
pub(super) struct Spending {
    /// Seconds since the start.
    second: u64,
    of_conn: HashMap<ConnId, Spent, foldhash::fast::RandomState>,
    /// What the filter of one replay took for the page at hand.
    page_steps: u64,
    /// The filter took more steps for an event of the page than it may.
    is_page_spent: bool,
}

/// In this second.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// What the connection had spent before it entered its class, in steps.
    before: u64,
    /// What the connection's class had spent when it entered.
    class_before: u64,
}

impl Spending {
    /// Begins a new second, if one has begun.
    pub(super) fn begin_second(&mut self, now: Now) -> bool {
        let second = now.mono_ms / 1000;
        let begins = self.second != second;
        if begins {
            self.second = second;
            self.of_conn.clear();
        }
        begins
    }

    /// What a connection's filters have taken in this second; its class's have taken `of_class`.
    pub(super) fn spent(&self, id: ConnId, of_class: u64) -> u64 {
        let spent = self.of_conn.get(&id).copied().unwrap_or_default();
        spent.before + of_class.saturating_sub(spent.class_before)
    }

    /// What a connection spent before it entered its class.
    pub(super) fn before(&self, id: ConnId) -> u64 {
        self.of_conn.get(&id).map_or(0, |spent| spent.before)
    }

    /// A connection spends so much on its own account.
    pub(super) fn spend(&mut self, id: ConnId, steps: u64) {
        self.of_conn.entry(id).or_default().before += steps;
    }

    /// A connection enters a class that has spent so much, or leaves it with what it has spent `before`.
    pub(super) fn set(&mut self, id: ConnId, before: u64, class_before: u64) {
        if before + class_before > 0 {
            self.of_conn.insert(id, Spent { before, class_before });
        }
    }

    /// A connection has ended.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.of_conn.remove(&id);
    }

    /// A page has been told: what the filter took for it, and whether that was more for one of its events than it may take.
    pub(super) fn take_page(&mut self) -> (u64, bool) {
        (std::mem::take(&mut self.page_steps), std::mem::take(&mut self.is_page_spent))
    }

    /// Filters took so many steps for the page at hand.
    pub(super) const fn looked_at_page(&mut self, steps: u64) {
        self.page_steps += steps;
    }

    /// Whether an event of the past passes a replay's filter, which is noted for the page at hand.
    pub(super) fn passes_past(
        &mut self,
        filter: Option<&Filter>,
        event: &Event,
        scratch: &mut Scratch,
    ) -> bool {
        let Some(filter) = filter else { return true };
        let evaluated = filter.ask(event, scratch);
        self.looked_at_page(evaluated.steps);
        self.is_page_spent |= evaluated.is_spent;
        evaluated.passes
    }
}

impl Shard {
    /// Has a connection pay for something that is not an event; false if it cannot: it is closed then, unless it is still asking, and to be refused.
    pub(super) fn charge(&mut self, id: ConnId, steps: u64, now: Now) -> bool {
        let spent = self.classes.spend(id, self.conns.find(id), steps, now);
        let affords = spent <= FILTER_SECOND_STEPS_MAX;
        if !affords {
            self.close_spent(id, now);
        }
        affords
    }

    /// Has a connection pay for making a filter that it asked for.
    pub(super) fn charge_making(&mut self, id: ConnId, filter: Option<&Filter>, now: Now) -> bool {
        filter.is_none_or(|filter| self.charge(id, filter.making_steps(), now))
    }

    /// Has a connection pay for what looking at an event, or at what waits for it, took of the filters that its token forces on it.
    pub(super) fn charge_looking(&mut self, id: ConnId, steps: u64, now: Now) {
        if steps > FILTER_FREE_STEPS {
            self.note_steps(steps);
            self.charge(id, steps, now);
        }
    }

    /// Charges a class's account with steps, for the event that is being told.
    pub(super) fn charge_class(&mut self, class: ClassId, steps: u64) {
        if steps > FILTER_FREE_STEPS {
            self.note_steps(steps);
            self.classes.charge(class, steps);
        }
    }

    /// Filters took so many steps of this turn outside of the matcher.
    fn note_steps(&mut self, steps: u64) {
        self.stats.filter_steps += steps;
        self.telling.turn.spend(steps / FILTER_STEPS_PER_UNIT);
    }

    /// A page has been told. The past can wait, so its filters' work makes it take longer: as long as the limit allows so much in.
    pub(super) fn rest_after_page(&mut self, conn: ConnRef, now: Now) {
        let (steps, is_spent) = self.classes.spending.take_page();
        if is_spent {
            return self.close_spent(conn.id, now);
        }
        self.note_steps(steps);
        let rest_ms = steps / (FILTER_SECOND_STEPS_MAX / 1000);
        if rest_ms == 0 {
            return;
        }
        let Some(solo) = self.conns.solo_mut(conn.id) else {
            return;
        };
        solo.rests_until_ms = solo.rests_until_ms.max(now.mono_ms) + rest_ms;
        self.telling.past_room.rest(solo.rests_until_ms, conn);
    }

    /// Goes on with the replays that have rested.
    pub(super) fn end_rests(&mut self, now: Now) {
        while let Some(conn) = self.telling.past_room.pop_rested(now) {
            if self.conns.find_ref(conn).is_some() {
                self.ask_for_next_pages(conn.id, now);
            }
        }
    }

    /// Closes those whose filters have spent what they may.
    pub(super) fn close_all_spent(&mut self, now: Now) {
        while let Some(conns) = self.classes.pop_spent() {
            for id in conns {
                self.close_spent(id, now);
            }
        }
    }

    /// Says good-bye to a connection whose filters took too much.
    pub(super) fn close_spent(&mut self, id: ConnId, now: Now) {
        if self.conns.is_closing(id) {
            return;
        }
        self.stats.filter_work_disconnects += 1;
        let message = format_args!("the filters of a client took more than they may");
        self.tell_log_of(Some(id), "warning", "limits", message, now);
        let Some(voice) = self.conns.voice_of(id) else { return };
        if voice.is_sse() {
            let message = "filter_work: the filters of this stream took more work than they may";
            let refusal = Refusal::new(RefusalCode::RateLimited, message);
            self.say(id, &Outcome::Refused { id: None, refusal: &refusal });
        }
        self.close(id, CLOSE_POLICY, REASON, now);
    }
}
