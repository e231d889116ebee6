//! From what clients and events say to values of a table: objects of JSON, keys as text, operators by their names.
//!
//! Invariant: what is read is checked against the schema, and what is wrong is said with the column that it is about.

use std::borrow::Cow;

use super::error::ErrorCode;
use super::error::TableError;
use super::filter::Comparison;
use super::filter::Filter;
use super::query::Assigned;
use super::schema::ColumnId;
use super::schema::Table;
use super::value::Type;
use super::value::Value;
use super::value::ValueProblem;
use crate::event::json;
use crate::event::json::JsonError;
use crate::event::json::Reader;
use crate::event::json::Token;

/// What is done with members that are no columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Unknown columns are passed over.
    Ignored,
    /// Unknown columns are refused.
    Refused,
}

impl Table {
    /// The values that an object of JSON gives to columns; of members of one name the last one counts.
    ///
    /// # Errors
    /// If it is no object, or a member is none of its column's type.
    pub fn read_object(&self, object: &str, unknown: Unknown) -> Result<Assigned, TableError> {
        let mut assigned = Assigned::new();
        for member in members(object).map_err(|error| not_json(&error))? {
            let (name, value) = member;
            let Some(id) = self.find_column(&name) else {
                if unknown == Unknown::Refused {
                    return Err(TableError::unknown_column(&name));
                }
                continue;
            };
            let value = self.read_value(id, value)?;
            assigned.retain(|(of, _)| *of != id);
            assigned.push((id, value));
        }
        Ok(assigned)
    }

    /// The value of a column that a JSON value stands for.
    ///
    /// # Errors
    /// If it is none of the column's type.
    pub fn read_value(&self, id: ColumnId, json: &str) -> Result<Value, TableError> {
        let column = self.column(id);
        column.kind.read(json).map_err(|problem| bad_value(&problem).at(&column.name))
    }

    /// The key that a text stands for: of one column its value's text, of several an array of JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn read_key(&self, text: &str) -> Result<Box<[Value]>, TableError> {
        if let [only] = *self.key {
            let column = self.column(only);
            let value = column.kind.of_text(text);
            let value = value.map_err(|problem| bad_value(&problem).at(&column.name))?;
            return Ok([value].into());
        }
        let values = elements(text).map_err(|error| not_json(&error))?;
        if values.len() != self.key.len() {
            let message = format!("the key has {} columns, as an array of JSON", self.key.len());
            return Err(TableError::new(ErrorCode::BadValue, message));
        }
        self.key.iter().zip(values).map(|(id, value)| self.read_value(*id, value)).collect()
    }
}

fn bad_value(problem: &ValueProblem) -> TableError {
    TableError::new(ErrorCode::BadValue, problem.to_string())
}

fn not_json(error: &JsonError) -> TableError {
    TableError::new(ErrorCode::BadValue, format!("it is not as it must be: {error}"))
}

fn wanted(at: usize, problem: json::JsonProblem) -> JsonError {
    JsonError { at, problem }
}

/// The members of an object, each value as its text.
fn members(object: &str) -> Result<Vec<(Cow<'_, str>, &str)>, JsonError> {
    let mut reader = Reader::new(object);
    let first = reader.next_token()?;
    if !matches!(first, Some((_, Token::ObjectStart))) {
        return Err(wanted(0, json::JsonProblem::NotAnObject));
    }
    let mut found = Vec::new();
    while let Some((_, token)) = reader.next_token()? {
        match token {
            Token::Name(name) => {
                let value = value_text(object, &mut reader)?;
                found.push((json::unescaped(name), value));
            }
            _ => break,
        }
    }
    // Nothing may stand behind it.
    reader.next_token()?;
    Ok(found)
}

/// The elements of an array, each as its text.
fn elements(array: &str) -> Result<Vec<&str>, JsonError> {
    let mut reader = Reader::new(array);
    let first = reader.next_token()?;
    if !matches!(first, Some((_, Token::ArrayStart))) {
        return Err(wanted(0, json::JsonProblem::ValueExpected));
    }
    let mut found = Vec::new();
    while let Some((at, token)) = reader.next_token()? {
        if token == Token::ArrayEnd {
            break;
        }
        let end = value_end(array, at, token, &mut reader)?;
        found.push(array.get(at..end).unwrap_or_default());
    }
    reader.next_token()?;
    Ok(found)
}

/// The text of the value that comes next.
fn value_text<'a>(text: &'a str, reader: &mut Reader<'a>) -> Result<&'a str, JsonError> {
    let Some((at, token)) = reader.next_token()? else {
        return Err(wanted(text.len(), json::JsonProblem::ValueExpected));
    };
    let end = value_end(text, at, token, reader)?;
    Ok(text.get(at..end).unwrap_or_default())
}

/// Where the value ends whose first token is at `at`.
fn value_end(
    text: &str,
    at: usize,
    first: Token<'_>,
    reader: &mut Reader<'_>,
) -> Result<usize, JsonError> {
    let mut depth = 0_usize;
    let (mut at, mut bytes) = (at, token_bytes(first));
    let mut token = first;
    loop {
        match token {
            Token::ObjectStart | Token::ArrayStart => depth += 1,
            Token::ObjectEnd | Token::ArrayEnd => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok(at + bytes);
        }
        let Some((next_at, next)) = reader.next_token()? else { return Ok(text.len()) };
        (at, token) = (next_at, next);
        bytes = token_bytes(token);
    }
}

fn token_bytes(token: Token<'_>) -> usize {
    match token {
        Token::ObjectStart | Token::ObjectEnd | Token::ArrayStart | Token::ArrayEnd => 1,
        Token::Name(text) | Token::Text(text) => text.len() + 2,
        Token::Number(text) => text.len(),
        Token::Bool(false) => 5,
        Token::Bool(true) | Token::Null => 4,
    }
}

/// An operator, as clients name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Compare(Comparison),
    Like {
        ignore_case: bool,
    },
    In,
    Contains,
    StartsWith,
    EndsWith,
    /// Between two values, or up to them.
    Between {
        inclusive: bool,
    },
    /// Null, or the empty text.
    Empty,
    NotEmpty,
}

impl Operator {
    /// The operator of that name, exactly as it is written.
    //= resolvespec#3A.5
    //# Operators implemented in WebSocketSpec/MQTTSpec: `eq =`, `neq !=`, `gt >`, `gte >=`, `lt <`, `lte <=`,
    //# `like`, `ilike`, `in`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "eq" | "=" | "equals" => Self::Compare(Comparison::Equal),
            "neq" | "!=" | "<>" | "ne" | "not_equals" => Self::Compare(Comparison::NotEqual),
            "gt" | ">" | "greater_than" => Self::Compare(Comparison::Greater),
            "gte" | ">=" | "ge" | "greater_than_equals" => {
                Self::Compare(Comparison::GreaterOrEqual)
            }
            "lt" | "<" | "less_than" => Self::Compare(Comparison::Less),
            "lte" | "<=" | "le" | "less_than_equals" => Self::Compare(Comparison::LessOrEqual),
            "like" => Self::Like { ignore_case: false },
            "ilike" => Self::Like { ignore_case: true },
            "in" => Self::In,
            "contains" => Self::Contains,
            "startswith" | "starts_with" => Self::StartsWith,
            "endswith" | "ends_with" => Self::EndsWith,
            "between" => Self::Between { inclusive: false },
            "between_inclusive" => Self::Between { inclusive: true },
            "is_null" => Self::Empty,
            "is_not_null" => Self::NotEmpty,
            _ => return None,
        })
    }

    /// The filter that it makes of a column and a JSON value.
    ///
    /// # Errors
    /// If the value is none that it can be used with.
    pub fn filter(self, table: &Table, id: ColumnId, json: &str) -> Result<Filter, TableError> {
        let column = table.column(id);
        let text = || match Type::Text.read(json) {
            Ok(Value::Text(text)) => Ok(text),
            _ => Err(TableError::new(ErrorCode::BadValue, "it must be a text").at(&column.name)),
        };
        Ok(match self {
            Self::Compare(comparison) => {
                Filter::compare(id, comparison, table.read_value(id, json)?)
            }
            Self::Like { ignore_case } => Filter::like(id, &text()?, ignore_case),
            Self::In => match list(table, id, json)? {
                // No condition at all.
                values if values.is_empty() => Filter::all(),
                values => Filter::one_of(id, values),
            },
            Self::Contains => Filter::around(id, &text()?, (true, true), true),
            Self::StartsWith => Filter::around(id, &text()?, (false, true), true),
            Self::EndsWith => Filter::around(id, &text()?, (true, false), true),
            Self::Between { inclusive } => {
                let values = list(table, id, json)?;
                let [low, high] = &values[..] else {
                    let message = "it must be an array of two values";
                    return Err(TableError::new(ErrorCode::BadValue, message).at(&column.name));
                };
                let (above, below) = match inclusive {
                    true => (Comparison::GreaterOrEqual, Comparison::LessOrEqual),
                    false => (Comparison::Greater, Comparison::Less),
                };
                let above = Filter::compare(id, above, low.clone());
                Filter::And(vec![above, Filter::compare(id, below, high.clone())])
            }
            Self::Empty if column.kind == Type::Text => {
                let empty = Filter::equal(id, Value::Text("".into()));
                Filter::Or(vec![Filter::null(id), empty])
            }
            Self::Empty => Filter::null(id),
            Self::NotEmpty if column.kind == Type::Text => {
                let other = Filter::compare(id, Comparison::NotEqual, Value::Text("".into()));
                Filter::And(vec![Filter::not_null(id), other])
            }
            Self::NotEmpty => Filter::not_null(id),
        })
    }
}

/// The values of an array, without those that are null; anything else but null is one value.
fn list(table: &Table, id: ColumnId, json: &str) -> Result<Vec<Value>, TableError> {
    let json = json.trim();
    let mut values = if json.starts_with('[') {
        let values = elements(json).map_err(|error| not_json(&error))?;
        values.into_iter().map(|value| table.read_value(id, value)).collect()
    } else {
        table.read_value(id, json).map(|value| vec![value])
    }?;
    values.retain(|value| !value.is_null());
    Ok(values)
}
