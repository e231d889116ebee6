//! What is kept, gone through in the order of the stamps: of a few topics by merging theirs, of many by the order of all.
//!
//! Never decides what is told: that is a page's business.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::btree_map;
use std::collections::btree_set;
use std::collections::vec_deque;
use std::sync::Arc;

use super::topic::Topic;
use super::topics::Forgotten;
use super::topics::Topics;
use crate::event::Event;

/// Something that stands at a stamp.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'a> {
    /// An event, and where it is in its topic's ring.
    Event(&'a Topic, &'a Arc<Event>, usize),
    /// The last event of a key; `true`: the oldest of its topic.
    Last(&'a Topic, &'a Arc<Event>, bool),
    /// The newest event of a topic that has none any more.
    Quiet(&'a Topic),
    /// The newest last event that a topic had to let go which has none any more.
    Lastless(&'a Topic),
    /// The newest event of a topic that was forgotten.
    Forgotten(&'a Forgotten),
    /// Something that has gone since.
    Nothing,
}

type InOrder<'a> = vec_deque::Iter<'a, (u32, u64)>;

/// Steps whose stamps ascend.
pub(super) enum Stream<'a> {
    Ring { topic: &'a Topic, index: usize },
    LastOf { topic: &'a Topic, events: btree_map::Range<'a, u64, Arc<Event>> },
    Order { topics: &'a Topics, order: InOrder<'a> },
    LastOrder { topics: &'a Topics, order: InOrder<'a> },
    Quiet { topics: &'a Topics, by_stamp: btree_set::Range<'a, (u64, u32)> },
    Lastless { topics: &'a Topics, by_stamp: btree_set::Range<'a, (u64, u32)> },
    Forgotten(btree_map::Range<'a, (u64, u64), Forgotten>),
}

impl Topic {
    /// The events of the ring from a place on.
    pub(super) fn steps(&self, from: usize) -> impl Iterator<Item = (u64, Step<'_>)> {
        let events = self.ring.range(from.min(self.ring.len())..).enumerate();
        events.map(move |(at, event)| (event.time_us, Step::Event(self, event, from + at)))
    }
}

impl<'a> Stream<'a> {
    #[inline]
    fn next(&mut self) -> Option<(u64, Step<'a>)> {
        let of = |topics: &'a Topics, index: &u32| topics.find(*index);
        match self {
            Self::Ring { topic, index } => {
                let event = topic.ring.get(*index)?;
                *index += 1;
                Some((event.time_us, Step::Event(topic, event, *index - 1)))
            }
            Self::LastOf { topic, events } => {
                let (time_us, event) = events.next()?;
                let is_first = topic.oldest_last_us() == Some(*time_us);
                Some((*time_us, Step::Last(topic, event, is_first)))
            }
            Self::Order { topics, order } => {
                let (index, time_us) = order.next()?;
                let step = of(topics, index).and_then(|topic| {
                    let place = topic.ring.binary_search_by_key(time_us, |event| event.time_us);
                    let place = place.ok()?;
                    Some(Step::Event(topic, topic.ring.get(place)?, place))
                });
                Some((*time_us, step.unwrap_or(Step::Nothing)))
            }
            Self::LastOrder { topics, order } => {
                let (index, time_us) = order.next()?;
                let step = of(topics, index).and_then(|topic| {
                    let is_first = topic.oldest_last_us() == Some(*time_us);
                    Some(Step::Last(topic, topic.last.get(time_us)?, is_first))
                });
                Some((*time_us, step.unwrap_or(Step::Nothing)))
            }
            Self::Quiet { topics, by_stamp } => {
                let (time_us, index) = by_stamp.next()?;
                Some((*time_us, of(topics, index).map_or(Step::Nothing, Step::Quiet)))
            }
            Self::Lastless { topics, by_stamp } => {
                let (time_us, index) = by_stamp.next()?;
                Some((*time_us, of(topics, index).map_or(Step::Nothing, Step::Lastless)))
            }
            Self::Forgotten(steps) => {
                let ((time_us, _), left) = steps.next()?;
                Some((*time_us, Step::Forgotten(left)))
            }
        }
    }
}

/// Streams merged into one; if there is only one, it is gone through as it is.
pub(super) struct Merge<'a> {
    streams: Vec<Stream<'a>>,
    /// The next step of each stream that has one, by its stamp.
    next: BinaryHeap<Reverse<NextStep<'a>>>,
}

#[derive(Clone, Copy)]
struct NextStep<'a> {
    time_us: u64,
    stream: usize,
    step: Step<'a>,
}

impl PartialEq for NextStep<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.time_us, self.stream) == (other.time_us, other.stream)
    }
}

impl Eq for NextStep<'_> {}

impl PartialOrd for NextStep<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NextStep<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time_us, self.stream).cmp(&(other.time_us, other.stream))
    }
}

impl<'a> Merge<'a> {
    pub(super) fn of(mut streams: Vec<Stream<'a>>) -> Self {
        if streams.len() == 1 {
            return Self { streams, next: BinaryHeap::new() };
        }
        let first = streams.iter_mut().enumerate().filter_map(|(stream, steps)| {
            let (time_us, step) = steps.next()?;
            Some(Reverse(NextStep { time_us, stream, step }))
        });
        let next = first.collect();
        Self { streams, next }
    }
}

impl<'a> Iterator for Merge<'a> {
    type Item = (u64, Step<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u64, Step<'a>)> {
        if let [only] = &mut self.streams[..] {
            return only.next();
        }
        let mut top = self.next.peek_mut()?;
        let Reverse(NextStep { time_us, stream, step }) = *top;
        match self.streams[stream].next() {
            Some((next_us, next)) => {
                *top = Reverse(NextStep { time_us: next_us, stream, step: next });
            }
            None => {
                std::collections::binary_heap::PeekMut::pop(top);
            }
        }
        Some((time_us, step))
    }
}
