//! What an answer is kept under: a hash of all that it depends on.
//!
//! Invariants: two queries that may have different answers have different keys. What a token or a hook forces is part of the query that comes here, and so of its key. A filter, an order or a column
//! that is said otherwise and means the same has a key of its own: that costs a miss.

use std::sync::Arc;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;

use super::bytes::put_bytes;
use super::bytes::put_length;
use super::bytes::put_number;
use super::bytes::put_optional;
use super::bytes::put_value;
use crate::tables::ColumnId;
use crate::tables::Comparison;
use crate::tables::Filter;
use crate::tables::Preload;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::Sort;
use crate::tables::TableId;
use crate::tables::Test;
use crate::tables::Value;

/// A hash that nobody can make two things have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let hash = digest(&SHA256, bytes);
        Self(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }

    /// The key's digits.
    pub(super) fn hex(&self) -> String {
        use std::fmt::Write as _;
        let mut out = String::with_capacity(64);
        for byte in self.0 {
            write!(out, "{byte:02x}").expect("a String takes every write");
        }
        out
    }

    /// One of so many, evenly.
    pub(super) fn one_of(&self, count: usize) -> usize {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        let number = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        usize::try_from(number % count.max(1) as u64).unwrap_or_default()
    }
}

/// Makes keys: whose tables and columns queries name.
#[derive(Debug)]
pub(super) struct Keys {
    /// A hash of the schema: under another one the same numbers mean other columns.
    schema: Key,
    tables: Vec<Arc<str>>,
}

impl Keys {
    pub(super) fn new(schema: &Schema) -> Self {
        let mut out = Vec::new();
        for (_, table) in schema.tables() {
            put_bytes(table.name.as_bytes(), &mut out);
            put_length(table.columns.len(), &mut out);
            for column in &table.columns {
                put_bytes(column.name.as_bytes(), &mut out);
                put_bytes(column.kind.name().as_bytes(), &mut out);
            }
            put_columns(&table.key, &mut out);
            put_length(table.relations.len(), &mut out);
            for relation in &table.relations {
                put_bytes(relation.name.as_bytes(), &mut out);
                put_bytes(relation.table.as_bytes(), &mut out);
                put_bytes(relation.there.as_bytes(), &mut out);
                put_columns(&[relation.here], &mut out);
                out.push(u8::from(relation.is_many));
            }
        }
        let tables = schema.tables().map(|(_, table)| Arc::clone(&table.name)).collect();
        Self { schema: Key::of(&out), tables }
    }

    /// Of all that a query answers.
    pub(super) fn of_answer(&self, query: &Query) -> Key {
        let mut out = self.begun(b'a', query.table);
        put_columns(&query.columns, &mut out);
        put_filter(&query.filter, &mut out);
        put_sort(&query.sort, &mut out);
        put_optional(query.limit, &mut out);
        put_number(query.offset, &mut out);
        out.push(u8::from(query.wants_total));
        out.push(u8::from(query.number_of.is_some()));
        put_values(query.number_of.as_deref().unwrap_or_default(), &mut out);
        put_preloads(&query.preload, &mut out);
        Key::of(&out)
    }

    /// Of the number of rows that pass, whichever of them are wanted and how.
    pub(super) fn of_total(&self, query: &Query) -> Key {
        let mut out = self.begun(b't', query.table);
        put_filter(&query.filter, &mut out);
        Key::of(&out)
    }

    /// Of a table's generation: whatever else is declared of it, a write is one of the same table.
    pub(super) fn of_generation(&self, table: TableId) -> Key {
        let mut out = vec![b'g'];
        put_bytes(self.tables[table.index()].as_bytes(), &mut out);
        Key::of(&out)
    }

    fn begun(&self, kind: u8, table: TableId) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.push(kind);
        out.extend_from_slice(&self.schema.0);
        put_length(table.index(), &mut out);
        out
    }
}

fn put_columns(columns: &[ColumnId], out: &mut Vec<u8>) {
    put_length(columns.len(), out);
    columns.iter().for_each(|column| put_length(column.index(), out));
}

fn put_values(values: &[Value], out: &mut Vec<u8>) {
    put_length(values.len(), out);
    values.iter().for_each(|value| put_value(value, out));
}

fn put_sort(sort: &[Sort], out: &mut Vec<u8>) {
    put_length(sort.len(), out);
    for Sort { column, descending } in sort {
        put_length(column.index(), out);
        out.push(u8::from(*descending));
    }
}

fn put_preloads(preloads: &[Preload], out: &mut Vec<u8>) {
    put_length(preloads.len(), out);
    for preload in preloads {
        let Preload { relation, columns, filter, sort, limit, preload } = preload;
        put_length(relation.index(), out);
        put_columns(columns, out);
        put_filter(filter, out);
        put_sort(sort, out);
        put_optional(*limit, out);
        put_preloads(preload, out);
    }
}

fn put_filter(filter: &Filter, out: &mut Vec<u8>) {
    let mut several = |tag: u8, all: &[Filter]| {
        out.push(tag);
        put_length(all.len(), out);
        all.iter().for_each(|one| put_filter(one, out));
    };
    match filter {
        Filter::And(all) => several(0, all),
        Filter::Or(any) => several(1, any),
        Filter::Not(inner) => several(2, std::slice::from_ref(inner)),
        Filter::Test { column, test } => {
            out.push(3);
            put_length(column.index(), out);
            put_test(test, out);
        }
    }
}

fn put_test(test: &Test, out: &mut Vec<u8>) {
    match test {
        Test::Null => out.push(0),
        Test::NotNull => out.push(1),
        Test::Compare(comparison, value) => {
            out.push(match comparison {
                Comparison::Equal => 2,
                Comparison::NotEqual => 3,
                Comparison::Less => 4,
                Comparison::LessOrEqual => 5,
                Comparison::Greater => 6,
                Comparison::GreaterOrEqual => 7,
            });
            put_value(value, out);
        }
        Test::In(values) => {
            out.push(8);
            put_values(values, out);
        }
        Test::Like { pattern, ignore_case } => {
            out.push(if *ignore_case { 9 } else { 10 });
            put_bytes(pattern.as_bytes(), out);
        }
    }
}
