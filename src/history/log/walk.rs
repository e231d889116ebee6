//! The events of a class in the order of their stamps, whichever homes wrote them, from a moment on.
//!
//! Why it is lazy and still in order: a block is opened only once something stamped before everything that is open may lie in it or behind it, which
//! the entries of directories and the segments' first stamps say. Invariants: nothing is handed out twice or out of order; what cannot be read is passed over and said to be rotten;
//! blocks without anything that is wanted are not unpacked. Never decides what is told of what is missing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::class::Log;
use super::directory::DirectoryEntry;
use super::disk::Disk;
use super::disk::DiskError;
use super::record::Part;
use super::shelf::Fetched;
use super::shelf::Shelf;
use super::shelf::Shelved;
use crate::event::Event;
use crate::event::HomeId;
use crate::limits::LOG_BLOCK_WORK;

/// After which event of a topic its part begins; `None`: nothing of it is wanted.
pub(super) type Bound = Option<(u64, u64)>;

/// What a walk is taken through.
pub(super) struct Ground<'a, D: Disk> {
    pub(super) disk: &'a mut D,
    pub(super) log: &'a Log<D::File>,
    pub(super) shelf: &'a mut Shelf<D::File>,
}

/// A block that is being handed out.
#[derive(Debug)]
struct Open {
    shelved: Arc<Shelved>,
    bounds: Vec<Bound>,
    next: usize,
}

impl Open {
    /// Goes on to the next event that is wanted; false: there is none.
    fn settle(&mut self) -> bool {
        let wanted = |(part, event): &(u32, Arc<Event>)| {
            let bound = self.bounds[*part as usize];
            bound.is_some_and(|(offset, time_us)| event.offset > offset && event.time_us > time_us)
        };
        let rest = &self.shelved.events[self.next..];
        match rest.iter().position(wanted) {
            Some(passed) => self.next += passed,
            None => self.next = self.shelved.events.len(),
        }
        self.next < self.shelved.events.len()
    }
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ahead {
    /// An event of this stamp.
    Event(u64),
    /// Nobody knows yet, but everything stamped before this moment has been handed out.
    After(u64),
    End,
}

/// A block that has not been looked at.
#[derive(Clone, Copy, Debug)]
struct NextBlock {
    number: u64,
    entry: DirectoryEntry,
    /// The earliest stamp that may lie in it or behind it.
    least_us: u64,
}

/// A way through a class.
#[derive(Debug)]
pub(super) struct Walk {
    /// The segments that are still to be gone through, the next one behind, each with the earliest stamp in it and in all later ones.
    segments: Vec<(u64, u64)>,
    /// The next entry of the segment.
    entry: usize,
    from_us: u64,
    upto_us: u64,
    /// If only events of some stamps are wanted: these, ascending.
    stamps: Option<Vec<u64>>,
    open: Vec<Open>,
    by_stamp: BinaryHeap<Reverse<(u64, usize)>>,
    /// What the walk has cost.
    pub(super) work: usize,
    /// What could not be read: which segment, and where in it.
    rotten: Vec<(u64, u64)>,
}

impl Walk {
    /// From the first block that may hold something stamped after `from_us`, and not before the segment `first`, up to a moment.
    pub(super) fn new<F: std::fmt::Debug>(
        log: &Log<F>,
        first: u64,
        (from_us, upto_us): (u64, u64),
    ) -> Self {
        let all = log.sealed.iter().chain([log.active()]);
        let wanted = all.filter(|segment| {
            segment.number >= first && segment.events > 0 && segment.last_us > from_us
        });
        let mut segments: Vec<(u64, u64)> =
            wanted.map(|segment| (segment.number, segment.first_us)).collect();
        segments.reverse();
        let mut least_us = u64::MAX;
        for (_, first_us) in &mut segments {
            least_us = least_us.min(*first_us);
            *first_us = least_us;
        }
        Self {
            segments,
            entry: 0,
            from_us,
            upto_us,
            stamps: None,
            open: Vec::new(),
            by_stamp: BinaryHeap::new(),
            work: 0,
            rotten: Vec::new(),
        }
    }

    /// Only events of these stamps are wanted, which ascend.
    pub(super) fn only(&mut self, stamps: Vec<u64>) {
        self.stamps = Some(stamps);
    }

    /// Something that could not be read, of which that was not known.
    pub(super) fn unexamined<F: std::fmt::Debug>(&self, log: &Log<F>) -> Option<(u64, u64)> {
        self.rotten.iter().copied().find(|(number, at)| !log.knows_rotten(*number, *at))
    }

    /// Events that outlived their segments stand before all others.
    pub(super) fn begin_with(
        &mut self,
        carried: Arc<Shelved>,
        bound: impl Fn(&Part, HomeId) -> Bound,
    ) {
        let parts = carried.parts.iter().zip(&carried.homes);
        let bounds = parts.map(|(part, home)| bound(part, *home)).collect();
        self.open_block(carried, bounds);
    }

    fn open_block(&mut self, shelved: Arc<Shelved>, bounds: Vec<Bound>) {
        let from_us = self.from_us;
        let next = shelved.events.partition_point(|(_, event)| event.time_us <= from_us);
        self.open.push(Open { shelved, bounds, next });
        self.push(self.open.len() - 1);
    }

    /// What comes next. Looks no further than `work_max` allows.
    pub(super) fn ahead<D: Disk>(
        &mut self,
        ground: &mut Ground<'_, D>,
        work_max: usize,
        bound: &impl Fn(&Part, HomeId) -> Bound,
    ) -> Result<Ahead, DiskError> {
        loop {
            let open_us = self.by_stamp.peek().map(|Reverse((time_us, _))| *time_us);
            let Some(next) = self.next_entry(ground)? else {
                return Ok(open_us
                    .filter(|time_us| *time_us <= self.upto_us)
                    .map_or(Ahead::End, Ahead::Event));
            };
            let is_open_first = open_us.is_some_and(|time_us| time_us < next.least_us);
            if is_open_first || next.least_us > self.upto_us {
                return Ok(open_us
                    .filter(|time_us| *time_us <= self.upto_us)
                    .map_or(Ahead::End, Ahead::Event));
            }
            if self.work >= work_max {
                return Ok(Ahead::After(open_us.unwrap_or(u64::MAX).min(next.least_us)));
            }
            self.load(ground, (next.number, next.entry), bound)?;
        }
    }

    fn wants(&self, first_us: u64, last_us: u64) -> bool {
        is_among(self.stamps.as_deref(), first_us, last_us)
    }

    /// Hands out the event that comes next.
    pub(super) fn take(&mut self) -> Option<Arc<Event>> {
        let Reverse((_, index)) = self.by_stamp.pop()?;
        let open = &mut self.open[index];
        let event = Arc::clone(&open.shelved.events[open.next].1);
        open.next += 1;
        self.work += 1;
        self.push(index);
        Some(event)
    }

    fn push(&mut self, index: usize) {
        let open = &mut self.open[index];
        let before = open.next;
        let goes_on = open.settle();
        self.work += open.next - before;
        if goes_on {
            self.by_stamp.push(Reverse((open.shelved.events[open.next].1.time_us, index)));
        } else {
            open.bounds = Vec::new();
            open.shelved =
                Arc::new(Shelved { parts: Vec::new(), homes: Vec::new(), events: Vec::new() });
        }
    }

    /// The next entry, and the earliest stamp that may lie in it or behind it.
    fn next_entry<D: Disk>(
        &mut self,
        ground: &mut Ground<'_, D>,
    ) -> Result<Option<NextBlock>, DiskError> {
        while let Some((number, _)) = self.segments.last().copied() {
            let segment = ground.log.segment(number);
            let is_wanted =
                segment.is_some_and(|segment| self.wants(segment.first_us, segment.last_us));
            if !is_wanted {
                self.segments.pop();
                self.entry = 0;
                continue;
            }
            let later_us = self.segments.len().checked_sub(2).map(|index| self.segments[index].1);
            let place =
                ground.log.segment(number).map_or(0, |segment| segment.place_after(self.from_us));
            let directory = ground.shelf.directory(ground.disk, ground.log, number)?;
            if let Some(directory) = directory {
                if self.entry == 0 {
                    self.entry = directory.entries.partition_point(|entry| entry.at < place);
                    if !directory.rotten.is_empty() {
                        self.rotten.extend(directory.rotten.iter().map(|(at, _)| (number, *at)));
                    }
                }
                while let Some(entry) = directory.entries.get(self.entry) {
                    if entry.last_us > self.from_us
                        && is_among(self.stamps.as_deref(), entry.first_us, entry.last_us)
                    {
                        let least_us = entry.least_us.min(later_us.unwrap_or(u64::MAX));
                        return Ok(Some(NextBlock { number, entry: *entry, least_us }));
                    }
                    self.entry += 1;
                }
            }
            self.segments.pop();
            self.entry = 0;
        }
        Ok(None)
    }

    fn load<D: Disk>(
        &mut self,
        ground: &mut Ground<'_, D>,
        (number, entry): (u64, DirectoryEntry),
        bound: &impl Fn(&Part, HomeId) -> Bound,
    ) -> Result<(), DiskError> {
        self.entry += 1;
        self.work += LOG_BLOCK_WORK;
        let from_us = self.from_us;
        let bound = |part: &Part, home: HomeId| {
            let (offset, time_us) = bound(part, home)?;
            let time_us = time_us.max(from_us);
            (part.last > offset && part.last_us > time_us).then_some((offset, time_us))
        };
        let wants = |part: &Part, home: HomeId| bound(part, home).is_some();
        match ground.shelf.fetch(ground.disk, ground.log, (number, entry), wants)? {
            Fetched::Rotten => self.rotten.push((number, entry.at)),
            Fetched::Block(shelved) => {
                let parts = shelved.parts.iter().zip(&shelved.homes);
                let bounds: Vec<Bound> = parts.map(|(part, home)| bound(part, *home)).collect();
                if bounds.iter().all(Option::is_none) {
                    return Ok(());
                }
                self.open_block(shelved, bounds);
            }
        }
        Ok(())
    }
}

/// Whether one of these stamps lies within.
fn is_among(stamps: Option<&[u64]>, first_us: u64, last_us: u64) -> bool {
    stamps.is_none_or(|stamps| {
        let place = stamps.partition_point(|time_us| *time_us < first_us);
        stamps.get(place).is_some_and(|time_us| *time_us <= last_us)
    })
}
