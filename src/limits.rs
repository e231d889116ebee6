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
/// a parse of its own. Numbered in 16 bits.
pub const INTEREST_PATHS_MAX: usize = 1024;
const _: () = assert!(INTEREST_PATHS_MAX <= u16::MAX as usize);
