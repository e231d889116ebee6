//! History in memory: bounded by count, bytes and age per topic, inside one budget of bytes.
//!
//! Invariants: `bytes <= bytes_max` and `last_bytes <= last_bytes_max` after every call; what goes first is the oldest of all
//! topics. Never blocks, never answers later.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use super::Answer;
use super::Held;
use super::Read;
use super::Retention;
use super::Store;
use super::page;
use super::topic::Topic;
use crate::event::Event;
use crate::event::TopicName;
use crate::event::TopicPattern;

/// The history of the topics of one home shard.
#[derive(Debug)]
pub struct Memory {
    retention: Retention,
    topics: Vec<Topic>,
    by_name: HashMap<TopicName, usize, foldhash::fast::RandomState>,
    /// Every event held, oldest first: its topic and stamp. An entry whose event has already gone is passed over.
    order: VecDeque<(u32, u64)>,
    events: usize,
    bytes: usize,
    last_bytes: usize,
}

impl Memory {
    /// An empty history.
    #[must_use]
    pub fn new(retention: Retention) -> Self {
        Self {
            retention,
            topics: Vec::new(),
            by_name: HashMap::default(),
            order: VecDeque::new(),
            events: 0,
            bytes: 0,
            last_bytes: 0,
        }
    }

    fn topic_index(&mut self, name: &TopicName) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.topics.len();
        self.topics.push(Topic::new(name.clone()));
        self.by_name.insert(name.clone(), index);
        index
    }

    fn evict_oldest_of(&mut self, index: usize) {
        let bytes = self.topics[index].evict_oldest();
        self.bytes -= bytes;
        self.events -= 1;
    }

    /// Stamp of the oldest event of all topics.
    fn oldest_us(&mut self) -> Option<u64> {
        while let Some((topic, time_us)) = self.order.front() {
            if self.topics[*topic as usize].oldest_us() == Some(*time_us) {
                return Some(*time_us);
            }
            self.order.pop_front();
        }
        None
    }

    /// Lets go of the oldest event of all topics; false if there is none.
    fn evict_oldest(&mut self) -> bool {
        if self.oldest_us().is_none() {
            return false;
        }
        let (topic, _) = self.order.pop_front().expect("its stamp was just read");
        self.evict_oldest_of(topic as usize);
        true
    }

    fn shrink_topic(&mut self, index: usize) {
        let retention = self.retention;
        while self.topics[index].ring.len() > retention.topic_events_max
            || self.topics[index].bytes > retention.topic_bytes_max
        {
            self.evict_oldest_of(index);
        }
        while self.topics[index].key_count() > retention.topic_keys_max
            || (self.last_bytes > retention.last_bytes_max && self.topics[index].key_count() > 0)
        {
            self.last_bytes -= self.topics[index].evict_key();
        }
    }

    /// Passed-over entries must not outgrow what is held.
    fn tidy_order(&mut self) {
        if self.order.len() > 64 + 2 * self.events {
            let topics = &self.topics;
            self.order.retain(|(topic, time_us)| {
                topics[*topic as usize].oldest_us().is_some_and(|oldest| oldest <= *time_us)
            });
        }
    }

    /// The topics that a read is about.
    fn selected(&self, topics: &[TopicPattern]) -> Vec<&Topic> {
        let exact_only = topics.iter().all(|pattern| matches!(pattern, TopicPattern::Exact(_)));
        if exact_only {
            let named = topics.iter().filter_map(|pattern| match pattern {
                TopicPattern::Exact(name) => self.by_name.get(name),
                TopicPattern::Wild(_) => None,
            });
            return named.map(|index| &self.topics[*index]).collect();
        }
        self.topics
            .iter()
            .filter(|topic| topics.iter().any(|pattern| pattern.matches(&topic.name)))
            .collect()
    }
}

impl Store for Memory {
    fn append(&mut self, event: &Arc<Event>) {
        let index = self.topic_index(&event.topic);
        let topic = &mut self.topics[index];
        let last_bytes = topic.last_bytes;
        topic.push(event);
        self.last_bytes = self.last_bytes + topic.last_bytes - last_bytes;
        self.bytes += event.weight_bytes();
        self.events += 1;
        self.order.push_back((
            u32::try_from(index).expect("topics are bounded far below"),
            event.time_us,
        ));
        self.shrink_topic(index);
        while self.bytes > self.retention.bytes_max && self.evict_oldest() {}
        self.tidy_order();
    }

    fn read(&mut self, read: &Read) -> Answer {
        Answer::Now(page::read(&self.selected(&read.topics), read))
    }

    fn expire(&mut self, now_us: u64) {
        let Some(oldest_kept_us) = now_us.checked_sub(self.retention.age_us_max) else { return };
        while self.oldest_us().is_some_and(|time_us| time_us < oldest_kept_us)
            && self.evict_oldest()
        {}
    }

    fn held(&self) -> Held {
        Held {
            events: self.events as u64,
            bytes: (self.bytes + self.last_bytes) as u64,
            keys: self.topics.iter().map(|topic| topic.key_count() as u64).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::dialect::GapReason;
    use crate::event::Op;
    use crate::event::ShardId;
    use crate::history::Page;
    use crate::history::Start;

    const ROOMY: Retention = Retention {
        topic_events_max: 1000,
        topic_bytes_max: 1 << 20,
        age_us_max: 1_000_000,
        topic_keys_max: 1000,
        bytes_max: 1 << 20,
        last_bytes_max: 1 << 20,
    };

    /// A gap: from, to, and why.
    type Missing = (u64, u64, GapReason);

    struct Kept {
        memory: Memory,
        time_us: u64,
        offsets: HashMap<String, u64>,
    }

    impl Kept {
        fn new(retention: Retention) -> Self {
            Self { memory: Memory::new(retention), time_us: 0, offsets: HashMap::new() }
        }

        fn push(&mut self, topic: &str, key: &str, op: Op) {
            self.time_us += 10;
            let offset = self.offsets.entry(topic.to_owned()).or_default();
            *offset += 1;
            let event = Event {
                topic: TopicName::new(topic).unwrap(),
                key: Arc::from(key),
                op,
                home: ShardId(0),
                offset: *offset,
                time_us: self.time_us,
                payload: Bytes::from_static(b"{}"),
                fields: crate::event::Fields::default(),
            };
            self.memory.append(&Arc::new(event));
        }

        fn read(&mut self, topics: &str, start: &Start) -> (Vec<(String, u64)>, Vec<Missing>) {
            let topics: Vec<_> = topics.split(' ').map(|t| TopicPattern::new(t).unwrap()).collect();
            let (mut events, mut gaps, mut after_us) = (Vec::new(), Vec::new(), 0);
            loop {
                let read = Read { topics: topics.clone(), start: start.clone(), after_us };
                let Answer::Now(page) = self.memory.read(&read) else {
                    panic!("memory answers at once")
                };
                let Page { gaps: page_gaps, events: page_events, more_after_us, .. } = page;
                gaps.extend(page_gaps.iter().map(|gap| (gap.from, gap.to, gap.reason)));
                events.extend(page_events.iter().map(|e| (e.topic.as_str().to_owned(), e.offset)));
                match more_after_us {
                    Some(time_us) => after_us = time_us,
                    None => return (events, gaps),
                }
            }
        }
    }

    fn offsets_of(events: &[(String, u64)]) -> Vec<u64> {
        events.iter().map(|(_, offset)| *offset).collect()
    }

    #[test]
    fn a_resume_inside_history_is_complete() {
        let mut kept = Kept::new(ROOMY);
        (0..5).for_each(|_| kept.push("a", "", Op::Event));
        let start = Start::AfterOffsets {
            offsets: vec![(TopicName::new("a").unwrap(), 2)],
            others_us: None,
        };
        let (events, gaps) = kept.read("a", &start);
        assert_eq!(offsets_of(&events), [3, 4, 5]);
        assert_eq!(gaps, []);
    }

    #[test]
    fn a_resume_before_history_says_what_is_gone() {
        let mut kept = Kept::new(Retention { topic_events_max: 3, ..ROOMY });
        (0..10).for_each(|_| kept.push("a", "", Op::Event));
        let start = Start::AfterOffsets {
            offsets: vec![(TopicName::new("a").unwrap(), 2)],
            others_us: None,
        };
        let (events, gaps) = kept.read("a", &start);
        assert_eq!(gaps, [(3, 7, GapReason::Evicted)]);
        assert_eq!(offsets_of(&events), [8, 9, 10]);
    }

    #[test]
    fn a_resume_from_an_offset_that_there_never_was_is_of_another_numbering() {
        let mut kept = Kept::new(Retention { topic_events_max: 3, ..ROOMY });
        (0..5).for_each(|_| kept.push("a", "", Op::Event));
        let after = |offset| Start::AfterOffsets {
            offsets: vec![(TopicName::new("a").unwrap(), offset)],
            others_us: None,
        };
        assert_eq!(kept.read("a", &after(5)), (vec![], vec![]));
        let (events, gaps) = kept.read("a", &after(6));
        assert_eq!(gaps, [(1, 2, GapReason::Epoch)]);
        assert_eq!(offsets_of(&events), [3, 4, 5]);
    }

    #[test]
    fn several_topics_come_in_the_order_of_their_stamps() {
        let mut kept = Kept::new(ROOMY);
        for topic in ["a/1", "a/2", "b", "a/1", "a/2"] {
            kept.push(topic, "", Op::Event);
        }
        let (events, _) = kept.read("a/*", &Start::Earliest);
        let named: Vec<_> = events.iter().map(|(t, o)| (t.as_str(), *o)).collect();
        assert_eq!(named, [("a/1", 1), ("a/2", 1), ("a/1", 2), ("a/2", 2)]);
        let (events, _) = kept.read("a/*", &Start::AfterTime(20));
        assert_eq!(events.len(), 2);
    }

    #[test]
    fn last_is_one_event_a_key_and_forgets_deleted_ones() {
        let mut kept = Kept::new(Retention { topic_events_max: 1, ..ROOMY });
        for (key, op) in [
            ("x", Op::Upsert),
            ("y", Op::Upsert),
            ("x", Op::Upsert),
            ("z", Op::Upsert),
            ("y", Op::Delete),
        ] {
            kept.push("a", key, op);
        }
        let (events, gaps) = kept.read("a", &Start::Last { deleted_after_us: None });
        assert_eq!(offsets_of(&events), [3, 4]);
        assert_eq!(gaps, []);
    }

    #[test]
    fn the_budget_takes_the_oldest_of_all_topics() {
        let mut kept = Kept::new(ROOMY);
        kept.push("a", "", Op::Event);
        let one = usize::try_from(kept.memory.held().bytes).unwrap() / 2;
        let mut kept = Kept::new(Retention { bytes_max: 3 * one, ..ROOMY });
        for topic in ["a", "b", "b", "b"] {
            kept.push(topic, "", Op::Event);
        }
        let (events, _) = kept.read("**", &Start::Earliest);
        assert_eq!(events.iter().map(|(t, _)| t.as_str()).collect::<Vec<_>>(), ["b", "b", "b"]);
    }

    #[test]
    fn age_lets_go() {
        let mut kept = Kept::new(Retention { age_us_max: 100, ..ROOMY });
        (0..5).for_each(|_| kept.push("a", "", Op::Event));
        kept.memory.expire(131);
        let (events, _) = kept.read("a", &Start::Earliest);
        assert_eq!(offsets_of(&events), [4, 5]);
    }

    #[test]
    fn pages_join_without_a_seam() {
        let mut kept = Kept::new(Retention {
            topic_events_max: 5000,
            topic_bytes_max: 1 << 30,
            bytes_max: 1 << 30,
            ..ROOMY
        });
        for index in 0..4000 {
            kept.push(if index % 3 == 0 { "a" } else { "b" }, "", Op::Event);
        }
        let (events, gaps) = kept.read("a b", &Start::Earliest);
        assert_eq!((events.len(), gaps.len()), (4000, 0));
    }

    #[test]
    fn another_epoch_is_a_gap_and_then_everything() {
        let mut kept = Kept::new(ROOMY);
        (0..2).for_each(|_| kept.push("a", "", Op::Event));
        let topics = vec![TopicName::new("a").unwrap(), TopicName::new("gone").unwrap()];
        let (events, gaps) = kept.read("a gone", &Start::OtherEpoch { topics });
        assert_eq!(gaps, [(1, 0, GapReason::Epoch), (1, 0, GapReason::Epoch)]);
        assert_eq!(offsets_of(&events), [1, 2]);
    }

    #[test]
    fn another_epoch_is_a_gap_for_topics_that_only_a_pattern_names() {
        let mut kept = Kept::new(Retention { topic_events_max: 2, ..ROOMY });
        for topic in ["a/1", "a/2", "a/1", "a/1"] {
            kept.push(topic, "", Op::Event);
        }
        let (events, gaps) = kept.read("a/*", &Start::OtherEpoch { topics: Vec::new() });
        assert_eq!(events.len(), 3);
        assert_eq!(gaps, [(1, 0, GapReason::Epoch), (1, 1, GapReason::Epoch)]);
    }
}
