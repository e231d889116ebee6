//! Groups: the subscriptions that want the same events of the same topics.
//!
//! Invariant: a group has at least one member, and each member knows its place in it. Never evaluates.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::matcher::SubscriptionIndex;
use crate::matcher::known_filters::FilterId;
use crate::matcher::topics::SubjectId;

/// The subscriptions for one pattern with one filter, numbered densely; numbers of forgotten ones are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct GroupId(pub(super) u32);

impl GroupId {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One subscription in a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) subscription: SubscriptionIndex,
    /// Which of the subscription's topics the group is for.
    pub(super) topic: u32,
    /// Whether the subscription has this topic only: then no other group can tell it of the same event.
    pub(super) is_sole: bool,
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_want: HashMap<(SubjectId, Option<FilterId>), GroupId, RandomState>,
    /// By group: what is touched for an event.
    candidates: Vec<Candidate>,
    /// By group.
    wants: Vec<Want>,
    free: Vec<GroupId>,
}

/// What is touched of a group for an event.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// The number of the last event that it was a candidate for.
    event_number: u64,
    filter: Option<FilterId>,
    member_count: u32,
    first: Member,
}

#[derive(Debug)]
struct Want {
    subject: SubjectId,
    members: Vec<Member>,
}

impl Groups {
    /// The group of those who want this, if there are any.
    pub(super) fn find(&self, subject: SubjectId, filter: Option<FilterId>) -> Option<GroupId> {
        self.by_want.get(&(subject, filter)).copied()
    }

    /// Makes a group of one.
    pub(super) fn found(
        &mut self,
        subject: SubjectId,
        filter: Option<FilterId>,
        first: Member,
    ) -> GroupId {
        let candidate = Candidate { event_number: 0, filter, member_count: 1, first };
        let want = Want { subject, members: vec![first] };
        let group = if let Some(group) = self.free.pop() {
            self.candidates[group.index()] = candidate;
            self.wants[group.index()] = want;
            group
        } else {
            self.candidates.push(candidate);
            self.wants.push(want);
            GroupId(u32::try_from(self.wants.len() - 1).expect("groups are counted in 32 bits"))
        };
        self.by_want.insert((subject, filter), group);
        group
    }

    /// Adds a member; answers its place.
    pub(super) fn join(&mut self, group: GroupId, member: Member) -> u32 {
        let members = &mut self.wants[group.index()].members;
        members.push(member);
        let count = u32::try_from(members.len()).expect("subscriptions are counted in 32 bits");
        self.candidates[group.index()].member_count = count;
        count - 1
    }

    /// Takes out the member at `place`. Answers the one that has that place now, if any; without members it is to be dissolved.
    pub(super) fn leave(&mut self, group: GroupId, place: u32) -> Option<Member> {
        let members = &mut self.wants[group.index()].members;
        members.swap_remove(place as usize);
        let candidate = &mut self.candidates[group.index()];
        candidate.member_count -= 1;
        if let Some(first) = members.first() {
            candidate.first = *first;
        }
        members.get(place as usize).copied()
    }

    pub(super) fn is_empty(&self, group: GroupId) -> bool {
        self.wants[group.index()].members.is_empty()
    }

    /// What the group wants.
    pub(super) fn want(&self, group: GroupId) -> (SubjectId, Option<FilterId>) {
        (self.wants[group.index()].subject, self.candidates[group.index()].filter)
    }

    /// Forgets a group.
    pub(super) fn dissolve(&mut self, group: GroupId) {
        let want = self.want(group);
        self.by_want.remove(&want);
        self.free.push(group);
    }

    /// The group's filter, if the group was not a candidate for this event before.
    #[inline]
    pub(super) fn take_up(
        &mut self,
        group: GroupId,
        event_number: u64,
    ) -> Option<Option<FilterId>> {
        let candidate = &mut self.candidates[group.index()];
        let is_new = candidate.event_number != event_number;
        candidate.event_number = event_number;
        is_new.then_some(candidate.filter)
    }

    /// The members.
    #[inline]
    pub(super) fn members(&self, group: GroupId) -> &[Member] {
        let candidate = &self.candidates[group.index()];
        if candidate.member_count == 1 {
            // In place, which spares most events a look at the list.
            return std::slice::from_ref(&candidate.first);
        }
        &self.wants[group.index()].members
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.by_want.len()
    }

    /// Whether nothing outlived the last group.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.by_want.is_empty() && self.free.len() == self.wants.len()
    }
}
