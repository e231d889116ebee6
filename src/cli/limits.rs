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
/// The longest that a `Retry-After`, or a server that says when to come back, is obeyed; more is cut to this.
pub(crate) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// How long the publisher goes on trying to reach a server that it has lost; after it it gives up and prints its totals.
pub(crate) const RECONNECT_PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of printed lines that wait for a flush; at the limit they are flushed although more is to come.
pub(crate) const PRINTED_PENDING_BYTES_MAX: usize = 64 * 1024;

/// Clients of another broker that the bridge speaks for; at the limit the one that has asked nothing for the longest is spoken for no longer.
pub(crate) const BRIDGE_CLIENTS_MAX: usize = 1000;
/// Requests of one of them, and packets of one connection, that wait; at the limit a request is refused, and a connection is not read.
pub(crate) const BRIDGE_PENDING_MAX: usize = 64;
/// Bytes of a packet between the bridge and a broker or server; a larger one ends its connection. An answer has at most 1 MiB and one row.
pub(crate) const BRIDGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often a connection for a client may be lost before the server has taken what it asks; then what it asks is refused.
pub(crate) const BRIDGE_TRIES_MAX: u32 = 5;

/// Bytes of one of `fanwire client`'s orders; a longer one ends it. A payload may have 1 MiB, and each byte of it may be written as six.
pub(crate) const ORDER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Orders, questions and tokens of it that wait; at the limit standard input is not read.
pub(crate) const ORDERS_PENDING_MAX: usize = 64;

const _: () = assert!(LINE_BYTES_MAX < 2 * BULK_BYTES_MAX, "a body may run over by one record");
