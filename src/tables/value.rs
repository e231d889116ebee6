//! What stands in a row: a value of one of eight types, and how each is read from JSON and written as JSON.
//!
//! Invariants: a value of a column has the column's type or is null; what a client sends is made such a value once, by [`Type::read`], and is never text of a
//! query from then on. Two values of a type compare alike in every backend: numbers by value, texts by bytes, moments as instants. `docs/TABLES.md` has the table.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::decimal::Decimal;
use crate::event::json;
use crate::event::json::JsonError;
use crate::event::json::Reader;
use crate::event::json::Token;
use crate::event::moment;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Bool,
    /// A whole number of 64 bits with a sign.
    Int,
    /// A number of any size, exactly.
    Decimal,
    /// A double.
    Float,
    /// Text without U+0000.
    Text,
    /// An instant, to the microsecond, in the years 1 to 9999.
    Time,
    Bytes,
    /// Any JSON, as its text.
    Json,
}

impl Type {
    pub const ALL: [Self; 8] = [
        Self::Bool,
        Self::Int,
        Self::Decimal,
        Self::Float,
        Self::Text,
        Self::Time,
        Self::Bytes,
        Self::Json,
    ];

    /// The word for it in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Decimal => "decimal",
            Self::Float => "float",
            Self::Text => "text",
            Self::Time => "time",
            Self::Bytes => "bytes",
            Self::Json => "json",
        }
    }

    /// The type that a word names.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|of| of.name() == name)
    }

    /// Whether its values have an order, so that they may be compared and sorted by.
    #[must_use]
    pub const fn is_ordered(self) -> bool {
        !matches!(self, Self::Json)
    }

    /// Whether its values have one text in every backend, so that patterns may be looked for in them.
    #[must_use]
    pub const fn has_text(self) -> bool {
        matches!(self, Self::Bool | Self::Int | Self::Decimal | Self::Text)
    }

    /// The value of this type that a JSON value stands for: `null` is null whatever the type; numbers and texts that write the same value are the same.
    ///
    /// # Errors
    /// If it is no JSON, or stands for no value of this type.
    pub fn read(self, json: &str) -> Result<Value, ValueProblem> {
        let mut reader = Reader::new(json);
        let token = reader.next_token().map_err(ValueProblem::NotJson)?;
        let Some((_, token)) = token else { return Err(ValueProblem::wrong(self, "nothing")) };
        if token == Token::Null {
            return Ok(Value::Null);
        }
        if self == Self::Json {
            while reader.next_token().map_err(ValueProblem::NotJson)?.is_some() {}
            return Ok(Value::Json(json.trim().into()));
        }
        match token {
            Token::Bool(said) => self.of_bool(said),
            Token::Number(text) => self.of_number(text),
            Token::Text(token) => self.of_text(&json::unescaped(token)),
            Token::ArrayStart => Err(ValueProblem::wrong(self, "an array")),
            _ => Err(ValueProblem::wrong(self, "an object")),
        }
    }

    fn of_bool(self, said: bool) -> Result<Value, ValueProblem> {
        match self {
            Self::Bool => Ok(Value::Bool(said)),
            Self::Text => Ok(Value::Text(said.to_string().into())),
            _ => Err(ValueProblem::wrong(self, "true or false")),
        }
    }

    fn of_number(self, text: &str) -> Result<Value, ValueProblem> {
        match self {
            Self::Int | Self::Decimal | Self::Float => self.of_digits(text, "a number"),
            Self::Text => Ok(Value::Text(text.into())),
            _ => Err(ValueProblem::wrong(self, "a number")),
        }
    }

    fn of_digits(self, text: &str, found: &'static str) -> Result<Value, ValueProblem> {
        if json_number(text).is_none() {
            return Err(ValueProblem::wrong(self, found));
        }
        if self == Self::Float {
            let read = text.parse::<f64>().ok().and_then(Float::new);
            return read.map(Value::Float).ok_or(ValueProblem::OutOfRange(self));
        }
        let decimal = Decimal::parse(text).ok_or(ValueProblem::OutOfRange(self))?;
        if self == Self::Decimal {
            return Ok(Value::Decimal(decimal));
        }
        match decimal.to_i64() {
            Some(value) => Ok(Value::Int(value)),
            None if decimal.as_str().contains('.') => {
                Err(ValueProblem::wrong(self, "a number with a fraction"))
            }
            None => Err(ValueProblem::OutOfRange(self)),
        }
    }

    /// The value of this type that a text stands for.
    ///
    /// # Errors
    /// If it stands for none.
    pub fn of_text(self, text: &str) -> Result<Value, ValueProblem> {
        match self {
            Self::Bool => match text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(ValueProblem::wrong(self, "a text")),
            },
            Self::Int | Self::Decimal | Self::Float => self.of_digits(text, "a text"),
            Self::Text if text.contains('\0') => Err(ValueProblem::NulInText),
            Self::Text => Ok(Value::Text(text.into())),
            Self::Time => Time::parse(text).map(Value::Time).ok_or(ValueProblem::NotATime),
            Self::Bytes => {
                let bytes = BASE64_STANDARD.decode(text).map_err(|_| ValueProblem::NotBase64)?;
                Ok(Value::Bytes(bytes.into()))
            }
            Self::Json => self.read(text),
        }
    }
}

fn json_number(text: &str) -> Option<()> {
    let bytes = crate::event::number::token_bytes(text.as_bytes())?;
    (bytes == text.len()).then_some(())
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::Decimal | Self::Float => "a number",
            Self::Text => "a text",
            Self::Time => "a time",
            Self::Bytes => "bytes in base64",
            Self::Json => "JSON",
        })
    }
}

/// One value. Values of one type have an order; what is null has none, and is passed by no comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Decimal(Decimal),
    Float(Float),
    Text(Arc<str>),
    Time(Time),
    Bytes(Arc<[u8]>),
    /// As it was written, without the space around it.
    Json(Arc<str>),
}

impl Value {
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether a column of this type may hold it.
    #[must_use]
    pub const fn is_of(&self, kind: Type) -> bool {
        matches!(
            (self, kind),
            (Self::Null, _)
                | (Self::Bool(_), Type::Bool)
                | (Self::Int(_), Type::Int)
                | (Self::Decimal(_), Type::Decimal)
                | (Self::Float(_), Type::Float)
                | (Self::Text(_), Type::Text)
                | (Self::Time(_), Type::Time)
                | (Self::Bytes(_), Type::Bytes)
                | (Self::Json(_), Type::Json)
        )
    }

    /// The value's text, in which patterns are looked for; `None`: null, or of a type that has none.
    #[must_use]
    pub fn to_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Bool(said) => Some(if *said { "true" } else { "false" }.into()),
            Self::Int(value) => Some(value.to_string().into()),
            Self::Decimal(value) => Some(value.as_str().into()),
            Self::Text(text) => Some((&**text).into()),
            Self::Null | Self::Float(_) | Self::Time(_) | Self::Bytes(_) | Self::Json(_) => None,
        }
    }

    /// Appends it as JSON.
    pub fn put_json(&self, out: &mut String) {
        use fmt::Write as _;
        let written = match self {
            Self::Null => out.write_str("null"),
            Self::Bool(said) => out.write_str(if *said { "true" } else { "false" }),
            Self::Int(value) => out.write_str(itoa::Buffer::new().format(*value)),
            Self::Decimal(value) => write!(out, "{value}"),
            Self::Float(value) => write!(out, "{value}"),
            Self::Json(text) => out.write_str(text),
            Self::Time(time) => write!(out, "\"{time}\""),
            Self::Bytes(bytes) => write!(out, "\"{}\"", BASE64_STANDARD.encode(bytes)),
            Self::Text(text) => {
                json::push_string(text, out);
                Ok(())
            }
        };
        written.expect("a String takes every write");
    }

    /// Bytes that it keeps alive beyond its own struct, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        match self {
            Self::Decimal(value) => value.as_str().len(),
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

/// A double that JSON can write: neither infinite nor NaN, and zero has no sign.
#[derive(Clone, Copy, Debug)]
pub struct Float(f64);

impl Float {
    /// `None`: JSON cannot write it.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(if value == 0.0 { 0.0 } else { value }))
    }

    #[must_use]
    pub const fn to_f64(self) -> f64 {
        self.0
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Float {}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Float {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// As the shortest text that reads back as the same double.
impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole_max = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() <= whole_max {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}

/// An instant, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// The beginning of the year 1.
    const FIRST_US: i64 = -62_135_596_800_000_000;
    /// The last day of the year 9999 but one, as far as the calendar here goes.
    const LAST_US: i64 = 253_402_207_199_999_999;

    /// `None`: outside of the years 1 to 9999.
    #[must_use]
    pub fn new(us: i64) -> Option<Self> {
        (Self::FIRST_US..=Self::LAST_US).contains(&us).then_some(Self(us))
    }

    /// The instant that a text names, whatever offset it is written with; without one it is UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        moment::parse_us(text).and_then(Self::new)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn us(self) -> i64 {
        self.0
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).expect("it is within the years of the calendar")
    }

    /// With six digits behind the point always, so that texts are ordered as instants are: `2026-01-10T12:00:00.500000Z`.
    #[must_use]
    pub fn to_sortable(self) -> String {
        format!("{:.6}", self.timestamp())
    }
}

/// `2026-01-10T12:00:00Z`, with no digits behind the point, or three, or six.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rem_euclid(1_000_000) {
            0 => write!(f, "{:.0}", self.timestamp()),
            us if us % 1000 == 0 => write!(f, "{:.3}", self.timestamp()),
            _ => write!(f, "{:.6}", self.timestamp()),
        }
    }
}

/// Why something is no value of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueProblem {
    NotJson(JsonError),
    WrongType { wanted: Type, found: &'static str },
    OutOfRange(Type),
    NulInText,
    NotATime,
    NotBase64,
}

impl ValueProblem {
    const fn wrong(wanted: Type, found: &'static str) -> Self {
        Self::WrongType { wanted, found }
    }
}

impl fmt::Display for ValueProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(error) => write!(f, "it is no JSON: {error}"),
            Self::WrongType { wanted, found } => write!(f, "it must be {wanted}, and is {found}"),
            Self::OutOfRange(Type::Int) => f.write_str("it does not fit 64 bits"),
            Self::OutOfRange(Type::Float) => f.write_str("it does not fit a double"),
            Self::OutOfRange(_) => f.write_str("it has too many digits"),
            Self::NulInText => f.write_str("a text may not hold U+0000"),
            Self::NotATime => {
                f.write_str("it must be a time of the years 1 to 9999, as in 2026-01-10T12:00:00Z")
            }
            Self::NotBase64 => f.write_str("it must be bytes in base64"),
        }
    }
}

impl std::error::Error for ValueProblem {}
