//! Every bound of the server, related to one another at compile time.
//!
//! Invariant: a server that starts can hold everything these limits allow. Nothing here is ever changed at run time; what an
//! operator may set is in `config`, whose defaults come from here.

/// Bytes of a topic name; a longer one is refused with `bad_topic`.
pub const TOPIC_BYTES_MAX: usize = 255;
/// Segments of a topic name or pattern; more are refused with `bad_topic`.
pub const TOPIC_SEGMENTS_MAX: usize = 16;
/// Bytes of an event's key; a longer one is refused with `too_large`.
pub const KEY_BYTES_MAX: usize = 255;

/// Levels of arrays and objects in a payload or a filter; a deeper text is refused with `bad_json` or `bad_filter`. As deep as
/// the readers of most languages go by default, so that what we take can be read by those to whom we give it.
pub const JSON_DEPTH_MAX: usize = 128;
/// Member names in the path of a field; a filter with a longer one is refused with `bad_filter`.
pub const PATH_STEPS_MAX: usize = 16;
/// Bytes of all member names of a path together; a filter with more is refused with `bad_filter`.
pub const PATH_BYTES_MAX: usize = 255;
/// Paths that are looked for when an event is taken in; the rest is found by each shard that has a filter on it, which costs that shard
/// a parse of its own.
pub const INTEREST_PATHS_MAX: usize = 1024;

/// Bytes of a filter as it is written; a longer one is refused with `bad_filter`.
pub const FILTER_BYTES_MAX: usize = 16 * 1024;
/// Levels of `and`, `or`, `not` and parentheses in a filter; a deeper one is refused with `bad_filter`.
pub const FILTER_DEPTH_MAX: usize = 32;
/// Tests in a filter; one with more is refused with `bad_filter`.
pub const FILTER_TERMS_MAX: usize = 256;
/// Values in one list of a filter; a longer one is refused with `bad_filter`.
pub const FILTER_LIST_MAX: usize = 1024;
/// Regular expressions in a filter; one with more is refused with `bad_filter`.
pub const FILTER_REGEXES_MAX: usize = 8;
/// Fields that a filter reads, alternatives included; one with more is refused with `bad_filter`.
pub const FILTER_PATHS_MAX: usize = 256;
/// Alternatives in one `first(…)`; more are refused with `bad_filter`.
pub const FILTER_FIRST_MAX: usize = 8;
/// Characters in one pattern with wildcards; a longer one is refused with `bad_filter`. What a text costs grows with both.
pub const PATTERN_CHARS_MAX: usize = 256;
/// Bytes that one compiled regular expression may take; a larger one is refused with `bad_filter`.
pub const REGEX_BYTES_MAX: usize = 256 * 1024;
/// Points of a polygon; more are refused with `bad_filter`.
pub const POLYGON_POINTS_MAX: usize = 256;
const _: () = assert!(
    FILTER_PATHS_MAX <= INTEREST_PATHS_MAX,
    "one filter alone must be able to find all its fields"
);
/// Alternatives (an `and` of tests each) that a filter is indexed by; one with more is found by what all of them need, or, if
/// that is nothing, evaluated for every event of its topics.
pub const FILTER_CLAUSES_MAX: usize = 32;
/// Distinct (field, kind of value) pairs that a shard's filters are indexed by; tests of further ones are not indexed, but evaluated
/// where the other tests of their filter lead to it.
pub const MATCHER_DIMENSIONS_MAX: usize = 16 * 1024;
