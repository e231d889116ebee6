//! What filters and paths may be, and what evaluating them may take.
//!
//! Invariant: as of all limits, each is related to what it has to fit at compile time.

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
/// Bytes of an interest, paths and tree; paths beyond it are left out, too, with the same consequence.
pub const INTEREST_BYTES_MAX: usize = 256 * 1024;
/// Interests of a shard's past that it keeps for events that are on their way; an event of an older one is parsed by each shard that has a filter.
pub const FORMER_INTERESTS_MAX: usize = 4;

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
/// Characters in one pattern with wildcards, folded if it disregards case; a longer one is refused with `bad_filter`. Looking for a
/// part with single characters in it takes a step for each 64 of them and character of the text.
pub const PATTERN_CHARS_MAX: usize = 256;
/// Bytes of one regular expression as it is written; a longer one is refused with `bad_filter`.
pub const REGEX_TEXT_BYTES_MAX: usize = 2048;
/// Levels of groups, classes and repetitions in a regular expression; a deeper one is refused with `bad_filter`.
pub const REGEX_DEPTH_MAX: u32 = 32;
/// What all regular expressions of a filter may be made of, counted before they are compiled: bytes to tell apart, repetitions written out; more is
/// refused with `bad_filter`. What compiling takes grows with it: about a millisecond at the limit.
pub const REGEX_SIZE_MAX: u64 = 4096;
/// Bytes that one compiled regular expression may take; a larger one is refused with `bad_filter`.
pub const REGEX_BYTES_MAX: usize = 256 * 1024;
/// Bytes of states that one regular expression keeps ready; at the limit they are forgotten and made anew.
pub const REGEX_CACHE_BYTES_MAX: usize = 128 * 1024;
/// What a filter may cost: the steps that it takes for an event in which every field that it reads is a text of 1 KiB. A dearer one is refused with
/// `bad_filter`.
pub const FILTER_COST_MAX: u64 = 64 * 1024;
/// Steps that one connection's filters may take for one event, about 4 ms; at the limit the connection is closed with 1008.
pub const FILTER_EVENT_STEPS_MAX: u64 = 4_000_000;
/// Bytes of a number in a payload that is looked at without a parse; of a longer one the parser says what it is.
pub const GLANCE_NUMBER_BYTES_MAX: usize = 18;
/// Steps that one connection's filters may take in one second, a 25th of a core; at the limit the connection is closed with 1008. A replay waits instead.
pub const FILTER_SECOND_STEPS_MAX: u64 = 40_000_000;
/// Steps that a refused filter takes of what its connection's filters may take in a second: as much as the dearest one that is taken, about a
/// millisecond.
pub const FILTER_REFUSED_STEPS: u64 = 1_000_000;
/// Steps of one filter and event that nobody is charged for: what a filter of a few plain tests takes.
pub const FILTER_FREE_STEPS: u64 = 64;
/// Steps of filters that count as a unit of a turn's work: both are so many nanoseconds.
pub const FILTER_STEPS_PER_UNIT: u64 = 50;
const _: () = assert!(FILTER_EVENT_STEPS_MAX <= FILTER_SECOND_STEPS_MAX);
const _: () = assert!(
    FILTER_COST_MAX <= FILTER_EVENT_STEPS_MAX,
    "what is taken can be asked about an event of usual size"
);
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
/// Names in one path of a subscription's `fields`; more are refused with `bad_field`.
pub const PROJECTION_DEPTH_MAX: usize = 16;
/// Keys that a paced or leaving subscription may hold; beyond it the connection is closed with 4008, for nothing may be lost in silence.
pub const SHAPED_KEYS_MAX: usize = 100_000;
/// Bytes of such a key without its texts: in its table, in the one of who has it inside, and what counts who holds its texts.
pub const SHAPED_KEY_BYTES: usize = 256;
