//! A counter in the kernel that a thread can wait for: `eventfd(2)`.
//!
//! Invariant: neither adding to it nor emptying it ever blocks. Knows nothing of who is asleep: that is the doorbell's.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::EventfdFlags;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::eventfd;
use rustix::event::poll;

/// A counter that is readable while it is not zero.
#[derive(Debug)]
pub(super) struct Eventfd(OwnedFd);

impl Eventfd {
    /// A counter at zero.
    ///
    /// # Errors
    /// If the process has no descriptor left for it.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Adds one.
    pub(super) fn add(&self) {
        // The counter would have to reach 2^64 for this to fail, and then it has been readable all along.
        let added = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        debug_assert!(
            added.is_ok() || added == Err(rustix::io::Errno::AGAIN),
            "the descriptor is ours: {added:?}"
        );
    }

    /// Sets it to zero; says what it was.
    pub(super) fn empty(&self) -> u64 {
        let mut count = [0; 8];
        match rustix::io::read(&self.0, &mut count) {
            Ok(_) => u64::from_ne_bytes(count),
            Err(_) => 0,
        }
    }

    /// Waits until it is not zero, for so long at most.
    pub(super) fn wait(&self, most: Duration) {
        let most = Timespec::try_from(most).ok();
        // Interrupted, or a moment without memory: it has waited too short, and whoever waits looks for itself.
        let _ready =
            poll(&mut [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)], most.as_ref());
    }
}

impl AsFd for Eventfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
