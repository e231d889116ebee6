//! When a sleeping core must wake by itself.
//!
//! One timerfd, one shot at a time. Invariant: it is set anew only if the moment differs, so that a core that wakes often pays for it
//! ten times a second, not each time. While the core is awake nobody looks at it: the turn compares clocks.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;

use rustix::time::Itimerspec;
use rustix::time::TimerfdClockId;
use rustix::time::TimerfdFlags;
use rustix::time::TimerfdTimerFlags;
use rustix::time::Timespec;
use rustix::time::timerfd_create;
use rustix::time::timerfd_settime;

/// A core's alarm clock.
#[derive(Debug)]
pub(super) struct Timer {
    timerfd: OwnedFd,
    /// The moment it is set to, in `Now::mono_ms`.
    set_ms: u64,
}

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timerfd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { timerfd, set_ms: 0 })
    }

    /// Rings at that moment, or at once if it has passed.
    pub(super) fn set(&mut self, at_ms: u64, now_ms: u64) {
        if self.set_ms == at_ms && now_ms < at_ms {
            return;
        }
        self.set_ms = at_ms;
        let after_ms = at_ms.saturating_sub(now_ms);
        let seconds = i64::try_from(after_ms / 1000).unwrap_or(i64::MAX);
        // A timer set to nothing would be switched off; the shortest it knows is a nanosecond.
        let nanos =
            i64::try_from(after_ms % 1000 * 1_000_000).expect("it is below a second").max(1);
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec { tv_sec: seconds, tv_nsec: nanos },
        };
        let set = timerfd_settime(&self.timerfd, TimerfdTimerFlags::empty(), &once);
        debug_assert!(set.is_ok(), "the timer is ours and its time is valid: {set:?}");
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timerfd.as_fd()
    }
}
