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

/// Bytes of a request head, request line and fields together; more are refused with 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Fields of a request head; more are refused with 431.
pub const HEAD_FIELDS_MAX: usize = 100;
/// Bytes of a request line (RFC 9112 section 3 recommends at least 8000); more are refused with 414.
pub const REQUEST_LINE_BYTES_MAX: usize = 8 * 1024;
/// Bytes that a chunked body may spend on chunk extensions and trailers, in all; more are refused with 431.
pub const BODY_OVERHEAD_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a WebSocket message, also after inflating, that a listener may be configured to take; more close with 1009.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Frames of one WebSocket message: 65,536 with something in them, and the empty one that some senders end with (Autobahn's cases 9.3.1
/// and 9.4.1 among them); more close with 1009.
pub const MESSAGE_FRAMES_MAX: u32 = 65_536 + 1;
/// Ended deflate streams within one compressed message; more close with 1007. An honest sender ends one.
pub const INFLATE_STREAMS_MAX: u32 = 64;
/// Bytes inflated between two looks at the message limit and at the UTF-8; bounds what a hostile message costs beyond both.
pub const INFLATE_STEP_BYTES: usize = 32 * 1024;
/// Half-received messages whose buffers a shard keeps for the next one; further ones are freed.
pub const PARTIAL_SPARES_MAX: usize = 64;
/// Bytes of such a buffer; a larger one is freed.
pub const PARTIAL_SPARE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the buffers into which a shard inflates, kept between two messages; larger ones are freed when the next one comes.
pub const INFLATED_KEPT_BYTES_MAX: usize = 1024 * 1024;

// A head's parts are addressed with 16 bits.
const _: () = assert!(HEAD_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(REQUEST_LINE_BYTES_MAX < HEAD_BYTES_MAX);
// Lengths of a message are counted in 32 bits.
const _: () = assert!(MESSAGE_BYTES_MAX <= u32::MAX as usize / 2);
