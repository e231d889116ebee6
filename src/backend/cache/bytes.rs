//! Values and rows as bytes, and back: what is kept of an answer, and what a key is made of.
//!
//! Invariants: different things are written differently, so that a hash of what was written names one thing; whatever bytes are read, rows come out or nothing does, and for each of them a byte was
//! read at least.

use crate::tables::Decimal;
use crate::tables::End;
use crate::tables::Float;
use crate::tables::Page;
use crate::tables::Row;
use crate::tables::Time;
use crate::tables::Value;

/// Which form this is: bytes of another one are not read.
const FORM: u8 = 1;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const DECIMAL: u8 = 4;
const FLOAT: u8 = 5;
const TEXT: u8 = 6;
const TIME: u8 = 7;
const BYTES: u8 = 8;
const JSON: u8 = 9;

/// Levels of rows within rows that are read; preloads go less deep.
const DEPTH_MAX: usize = crate::limits::TABLE_PRELOAD_DEPTH_MAX + 1;

/// Appends a number.
pub(super) fn put_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// Appends a length.
pub(super) fn put_length(length: usize, out: &mut Vec<u8>) {
    put_number(length as u64, out);
}

/// Appends a text or bytes, with their length in front.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends a number that may not be there.
pub(super) fn put_optional(number: Option<u64>, out: &mut Vec<u8>) {
    out.push(u8::from(number.is_some()));
    put_number(number.unwrap_or_default(), out);
}

/// Appends a value.
pub(super) fn put_value(value: &Value, out: &mut Vec<u8>) {
    let mut tagged = |tag: u8, bytes: &[u8]| {
        out.push(tag);
        put_bytes(bytes, out);
    };
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(said) => out.push(if *said { TRUE } else { FALSE }),
        Value::Int(value) => {
            out.push(INT);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Float(value) => {
            out.push(FLOAT);
            put_number(value.to_f64().to_bits(), out);
        }
        Value::Time(time) => {
            out.push(TIME);
            out.extend_from_slice(&time.us().to_le_bytes());
        }
        Value::Decimal(value) => tagged(DECIMAL, value.as_str().as_bytes()),
        Value::Text(text) => tagged(TEXT, text.as_bytes()),
        Value::Bytes(bytes) => tagged(BYTES, bytes),
        Value::Json(text) => tagged(JSON, text.as_bytes()),
    }
}

fn put_row(row: &Row, out: &mut Vec<u8>) {
    put_length(row.values.len(), out);
    row.values.iter().for_each(|value| put_value(value, out));
    put_length(row.related.len(), out);
    for rows in &row.related {
        put_length(rows.len(), out);
        rows.iter().for_each(|row| put_row(row, out));
    }
}

/// Appends a page that is a whole answer; `end`: what is known at its end.
pub(super) fn put_page(rows: &[Row], end: End, out: &mut Vec<u8>) {
    out.push(FORM);
    put_number(end.count, out);
    put_optional(end.total, out);
    put_optional(end.number, out);
    put_length(rows.len(), out);
    rows.iter().for_each(|row| put_row(row, out));
}

/// Appends a number of rows.
pub(super) fn put_total(total: u64, out: &mut Vec<u8>) {
    out.push(FORM);
    put_number(total, out);
}

/// The page that was written; `None`: it is none.
pub(super) fn read_page(bytes: &[u8]) -> Option<Page> {
    let mut reader = BytesLeft(bytes);
    reader.form()?;
    let end =
        End { count: reader.number()?, total: reader.optional()?, number: reader.optional()? };
    let rows = reader.rows(DEPTH_MAX)?;
    (reader.0.is_empty() && end.count == rows.len() as u64)
        .then_some(Page { rows: rows.into(), end: Some(end) })
}

/// The number of rows that was written; `None`: it is none.
pub(super) fn read_total(bytes: &[u8]) -> Option<u64> {
    let mut reader = BytesLeft(bytes);
    reader.form()?;
    let total = reader.number()?;
    reader.0.is_empty().then_some(total)
}

/// What is left to be read.
struct BytesLeft<'a>(&'a [u8]);

impl<'a> BytesLeft<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn form(&mut self) -> Option<()> {
        (self.byte()? == FORM).then_some(())
    }

    fn eight(&mut self) -> Option<[u8; 8]> {
        self.take(8)?.try_into().ok()
    }

    fn number(&mut self) -> Option<u64> {
        self.eight().map(u64::from_le_bytes)
    }

    fn optional(&mut self) -> Option<Option<u64>> {
        let is_there = self.byte()?;
        let number = self.number()?;
        match is_there {
            0 => Some(None),
            1 => Some(Some(number)),
            _ => None,
        }
    }

    /// A length of things of which each takes a byte at least.
    fn length(&mut self) -> Option<usize> {
        let length = usize::try_from(self.number()?).ok()?;
        (length <= self.0.len()).then_some(length)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.byte()? {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => Value::Int(i64::from_le_bytes(self.eight()?)),
            DECIMAL => Value::Decimal(Decimal::parse(self.text()?)?),
            FLOAT => Value::Float(Float::new(f64::from_bits(self.number()?))?),
            TEXT => Value::Text(self.text()?.into()),
            TIME => Value::Time(Time::new(i64::from_le_bytes(self.eight()?))?),
            BYTES => Value::Bytes(self.bytes()?.into()),
            JSON => Value::Json(self.text()?.into()),
            _ => return None,
        })
    }

    fn row(&mut self, depth: usize) -> Option<Row> {
        let count = self.length()?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value()?);
        }
        let count = self.length()?;
        let mut related = Vec::new();
        for _ in 0..count {
            related.push(self.rows(depth.checked_sub(1)?)?);
        }
        Some(Row { values: values.into(), related })
    }

    fn rows(&mut self, depth: usize) -> Option<Vec<Row>> {
        let count = self.length()?;
        let mut rows = Vec::new();
        for _ in 0..count {
            rows.push(self.row(depth)?);
        }
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Type;

    fn values() -> Vec<Value> {
        let read = |kind: Type, text: &str| kind.read(text).unwrap();
        vec![
            Value::Null,
            Value::Bool(false),
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::Int(9_007_199_254_740_993),
            read(Type::Decimal, "123456789012345678901234567890.1"),
            read(Type::Decimal, "-0.0"),
            read(Type::Float, "5e-324"),
            read(Type::Float, "-0.0"),
            read(Type::Text, r#""""#),
            read(Type::Text, r#""\ud83d\ude00""#),
            read(Type::Time, r#""0001-01-01T00:00:00Z""#),
            read(Type::Bytes, r#""AAE=""#),
            read(Type::Json, r#"{"b":1, "a":[1e400]}"#),
            read(Type::Json, r#""x""#),
            read(Type::Text, r#""\"x\"""#),
        ]
    }

    fn page() -> (Vec<Row>, End) {
        let inner = Row { values: values().into(), related: vec![Vec::new()] };
        let outer = Row {
            values: [Value::Int(7)].into(),
            related: vec![vec![inner.clone(), inner], Vec::new()],
        };
        let rows = vec![outer.clone(), Row::new(values().into()), outer];
        (rows, End { count: 3, total: Some(u64::MAX), number: None })
    }

    fn written() -> Vec<u8> {
        let (rows, end) = page();
        let mut bytes = Vec::new();
        put_page(&rows, end, &mut bytes);
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let (rows, end) = page();
        assert_eq!(read_page(&written()), Some(Page { rows: rows.into(), end: Some(end) }));
        let mut bytes = Vec::new();
        put_total(12, &mut bytes);
        assert_eq!(read_total(&bytes), Some(12));
        // Neither is the other.
        assert_eq!((read_page(&bytes), read_total(&written())), (None, None));
    }

    #[test]
    fn values_that_differ_are_written_differently() {
        let mut seen = std::collections::HashSet::new();
        for value in values() {
            let mut bytes = Vec::new();
            put_value(&value, &mut bytes);
            let is_zero = matches!(&value, Value::Decimal(zero) if zero.as_str() == "0");
            assert!(seen.insert(bytes) || is_zero, "{value:?}");
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_no_page_or_another_one_and_never_harms() {
        let whole = written();
        for length in 0..whole.len() {
            let cut = whole.get(..length).unwrap();
            assert_eq!(read_page(cut), None, "{length} of {} bytes", whole.len());
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(read_page(&longer), None);
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut other = whole.clone();
                other[at] ^= 1 << bit;
                // A bit of a value is another value.
                let read = read_page(&other);
                assert!(read.is_none_or(|page| page.rows.len() == 3), "byte {at}, bit {bit}");
            }
        }
    }
}
