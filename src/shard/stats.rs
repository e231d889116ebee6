//! What a shard has counted: plain integers, added up over the shards by whoever reads them.

/// Counters since the start, and a few levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Open connections of every kind.
    pub connections: u64,
    pub connections_opened: u64,
    pub subscriptions: u64,
    pub classes: u64,
    /// Topics at home here.
    pub topics: u64,
    /// Events ordered here.
    pub published: u64,
    pub published_bytes: u64,
    /// Events refused because something was full.
    pub refused_full: u64,
    /// How often events were made to wait for those who listen.
    pub held: u64,
    /// Events refused because their publisher had published too many lately.
    pub refused_rate: u64,
    /// Rows of tables that changed and that nobody could be told of.
    pub rows_untold: u64,
    /// Events fanned out here: every shard sees every event.
    pub events: u64,
    /// Events sent, counted once per connection.
    pub deliveries: u64,
    pub sends: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Connections closed because their outbox was full.
    pub slow_disconnects: u64,
    /// Steps that filters took for live events.
    pub filter_steps: u64,
    /// Connections closed because their filters took more work than they may.
    pub filter_work_disconnects: u64,
    /// Events passed over for a newer one of the same key.
    pub skipped: u64,
    /// Events dropped by `drop_oldest`.
    pub dropped: u64,
    /// Connections closed for a violation of their protocol.
    pub violations: u64,
    pub history_events: u64,
    pub history_bytes: u64,
    pub history_keys: u64,
    pub deflate_streams: u64,
    /// Bytes held of what has come in part, or waits for its turn.
    pub input_bytes: u64,
    /// Connections that were refused because of all that held the most of that.
    pub input_refused: u64,
    /// Handshakes of TLS that were done.
    pub tls_handshakes: u64,
    /// Handshakes that failed, and connections whose records were broken.
    pub tls_failures: u64,
    /// Connections closed because all held too many records in part, and they for the longest.
    pub tls_shed: u64,
}
