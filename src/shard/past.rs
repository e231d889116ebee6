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
use crate::limits::REPLAY_KEY_BYTES;
use crate::position::Since;

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

    /// Whether what is wanted is answered at once and without any event.
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
    /// What the connection has begun to be sent was a page, or stands before one.
    pub(super) is_begun: bool,
    /// When the connection last asked for a page, in milliseconds since the start.
    pub(super) asked_ms: u64,
    /// When the connection's playbacks are to be looked at, in milliseconds since the start, if they are.
    pub(super) plays_ms: Option<u64>,
}

/// What of a snapshot is still to be told.
#[derive(Debug, Default)]
pub(super) struct SnapshotRest {
    /// One home's topics at a time.
    pub(super) parts: VecDeque<(HomeId, TopicPattern)>,
    /// Only upserts are told.
    pub(super) is_of_states: bool,
    /// The subscription began then, in microseconds since 1970, and hears everything later live; 0: it ran already, or hears nothing live yet.
    pub(super) since_us: u64,
}

impl SnapshotRest {
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

/// The last event of each key, from the first page on.
pub(super) const LAST: Start = Start::Last { deleted_after_us: None };

/// Bytes of what is asked, without what subscriptions hold anyway: the names of the topics.
pub(super) fn read_bytes(read: &Read) -> usize {
    let named: usize = match &read.start {
        Start::AfterOffsets { offsets, .. } => {
            offsets.iter().map(|(name, _)| REPLAY_KEY_BYTES + name.as_str().len()).sum()
        }
        Start::OtherEpoch { topics } => size_of_val(&topics[..]),
        _ => 0,
    };
    named + size_of_val(&read.topics[..])
}

/// Where reading begins at every home, if that is the same at all of them.
pub(super) fn start_anywhere(since: &Since) -> Start {
    match since {
        Since::Earliest => Start::Earliest,
        Since::Last => LAST,
        Since::Tail(count) => Start::Tail { count: *count, counted_us: 0 },
        Since::Time(time_us) => Start::AfterTime { time_us: time_us.saturating_sub(1), mark: None },
        Since::Now | Since::Snapshot(_) | Since::States(_) => Start::Now,
        Since::Position(_) | Since::Cursor(_) | Since::Lost => Start::Now,
    }
}

/// Up to where a stream is known to have been told before its first event: where it says so itself, or up to where everything was told `here` if it begins
/// now, for it hears what is told here from now on. Homes that are not asked have nothing to tell.
pub(super) fn first_cursor(
    since: &Since,
    homes: &[HomeId],
    here: &[u64],
    of: impl Fn(HomeId, &str) -> bool,
) -> Vec<u64> {
    let known_at = |home: HomeId| match since {
        Since::Now => here[home.index()],
        Since::Cursor(cursor) if of(home, &cursor.epoch) => cursor.times_us[home.index()],
        Since::Cursor(_) | Since::Earliest | Since::Lost => 1,
        Since::Time(time_us) => time_us.saturating_sub(1).max(1),
        Since::Last
        | Since::Tail(_)
        | Since::Snapshot(_)
        | Since::States(_)
        | Since::Position(_) => 0,
    };
    let all = (0..).map(HomeId).take(here.len());
    all.map(|home| match since {
        Since::Cursor(_) => known_at(home),
        _ if homes.contains(&home) => known_at(home),
        _ => 1,
    })
    .collect()
}
