//! Bounds of dialects whose clients came from somewhere: what their messages may ask for.

use super::FILTER_TERMS_MAX;
use super::OUTBOX_BYTES_MAX;
use super::PAYLOAD_BYTES_MAX;
use super::SUBSCRIPTION_TOPICS_MAX;
use super::SUBSCRIPTIONS_MAX;

/// Levels of a peat-node query (its own limit); a deeper one is refused with `query nesting exceeds 16 levels`.
pub const PEAT_QUERY_LEVELS_MAX: usize = 16;
/// Nodes of a peat-node query; a larger one is refused with `invalid_argument`. With the test that lets deletes pass it must fit a filter.
pub const PEAT_QUERY_CLAUSES_MAX: usize = FILTER_TERMS_MAX - 1;
/// Collections that one peat-node subscriber may name; more are refused with `invalid_argument`.
pub const PEAT_COLLECTIONS_MAX: usize = 256;
/// Bytes of a Connect request's body; more are refused with 413.
pub const PEAT_REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Topics of one HyperBEAM client; a message that asks for more is answered with an error and changes nothing, a URL with 400.
pub const HYPERBEAM_TOPICS_MAX: usize = 1024;
/// Bytes of one name of a HyperBEAM topic; a longer one is answered likewise. Clients are told their topics' names again and again.
pub const HYPERBEAM_TOPIC_BYTES_MAX: usize = 1024;
/// Of those: derived topics and regular expressions, each of which is a subscription of its own; more are answered likewise.
pub const HYPERBEAM_FILTERED_MAX: usize = 32;
const _: () = assert!(
    HYPERBEAM_TOPICS_MAX.div_ceil(SUBSCRIPTION_TOPICS_MAX) + HYPERBEAM_FILTERED_MAX
        <= SUBSCRIPTIONS_MAX
);
/// Bytes of a message that is cast; more are refused with 413.
pub const HYPERBEAM_CAST_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;
/// Topics that one shard tells of for `info`; further ones are left out.
pub const HYPERBEAM_INFO_TOPICS_MAX: usize = 10_000;

/// Subscriptions of one rtbdp client. What is beyond a bound of this dialect is passed over in silence, for its protocol has no word for it.
pub const RTBDP_SUBSCRIPTIONS_MAX: usize = 1024;
/// Tests, and lists of them, of all of a client's subscriptions to one table, which are one filter; a subscription beyond it is passed over.
pub const RTBDP_TESTS_MAX: usize = 240;
/// Bytes of the filters of all of a client's subscriptions; a subscription beyond it is passed over.
pub const RTBDP_FILTERS_BYTES_MAX: usize = 1024 * 1024;
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

/// Bytes of the rows of one ResolveSpec answer, which is one message; a read that finds more is answered with `read_error`. The rows of an answer of several
/// pages are gathered as they come, page by page, and one connection gathers one answer at a time.
pub const RESOLVESPEC_ANSWER_BYTES_MAX: usize = 1024 * 1024;
const _: () = assert!(RESOLVESPEC_ANSWER_BYTES_MAX <= OUTBOX_BYTES_MAX, "an answer fits an outbox");
