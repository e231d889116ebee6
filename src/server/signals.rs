//! Waiting for the order to stop.
//!
//! SIGTERM and SIGINT are blocked before any thread starts, so that none of them is interrupted, and one thread waits for them. No
//! handler ever runs. Once the first has come the block is lifted: a second one ends the process at once.

#![expect(
    unsafe_code,
    reason = "the C library has no safe way to wait for a signal, and rustix leaves signal masks to it"
)]

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// The signals that end the server, blocked.
pub struct Signals {
    set: libc::sigset_t,
}

/// Which one came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

impl Signals {
    /// Blocks them in this thread and in those that it starts from now on.
    ///
    /// # Errors
    /// Never, as far as is known: the set is valid.
    pub fn block() -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the pointer is to a set of our own, which the call fills.
        check(unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
        // SAFETY: it has just been filled.
        let mut set = unsafe { set.assume_init() };
        for signal in [libc::SIGINT, libc::SIGTERM] {
            // SAFETY: the set is initialised and ours, the signal exists.
            check(unsafe { libc::sigaddset(&raw mut set, signal) })?;
        }
        // SAFETY: the set is initialised; the former mask is not asked for.
        check_code(unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut())
        })?;
        Ok(Self { set })
    }

    /// Waits for one, and lifts the block.
    ///
    /// # Errors
    /// Never, as far as is known: the set is valid.
    pub fn wait(self) -> io::Result<Signal> {
        let mut signal = 0;
        // SAFETY: the set is initialised, and the number goes to a place of our own.
        check_code(unsafe { libc::sigwait(&raw const self.set, &raw mut signal) })?;
        // SAFETY: as in `block`.
        check_code(unsafe {
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const self.set, ptr::null_mut())
        })?;
        Ok(if signal == libc::SIGINT { Signal::Interrupt } else { Signal::Terminate })
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Of calls that return the error itself.
fn check_code(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}
