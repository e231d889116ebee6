//! `GET /metrics`: what the shards count, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::board::Board;
use super::board::Noted;
use super::cache_figures::CACHE_FIGURES;
use super::certificates::CertificateBoard;
use super::hook_figures::put_hooks;
use super::log;
use super::page::Page;
use super::page::seconds;
use super::source_figures::put_sources;
use super::store_figures::STORE_FIGURES;
use crate::acme::AcmeFigures;
use crate::dialect::RefusalCode;
use crate::shard::FIGURES;
use crate::shard::FigureKind;
use crate::shard::Histogram;
use crate::shard::STATUSES;
use crate::tables::ErrorCode;

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
    let noted = board.noted();
    let mut page = Page::new();
    for (place, figure) in FIGURES.iter().enumerate() {
        let sum = noted.iter().map(|of| of.figures[place]).fold(0, u64::wrapping_add);
        page.single(figure.name, figure.kind, figure.help, sum);
    }
    put_words(&mut page, &noted);
    put_pulses(&mut page, &noted);
    for (figure, value) in STORE_FIGURES.iter().zip(board.store()) {
        if figure.name.ends_with("_seconds_total") {
            page.head(figure.name, figure.kind.word(), figure.help);
            page.sample(figure.name, "", seconds(value));
        } else {
            page.single(figure.name, figure.kind, figure.help, value);
        }
    }
    put_tables(&mut page, board);
    for (figure, value) in CACHE_FIGURES.iter().zip(board.cache()) {
        page.single(figure.name, figure.kind, figure.help, value);
    }
    put_certificates(&mut page, board.certificates());
    put_hooks(&mut page, board);
    put_sources(&mut page, board);
    put_process(&mut page, board, noted.len() as u64);
    page.done()
}

/// What is counted apart by a word.
fn put_words(page: &mut Page, noted: &[Noted]) {
    let mut spoken: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut refused = [0; RefusalCode::ALL.len()];
    let mut tables_failed = [0; ErrorCode::ALL.len()];
    let mut answers = [0; STATUSES.len() + 1];
    for Noted { tally, .. } in noted {
        let all = tally.spoken.iter();
        for (dialect, of) in all.filter_map(|of| of.dialect.map(|dialect| (dialect, of))) {
            let sum = spoken.entry(dialect.speaker().name).or_default();
            *sum = (sum.0 + of.connections, sum.1 + of.subscriptions);
        }
        refused.iter_mut().zip(tally.refused).for_each(|(sum, more)| *sum += more);
        tables_failed.iter_mut().zip(tally.tables_failed).for_each(|(sum, more)| *sum += more);
        answers.iter_mut().zip(tally.answers).for_each(|(sum, more)| *sum += more);
    }
    let name = "fanwire_dialect_connections";
    page.head(name, "gauge", "Connections that are open, by the dialect that is spoken.");
    for (dialect, (connections, _)) in &spoken {
        page.sample(name, &format!("{{dialect=\"{dialect}\"}}"), connections);
    }
    let name = "fanwire_dialect_subscriptions";
    page.head(name, "gauge", "Subscriptions that stand, by dialect.");
    for (dialect, (_, subscriptions)) in &spoken {
        page.sample(name, &format!("{{dialect=\"{dialect}\"}}"), subscriptions);
    }
    let name = "fanwire_refused_total";
    page.head(name, "counter", "What clients asked for and were refused, by reason.");
    for (code, count) in RefusalCode::ALL.into_iter().zip(refused) {
        page.sample(name, &format!("{{reason=\"{}\"}}", code.reason()), count);
    }
    let name = "fanwire_tables_failed_total";
    let help =
        "What clients asked of tables and were answered with an error, whoever found it, by kind.";
    page.head(name, "counter", help);
    for (code, count) in ErrorCode::ALL.into_iter().zip(tables_failed) {
        page.sample(name, &format!("{{kind=\"{}\"}}", code.name()), count);
    }
    let name = "fanwire_http_answers_total";
    page.head(name, "counter", "Answers to requests over HTTP, by status.");
    let words = STATUSES.iter().map(u16::to_string).chain(["other".to_owned()]);
    for (status, count) in words.zip(answers) {
        page.sample(name, &format!("{{status=\"{status}\"}}"), count);
    }
}

/// What loops have measured.
fn put_pulses(page: &mut Page, noted: &[Noted]) {
    let mut told = Histogram::default();
    noted.iter().for_each(|of| told.add(&of.pulse.told));
    let name = "fanwire_publish_to_socket_seconds";
    let help = "From an event's stamp until a shard had sent it to everyone in step who wanted it.";
    page.head(name, "histogram", help);
    page.histogram(name, "", &told);
    let name = "fanwire_loop_turn_seconds";
    page.head(name, "histogram", "Turns of a shard's loop in which there was something to do.");
    for (shard, Noted { pulse, .. }) in noted.iter().enumerate() {
        page.histogram(name, &format!("shard=\"{shard}\""), &pulse.turns);
    }
    let name = "fanwire_connections_behind_bytes_max";
    page.head(name, "gauge", "The most bytes that a connection is owed, as of the last second.");
    let most = noted.iter().map(|of| of.bytes_most).max();
    page.sample(name, "", most.unwrap_or_default());
}

/// Until when certificates are good, and what has become of orders.
fn put_certificates(page: &mut Page, certificates: &CertificateBoard) {
    if let Some(ends_at_s) = certificates.ends_at_s() {
        let name = "fanwire_certificate_expiry_timestamp_seconds";
        let help =
            "When the first of the certificates that are shown is over, in seconds since 1970.";
        page.head(name, "gauge", help);
        page.sample(name, "", ends_at_s);
    }
    let AcmeFigures { issued, failed } = &**certificates.orders();
    for (name, help, count) in [
        (
            "fanwire_certificates_issued_total",
            "Certificates that an authority has issued to this server.",
            issued,
        ),
        (
            "fanwire_certificate_orders_failed_total",
            "Orders of certificates that have failed, and are tried again.",
            failed,
        ),
    ] {
        page.single(name, FigureKind::Counter, help, count.load(Ordering::Relaxed));
    }
}

/// What whoever has the tables counts.
fn put_tables(page: &mut Page, board: &Board) {
    let Some(tables) = board.tables() else { return };
    let of = format!("backend=\"{}\"", tables.backend());
    let labels = format!("{{{of}}}");
    let name = "fanwire_tables_query_seconds";
    let help = "From a query of tables until its first page, or its error.";
    page.head(name, "histogram", help);
    page.histogram(name, &of, &tables.queries());
    let (read, written) = tables.rows();
    let link = tables.link();
    for (name, kind, help, value) in [
        ("fanwire_tables_rows_read_total", "counter", "Rows that were handed out.", read),
        ("fanwire_tables_rows_written_total", "counter", "Rows that have changed.", written),
        (
            "fanwire_tables_rows_dropped_total",
            "counter",
            "Rows of events that found no room to wait for a database that is lost.",
            link.rows_dropped(),
        ),
        (
            "fanwire_tables_connected",
            "gauge",
            "1 while the tables' database is there.",
            u64::from(link.is_up()),
        ),
        (
            "fanwire_tables_reconnects_total",
            "counter",
            "How often the tables' database came back after it was lost.",
            link.returns(),
        ),
    ] {
        page.head(name, kind, help);
        page.sample(name, &labels, value);
    }
    let name = "fanwire_tables_errors_total";
    page.head(name, "counter", "What whoever has the tables answered with an error, by kind.");
    for (code, count) in tables.errors() {
        page.sample(name, &format!("{{{of},kind=\"{}\"}}", code.name()), count);
    }
}

/// What is the process's.
fn put_process(page: &mut Page, board: &Board, shards: u64) {
    use FigureKind::Counter;
    use FigureKind::Gauge;
    page.single("fanwire_shards", Gauge, "Shards of this server.", shards);
    let is_ready = u64::from(board.is_ready());
    page.single("fanwire_ready", Gauge, "1 while connections are taken.", is_ready);
    let help = "Lines of the log that could not be written to standard error.";
    page.single("fanwire_log_lines_lost_total", Counter, help, log::lines_lost());
    if let Some(bytes) = resident_bytes() {
        let help = "Bytes of memory that the process has in use.";
        page.single("process_resident_memory_bytes", Gauge, help, bytes);
    }
    let name = "fanwire_build_info";
    page.head(name, "gauge", "Which fanwire this is.");
    page.sample(name, concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1);
}

/// Bytes that the process has in use, as the kernel says it; `None`: it says nothing.
fn resident_bytes() -> Option<u64> {
    let words = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = words.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::dialect::native::NATIVE;
    use crate::event::ShardId;
    use crate::history::keeper::Figures;
    use crate::shard::Pulse;
    use crate::shard::Stats;
    use crate::source::Figures as SourceFigures;
    use crate::tables::CacheFigures;

    /// Reads the page as `promtool check metrics` does: HELP and TYPE once and in front of all samples of a name, which lie together; the rules for names that its
    /// linter has; buckets that rise and end in a count.
    fn parse(page: &str) -> HashMap<String, f64> {
        let (mut samples, mut families) = (HashMap::new(), Vec::new());
        let mut lines = page.lines().peekable();
        while let Some(help) = lines.next() {
            let (name, text) = help.strip_prefix("# HELP ").unwrap().split_once(' ').unwrap();
            assert!(!text.is_empty() && !text.contains('\\'));
            let (typed, kind) =
                lines.next().unwrap().strip_prefix("# TYPE ").unwrap().split_once(' ').unwrap();
            assert_eq!(typed, name);
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
            assert_name(name, kind);
            let mut before = 0.0;
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (sample, value) = line.rsplit_once(' ').unwrap();
                let value: f64 = value.parse().unwrap();
                let base = sample.split('{').next().unwrap();
                let rest = base.strip_prefix(name).unwrap_or_else(|| panic!("{sample} in {name}"));
                match (kind, rest) {
                    ("histogram", "_bucket") => {
                        assert!(value >= before, "{sample}");
                        before = value;
                    }
                    ("histogram", "_sum") => {}
                    ("histogram", "_count") => {
                        assert!((value - before).abs() < 0.5, "{sample}");
                        before = 0.0;
                    }
                    (_, rest) => assert_eq!(rest, "", "{sample}"),
                }
                assert!(samples.insert(sample.to_owned(), value).is_none(), "{sample} twice");
            }
        }
        assert!(page.ends_with('\n'));
        samples
    }

    /// What the linter of promtool says of names.
    fn assert_name(name: &str, kind: &str) {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(["counter", "gauge", "histogram"].contains(&kind));
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        let words: Vec<&str> = name.split('_').collect();
        for not_base in [
            "milliseconds",
            "microseconds",
            "nanoseconds",
            "minutes",
            "hours",
            "days",
            "kilobytes",
            "megabytes",
            "bits",
            "percent",
            "counter",
            "gauge",
            "histogram",
            "summary",
            "s",
            "ms",
            "us",
            "ns",
            "sec",
            "b",
            "kb",
            "mb",
            "gb",
            "tb",
            "pb",
            "m",
            "h",
            "d",
        ] {
            assert!(!words.contains(&not_base), "{name}");
        }
        for reserved in ["_bucket", "_count", "_sum", "_info"] {
            let is_info = reserved == "_info" && name == "fanwire_build_info";
            assert!(is_info || !name.ends_with(reserved), "{name}");
        }
    }

    fn noted(stats: &Stats) -> Noted {
        Noted::of(stats, &Pulse::default())
    }

    #[test]
    fn the_page_can_be_read_and_adds_up_over_shards() {
        let board = Board::new(2);
        board.set_ready(true);
        let mut first = Stats { connections: 3, published: 10, ..Stats::default() };
        first.tally.spoken[0].dialect = Some(NATIVE);
        first.tally.spoken[0].connections = 2;
        first.tally.answers[0] = 7;
        first.tally.tables_failed[6] = 3;
        let mut pulse = Pulse::default();
        pulse.told.observe(30);
        pulse.turns.observe(2_000_000);
        board.note(ShardId(0), Noted::of(&first, &pulse));
        board.note(ShardId(1), noted(&Stats { connections: 4, ..Stats::default() }));
        let second = Stats { connections: 5, tally: first.tally, ..Stats::default() };
        board.note(ShardId(1), Noted::of(&second, &pulse));
        board.note_store(&Figures { write_us: 1_250_000, ..Figures::default() });
        assert!(!render(&board).contains("fanwire_cache_"), "there is no cache");
        board.note_cache(&CacheFigures { hits: 5, servers_up: 2, ..CacheFigures::default() });
        assert!(!render(&board).contains("_expiry_"), "there is no certificate");
        board.certificates().note_end(Some(1_800_000_000));
        board.certificates().orders().failed.fetch_add(2, Ordering::Relaxed);
        board.note_sources(Arc::new([Arc::new(SourceFigures::new("it", "file", false))]));
        let samples = parse(&render(&board));
        assert!(samples.contains_key("fanwire_source_up{source=\"it\",kind=\"file\"}"));
        let count = |sample: &str| samples[sample];
        for (sample, value) in [
            ("fanwire_connections", 8.0),
            ("fanwire_events_total", 10.0),
            ("fanwire_shards", 2.0),
            ("fanwire_ready", 1.0),
            ("fanwire_dialect_connections{dialect=\"native\"}", 4.0),
            ("fanwire_http_answers_total{status=\"200\"}", 14.0),
            ("fanwire_tables_failed_total{kind=\"forbidden\"}", 6.0),
            ("fanwire_publish_to_socket_seconds_bucket{le=\"0.000025\"}", 0.0),
            ("fanwire_publish_to_socket_seconds_bucket{le=\"0.00005\"}", 2.0),
            ("fanwire_publish_to_socket_seconds_count", 2.0),
            ("fanwire_loop_turn_seconds_bucket{shard=\"1\",le=\"1\"}", 0.0),
            ("fanwire_loop_turn_seconds_sum{shard=\"1\"}", 2.0),
            ("fanwire_store_write_seconds_total", 1.25),
            ("fanwire_cache_hits_total", 5.0),
            ("fanwire_cache_servers_up", 2.0),
            ("fanwire_certificate_expiry_timestamp_seconds", 1_800_000_000.0),
            ("fanwire_certificate_orders_failed_total", 2.0),
        ] {
            assert!((count(sample) - value).abs() < 1e-9, "{sample}: {}", count(sample));
        }
        assert!(count("process_resident_memory_bytes") > 1e6);
    }
}
