//! Where topics are put in order: each topic has one home shard, and this is that shard's part of the work.
//!
//! Invariants: a topic's offsets are dense from 1, but for one that was forgotten, and never given twice; stamps strictly ascend over all topics of the home, and the moment that was
//! handed out as the beginning of the present lies before every later event. Never fans out, never knows who is subscribed.

use std::sync::Arc;

use super::input::Began;
use crate::clock::Now;
use crate::dialect::RefusalCode;
use crate::event::Draft;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::Homes;
use crate::event::Op;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::history::Answer;
use crate::history::Held;
use crate::history::Memory;
use crate::history::Page;
use crate::history::Read;
use crate::history::Retention;
use crate::history::Start;
use crate::history::Store;

/// One shard's part in ordering.
#[derive(Debug)]
pub(super) struct Home {
    id: HomeId,
    homes: Homes,
    topics_max: usize,
    topic_bytes_max: usize,
    stamped_us: u64,
    store: Memory,
}

impl Home {
    pub(super) fn new(
        id: HomeId,
        homes: Homes,
        (topics_max, topic_bytes_max): (usize, usize),
        retention: Retention,
    ) -> Self {
        let store = Memory::new(retention);
        Self { id, homes, topics_max, topic_bytes_max, stamped_us: 0, store }
    }

    /// A moment that no event of this home has, later than all that have been given out.
    fn stamp(&mut self, now: Now) -> u64 {
        self.stamped_us = now.wall_us.max(self.stamped_us + 1);
        self.stamped_us
    }

    /// Gives a draft its place, and keeps it.
    pub(super) fn place(&mut self, draft: Draft, now: Now) -> Result<Arc<Event>, RefusalCode> {
        debug_assert_eq!(self.homes.of(&draft.topic), self.id, "a draft goes to its topic's home");
        let (topic, newest) = match self.store.known(&draft.topic) {
            Some(known) => known,
            None if draft.topic.as_str().len() > self.topic_bytes_max => {
                return Err(RefusalCode::BadTopic);
            }
            None if !self.store.make_room(self.topics_max) => {
                return Err(RefusalCode::TooManyTopics);
            }
            None => {
                let newest = self.store.newest_offset(&draft.topic);
                (draft.topic, newest)
            }
        };
        let offset = newest + 1;
        let time_us = self.stamp(now);
        let Draft { topic: _, key, op, payload, fields } = draft;
        let before = match op {
            Op::Delete if !key.is_empty() => self.store.last(&topic, &key),
            _ => None,
        };
        let home = self.id;
        let event = Event {
            topic,
            key,
            op,
            home,
            offset,
            previous: newest,
            time_us,
            payload,
            fields,
            before,
        };
        let event = Arc::new(event);
        self.store.append(&event);
        Ok(event)
    }

    /// Reads a page; with the last one comes the moment at which the present begins.
    pub(super) fn read(
        &mut self,
        read: &Read,
        (after_us, page_bytes): (u64, usize),
        now: Now,
    ) -> Option<(Page, Option<Began>)> {
        let wish = Read { after_us, page_bytes, ..read.clone() };
        let Answer::Now(page) = self.store.read(&wish) else { return None };
        // A snapshot is told of a moment that lies before it; live delivery begins with its first page.
        let begins = match read.start {
            Start::Snapshot { up_to_us, .. } => up_to_us == u64::MAX,
            _ => page.more_after_us.is_none(),
        };
        let began = begins.then(|| self.began(&read.topics, now));
        Some((page, began))
    }

    fn began(&mut self, topics: &[TopicPattern], now: Now) -> Began {
        let time_us = self.stamp(now);
        let here = topics.iter().filter_map(|pattern| match pattern {
            TopicPattern::Exact(name) if self.homes.of(name) == self.id => Some(name),
            _ => None,
        });
        let offsets = here.map(|name| (name.clone(), self.store.newest_offset(name))).collect();
        Began { time_us, offsets }
    }

    /// The newest stamp given so far.
    pub(super) const fn stamped_us(&self) -> u64 {
        self.stamped_us
    }

    pub(super) fn expire(&mut self, now: Now) {
        self.store.expire(now.wall_us);
    }

    pub(super) fn held(&self) -> Held {
        self.store.held()
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.store.topics()
    }

    pub(super) fn topic_count(&self) -> usize {
        self.store.topic_count()
    }
}
