//! One page of the past of several topics, in the order of the stamps.
//!
//! Invariants: a page holds every event of the topics asked for between where it began and where it ends, or a gap that says which
//! it does not; it costs no more than `PAGE_WORK_MAX` steps, wherever it begins and however many topics there are, and the next page goes on
//! where it ended. Pure over the history that it is handed.

use std::sync::Arc;

use super::Memory;
use super::Page;
use super::Read;
use super::Start;
use super::merge::Merge;
use super::merge::Step;
use super::merge::Stream;
use super::topic::Evicted;
use super::topic::Gone;
use super::topic::Topic;
use super::topics::Selected;
use crate::event::Event;
use crate::event::Mark;
use crate::event::Op;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::limits::PAGE_EVENTS_MAX;
use crate::limits::PAGE_WORK_MAX;
use crate::position::Gap;
use crate::position::GapReason;

pub(super) fn read(memory: &Memory, read: &Read) -> Page {
    let mut writer = PageWriter { memory, read, page: Page::default(), bytes: 0 };
    match read.start {
        Start::Now => return writer.page,
        Start::Last { deleted_after_us } => {
            let deleted_after_us = deleted_after_us.map(|time_us| time_us.max(read.after_us));
            writer.write_last(deleted_after_us, u64::MAX);
        }
        Start::Snapshot { up_to_us } => writer.write_last(None, up_to_us),
        _ => writer.write_ring(),
    }
    writer.page.late_gaps.sort_unstable_by_key(|(time_us, _)| *time_us);
    writer.page
}

/// A page that is being written.
struct PageWriter<'a> {
    memory: &'a Memory,
    read: &'a Read,
    page: Page,
    bytes: usize,
}

impl<'a> PageWriter<'a> {
    fn wants(&self, topic: &TopicName) -> bool {
        self.read.topics.iter().any(|pattern| pattern.matches(topic))
    }

    /// Goes through steps up to a moment until the page is full; `take` decides what is told of each.
    fn go(&mut self, streams: Vec<Stream<'a>>, up_to_us: u64, take: impl Fn(&mut Self, Step<'a>)) {
        match streams[..] {
            // One topic, as nearly everyone has who comes back: its ring as it is.
            [Stream::Ring { topic, index }] => self.go_through(topic.steps(index), up_to_us, take),
            _ => self.go_through(Merge::of(streams), up_to_us, take),
        }
    }

    fn go_through(
        &mut self,
        steps: impl Iterator<Item = (u64, Step<'a>)>,
        up_to_us: u64,
        take: impl Fn(&mut Self, Step<'a>),
    ) {
        let mut reached_us = self.read.after_us;
        for (time_us, step) in steps.take_while(|(time_us, _)| *time_us <= up_to_us) {
            // Two streams may have something at one stamp, and the next page begins after it.
            if time_us > reached_us && self.is_full() {
                self.page.more_after_us = Some(reached_us);
                return;
            }
            reached_us = time_us;
            self.page.work += 1;
            take(self, step);
        }
    }

    fn is_full(&self) -> bool {
        self.page.events.len() >= PAGE_EVENTS_MAX
            || self.bytes >= self.read.page_bytes
            || self.page.work >= PAGE_WORK_MAX
    }

    #[inline]
    fn push(&mut self, event: &Arc<Event>) {
        self.bytes += event.weight_bytes();
        self.page.events.push(Arc::clone(event));
    }

    fn push_gap(&mut self, topic: &TopicName, from: u64, to: u64, reason: GapReason) {
        self.bytes += GAP_BYTES;
        let topic = TopicPattern::Exact(topic.clone());
        self.page.gaps.push(Gap { topic, from, to, reason });
    }

    // What history still holds of the events themselves.

    fn write_ring(&mut self) {
        let selected = self.memory.names().select(&self.read.topics);
        if self.read.after_us == 0 {
            self.first_gaps(selected.is_some());
        }
        if let Some(selected) = selected {
            let streams = self.of_few(&selected);
            // However much there is to say at first, the page takes a step.
            self.bytes = 0;
            return self.go(streams, u64::MAX, |writer, step| {
                if let Step::Event(topic, event, place) = step {
                    writer.take_event(topic, event, place);
                }
            });
        }
        self.bytes = 0;
        let begin_us = self.begin_us();
        let [quiet, forgotten] = self.memory.quiet_after(begin_us);
        let streams = vec![self.memory.order_after(begin_us), quiet, forgotten];
        self.go(streams, u64::MAX, |writer, step| match step {
            Step::Event(topic, event, place) => {
                if writer.wants(&topic.name)
                    && writer.begin(topic).is_some_and(|begin| begin <= place)
                {
                    writer.take_event(topic, event, place);
                }
            }
            Step::Quiet(topic) => writer.take_gap(&topic.name, topic.gone, topic.base),
            Step::Forgotten(left) => writer.take_gap(&left.name, left.gone, 0),
            Step::Last(..) | Step::Lastless(_) | Step::Nothing => {}
        });
    }

    /// Of a few topics each from where its part begins; what none of their events stands behind is said at once.
    fn of_few(&mut self, selected: &Selected<'a>) -> Vec<Stream<'a>> {
        let mut streams = Vec::with_capacity(selected.known.len());
        for topic in &selected.known {
            if topic.ring.is_empty() {
                self.take_gap(&topic.name, topic.gone, topic.base);
            } else if let Some(index) = self.begin(topic) {
                streams.push(Stream::Ring { topic, index });
            }
        }
        for left in &selected.forgotten {
            self.take_gap(&left.name, left.gone, 0);
        }
        streams
    }

    /// Where in its ring a topic's part begins.
    fn begin(&self, topic: &Topic) -> Option<usize> {
        let by_time = |time_us: u64| topic.index_after_time(time_us.max(self.read.after_us));
        match &self.read.start {
            Start::Now | Start::Last { .. } | Start::Snapshot { .. } => None,
            Start::Earliest | Start::OtherEpoch { .. } => Some(by_time(0)),
            Start::AfterTime { time_us, .. } => Some(by_time(*time_us)),
            // Only the first page counts from the end: what comes meanwhile is not to push out what was promised.
            Start::Tail { count, counted_us } => {
                let counted = match counted_us {
                    0 => topic.ring.len(),
                    time_us => topic.index_after_time(*time_us),
                };
                Some(counted.saturating_sub(*count as usize).max(by_time(0)))
            }
            Start::AfterOffsets { offsets, others_us } => match find(offsets, &topic.name) {
                Some(offset) if offset > topic.ceiling() => Some(by_time(0)),
                Some(offset) => Some(topic.index_after_offset(offset).max(by_time(0))),
                None => others_us.map(by_time),
            },
        }
    }

    /// The moment after which something may have to be told, of whatever topic.
    fn begin_us(&self) -> u64 {
        let begin_us = match &self.read.start {
            Start::AfterTime { time_us, .. } => *time_us,
            Start::AfterOffsets { offsets, others_us } if self.read.after_us == 0 => {
                let named = offsets.iter().filter_map(|(name, offset)| {
                    let topics = self.memory.names();
                    let topic = topics.find(topics.index_of(name)?)?;
                    let is_ahead = *offset > topic.ceiling();
                    let index = if is_ahead { 0 } else { topic.index_after_offset(*offset) };
                    Some(topic.ring.get(index)?.time_us - 1)
                });
                named.chain(*others_us).min().unwrap_or(u64::MAX)
            }
            _ => 0,
        };
        begin_us.max(self.read.after_us)
    }

    #[inline]
    fn take_event(&mut self, topic: &'a Topic, event: &Arc<Event>, place: usize) {
        if place == 0 {
            self.take_gap(&topic.name, topic.gone, topic.base);
        }
        match self.read.with_before.then(|| self.with_before(topic, event, place)).flatten() {
            Some(twin) => self.push(&twin),
            None => self.push(event),
        }
        // What a store holds of it was told before, and that said with it.
        let is_first = place == 0 && !(self.memory.is_backed() && topic.gone.evicted.offset > 0);
        if is_first
            && let Start::OtherEpoch { topics: named } = &self.read.start
            && !named.contains(&topic.name)
        {
            // Its client may have had a topic of this name in another epoch. Said with its first event, so that a page has no more gaps than events.
            self.push_gap(&topic.name, 1, topic.gone.evicted.offset, GapReason::Epoch);
        }
    }

    /// The twin of an event that is the first of its key since the reader's position, with the one before it: so the reader can be told that a
    /// key is gone from its sight.
    fn with_before(&self, topic: &Topic, event: &Event, place: usize) -> Option<Arc<Event>> {
        if event.key.is_empty() {
            return None;
        }
        let before = topic.before(place).filter(|before| self.read.start.is_before(before))?;
        Some(Arc::new(Event { before: Some(Arc::clone(before)), ..event.clone() }))
    }

    /// Says what lies between where the reader stands and what the topic still holds.
    fn take_gap(&mut self, name: &TopicName, gone: Gone, base: u64) {
        if !self.wants(name) {
            return;
        }
        let (evicted, after_us) = (gone.evicted, self.read.after_us);
        let mut had = 0;
        let is_lost = match &self.read.start {
            // Everything held was asked for: only what goes while the pages are read is missing.
            Start::Earliest | Start::OtherEpoch { .. } => {
                after_us > 0 && evicted.time_us > after_us
            }
            Start::AfterTime { time_us, mark } => {
                had = had_of(*mark, name);
                evicted.time_us > (*time_us).max(after_us)
            }
            Start::AfterOffsets { offsets, others_us } => match find(offsets, name) {
                // What is not known of a topic is what its moment stands for, as of topics that are not named.
                Some(_)
                    if base == evicted.offset
                        && others_us.is_some_and(|us| us >= evicted.time_us) =>
                {
                    false
                }
                Some(offset) => {
                    had = offset;
                    evicted.offset > had && evicted.time_us > after_us
                }
                None => evicted.time_us > others_us.unwrap_or(u64::MAX).max(after_us),
            },
            Start::Now | Start::Last { .. } | Start::Snapshot { .. } | Start::Tail { .. } => false,
        };
        if is_lost && evicted.offset > had {
            self.push_gap(name, had + 1, evicted.offset, GapReason::Evicted);
        }
    }

    /// What the first page says of topics that nothing else would lead to: those that were named, and those of which nothing is known any more.
    /// `are_few`: those of which something is known are found by their names.
    fn first_gaps(&mut self, are_few: bool) {
        let topics = self.memory.names();
        let floor = topics.floor();
        match &self.read.start {
            Start::OtherEpoch { topics: named } => {
                for name in named {
                    let topic = topics.index_of(name).and_then(|index| topics.find(index));
                    let gone = topic.map_or_else(|| topics.left_by(name), |topic| Some(topic.gone));
                    let to = gone.map_or(0, |gone| gone.evicted.offset);
                    self.push_gap(name, 1, to, GapReason::Epoch);
                }
            }
            Start::AfterTime { time_us, .. } if *time_us < floor.time_us => self.forgotten_gaps(),
            Start::AfterOffsets { offsets, others_us } => {
                for (name, offset) in offsets.iter() {
                    let topic = topics.index_of(name).and_then(|index| topics.find(index));
                    let left = topics.left_by(name);
                    if *offset > topics.ceiling(name) {
                        // The reader says that it has had more of the topic than there was: its position is of another numbering.
                        if self.wants(name) {
                            let gone = topic.map_or(left, |topic| Some(topic.gone));
                            let to = gone.map_or(0, |gone| gone.evicted.offset);
                            self.push_gap(name, 1, to, GapReason::Epoch);
                        }
                        continue;
                    }
                    match (topic, left) {
                        (Some(_), _) | (None, Some(_)) if are_few => {}
                        (Some(topic), _) if topic.ring.is_empty() => {
                            self.take_gap(name, topic.gone, topic.base);
                        }
                        (Some(_), _) => {}
                        (None, Some(gone)) => self.take_gap(name, gone, 0),
                        (None, None) => {
                            let gone = Gone { evicted: floor, ..Gone::default() };
                            self.take_gap(name, gone, floor.offset);
                        }
                    }
                }
                if others_us.is_some_and(|time_us| time_us < floor.time_us) {
                    self.forgotten_gaps();
                }
            }
            _ => {}
        }
    }

    /// Of topics of which nothing is known any more, some may have had events after where the reader stands. They have no names: what was asked
    /// for stands for them.
    fn forgotten_gaps(&mut self) {
        for pattern in &self.read.topics {
            let (topic, reason) = (pattern.clone(), GapReason::Evicted);
            match pattern {
                TopicPattern::Wild(_) => self.page.gaps.push(Gap { topic, from: 1, to: 0, reason }),
                TopicPattern::Exact(name) => {
                    let topics = self.memory.names();
                    if topics.index_of(name).is_none()
                        && topics.left_by(name).is_none()
                        && !matches!(&self.read.start, Start::AfterOffsets { offsets, .. } if find(offsets, name).is_some())
                    {
                        let had = match &self.read.start {
                            Start::AfterTime { mark, .. } => had_of(*mark, name),
                            _ => 0,
                        };
                        let to = topics.floor().offset;
                        self.push_gap(name, had.min(to) + 1, to, GapReason::Evicted);
                    }
                }
            }
        }
    }

    // The last events of keys.

    /// Deletes after `deleted_after_us` are told, too, and so is what cannot be told any more. `None` and a moment: neither is.
    fn write_last(&mut self, deleted_after_us: Option<u64>, up_to_us: u64) {
        let streams = match self.memory.names().select(&self.read.topics) {
            Some(selected) => self.last_of_few(&selected, deleted_after_us),
            None => self.last_of_many(deleted_after_us),
        };
        self.bytes = 0;
        self.go(streams, up_to_us, |writer, step| writer.take_last(step, deleted_after_us));
        if matches!(self.read.start, Start::Snapshot { .. }) {
            self.page.gaps.clear();
            self.page.late_gaps.clear();
        }
        // Those that stand behind this page are told with the next one.
        let end_us = self.page.more_after_us.unwrap_or(u64::MAX);
        self.page.late_gaps.retain(|(time_us, _)| *time_us <= end_us);
    }

    fn last_of_few(
        &mut self,
        selected: &Selected<'a>,
        deleted_after_us: Option<u64>,
    ) -> Vec<Stream<'a>> {
        let mut streams = Vec::with_capacity(2 * selected.known.len());
        for topic in &selected.known {
            let events = topic.last.range(self.read.after_us + 1..);
            streams.push(Stream::LastOf { topic, events });
            if let Some(deleted_after_us) = deleted_after_us {
                let index = topic.index_after_time(deleted_after_us);
                streams.push(Stream::Ring { topic, index });
                self.lost_deletes(&topic.name, topic.gone, deleted_after_us);
            }
            if topic.last.is_empty() {
                self.lost_keys(&topic.name, topic.gone, deleted_after_us);
            }
        }
        for left in &selected.forgotten {
            self.lost_keys(&left.name, left.gone, deleted_after_us);
            self.lost_deletes(&left.name, left.gone, deleted_after_us.unwrap_or(u64::MAX));
        }
        streams
    }

    fn last_of_many(&self, deleted_after_us: Option<u64>) -> Vec<Stream<'a>> {
        let (memory, after_us) = (self.memory, self.read.after_us);
        let [_, forgotten] = memory.quiet_after(after_us);
        let mut streams =
            vec![memory.last_order_after(after_us), memory.lastless_after(after_us), forgotten];
        if let Some(deleted_after_us) = deleted_after_us {
            let [quiet, _] = memory.quiet_after(deleted_after_us);
            streams.extend([memory.order_after(deleted_after_us), quiet]);
        }
        streams
    }

    fn take_last(&mut self, step: Step<'a>, deleted_after_us: Option<u64>) {
        let (name, gone) = match step {
            Step::Event(topic, ..) | Step::Last(topic, ..) => (&topic.name, topic.gone),
            Step::Quiet(topic) | Step::Lastless(topic) => (&topic.name, topic.gone),
            Step::Forgotten(left) => (&left.name, left.gone),
            Step::Nothing => return,
        };
        if !self.wants(name) {
            return;
        }
        let deletes_after_us = deleted_after_us.unwrap_or(u64::MAX);
        match step {
            Step::Last(_, event, is_first) => {
                if is_first {
                    self.lost_keys(name, gone, deleted_after_us);
                }
                self.push(event);
            }
            Step::Event(_, event, place) => {
                if place == 0 {
                    self.lost_deletes(name, gone, deletes_after_us);
                }
                if event.op == Op::Delete {
                    self.push(event);
                }
            }
            Step::Quiet(_) => self.lost_deletes(name, gone, deletes_after_us),
            Step::Lastless(_) => self.lost_keys(name, gone, deleted_after_us),
            Step::Forgotten(_) => {
                self.lost_keys(name, gone, deleted_after_us);
                self.lost_deletes(name, gone, deletes_after_us);
            }
            Step::Nothing => {}
        }
    }

    /// Keys that had to go cannot be told any more: before everything if nothing was told yet, else where the newest of them would have stood.
    fn lost_keys(&mut self, name: &TopicName, gone: Gone, deleted_after_us: Option<u64>) {
        let lost = gone.last_evicted;
        if lost.offset == 0 || lost.time_us <= self.read.after_us {
            return;
        }
        match deleted_after_us {
            None => self.push_gap(name, 1, lost.offset, GapReason::Evicted),
            Some(_) => self.push_late(name, lost),
        }
    }

    /// Deletes that had to go, of keys that may have been told.
    fn lost_deletes(&mut self, name: &TopicName, gone: Gone, deleted_after_us: u64) {
        if gone.delete_evicted.time_us > deleted_after_us {
            self.push_late(name, gone.delete_evicted);
        }
    }

    fn push_late(&mut self, name: &TopicName, lost: Evicted) {
        let topic = TopicPattern::Exact(name.clone());
        let gap = Gap { topic, from: 1, to: lost.offset, reason: GapReason::Evicted };
        self.page.late_gaps.push((lost.time_us, gap));
    }
}

/// Bytes of a gap, about, with its topic's name.
const GAP_BYTES: usize = 128;

/// What a reader says that it has had of a topic, besides the moment; 0: it does not say.
pub(super) fn had_of(mark: Option<Mark>, name: &TopicName) -> u64 {
    mark.and_then(|mark| mark.offset_of(name)).unwrap_or(0)
}

/// The offset that a position names for a topic.
pub(super) fn find(offsets: &[(TopicName, u64)], name: &TopicName) -> Option<u64> {
    let place = offsets.binary_search_by(|(known, _)| known.cmp(name)).ok()?;
    Some(offsets[place].1)
}
