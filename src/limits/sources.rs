//! The bounds of sources: far ends that events are fetched from.

use super::RUN_BYTES_MAX;
use super::RUN_EVENTS_MAX;

/// Messages that a source fetches at a time; further ones stay at the far end until those are stored.
pub const SOURCE_BATCH_MESSAGES_MAX: usize = 4 * RUN_EVENTS_MAX;
/// Bytes of such messages, but for the last one; further ones stay at the far end likewise.
pub const SOURCE_BATCH_BYTES_MAX: usize = RUN_BYTES_MAX;
/// Bytes of one message, before it is split; a larger one is skipped as unusable, or ends the connection where it cannot be passed over.
pub const SOURCE_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of what a far end calls a message; what is longer is known by its hash.
pub const SOURCE_ID_BYTES_MAX: usize = 48;
/// Bytes of where a far end is asked to go on from; a source that needs more is not gone on with, and says so in the log.
pub const SOURCE_RESUME_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a file with a secret or with certificates; a larger one stops the start.
pub const SOURCE_SECRET_BYTES_MAX: u64 = 1024 * 1024;
/// Sources of one server; more stop the start. Each is a thread and a party of the mesh.
pub const SOURCES_MAX: usize = 64;
/// Milliseconds that a connector may wait for messages before its source looks whether it is to stop.
pub const SOURCE_FETCH_MS: u64 = 100;
/// Milliseconds that connecting may take.
pub const SOURCE_CONNECT_MS_MAX: u64 = 5_000;
/// Milliseconds that acknowledging, or closing, may take.
pub const SOURCE_STORED_MS_MAX: u64 = 5_000;
/// Milliseconds until a far end is connected to again at first; twice as long each time.
pub const SOURCE_BACKOFF_MS_MIN: u64 = 100;
/// Milliseconds until it is connected to again at most.
pub const SOURCE_BACKOFF_MS_MAX: u64 = 30_000;
