//! What a source counts, for those who watch it.
//!
//! Invariants: what is counted apart is a name of the configuration or a word of ours, never anything a far end says; counting costs no lock. Each cell has one writer.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::connector::FaultKind;

/// One of what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Messages that were fetched.
    Messages,
    /// Events that were made of them, and are told.
    Events,
    /// Events that the filter, or their age, keeps out.
    Dropped,
    /// Events that were stored before, by a process that ended before it could say so.
    Duplicates,
    /// Messages, or parts of them, of which no event could be made.
    Unusable,
    /// Times at which a home had no room, and the source waited.
    Full,
    /// Gaps that the far end has said.
    Gaps,
    /// Messages that are in them, as far as that is known.
    Lost,
    /// Positions that could not be written.
    Unkept,
}

impl Count {
    /// All of them, with their names and what they mean.
    pub const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Messages, "fanwire_source_messages_total", "Messages that a source has fetched."),
        (
            Self::Events,
            "fanwire_source_events_total",
            "Events that were made of a source's messages, and are told.",
        ),
        (
            Self::Dropped,
            "fanwire_source_dropped_total",
            "Events that a source's filter, or their age, keeps out.",
        ),
        (
            Self::Duplicates,
            "fanwire_source_duplicates_total",
            "Events that came again after a crash, and were told before.",
        ),
        (
            Self::Unusable,
            "fanwire_source_unusable_total",
            "Messages, or parts of them, of which no event could be made.",
        ),
        (
            Self::Full,
            "fanwire_source_full_total",
            "Times at which there was no room for a source's events, and it waited.",
        ),
        (Self::Gaps, "fanwire_source_gaps_total", "Gaps that a source's far end has said."),
        (
            Self::Lost,
            "fanwire_source_lost_total",
            "Messages in such gaps, as far as the far end says how many.",
        ),
        (
            Self::Unkept,
            "fanwire_source_unkept_total",
            "Positions of a source that could not be kept.",
        ),
    ];
}

/// The counts of one source.
#[derive(Debug)]
pub struct Figures {
    pub name: Box<str>,
    pub kind: &'static str,
    /// The server is ready only while the source is connected.
    is_required: AtomicBool,
    is_up: AtomicBool,
    counts: [AtomicU64; Count::ALL.len()],
    faults: [AtomicU64; FaultKind::ALL.len()],
    /// `u64::MAX`: nobody knows.
    lag: AtomicU64,
}

impl Figures {
    /// Of a source that has not begun.
    #[must_use]
    pub fn new(name: &str, kind: &'static str, is_required: bool) -> Self {
        Self {
            name: name.into(),
            kind,
            is_required: AtomicBool::new(is_required),
            is_up: AtomicBool::new(false),
            counts: [const { AtomicU64::new(0) }; Count::ALL.len()],
            faults: [const { AtomicU64::new(0) }; FaultKind::ALL.len()],
            lag: AtomicU64::new(u64::MAX),
        }
    }

    /// Counts so many of something.
    pub(super) fn add(&self, what: Count, by: u64) {
        self.counts[what as usize].fetch_add(by, Ordering::Relaxed);
    }

    /// Something was wrong with the far end.
    pub(super) fn count_fault(&self, kind: FaultKind) {
        self.faults[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::SeqCst);
    }

    pub(super) fn note_required(&self, is_required: bool) {
        self.is_required.store(is_required, Ordering::SeqCst);
    }

    pub(super) fn note_lag(&self, lag: Option<u64>) {
        self.lag.store(lag.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Whether it is connected.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }

    /// Whether the server is not ready on account of it.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        self.is_required.load(Ordering::SeqCst) && !self.is_up()
    }

    /// How many of something there were.
    #[must_use]
    pub fn count(&self, what: Count) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }

    /// How often its far end was at fault, by kind.
    pub fn faults(&self) -> impl Iterator<Item = (FaultKind, u64)> {
        FaultKind::ALL
            .into_iter()
            .map(|kind| (kind, self.faults[kind as usize].load(Ordering::Relaxed)))
    }

    /// How far it is behind its far end, if that says so.
    #[must_use]
    pub fn lag(&self) -> Option<u64> {
        let lag = self.lag.load(Ordering::Relaxed);
        (lag != u64::MAX).then_some(lag)
    }
}
