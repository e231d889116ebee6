//! `GET /metrics`: what the shards count, in the text format of Prometheus.

use std::fmt::Write;

use super::board::Board;
use super::log;
use super::store_figures::STORE_FIGURES;
use crate::shard::FIGURES;
use crate::shard::FigureKind;

/// The media type, with the version of the format that it is.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

impl Board {
    /// What stands on it, as `GET /metrics` says it.
    #[must_use]
    pub fn metrics(&self) -> String {
        render(self)
    }
}

/// The whole page.
fn render(board: &Board) -> String {
    let mut page = String::with_capacity(128 * (FIGURES.len() + 4));
    for (index, metric) in FIGURES.iter().enumerate() {
        append(&mut page, metric.name, metric.kind, metric.help, board.sum(index));
    }
    for (metric, value) in STORE_FIGURES.iter().zip(board.store()) {
        append(&mut page, metric.name, metric.kind, metric.help, value);
    }
    append(
        &mut page,
        "fanwire_shards",
        FigureKind::Gauge,
        "Shards of this server.",
        board.shard_count() as u64,
    );
    append(
        &mut page,
        "fanwire_ready",
        FigureKind::Gauge,
        "1 while connections are taken.",
        u64::from(board.is_ready()),
    );
    append(
        &mut page,
        "fanwire_log_lines_lost_total",
        FigureKind::Counter,
        "Lines of the log that could not be written to standard error.",
        log::lines_lost(),
    );
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("fanwire_build_info{{version=\"{version}\"}}");
    append(&mut page, &build, FigureKind::Gauge, "Which fanwire this is.", 1);
    page
}

fn append(page: &mut String, sample: &str, kind: FigureKind, help: &str, value: u64) {
    let name = sample.split_once('{').map_or(sample, |(name, _)| name);
    let kind = kind.word();
    let written = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{sample} {value}\n");
    debug_assert!(written.is_ok(), "a string takes everything");
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::event::ShardId;
    use crate::shard::Stats;

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
        assert_eq!(samples.len(), FIGURES.len() + 4);
    }
}
