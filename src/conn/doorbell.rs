//! How a party that sleeps is woken by another thread.
//!
//! Invariant: whoever puts something into a party's inbox and then rings is heard: either the party has not yet looked for the last
//! time, or it is seen asleep and the bell rings. A party that is awake costs the caller no system call.
//!
//! The eventfd is created before any thread has a descriptor table of its own, so that its number means the same in each.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::atomic::fence;

use rustix::event::EventfdFlags;
use rustix::event::eventfd;

/// A core's doorbell.
#[derive(Debug)]
pub struct Doorbell {
    eventfd: OwnedFd,
    asleep: AtomicBool,
    stop: AtomicBool,
}

impl Doorbell {
    /// A bell for a core that is awake.
    ///
    /// # Errors
    /// If the process has no descriptor left for it.
    pub fn new() -> io::Result<Self> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { eventfd, asleep: AtomicBool::new(false), stop: AtomicBool::new(false) })
    }

    /// Wakes the core if it sleeps.
    pub fn ring(&self) {
        // What the caller has put into the inbox must be visible before it is asked whether the core sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::SeqCst) {
            self.strike();
        }
    }

    /// Asks the core to stop, and wakes it.
    pub fn ring_to_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.ring();
    }

    pub(super) fn stop_wanted(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// The core is about to sleep: it must look into its inbox once more after this.
    pub(super) fn fall_asleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// The core is awake and will look into its inbox.
    pub(super) fn wake_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Forgets that the bell was rung; of no use to an epoll instance that tells each ring once.
    pub(super) fn hush(&self) {
        // Nothing to read: it was not rung.
        let _count = rustix::io::read(&self.eventfd, &mut [0_u8; 8]);
    }

    fn strike(&self) {
        // The counter would have to reach 2^64 for this to fail, and then the bell has been ringing all along.
        let struck = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes());
        debug_assert!(
            struck.is_ok() || struck == Err(rustix::io::Errno::AGAIN),
            "the bell is ours: {struck:?}"
        );
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strikes(bell: &Doorbell) -> u64 {
        let mut count = [0; 8];
        match rustix::io::read(bell, &mut count) {
            Ok(_) => u64::from_ne_bytes(count),
            Err(rustix::io::Errno::AGAIN) => 0,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn only_a_sleeper_is_rung_and_only_once() {
        let bell = Doorbell::new().unwrap();
        bell.ring();
        assert_eq!(strikes(&bell), 0);
        bell.fall_asleep();
        bell.ring();
        bell.ring();
        assert_eq!(strikes(&bell), 1);
        bell.fall_asleep();
        bell.wake_up();
        bell.ring();
        assert_eq!(strikes(&bell), 0);
    }

    #[test]
    fn stopping_is_heard_awake_and_asleep() {
        let bell = Doorbell::new().unwrap();
        assert!(!bell.stop_wanted());
        bell.fall_asleep();
        bell.ring_to_stop();
        assert_eq!(strikes(&bell), 1);
        assert!(bell.stop_wanted());
    }
}
