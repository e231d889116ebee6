//! Accepting a connection together with the first bytes that its client says.
//!
//! `tcp(7)`, `TCP_DEFER_ACCEPT`: the kernel wakes a listener when data has come, not when the handshake is done. In every protocol that is
//! spoken here the client speaks first, so nothing is lost by that, and a core is woken once for a client instead of twice.

#![expect(
    unsafe_code,
    reason = "rustix has no name for this option; it is set here, once per listener, and nothing else is"
)]

use std::ffi::c_int;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd as _;

/// Has a listener's connections accepted once they have said something, or after about so many seconds.
pub(super) fn until_spoken(listener: impl AsFd, seconds: u16) -> io::Result<()> {
    let seconds = c_int::from(seconds);
    // SAFETY: the descriptor is open as long as it is borrowed; the value is an int that lives through the call, of the size that is given.
    let set = unsafe {
        libc::setsockopt(
            listener.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            libc::socklen_t::try_from(size_of::<c_int>()).expect("it is small"),
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
