//! What one connection that is not in step still has to be sent, as events rather than bytes: an event in ten thousand outboxes
//! lies in memory once, and can still be dropped or passed over one by one.
//!
//! Invariants: `bytes <= bytes_max` but for what the server itself must say; the first item is never a hole; items leave in the order in which they came, and what is
//! dropped is counted where it would have stood. Never does I/O, never looks at a payload.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use self::item::ITEM_BYTES;
pub use self::item::Item;
use self::notices::note_skipped;
use super::budget::Budget;
use super::budget::Counted;
use super::policy::Policy;
use crate::event::Event;
use crate::event::TopicKey;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::limits::GAP_TOPICS_MAX;
use crate::position::Gap;
use crate::position::GapReason;
use crate::position::Skipped;

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    Queued,
    /// There is no room, and nothing that may be dropped.
    Full,
}

/// An item in its place.
#[derive(Clone, Debug)]
struct Waiting {
    item: Item,
    /// The budget of outboxes counts it. What is told of the past is counted in the budget of replays.
    is_counted: bool,
}

/// The outbox of one connection.
#[derive(Debug, Default)]
pub struct Outbox {
    /// `None`: passed over or dropped.
    items: VecDeque<Option<Waiting>>,
    /// How many items have left: the number of the first one in `items`.
    left: u64,
    bytes: usize,
    /// Bytes of items that answer the client, or that the server says of itself.
    answer_bytes: usize,
    /// Bytes of items that are told of the past, which the budget of outboxes does not count.
    past_bytes: usize,
    /// Bytes that the budget of outboxes counts.
    counted: Counted,
    /// While only the newest event of a key is kept: the number of the item that holds it.
    newest: Option<HashMap<TopicKey, u64, foldhash::fast::RandomState>>,
    /// Dropped events, by topic, that no gap has announced yet.
    gaps: Vec<(Gap, u64)>,
    /// Events passed over that no notice has told of yet, by the subscriptions that they were for.
    skipped: Vec<(Skipped, u64)>,
    /// Events dropped since they were last counted.
    dropped: u64,
}

impl Outbox {
    /// An empty one that shares a budget.
    #[must_use]
    pub fn within(budget: &Rc<Budget>) -> Self {
        Self { counted: Counted::of(budget), ..Self::default() }
    }

    /// What leaves is no longer held.
    #[inline]
    fn gone(&mut self, waiting: Option<Waiting>) -> Option<Item> {
        let Waiting { item, is_counted } = waiting?;
        let bytes = item.weight_bytes();
        self.bytes -= bytes;
        if is_counted {
            // An answer always is.
            if item.is_answer() {
                self.answer_bytes -= bytes;
            }
            self.counted.give_back(bytes);
        } else {
            self.past_bytes -= bytes;
        }
        Some(item)
    }

    /// Bytes of events that happened since it was behind. What is told of the past, and what the server says, takes no room from them: pages are asked
    /// for when there is room for them and answers end with the client's own input, so that both are bounded whether anyone is slow or not, and who is told
    /// of them has not fallen behind. (The shard's budget counts answers, too.)
    #[must_use]
    pub fn event_bytes(&self) -> usize {
        self.counted.bytes() - self.answer_bytes
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.gaps.is_empty() && self.skipped.is_empty()
    }

    /// Whether something but notices waits.
    #[must_use]
    pub fn has_items(&self) -> bool {
        !self.items.is_empty()
    }

    /// Whether something was dropped or passed over that has not been told of.
    #[must_use]
    pub fn has_notices(&self) -> bool {
        !self.gaps.is_empty() || !self.skipped.is_empty()
    }

    /// Bytes held alive by what waits.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of items that are told of the past.
    #[must_use]
    pub fn past_bytes(&self) -> usize {
        self.past_bytes
    }

    /// Whether the client has taken so much of what it was answered that it may be answered more: `bytes_max` wait, or as much as the shard has left for
    /// anyone. Whom nothing waits for always may.
    #[must_use]
    pub fn has_room_for_answers(&self, bytes_max: usize) -> bool {
        self.answer_bytes == 0 || self.answer_bytes <= bytes_max.min(self.counted.share())
    }

    /// Queues something that is never dropped.
    pub fn push(&mut self, item: Item) {
        let bytes = item.weight_bytes();
        let is_counted = item.is_answer();
        self.bytes += bytes;
        if is_counted {
            self.answer_bytes += bytes;
            self.counted.take(bytes);
        } else {
            self.past_bytes += bytes;
        }
        self.items.push_back(Some(Waiting { item, is_counted }));
    }

    /// Queues an event within `bytes_max` (one that is larger alone), or makes room as the subscriptions' policy says; `policy` tells it of each bit of `subs`.
    pub fn push_event(
        &mut self,
        event: &Arc<Event>,
        subs: u64,
        policy: &Policy,
        bytes_max: usize,
    ) -> Pushed {
        let weight = ITEM_BYTES + event.weight_bytes();
        let shared_max = self.counted.share();
        // Whether it is more than there is room for, here or in the whole shard; `part` 2: of half of both.
        let is_over = |of: &Self, part: usize| {
            of.event_bytes() + weight > (bytes_max / part).min(shared_max / part)
        };
        let conflated = subs & !policy.latest == 0;
        if conflated && (self.newest.is_some() || is_over(self, 2)) {
            self.pass_over(event, subs, policy);
        }
        while is_over(self, 1) && self.event_bytes() > 0 {
            if !self.drop_oldest(policy) {
                return Pushed::Full;
            }
        }
        self.drop_leading_holes();
        if conflated && self.newest.is_none() && is_over(self, 2) {
            self.newest = Some(HashMap::default());
        }
        if conflated && let Some(newest) = &mut self.newest {
            newest.insert(event.topic_key(), self.left + self.items.len() as u64);
        }
        self.bytes += weight;
        self.counted.take(weight);
        let item = Item::Event { event: Arc::clone(event), subs };
        self.items.push_back(Some(Waiting { item, is_counted: true }));
        Pushed::Queued
    }

    /// Takes out the event of the same key that waits, if every subscription it is for gets the new one.
    fn pass_over(&mut self, event: &Arc<Event>, subs: u64, policy: &Policy) {
        self.index_newest(policy);
        let newest = self.newest.as_mut().expect("it was just made");
        let Some(number) = newest.get(&event.topic_key()) else {
            return;
        };
        let Some(index) =
            number.checked_sub(self.left).and_then(|index| usize::try_from(index).ok())
        else {
            return;
        };
        self.take_over(index, subs);
    }

    /// Leaves item `index` to those subscriptions that do not get the newer event.
    fn take_over(&mut self, index: usize, newer: u64) {
        let Some(slot) = self.items.get_mut(index) else { return };
        let Some(Waiting { item: Item::Event { event, subs }, .. }) = slot else { return };
        let passed = *subs & newer;
        if passed == 0 {
            return;
        }
        note_skipped(&mut self.skipped, event.time_us, passed);
        *subs &= !newer;
        if *subs == 0 {
            let waiting = slot.take();
            self.gone(waiting);
        }
    }

    /// From now on only the newest event of each key waits; what waits already is thinned out once.
    fn index_newest(&mut self, policy: &Policy) {
        if self.newest.is_some() {
            return;
        }
        let mut newest: HashMap<TopicKey, u64, _> = HashMap::default();
        for index in 0..self.items.len() {
            let Some(Some(Waiting { item: Item::Event { event, subs }, .. })) =
                self.items.get(index)
            else {
                continue;
            };
            let subs = *subs;
            if subs & !policy.latest != 0 {
                continue;
            }
            let key = event.topic_key();
            if let Some(before) = newest.insert(key, self.left + index as u64) {
                let before =
                    usize::try_from(before - self.left).expect("it is an index of this queue");
                self.take_over(before, subs);
            }
        }
        self.newest = Some(newest);
    }

    /// Takes the oldest events away from the subscriptions that drop them, up to the first one that nobody else waits for; false if there is
    /// none. (What comes after a gap must be newer than it: so an event that stays for others is taken away on the way, too.)
    fn drop_oldest(&mut self, policy: &Policy) -> bool {
        for index in 0..self.items.len() {
            let Some(Waiting { item: Item::Event { event, subs }, .. }) = &mut self.items[index]
            else {
                continue;
            };
            let dropping = *subs & policy.drop_oldest;
            if dropping == 0 {
                continue;
            }
            let told = dropping & !policy.silent;
            if told != 0 && self.gaps.len() >= GAP_TOPICS_MAX {
                return false;
            }
            *subs &= !dropping;
            let is_free = *subs == 0;
            if told != 0 {
                let (topic, lost) = (event.topic.clone(), (event.previous + 1, event.offset));
                self.note_gap(&topic, lost, told);
            }
            if is_free {
                let waiting = self.items[index].take();
                self.gone(waiting);
                self.dropped += 1;
                self.drop_leading_holes();
                return true;
            }
        }
        false
    }

    /// Notes that an event was dropped for these subscriptions. Each has one range for a topic, from the first that it lost to the last, and those with the
    /// same range share a notice: were ranges kept by set, two of them that overlap could be told to one subscription. `first`: right behind the event before
    /// it, so that a range meets what was told before it even where offsets have holes.
    fn note_gap(&mut self, topic: &TopicName, (first, offset): (u64, u64), mut subs: u64) {
        let whole = self.gaps.iter_mut().find(|(gap, of)| *of == subs && gap.topic == *topic);
        if let Some((gap, _)) = whole {
            gap.to = offset;
            return;
        }
        let mut moved: Vec<(u64, u64)> = Vec::new();
        for (gap, of) in self.gaps.iter_mut().filter(|(gap, _)| gap.topic == *topic) {
            let common = *of & subs;
            if common != 0 {
                *of &= !common;
                subs &= !common;
                moved.push((gap.from, common));
            }
        }
        if subs != 0 {
            moved.push((first, subs));
        }
        self.gaps.retain(|(_, of)| *of != 0);
        for (from, subs) in moved {
            let is_same = |gap: &Gap| gap.topic == *topic && gap.from == from && gap.to == offset;
            match self.gaps.iter_mut().find(|(gap, _)| is_same(gap)) {
                Some((_, of)) => *of |= subs,
                None => {
                    let topic = topic.clone();
                    let topic = TopicPattern::Exact(topic);
                    let gap = Gap { topic, from, to: offset, reason: GapReason::Slow };
                    self.gaps.push((gap, subs));
                }
            }
        }
    }

    /// Lets go of what goes beyond so many bytes of events, as the subscriptions' policy says.
    pub fn shed(&mut self, policy: &Policy, bytes_max: usize) -> Pushed {
        while self.event_bytes() > bytes_max && self.drop_oldest(policy) {}
        if self.event_bytes() > bytes_max { Pushed::Full } else { Pushed::Queued }
    }

    fn drop_leading_holes(&mut self) {
        while self.items.front().is_some_and(Option::is_none) {
            self.items.pop_front();
            self.left += 1;
        }
        if self.items.is_empty() {
            self.newest = None;
            self.items = VecDeque::new();
        }
    }

    /// The next item, if it is a large event.
    #[must_use]
    pub fn large_next(&self) -> Option<&Item> {
        let next = self.items.front().and_then(Option::as_ref).map(|waiting| &waiting.item);
        next.filter(|item| item.event().is_some_and(|(event, _)| event.is_large()))
    }

    /// Takes the next item, if it may leave.
    pub fn pop(&mut self) -> Option<Item> {
        if self.is_reserved() {
            return None;
        }
        let waiting = self.items.pop_front()?;
        self.left += 1;
        let item = self.gone(waiting);
        self.drop_leading_holes();
        item
    }

    /// What is left when the events are given up: replies and control frames. What tells of the stream of events goes with them, for without
    /// them it would not be true.
    #[must_use]
    pub fn into_replies(self) -> Vec<Item> {
        let is_reply = |item: &Item| match item {
            Item::Said { kind, .. } => !matches!(*kind, "live" | "gap" | "skipped"),
            Item::Own { .. } | Item::Raw(_) => true,
            Item::Event { .. } | Item::Past { .. } | Item::Reached { .. } | Item::Reserved => false,
        };
        let items = self.items.into_iter().flatten();
        items.map(|waiting| waiting.item).filter(is_reply).collect()
    }

    /// Takes the number of events dropped, to be counted.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Takes the gaps that must be announced before the next item.
    pub fn take_gaps(&mut self) -> Vec<(Gap, u64)> {
        std::mem::take(&mut self.gaps)
    }

    /// Takes what must be told of events passed over before the next item.
    pub fn take_skipped(&mut self) -> Vec<(Skipped, u64)> {
        std::mem::take(&mut self.skipped)
    }

    /// Leaves of each event that waits what `confine` leaves of it, and of the gaps those of topics that `hears_of`.
    pub fn confine(
        &mut self,
        confine: impl Fn(&Arc<Event>) -> Option<Arc<Event>>,
        hears_of: impl Fn(&TopicPattern) -> bool,
    ) {
        for index in 0..self.items.len() {
            let Some(Waiting {
                item: Item::Event { event, .. } | Item::Past { event, .. },
                is_counted,
            }) = &mut self.items[index]
            else {
                continue;
            };
            let before_bytes = event.weight_bytes();
            let Some(confined) = confine(event) else {
                let waiting = self.items[index].take();
                self.gone(waiting);
                continue;
            };
            *event = confined;
            // It weighs no more than before: at most its payload has gone.
            let less = before_bytes - event.weight_bytes();
            if *is_counted {
                self.counted.give_back(less);
            } else {
                self.past_bytes -= less;
            }
            self.bytes -= less;
        }
        self.gaps.retain(|(gap, _)| hears_of(&gap.topic));
        self.drop_leading_holes();
    }

    /// Applies `change` to the set of subscriptions of everything that waits; what is left for none is gone.
    pub fn change_subs(&mut self, change: impl Fn(u64) -> u64) {
        for index in 0..self.items.len() {
            let Some(Waiting { item: Item::Event { subs, .. } | Item::Past { subs, .. }, .. }) =
                &mut self.items[index]
            else {
                continue;
            };
            *subs = change(*subs);
            if *subs == 0 {
                let waiting = self.items[index].take();
                self.gone(waiting);
            }
        }
        for (_, subs) in &mut self.gaps {
            *subs = change(*subs);
        }
        self.gaps.retain(|(_, subs)| *subs != 0);
        for (_, subs) in &mut self.skipped {
            *subs = change(*subs);
        }
        self.skipped.retain(|(_, subs)| *subs != 0);
        self.drop_leading_holes();
    }
}

mod item;

mod look;

mod notices;

mod passing;

mod reserving;

#[cfg(test)]
mod tests;
