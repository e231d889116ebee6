//! What one query may take of whoever has tables in memory, in steps: about a nanosecond or two each.
//!
//! Invariant: whatever is asked, whoever answers one after the other has answered within a bounded number of steps. Never looks at a clock, so the same
//! query of the same rows takes the same.

use std::cell::Cell;

use super::error::ErrorCode;
use super::error::TableError;

/// The steps that are left.
#[derive(Debug)]
pub struct Effort(Cell<u64>);

/// Steps of looking at a row.
pub(super) const ROW_STEPS: u64 = 16;

impl Effort {
    /// So many steps.
    #[must_use]
    pub const fn of(steps: u64) -> Self {
        Self(Cell::new(steps))
    }

    /// As many as it takes: for one row.
    #[must_use]
    pub const fn endless() -> Self {
        Self::of(u64::MAX)
    }

    /// Takes so many steps.
    pub fn take(&self, steps: u64) {
        self.0.set(self.0.get().saturating_sub(steps));
    }

    /// Looks whether any are left.
    ///
    /// # Errors
    /// If none are.
    pub fn check(&self) -> Result<(), TableError> {
        match self.0.get() {
            0 => Err(TableError::new(
                ErrorCode::TooSlow,
                "it takes more work than a query may; ask for a key, or for less",
            )),
            _ => Ok(()),
        }
    }
}
