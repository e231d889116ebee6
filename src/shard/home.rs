//! Where topics are put in order: each topic has one home shard, and this is that shard's part of the work.
//!
//! Invariants: a topic's offsets are dense from 1, but for one that was forgotten, and never given twice; stamps strictly ascend over all topics of the home, and the moment that was
//! handed out as the beginning of the present lies before every later event. Never fans out, never knows who is subscribed.

use std::sync::Arc;

use super::input::Began;
use super::settings::Settings;
use crate::clock::Now;
use crate::dialect::RefusalCode;
use crate::event::Draft;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::Homes;
use crate::event::Op;
use crate::event::ShardId;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::history::Held;
use crate::history::Memory;
use crate::history::Page;
use crate::history::Read;
use crate::history::Retention;
use crate::history::Start;
use crate::history::asks::Restored;
use crate::history::asks::Stretch;

/// What was ordered and is not kept yet, as far as the next event follows on it.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The topic's name, as its events share it, and its newest offset.
    pub(super) newest: Option<(TopicName, u64)>,
    /// The newest event of its key.
    pub(super) of_key: Option<Arc<Event>>,
    /// Topics that may be new.
    pub(super) topic_count: usize,
}

/// One shard's part in ordering.
#[derive(Debug)]
pub(super) struct Home {
    id: HomeId,
    homes: Homes,
    topics_max: usize,
    topic_bytes_max: usize,
    stamped_us: u64,
    /// The offset above which every topic begins of which nothing is known: somebody may have seen so much of it before the machine lost power.
    unknown_ceiling: u64,
    memory: Memory,
}

impl Home {
    /// A shard's for what memory alone keeps.
    pub(super) fn volatile(shard: ShardId, homes: &Homes, settings: &Settings) -> Self {
        Self::new(HomeId::volatile(shard), homes, settings, settings.retention_of_home())
    }

    /// A shard's for durable topics.
    pub(super) fn durable(shard: ShardId, homes: &Homes, settings: &Settings) -> Self {
        let id = HomeId::durable(shard, homes.shard_count());
        Self::new(id, homes, settings, settings.retention_of_durable())
    }

    fn new(id: HomeId, homes: &Homes, settings: &Settings, retention: Retention) -> Self {
        let (topics_max, topic_bytes_max) = settings.home_bounds();
        let memory = Memory::new(retention);
        Self {
            id,
            homes: homes.clone(),
            topics_max,
            topic_bytes_max,
            stamped_us: 0,
            unknown_ceiling: 0,
            memory,
        }
    }

    /// A moment that no event of this home has, later than all that have been given out.
    fn stamp(&mut self, now: Now) -> u64 {
        self.stamped_us = now.wall_us.max(self.stamped_us + 1);
        self.stamped_us
    }

    /// Gives a draft its place, and keeps it.
    pub(super) fn place(&mut self, draft: Draft, now: Now) -> Result<Arc<Event>, RefusalCode> {
        let event = Arc::new(self.order(draft, Ahead::default(), now)?);
        self.memory.append(&event);
        Ok(event)
    }

    /// Gives a draft its place.
    pub(super) fn order(
        &mut self,
        draft: Draft,
        ahead: Ahead,
        now: Now,
    ) -> Result<Event, RefusalCode> {
        debug_assert_eq!(self.homes.of(&draft.topic), self.id, "a draft goes to its topic's home");
        let (topic, newest, ceiling) = match (ahead.newest, self.memory.known(&draft.topic)) {
            (Some((name, newest)), _) => (name, newest, newest),
            (None, Some(known)) => known,
            (None, None) => {
                self.admit(&draft.topic, ahead.topic_count)?;
                let newest = self.memory.newest_offset(&draft.topic);
                let ceiling = self.memory.ceiling(&draft.topic).max(self.unknown_ceiling);
                (draft.topic, newest, ceiling)
            }
        };
        let time_us = self.stamp(now);
        let Draft { topic: _, key, op, payload, fields, ack: _, meta } = draft;
        let before = match (op, ahead.of_key) {
            (Op::Delete, Some(event)) if event.op != Op::Delete => Some(event),
            (Op::Delete, None) if !key.is_empty() => self.memory.last(&topic, &key),
            _ => None,
        };
        let (home, offset) = (self.id, ceiling + 1);
        Ok(Event {
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
            meta,
        })
    }

    /// Whether there may be one more topic, beside so many that memory does not know of yet.
    fn admit(&mut self, topic: &TopicName, others: usize) -> Result<(), RefusalCode> {
        if topic.as_str().len() > self.topic_bytes_max {
            return Err(RefusalCode::BadTopic);
        }
        match self.memory.make_room(self.topics_max.saturating_sub(others)) {
            true => Ok(()),
            false => Err(RefusalCode::TooManyTopics),
        }
    }

    /// Keeps an event that was ordered here.
    pub(super) fn keep(&mut self, event: &Arc<Event>) {
        self.memory.append(event);
    }

    /// Goes on from what a store holds.
    pub(super) fn restore(&mut self, restored: &Restored) {
        self.stamped_us = self.stamped_us.max(restored.stamped_us);
        self.unknown_ceiling = restored.ceiling;
        self.memory.restore(restored);
    }

    /// Reads a page of what memory holds; with the last one comes the moment at which the present begins. `settled_us`: everything stamped up to here has been spread.
    pub(super) fn read(&mut self, read: &Read, settled_us: u64, now: Now) -> (Page, Option<Began>) {
        let page = self.memory.read(read);
        // A snapshot is told of a moment that lies before it; live delivery begins with its first page.
        let begins = match read.start {
            Start::Snapshot { up_to_us, .. } => up_to_us == u64::MAX,
            _ => page.more_after_us.is_none(),
        };
        let began = begins.then(|| self.began(&read.topics, settled_us, now));
        (page, began)
    }

    /// The present begins before anything of the past is told.
    pub(super) fn begin(&mut self, read: &Read, settled_us: u64, now: Now) -> (Page, Began) {
        let page = Page { more_after_us: Some(read.after_us), ..Page::default() };
        (page, self.began(&read.topics, settled_us, now))
    }

    fn began(&mut self, topics: &[TopicPattern], settled_us: u64, now: Now) -> Began {
        // What was stamped and is not spread yet comes after it.
        let time_us = if settled_us == self.stamped_us { self.stamp(now) } else { settled_us };
        let here = topics.iter().filter_map(|pattern| match pattern {
            TopicPattern::Exact(name) if self.homes.of(name) == self.id => Some(name),
            _ => None,
        });
        let offsets = here.map(|name| (name.clone(), self.memory.newest_offset(name))).collect();
        Began { time_us, offsets }
    }

    /// The newest stamp given so far.
    pub(super) const fn stamped_us(&self) -> u64 {
        self.stamped_us
    }

    /// Lets go of what is too old; how many events and topics went.
    pub(super) fn expire(&mut self, now: Now) -> usize {
        self.memory.expire(now.wall_us)
    }

    pub(super) fn held(&self) -> Held {
        self.memory.held()
    }

    /// The moment up to which the store is to be asked for a page; `None`: memory has all of it.
    pub(super) fn lacks(&self, read: &Read) -> Option<u64> {
        self.memory.lacks(read)
    }

    /// A read as the store is to understand it.
    pub(super) fn read_of_store(&self, read: &Arc<Read>) -> Arc<Read> {
        self.memory.read_of_store(read)
    }

    /// Leaves of a page of last events those that still are; `false`: it is to be read again.
    pub(super) fn leave_last(&self, stretch: &mut Stretch) -> bool {
        self.memory.leave_last(stretch)
    }

    /// What the store has answered.
    pub(super) fn page_of(&self, stretch: Stretch, read: &Read, until_us: u64) -> Page {
        self.memory.page_of(stretch, read, until_us)
    }

    /// What is told instead of a page, if the store does not answer.
    pub(super) fn unavailable(&self, read: &Read, until_us: u64) -> Page {
        self.memory.unavailable(read, until_us)
    }

    /// Reads a page without beginning anything.
    pub(super) fn look(&self, read: &Read) -> Page {
        self.memory.read(read)
    }

    /// The newest offset of a topic; 0: nothing is known of it.
    pub(super) fn newest_offset(&self, topic: &TopicName) -> u64 {
        self.memory.newest_offset(topic)
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &TopicName> {
        self.memory.topics()
    }

    /// Also those of which memory holds nothing.
    pub(super) fn every_topic(&self) -> impl Iterator<Item = &TopicName> {
        self.memory.every_topic()
    }

    pub(super) fn topic_count(&self) -> usize {
        self.memory.topic_count()
    }
}
