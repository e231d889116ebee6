//! One page of the past of several topics, merged by stamp.
//!
//! Invariant: a page holds every event of the selected topics between where it began and where it ends, or a gap that says which
//! it does not. Pure over the topics it is handed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::Page;
use super::Read;
use super::Start;
use super::topic::Evicted;
use super::topic::Topic;
use crate::dialect::Gap;
use crate::dialect::GapReason;
use crate::event::Event;
use crate::event::Op;
use crate::event::TopicName;
use crate::limits::PAGE_BYTES_MAX;
use crate::limits::PAGE_EVENTS_MAX;

pub(super) fn read(topics: &[&Topic], read: &Read) -> Page {
    let mut page = Page::default();
    if let Start::OtherEpoch { topics: named } = &read.start
        && read.after_us == 0
    {
        page.gaps.extend(named.iter().map(|name| epoch_gap(name, topics)));
    }
    match read.start {
        Start::Now => {}
        Start::Last { deleted_after_us } => {
            last_events(topics, read.after_us, deleted_after_us, &mut page);
        }
        Start::Snapshot { ref after, up_to_us } => {
            snapshot(topics, after.as_ref(), up_to_us, &mut page);
        }
        _ => ring_events(topics, read, &mut page),
    }
    page
}

fn epoch_gap(name: &TopicName, topics: &[&Topic]) -> Gap {
    let to =
        topics.iter().find(|topic| topic.name == *name).map_or(0, |topic| topic.evicted.offset);
    Gap { topic: name.clone(), from: 1, to, reason: GapReason::Epoch }
}

/// Where in its ring a topic's part begins, and the offset before it that the reader already has.
fn begin(topic: &Topic, read: &Read) -> Option<(usize, u64)> {
    let by_time = |time_us: u64| (topic.index_after_time(time_us.max(read.after_us)), 0);
    match &read.start {
        Start::Now | Start::Last { .. } | Start::Snapshot { .. } => None,
        Start::Earliest | Start::OtherEpoch { .. } => Some(by_time(0)),
        Start::AfterTime(time_us) => Some(by_time(*time_us)),
        // Only the first page counts from the end: what comes meanwhile is not to push out what was promised.
        Start::Tail(count) if read.after_us == 0 => {
            Some((topic.ring.len().saturating_sub(*count as usize), 0))
        }
        Start::Tail(_) => Some(by_time(0)),
        Start::AfterOffsets { offsets, others_us } => {
            match offsets.iter().find(|(name, _)| *name == topic.name) {
                Some((_, offset)) if *offset > topic.newest_offset() => Some(by_time(0)),
                Some((_, offset)) => {
                    Some((topic.index_after_offset(*offset).max(by_time(0).0), *offset))
                }
                None => others_us.map(by_time),
            }
        }
    }
}

/// Whether a reader says that it has had more of a topic than there was: its position is of another numbering.
fn is_ahead(topic: &Topic, read: &Read) -> bool {
    let Start::AfterOffsets { offsets, .. } = &read.start else { return false };
    let named = offsets.iter().find(|(name, _)| *name == topic.name);
    named.is_some_and(|(_, offset)| *offset > topic.newest_offset())
}

/// What lies between where the reader stands and what the topic still holds.
fn gap(topic: &Topic, read: &Read, had: u64) -> Option<Gap> {
    if read.after_us == 0 && is_ahead(topic, read) {
        return Some(epoch_gap(&topic.name, &[topic]));
    }
    let lost = match &read.start {
        // Everything held was asked for: only what goes while the pages are read is missing.
        Start::Earliest | Start::OtherEpoch { .. } => {
            read.after_us > 0 && topic.evicted.time_us > read.after_us
        }
        Start::AfterTime(time_us) => topic.evicted.time_us > (*time_us).max(read.after_us),
        Start::AfterOffsets { offsets, others_us } => {
            let named = offsets.iter().any(|(name, _)| *name == topic.name);
            let after_us = if named {
                read.after_us
            } else {
                others_us.unwrap_or(u64::MAX).max(read.after_us)
            };
            topic.evicted.offset > had && topic.evicted.time_us > after_us
        }
        Start::Now | Start::Last { .. } | Start::Snapshot { .. } | Start::Tail(_) => false,
    };
    lost.then(|| Gap {
        topic: topic.name.clone(),
        from: had + 1,
        to: topic.evicted.offset,
        reason: GapReason::Evicted,
    })
}

fn ring_events(topics: &[&Topic], read: &Read, page: &mut Page) {
    let mut heap = BinaryHeap::new();
    let mut cursors = Vec::with_capacity(topics.len());
    for topic in topics {
        let Some((index, had)) = begin(topic, read) else { continue };
        page.gaps.extend(gap(topic, read, had));
        if let Some(first) = topic.ring.get(index) {
            heap.push(Reverse((first.time_us, cursors.len())));
            cursors.push((topic, index));
        }
    }
    let (is_other_epoch, named) = match &read.start {
        Start::OtherEpoch { topics } => (true, &topics[..]),
        _ => (false, &[][..]),
    };
    let mut bytes = 0;
    while let Some(Reverse((_, cursor))) = heap.pop() {
        let (topic, index) = &mut cursors[cursor];
        let event = &topic.ring[*index];
        if is_full(page, bytes) {
            page.more_after_us = page.events.last().map(|last| last.time_us);
            return;
        }
        bytes += event.weight_bytes();
        page.events.push(Arc::clone(event));
        if *index == 0 && !named.contains(&topic.name) {
            // Its client may have had a topic of this name in another epoch. Said with its first event, so that a page has no more gaps than events.
            page.gaps.extend(is_other_epoch.then(|| epoch_gap(&topic.name, topics)));
        }
        *index += 1;
        if let Some(next) = topic.ring.get(*index) {
            heap.push(Reverse((next.time_us, cursor)));
        }
    }
}

fn is_full(page: &Page, bytes: usize) -> bool {
    page.events.len() >= PAGE_EVENTS_MAX || bytes >= PAGE_BYTES_MAX
}

/// The last events of a page's worth of keys: what lies beyond a page is not even sorted.
fn snapshot(
    topics: &[&Topic],
    after: Option<&(TopicName, Arc<str>)>,
    up_to_us: u64,
    page: &mut Page,
) {
    let mut topics: Vec<&&Topic> = topics.iter().collect();
    topics.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    topics.dedup_by(|one, other| one.name == other.name);
    let mut bytes = 0;
    for topic in topics {
        let after_key = match after {
            Some((name, _)) if topic.name < *name => continue,
            Some((name, key)) if topic.name == *name => Some(&**key),
            _ => None,
        };
        let is_wanted = |event: &&Arc<Event>| after_key.is_none_or(|after| &*event.key > after);
        let mut events: Vec<&Arc<Event>> =
            topic.last.range(..=up_to_us).map(|(_, event)| event).filter(is_wanted).collect();
        if events.len() > PAGE_EVENTS_MAX + 1 {
            events.select_nth_unstable_by(PAGE_EVENTS_MAX, |one, other| one.key.cmp(&other.key));
            // One event more than a page takes tells that there is more.
            events.truncate(PAGE_EVENTS_MAX + 1);
        }
        events.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        for event in events {
            if is_full(page, bytes) {
                page.more_after_us = page.events.last().map(|last| last.time_us);
                return;
            }
            bytes += event.weight_bytes();
            page.events.push(Arc::clone(event));
        }
    }
}

fn last_events(topics: &[&Topic], after_us: u64, deleted_after_us: Option<u64>, page: &mut Page) {
    let deleted_after_us = deleted_after_us.map(|time_us| time_us.max(after_us));
    let mut events: Vec<&Arc<Event>> = Vec::new();
    for topic in topics {
        lost_of_last(topic, after_us, deleted_after_us, page);
        // One event more than a page takes tells that there is more.
        events.extend(
            topic.last.range(after_us + 1..).map(|(_, event)| event).take(PAGE_EVENTS_MAX + 1),
        );
        if let Some(deleted_after_us) = deleted_after_us {
            let since = topic.ring.range(topic.index_after_time(deleted_after_us)..);
            events.extend(since.filter(|event| event.op == Op::Delete).take(PAGE_EVENTS_MAX + 1));
        }
    }
    events.sort_unstable_by_key(|event| event.time_us);
    let mut bytes = 0;
    for event in events {
        if is_full(page, bytes) {
            page.more_after_us = page.events.last().map(|last| last.time_us);
            break;
        }
        bytes += event.weight_bytes();
        page.events.push(Arc::clone(event));
    }
    // Those that stand behind this page are told with the next one.
    let end_us = page.more_after_us.unwrap_or(u64::MAX);
    page.late_gaps.retain(|(time_us, _)| *time_us <= end_us);
    page.late_gaps.sort_unstable_by_key(|(time_us, _)| *time_us);
}

/// What a reader of the last events of each key cannot be told any more: keys that had to go, and, once it has been told a part, deletes that did.
fn lost_of_last(topic: &Topic, after_us: u64, deleted_after_us: Option<u64>, page: &mut Page) {
    let gap = |lost: Evicted| Gap {
        topic: topic.name.clone(),
        from: 1,
        to: lost.offset,
        reason: GapReason::Evicted,
    };
    let keys = topic.last_evicted;
    let Some(deleted_after_us) = deleted_after_us else {
        page.gaps.extend((keys.offset > 0).then(|| gap(keys)));
        return;
    };
    let deletes = topic.delete_evicted;
    if keys.time_us > after_us {
        page.late_gaps.push((keys.time_us, gap(keys)));
    }
    if deletes.time_us > deleted_after_us {
        page.late_gaps.push((deletes.time_us, gap(deletes)));
    }
}
