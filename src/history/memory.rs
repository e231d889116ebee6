//! History in memory: bounded by count, bytes and age per topic, inside budgets of bytes.
//!
//! Invariants: `bytes <= bytes_max`, `last_bytes <= last_bytes_max` and what idle and forgotten topics take `<= topics_bytes_max` after every
//! call; what goes first is the oldest of all topics. A topic that has nothing any more is forgotten. Never blocks, never answers later.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use super::Held;
use super::Page;
use super::Read;
use super::Retention;
use super::merge::Stream;
use super::page;
use super::topic::Gone;
use super::topic::LAST_TOPIC_BYTES;
use super::topic::Topic;
use super::topic::TopicBudget;
use super::topic::ring_weight;
use super::topics::Topics;
use crate::event::Event;
use crate::event::TopicName;
use crate::limits::EXPIRE_PER_TICK_MAX;
use crate::limits::FORGET_PER_TICK_MAX;

/// Events, or last events, of all topics in the order of their stamps: topic and stamp. An entry whose event has already gone is passed over.
type Order = VecDeque<(u32, u64)>;

/// Topics by a stamp each. Topics that another home ordered before this process began may have equal ones.
type Stamped = BTreeSet<(u64, u32)>;

/// The history of the topics of one home shard.
#[derive(Debug)]
pub struct Memory {
    retention: Retention,
    topics: Topics,
    /// Every event held, oldest first.
    order: Order,
    /// Every last event of a key, oldest first.
    last_order: Order,
    /// Topics without events that had some, by the stamp of the newest: whoever goes through the order of all would not meet them.
    quiet: Stamped,
    /// Topics without last events that had to let go of some, by the stamp of the newest of those.
    lastless: Stamped,
    /// Topics that have nothing, and some that have something again.
    idle: VecDeque<u32>,
    /// The newest of each kind that is no longer held of any topic.
    gone: Gone,
    /// A store stands behind it: what is not held is not lost, and no topic's newest offset is ever let go of.
    is_backed: bool,
    events: usize,
    bytes: usize,
    last_bytes: usize,
    idle_bytes: usize,
    keys: usize,
}

/// What a topic was before something changed.
#[derive(Clone, Copy)]
struct TopicBefore {
    is_quiet: bool,
    is_lastless: bool,
}

impl TopicBefore {
    fn of(topic: &Topic) -> Self {
        Self { is_quiet: topic.ring.is_empty(), is_lastless: topic.last.is_empty() }
    }
}

impl Memory {
    /// An empty history.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self {
            retention,
            topics: Topics::default(),
            order: Order::new(),
            last_order: Order::new(),
            quiet: Stamped::new(),
            lastless: Stamped::new(),
            idle: VecDeque::new(),
            gone: Gone::default(),
            is_backed: false,
            events: 0,
            bytes: 0,
            last_bytes: 0,
            idle_bytes: 0,
            keys: 0,
        }
    }

    /// Keeps up what depends on whether a topic has events and last events.
    fn settle(&mut self, index: u32, before: TopicBefore) {
        let topic = self.topics.at(index);
        let now = TopicBefore::of(topic);
        let gone = topic.gone;
        if now.is_quiet != before.is_quiet && gone.evicted.offset > 0 {
            match now.is_quiet {
                true => self.quiet.insert((gone.evicted.time_us, index)),
                false => self.quiet.remove(&(gone.evicted.time_us, index)),
            };
        }
        if now.is_lastless != before.is_lastless {
            match (now.is_lastless, gone.last_evicted.offset > 0) {
                (true, true) => self.lastless.insert((gone.last_evicted.time_us, index)),
                (false, true) => self.lastless.remove(&(gone.last_evicted.time_us, index)),
                (_, false) => false,
            };
            match now.is_lastless {
                true => self.last_bytes -= LAST_TOPIC_BYTES,
                false => self.last_bytes += LAST_TOPIC_BYTES,
            }
        }
        let (class, class_now) = (topic.class, topic.class_now());
        if class == class_now && (class != TopicBudget::Idle || topic.is_listed) {
            return;
        }
        let weight = topic.weight_bytes();
        topic.class = class_now;
        if class_now == TopicBudget::Idle && !topic.is_listed {
            topic.is_listed = true;
            self.idle.push_back(index);
        }
        *self.counter(class) -= weight;
        *self.counter(class_now) += weight;
    }

    const fn counter(&mut self, class: TopicBudget) -> &mut usize {
        match class {
            TopicBudget::History => &mut self.bytes,
            TopicBudget::Last => &mut self.last_bytes,
            TopicBudget::Idle => &mut self.idle_bytes,
        }
    }

    fn topic_index(&mut self, name: &TopicName) -> u32 {
        if let Some(index) = self.topics.index_of(name) {
            return index;
        }
        let index = self.topics.insert(name);
        let topic = self.topics.at(index);
        self.idle_bytes += topic.weight_bytes();
        let last_evicted = topic.gone.last_evicted;
        if last_evicted.offset > 0 {
            self.lastless.insert((last_evicted.time_us, index));
        }
        index
    }

    fn evict_oldest_of(&mut self, index: u32) {
        let topic = self.topics.at(index);
        let before = TopicBefore::of(topic);
        let bytes = topic.evict_oldest();
        let is_empty = topic.ring.is_empty();
        self.gone.take(topic.gone);
        self.bytes -= bytes;
        self.events -= 1;
        if is_empty {
            self.settle(index, before);
        }
    }

    fn evict_key_of(&mut self, index: u32) {
        let topic = self.topics.at(index);
        let before = TopicBefore::of(topic);
        let bytes = topic.evict_key();
        let is_empty = topic.last.is_empty();
        self.gone.take(topic.gone);
        self.last_bytes -= bytes;
        self.keys -= 1;
        if is_empty {
            self.settle(index, before);
        }
    }

    /// Stamp of the oldest event of all topics, and its topic.
    fn oldest(&mut self) -> Option<(u32, u64)> {
        while let Some((topic, time_us)) = self.order.front() {
            if self.topics.find(*topic).and_then(Topic::oldest_us) == Some(*time_us) {
                return Some((*topic, *time_us));
            }
            self.order.pop_front();
        }
        None
    }

    /// The topic of the oldest last event of all.
    fn oldest_last(&mut self) -> Option<u32> {
        while let Some((topic, time_us)) = self.last_order.front() {
            if self.topics.find(*topic).and_then(Topic::oldest_last_us) == Some(*time_us) {
                return Some(*topic);
            }
            self.last_order.pop_front();
        }
        None
    }

    fn shrink_topic(&mut self, index: u32) {
        let retention = self.retention;
        while let topic = self.topics.at(index)
            && (topic.ring.len() > retention.topic_events_max
                || topic.bytes > retention.topic_bytes_max)
        {
            self.evict_oldest_of(index);
        }
        while self.topics.at(index).key_count() > retention.topic_keys_max {
            self.evict_key_of(index);
        }
    }

    /// Keeps all topics together within their budgets.
    fn shrink_all(&mut self) {
        let retention = self.retention;
        while self.bytes > retention.bytes_max
            && let Some((oldest, _)) = self.oldest()
        {
            self.order.pop_front();
            self.evict_oldest_of(oldest);
        }
        while self.last_bytes > retention.last_bytes_max
            && let Some(oldest) = self.oldest_last()
        {
            self.last_order.pop_front();
            self.evict_key_of(oldest);
        }
        while self.idle_bytes + self.topics.forgotten_bytes() > retention.topics_bytes_max
            && (self.forget_idle() || (!self.is_backed && self.topics.raise_floor()))
        {}
    }

    /// Forgets the topic that has had nothing the longest; false if every topic has something.
    fn forget_idle(&mut self) -> bool {
        while let Some(index) = self.idle.pop_front() {
            let topic = self.topics.at(index);
            topic.is_listed = false;
            if topic.class == TopicBudget::Idle {
                self.idle_bytes -= topic.weight_bytes();
                let gone = topic.gone;
                self.quiet.remove(&(gone.evicted.time_us, index));
                self.lastless.remove(&(gone.last_evicted.time_us, index));
                self.topics.forget(index);
                return true;
            }
        }
        false
    }

    /// Passed-over entries must not outgrow what is held.
    fn tidy(&mut self) {
        let topics = &self.topics;
        if self.order.len() > ORDER_SPARE + self.events + self.events / 4 {
            self.order.retain(|(topic, time_us)| {
                let oldest_us = topics.find(*topic).and_then(Topic::oldest_us);
                oldest_us.is_some_and(|oldest_us| oldest_us <= *time_us)
            });
            self.order.shrink_to(2 * self.order.len());
        }
        if self.last_order.len() > ORDER_SPARE + self.keys + self.keys / 4 {
            self.last_order.retain(|(topic, time_us)| {
                topics.find(*topic).is_some_and(|topic| topic.last.contains_key(time_us))
            });
            self.last_order.shrink_to(2 * self.last_order.len());
        }
    }

    /// A topic as it is known here, and its newest offset: 0 if it never had an event, more if that is not known any more.
    #[must_use]
    pub fn newest_offset(&self, name: &TopicName) -> u64 {
        self.topics.newest_offset(name)
    }

    /// The greatest offset of a topic that may have been given: the newest, or more if some were lost.
    #[must_use]
    pub fn ceiling(&self, name: &TopicName) -> u64 {
        self.topics.ceiling(name)
    }

    /// The name of a topic that is known, for its events to share, with its newest offset and its ceiling.
    #[must_use]
    pub fn known(&self, name: &TopicName) -> Option<(TopicName, u64, u64)> {
        let topic = self.topics.find(self.topics.index_of(name)?)?;
        Some((topic.name.clone(), topic.newest_offset(), topic.ceiling()))
    }

    /// Makes room for one more topic if there are `topics_max`; false: every topic has something, or there is no room to remember one more.
    pub fn make_room(&mut self, topics_max: usize) -> bool {
        if self.is_backed && self.topics.forgotten_bytes() >= self.retention.topics_bytes_max {
            return false;
        }
        self.topics.len() < topics_max || self.forget_idle()
    }

    /// The topics that are known.
    pub fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.topics.iter().map(|topic| &topic.name)
    }

    /// Every topic that had an event, as far as that is known.
    pub fn every_topic(&self) -> impl Iterator<Item = &TopicName> {
        self.topics.every_name()
    }

    /// How many topics are known.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// A store stands behind it from now on.
    pub(super) const fn back(&mut self) {
        self.is_backed = true;
    }

    pub(super) const fn is_backed(&self) -> bool {
        self.is_backed
    }

    /// The newest of each kind that is no longer held of any topic.
    pub(super) const fn gone(&self) -> Gone {
        self.gone
    }

    /// A topic goes on after what a store holds of it.
    pub(super) fn restore_topic(&mut self, name: TopicName, gone: Gone) {
        self.gone.take(gone);
        self.topics.leave(name, gone);
    }

    /// The last event of a key, of a topic that was restored. Stamps do not descend.
    pub(super) fn restore_last(&mut self, event: &Arc<Event>) {
        let is_new = self.topics.index_of(&event.topic).is_none();
        let index = self.topic_index(&event.topic);
        let topic = self.topics.at(index);
        if is_new && topic.gone.evicted.offset > 0 {
            self.quiet.insert((topic.gone.evicted.time_us, index));
        }
        let before = TopicBefore::of(topic);
        self.last_bytes += topic.restore_last(event);
        self.keys += 1;
        self.last_order.push_back((index, event.time_us));
        self.settle(index, before);
        self.shrink_all();
    }

    /// Events that are held, in the order of their stamps, from after a moment on.
    pub(super) fn events_after(&self, time_us: u64) -> impl Iterator<Item = &Arc<Event>> {
        let index = self.order.partition_point(|(_, stamp)| *stamp <= time_us);
        self.order.range(index..).filter_map(|(index, time_us)| {
            let topic = self.topics.find(*index)?;
            let place = topic.ring.binary_search_by_key(time_us, |event| event.time_us).ok()?;
            topic.ring.get(place)
        })
    }

    pub(super) const fn names(&self) -> &Topics {
        &self.topics
    }

    /// Events in the order of their stamps, from after a moment on.
    pub(super) fn order_after(&self, time_us: u64) -> Stream<'_> {
        let index = self.order.partition_point(|(_, stamp)| *stamp <= time_us);
        Stream::Order { topics: &self.topics, order: self.order.range(index..) }
    }

    /// Last events of keys, likewise.
    pub(super) fn last_order_after(&self, time_us: u64) -> Stream<'_> {
        let index = self.last_order.partition_point(|(_, stamp)| *stamp <= time_us);
        Stream::LastOrder { topics: &self.topics, order: self.last_order.range(index..) }
    }

    /// Topics without events, and those that were forgotten, by the stamp of their newest event.
    pub(super) fn quiet_after(&self, time_us: u64) -> [Stream<'_>; 2] {
        let after = (Bound::Excluded((time_us, u32::MAX)), Bound::Unbounded);
        [
            Stream::Quiet { topics: &self.topics, by_stamp: self.quiet.range(after) },
            Stream::Forgotten(self.topics.forgotten_after(time_us)),
        ]
    }

    /// Topics without last events, by the stamp of the newest that had to go.
    pub(super) fn lastless_after(&self, time_us: u64) -> Stream<'_> {
        let after = (Bound::Excluded((time_us, u32::MAX)), Bound::Unbounded);
        Stream::Lastless { topics: &self.topics, by_stamp: self.lastless.range(after) }
    }
}

/// Entries of an order that may be passed over however little is held.
const ORDER_SPARE: usize = 64;

impl Memory {
    /// Keeps an event that was just stamped. Stamps ascend.
    pub fn append(&mut self, event: &Arc<Event>) {
        let index = self.topic_index(&event.topic);
        let topic = self.topics.at(index);
        let before = TopicBefore::of(topic);
        let keys = topic.key_count();
        let (came, went) = topic.push(event);
        self.keys = self.keys + topic.key_count() - keys;
        self.last_bytes = self.last_bytes + came - went;
        self.bytes += ring_weight(event);
        self.events += 1;
        self.order.push_back((index, event.time_us));
        if came > 0 {
            self.last_order.push_back((index, event.time_us));
        }
        if before.is_quiet || before.is_lastless || went > came {
            self.settle(index, before);
        }
        self.shrink_topic(index);
        self.shrink_all();
        self.tidy();
    }

    /// The last event of a key, if it is held and the key was not deleted.
    #[must_use]
    pub fn last(&self, topic: &TopicName, key: &str) -> Option<Arc<Event>> {
        self.topics.find(self.topics.index_of(topic)?)?.last_of(key)
    }

    /// Reads one page, bounded by `PAGE_EVENTS_MAX`, `Read::page_bytes` and `PAGE_WORK_MAX`.
    #[must_use]
    pub fn read(&self, read: &Read) -> Page {
        page::read(self, read)
    }

    /// Lets go of what is older than the retention allows, and of some topics that have nothing; how many events and topics went: it costs nothing
    /// else, however much is held.
    pub fn expire(&mut self, now_us: u64) -> usize {
        let mut gone = 0;
        if let Some(oldest_kept_us) = now_us.checked_sub(self.retention.age_us_max) {
            while let Some((oldest, time_us)) = self.oldest()
                && time_us < oldest_kept_us
                && gone < EXPIRE_PER_TICK_MAX
            {
                self.order.pop_front();
                self.evict_oldest_of(oldest);
                gone += 1;
            }
        }
        for _ in 0..FORGET_PER_TICK_MAX {
            if !self.forget_idle() {
                break;
            }
            gone += 1;
        }
        self.shrink_all();
        gone
    }

    /// Events and bytes held, for the metrics.
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            events: self.events as u64,
            bytes: (self.bytes + self.last_bytes) as u64,
            keys: self.keys as u64,
            topics_bytes: (self.idle_bytes + self.topics.forgotten_bytes()) as u64,
        }
    }
}

#[cfg(test)]
mod tests;
