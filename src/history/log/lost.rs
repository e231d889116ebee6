//! What of a class cannot be read any more, by topic, so that whoever reads on behind it is told exactly that.
//!
//! Invariant: each part ends at an offset that a later event of the topic names as the one before it, or at the topic's newest. Never reads anything.

use std::collections::BTreeMap;

use super::record::Part;
use super::scan::Rotten;
use super::segment::Segment;
use crate::event::TopicName;

/// Parts of topics that are lost, by the offset at which each ends, with the segment that held it.
#[derive(Debug, Default)]
pub(super) struct LostParts {
    by_end: BTreeMap<(TopicName, u64), (Part, u64)>,
}

impl LostParts {
    /// What these segments have lost.
    pub(super) fn of<'a>(segments: impl Iterator<Item = &'a Segment>) -> Self {
        let mut lost = Self::default();
        for segment in segments {
            segment.rotten.iter().for_each(|rotten| lost.add(segment.number, rotten));
        }
        lost
    }

    fn add(&mut self, segment: u64, rotten: &Rotten) {
        for part in rotten.lost.iter().filter(|part| part.last > part.previous) {
            self.by_end.insert((part.topic.clone(), part.last), (part.clone(), segment));
        }
    }

    /// Segments up to this one are gone, and what they held is let go of, not lost.
    pub(super) fn forget(&mut self, upto: u64) {
        self.by_end.retain(|_, (_, segment)| *segment > upto);
    }

    /// All parts that are lost.
    pub(super) fn all(&self) -> impl Iterator<Item = &Part> {
        self.by_end.values().map(|(part, _)| part)
    }
}
