//! Groups of clients that share a subscription: who is in each, how much each has on its way, and what waits until somebody can take it.
//!
//! Invariants: a group is kept at one shard, which its name's hash says, and which hears every event once, so that one member gets it; nobody has more on its way than it takes; what waits is bounded, and the
//! oldest of it goes first. A group in which nobody is left is gone, with what waits in it. Never sends anything.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use super::bookmark::ClientName;
use super::input::Address;
use crate::clock::Now;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::limits::FILTER_SECOND_STEPS_MAX;
use crate::limits::SHARED_AHEAD_MAX;
use crate::limits::SHARED_BACKLOG_BYTES_MAX;
use crate::limits::SHARED_GROUPS_MAX;
use crate::limits::SHARED_MEMBER_BYTES;
use crate::limits::SHARED_MEMBERS_EACH_MAX;
use crate::limits::SHARED_MEMBERS_MAX;

/// A client's part in a group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: Address,
    /// What its connection calls the subscription.
    pub(super) sub: SubId,
    pub(super) subscription: Arc<Subscription>,
    /// Messages that were handed to it, and with which it is not done.
    pub(super) ahead: u16,
    /// How many these may be.
    ahead_max: u16,
    /// Steps that its filters have taken in a second, and in which one.
    spent: (u64, u64),
}

impl Member {
    /// Whether one more may be handed to it.
    pub(super) const fn has_room(&self) -> bool {
        self.ahead < self.ahead_max
    }

    /// Whether events of this topic are for it.
    pub(super) fn hears_of(&self, topic: &TopicName) -> bool {
        self.subscription.patterns().any(|pattern| pattern.matches(topic))
    }

    /// Its filters took so many steps for an event.
    pub(super) const fn spend(&mut self, steps: u64, now: Now) {
        let second = now.mono_ms / 1000;
        let before = if self.spent.1 == second { self.spent.0 } else { 0 };
        self.spent = (before + steps, second);
    }

    /// Whether its filters have taken in this second what one connection's may.
    pub(super) const fn is_spent(&self, now: Now) -> bool {
        self.spent.1 == now.mono_ms / 1000 && self.spent.0 >= FILTER_SECOND_STEPS_MAX
    }
}

/// Clients that share a subscription.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: ClientName,
    pub(super) members: Vec<Member>,
    /// Whose turn it is.
    pub(super) next: usize,
    /// What is to one of them or another, each once.
    topics: Vec<TopicPattern>,
    /// Events that nobody could take yet, in order.
    backlog: VecDeque<Arc<Event>>,
    backlog_bytes: usize,
    /// Somebody may have room by now who had none.
    is_woken: bool,
}

impl Group {
    /// Whether events of this topic are for any of them.
    pub(super) fn hears_of(&self, topic: &TopicName) -> bool {
        self.topics.iter().any(|pattern| pattern.matches(topic))
    }

    /// Whether something waits.
    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// The event that waits at this place.
    pub(super) fn waiting(&self, place: usize) -> Option<&Arc<Event>> {
        self.backlog.get(place)
    }

    fn place(&self, address: Address) -> Option<usize> {
        self.members.iter().position(|member| member.address == address)
    }

    /// What is to its members, now that they are others.
    fn gather_topics(&mut self) {
        self.topics.clear();
        for pattern in self.members.iter().flat_map(|member| member.subscription.patterns()) {
            if !self.topics.contains(pattern) {
                self.topics.push(pattern.clone());
            }
        }
    }

    fn drop_oldest(&mut self) -> usize {
        let bytes = self.backlog.pop_front().map_or(0, |oldest| oldest.weight_bytes());
        self.backlog_bytes -= bytes;
        bytes
    }
}

/// Bytes of a member with its group's name, which each may be the only one to hold, and with what it is handed.
fn member_bytes(name: &ClientName) -> usize {
    SHARED_MEMBER_BYTES + 2 * name.as_str().len()
}

/// All that are kept at a shard.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<Group>,
    places: HashMap<ClientName, usize, foldhash::fast::RandomState>,
    members: usize,
    /// Bytes of members and of what waits, and how many these may be.
    bytes: usize,
    bytes_max: usize,
    /// One of them is woken.
    is_woken: bool,
    /// Events that had to go since nobody could take them.
    pub(super) dropped: u64,
}

impl Groups {
    /// None yet; they may take so many bytes.
    pub(super) fn within(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.all.len()
    }

    /// Bytes that they take.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn at(&mut self, index: usize) -> &mut Group {
        &mut self.all[index]
    }

    /// Whether what waits may go on in one of them.
    pub(super) const fn is_woken(&self) -> bool {
        self.is_woken
    }

    /// Those that are woken are looked at now.
    pub(super) const fn begin_look(&mut self) {
        self.is_woken = false;
    }

    /// Whether something waits in a group that somebody may have room for by now.
    pub(super) fn take_woken(&mut self, index: usize) -> bool {
        let group = &mut self.all[index];
        std::mem::take(&mut group.is_woken) && group.has_backlog()
    }

    /// Has a group looked at in the next turn.
    pub(super) fn wake(&mut self, index: usize) {
        self.all[index].is_woken = true;
        self.is_woken = true;
    }

    /// Has those looked at in which something waits: a shard may have room again, whose members had some all the time.
    pub(super) fn wake_waiting(&mut self) {
        for index in 0..self.all.len() {
            if self.all[index].has_backlog() {
                self.wake(index);
            }
        }
    }

    /// An event waits in a group, behind or before the others; older ones go for it where there is too much.
    pub(super) fn push(&mut self, index: usize, event: Arc<Event>, is_first: bool) {
        let group = &mut self.all[index];
        self.bytes += event.weight_bytes();
        group.backlog_bytes += event.weight_bytes();
        match is_first {
            true => group.backlog.push_front(event),
            false => group.backlog.push_back(event),
        }
        while group.backlog_bytes > SHARED_BACKLOG_BYTES_MAX && group.backlog.len() > 1 {
            self.bytes -= group.drop_oldest();
            self.dropped += 1;
        }
        while self.bytes > self.bytes_max
            && let Some(most) = self.all.iter_mut().max_by_key(|group| group.backlog_bytes)
            && most.has_backlog()
        {
            self.bytes -= most.drop_oldest();
            self.dropped += 1;
        }
    }

    /// Takes an event out that waits.
    pub(super) fn take(&mut self, index: usize, place: usize) {
        let group = &mut self.all[index];
        if let Some(event) = group.backlog.remove(place) {
            group.backlog_bytes -= event.weight_bytes();
            self.bytes -= event.weight_bytes();
        }
    }

    /// A client joins a group, or is in it already and shares otherwise from here on; false: there is no room.
    pub(super) fn join(
        &mut self,
        name: &ClientName,
        (address, sub): (Address, SubId),
        (subscription, window): (Arc<Subscription>, u16),
    ) -> bool {
        let known = self.places.get(name).copied();
        let place = known.and_then(|index| self.all[index].place(address));
        let index = match (known, place) {
            (Some(index), Some(place)) => {
                self.all[index].members[place].subscription = subscription;
                index
            }
            _ => {
                let Some(index) = self.room_for_one(name) else { return false };
                self.members += 1;
                self.bytes += member_bytes(name);
                let ahead_max = window.clamp(1, SHARED_AHEAD_MAX);
                let member =
                    Member { address, sub, subscription, ahead: 0, ahead_max, spent: (0, 0) };
                self.all[index].members.push(member);
                index
            }
        };
        self.all[index].gather_topics();
        self.wake(index);
        true
    }

    /// The group of this name, which is begun if there is none; `None`: there is no room for one more in it.
    fn room_for_one(&mut self, name: &ClientName) -> Option<usize> {
        if self.members >= SHARED_MEMBERS_MAX || self.bytes + member_bytes(name) > self.bytes_max {
            return None;
        }
        if let Some(index) = self.places.get(name).copied() {
            let has_room = self.all[index].members.len() < SHARED_MEMBERS_EACH_MAX;
            return has_room.then_some(index);
        }
        if self.all.len() >= SHARED_GROUPS_MAX {
            return None;
        }
        self.all.push(Group {
            name: name.clone(),
            members: Vec::new(),
            next: 0,
            topics: Vec::new(),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            is_woken: false,
        });
        self.places.insert(name.clone(), self.all.len() - 1);
        Some(self.all.len() - 1)
    }

    /// A client leaves a group, and hands back what it is not done with: in the order in which it was handed that.
    pub(super) fn part(&mut self, name: &ClientName, address: Address, back: Vec<Arc<Event>>) {
        let Some(index) = self.places.get(name).copied() else { return };
        let group = &mut self.all[index];
        if let Some(place) = group.place(address) {
            group.members.remove(place);
            // Whose turn it was has it still.
            group.next -= usize::from(place < group.next);
            group.gather_topics();
            self.members -= 1;
            self.bytes -= member_bytes(name);
        }
        if group.members.is_empty() {
            return self.end(index);
        }
        for event in back.into_iter().rev() {
            self.push(index, event, true);
        }
        self.wake(index);
    }

    fn end(&mut self, index: usize) {
        let group = self.all.swap_remove(index);
        self.bytes -= group.backlog_bytes;
        self.places.remove(&group.name);
        if let Some(moved) = self.all.get(index) {
            self.places.insert(moved.name.clone(), index);
        }
    }

    /// A client is done with a message, or hands it back.
    pub(super) fn done(&mut self, name: &ClientName, address: Address, back: Option<Arc<Event>>) {
        let Some(index) = self.places.get(name).copied() else { return };
        let group = &mut self.all[index];
        if let Some(place) = group.place(address) {
            let member = &mut group.members[place];
            member.ahead = member.ahead.saturating_sub(1);
        }
        if let Some(event) = back {
            self.push(index, event, true);
        }
        self.wake(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::testing::event;
    use crate::event::Op;
    use crate::event::ShardId;
    use crate::shard::ConnId;
    use crate::shard::ConnRef;

    fn at(id: u32) -> Address {
        Address { shard: ShardId(0), conn: ConnRef { id: ConnId(id), generation: 1 } }
    }

    /// An event with this payload.
    fn of(payload: String) -> Arc<Event> {
        Arc::new(Event { payload: payload.into(), ..event("t", "", Op::Event, "{}") })
    }

    fn join(groups: &mut Groups, name: &str, id: u32) -> bool {
        let name = ClientName::new(None, name);
        groups.join(&name, (at(id), SubId::from(name.as_str())), (Arc::default(), 100))
    }

    fn part(groups: &mut Groups, name: &str, id: u32) {
        groups.part(&ClientName::new(None, name), at(id), Vec::new());
    }

    #[test]
    fn groups_and_members_are_bounded_and_leave_nothing_behind() {
        let mut groups = Groups::within(64 << 20);
        for number in 0..SHARED_GROUPS_MAX {
            assert!(join(&mut groups, &format!("g{number}"), 1));
        }
        assert!(!join(&mut groups, "one more", 1));
        let each = u32::try_from(SHARED_MEMBERS_EACH_MAX).unwrap();
        let mut joined = SHARED_GROUPS_MAX;
        for number in 0..SHARED_GROUPS_MAX {
            for id in 2..=each + 1 {
                let is_in = join(&mut groups, &format!("g{number}"), id);
                assert_eq!(is_in, id <= each && joined < SHARED_MEMBERS_MAX, "g{number} {id}");
                joined += usize::from(is_in);
            }
        }
        assert_eq!(joined, SHARED_MEMBERS_MAX);
        assert!(join(&mut groups, "g0", 1), "who is in it is in it");
        for number in 0..SHARED_GROUPS_MAX {
            (1..=each).for_each(|id| part(&mut groups, &format!("g{number}"), id));
        }
        assert!(groups.is_empty() && groups.places.is_empty());
        assert_eq!((groups.members, groups.bytes), (0, 0));
    }

    #[test]
    fn groups_have_no_more_bytes_than_they_may() {
        let name = ClientName::new(None, "g");
        let mut groups = Groups::within(3 * member_bytes(&name));
        let joined: Vec<bool> = (1..6).map(|id| join(&mut groups, "g", id)).collect();
        assert_eq!(joined, [true, true, true, false, false]);
        part(&mut groups, "g", 2);
        assert!(join(&mut groups, "g", 9));
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes_first() {
        let mut groups = Groups::within(4 << 20);
        (0..8).for_each(|number| assert!(join(&mut groups, &format!("g{number}"), 1)));
        let pad = format!("{{\"pad\":\"{}\"}}", "x".repeat(1000));
        let event = of(pad);
        let most = SHARED_BACKLOG_BYTES_MAX / event.weight_bytes();
        (0..most + 10).for_each(|_| groups.push(0, Arc::clone(&event), false));
        assert_eq!((groups.at(0).backlog.len(), groups.dropped), (most, 10));
        for index in 1..8 {
            (0..most).for_each(|_| groups.push(index, Arc::clone(&event), false));
            assert!(groups.bytes <= 4 << 20);
        }
        // Who has the most pays, and nobody all of it.
        assert!((0..8).all(|index| groups.at(index).backlog.len() > most / 4));
        for index in 0..8 {
            (0..most).for_each(|_| groups.take(index, 0));
        }
        assert_eq!(groups.bytes, 8 * member_bytes(&ClientName::new(None, "g0")));
    }

    #[test]
    fn what_is_handed_back_keeps_its_order_and_turns_are_not_lost() {
        let mut groups = Groups::within(4 << 20);
        (1..=3).for_each(|id| assert!(join(&mut groups, "g", id)));
        groups.at(0).next = 2;
        let of = |number: u32| of(format!("{{\"n\":{number}}}"));
        groups.push(0, of(3), false);
        groups.part(&ClientName::new(None, "g"), at(1), vec![of(1), of(2)]);
        assert_eq!(groups.at(0).next, 1, "it is the third one's turn");
        let payloads = groups.at(0).backlog.iter().map(|event| event.payload.len());
        assert_eq!(payloads.count(), 3);
        let texts: Vec<String> =
            groups.at(0).backlog.iter().map(|event| format!("{:?}", event.payload)).collect();
        assert!(
            texts.iter().zip(1..).all(|(text, n)| text.contains(&format!(":{n}"))),
            "{texts:?}"
        );
    }
}
