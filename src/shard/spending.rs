//! What the filters of each connection take, and what becomes of one whose filters take more than they may.
//!
//! The matcher keeps an account for each class: its members have the same filters, so each of them spends what the class does. What a
//! connection spent before it entered its class is kept here. Invariants: changing one's subscriptions gains nothing; whose filters
//! have spent what they may is closed before anything else of the event is told to it, so that it comes back to a position at
//! which nothing is missing; nobody else pays.

use std::collections::HashMap;

use super::Shard;
use super::class::ClassId;
use super::input::ConnId;
use super::input::ConnRef;
use super::lifecycle::CLOSE_POLICY;
use crate::clock::Now;
use crate::dialect::Outcome;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::event::Event;
use crate::limits::FILTER_FREE_STEPS;
use crate::limits::FILTER_SECOND_STEPS_MAX;
use crate::limits::FILTER_STEPS_PER_UNIT;
use crate::matcher::Filter;
use crate::matcher::PayerId;

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
    /// It took more for an event of the page than it may.
    is_page_spent: bool,
}

/// In this second.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    /// Before it entered its class.
    before: u64,
    /// What its class had spent when it entered.
    class_before: u64,
}

impl Spending {
    /// Filters took so many steps for the page at hand.
    pub(super) const fn looked_at_page(&mut self, steps: u64) {
        self.page_steps += steps;
    }
}

pub(super) const fn payer(class: ClassId) -> PayerId {
    PayerId(class.0)
}

impl Shard {
    /// Begins a new second, if one has begun.
    pub(super) fn begin_second(&mut self, now: Now) {
        let second = now.mono_ms / 1000;
        if self.spending.second != second {
            self.spending.second = second;
            self.spending.of_conn.clear();
            self.matcher.begin_second();
        }
    }

    /// What a connection's filters have taken in this second.
    fn spent(&self, id: ConnId) -> u64 {
        let spent = self.spending.of_conn.get(&id).copied().unwrap_or_default();
        let class = self.conns.find(id).and_then(|conn| conn.class);
        let of_class = class.map_or(0, |class| self.matcher.steps(payer(class)));
        spent.before + of_class.saturating_sub(spent.class_before)
    }

    /// A connection enters a class; `is_new`: which has no other, and takes over what it spent.
    pub(super) fn enter_account(&mut self, id: ConnId, class: ClassId, is_new: bool) {
        let before = self.spending.of_conn.get(&id).map_or(0, |spent| spent.before);
        if is_new {
            self.matcher.open_account(payer(class), before);
        }
        let class_before = self.matcher.steps(payer(class));
        if before + class_before > 0 {
            self.spending.of_conn.insert(id, Spent { before, class_before });
        }
    }

    /// A connection leaves its class.
    pub(super) fn leave_account(&mut self, id: ConnId) {
        let before = self.spent(id);
        if before > 0 {
            self.spending.of_conn.insert(id, Spent { before, class_before: 0 });
        }
    }

    /// A connection has ended.
    pub(super) fn forget_account(&mut self, id: ConnId) {
        self.spending.of_conn.remove(&id);
    }

    /// Has a connection pay for something that is not an event; false if it cannot: it is closed then, unless it is still asking, and to be refused.
    pub(super) fn charge(&mut self, id: ConnId, steps: u64, now: Now) -> bool {
        self.begin_second(now);
        self.spending.of_conn.entry(id).or_default().before += steps;
        let affords = self.spent(id) <= FILTER_SECOND_STEPS_MAX;
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
            self.stats.filter_steps += steps;
            self.turn.spend(steps / FILTER_STEPS_PER_UNIT);
            self.charge(id, steps, now);
        }
    }

    /// The same of a class, for the event that is being told.
    pub(super) fn charge_class(&mut self, class: ClassId, steps: u64) {
        if steps > FILTER_FREE_STEPS {
            self.stats.filter_steps += steps;
            self.turn.spend(steps / FILTER_STEPS_PER_UNIT);
            self.matcher.charge(payer(class), steps);
        }
    }

    /// Whether an event of the past passes a replay's filter.
    pub(super) fn passes_past(&mut self, filter: Option<&Filter>, event: &Event) -> bool {
        let Some(filter) = filter else { return true };
        let evaluated = filter.ask(event, &mut self.ingest.scratch);
        self.spending.looked_at_page(evaluated.steps);
        self.spending.is_page_spent |= evaluated.is_spent;
        evaluated.passes
    }

    /// A page has been told. The past can wait, so its filters' work makes it take longer: as long as the limit allows so much in.
    pub(super) fn rest_after_page(&mut self, conn: ConnRef, now: Now) {
        let steps = std::mem::take(&mut self.spending.page_steps);
        if std::mem::take(&mut self.spending.is_page_spent) {
            return self.close_spent(conn.id, now);
        }
        self.stats.filter_steps += steps;
        self.turn.spend(steps / FILTER_STEPS_PER_UNIT);
        let rest_ms = steps / (FILTER_SECOND_STEPS_MAX / 1000);
        if rest_ms == 0 {
            return;
        }
        let Some(solo) = self.conns.find_mut(conn.id).and_then(|conn| conn.solo.as_deref_mut())
        else {
            return;
        };
        solo.rests_until_ms = solo.rests_until_ms.max(now.mono_ms) + rest_ms;
        self.rests.push(solo.rests_until_ms, conn);
    }

    /// Goes on with the replays that have rested.
    pub(super) fn end_rests(&mut self, now: Now) {
        while let Some(conn) = self.rests.pop_due(now.mono_ms) {
            if self.conns.find_ref(conn).is_some() {
                self.ask_for_next_pages(conn.id, now);
            }
        }
    }

    /// Closes those whose filters have spent what they may.
    pub(super) fn close_all_spent(&mut self, now: Now) {
        while let Some(PayerId(class)) = self.matcher.pop_spent() {
            let Some(class) = self.classes.find(ClassId(class)) else { continue };
            let conns: Vec<ConnId> = class.members.iter().chain(&class.solos).copied().collect();
            for id in conns {
                self.close_spent(id, now);
            }
        }
    }

    /// Says good-bye to a connection whose filters took too much.
    pub(super) fn close_spent(&mut self, id: ConnId, now: Now) {
        if self.is_closing(id) {
            return;
        }
        self.stats.filter_work_disconnects += 1;
        let message = format_args!("the filters of a client took more than they may");
        self.tell_log_of(Some(id), "warning", "limits", message, now);
        let Some(voice) = self.voice_of(id) else { return };
        if voice.is_sse() {
            let message = "filter_work: the filters of this stream took more work than they may";
            let refusal = Refusal::new(RefusalCode::RateLimited, message);
            self.say(id, &Outcome::Refused { id: None, refusal: &refusal });
        }
        self.close(id, CLOSE_POLICY, REASON, now);
    }
}
