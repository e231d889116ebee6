//! Event -> the subscriptions that want it.
//!
//! Topics first: each pattern that matches leads to those who want all of its events, and to a tree of the filters of those who
//! want some. The tree names candidates, whose filters are then evaluated, each distinct one once. Equal filters, however
//! written, are one filter with many subscriptions. Invariants: what is inserted is found, and nothing else; subscribing and
//! unsubscribing rebuild nothing. Owned by one shard, so there is no lock in it. Never looks at a connection or a dialect.

mod accounts;

#[cfg(test)]
mod arbitrary;

mod cells;

mod clause;

mod dimensions;

mod facts;

pub mod filter;

mod groups;

mod known_filters;

mod program;

#[cfg(test)]
mod tests;

mod topics;

mod tree;

use crate::event::Event;
use crate::event::Interest;
use crate::event::TopicPattern;
use crate::event::fields::Scratch;
use crate::event::opaque;
use crate::limits::FILTER_EVENT_STEPS_MAX;
use crate::matcher::accounts::Accounts;
pub use crate::matcher::accounts::PayerId;
use crate::matcher::facts::Facts;
use crate::matcher::facts::Own;
pub use crate::matcher::filter::Filter;
pub use crate::matcher::filter::FilterError;
pub use crate::matcher::filter::FilterProblem;
use crate::matcher::groups::GroupId;
use crate::matcher::groups::Groups;
use crate::matcher::groups::Member;
use crate::matcher::known_filters::FilterId;
use crate::matcher::known_filters::Filters;
use crate::matcher::topics::SubjectId;
use crate::matcher::topics::Topics;
use crate::matcher::tree::Forest;
use crate::matcher::tree::NodeId;

/// One subscription of the shard (a class's subscription), numbered densely by the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionIndex(pub u32);

impl SubscriptionIndex {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The subscriptions of one shard.
#[derive(Debug, Default)]
pub struct Matcher {
    topics: Topics,
    /// By subject.
    subjects: Vec<Subject>,
    groups: Groups,
    filters: Filters,
    forest: Forest,
    /// By subscription id; empty where an id is free.
    subscriptions: Vec<Box<[Ask]>>,
    /// By subscription id: who pays for what its filter takes.
    payers: Vec<PayerId>,
    accounts: Accounts,
    /// By subscription id: the number of the last event that was found for it, so that each is told once.
    told: Vec<u64>,
    event_number: u64,
    steps_of_event: u64,
    buffers: Buffers,
}

/// What is used from event to event, kept for its memory.
#[derive(Debug, Default)]
struct Buffers {
    scratch: Scratch,
    matched: Vec<SubjectId>,
    candidates: Vec<GroupId>,
    passed: Vec<GroupId>,
    facts: Option<Facts<'static>>,
}

/// Who asks for one topic pattern.
#[derive(Clone, Copy, Debug, Default)]
struct Subject {
    /// The group of subscriptions that want all of its events.
    plain: Option<GroupId>,
    /// The filters of those who want some, if there are any.
    tree: Option<NodeId>,
    filtered_count: u32,
}

/// One topic of a subscription, and where the subscription stands in the group that asks for the same.
#[derive(Debug)]
struct Ask {
    pattern: TopicPattern,
    group: GroupId,
    place: u32,
}

impl Matcher {
    /// Adds a subscription for those events of any of `topics` that pass `filter`, on a payer's account. The id must be free.
    pub fn insert(
        &mut self,
        subscription: SubscriptionIndex,
        payer: PayerId,
        topics: &[TopicPattern],
        filter: Option<&Filter>,
    ) {
        if self.subscriptions.len() <= subscription.index() {
            self.payers.resize(subscription.index() + 1, payer);
            self.subscriptions.resize_with(subscription.index() + 1, Box::default);
            self.told.resize(subscription.index() + 1, 0);
        }
        assert!(
            self.subscriptions[subscription.index()].is_empty(),
            "the shard numbers its subscriptions: {subscription:?} is in use"
        );
        self.payers[subscription.index()] = payer;
        let mut topics: Vec<&TopicPattern> = topics.iter().collect();
        topics.sort_unstable();
        topics.dedup();
        let is_sole = topics.len() == 1;
        let members = (0_u32..).map(|topic| Member { subscription, topic, is_sole });
        let asks = members
            .zip(topics)
            .map(|(member, pattern)| self.ask(member, pattern, filter))
            .collect();
        self.subscriptions[subscription.index()] = asks;
    }

    fn ask(&mut self, member: Member, pattern: &TopicPattern, filter: Option<&Filter>) -> Ask {
        let subject = self.topics.insert(pattern);
        let filter = filter.map(|filter| self.filters.insert(filter));
        let pattern = pattern.clone();
        if let Some(group) = self.groups.find(subject, filter) {
            return Ask { pattern, group, place: self.groups.join(group, member) };
        }
        let group = self.groups.found(subject, filter, member);
        if self.subjects.len() <= subject.index() {
            self.subjects.resize(subject.index() + 1, Subject::default());
        }
        let known = &mut self.subjects[subject.index()];
        if let Some(filter) = filter {
            known.filtered_count += 1;
            let root = *known.tree.get_or_insert_with(|| self.forest.root());
            for clause in self.filters.clauses(filter) {
                self.forest.insert(root, group, &clause);
            }
        } else {
            known.plain = Some(group);
        }
        Ask { pattern, group, place: 0 }
    }

    /// Forgets a subscription; an unknown id is a fault of the caller.
    pub fn remove(&mut self, subscription: SubscriptionIndex) {
        let asks = self
            .subscriptions
            .get_mut(subscription.index())
            .map(std::mem::take)
            .unwrap_or_default();
        assert!(!asks.is_empty(), "the shard removes what it inserted: {subscription:?} is free");
        for Ask { pattern, group, place } in asks {
            let (subject, filter) = self.groups.want(group);
            if let Some(moved) = self.groups.leave(group, place) {
                self.subscriptions[moved.subscription.index()][moved.topic as usize].place = place;
            }
            if self.groups.is_empty(group) {
                self.uproot(group, subject, filter);
                self.groups.dissolve(group);
            }
            if let Some(filter) = filter {
                self.filters.remove(filter);
            }
            self.topics.remove(&pattern);
        }
    }

    /// Takes a group out of what its subject leads to.
    fn uproot(&mut self, group: GroupId, subject: SubjectId, filter: Option<FilterId>) {
        let known = &mut self.subjects[subject.index()];
        let Some(filter) = filter else {
            known.plain = None;
            return;
        };
        let root = known.tree.expect("a group with a filter is in a tree");
        for clause in self.filters.clauses(filter) {
            self.forest.remove(root, group, &clause);
        }
        known.filtered_count -= 1;
        if known.filtered_count == 0 {
            self.forest.give_back(root);
            known.tree = None;
        }
    }

    /// Appends to `out` every subscription that wants `event`, each once, in no particular order.
    pub fn matches(&mut self, event: &Event, out: &mut Vec<SubscriptionIndex>) {
        self.event_number += 1;
        self.steps_of_event = 0;
        self.buffers.matched.clear();
        self.topics.matches(&event.topic, &mut self.buffers.matched);
        self.buffers.passed.clear();
        self.buffers.passed.extend(
            self.buffers.matched.iter().filter_map(|subject| self.subjects[subject.index()].plain),
        );
        if self.buffers.matched.iter().any(|subject| self.subjects[subject.index()].tree.is_some())
        {
            self.ask_filters(event);
        }
        for group in &self.buffers.passed {
            for member in self.groups.members(*group) {
                if member.is_sole {
                    out.push(member.subscription);
                    continue;
                }
                let told = &mut self.told[member.subscription.index()];
                if *told != self.event_number {
                    *told = self.event_number;
                    out.push(member.subscription);
                }
            }
        }
    }

    /// Appends to `passed` the groups whose filters the event passes, of the subjects that matched.
    fn ask_filters(&mut self, event: &Event) {
        let mut own = Own::default();
        // It was emptied when the last event was done with.
        let mut facts: Facts<'_> = self.buffers.facts.take().unwrap_or_default();
        facts.read(event, &mut self.filters.slots, &mut self.buffers.scratch, &mut own);
        self.filters.dimensions.look(&facts);
        self.buffers.candidates.clear();
        for subject in &self.buffers.matched {
            if let Some(root) = self.subjects[subject.index()].tree {
                self.forest.search(root, &self.filters.dimensions, &mut self.buffers.candidates);
            }
        }
        let is_opaque = opaque::is_opaque(&event.payload);
        for group in &self.buffers.candidates {
            let Some(Some(filter)) = self.groups.take_up(*group, self.event_number) else {
                continue;
            };
            // There is nothing in it to look at.
            if is_opaque && self.filters.reads_payload(filter) {
                continue;
            }
            let members = self.groups.members(*group);
            let is_spent =
                |member: &Member| self.accounts.is_spent(self.payers[member.subscription.index()]);
            if self.accounts.has_spent() && members.iter().all(is_spent) {
                continue;
            }
            let steps = facts.work().steps();
            if self.filters.passes(filter, self.event_number, &facts) {
                self.buffers.passed.push(*group);
            }
            let steps = facts.work().steps() - steps;
            if let Some(share) = Accounts::share(steps, members.len()) {
                let share = if steps > FILTER_EVENT_STEPS_MAX { steps } else { share };
                for member in members {
                    let payer = self.payers[member.subscription.index()];
                    self.accounts.charge(payer, self.event_number, share);
                }
            }
        }
        self.steps_of_event = facts.work().steps();
        self.buffers.facts = Some(Facts::recycled(facts));
    }

    /// Opens the account of a payer, whose connection has spent so many steps in this second already.
    pub fn open_account(&mut self, payer: PayerId, steps: u64) {
        self.accounts.open(payer, steps);
    }

    /// Has a payer pay for what looking at the last event took elsewhere.
    pub fn charge(&mut self, payer: PayerId, steps: u64) {
        self.accounts.charge(payer, self.event_number, steps);
    }

    /// From here on the filters of every payer may take as much again.
    pub const fn begin_second(&mut self) {
        self.accounts.begin_second();
    }

    /// The steps that a payer's filters have taken in this second, beyond what is free.
    #[must_use]
    pub fn steps(&self, payer: PayerId) -> u64 {
        self.accounts.steps(payer)
    }

    /// The steps that all filters took for the last event.
    #[must_use]
    pub fn steps_of_event(&self) -> u64 {
        self.steps_of_event
    }

    /// The next payer whose filters have taken what they may, for an event or in a second: which subscriptions of that payer want the last event is not known.
    pub fn pop_spent(&mut self) -> Option<PayerId> {
        self.accounts.pop_spent()
    }

    /// The fields that the filters of all subscriptions read: to be told to whoever takes events in.
    pub fn interest(&mut self) -> Interest {
        self.filters.slots.interest().clone()
    }

    /// Changes whenever the answer of [`Matcher::interest`] may have.
    #[must_use]
    pub const fn interest_version(&self) -> u64 {
        self.filters.slots.version()
    }
}
