//! Whether something keeps the machine's clock right.

#![expect(unsafe_code, reason = "the C library has no safe way to ask how the clock is kept")]

use std::mem::MaybeUninit;

/// `adjtimex` (2): nobody keeps it.
const TIME_ERROR: libc::c_int = 5;

/// Whether the kernel is told the time by somebody; `None`: it does not say.
pub(super) fn is_synchronised() -> Option<bool> {
    let mut asked = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: the pointer is to a structure of our own; all its fields are numbers, for which zero is a value. No mode is set, so nothing is changed.
    let state = unsafe { libc::adjtimex(asked.as_mut_ptr()) };
    (state >= 0).then_some(state != TIME_ERROR)
}
