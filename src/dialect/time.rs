//! Moments as people and other servers write them: RFC 3339, read and written without a calendar package.
//!
//! Never asks what time it is. Years 1970 to 9999; leap seconds are taken for the second after.

const DAY_S: u64 = 86_400;

/// Appends `2025-09-26T10:00:00Z`: whole seconds.
pub fn put_seconds(time_us: u64, out: &mut Vec<u8>) {
    let seconds = time_us / 1_000_000;
    let (days, rest) = (seconds / DAY_S, seconds % DAY_S);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    out.extend_from_slice(text.as_bytes());
}

/// Microseconds since 1970 of an RFC 3339 time, or of a date alone: its beginning. Without an offset it is taken for UTC.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00Z"));
    let mut parts = date.split('-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    if parts.next().is_some() || !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    if day == 0 || day > month_days(year, month) {
        return None;
    }
    let (time, offset_s) = split_offset(time)?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let second = parts.next().map_or(Some(0), |second| digits(second, 2))?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    let seconds = i64::try_from(seconds).ok()?.checked_sub(offset_s)?;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000)?.checked_add(micros(fraction)?)
}

/// A time without its offset, and the offset in seconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (time, offset) = time.split_at_checked(at)?;
    let (sign, offset) = (offset.strip_prefix('-').map_or(1, |_| -1), offset.get(1..)?);
    let (hours, minutes) = offset.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    Some((time, sign * i64::try_from(hours * 3600 + minutes * 60).ok()?))
}

fn micros(fraction: &str) -> Option<u64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(digits.fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
}

fn digits(text: &str, count: usize) -> Option<u64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date. A year is taken to begin in March, so that the leap day is its last.
const fn days_of(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_of_year = (month + 9) % 12;
    let day_of_year = (153 * month_of_year + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

/// The date so many days after 1970-01-01.
const fn date_of(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_of_year = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_of_year + 2) / 5 + 1;
    let month = if month_of_year < 10 { month_of_year + 3 } else { month_of_year - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
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
        assert_eq!(said(0), "1970-01-01T00:00:00Z");
        assert_eq!(said(1_758_880_800_999_999), "2025-09-26T10:00:00Z");
        assert_eq!(said(951_782_400_000_000), "2000-02-29T00:00:00Z");
    }

    #[test]
    fn every_day_comes_back() {
        for day in 0..200_000 {
            let time_us = (day * DAY_S + 45_296) * 1_000_000;
            assert_eq!(parse(&said(time_us)), Some(time_us), "day {day}");
        }
    }

    #[test]
    fn offsets_and_fractions_are_read() {
        assert_eq!(parse("2025-09-26T10:00:00.25Z"), Some(1_758_880_800_250_000));
        assert_eq!(parse("2025-09-26T12:00:00+02:00"), Some(1_758_880_800_000_000));
        assert_eq!(parse("2025-09-26T08:30:00-01:30"), Some(1_758_880_800_000_000));
        assert_eq!(parse("2025-09-26 10:00:00"), Some(1_758_880_800_000_000));
        assert_eq!(parse("2025-09-26"), parse("2025-09-26T00:00:00Z"));
        for bad in [
            "",
            "now",
            "2025-13-01",
            "2025-02-29",
            "2025-09-26T24:00:00Z",
            "1969-12-31",
            "2025-09-26T10:00:00+2",
            "2025-9-26",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
