//! The topics of a home, by name: those that have something, and where those that were forgotten go on.
//!
//! Invariants: an offset that was given is never given again while the process lives. A topic that is forgotten leaves its newest offset
//! behind; when those become too many, the one whose newest event is the oldest leaves only a floor, above which every topic begins of which
//! nothing is known. Never holds an event of a forgotten topic.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::btree_map::Range;
use std::ops::Bound;

use super::topic::Evicted;
use super::topic::Gone;
use super::topic::NAMES_BYTES;
use super::topic::Topic;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::limits::SELECT_NAMES_MAX;

/// Where a name stands.
#[derive(Clone, Copy, Debug)]
enum Slot {
    Known(u32),
    /// By the stamp of its newest event, and a number, since another home may have given an equal one.
    Forgotten((u64, u64)),
}

/// What is left of a forgotten topic.
#[derive(Debug)]
pub(super) struct Forgotten {
    pub(super) name: TopicName,
    pub(super) gone: Gone,
}

/// Bytes of a forgotten topic without the text of its name.
const FORGOTTEN_BYTES: usize = 2 * size_of::<Forgotten>() + NAMES_BYTES;

impl Forgotten {
    fn weight_bytes(&self) -> usize {
        FORGOTTEN_BYTES + self.name.as_str().len()
    }
}

/// Topics that a read is about, if they are few.
#[derive(Debug, Default)]
pub(super) struct Selected<'a> {
    pub(super) known: Vec<&'a Topic>,
    pub(super) forgotten: Vec<&'a Forgotten>,
}

/// All topics.
#[derive(Debug, Default)]
pub(super) struct Topics {
    // A topic is large and its place is small: the list may grow and be moved without much of it lying idle.
    slots: Vec<Option<Box<Topic>>>,
    free: Vec<u32>,
    by_name: HashMap<TopicName, u32, foldhash::fast::RandomState>,
    /// Every name that is known or forgotten, in order.
    names: BTreeMap<TopicName, Slot>,
    /// By the stamp of their newest event.
    forgotten: BTreeMap<(u64, u64), Forgotten>,
    /// How many were forgotten ever.
    forgotten_count: u64,
    forgotten_bytes: usize,
    /// The greatest offset and the newest stamp of topics of which nothing is left.
    floor: Evicted,
}

impl Topics {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.slots.iter().flatten().map(|topic| &**topic)
    }

    #[inline]
    pub(super) fn index_of(&self, name: &TopicName) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    #[inline]
    pub(super) fn find(&self, index: u32) -> Option<&Topic> {
        self.slots.get(index as usize)?.as_deref()
    }

    #[inline]
    pub(super) fn at(&mut self, index: u32) -> &mut Topic {
        self.slots[index as usize].as_deref_mut().expect("its place is known, so it is there")
    }

    /// What is known of a topic that is not there: what it left, or else the floor.
    pub(super) fn left_by(&self, name: &TopicName) -> Option<Gone> {
        match self.names.get(name)? {
            Slot::Forgotten(place) => self.forgotten.get(place).map(|left| left.gone),
            Slot::Known(_) => None,
        }
    }

    pub(super) const fn floor(&self) -> Evicted {
        self.floor
    }

    /// The newest offset that a topic's next event comes after.
    pub(super) fn newest_offset(&self, name: &TopicName) -> u64 {
        match self.index_of(name).and_then(|index| self.find(index)) {
            Some(topic) => topic.newest_offset(),
            None => self.left_by(name).map_or(self.floor.offset, |gone| gone.evicted.offset),
        }
    }

    /// The greatest offset that may have been given to an event of a topic.
    pub(super) fn ceiling(&self, name: &TopicName) -> u64 {
        match self.index_of(name).and_then(|index| self.find(index)) {
            Some(topic) => topic.ceiling(),
            None => self
                .left_by(name)
                .map_or(self.floor.offset, |gone| gone.evicted.offset + gone.ahead),
        }
    }

    /// Every name that is known or forgotten, in order.
    pub(super) fn every_name(&self) -> impl Iterator<Item = &TopicName> {
        self.names.keys()
    }

    /// Makes a topic that is not there.
    pub(super) fn insert(&mut self, name: &TopicName) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("topics are bounded far below")
        });
        let left = match self.names.insert(name.clone(), Slot::Known(index)) {
            Some(Slot::Forgotten(place)) => self.forgotten.remove(&place),
            _ => None,
        };
        let topic = match left {
            Some(left) => {
                self.forgotten_bytes -= left.weight_bytes();
                Topic::new(name.clone(), left.gone, 0)
            }
            None => {
                let gone = Gone { evicted: self.floor, ..Gone::default() };
                Topic::new(name.clone(), gone, self.floor.offset)
            }
        };
        self.slots[index as usize] = Some(Box::new(topic));
        self.by_name.insert(name.clone(), index);
        index
    }

    /// Forgets a topic that has nothing.
    pub(super) fn forget(&mut self, index: u32) {
        let Some(topic) = self.slots.get_mut(index as usize).and_then(Option::take) else { return };
        debug_assert!(topic.ring.is_empty() && topic.last.is_empty(), "it has nothing");
        self.by_name.remove(&topic.name);
        self.free.push(index);
        self.leave(topic.name.clone(), topic.gone);
    }

    /// Remembers where a topic goes on of which nothing is held.
    pub(super) fn leave(&mut self, name: TopicName, gone: Gone) {
        let place = (gone.evicted.time_us, self.forgotten_count);
        self.forgotten_count += 1;
        self.names.insert(name.clone(), Slot::Forgotten(place));
        let left = Forgotten { name, gone };
        self.forgotten_bytes += left.weight_bytes();
        self.forgotten.insert(place, left);
    }

    pub(super) const fn forgotten_bytes(&self) -> usize {
        self.forgotten_bytes
    }

    /// Lets go of the forgotten topic whose newest event is the oldest; false if there is none.
    pub(super) fn raise_floor(&mut self) -> bool {
        let Some(((time_us, _), left)) = self.forgotten.pop_first() else { return false };
        self.forgotten_bytes -= left.weight_bytes();
        self.names.remove(&left.name);
        self.floor.offset = self.floor.offset.max(left.gone.evicted.offset);
        self.floor.time_us = self.floor.time_us.max(time_us);
        true
    }

    /// Forgotten topics whose newest event was stamped after a moment, in the order of the stamps.
    pub(super) fn forgotten_after(&self, time_us: u64) -> Range<'_, (u64, u64), Forgotten> {
        self.forgotten.range((Bound::Excluded((time_us, u64::MAX)), Bound::Unbounded))
    }

    /// The topics that a read is about. `None`: to find them all would mean to look at too many names.
    pub(super) fn select(&self, patterns: &[TopicPattern]) -> Option<Selected<'_>> {
        let mut selected = Selected::default();
        let mut looked_at = 0;
        for (place, pattern) in patterns.iter().enumerate() {
            let before = &patterns[..place];
            let prefix = literal_prefix(pattern);
            let names = self.names.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
            for (name, slot) in names.take_while(|(name, _)| name.as_str().starts_with(prefix)) {
                looked_at += 1;
                if looked_at > SELECT_NAMES_MAX {
                    return None;
                }
                // Of two patterns that a topic matches the first one takes it.
                if pattern.matches(name) && !before.iter().any(|other| other.matches(name)) {
                    match slot {
                        Slot::Known(index) => selected.known.extend(self.find(*index)),
                        Slot::Forgotten(place) => {
                            selected.forgotten.extend(self.forgotten.get(place));
                        }
                    }
                }
                if matches!(pattern, TopicPattern::Exact(_)) {
                    break;
                }
            }
        }
        Some(selected)
    }
}

/// What every name that a pattern matches begins with.
fn literal_prefix(pattern: &TopicPattern) -> &str {
    let text = pattern.as_str();
    match pattern {
        TopicPattern::Exact(_) => text,
        TopicPattern::Wild(_) => text.split('*').next().unwrap_or_default(),
    }
}
