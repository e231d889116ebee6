//! Whose SQL is printed, and what differs between the engines: how parameters, patterns and orders are written.
//!
//! Invariant: whichever engine it is, a statement is answered with what `tables/memory.rs` says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::DECIMAL_COLLATION;
use crate::tables::schema::ColumnId;
use crate::tables::schema::Table;
use crate::tables::value::Type;

/// Whose SQL it is.
#[derive(Clone, Copy, Debug)]
pub enum Engine<'a> {
    /// SQLite, with the function and the collation that this module names.
    Sqlite,
    /// PostgreSQL 13 or later, and how its tables' columns are stored.
    Postgres(&'a Stored),
}

/// Columns of a database of PostgreSQL that have another type than the usual one for what they hold: for each table the types' names, quoted, in the order of the table's columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored(BTreeMap<Arc<str>, Vec<Option<Arc<str>>>>);

impl Stored {
    /// What a table's columns are stored as; `None`: the usual type.
    pub fn set(&mut self, table: &Table, columns: Vec<Option<Arc<str>>>) {
        self.0.insert(Arc::clone(&table.name), columns);
    }

    /// The type that a column is stored as, if it is not the usual one.
    #[must_use]
    pub fn of(&self, table: &Table, id: ColumnId) -> Option<&str> {
        self.0.get(&table.name)?.get(id.index())?.as_deref()
    }
}

/// The type of PostgreSQL that a column usually has.
#[must_use]
pub const fn usual(kind: Type) -> &'static str {
    match kind {
        Type::Bool => "bool",
        Type::Int => "int8",
        Type::Decimal => "numeric",
        Type::Float => "float8",
        Type::Text => "text",
        Type::Time => "timestamptz",
        Type::Bytes => "bytea",
        Type::Json => "json",
    }
}

impl<'a> Engine<'a> {
    /// How a column is written that is sorted by, or of which it is asked whether it comes before another value: whether as the text that its value is written as, and by which collation.
    pub(super) fn order_of(self, table: &Table, id: ColumnId) -> (bool, &'static str) {
        match (self, table.column(id).kind) {
            (Self::Sqlite, Type::Decimal) => (false, DECIMAL_COLLATION),
            (Self::Postgres(stored), Type::Text) => (stored.of(table, id).is_some(), "\"C\""),
            _ => (false, ""),
        }
    }

    /// The type of a value that is put into a column; SQLite's have none.
    pub(super) fn put_type(self, table: &Table, id: ColumnId) -> Option<&'a str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres(stored) => {
                Some(stored.of(table, id).unwrap_or_else(|| usual(table.column(id).kind)))
            }
        }
    }

    /// The type of a value that a column equals or not.
    pub(super) fn equal_type(self, table: &Table, id: ColumnId) -> Option<&'a str> {
        match table.column(id).kind {
            // Texts are equal or not as what they stand for: a uuid has one, and an index of them.
            Type::Text => self.put_type(table, id),
            _ => self.order_type(table, id),
        }
    }

    /// The type of a value that a column comes before or not.
    pub(super) fn order_type(self, table: &Table, id: ColumnId) -> Option<&'a str> {
        match (self, table.column(id).kind) {
            (Self::Sqlite, _) => None,
            // What was rounded when it was put there is compared with what is rounded alike.
            (Self::Postgres(_), Type::Float) => self.put_type(table, id),
            (Self::Postgres(_), kind) => Some(usual(kind)),
        }
    }

    /// The type of a number that is no column's.
    pub(super) const fn number_type(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres(_) => Some(usual(Type::Int)),
        }
    }

    /// A table's name, which in PostgreSQL may begin with its schema's.
    pub(super) fn names(self, table: &str) -> impl Iterator<Item = &str> {
        let is_whole = matches!(self, Self::Sqlite);
        let most = if is_whole { 1 } else { 2 };
        table.splitn(most, '.')
    }
}
