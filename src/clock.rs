//! The only place that asks what time it is.
//!
//! Everything else is handed a [`Now`]. Never used by the pure modules (`shard` and below).

use std::time::Instant;
use std::time::SystemTime;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds since the process started: monotonic, for deadlines.
    pub mono_ms: u64,
    /// Microseconds since 1970-01-01 UTC: for stamps that people read.
    pub wall_us: u64,
}

/// The process's clock: created once in `main`, copied to each core.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Microseconds of the system's own monotonic clock, as other programs read it.
    #[must_use]
    pub fn system_us() -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let (seconds, nanoseconds) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
        seconds * 1_000_000 + nanoseconds / 1_000
    }

    /// Microseconds since the process started: for how long something took.
    #[must_use]
    pub fn mono_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Reads both clocks.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now {
            mono_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
        }
    }
}
