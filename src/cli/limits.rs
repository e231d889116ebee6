//! The bounds of the command line client; the server's are in `crate::limits`.
//!
//! They stand apart because a client that is too generous harms only itself: nothing here is part of the server's memory budget.

use std::time::Duration;

/// Bytes of one record; a longer line is not sent, and is reported by its number. The server's own limit on a payload is the same.
pub(crate) const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that the reader gathers before it hands them on; more simply become the next chunk.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that wait between the reader's thread and the publisher; at the limit the reader waits.
pub(crate) const CHUNKS_PENDING_MAX: usize = 4;
/// Bytes of one request's body when publishing as fast as the server takes it; the next record begins a new request.
pub(crate) const BULK_BYTES_MAX: usize = 1024 * 1024;
/// Records of one such request.
pub(crate) const BULK_LINES_MAX: usize = 8192;
/// Records of one request when publishing at a pace: small, so that what is due now does not wait for a long body.
pub(crate) const PACED_LINES_MAX: usize = 512;
/// Rejected lines that the totals list by number; the rest are only counted.
pub(crate) const REJECTED_LISTED_MAX: usize = 20;

/// Bytes of an answer; a longer one is an error of the server's.
pub(crate) const RESPONSE_BYTES_MAX: usize = 1024 * 1024;
/// How long an answer may take; after it the connection counts as lost.
pub(crate) const RESPONSE_WAIT_MAX: Duration = Duration::from_secs(60);
/// How long a connection may take to be made.
pub(crate) const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);
/// The longest that a `Retry-After`, or a server that says when to come back, is obeyed; more is cut to this.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// How long the publisher goes on trying to reach a server that it has lost; after it it gives up and prints its totals.
pub(crate) const RECONNECT_PATIENCE: Duration = Duration::from_secs(120);
/// The first and the longest wait between two attempts to connect.
pub(crate) const BACKOFF_MIN: Duration = Duration::from_millis(100);
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Bytes of a message from the server; a longer one ends the connection. A batch is at most 256 KiB and one event beyond.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Silence after which a subscriber's connection counts as lost: the server pings every 30 s.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(75);
/// Bytes of printed lines that wait for a flush; at the limit they are flushed although more is to come.
pub(crate) const PRINTED_PENDING_BYTES_MAX: usize = 64 * 1024;
/// Topics whose offsets a position remembers. Events of further topics are printed, but may be repeated after a lost connection; this is said once.
pub(crate) const POSITION_TOPICS_MAX: usize = 65_536;

/// Clients of another broker that the bridge speaks for; at the limit the one that has asked nothing for the longest is spoken for no longer.
pub(crate) const BRIDGE_CLIENTS_MAX: usize = 1000;
/// Requests of one of them, and packets of one connection, that wait; at the limit a request is refused, and a connection is not read.
pub(crate) const BRIDGE_PENDING_MAX: usize = 64;
/// Bytes of a packet between the bridge and a broker or server; a larger one ends its connection. An answer has at most 1 MiB and one row.
pub(crate) const BRIDGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often a connection for a client may be lost before the server has taken what it asks; then what it asks is refused.
pub(crate) const BRIDGE_TRIES_MAX: u32 = 5;

const _: () = assert!(LINE_BYTES_MAX < 2 * BULK_BYTES_MAX, "a body may run over by one record");
const _: () = assert!(SILENCE_MAX.as_secs() > 2 * 30, "two of the server's pings must be missing");
