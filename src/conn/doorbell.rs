//! How a party that sleeps is woken by another thread.
//!
//! Invariant: whoever puts something into a party's inbox and then rings is heard: either the party has not yet looked for the last
//! time, or it is seen asleep and the bell rings. A party that is awake costs the caller no system call.
//!
//! The eventfd is created before any thread has a descriptor table of its own, so that its number means the same in each.

use std::io;

use super::eventfd::Eventfd;
use super::sync::AtomicBool;
use super::sync::Ordering;
use super::sync::fence;

/// A core's doorbell.
#[derive(Debug)]
pub struct Doorbell {
    eventfd: Eventfd,
    asleep: AtomicBool,
    stop: AtomicBool,
}

impl Doorbell {
    /// A bell for a core that is awake.
    ///
    /// # Errors
    /// If the process has no descriptor left for it.
    pub fn new() -> io::Result<Self> {
        let eventfd = Eventfd::new()?;
        Ok(Self { eventfd, asleep: AtomicBool::new(false), stop: AtomicBool::new(false) })
    }

    /// Wakes the core if it sleeps.
    pub fn ring(&self) {
        // What the caller has put into the inbox must be visible before it is asked whether the core sleeps.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.was_asleep() {
            self.eventfd.add();
        }
    }

    /// Notes that the core is awake; true for the one caller who finds it asleep. Writes nothing otherwise: a write that changes nothing takes
    /// the cache line from the core, and loom cannot tell that it came before the core fell asleep again.
    fn was_asleep(&self) -> bool {
        self.asleep.compare_exchange(true, false, Ordering::SeqCst, Ordering::Relaxed).is_ok()
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

    /// What becomes readable when the bell rings.
    pub(super) const fn eventfd(&self) -> &Eventfd {
        &self.eventfd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sleeper_is_rung_and_only_once() {
        let bell = Doorbell::new().unwrap();
        bell.ring();
        assert_eq!(bell.eventfd().empty(), 0);
        bell.fall_asleep();
        bell.ring();
        bell.ring();
        assert_eq!(bell.eventfd().empty(), 1);
        bell.fall_asleep();
        bell.wake_up();
        bell.ring();
        assert_eq!(bell.eventfd().empty(), 0);
    }

    #[test]
    fn stopping_is_heard_awake_and_asleep() {
        let bell = Doorbell::new().unwrap();
        assert!(!bell.stop_wanted());
        bell.fall_asleep();
        bell.ring_to_stop();
        assert_eq!(bell.eventfd().empty(), 1);
        assert!(bell.stop_wanted());
    }
}
