//! A number of JSON, compared exactly whatever way it was written.
//!
//! An integer of up to 64 bits does not fit a double, and a comparison that rounds first finds 9007199254740993 equal to
//! 9007199254740992. So a number is the nearest double and what is missing to it. Invariants: `near` is neither NaN nor -0, and
//! `rest` is 0 unless the number is an integer beyond 2^53. Integers beyond 64 bits are rounded to the nearest double, numbers
//! beyond a double's range to the largest.

use std::cmp::Ordering;
use std::fmt;
use std::hash::Hash;
use std::hash::Hasher;

/// See the module. `==` asks for the same value written as the same kind; [`Number::same_value`] for the value alone.
#[derive(Clone, Copy, Debug)]
pub struct Number {
    near: f64,
    rest: i16,
    /// Written with a fraction or an exponent, or an integer of more than 64 bits.
    float: bool,
}

impl Number {
    /// A double. Infinities become the largest double of their sign, NaN becomes 0: neither can be written in JSON.
    #[must_use]
    pub const fn from_f64(value: f64) -> Self {
        let near =
            if value.is_nan() || value == 0.0 { 0.0 } else { value.clamp(f64::MIN, f64::MAX) };
        Self { near, rest: 0, float: true }
    }

    /// A signed integer.
    #[must_use]
    pub fn from_i64(value: i64) -> Self {
        Self::from_integer(i128::from(value), value as f64)
    }

    /// An unsigned integer.
    #[must_use]
    pub fn from_u64(value: u64) -> Self {
        Self::from_integer(i128::from(value), value as f64)
    }

    /// The number that a JSON number token names; `None` if `text` is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if token_bytes(text.as_bytes()) != Some(text.len()) {
            return None;
        }
        if let Ok(value) = text.parse::<i64>() {
            return Some(Self::from_i64(value));
        }
        if let Ok(value) = text.parse::<u64>() {
            return Some(Self::from_u64(value));
        }
        text.parse::<f64>().ok().map(Self::from_f64)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a double nearest to a 64-bit integer is whole, and at most 1024 away"
    )]
    const fn from_integer(value: i128, near: f64) -> Self {
        Self { near, rest: (value - near as i128) as i16, float: false }
    }

    /// The nearest double.
    #[must_use]
    pub const fn to_f64(self) -> f64 {
        self.near
    }

    /// What is missing to it from [`Number::to_f64`].
    #[must_use]
    pub const fn lack(self) -> i16 {
        self.rest
    }

    /// What makes its value: equal values have equal bits, however written.
    #[must_use]
    pub const fn to_bits(self) -> (u64, i16) {
        (self.near.to_bits(), self.rest)
    }

    /// Whether the number was written with a fraction or an exponent, or has more than 64 bits.
    #[must_use]
    pub const fn is_float(self) -> bool {
        self.float
    }

    /// The number as the kind that most writers would choose: an integer where its value is one of 64 bits.
    #[must_use]
    pub fn plain(self) -> Self {
        const BEYOND_U64: f64 = 18_446_744_073_709_551_616.0;
        const LEAST_I64: f64 = -9_223_372_036_854_775_808.0;
        let whole = self.near.fract() == 0.0 && self.near >= LEAST_I64 && self.near < BEYOND_U64;
        Self { float: self.float && !whole, ..self }
    }

    /// Whether both are the same value, however written.
    #[must_use]
    pub fn same_value(self, other: Self) -> bool {
        self.near == other.near && self.rest == other.rest
    }

    /// Which is larger, exactly. Rounding to the nearest keeps order, so the doubles decide unless they are the same.
    #[must_use]
    pub fn cmp_value(self, other: Self) -> Ordering {
        self.near.total_cmp(&other.near).then(self.rest.cmp(&other.rest))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.same_value(*other) && self.float == other.float
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.cmp_value(*other).then(self.float.cmp(&other.float))
    }
}

impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.near.to_bits().hash(state);
        self.rest.hash(state);
        self.float.hash(state);
    }
}

/// As a JSON number that reads back as an equal one.
impl fmt::Display for Number {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "an integer's nearest double is whole and within 64 bits"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.float {
            write!(f, "{:?}", self.near)
        } else {
            write!(f, "{}", self.near as i128 + i128::from(self.rest))
        }
    }
}

/// How many bytes at the start of `text` are one JSON number; `None` if it does not start with one.
//= rfc8259#6
//# number = [ minus ] int [ frac ] [ exp ]
#[must_use]
pub fn token_bytes(text: &[u8]) -> Option<usize> {
    let mut at = usize::from(text.first() == Some(&b'-'));
    let digits =
        |from: usize| text.iter().skip(from).take_while(|byte| byte.is_ascii_digit()).count();
    match text.get(at) {
        Some(b'0') => at += 1,
        Some(b'1'..=b'9') => at += digits(at),
        _ => return None,
    }
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        let signed = at + 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(signed);
        if exponent == 0 {
            return None;
        }
        at = signed + exponent;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn values_are_compared_exactly_across_kinds() {
        for (less, more) in [
            ("9007199254740992", "9007199254740993"),
            ("9007199254740992.0", "9007199254740993"),
            ("9007199254740993", "9007199254740994.0"),
            ("18446744073709551614", "18446744073709551615"),
            ("18446744073709551615", "18446744073709551616.0"),
            ("-9223372036854775808", "-9223372036854775807"),
            ("-1", "-0.5"),
            ("0", "5e-324"),
            ("1e308", "1e309"),
        ] {
            assert_eq!(number(less).cmp_value(number(more)), Ordering::Less, "{less} {more}");
            assert_eq!(number(more).cmp_value(number(less)), Ordering::Greater, "{less} {more}");
        }
        for (one, other) in [
            ("1", "1.0"),
            ("-0", "0"),
            ("0", "-0.0"),
            ("1e2", "100"),
            ("9007199254740994", "9007199254740994.0"),
        ] {
            assert!(number(one).same_value(number(other)), "{one} {other}");
        }
        assert_ne!(number("1"), number("1.0"));
        assert_eq!(number("1").plain(), number("1.0").plain());
        assert_ne!(number("1.5").plain(), number("1").plain());
    }

    #[test]
    fn it_prints_as_it_reads() {
        for text in [
            "0",
            "-1",
            "1.0",
            "1.5",
            "18446744073709551615",
            "-9223372036854775808",
            "9007199254740993",
            "1e300",
            "1e-7",
        ] {
            assert_eq!(number(text).to_string(), text);
            assert_eq!(number(&number(text).to_string()), number(text));
        }
    }

    #[test]
    fn only_a_whole_json_number_is_one() {
        for text in [
            "", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1 ", " 1", "NaN", "inf", "1_0",
            "--1",
        ] {
            assert!(Number::parse(text).is_none(), "{text}");
        }
        for text in
            ["0", "-0", "10", "1.25", "1E5", "1e+5", "1e-5", "123456789012345678901234567890"]
        {
            assert!(Number::parse(text).is_some(), "{text}");
        }
    }
}
