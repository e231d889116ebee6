//! Waiting for the order to stop.
//!
//! SIGTERM, SIGINT, SIGHUP, SIGUSR1 and SIGUSR2 are blocked before any thread starts, so that none of them is interrupted, and one thread waits for them. No
//! handler ever runs. Once an order to stop has come the block is lifted: a second one ends the process at once.

#![expect(
    unsafe_code,
    reason = "the C library has no safe way to wait for a signal, and rustix leaves signal masks to it"
)]

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// The signals that the server hears, blocked.
pub struct Signals {
    set: libc::sigset_t,
}

/// Which one came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
    /// The terminal is gone, or somebody wants something read anew.
    Hangup,
    /// Something waits to be done in this process.
    Orders,
    /// The program is to be started anew, and to take over.
    Upgrade,
}

impl Signal {
    /// Whether it is an order to stop.
    #[must_use]
    pub const fn stops(self) -> bool {
        matches!(self, Self::Interrupt | Self::Terminate)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
            Self::Orders => "SIGUSR1",
            Self::Upgrade => "SIGUSR2",
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
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2] {
            // SAFETY: the set is initialised and ours, the signal exists.
            check(unsafe { libc::sigaddset(&raw mut set, signal) })?;
        }
        // SAFETY: the set is initialised; the former mask is not asked for.
        check_code(unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut())
        })?;
        Ok(Self { set })
    }

    /// Wakes whoever waits for signals in this process, from any thread.
    pub fn wake() {
        if let Err(error) =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1)
        {
            tracing::error!(%error, "cannot wake whoever carries orders out");
        }
    }

    /// Waits for one; if it is an order to stop, lifts the block.
    ///
    /// # Errors
    /// Never, as far as is known: the set is valid.
    pub fn wait(&self) -> io::Result<Signal> {
        let mut signal = 0;
        // SAFETY: the set is initialised, and the number goes to a place of our own.
        check_code(unsafe { libc::sigwait(&raw const self.set, &raw mut signal) })?;
        let signal = match signal {
            libc::SIGINT => Signal::Interrupt,
            libc::SIGHUP => Signal::Hangup,
            libc::SIGUSR1 => Signal::Orders,
            libc::SIGUSR2 => Signal::Upgrade,
            _ => Signal::Terminate,
        };
        if signal.stops() {
            self.lift()?;
        }
        Ok(signal)
    }

    /// Lifts the block: from now on a signal ends the process at once.
    ///
    /// # Errors
    /// Never, as far as is known: the set is valid.
    pub fn lift(&self) -> io::Result<()> {
        // SAFETY: as in `block`.
        check_code(unsafe {
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const self.set, ptr::null_mut())
        })
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Of calls that return the error itself.
fn check_code(code: libc::c_int) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
}
