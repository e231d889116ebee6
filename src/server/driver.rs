//! Which way of waiting for the kernel the runtimes use, and why.
//!
//! The runtime only ever waits for one descriptor, the core's epoll instance, so either driver serves as well as the other; the
//! choice is the operator's, and by default io_uring where the kernel allows it.

use std::fmt;
use std::future::Future;
use std::io;

use monoio::IoUringDriver;
use monoio::LegacyDriver;
use monoio::RuntimeBuilder;

use super::error::StartError;
use crate::config::DriverChoice;

/// Entries of a runtime's rings: it has one wait underway at a time, and this is the least that the runtime makes.
const RING_ENTRIES: u32 = 256;

/// A way of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Driver {
    IoUring,
    Epoll,
}

/// A driver, and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) driver: Driver,
    why: String,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.driver {
            Driver::IoUring => "io_uring",
            Driver::Epoll => "epoll",
        };
        write!(f, "{name} ({})", self.why)
    }
}

/// Chooses, after asking the kernel.
///
/// # Errors
/// If io_uring was asked for by name and the kernel does not allow it.
pub(super) fn choose(choice: DriverChoice) -> Result<Chosen, StartError> {
    if choice == DriverChoice::Epoll {
        return Ok(Chosen { driver: Driver::Epoll, why: "as configured".to_owned() });
    }
    match (Runtime::new(Driver::IoUring), choice) {
        (Ok(_), _) => {
            let uname = rustix::system::uname();
            let why = format!("kernel {} allows it", uname.release().to_string_lossy());
            Ok(Chosen { driver: Driver::IoUring, why })
        }
        (Err(error), DriverChoice::IoUring) => Err(StartError::NoIoUring(error)),
        (Err(error), _) => Ok(Chosen {
            driver: Driver::Epoll,
            why: format!("the kernel does not allow io_uring: {error}"),
        }),
    }
}

/// A shard's runtime.
pub(super) enum Runtime {
    IoUring(Box<monoio::Runtime<IoUringDriver>>),
    Epoll(Box<monoio::Runtime<LegacyDriver>>),
}

impl Runtime {
    pub(super) fn new(driver: Driver) -> io::Result<Self> {
        Ok(match driver {
            Driver::IoUring => {
                let builder = RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES);
                Self::IoUring(Box::new(builder.build()?))
            }
            Driver::Epoll => Self::Epoll(Box::new(RuntimeBuilder::<LegacyDriver>::new().build()?)),
        })
    }

    pub(super) fn block_on<F: Future>(&mut self, task: F) -> F::Output {
        match self {
            Self::IoUring(runtime) => runtime.block_on(task),
            Self::Epoll(runtime) => runtime.block_on(task),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_chosen_and_explained() {
        let chosen = choose(DriverChoice::Epoll).unwrap();
        assert_eq!(chosen.to_string(), "epoll (as configured)");
        let chosen = choose(DriverChoice::Auto).unwrap().to_string();
        let is_explained = chosen.starts_with("io_uring (kernel ")
            || chosen.starts_with("epoll (the kernel does not");
        assert!(is_explained, "{chosen}");
    }
}
