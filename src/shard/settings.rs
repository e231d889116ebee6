//! What an operator may set that the core needs to know. Checked in `config`, never changed while the shard lives.

use crate::history::Retention;

/// A shard's settings; its shares of what is set for the whole process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub retention: Retention,
    /// Topics of this shard; one more is refused with `too_many_topics`.
    pub topics_max: usize,
    /// Connections of this shard; one more is closed at once.
    pub connections_max: usize,
    /// Bytes of a connection's outbox; at the limit its subscriptions' slow policy applies.
    pub outbox_bytes_max: usize,
    /// Bytes of one message of a client, also after inflating; a longer one closes with 1009.
    pub message_bytes_max: usize,
    /// Whether permessage-deflate is agreed to.
    pub deflate: bool,
    /// Whether `/echo` exists: it sends back what it gets, for conformance suites.
    pub echo: bool,
    /// A silent WebSocket client is pinged after so many seconds, and closed after twice as many.
    pub ping_after_s: u32,
    /// A request whose head or body does not arrive within so many seconds is answered 408; also how long an idle HTTP connection is kept.
    pub request_timeout_s: u32,
    /// How long a connection that is being closed may take to read what it is still sent.
    pub close_timeout_s: u32,
}
