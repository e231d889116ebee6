//! The only place of the load generator that asks what time it is, and the only one that waits.
//!
//! All times are nanoseconds of CLOCK_MONOTONIC, which every process of a machine reads alike: a publisher can write
//! one into a payload and a subscriber in another process can subtract it.

use rustix::thread::nanosleep;
use rustix::time::ClockId;
use rustix::time::Timespec;
use rustix::time::clock_gettime;

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const MILLI: u64 = 1_000_000;

/// Now.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let rest = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds * SECOND + rest
}

/// A length of time as the kernel takes it.
pub(crate) fn timespec(ns: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(ns / SECOND).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(ns % SECOND).unwrap_or(0),
    }
}

/// Waits `ns`; a signal may end it early, which no caller minds.
pub(crate) fn pause(ns: u64) {
    let _slept = nanosleep(&timespec(ns));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_ascends() {
        let before = now_ns();
        assert!(now_ns() >= before);
        assert!(before > 0);
    }

    #[test]
    fn a_timespec_holds_the_parts() {
        let it = timespec(2 * SECOND + 5);
        assert_eq!((it.tv_sec, it.tv_nsec), (2, 5));
    }
}
