//! A stretch of the past from the log: of the topics of one home, in the order of their stamps, from all classes.
//!
//! Invariants: a stretch holds everything that is wanted between where it begins and where it ends, or says what of it is lost, and why; it costs no more than
//! `LOG_PAGE_WORK_MAX` steps and the blocks at hand, and the next one goes on where it ended. Nothing is told of which it is not known whether more was lost: whoever asks
//! has that looked into first.

use std::collections::HashSet;
use std::sync::Arc;

use super::class::Log;
use super::disk::Disk;
use super::disk::DiskError;
use super::record::Part;
use super::shelf::Shelf;
use super::walk::Ahead;
use super::walk::Bound;
use super::walk::Ground;
use super::walk::Walk;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::Op;
use crate::event::TopicName;
use crate::history::Read;
use crate::history::Start;
use crate::history::asks::Lost;
use crate::history::asks::Stretch;
use crate::history::asks::Why;
use crate::limits::LOG_BLOCK_BYTES;
use crate::limits::LOG_LAST_EVENT_BYTES;
use crate::limits::LOG_LOST_MAX;
use crate::limits::LOG_PAGE_WORK_MAX;
use crate::limits::PAGE_EVENTS_MAX;

/// What is to be read.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<'a> {
    /// Only topics that are at home here.
    pub home: HomeId,
    pub read: &'a Read,
    /// Only events stamped after this moment: where the stretch before this one ended, or 0.
    pub after_us: u64,
    /// And none stamped after this one.
    pub until_us: u64,
    /// Bytes after which the stretch ends; one event it takes in any case.
    pub page_bytes: usize,
}

/// A class's log, and what has been read of it.
#[derive(Debug)]
pub struct Kept<F> {
    pub log: Log<F>,
    pub shelf: Shelf<F>,
}

/// Something is rotten of which that was not known: what of it is lost is to be looked into, and then the stretch can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unexamined {
    /// Which of the logs.
    pub class: usize,
    pub segment: u64,
    /// Where in the segment.
    pub at: u64,
}

/// Reads a stretch.
///
/// # Errors
/// What the disk says.
pub fn read<D: Disk>(
    disk: &mut D,
    kept: &mut [Kept<D::File>],
    request: PageRequest<'_>,
) -> Result<Result<Stretch, Unexamined>, DiskError> {
    let mut writer = StretchWriter { request, stretch: Stretch::default(), bytes: 0 };
    if matches!(request.read.start, Start::Now) {
        return Ok(Ok(writer.stretch));
    }
    let mut begins = Vec::with_capacity(kept.len());
    for kept in &mut *kept {
        let begin = Begin::of(disk, kept, request)?;
        writer.lost_of(kept, &begin.tails);
        begins.push(begin);
    }
    let cap_us = writer.cap();
    writer.events(disk, kept, &mut begins, cap_us)?;
    for (class, (begin, kept)) in begins.iter().zip(&*kept).enumerate() {
        if let Some((segment, at)) = begin.walk.unexamined(&kept.log) {
            return Ok(Err(Unexamined { class, segment, at }));
        }
    }
    Ok(Ok(writer.into_stretch()))
}

/// The newest events of their keys, no deletes, in the order of their stamps, of topics whose home `wants`: those that changed last, as many as fit so many bytes. And the moment after which none
/// is missing; 0: none is at all. What is read for it is not kept.
///
/// # Errors
/// What the disk says.
pub fn newest_of_keys<D: Disk>(
    disk: &mut D,
    kept: &[Kept<D::File>],
    wants: impl Fn(HomeId) -> bool,
    bytes_max: usize,
) -> Result<(Vec<Arc<Event>>, u64), DiskError> {
    let mut stamps: Vec<u64> = Vec::new();
    for Kept { log, shelf } in kept {
        stamps.extend(log.keys.stamps((0, u64::MAX), |topic| wants(shelf.home_of(topic))));
    }
    stamps.sort_unstable();
    let passed = stamps.len().saturating_sub(bytes_max / LOG_LAST_EVENT_BYTES);
    let mut after_us = passed.checked_sub(1).map_or(0, |place| stamps[place]);
    for Kept { log, .. } in kept {
        after_us = after_us.max(log.keys.after_us());
    }
    let stamps = stamps.split_off(stamps.partition_point(|time_us| *time_us <= after_us));
    let mut events = Vec::with_capacity(stamps.len());
    for Kept { log, shelf } in kept {
        let shelf = &mut shelf.emptied(LOG_BLOCK_BYTES);
        let mut walk = Walk::new(log, 0, (after_us, u64::MAX));
        walk.only(stamps.clone());
        let bound = |_: &Part, of: HomeId| wants(of).then_some((0, after_us));
        walk.begin_with(shelf.carried(log), bound);
        let mut ground = Ground { disk, log, shelf };
        while let Ahead::Event(_) = walk.ahead(&mut ground, usize::MAX, &bound)? {
            let Some(event) = walk.take() else { break };
            if log.keys.is_last(&event.topic, &event.key, event.time_us) {
                events.push(event);
            }
        }
    }
    events.sort_by_key(|event| event.time_us);
    Ok((events, after_us))
}

/// Where the reading of a class begins.
#[derive(Debug)]
struct Begin {
    walk: Walk,
    /// Of `Tail`: the offset after which each topic begins, in the order of the names.
    tails: Vec<(TopicName, u64)>,
}

impl Begin {
    fn of<D: Disk>(
        disk: &mut D,
        kept: &mut Kept<D::File>,
        request: PageRequest<'_>,
    ) -> Result<Self, DiskError> {
        let (mut from_us, mut first) = (request.after_us, 0);
        let mut until_us = request.until_us;
        let mut tails = Vec::new();
        match &request.read.start {
            Start::AfterTime { time_us, .. } => from_us = from_us.max(*time_us),
            Start::AfterOffsets { offsets, others_us } if request.after_us == 0 => {
                first = kept.log.first_above(offsets, *others_us);
            }
            Start::Tail { count, counted_us } => {
                tails = tails_of(disk, kept, request, (*count, *counted_us))?;
                if request.after_us == 0 {
                    first = kept.log.first_above(&tails, None);
                }
            }
            Start::Snapshot { up_to_us } => until_us = until_us.min(*up_to_us),
            _ => {}
        }
        let mut walk = Walk::new(&kept.log, first, (from_us, until_us));
        let is_about_keys = match request.read.start {
            // Deletes stand in no table.
            Start::Last { deleted_after_us } => {
                deleted_after_us.is_none_or(|time_us| time_us >= until_us)
            }
            Start::Snapshot { .. } => true,
            _ => false,
        };
        if is_about_keys {
            walk.only(kept.log.keys.stamps((from_us, until_us), |topic| {
                request.wants(topic) && kept.shelf.home_of(topic) == request.home
            }));
        }
        if let Start::Last { .. } | Start::Snapshot { .. } = request.read.start {
            walk.begin_with(kept.shelf.carried(&kept.log), |part, home| {
                (home == request.home && request.wants(&part.topic)).then_some((0, 0))
            });
        }
        Ok(Self { walk, tails })
    }
}

/// After which offset the last so many events begin of each topic, of those stamped up to a moment; 0: of all.
fn tails_of<D: Disk>(
    disk: &mut D,
    kept: &mut Kept<D::File>,
    request: PageRequest<'_>,
    (count, counted_us): (u32, u64),
) -> Result<Vec<(TopicName, u64)>, DiskError> {
    let Kept { log, shelf } = kept;
    let wanted = log.topics.iter().filter(|(topic, _)| request.wants(topic));
    let mut tails = Vec::new();
    // Topics that have had something since: the first event after that moment says what the newest was.
    let mut newer = HashSet::new();
    for (topic, known) in wanted {
        tails.push((topic.clone(), known.newest));
        if counted_us > 0 && known.newest_us > counted_us {
            newer.insert(topic.clone());
        }
    }
    let mut walk = Walk::new(log, 0, (counted_us, u64::MAX));
    let mut ground = Ground { disk, log, shelf };
    while !newer.is_empty() {
        let bound = |part: &Part, _: HomeId| newer.contains(&part.topic).then_some((0, counted_us));
        let Ahead::Event(_) = walk.ahead(&mut ground, usize::MAX, &bound)? else { break };
        let Some(event) = walk.take() else { break };
        if newer.remove(&event.topic)
            && let Ok(place) = tails.binary_search_by(|(topic, _)| topic.cmp(&event.topic))
        {
            tails[place].1 = event.previous;
        }
    }
    for (topic, newest) in &mut tails {
        *newest = log.tail_of(topic, u64::from(count), *newest);
    }
    Ok(tails)
}

impl PageRequest<'_> {
    fn wants(&self, topic: &TopicName) -> bool {
        self.read.topics.iter().any(|pattern| pattern.matches(topic))
    }

    /// After what a topic's part begins.
    fn bound(&self, tails: &[(TopicName, u64)], topic: &TopicName, home: HomeId) -> Bound {
        if home != self.home || !self.wants(topic) {
            return None;
        }
        match &self.read.start {
            Start::Now => None,
            Start::Earliest
            | Start::OtherEpoch { .. }
            | Start::Last { .. }
            | Start::Snapshot { .. } => Some((0, 0)),
            Start::AfterTime { time_us, .. } => Some((0, *time_us)),
            Start::AfterOffsets { offsets, others_us } => match find(offsets, topic) {
                Some(offset) => Some((offset, 0)),
                None => others_us.map(|time_us| (0, time_us)),
            },
            Start::Tail { .. } => Some((find(tails, topic).unwrap_or(0), 0)),
        }
    }
}

/// A stretch that is being written.
struct StretchWriter<'a> {
    request: PageRequest<'a>,
    stretch: Stretch,
    bytes: usize,
}

impl StretchWriter<'_> {
    fn into_stretch(self) -> Stretch {
        let mut stretch = self.stretch;
        let end_us = stretch.more_after_us.unwrap_or(u64::MAX);
        // What stands behind this stretch is told with the next one.
        stretch.lost.retain(|lost| lost.last_us <= end_us);
        let order = |lost: &Lost| (lost.last_us, lost.last);
        stretch.lost.sort_by(|one, other| {
            order(one).cmp(&order(other)).then_with(|| one.topic.cmp(&other.topic))
        });
        stretch
    }

    /// What of a class is not there any more and would belong to the stretch.
    fn lost_of<F: std::fmt::Debug>(&mut self, kept: &Kept<F>, tails: &[(TopicName, u64)]) {
        let Kept { log, shelf } = kept;
        let request = self.request;
        let belongs = |topic: &TopicName, last: u64, last_us: u64| {
            let bound = request.bound(tails, topic, shelf.home_of(topic));
            bound.is_some_and(|(offset, time_us)| last > offset && last_us > time_us)
        };
        // What was held when the first stretch was read is what was asked for; last events outlive their segments.
        let is_retention_told = match request.read.start {
            Start::Earliest => request.after_us > 0,
            Start::OtherEpoch { .. } | Start::AfterTime { .. } | Start::AfterOffsets { .. } => true,
            Start::Now | Start::Last { .. } | Start::Snapshot { .. } | Start::Tail { .. } => false,
        };
        if is_retention_told {
            for (last_us, last, topic) in log.carried.floors_after(request.after_us) {
                if belongs(topic, *last, *last_us) {
                    self.stretch.lost.push(let_go(topic, *last, *last_us));
                    if self.stretch.lost.len() > LOG_LOST_MAX {
                        break;
                    }
                }
            }
        }
        let rotten = log.lost.all().filter(|part| part.last_us > request.after_us);
        let rotten = rotten.filter(|part| belongs(&part.topic, part.last, part.last_us));
        self.stretch.lost.extend(rotten.map(corrupt));
        let known_us = log.keys.after_us();
        if let Start::Last { .. } | Start::Snapshot { .. } = request.read.start
            && known_us > request.after_us
        {
            // Which of them were the last of their keys nobody knows any more.
            let topics = log.topics.keys().filter(|topic| belongs(topic, u64::MAX, u64::MAX));
            let topics = topics.take(LOG_LOST_MAX);
            let told = topics.map(|topic| let_go(topic, log.newest_at(topic, known_us), known_us));
            self.stretch.lost.extend(told);
        }
    }

    /// Up to where the stretch may reach: no more than so much is told to be lost in one.
    fn cap(&mut self) -> u64 {
        let lost = &mut self.stretch.lost;
        lost.sort_by_key(|lost| lost.last_us);
        let cap_us = lost.get(LOG_LOST_MAX).map_or(u64::MAX, |lost| lost.last_us);
        lost.retain(|lost| lost.last_us <= cap_us);
        cap_us
    }

    fn is_full(&self) -> bool {
        self.stretch.events.len() >= PAGE_EVENTS_MAX || self.bytes >= self.request.page_bytes
    }

    /// Takes events of all classes in the order of their stamps until the stretch is full.
    fn events<D: Disk>(
        &mut self,
        disk: &mut D,
        kept: &mut [Kept<D::File>],
        begins: &mut [Begin],
        cap_us: u64,
    ) -> Result<(), DiskError> {
        let request = self.request;
        let mut reached_us = request.after_us;
        let mut work_max = LOG_PAGE_WORK_MAX;
        loop {
            let (mut next, mut known_us) = (None, u64::MAX);
            for (class, (begin, kept)) in begins.iter_mut().zip(&mut *kept).enumerate() {
                let Kept { log, shelf } = kept;
                let mut ground = Ground { disk, log, shelf };
                let Begin { walk, tails } = begin;
                let bound = |part: &Part, home: HomeId| request.bound(tails, &part.topic, home);
                match walk.ahead(&mut ground, work_max, &bound)? {
                    Ahead::Event(time_us) if next.is_none_or(|(least, _)| time_us < least) => {
                        next = Some((time_us, class));
                    }
                    Ahead::After(time_us) => known_us = known_us.min(time_us),
                    Ahead::Event(_) | Ahead::End => {}
                }
            }
            let ahead_us = next.map_or(u64::MAX, |(time_us, _)| time_us).min(known_us);
            if ahead_us > cap_us {
                self.stretch.more_after_us = Some(cap_us);
                return Ok(());
            }
            if known_us < u64::MAX {
                // Whatever it costs, a stretch goes on a little.
                if ahead_us - 1 > request.after_us {
                    self.stretch.more_after_us = Some(ahead_us - 1);
                    return Ok(());
                }
                work_max *= 2;
                continue;
            }
            let Some((time_us, class)) = next else { return Ok(()) };
            // Two homes of former times may have something at one stamp, and the next stretch begins after it.
            if time_us > reached_us && self.is_full() {
                self.stretch.more_after_us = Some(reached_us);
                return Ok(());
            }
            reached_us = time_us;
            if let Some(event) = begins[class].walk.take() {
                self.take(&kept[class].log, event);
            }
        }
    }

    fn take<F: std::fmt::Debug>(&mut self, log: &Log<F>, event: Arc<Event>) {
        let is_last = || log.keys.is_last(&event.topic, &event.key, event.time_us);
        let is_told = match self.request.read.start {
            Start::Last { deleted_after_us } => {
                let is_gone = event.op == Op::Delete
                    && deleted_after_us.is_some_and(|time_us| event.time_us > time_us);
                is_gone || is_last()
            }
            Start::Snapshot { .. } => is_last(),
            _ => true,
        };
        if is_told {
            self.bytes += event.weight_bytes();
            self.stretch.events.push(event);
        }
    }
}

fn let_go(topic: &TopicName, last: u64, last_us: u64) -> Lost {
    Lost { topic: topic.clone(), previous: 0, last, last_us, why: Why::Retention }
}

fn corrupt(part: &Part) -> Lost {
    let Part { topic, previous, last, last_us, .. } = part.clone();
    Lost { topic, previous, last, last_us, why: Why::Corrupt }
}

fn find(offsets: &[(TopicName, u64)], topic: &TopicName) -> Option<u64> {
    let place = offsets.binary_search_by(|(known, _)| known.cmp(topic)).ok()?;
    Some(offsets[place].1)
}
