//! Bounds of the rtbdp dialect. What is beyond one is passed over in silence, for the protocol has no word for it.

use super::FILTER_TERMS_MAX;

/// Subscriptions of one client; further ones are passed over.
pub const RTBDP_SUBSCRIPTIONS_MAX: usize = 1024;
/// Tests, and lists of them, of all of a client's subscriptions to one table, which are one filter; a subscription beyond it is passed over.
pub const RTBDP_TESTS_MAX: usize = 240;
/// Replays in one message; further ones are passed over.
pub const RTBDP_REPLAYS_MAX: usize = 256;
/// Rows of a ranking that are read to count their places; a replay of a longer one is never ended by `replayed`.
pub const RTBDP_RANKED_ROWS_MAX: u64 = 100_000;
/// Bytes of what is said at `/login`; more are refused with 413.
pub const RTBDP_LOGIN_BYTES_MAX: usize = 4096;
const _: () = assert!(
    RTBDP_TESTS_MAX + 4 <= FILTER_TERMS_MAX,
    "one filter holds them, and the one for deletes"
);
