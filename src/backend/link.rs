//! Whether the database is there, as far as is known: one thread says so, and all others look.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Whether it is there.
#[derive(Debug, Default)]
pub struct Link {
    is_up: AtomicBool,
    /// How often it came back.
    returns: AtomicU64,
    rows_dropped: AtomicU64,
}

impl Link {
    /// To what is always there.
    #[must_use]
    pub fn fixed() -> Self {
        Self { is_up: AtomicBool::new(true), ..Self::default() }
    }

    /// Whether the database is there.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }

    /// How often the database came back after it was lost.
    #[must_use]
    pub fn returns(&self) -> u64 {
        self.returns.load(Ordering::Relaxed)
    }

    /// Rows of events that found no room to wait for the database.
    #[must_use]
    pub fn rows_dropped(&self) -> u64 {
        self.rows_dropped.load(Ordering::Relaxed)
    }

    #[cfg(feature = "postgres")]
    pub(super) fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::SeqCst);
    }

    #[cfg(feature = "postgres")]
    pub(super) fn count_return(&self) {
        self.returns.fetch_add(1, Ordering::Relaxed);
    }

    /// An event's row finds no room to wait for it.
    #[cfg(feature = "postgres")]
    pub(super) fn drop_row(&self) {
        if self.rows_dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("the tables' database is lost for so long that rows of events are lost");
        }
    }
}
