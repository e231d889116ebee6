//! Moments as people, recordings and other servers write them: ISO 8601 and RFC 3339, and whole microseconds since 1970.
//!
//! The one place that reads and writes a calendar, through `jiff`. Invariant: a moment is an instant, whatever offset its text is written with;
//! a text without an offset is UTC. Never asks what time it is, and knows no time zones but the offset that a text names.

use std::borrow::Cow;
use std::io::Write;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::Offset;

/// The instant that a text names, in microseconds since 1970; what is finer is cut off.
///
/// Read is what ISO 8601 has for a date and a time of day, extended or basic: `2025-09-26T10:00:00Z`, `20250926T120000+0200`,
/// `2025-09-26 10:00:00,5`, `2025-09-26`, which is its beginning. A leap second is the second before it.
#[must_use]
pub fn parse_us(text: &str) -> Option<i64> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let text = closed_up(text);
    let pieces = PARSER.parse_pieces(&*text).ok()?;
    // `[Europe/Zurich]` behind a time asks for rules that are not known here.
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let written = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    offset
        .to_timestamp(written)
        .ok()
        .map(|at| at.as_nanosecond().div_euclid(1000))
        .and_then(|us| i64::try_from(us).ok())
}

/// A time whose offset stands by itself, joined to it: `2025-09-26 12:00:00 +0200`. A plus that became a blank on its way through a URL is one again.
fn closed_up(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let Some((before, offset)) = text.rsplit_once(' ') else { return Cow::Borrowed(text) };
    // Whatever stands before a time of day is a date, and has none itself.
    if !before.contains([' ', 'T', 't']) {
        return Cow::Borrowed(text);
    }
    let plus = if offset.starts_with(|first: char| first.is_ascii_digit()) { "+" } else { "" };
    Cow::Owned(format!("{before}{plus}{offset}"))
}

/// The instant that `since` names: as [`parse_us`], or whole microseconds since 1970; but eight digits are a date. One before 1970 is the beginning of
/// that year, for nothing here is older.
#[must_use]
pub fn since_us(text: &str) -> Option<u64> {
    let is_count = text.len() != "20250926".len() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_count { text.parse().ok() } else { u64::try_from(parse_us(text)?.max(0)).ok() }
}

/// Appends `2025-09-26T10:00:00Z`: whole seconds.
pub fn put_seconds(time_us: u64, out: &mut Vec<u8>) {
    let seconds = i64::try_from(time_us / 1_000_000).unwrap_or(i64::MAX);
    // The calendar ends with the year 9999.
    let at = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    write!(out, "{at:.0}").expect("a Vec takes every write");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(time_us: u64) -> String {
        let mut out = Vec::new();
        put_seconds(time_us, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_moment_is_written_in_whole_seconds() {
        for (time_us, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_758_880_800_999_999, "2025-09-26T10:00:00Z"),
            (951_782_399_000_000, "2000-02-28T23:59:59Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000_000, "2000-03-01T00:00:00Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00Z"),
            (u64::MAX, "9999-12-30T22:00:00Z"),
        ] {
            assert_eq!(said(time_us), text);
        }
    }

    #[test]
    fn every_day_comes_back() {
        for day in 0..200_000_u64 {
            let time_us = (day * 86_400 + 45_296) * 1_000_000;
            assert_eq!(parse_us(&said(time_us)), i64::try_from(time_us).ok(), "day {day}");
        }
    }

    #[test]
    fn an_instant_is_the_same_however_it_is_written() {
        for text in [
            "2025-09-26T10:00:00Z",
            "2025-09-26t10:00:00z",
            "2025-09-26 10:00:00",
            "2025-09-26T10:00",
            "2025-09-26T10Z",
            "20250926T100000Z",
            "20250926T1000",
            "2025-09-26T12:00:00+02:00",
            "2025-09-26T12:00:00+0200",
            "2025-09-26T12:00:00 02:00",
            "20250926T120000 0200",
            "2025-09-26 12:00:00 +0200",
            "2025-09-26 12:00:00 02:00",
            "2025-09-26 08:30:00 -01:30",
            "2025-09-26 10:00:00 Z",
            "20250926T120000+02",
            "2025-09-26 08:30:00-01:30",
            "2025-09-26T10:00:00.000000999Z",
            " 2025-09-26T10:00:00,0000+00:00 ",
            "2025-09-25T15:00:00-1900",
        ] {
            assert_eq!(parse_us(text), Some(1_758_880_800_000_000), "{text}");
            assert_eq!(since_us(text), Some(1_758_880_800_000_000), "{text}");
        }
        for (text, us) in [
            ("2025-09-26T10:00:00,5Z", 1_758_880_800_500_000),
            ("2025-09-26T10:00:00.25+00:00", 1_758_880_800_250_000),
            ("2025-09-26", 1_758_844_800_000_000),
            ("20250926", 1_758_844_800_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000_000),
            ("1969-12-31T23:59:59.5Z", -500_000),
            ("1969-12-31T23:59:59.9999999Z", -1),
        ] {
            assert_eq!(parse_us(text), Some(us), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "now",
            "2025-13-01",
            "2025-02-29",
            "2025-9-26",
            "2025-09-26T24:00:00Z",
            "2025-09-26T10:60:00Z",
            "2025-09-26T10:00:00.Z",
            "2025-09-26T10:00:00+2",
            "2025-09-26T10:00:00+26:00",
            "2025-09-26T10:00:00Zx",
            "2025-09-26T10:00:00[Europe/Zurich]",
        ] {
            assert_eq!(parse_us(text), None, "{text}");
        }
    }

    #[test]
    fn a_count_of_microseconds_is_since_too() {
        assert_eq!(since_us("0"), Some(0));
        assert_eq!(since_us("1758880800000000"), Some(1_758_880_800_000_000));
        assert_eq!(since_us("20250926"), Some(1_758_844_800_000_000));
        for text in ["1969-12-31T23:59:59Z", "1900-01-01", "0001-01-01T00:00:00+02:00"] {
            assert_eq!(since_us(text), Some(0), "{text}: everything is later");
        }
        for text in ["", "-1", "1e6", "99999999999999999999999"] {
            assert_eq!(since_us(text), None, "{text}");
        }
    }
}
