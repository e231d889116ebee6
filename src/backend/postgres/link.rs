//! Whether the database is there, as far as is known: one thread says so, and all others look.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Whether it is there.
#[derive(Debug, Default)]
pub(super) struct Link {
    is_up: AtomicBool,
    rows_dropped: AtomicU64,
}

impl Link {
    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }

    pub(super) fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::SeqCst);
    }

    /// An event's row finds no room to wait for it.
    pub(super) fn drop_row(&self) {
        if self.rows_dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("the tables' database is lost for so long that rows of events are lost");
        }
    }
}
