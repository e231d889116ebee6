//! What a table answers: rows, page by page, and what became of a write.
//!
//! Invariants: the pages of an answer are its rows in order, and the last one says so; a page is as large as `TABLE_PAGE_BYTES` or one row. An answer that fails
//! may have had pages.

use std::sync::Arc;

use super::query::Preload;
use super::schema::ColumnId;
use super::schema::Schema;
use super::schema::Table;
use super::value::Value;
use crate::event::json;

/// One row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// In the order of the columns that were asked for.
    pub values: Box<[Value]>,
    /// For each preload that was asked for the rows that belong to this one.
    pub related: Vec<Vec<Self>>,
}

impl Row {
    /// A row with which nothing comes.
    #[must_use]
    pub const fn new(values: Box<[Value]>) -> Self {
        Self { values, related: Vec::new() }
    }

    /// Bytes that it keeps alive, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let values: usize = self.values.iter().map(Value::weight_bytes).sum();
        let related: usize = self.related.iter().flatten().map(Self::weight_bytes).sum();
        size_of::<Self>() + size_of_val(&*self.values) + values + related
    }

    /// Appends it as an object of JSON: the columns that were asked for by their names, and the rows that come with it by their relations' names.
    pub fn put_json(
        &self,
        schema: &Schema,
        table: &Table,
        (columns, preloads): (&[ColumnId], &[Preload]),
        out: &mut String,
    ) {
        out.push('{');
        for (index, (column, value)) in columns.iter().zip(&self.values).enumerate() {
            put_name(index, &table.column(*column).name, out);
            value.put_json(out);
        }
        for (index, (preload, rows)) in preloads.iter().zip(&self.related).enumerate() {
            let relation = &table.relations[preload.relation.index()];
            put_name(columns.len() + index, &relation.name, out);
            let of = schema.find(&relation.table).expect("a schema's relations lead to its tables");
            let of = schema.table(of);
            let all: Vec<ColumnId> = of.ids().collect();
            let columns = if preload.columns.is_empty() { &all } else { &preload.columns };
            let put = |row: &Self, out: &mut String| {
                row.put_json(schema, of, (columns, &preload.preload), out);
            };
            match (relation.is_many, rows.first()) {
                (false, Some(row)) => put(row, out),
                (false, None) => out.push_str("null"),
                (true, _) => {
                    out.push('[');
                    for (index, row) in rows.iter().enumerate() {
                        if index > 0 {
                            out.push(',');
                        }
                        put(row, out);
                    }
                    out.push(']');
                }
            }
        }
        out.push('}');
    }
}

fn put_name(index: usize, name: &str, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
    json::push_string(name, out);
    out.push(':');
}

/// A whole row of a table as an object of JSON: what its event's payload is.
#[must_use]
pub fn payload_of(table: &Table, values: &[Value]) -> String {
    let mut out = String::with_capacity(32 * values.len());
    out.push('{');
    for (index, (column, value)) in table.columns.iter().zip(values).enumerate() {
        put_name(index, &column.name, &mut out);
        value.put_json(&mut out);
    }
    out.push('}');
    out
}

/// A key's columns as an object of JSON: the payload of the event of a row that is gone.
#[must_use]
pub fn payload_of_key(table: &Table, key: &[Value]) -> String {
    let mut out = String::from("{");
    for (index, (column, value)) in table.key.iter().zip(key).enumerate() {
        put_name(index, &table.column(*column).name, &mut out);
        value.put_json(&mut out);
    }
    out.push('}');
    out
}

/// The key of the event of a row: its key's text, or of several columns an array of JSON.
#[must_use]
pub fn event_key_of(key: &[Value]) -> String {
    let mut out = String::new();
    match key {
        [Value::Text(text)] => out.push_str(text),
        [Value::Time(time)] => out.push_str(&time.to_string()),
        [one] => one.put_json(&mut out),
        several => {
            out.push('[');
            for (index, value) in several.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                value.put_json(&mut out);
            }
            out.push(']');
        }
    }
    out
}

/// Some rows of an answer, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Shared by all who asked for the same.
    pub rows: Arc<Vec<Row>>,
    /// `Some`: no further page comes.
    pub end: Option<End>,
}

impl Page {
    /// Bytes that it keeps alive, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.rows.iter().map(Row::weight_bytes).sum()
    }
}

/// What is known when all rows were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Rows of all pages.
    pub count: u64,
    /// Rows that pass, if that was asked for.
    pub total: Option<u64>,
    /// The number of the row that was asked for, from 1.
    pub number: Option<u64>,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub what: What,
    /// The whole row as it is now, in the order of the table's columns; of a delete as it was, if it was there.
    pub row: Option<Box<[Value]>>,
}

/// What happened to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Created,
    Updated,
    Deleted,
    /// There was no such row to be deleted.
    NotThere,
}
