//! Moments as people and recordings write them: RFC 3339 text, or a whole number.
//!
//! Everything becomes microseconds since 1970-01-01 UTC. Knows no time zones but the offset that the text itself names, never asks
//! what time it is.

const SECOND_US: i64 = 1_000_000;

/// The moment that an RFC 3339 text names, to the microsecond; what is finer is cut off. A leap second is the second after it.
pub(crate) fn rfc3339_us(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        digits
            .iter()
            .try_fold(0_i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
    };
    let at = |index: usize, wanted: &[u8]| bytes.get(index).is_some_and(|b| wanted.contains(b));
    //= rfc3339#5.6
    //# date-time       = full-date "T" full-time
    let shaped = at(4, b"-") && at(7, b"-") && at(10, b"Tt ") && at(13, b":") && at(16, b":");
    if !shaped {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month)
        || day < 1
        || day > days_of(year, month)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (fraction_us, rest) = fraction(bytes.get(19..)?)?;
    let offset_s = zone_s(rest)?;
    let seconds =
        days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_s;
    Some(seconds * SECOND_US + fraction_us)
}

/// Digits after a point, as microseconds, and what follows them.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let digit_count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(digit_count)?;
    if digits.is_empty() {
        return None;
    }
    let us = (0..6)
        .fold(0, |sum, index| sum * 10 + digits.get(index).map_or(0, |b| i64::from(b - b'0')));
    Some((us, rest))
}

fn zone_s(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        [b'Z' | b'z'] => return Some(0),
        [b'+', h1, h2, b':', m1, m2] => (1, [h1, h2], [m1, m2]),
        [b'-', h1, h2, b':', m1, m2] => (-1, [h1, h2], [m1, m2]),
        _ => return None,
    };
    let two = |digits: [&u8; 2]| -> Option<i64> {
        digits
            .iter()
            .try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(**b - b'0')))
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours <= 23 && minutes <= 59).then(|| sign * (hours * 3600 + minutes * 60))
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a day of the Gregorian calendar, by years that begin in March so that the leap day is the last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    // 719,468 days lie between 0000-03-01 and 1970-01-01; an era is 400 years.
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        for (text, us) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2018-08-01T05:00:00Z", 1_533_099_600_000_000),
            ("2018-08-01T07:00:00.25+02:00", 1_533_099_600_250_000),
            ("2018-08-01 04:30:00.0000019-00:30", 1_533_099_600_000_001),
            ("2000-02-29t23:59:60z", 951_868_800_000_000),
            ("1969-12-31T23:59:59.5Z", -500_000),
        ] {
            assert_eq!(rfc3339_us(text), Some(us), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "2018-08-01",
            "2018-08-01T05:00:00",
            "2018-13-01T05:00:00Z",
            "2019-02-29T05:00:00Z",
            "2018-08-01T24:00:00Z",
            "2018-08-01T05:00:00.Z",
            "2018-08-01T05:00:00+2:00",
            "2018-08-01T05:00:00Zx",
            "+018-08-01T05:00:00Z",
        ] {
            assert_eq!(rfc3339_us(text), None, "{text}");
        }
    }
}
