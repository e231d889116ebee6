//! Where in a class something lies, and what is lost of it: what those who read ask before they go through blocks.
//!
//! Invariant: answers follow from the segments' parts alone, which memory holds; only `examine` reads. Never changes an event.

use super::class::Log;
use super::class::settle;
use super::disk::Disk;
use super::disk::DiskError;
use super::keys::Keys;
use super::lost::LostParts;
use super::recover::Known;
use super::recover::Recovered;
use super::recover::Recovery;
use super::segment::Segment;
use crate::event::TopicName;

impl<F: std::fmt::Debug> Log<F> {
    /// All segments, oldest first.
    pub(super) fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.sealed.iter().chain([&self.active.segment])
    }

    /// A segment that is there.
    pub(super) fn segment(&self, number: u64) -> Option<&Segment> {
        if number == self.active.segment.number {
            return Some(&self.active.segment);
        }
        let place = self.sealed.binary_search_by_key(&number, |segment| segment.number).ok()?;
        Some(&self.sealed[place])
    }

    fn segment_mut(&mut self, number: u64) -> Option<&mut Segment> {
        if number == self.active.segment.number {
            return Some(&mut self.active.segment);
        }
        self.sealed.iter_mut().find(|segment| segment.number == number)
    }

    /// The first segment that holds something above these offsets, or stamped after a moment.
    pub(super) fn first_above(&self, offsets: &[(TopicName, u64)], others_us: Option<u64>) -> u64 {
        let is_above = |segment: &&Segment| {
            others_us.is_some_and(|time_us| segment.last_us > time_us)
                || offsets.iter().any(|(topic, offset)| {
                    segment.parts.get(topic).is_some_and(|part| part.last > *offset)
                })
        };
        self.segments().find(is_above).map_or(u64::MAX, |segment| segment.number)
    }

    /// After which offset the last so many events of a topic begin, of those up to `newest`. Where a start has left offsets out that is in front of
    /// what a segment holds.
    pub(super) fn tail_of(&self, topic: &TopicName, count: u64, newest: u64) -> u64 {
        let mut left = count;
        for part in self.segments().rev().filter_map(|segment| segment.parts.get(topic)) {
            if part.previous >= newest {
                continue;
            }
            let last = part.last.min(newest);
            let held = part.count.saturating_sub(part.last - last);
            if held >= left {
                return last - left;
            }
            left -= held;
        }
        0
    }

    /// The newest offset of a topic in segments that hold nothing stamped after a moment; 0: none.
    pub(super) fn newest_at(&self, topic: &TopicName, time_us: u64) -> u64 {
        let floor = self.carried.floor_of(topic).map_or(0, |(offset, _)| offset);
        let parts = self.segments().rev().filter_map(|segment| segment.parts.get(topic));
        let part = parts.into_iter().find(|part| part.last_us <= time_us);
        part.map_or(floor, |part| part.last)
    }

    /// Topics of which offsets were given, what is known of each, and the greatest offset that anybody may have seen.
    pub fn known_topics(&self) -> impl Iterator<Item = (&TopicName, &Known, u64)> {
        self.topics.iter().map(|(topic, known)| (topic, known, self.newest_of(topic).1))
    }

    /// Whether it is known that something cannot be read there, and what of it is lost.
    #[must_use]
    pub fn knows_rotten(&self, number: u64, at: u64) -> bool {
        self.segment(number).is_none_or(|segment| {
            segment
                .rotten
                .iter()
                .any(|rotten| rotten.from <= at && at < rotten.to.max(rotten.from + 1))
        })
    }

    /// Goes through a segment in which something has turned out to be rotten, and notes what of it is lost. Answers how many events.
    ///
    /// # Errors
    /// What the disk says.
    pub fn examine<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        number: u64,
    ) -> Result<u64, DiskError> {
        let mut found = Recovered::default();
        for floor in &self.carried.floors() {
            found.note(floor, self.carried.upto);
        }
        for segment in self.segments().take_while(|segment| segment.number < number) {
            let lost = segment.rotten.iter().flat_map(|rotten| &rotten.lost);
            segment.parts.values().chain(lost).for_each(|part| found.note(part, segment.number));
        }
        let folder = self.folder.clone();
        let mut recovery =
            Recovery { disk, folder: &folder, salt: self.salt, by_index: false, keys_bytes_max: 0 };
        recovery.segment(&mut found, number, None)?;
        let before = self.lost_events();
        for later in self.segments().filter(|segment| segment.number > number) {
            found.take_indexed(later);
        }
        for examined in found.segments {
            if let Some(segment) = self.segment_mut(examined.number) {
                segment.rotten = examined.rotten;
            }
        }
        self.lost = LostParts::of(self.segments());
        let is_closed = number != self.active.segment.number;
        if is_closed && let Some(segment) = self.segment(number).cloned() {
            let keys = Keys::default();
            settle(disk, &folder, self.salt, (&segment, &keys))?;
        }
        Ok(self.lost_events().saturating_sub(before))
    }

    /// Events that cannot be read any more, as far as that is known.
    #[must_use]
    pub fn lost_events(&self) -> u64 {
        self.lost.all().map(|part| part.last - part.previous).sum()
    }
}
