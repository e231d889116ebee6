//! A decimal number, exactly: as many digits as it was given, in the one way of writing it that has no zeros to spare.
//!
//! Invariants: equal numbers have equal texts, and compare by value; a number has at most `DECIMAL_DIGITS_MAX` digits before the point and as many behind it.
//! Never rounds.

use std::cmp::Ordering;
use std::fmt;

use crate::event::number;
use crate::limits::DECIMAL_DIGITS_MAX;

/// A number as `-12.5`: no exponent, no plus, no zero that says nothing. Its digits are ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(Box<str>);

impl Decimal {
    /// The number that a text of JSON's grammar for numbers names. `None`: it is none, or has too many digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if number::token_bytes(text.as_bytes()) != Some(text.len()) {
            return None;
        }
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()),
            None => (unsigned, Some(0)),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = String::with_capacity(mantissa.len());
        digits.push_str(whole);
        digits.push_str(part);
        let significant = digits.trim_start_matches('0');
        if significant.is_empty() {
            return Some(Self("0".into()));
        }
        // Where the point stands, counted from the first digit that is no zero.
        let whole_count = i64::try_from(whole.len()).ok()?;
        let stripped = i64::try_from(digits.len() - significant.len()).ok()?;
        let point = whole_count - stripped + i64::from(exponent?);
        let significant = significant.trim_end_matches('0');
        plain(is_negative, significant, point)
    }

    /// A whole number.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        Self(value.to_string().into())
    }

    /// As it is written in JSON and in SQL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same as an integer of 64 bits, if it is one.
    #[must_use]
    pub fn to_i64(&self) -> Option<i64> {
        self.0.parse().ok()
    }

    fn parts(&self) -> (bool, &str, &str) {
        let (is_negative, unsigned) = match self.0.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, &*self.0),
        };
        let (whole, part) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        (is_negative, whole, part)
    }
}

/// Digits that begin and end with no zero, and where the point stands among them.
fn plain(is_negative: bool, digits: &str, point: i64) -> Option<Decimal> {
    let count = i64::try_from(digits.len()).ok()?;
    let most = i64::try_from(DECIMAL_DIGITS_MAX).ok()?;
    if point > most || count - point > most {
        return None;
    }
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
    let mut text = String::from(if is_negative { "-" } else { "" });
    if point <= 0 {
        text.push_str("0.");
        text.push_str(&zeros(-point));
        text.push_str(digits);
    } else if point >= count {
        text.push_str(digits);
        text.push_str(&zeros(point - count));
    } else {
        let (whole, part) = digits.split_at(usize::try_from(point).ok()?);
        text.push_str(whole);
        text.push('.');
        text.push_str(part);
    }
    Some(Decimal(text.into()))
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one_negative, one_whole, one_part) = self.parts();
        let (two_negative, two_whole, two_part) = other.parts();
        let by_size = one_whole
            .len()
            .cmp(&two_whole.len())
            .then_with(|| one_whole.cmp(two_whole))
            .then_with(|| one_part.cmp(two_part));
        match (one_negative, two_negative) {
            (false, false) => by_size,
            (true, true) => by_size.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn equal_numbers_have_one_text() {
        for (written, text) in [
            ("0", "0"),
            ("-0.00", "0"),
            ("0e5", "0"),
            ("1.50", "1.5"),
            ("100", "100"),
            ("1e2", "100"),
            ("1.25E1", "12.5"),
            ("-12.5e-3", "-0.0125"),
            ("9007199254740993", "9007199254740993"),
            ("0.1e1", "1"),
            ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
        ] {
            assert_eq!(decimal(written).as_str(), text, "{written}");
        }
        for wrong in ["", "+1", "NaN", "1.", "0x1", "1e401", "1e-401", "1e99999999999"] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
        assert_eq!(decimal("9223372036854775807").to_i64(), Some(i64::MAX));
        assert_eq!(decimal("9223372036854775808").to_i64(), None);
        assert_eq!(decimal("1.5").to_i64(), None);
    }

    #[test]
    fn order_is_by_value() {
        let ascending = [
            "-1e30", "-100", "-99.9", "-1.5", "-1.05", "-1", "-0.001", "0", "0.001", "0.01",
            "0.0101", "1", "1.05", "1.5", "9", "10", "99.9", "100", "1e30",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (than, other) in ascending.iter().enumerate() {
                assert_eq!(decimal(one).cmp(&decimal(other)), at.cmp(&than), "{one} {other}");
            }
        }
    }
}
