//! Descriptors: how many there may be, and a table of its own for each shard.
//!
//! The limit on open files holds per table, and threads share one unless they leave it. Invariants: a shard leaves only after every
//! runtime and doorbell has been made, so that their numbers mean the same in each table (a runtime wakes another by writing to the number
//! that it knows); what is opened afterwards never crosses from one thread to another.

#![expect(
    unsafe_code,
    reason = "leaving the shared table of descriptors is unsafe by nature; it is done here, once per shard, and nowhere else"
)]

use std::io;

use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;
use rustix::thread::UnshareFlags;
use rustix::thread::unshare_unsafe;

/// Raises the limit on open files as far as it goes; says how far.
pub(super) fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// Gives the calling thread a table of its own, with everything in it that is open now.
pub(super) fn leave_shared_table() -> io::Result<()> {
    // SAFETY: no thread holds a descriptor that another opens after this point: shards make their listener, epoll instance and timer
    // themselves and keep them, and what they share with others (doorbells, the runtimes' own eventfds) was opened before.
    Ok(unsafe { unshare_unsafe(UnshareFlags::FILES) }?)
}
