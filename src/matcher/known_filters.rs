//! The distinct filters of all subscriptions, each with what the index and its evaluation need.
//!
//! Invariant: what a filter counted when it came (slots, dimensions, positions) it gives back when its last user goes. Never looks
//! at topics or subscriptions.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::matcher::clause;
use crate::matcher::clause::Clause;
use crate::matcher::clause::ClauseRef;
use crate::matcher::dimensions::Dimensions;
use crate::matcher::facts::Facts;
use crate::matcher::facts::SlotId;
use crate::matcher::facts::Slots;
use crate::matcher::filter::Filter;
use crate::matcher::program::Program;

/// One distinct filter, numbered densely; numbers of forgotten ones are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FilterId(u32);

impl FilterId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The distinct filters, and what they ask of events.
#[derive(Debug, Default)]
pub(super) struct Filters {
    by_filter: HashMap<Filter, FilterId, RandomState>,
    /// By filter; `None` where a number is free.
    known: Vec<Option<KnownFilter>>,
    /// By filter.
    answers: Vec<LastAnswer>,
    free: Vec<FilterId>,
    pub(super) slots: Slots,
    pub(super) dimensions: Dimensions,
}

/// A filter that some subscription has.
#[derive(Debug)]
struct KnownFilter {
    filter: Filter,
    uses: u32,
    /// By source of the filter.
    slots: Box<[SlotId]>,
    clauses: Arc<[Clause]>,
}

/// What is touched of a filter for an event.
#[derive(Debug)]
struct LastAnswer {
    /// The number of the last event that it was asked about, and the answer.
    event_number: u64,
    passed: bool,
    /// The filter looks into payloads.
    reads_payload: bool,
    program: Program,
}

impl Filters {
    /// Counts one more use of a filter.
    pub(super) fn insert(&mut self, filter: &Filter) -> FilterId {
        if let Some(id) = self.by_filter.get(filter) {
            if let Some(Some(known)) = self.known.get_mut(id.index()) {
                known.uses += 1;
            }
            return *id;
        }
        let slots: Box<[SlotId]> =
            filter.sources().iter().map(|source| self.slots.insert(source)).collect();
        let clauses = clause::clauses_of(filter.expr(), &slots, &mut self.dimensions).into();
        let program = Program::new(filter.expr(), &slots, &mut self.slots);
        let known = Some(KnownFilter { filter: filter.clone(), uses: 1, slots, clauses });
        let reads_payload = filter.reads_payload();
        let answer = LastAnswer { event_number: 0, passed: false, reads_payload, program };
        let id = if let Some(id) = self.free.pop() {
            self.known[id.index()] = known;
            self.answers[id.index()] = answer;
            id
        } else {
            self.known.push(known);
            self.answers.push(answer);
            FilterId(u32::try_from(self.known.len() - 1).expect("filters are counted in 32 bits"))
        };
        self.by_filter.insert(filter.clone(), id);
        id
    }

    /// Counts one use less.
    pub(super) fn remove(&mut self, id: FilterId) {
        let known = self.known[id.index()].as_mut().expect("only filters in use are removed");
        known.uses -= 1;
        if known.uses > 0 {
            return;
        }
        if let Some(known) = self.known[id.index()].take() {
            self.by_filter.remove(&known.filter);
            clause::release(&known.clauses, &mut self.dimensions);
            self.answers[id.index()].program.release(&mut self.slots);
            for slot in known.slots {
                self.slots.remove(slot);
            }
        }
        self.free.push(id);
    }

    /// The filter's alternatives, for the index.
    pub(super) fn clauses(&self, id: FilterId) -> impl Iterator<Item = ClauseRef> + use<> {
        let clauses = self.known[id.index()].as_ref().map(|known| Arc::clone(&known.clauses));
        let clauses = clauses.expect("the filter is in use");
        let count = u32::try_from(clauses.len()).expect("a filter has few clauses");
        (0..count).map(move |which| ClauseRef { clauses: Arc::clone(&clauses), which })
    }

    /// Whether a filter looks into payloads.
    pub(super) fn reads_payload(&self, id: FilterId) -> bool {
        self.answers[id.index()].reads_payload
    }

    /// Whether the event passes the filter; evaluated once for each event number.
    #[inline]
    pub(super) fn passes(&mut self, id: FilterId, event_number: u64, facts: &Facts<'_>) -> bool {
        let answer = &mut self.answers[id.index()];
        if answer.event_number != event_number {
            answer.event_number = event_number;
            answer.passed = answer.program.passes(facts);
        }
        answer.passed
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.by_filter.len()
    }

    /// Whether nothing outlived the last filter.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.by_filter.is_empty()
            && self.known.iter().all(Option::is_none)
            && self.dimensions.is_bare()
            && self.slots.is_bare()
    }
}
