//! Values as PostgreSQL writes them as texts: what is bound, and what is read back.
//!
//! Invariant: a value that was written is read back equal. What stands in a column of a table that somebody else made, and is none of the column's type (a NaN, an infinite time, a year before 1), is an error
//! that names the column, and never another value.

use std::io::Write as _;

use bytes::Bytes;

use crate::tables::Column;
use crate::tables::ColumnId;
use crate::tables::Decimal;
use crate::tables::ErrorCode;
use crate::tables::Float;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::Time;
use crate::tables::Type;
use crate::tables::Value;
use crate::tables::gather::Values;

/// Appends the text of a value that is bound; `false`: it is null.
pub(super) fn put(value: &Value, out: &mut Vec<u8>) -> bool {
    let written = match value {
        Value::Null => return false,
        Value::Bool(said) => write!(out, "{said}"),
        Value::Int(value) => write!(out, "{value}"),
        Value::Float(value) => write!(out, "{value}"),
        Value::Decimal(value) => write!(out, "{value}"),
        Value::Text(text) | Value::Json(text) => out.write_all(text.as_bytes()),
        Value::Time(time) => write!(out, "{}", time.to_sortable()),
        Value::Bytes(bytes) => {
            out.reserve(2 + 2 * bytes.len());
            out.extend(b"\\x");
            bytes.iter().for_each(|byte| out.extend([digit(byte >> 4), digit(byte & 15)]));
            Ok(())
        }
    };
    written.expect("a Vec takes every write");
    true
}

const fn digit(half: u8) -> u8 {
    if half < 10 { b'0' + half } else { b'a' + half - 10 }
}

/// A row's values: of these columns, and the number that may stand behind them.
pub(super) fn read_row(
    (table, columns): (&Table, &[ColumnId]),
    found: &[Option<Bytes>],
) -> Result<(Values, Option<i64>), TableError> {
    let lacks = || TableError::new(ErrorCode::Failed, "the database has left out a column");
    let value = |(index, column): (usize, &ColumnId)| {
        read(table.column(*column), found.get(index).ok_or_else(lacks)?.as_deref())
    };
    let values: Values = columns.iter().enumerate().map(value).collect::<Result<_, _>>()?;
    let number = found.get(columns.len()).and_then(Option::as_deref);
    let number = number.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    Ok((values, number))
}

/// The value that stands in a column.
fn read(column: &Column, found: Option<&[u8]>) -> Result<Value, TableError> {
    let Some(found) = found else { return Ok(Value::Null) };
    let text = std::str::from_utf8(found).ok();
    let value = text.and_then(|text| match column.kind {
        Type::Bool => match text {
            "t" => Some(Value::Bool(true)),
            "f" => Some(Value::Bool(false)),
            _ => None,
        },
        Type::Int => text.parse().ok().map(Value::Int),
        Type::Decimal => Decimal::parse(text).map(Value::Decimal),
        Type::Float => text.parse().ok().and_then(Float::new).map(Value::Float),
        Type::Text => Some(Value::Text(text.into())),
        Type::Time => Time::parse(text).map(Value::Time),
        Type::Bytes => unhexed(text).map(|bytes| Value::Bytes(bytes.into())),
        Type::Json => Some(Value::Json(text.into())),
    });
    value.ok_or_else(|| {
        let message = format!("what the database has in this column must be {}", column.kind);
        TableError::new(ErrorCode::Failed, message).at(&column.name)
    })
}

fn unhexed(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let half = |digit: u8| char::from(digit).to_digit(16).and_then(|half| u8::try_from(half).ok());
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some((half(high)? << 4) | half(low)?),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_is_read_back() {
        for (kind, json) in [
            (Type::Bool, "true"),
            (Type::Int, "-9223372036854775808"),
            (Type::Decimal, "-0.0010"),
            (Type::Float, "5e-324"),
            (Type::Float, "1.7976931348623157e308"),
            (Type::Text, r#""\ud800é""#),
            (Type::Time, r#""0001-01-01T00:00:00Z""#),
            (Type::Bytes, r#""AAH/""#),
            (Type::Json, r#"{"b":1, "a":"\ud800"}"#),
        ] {
            let value = kind.read(json).unwrap();
            let mut text = Vec::new();
            assert!(put(&value, &mut text));
            let text = if kind == Type::Bool { b"t".to_vec() } else { text };
            assert_eq!(read(&Column::new("c", kind), Some(&text)), Ok(value), "{json}");
        }
        assert!(!put(&Value::Null, &mut Vec::new()));
        assert_eq!(read(&Column::new("c", Type::Int), None), Ok(Value::Null));
    }

    #[test]
    fn what_the_server_writes_is_read_and_what_is_no_value_is_an_error() {
        let time = |text: &str| Value::Time(Time::parse(text).unwrap());
        for (kind, text, value) in [
            (Type::Time, "2026-01-10 12:00:00.5+00", time("2026-01-10T12:00:00.5Z")),
            (Type::Time, "2026-01-10 12:00:00", time("2026-01-10T12:00:00Z")),
            (Type::Time, "2026-01-10", time("2026-01-10T00:00:00Z")),
            (Type::Decimal, "1.50", Value::Decimal(Decimal::parse("1.5").unwrap())),
            (Type::Float, "1e+300", Value::Float(Float::new(1e300).unwrap())),
        ] {
            assert_eq!(read(&Column::new("c", kind), Some(text.as_bytes())), Ok(value), "{text}");
        }
        for (kind, text) in [
            (Type::Bool, "true"),
            (Type::Int, "1.5"),
            (Type::Decimal, "NaN"),
            (Type::Float, "Infinity"),
            (Type::Float, "NaN"),
            (Type::Time, "infinity"),
            (Type::Time, "0044-03-15 12:00:00+00 BC"),
            (Type::Time, "10000-01-01 00:00:00+00"),
            (Type::Bytes, "\\x0"),
            (Type::Bytes, "abc"),
        ] {
            let error = read(&Column::new("c", kind), Some(text.as_bytes())).unwrap_err();
            assert_eq!(
                (error.code, error.place.as_deref()),
                (ErrorCode::Failed, Some("c")),
                "{text}"
            );
        }
        assert!(read(&Column::new("c", Type::Text), Some(b"\xff")).is_err());
    }
}
