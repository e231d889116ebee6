//! How a core sleeps, without its sockets: as `Core::falls_asleep` and the loop around it do.

use std::time::Duration;

use super::doorbell::Doorbell;

/// Sleeps until the bell rings, unless something has come in between.
pub fn sleep_unless(doorbell: &Doorbell, has_come: impl Fn() -> bool) {
    doorbell.fall_asleep();
    if !has_come() && !doorbell.stop_wanted() {
        doorbell.eventfd().wait(Duration::MAX);
        doorbell.eventfd().empty();
    }
    doorbell.wake_up();
}
