//! `fanwire admin top`: rates, lags and the slowest connections of a server, live in a terminal.
//!
//! Invariant: what is shown is made of two readings of the figures and a list of connections; text from clients is shown without control characters, which
//! could otherwise draw what they like.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::AdminError;
use super::Desk;
use crate::clock::Clock;

/// Between two readings.
const EVERY: Duration = Duration::from_secs(1);
/// Connections that are shown.
const ROWS: usize = 15;
/// Takes the cursor to the top left, and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Draws until it is interrupted, or once.
pub(super) async fn top(desk: &mut Desk, once: bool) -> Result<(), AdminError> {
    let clock = Clock::start();
    let mut before = (clock.mono_us(), Figures::read(&desk.ask("/metrics", None).await?));
    loop {
        tokio::time::sleep(EVERY).await;
        let now = (clock.mono_us(), Figures::read(&desk.ask("/metrics", None).await?));
        let slowest = desk.ask_json(&format!("/v1/admin/slowest?limit={ROWS}"), None).await?;
        let rows = slowest["connections"].as_array().map(Vec::as_slice).unwrap_or_default();
        let seconds = now.0.saturating_sub(before.0) as f64 / 1e6;
        let page = draw(&before.1, &now.1, seconds, rows);
        let shown = if once { page } else { format!("{CLEAR}{page}") };
        let mut out = std::io::stdout().lock();
        out.write_all(shown.as_bytes()).and_then(|()| out.flush()).map_err(AdminError::Output)?;
        drop(out);
        if once {
            return Ok(());
        }
        before = now;
    }
}

/// Samples of a page of figures.
struct Figures(BTreeMap<String, f64>);

impl Figures {
    fn read(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let read = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(lines.filter_map(read).collect())
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Figures of a name, by the one label that they have.
    fn by_label<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(sample, value)| {
            let labels = sample.strip_prefix(name)?.strip_prefix('{')?.strip_suffix("\"}")?;
            Some((labels.split_once("=\"")?.1, *value))
        })
    }

    /// In seconds, below which such a part of what came since `before` was; `None`: nothing came, or more than the last bucket has.
    fn quantile(&self, before: &Self, name: &str, part: f64) -> Option<f64> {
        let start = format!("{name}_bucket{{le=\"");
        let of = self.0.iter().filter_map(|(sample, value)| {
            let bound: f64 = sample.strip_prefix(&start)?.strip_suffix("\"}")?.parse().ok()?;
            Some((bound, value - before.get(sample)))
        });
        let mut buckets: Vec<(f64, f64)> = of.collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let all = buckets.last().map_or(0.0, |(_, count)| *count);
        let found = buckets.iter().find(|(_, count)| *count >= part * all);
        found.filter(|(bound, _)| all > 0.0 && bound.is_finite()).map(|(bound, _)| *bound)
    }
}

fn draw(before: &Figures, now: &Figures, seconds: f64, rows: &[Value]) -> String {
    let rate = |name: &str| (now.get(name) - before.get(name)).max(0.0) / seconds.max(0.001);
    let mut page = String::new();
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    let spoken = now.by_label("fanwire_dialect_connections").filter(|(_, count)| *count > 0.0);
    let spoken: Vec<String> = spoken.map(|(dialect, count)| format!("{dialect} {count}")).collect();
    line(format!(
        "connections {}  ({})   subscriptions {}   topics {}   classes {}",
        now.get("fanwire_connections"),
        spoken.join(", "),
        now.get("fanwire_subscriptions"),
        now.get("fanwire_topics"),
        now.get("fanwire_classes"),
    ));
    line(format!(
        "events {}/s   deliveries {}/s   sends {}/s   out {}/s   in {}/s",
        short(rate("fanwire_events_total")),
        short(rate("fanwire_deliveries_total")),
        short(rate("fanwire_sends_total")),
        bytes(rate("fanwire_bytes_sent_total")),
        bytes(rate("fanwire_bytes_received_total")),
    ));
    let told = |part| {
        let found = now.quantile(before, "fanwire_publish_to_socket_seconds", part);
        found.map_or_else(|| "-".to_owned(), |seconds| format!("{} ms", seconds * 1e3))
    };
    line(format!(
        "publish to socket: p50 <= {}   p99 <= {}   behind {}   owed {}   memory {}",
        told(0.5),
        told(0.99),
        now.get("fanwire_connections_behind"),
        bytes(now.get("fanwire_outbox_bytes")),
        bytes(now.get("process_resident_memory_bytes")),
    ));
    let refused: f64 = now.by_label("fanwire_refused_total").map(|(_, count)| count).sum();
    let refused_before: f64 =
        before.by_label("fanwire_refused_total").map(|(_, count)| count).sum();
    line(format!(
        "refused {}/s   dropped {}/s   gaps {}/s   slow {}/s",
        short((refused - refused_before).max(0.0) / seconds.max(0.001)),
        short(rate("fanwire_dropped_total")),
        short(rate("fanwire_gaps_total")),
        short(rate("fanwire_slow_disconnects_total")),
    ));
    line(String::new());
    line(format!(
        "{:<16} {:<16} {:<24} {:<14} {:>10} {:>9}  topics",
        "SLOWEST", "user", "peer", "dialect", "owed", "behind"
    ));
    for row in rows {
        let text = |name: &str| plain(row[name].as_str().unwrap_or("-"));
        let number = |name: &str| row[name].as_f64().unwrap_or_default();
        let topics = row["topics"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let topics: Vec<String> = topics.map(plain).collect();
        line(format!(
            "{:<16} {:<16} {:<24} {:<14} {:>10} {:>7.1} s  {}",
            text("connection"),
            text("user"),
            text("peer"),
            text("dialect"),
            bytes(number("queue_bytes")),
            number("behind_ms") / 1e3,
            topics.join(" "),
        ));
    }
    page
}

/// A text of somebody else's, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn short(number: f64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G"])
}

fn bytes(number: f64) -> String {
    scaled(number, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB"])
}

fn scaled(number: f64, step: f64, units: &[&str]) -> String {
    let mut number = number;
    let mut place = 0;
    while number >= step && place + 1 < units.len() {
        number /= step;
        place += 1;
    }
    let mut text = String::new();
    let digits = usize::from(place > 0);
    let written = write!(text, "{number:.digits$}{}", units[place]);
    debug_assert!(written.is_ok(), "a string takes everything");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_quantiles_are_of_what_came_in_between() {
        let page = |events: u64, counts: [u64; 3]| {
            let mut page = format!("# HELP x y\nfanwire_events_total {events}\n");
            for (bound, count) in ["0.001", "0.01", "+Inf"].iter().zip(counts) {
                writeln!(
                    page,
                    "fanwire_publish_to_socket_seconds_bucket{{le=\"{bound}\"}} {count}"
                )
                .unwrap();
            }
            Figures::read(&page)
        };
        let (before, now) = (page(100, [50, 50, 50]), page(2100, [60, 150, 150]));
        let quantile = |part| now.quantile(&before, "fanwire_publish_to_socket_seconds", part);
        assert_eq!((quantile(0.1), quantile(0.5)), (Some(0.001), Some(0.01)));
        assert_eq!(before.quantile(&before, "fanwire_publish_to_socket_seconds", 0.5), None);
        let row =
            serde_json::json!({"connection": "0-1-1", "user": "a\u{1b}[2Jb", "queue_bytes": 2048});
        let page = draw(&before, &now, 2.0, &[row]);
        assert!(page.contains("events 1.0k/s"), "{page}");
        assert!(page.contains("p50 <= 10 ms") && page.contains("2.0 KiB"), "{page}");
        assert!(page.contains("a\u{fffd}[2Jb") && !page.contains('\u{1b}'), "{page}");
    }
}
