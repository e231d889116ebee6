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
