//! What one connection awaits and holds of the past: pages to ask for, what is counted of them, what a snapshot has still to tell.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::batch::Counted;
use crate::event::HomeId;
use crate::event::TopicPattern;
use crate::history::Read;
use crate::history::Start;
use crate::limits::PAGE_BYTES_MAX;
use crate::limits::PLAYBACK_PAGE_BYTES;

/// A page to ask for, or one that was asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) home: HomeId,
    pub(super) read: Arc<Read>,
    pub(super) after_us: u64,
    /// Bytes that are set aside for it; before it was asked for: what it is known to need, or 0.
    pub(super) bytes: usize,
    /// Bytes that it may have at most.
    pub(super) bytes_max: usize,
}

impl Wanted {
    pub(super) const fn new(home: HomeId, read: Arc<Read>, after_us: u64) -> Self {
        Self { home, read, after_us, bytes: 0, bytes_max: PAGE_BYTES_MAX }
    }

    /// One that is read ahead of the moment at which it is told.
    pub(super) const fn ahead(home: HomeId, read: Arc<Read>, after_us: u64) -> Self {
        Self { home, read, after_us, bytes: 0, bytes_max: PLAYBACK_PAGE_BYTES }
    }

    /// Whether it is answered at once and without any event.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.read.start, Start::Now)
    }
}

/// What a connection holds of the past, and where it stands.
#[derive(Debug, Default)]
pub(super) struct PastHeld {
    /// Beyond what every connection may.
    pub(super) counted: Counted,
    pub(super) in_line: bool,
    /// What it has begun to be sent was a page, or stands before one.
    pub(super) is_begun: bool,
    /// When it last asked for a page, in milliseconds since the start.
    pub(super) asked_ms: u64,
    /// When its playbacks are to be looked at, in milliseconds since the start, if they are.
    pub(super) plays_ms: Option<u64>,
}

/// What of a snapshot is still to be told.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// One home's topics at a time.
    pub(super) parts: VecDeque<(HomeId, TopicPattern)>,
    /// Only upserts are told.
    pub(super) is_of_states: bool,
}

impl Untold {
    /// The next part's first page. Of a home that has begun to be live, only what was stamped before that.
    pub(super) fn next(&mut self, began_us: &[(HomeId, u64)]) -> Option<(HomeId, Arc<Read>)> {
        let (home, topic) = self.parts.pop_front()?;
        let live_from = began_us.iter().find(|(began, _)| *began == home);
        let up_to_us = live_from.map_or(u64::MAX, |(_, time_us)| *time_us);
        let start = Start::Snapshot { up_to_us };
        Some((
            home,
            Arc::new(Read {
                topics: vec![topic],
                start,
                after_us: 0,
                page_bytes: PAGE_BYTES_MAX,
                with_before: false,
            }),
        ))
    }
}
