//! What a peat-node client may ask for.
//!
//! Invariant: as of all limits, each is related to what it has to fit at compile time.

use super::FILTER_TERMS_MAX;

/// Levels of a peat-node query (its own limit); a deeper one is refused with `query nesting exceeds 16 levels`.
pub const PEAT_QUERY_LEVELS_MAX: usize = 16;
/// Nodes of a peat-node query; a larger one is refused with `invalid_argument`. With the test that lets deletes pass it must fit a filter.
pub const PEAT_QUERY_CLAUSES_MAX: usize = FILTER_TERMS_MAX - 1;
/// Collections that one peat-node subscriber may name; more are refused with `invalid_argument`.
pub const PEAT_COLLECTIONS_MAX: usize = 256;
/// Bytes of a Connect request's body; more are refused with 413.
pub const PEAT_REQUEST_BYTES_MAX: usize = 64 * 1024;
