//! Values as SQLite has them: what is bound, and what is read back.
//!
//! Invariant: a value that was written is read back equal. What stands in a column of a table that somebody else made, and is none of the column's type, is an error that names the column, and never
//! another value.

use rusqlite::ToSql;
use rusqlite::types::ToSqlOutput;
use rusqlite::types::ValueRef;

use crate::tables::Column;
use crate::tables::Decimal;
use crate::tables::ErrorCode;
use crate::tables::Float;
use crate::tables::TableError;
use crate::tables::Time;
use crate::tables::Type;
use crate::tables::Value;

/// A value that is bound to a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound<'a>(pub(super) &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(said) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*said))),
            Value::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Value::Float(value) => ToSqlOutput::Borrowed(ValueRef::Real(value.to_f64())),
            Value::Decimal(value) => {
                ToSqlOutput::Borrowed(ValueRef::Text(value.as_str().as_bytes()))
            }
            Value::Text(text) | Value::Json(text) => {
                ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
            }
            Value::Time(time) => {
                ToSqlOutput::Owned(rusqlite::types::Value::Text(time.to_sortable()))
            }
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

/// The value that stands in a column.
pub(super) fn read(column: &Column, found: ValueRef<'_>) -> Result<Value, TableError> {
    let value = match (column.kind, found) {
        (_, ValueRef::Null) => Some(Value::Null),
        (Type::Bool, ValueRef::Integer(value @ (0 | 1))) => Some(Value::Bool(value == 1)),
        (Type::Int, ValueRef::Integer(value)) => Some(Value::Int(value)),
        (Type::Decimal, ValueRef::Integer(value)) => Some(Value::Decimal(Decimal::from_i64(value))),
        (Type::Decimal, ValueRef::Real(value)) => {
            let text = Float::new(value).map(|value| value.to_string());
            text.and_then(|text| Decimal::parse(&text)).map(Value::Decimal)
        }
        (Type::Float, ValueRef::Real(value)) => Float::new(value).map(Value::Float),
        (Type::Float, ValueRef::Integer(value)) => Float::new(value as f64).map(Value::Float),
        (Type::Bytes, ValueRef::Blob(bytes)) => Some(Value::Bytes(bytes.into())),
        (kind, ValueRef::Text(text)) => {
            std::str::from_utf8(text).ok().and_then(|text| match kind {
                Type::Time => Time::parse(text).map(Value::Time),
                Type::Json => Some(Value::Json(text.into())),
                Type::Bytes => Some(Value::Bytes(text.as_bytes().into())),
                kind => kind.of_text(text).ok(),
            })
        }
        _ => None,
    };
    value.ok_or_else(|| {
        let message = format!("what the database has in this column must be {}", column.kind);
        TableError::new(ErrorCode::Failed, message).at(&column.name)
    })
}
