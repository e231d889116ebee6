//! Event -> the subscriptions that want it.
//!
//! Topics first: each pattern that matches leads to those who want all of its events, and to a tree of the filters of those who
//! want some. The tree names candidates, whose filters are then evaluated, each distinct one once. Equal filters, however
//! written, are one filter with many wishes. Invariants: what is inserted is found, and nothing else; subscribing and
//! unsubscribing rebuild nothing. Owned by one shard, so there is no lock in it. Never looks at a connection or a dialect.

#[cfg(test)]
mod arbitrary;

mod clause;

mod dimensions;

mod facts;

pub mod filter;

#[cfg(test)]
mod tests;

mod topics;

mod tree;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::event::Event;
use crate::event::Fields;
use crate::event::Interest;
use crate::event::TopicPattern;
use crate::event::fields::Scratch;
use crate::matcher::clause::Clause;
use crate::matcher::dimensions::Dimensions;
use crate::matcher::facts::Facts;
use crate::matcher::facts::SlotId;
use crate::matcher::facts::Slots;
pub use crate::matcher::filter::Filter;
pub use crate::matcher::filter::FilterError;
pub use crate::matcher::filter::FilterProblem;
use crate::matcher::topics::SubjectId;
use crate::matcher::topics::Topics;
use crate::matcher::tree::ClauseRef;
use crate::matcher::tree::Forest;
use crate::matcher::tree::NodeId;
use crate::matcher::tree::Owner;

/// One wish of the shard (a class's subscription), numbered densely by the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WishId(pub u32);

impl WishId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The wishes of one shard.
#[derive(Debug, Default)]
pub struct Matcher {
    topics: Topics,
    /// By subject; `None` where a number is free.
    subjects: Vec<Option<Subject>>,
    groups: Groups,
    filters: Filters,
    forest: Forest,
    /// By wish id; empty where an id is free.
    wishes: Vec<Box<[Ask]>>,
    /// By wish id: the number of the last event that was found for it, so that each is told once.
    told: Vec<u64>,
    event_number: u64,
    scratch: Scratch,
    /// Kept for their memory.
    matched: Vec<SubjectId>,
    candidates: Vec<Owner>,
    facts: Facts<'static>,
}

/// One topic pattern that is asked for.
#[derive(Debug)]
struct Subject {
    /// Those who want all of its events.
    plain: Option<GroupId>,
    /// The filters of those who want some, if there are any.
    tree: Option<NodeId>,
    filtered_count: u32,
}

/// One topic of a wish, and where the wish stands in the group that asks for the same.
#[derive(Debug)]
struct Ask {
    pattern: TopicPattern,
    group: GroupId,
    place: u32,
}

/// The wishes for one pattern with one filter, numbered densely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct GroupId(u32);

impl GroupId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

#[derive(Debug, Default)]
struct Groups {
    by_want: HashMap<(SubjectId, Option<FilterId>), GroupId, RandomState>,
    /// By group.
    all: Vec<Group>,
    free: Vec<GroupId>,
}

#[derive(Debug)]
struct Group {
    subject: SubjectId,
    filter: Option<FilterId>,
    /// The wishes, and which of its topics it is for each.
    members: Vec<(WishId, u32)>,
    /// The number of the last event that it was a candidate for.
    event_number: u64,
}

/// One distinct filter, numbered densely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FilterId(u32);

impl FilterId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The distinct filters, and what they need of events.
#[derive(Debug, Default)]
struct Filters {
    by_filter: HashMap<Filter, FilterId, RandomState>,
    /// By filter; `None` where a number is free.
    all: Vec<Option<Live>>,
    free: Vec<FilterId>,
    slots: Slots,
    dimensions: Dimensions,
}

/// A filter that some wish has.
#[derive(Debug)]
struct Live {
    filter: Filter,
    uses: u32,
    /// By source of the filter.
    slots: Box<[SlotId]>,
    clauses: Arc<[Clause]>,
    /// The number of the last event that it was evaluated for, and the answer.
    event_number: u64,
    passed: bool,
}

impl Matcher {
    /// Adds a wish for those events of any of `topics` that pass `filter`. The id must be free.
    pub fn insert(&mut self, wish: WishId, topics: &[TopicPattern], filter: Option<&Filter>) {
        if self.wishes.len() <= wish.index() {
            self.wishes.resize_with(wish.index() + 1, Box::default);
            self.told.resize(wish.index() + 1, 0);
        }
        assert!(
            self.wishes[wish.index()].is_empty(),
            "the shard numbers its wishes: {wish:?} is in use"
        );
        let mut topics: Vec<&TopicPattern> = topics.iter().collect();
        topics.sort_unstable();
        topics.dedup();
        let asks = (0_u32..)
            .zip(topics)
            .map(|(which, pattern)| self.ask(wish, which, pattern, filter))
            .collect();
        self.wishes[wish.index()] = asks;
    }

    fn ask(
        &mut self,
        wish: WishId,
        which: u32,
        pattern: &TopicPattern,
        filter: Option<&Filter>,
    ) -> Ask {
        let subject = self.topics.insert(pattern);
        let filter = filter.map(|filter| self.filters.insert(filter));
        let group = match self.groups.by_want.get(&(subject, filter)) {
            Some(group) => *group,
            None => self.found_group(subject, filter),
        };
        let members = &mut self.groups.all[group.index()].members;
        members.push((wish, which));
        let place = u32::try_from(members.len() - 1).expect("wishes are counted in 32 bits");
        Ask { pattern: pattern.clone(), group, place }
    }

    fn found_group(&mut self, subject: SubjectId, filter: Option<FilterId>) -> GroupId {
        let group = self.groups.insert(subject, filter);
        if self.subjects.len() <= subject.index() {
            self.subjects.resize_with(subject.index() + 1, || None);
        }
        let known = &mut self.subjects[subject.index()];
        let known =
            known.get_or_insert_with(|| Subject { plain: None, tree: None, filtered_count: 0 });
        let Some(filter) = filter else {
            known.plain = Some(group);
            return group;
        };
        known.filtered_count += 1;
        let root = *known.tree.get_or_insert_with(|| self.forest.root());
        for clause in self.filters.clauses(filter) {
            self.forest.insert(root, group.0, &clause);
        }
        group
    }

    /// Forgets a wish; an unknown id is a fault of the caller.
    pub fn remove(&mut self, wish: WishId) {
        let asks = self.wishes.get_mut(wish.index()).map(std::mem::take).unwrap_or_default();
        assert!(!asks.is_empty(), "the shard removes what it inserted: {wish:?} is free");
        for ask in asks {
            let Group { subject, filter, members, .. } = &mut self.groups.all[ask.group.index()];
            let (subject, filter) = (*subject, *filter);
            members.swap_remove(ask.place as usize);
            if let Some((moved, which)) = members.get(ask.place as usize) {
                self.wishes[moved.index()][*which as usize].place = ask.place;
            } else if members.is_empty() {
                self.dissolve(ask.group, subject, filter);
            }
            if let Some(filter) = filter {
                self.filters.remove(filter);
            }
            self.topics.remove(&ask.pattern);
        }
    }

    fn dissolve(&mut self, group: GroupId, subject: SubjectId, filter: Option<FilterId>) {
        let place = &mut self.subjects[subject.index()];
        let known = place.as_mut().expect("a group's subject is known");
        if let Some(filter) = filter {
            let root = known.tree.expect("a group with a filter is in a tree");
            for clause in self.filters.clauses(filter) {
                self.forest.remove(root, group.0, &clause);
            }
            known.filtered_count -= 1;
            if known.filtered_count == 0 {
                self.forest.give_back(root);
                known.tree = None;
            }
        } else {
            known.plain = None;
        }
        if known.plain.is_none() && known.tree.is_none() {
            *place = None;
        }
        self.groups.remove(group);
    }

    /// Appends to `out` every wish that wants `event`, each once, in no particular order.
    pub fn matches(&mut self, event: &Event, out: &mut Vec<WishId>) {
        self.event_number += 1;
        self.matched.clear();
        self.topics.matches(&event.topic, &mut self.matched);
        self.candidates.clear();
        let has_trees = self.matched.iter().any(|subject| self.tree_of(*subject).is_some());
        let mut own = Fields::default();
        let mut facts = Facts::recycled(std::mem::take(&mut self.facts));
        if has_trees {
            facts.read(event, &mut self.filters.slots, &mut self.scratch, &mut own);
            self.filters.dimensions.look(&facts);
        }
        for which in 0..self.matched.len() {
            let subject = self.matched[which];
            let Some(known) = &self.subjects[subject.index()] else { continue };
            self.candidates.extend(known.plain.map(|group| group.0));
            if let Some(root) = known.tree {
                self.forest.search(root, &self.filters.dimensions, &mut self.candidates);
            }
        }
        for owner in &self.candidates {
            let group = &mut self.groups.all[*owner as usize];
            if group.event_number == self.event_number {
                continue;
            }
            group.event_number = self.event_number;
            if group
                .filter
                .is_none_or(|filter| self.filters.passes(filter, self.event_number, &facts))
            {
                for (wish, _) in &group.members {
                    let told = &mut self.told[wish.index()];
                    if *told != self.event_number {
                        *told = self.event_number;
                        out.push(*wish);
                    }
                }
            }
        }
        self.facts = Facts::recycled(facts);
    }

    fn tree_of(&self, subject: SubjectId) -> Option<NodeId> {
        self.subjects.get(subject.index()).and_then(Option::as_ref).and_then(|known| known.tree)
    }

    /// The fields that the filters of all wishes read: to be told to whoever takes events in.
    pub fn interest(&mut self) -> Interest {
        self.filters.slots.interest().clone()
    }

    /// Changes whenever the answer of [`Matcher::interest`] may have.
    #[must_use]
    pub const fn interest_version(&self) -> u64 {
        self.filters.slots.version()
    }
}

impl Groups {
    fn insert(&mut self, subject: SubjectId, filter: Option<FilterId>) -> GroupId {
        let new = Group { subject, filter, members: Vec::new(), event_number: 0 };
        let group = if let Some(group) = self.free.pop() {
            self.all[group.index()] = new;
            group
        } else {
            self.all.push(new);
            GroupId(u32::try_from(self.all.len() - 1).expect("groups are counted in 32 bits"))
        };
        self.by_want.insert((subject, filter), group);
        group
    }

    fn remove(&mut self, group: GroupId) {
        let Group { subject, filter, .. } = self.all[group.index()];
        self.by_want.remove(&(subject, filter));
        self.free.push(group);
    }
}

impl Filters {
    /// Counts one more use of a filter.
    fn insert(&mut self, filter: &Filter) -> FilterId {
        if let Some(id) = self.by_filter.get(filter) {
            if let Some(Some(live)) = self.all.get_mut(id.index()) {
                live.uses += 1;
            }
            return *id;
        }
        let slots: Box<[SlotId]> =
            filter.sources().iter().map(|source| self.slots.insert(source)).collect();
        let clauses = clause::clauses_of(filter.expr(), &slots, &mut self.dimensions).into();
        let live = Live {
            filter: filter.clone(),
            uses: 1,
            slots,
            clauses,
            event_number: 0,
            passed: false,
        };
        let id = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            FilterId(u32::try_from(self.all.len() - 1).expect("filters are counted in 32 bits"))
        });
        self.all[id.index()] = Some(live);
        self.by_filter.insert(filter.clone(), id);
        id
    }

    /// Counts one use less.
    fn remove(&mut self, id: FilterId) {
        let live = self.all[id.index()].as_mut().expect("only filters in use are removed");
        live.uses -= 1;
        if live.uses > 0 {
            return;
        }
        if let Some(live) = self.all[id.index()].take() {
            self.by_filter.remove(&live.filter);
            clause::release(&live.clauses, &mut self.dimensions);
            for slot in live.slots {
                self.slots.remove(slot);
            }
        }
        self.free.push(id);
    }

    fn clauses(&self, id: FilterId) -> impl Iterator<Item = ClauseRef> + use<> {
        let clauses = self.all[id.index()].as_ref().map(|live| Arc::clone(&live.clauses));
        let clauses = clauses.expect("the filter is in use");
        let count = u32::try_from(clauses.len()).expect("a filter has few clauses");
        (0..count).map(move |which| ClauseRef { clauses: Arc::clone(&clauses), which })
    }

    /// Whether the event passes the filter, evaluated once.
    fn passes(&mut self, id: FilterId, event_number: u64, facts: &Facts<'_>) -> bool {
        let live = self.all[id.index()].as_mut().expect("a group's filter is in use");
        if live.event_number != event_number {
            live.event_number = event_number;
            live.passed = filter::holds(live.filter.expr(), &|source| {
                facts.of(live.slots[usize::from(source)])
            });
        }
        live.passed
    }
}
