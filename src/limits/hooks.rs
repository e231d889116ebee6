//! Bounds of hooks: of what is asked of whoever answers them, and of what that says.

/// Calls that wait to be answered; one more is answered with a failure, which is no yes.
pub const HOOK_CALLS_MAX: usize = 4096;
/// Bytes of them, but for a single larger one; at the limit one more is answered with a failure.
pub const HOOK_CALLS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of an answer over HTTP; a longer one is a failure.
pub const HOOK_ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Threads that wait for answers, and so calls that are answered at once; an operator may set from 1 to so many.
pub const HOOK_THREADS_MAX: u64 = 256;
/// Milliseconds that a call may take; an operator may set from 1 to so many.
pub const HOOK_TIMEOUT_MS_MAX: u64 = 60_000;
/// Seconds for which a connection to whoever answers is kept without a call: less than servers of HTTP usually keep it, so that a call rarely finds it closed.
pub const HOOK_IDLE_S_MAX: u64 = 4;
