//! `GET /metrics`: what the shards count, in the text format of Prometheus.

use std::fmt::Write;

use super::board::Board;
use super::log;
use crate::shard::Stats;

/// One thing that is counted.
pub(super) struct Metric {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    pub(super) read: fn(&Stats) -> u64,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Only ever rises.
    Counter,
    Gauge,
}

/// The media type, with the version of the format that it is.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

const fn gauge(name: &'static str, help: &'static str, read: fn(&Stats) -> u64) -> Metric {
    Metric { name, kind: Kind::Gauge, help, read }
}

const fn counter(name: &'static str, help: &'static str, read: fn(&Stats) -> u64) -> Metric {
    Metric { name, kind: Kind::Counter, help, read }
}

pub(super) const METRICS: &[Metric] = &[
    gauge("fanwire_connections", "Connections that are open.", |stats| stats.connections),
    counter("fanwire_connections_opened_total", "Connections that were accepted.", |stats| {
        stats.connections_opened
    }),
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
        "Events that were sent, counted once per connection.",
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
    gauge("fanwire_history_events", "Events that history holds.", |stats| stats.history_events),
    gauge("fanwire_history_bytes", "Bytes that they take.", |stats| stats.history_bytes),
    gauge("fanwire_history_keys", "Keys whose last event is held.", |stats| stats.history_keys),
    gauge("fanwire_deflate_streams", "Shared deflate streams.", |stats| stats.deflate_streams),
];

/// The whole page.
pub(super) fn render(board: &Board) -> String {
    let mut page = String::with_capacity(128 * (METRICS.len() + 4));
    for (index, metric) in METRICS.iter().enumerate() {
        append(&mut page, metric.name, metric.kind, metric.help, board.sum(index));
    }
    append(
        &mut page,
        "fanwire_shards",
        Kind::Gauge,
        "Shards of this server.",
        board.shard_count() as u64,
    );
    append(
        &mut page,
        "fanwire_ready",
        Kind::Gauge,
        "1 while connections are taken.",
        u64::from(board.is_ready()),
    );
    append(
        &mut page,
        "fanwire_log_lines_lost_total",
        Kind::Counter,
        "Lines of the log that could not be written to standard error.",
        log::lines_lost(),
    );
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("fanwire_build_info{{version=\"{version}\"}}");
    append(&mut page, &build, Kind::Gauge, "Which fanwire this is.", 1);
    page
}

fn append(page: &mut String, sample: &str, kind: Kind, help: &str, value: u64) {
    let name = sample.split_once('{').map_or(sample, |(name, _)| name);
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let written = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{sample} {value}\n");
    debug_assert!(written.is_ok(), "a string takes everything");
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::event::ShardId;

    /// Reads the page as the format's description has it: HELP, TYPE, then samples of that name; counters end in `_total`.
    fn parse(page: &str) -> HashMap<String, u64> {
        let mut samples = HashMap::new();
        let mut lines = page.lines();
        while let Some(help) = lines.next() {
            let (name, text) = help.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
            assert!(!text.is_empty() && !text.contains('\\'));
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            let (typed, kind) =
                lines.next().unwrap().strip_prefix("# TYPE ").unwrap().split_once(' ').unwrap();
            assert_eq!(typed, name);
            assert!(["counter", "gauge"].contains(&kind));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            let (sample, value) = lines.next().unwrap().rsplit_once(' ').unwrap();
            assert!(sample == name || sample.starts_with(&format!("{name}{{")));
            assert!(
                samples.insert(sample.to_owned(), value.parse().unwrap()).is_none(),
                "{sample} twice"
            );
        }
        assert!(page.ends_with('\n'));
        samples
    }

    #[test]
    fn the_page_can_be_read_and_adds_up_over_shards() {
        let board = Board::new(2);
        board.set_ready(true);
        board.note(ShardId(0), &Stats { connections: 3, published: 10, ..Stats::default() });
        board.note(ShardId(1), &Stats { connections: 4, ..Stats::default() });
        board.note(ShardId(1), &Stats { connections: 5, ..Stats::default() });
        let samples = parse(&render(&board));
        assert_eq!(samples["fanwire_connections"], 8);
        assert_eq!(samples["fanwire_events_total"], 10);
        assert_eq!(samples["fanwire_shards"], 2);
        assert_eq!(samples["fanwire_ready"], 1);
        assert_eq!(samples.len(), METRICS.len() + 4);
    }
}
