//! What a shard counts, each figure with the one name that it has everywhere: on `GET /metrics`, and in the `MetricUpdate` events of the server itself.
//!
//! Invariant: a name stands in this list once. Never counts anything.

use super::stats::Stats;

/// One thing that is counted.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    pub name: &'static str,
    pub kind: FigureKind,
    pub help: &'static str,
    pub read: fn(&Stats) -> u64,
}

/// How a figure moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureKind {
    /// Only ever rises.
    Counter,
    Gauge,
}

impl FigureKind {
    /// The kind's word, in Prometheus as in `metric_type`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&Stats) -> u64) -> Figure {
    Figure { name, kind: FigureKind::Gauge, help, read }
}

const fn counter(name: &'static str, help: &'static str, read: fn(&Stats) -> u64) -> Figure {
    Figure { name, kind: FigureKind::Counter, help, read }
}

/// The figures of shards.
pub const FIGURES: &[Figure] = &[
    gauge("fanwire_connections", "Connections that are open.", |stats| stats.connections),
    counter("fanwire_connections_opened_total", "Connections that were accepted.", |stats| {
        stats.connections_opened
    }),
    counter(
        "fanwire_connections_refused_total",
        "Connections that were closed at once: there were as many as there may be, in all or from their address.",
        |stats| stats.connections_refused,
    ),
    counter(
        "fanwire_rows_untold_total",
        "Rows of tables that changed and that nobody could be told of, for want of room for their topic.",
        |stats| stats.rows_untold,
    ),
    gauge("fanwire_subscriptions", "Subscriptions that stand.", |stats| stats.subscriptions),
    gauge("fanwire_classes", "Classes of like subscribers, counted on each shard.", |stats| {
        stats.classes
    }),
    gauge("fanwire_topics", "Topics that are known.", |stats| stats.topics),
    counter("fanwire_events_total", "Events that were given their place in a topic.", |stats| {
        stats.published
    }),
    counter("fanwire_events_bytes_total", "Bytes of their payloads.", |stats| {
        stats.published_bytes
    }),
    counter(
        "fanwire_events_refused_total",
        "Events that were refused because something was full.",
        |stats| stats.refused_full,
    ),
    counter(
        "fanwire_events_over_rate_total",
        "Events that were refused because their publisher had published too many lately; those of an upload that is held, at each attempt.",
        |stats| stats.refused_rate,
    ),
    counter(
        "fanwire_fanned_out_total",
        "Events that were matched against subscriptions; each shard sees each event.",
        |stats| stats.events,
    ),
    counter(
        "fanwire_deliveries_total",
        "Events that were sent, counted once per connection; one message may hold many of them.",
        |stats| stats.deliveries,
    ),
    counter("fanwire_sends_total", "System calls that sent something.", |stats| stats.sends),
    counter("fanwire_bytes_sent_total", "Bytes that were sent.", |stats| stats.bytes_sent),
    counter("fanwire_bytes_received_total", "Bytes that were received.", |stats| {
        stats.bytes_received
    }),
    counter(
        "fanwire_slow_disconnects_total",
        "Connections that were closed because their outbox was full.",
        |stats| stats.slow_disconnects,
    ),
    gauge("fanwire_sessions_left", "Sessions whose clients are gone.", |stats| stats.left.sessions),
    gauge("fanwire_sessions_left_bytes", "Bytes that they take.", |stats| stats.left.bytes),
    counter(
        "fanwire_sessions_lost_total",
        "Sessions that ended when their clients came back, since what they had waited for was no longer kept.",
        |stats| stats.left.lost,
    ),
    counter(
        "fanwire_sessions_crowded_out_total",
        "Sessions that ended for want of room (memory.sessions_bytes_max).",
        |stats| stats.left.crowded_out,
    ),
    counter(
        "fanwire_shared_dropped_total",
        "Messages of shared subscriptions that were dropped since none of those who share them could take them.",
        |stats| stats.left.unshared,
    ),
    counter(
        "fanwire_sessions_unkept_total",
        "Sessions that could not be written to the folder (data_dir) when they were to be.",
        |stats| stats.left.unkept,
    ),
    counter(
        "fanwire_filter_steps_total",
        "Steps that evaluating filters took for live events; one is about a nanosecond.",
        |stats| stats.filter_steps,
    ),
    counter(
        "fanwire_filter_work_disconnects_total",
        "Connections that were closed because their filters took more work than they may.",
        |stats| stats.filter_work_disconnects,
    ),
    counter(
        "fanwire_skipped_total",
        "Events that were passed over for a newer one of the same key.",
        |stats| stats.skipped,
    ),
    counter(
        "fanwire_dropped_total",
        "Events that were dropped for subscribers that fell behind.",
        |stats| stats.dropped,
    ),
    counter(
        "fanwire_violations_total",
        "Connections that were closed for a violation of their protocol.",
        |stats| stats.violations,
    ),
    counter(
        "fanwire_input_refused_total",
        "Connections that were refused because they held the most of what had come in part.",
        |stats| stats.input_refused,
    ),
    gauge(
        "fanwire_input_bytes",
        "Bytes held of requests and messages that have come in part or wait for their turn.",
        |stats| stats.input_bytes,
    ),
    counter("fanwire_tls_handshakes_total", "Handshakes of TLS that were done.", |stats| {
        stats.tls_handshakes
    }),
    counter(
        "fanwire_tls_failures_total",
        "Handshakes of TLS that failed, and connections whose records were broken.",
        |stats| stats.tls_failures,
    ),
    counter(
        "fanwire_tls_shed_total",
        "Connections that were closed because all held too many records in part, and they for the longest.",
        |stats| stats.tls_shed,
    ),
    gauge("fanwire_history_events", "Events that history holds.", |stats| stats.history_events),
    gauge("fanwire_history_bytes", "Bytes that they take.", |stats| stats.history_bytes),
    gauge("fanwire_history_keys", "Keys whose last event is held.", |stats| stats.history_keys),
    gauge("fanwire_deflate_streams", "Shared deflate streams.", |stats| stats.deflate_streams),
    counter(
        "fanwire_deflate_input_bytes_total",
        "Bytes of messages before they were deflated, once however many were sent them.",
        |stats| stats.deflated.from_bytes,
    ),
    counter("fanwire_deflate_output_bytes_total", "Bytes of them after that.", |stats| {
        stats.deflated.to_bytes
    }),
    gauge(
        "fanwire_connections_behind",
        "Connections to which something is owed, as of the last second.",
        |stats| stats.behind.connections,
    ),
    gauge("fanwire_outbox_bytes", "Bytes that the outboxes of all of them hold.", |stats| {
        stats.behind.outbox_bytes
    }),
    counter(
        "fanwire_gaps_total",
        "Times that a subscriber was told of events that it is not sent.",
        |stats| stats.gaps,
    ),
    counter(
        "fanwire_publish_held_total",
        "Times that events were made to wait for those who listen.",
        |stats| stats.held,
    ),
];
