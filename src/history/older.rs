//! Where memory ends and the store begins: what memory lacks of what is asked for, and what the store's answer means to the reader.
//!
//! Why there is no seam: memory lets go of events, and of last events of keys, in the order of their stamps. So there is a moment up to which the store
//! tells everything and after which memory does. Invariant: what is told is what memory would tell if it had let go of nothing, or a gap says which events are not. Never asks
//! anybody; who does is the home.

use std::collections::HashSet;
use std::sync::Arc;

use super::Memory;
use super::Page;
use super::Read;
use super::Start;
use super::asks::Lost;
use super::asks::Restored;
use super::asks::Stretch;
use super::asks::Why;
use super::page::find;
use super::page::had_of;
use super::topic::Evicted;
use super::topic::Gone;
use super::topic::Topic;
use crate::event::Event;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::position::Gap;
use crate::position::GapReason;

/// What is known of a topic that a read is about.
struct TopicAsked<'a> {
    /// `None`: all of them together.
    name: Option<&'a TopicName>,
    gone: Gone,
    ceiling: u64,
    /// The topic itself, if it has events in memory.
    topic: Option<&'a Topic>,
}

/// What is missing of one topic: above which offset, and up to which event.
struct Missing<'a> {
    name: Option<&'a TopicName>,
    had: u64,
    upto: Evicted,
}

impl Memory {
    /// The moment up to which the store is to be asked for what a page is to tell; `None`: memory has all of it.
    #[must_use]
    pub fn lacks(&self, read: &Read) -> Option<u64> {
        let upto_us = match self.known_of(&read.topics) {
            Some(known) => {
                known.iter().filter_map(|known| Some(missing(known, read)?.upto.time_us)).max()
            }
            None => self.lacks_of_many(read),
        };
        upto_us.map(|upto_us| match read.start {
            Start::Snapshot { up_to_us } => upto_us.min(up_to_us),
            _ => upto_us,
        })
    }

    /// Of many topics: as if all of them were wanted.
    fn lacks_of_many(&self, read: &Read) -> Option<u64> {
        let all = TopicAsked { name: None, gone: self.gone(), ceiling: u64::MAX, topic: None };
        let unnamed = missing(&all, read).map(|missing| missing.upto.time_us);
        let Start::AfterOffsets { offsets, .. } = &read.start else { return unnamed };
        let named = offsets.iter().filter_map(|(name, _)| {
            let known = self.known_as(name)?;
            Some(missing(&known, read)?.upto.time_us)
        });
        named.chain(unnamed).max()
    }

    fn known_as<'a>(&'a self, name: &'a TopicName) -> Option<TopicAsked<'a>> {
        let names = self.names();
        let ceiling = names.ceiling(name);
        match names.index_of(name).and_then(|index| names.find(index)) {
            Some(topic) => {
                Some(TopicAsked { name: Some(name), gone: topic.gone, ceiling, topic: Some(topic) })
            }
            None => Some(TopicAsked {
                name: Some(name),
                gone: names.left_by(name)?,
                ceiling,
                topic: None,
            }),
        }
    }

    /// The topics that a read is about; `None`: they are too many to look at.
    fn known_of(&self, patterns: &[TopicPattern]) -> Option<Vec<TopicAsked<'_>>> {
        let selected = self.names().select(patterns)?;
        let known = selected.known.into_iter().map(|topic| TopicAsked {
            name: Some(&topic.name),
            gone: topic.gone,
            ceiling: topic.ceiling(),
            topic: Some(topic),
        });
        let forgotten = selected.forgotten.into_iter().map(|left| TopicAsked {
            name: Some(&left.name),
            gone: left.gone,
            ceiling: left.gone.evicted.offset + left.gone.ahead,
            topic: None,
        });
        Some(known.chain(forgotten).collect())
    }

    /// A read as the store is to understand it: positions that are none here are none, so of those topics everything is told.
    #[must_use]
    pub fn read_of_store(&self, read: &Arc<Read>) -> Arc<Read> {
        let Start::AfterOffsets { offsets, others_us } = &read.start else {
            return Arc::clone(read);
        };
        let is_ahead = |named: &&(TopicName, u64)| named.1 > self.ceiling(&named.0);
        if !offsets.iter().any(|named| is_ahead(&named)) {
            return Arc::clone(read);
        }
        let here = |named: &(TopicName, u64)| {
            (named.0.clone(), if is_ahead(&named) { 0 } else { named.1 })
        };
        let offsets = offsets.iter().map(here).collect();
        let start = Start::AfterOffsets { offsets, others_us: *others_us };
        Arc::new(Read { start, ..Read::clone(read) })
    }

    /// What the store has answered, as a page that goes on where the store was asked to end.
    #[must_use]
    pub fn page_of(&self, stretch: Stretch, read: &Read, until_us: u64) -> Page {
        let more_after_us = stretch.more_after_us.unwrap_or(until_us).min(until_us);
        let mut page = Page {
            more_after_us: Some(more_after_us),
            work: stretch.events.len() + stretch.lost.len(),
            ..Page::default()
        };
        if read.after_us == 0 {
            self.other_numberings(&stretch, read, &mut page);
        }
        if let Start::OtherEpoch { topics: named } = &read.start {
            begun_anew(&stretch, named, &mut page);
        }
        for lost in &stretch.lost {
            if let Some(gap) = gap_of(lost, read) {
                page.late_gaps.push((lost.last_us, gap));
            }
        }
        page.late_gaps.sort_by_key(|(time_us, _)| *time_us);
        page.events = stretch.events;
        page
    }

    /// Of topics whose position is none here, and of those of another epoch that were named, that is said first.
    fn other_numberings(&self, stretch: &Stretch, read: &Read, page: &mut Page) {
        let named: Vec<&TopicName> = match &read.start {
            Start::OtherEpoch { topics } => topics.iter().collect(),
            Start::AfterOffsets { offsets, .. } => {
                let is_asked = |name: &TopicName| read.topics.iter().any(|of| of.matches(name));
                let ahead = offsets
                    .iter()
                    .filter(|(name, offset)| *offset > self.ceiling(name) && is_asked(name));
                ahead.map(|(name, _)| name).collect()
            }
            _ => return,
        };
        for name in named {
            let gone = stretch.lost.iter().find(|lost| lost.topic == *name && is_floor(lost));
            let to = gone.map_or(0, |lost| lost.last);
            page.gaps.push(gap(name, 1, to, GapReason::Epoch));
        }
    }

    /// What a reader is told instead of what the store was asked for, if that does not come: that all is missing that memory lacks by now, which may be more
    /// than when it was asked for.
    #[must_use]
    pub fn unavailable(&self, read: &Read, asked_until_us: u64) -> Page {
        let until_us = self.lacks(read).unwrap_or(asked_until_us);
        let mut page = Page { more_after_us: Some(until_us), ..Page::default() };
        match self.known_of(&read.topics) {
            Some(known) => {
                let missing = known.iter().filter_map(|known| missing(known, read));
                let gaps = missing.filter_map(|Missing { name, had, upto }| {
                    let from = had.min(upto.offset) + 1;
                    Some(gap(name?, from, upto.offset, GapReason::Unavailable))
                });
                page.gaps.extend(gaps);
            }
            None => {
                let all = read.topics.iter().cloned();
                let reason = GapReason::Unavailable;
                page.gaps.extend(all.map(|topic| Gap { topic, from: 1, to: 0, reason }));
            }
        }
        page
    }

    /// Leaves of a page of last events only those that still were when the page came: what was stored since is looked at here. `false`: that is no longer
    /// held, and the page is to be asked for again.
    #[must_use]
    pub fn leave_last(&self, stretch: &mut Stretch) -> bool {
        if stretch.as_of_us < self.gone().evicted.time_us {
            return false;
        }
        let changed: HashSet<(&TopicName, &str), foldhash::fast::RandomState> =
            self.events_after(stretch.as_of_us).map(|event| (&event.topic, &*event.key)).collect();
        if !changed.is_empty() {
            stretch.events.retain(|event| !changed.contains(&(&event.topic, &*event.key)));
        }
        true
    }

    /// Goes on from what a store holds; from now on nothing is forgotten that only memory would know.
    pub fn restore(&mut self, restored: &Restored) {
        self.back();
        for topic in &restored.topics {
            let newest = Evicted { offset: topic.newest, time_us: topic.newest_us };
            let last_us = topic.newest_us.min(restored.last_after_us);
            let last_evicted = match last_us {
                0 => Evicted::default(),
                time_us => Evicted { offset: topic.newest, time_us },
            };
            let gone = Gone {
                evicted: newest,
                last_evicted,
                delete_evicted: newest,
                ahead: topic.ceiling - topic.newest,
            };
            self.restore_topic(topic.topic.clone(), gone);
        }
        for event in &restored.last {
            self.restore_last(event);
        }
    }
}

/// What memory lacks of a topic of what is asked for.
fn missing<'a>(known: &TopicAsked<'a>, read: &Read) -> Option<Missing<'a>> {
    let TopicAsked { name, gone, .. } = *known;
    let after_us = read.after_us;
    let (mut had, mut upto) = (0, gone.evicted);
    let begins_us = match &read.start {
        Start::Now => return None,
        Start::Earliest | Start::OtherEpoch { .. } => 0,
        Start::AfterTime { time_us, mark } => {
            had = name.map_or(0, |name| had_of(*mark, name));
            *time_us
        }
        Start::AfterOffsets { offsets, others_us } => {
            match name.and_then(|name| find(offsets, name)) {
                Some(offset) if offset > known.ceiling => 0,
                Some(offset) => {
                    had = offset;
                    if offset >= upto.offset {
                        return None;
                    }
                    0
                }
                None => (*others_us)?,
            }
        }
        Start::Tail { count, counted_us } => {
            let counted = known.topic.map_or(0, |topic| match counted_us {
                0 => topic.ring.len(),
                time_us => topic.index_after_time(*time_us),
            });
            if counted >= *count as usize {
                return None;
            }
            0
        }
        Start::Last { deleted_after_us } => {
            upto = gone.last_evicted;
            let deletes_after_us = deleted_after_us.map_or(u64::MAX, |us| us.max(after_us));
            if gone.delete_evicted.time_us > deletes_after_us.max(upto.time_us) {
                upto = gone.delete_evicted;
            }
            0
        }
        Start::Snapshot { up_to_us } => {
            upto = gone.last_evicted;
            if after_us >= *up_to_us {
                return None;
            }
            0
        }
    };
    (upto.time_us > begins_us.max(after_us)).then_some(Missing { name, had, upto })
}

/// Whether it is all that came before the oldest event that is there.
const fn is_floor(lost: &Lost) -> bool {
    lost.previous == 0
}

fn gap(name: &TopicName, from: u64, to: u64, reason: GapReason) -> Gap {
    Gap { topic: TopicPattern::Exact(name.clone()), from, to, reason }
}

/// A client of another epoch may have had topics that it did not name: of each that is said with its first event.
fn begun_anew(stretch: &Stretch, named: &[TopicName], page: &mut Page) {
    let is_new = |name: &TopicName| !named.contains(name);
    for lost in stretch.lost.iter().filter(|lost| is_floor(lost) && is_new(&lost.topic)) {
        page.gaps.push(gap(&lost.topic, 1, lost.last, GapReason::Epoch));
    }
    let is_first = |event: &&Arc<Event>| event.previous == 0 && is_new(&event.topic);
    for event in stretch.events.iter().filter(is_first) {
        page.gaps.push(gap(&event.topic, 1, 0, GapReason::Epoch));
    }
}

/// What a reader is told of events that are lost; `None`: it did not ask for them.
fn gap_of(lost: &Lost, read: &Read) -> Option<Gap> {
    let reason = match lost.why {
        Why::Retention => GapReason::Evicted,
        Why::Corrupt => GapReason::Corrupt,
    };
    let (mut had, mut begins_us) = (0, read.after_us);
    match &read.start {
        Start::Now | Start::Snapshot { .. } => return None,
        // Whatever is kept was asked for: only what goes while the pages are read is missing, and what cannot be read.
        Start::Earliest | Start::OtherEpoch { .. } => {
            if read.after_us == 0 && lost.why == Why::Retention {
                return None;
            }
        }
        Start::AfterTime { time_us, mark } => {
            had = had_of(*mark, &lost.topic);
            begins_us = begins_us.max(*time_us);
        }
        Start::AfterOffsets { offsets, others_us } => match find(offsets, &lost.topic) {
            Some(offset) => had = offset,
            None => begins_us = begins_us.max((*others_us)?),
        },
        Start::Last { .. } | Start::Tail { .. } => {}
    }
    let from = had.max(lost.previous) + 1;
    (lost.last_us > begins_us && from <= lost.last)
        .then(|| gap(&lost.topic, from, lost.last, reason))
}
