//! The report: one page to look at (`html`, with pictures from `svg`), one table to keep (`markdown`), and what was promised
//! (`goals`); `docs` puts both into the repository's own page.
//!
//! Invariant: a report is made of a session and nothing else, so it can be made again from `results.json`. A figure that
//! could not be measured is a dash, never a zero.

mod docs;
mod goals;
mod html;
mod markdown;
mod plots;
mod svg;

pub(crate) use docs::MARKERS;
pub(crate) use docs::PICTURES;
pub(crate) use docs::document;
pub(crate) use docs::filled;
pub(crate) use docs::patched;
pub(crate) use docs::pictures;
pub(crate) use html::html;
pub(crate) use markdown::markdown;

use crate::outcome::CONNECT;
use crate::outcome::Figure;
use crate::outcome::LIVE;
use crate::scenario::Kind;
use crate::scenario::Rate;
use crate::scenario::Scenario;
use crate::session::Spread;

/// The figures that a scenario of that kind shows.
fn figures(kind: Kind) -> &'static [Figure] {
    if kind == Kind::Connect { CONNECT } else { LIVE }
}

/// How the scenario goes, in a line.
fn terms(scenario: &Scenario) -> String {
    let mut terms = vec![format!("{} subscribers", number(f64::from(scenario.subscribers)))];
    if scenario.topics > 1 {
        terms.push(format!("{} topics", number(f64::from(scenario.topics))));
    }
    if scenario.kind == Kind::Live {
        terms.push(match scenario.rate {
            Rate::Window(window) => format!("closed loop, {window} on their way"),
            Rate::PerSecond(rate) => format!("open loop, {} events a second", number(rate)),
            Rate::OfFloor(share) => {
                format!("open loop, {} % of what the floor can", number(share * 100.0))
            }
        });
        terms.push(format!("{} s a round", number(scenario.seconds)));
    }
    terms.push(if scenario.telemetry {
        "ADS-B telemetry".to_owned()
    } else {
        format!("{} bytes", scenario.payload_bytes)
    });
    terms.join(" · ")
}

/// Three significant digits, thousands apart.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = match value.abs() {
        it if it >= 100.0 || it == 0.0 => 0,
        it if it >= 10.0 => 1,
        _ => 2,
    };
    let plain = format!("{value:.digits$}");
    let (whole, rest) = plain
        .split_once('.')
        .map_or((plain.as_str(), String::new()), |(a, b)| (a, format!(".{b}")));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        if at > 0 && left.is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + &rest
}

/// A median with its spread, the spread only if there is one.
fn spread(it: Option<Spread>) -> (String, String) {
    match it {
        None => ("–".to_owned(), String::new()),
        Some(it) if it.least == it.most => (number(it.median), String::new()),
        Some(it) => (number(it.median), format!("{}–{}", number(it.least), number(it.most))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_groups() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(999.6), "1,000");
        assert_eq!(number(12.34), "12.3");
        assert_eq!(number(1.234), "1.23");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(-123_456.0), "-123,456");
        assert_eq!(number(f64::NAN), "–");
    }

    #[test]
    fn a_spread_of_one_round_is_no_spread() {
        assert_eq!(spread(Spread::of(&[2.0])), ("2.00".to_owned(), String::new()));
        assert_eq!(
            spread(Spread::of(&[1.0, 2.0, 4.0])),
            ("2.00".to_owned(), "1.00–4.00".to_owned())
        );
    }
}
