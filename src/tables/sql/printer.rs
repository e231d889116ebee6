//! A statement while it is written: names, parameters, columns, filters and orders.
//!
//! Invariant: what is not a word of this file is a name of the schema, in quotes, or a parameter.

use std::fmt::Write as _;

use super::Engine;
use super::LIKE_FUNCTION;
use super::Statement;
use crate::tables::filter::Comparison;
use crate::tables::filter::Filter;
use crate::tables::filter::Test;
use crate::tables::like;
use crate::tables::query::Sort;
use crate::tables::schema::ColumnId;
use crate::tables::schema::Table;
use crate::tables::value::Type;
use crate::tables::value::Value;

/// A statement about one table.
#[derive(Debug)]
pub(super) struct Printer<'a> {
    pub(super) engine: Engine<'a>,
    pub(super) table: &'a Table,
    done: Statement,
}

impl<'a> Printer<'a> {
    /// Nothing yet.
    pub(super) fn new(engine: Engine<'a>, table: &'a Table) -> Self {
        Self { engine, table, done: Statement::default() }
    }

    pub(super) fn done(self) -> Statement {
        self.done
    }

    pub(super) fn push(&mut self, words: &str) {
        self.done.sql.push_str(words);
    }

    /// A name of the schema, in quotes.
    pub(super) fn push_name(&mut self, name: &str) {
        push_quoted(name, &mut self.done.sql);
    }

    /// The table's name.
    pub(super) fn push_table(&mut self) {
        let table = self.table;
        for (index, name) in self.engine.names(&table.name).enumerate() {
            self.push(if index > 0 { "." } else { "" });
            self.push_name(name);
        }
    }

    /// A parameter, of a type if the engine needs to be told.
    pub(super) fn push_param(&mut self, value: Value, kind: Option<&str>) {
        self.done.params.push(value);
        let sign = if kind.is_some() { '$' } else { '?' };
        let number = self.done.params.len();
        let sql = &mut self.done.sql;
        let written = match kind {
            Some(kind) => write!(sql, "{sign}{number}::{kind}"),
            None => write!(sql, "{sign}{number}"),
        };
        written.expect("a String takes every write");
    }

    /// A number that is no column's.
    pub(super) fn push_number(&mut self, number: u64) {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.push_param(Value::Int(number), self.engine.number_type());
    }

    /// A value that is put into a column.
    pub(super) fn push_put(&mut self, id: ColumnId, value: Value) {
        self.push_param(value, self.engine.put_type(self.table, id));
    }

    pub(super) fn push_column(&mut self, id: ColumnId) {
        let table = self.table;
        self.push_name(&table.column(id).name);
    }

    pub(super) fn push_columns(&mut self, columns: impl IntoIterator<Item = ColumnId>) {
        for (index, column) in columns.into_iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            self.push_column(column);
        }
    }

    /// Appends the condition that a row is that of a key, and passes a filter.
    pub(super) fn push_of_key(&mut self, (key, within): (&[Value], &Filter)) {
        self.push(" WHERE ");
        self.push_filter(&Filter::of_key(self.table, key));
        if !within.is_all() {
            self.push(" AND (");
            self.push_filter(within);
            self.push(")");
        }
    }

    pub(super) fn push_from(&mut self, filter: &Filter) {
        self.push(" FROM ");
        self.push_table();
        if !filter.is_all() {
            self.push(" WHERE ");
            self.push_filter(filter);
        }
    }

    /// A column as it is sorted by.
    pub(super) fn push_ordered(&mut self, id: ColumnId) {
        let (is_as_text, collation) = self.engine.order_of(self.table, id);
        self.push_column(id);
        self.push(if is_as_text { "::text" } else { "" });
        self.push(if collation.is_empty() { "" } else { " COLLATE " });
        self.push(collation);
    }

    pub(super) fn push_order(&mut self, sort: &[Sort]) {
        let table = self.table;
        let of_key = table.key.iter().map(|column| Sort { column: *column, descending: false });
        let mut seen = Vec::new();
        for sort in sort.iter().copied().chain(of_key) {
            // What is ordered by once is not ordered by again.
            if seen.contains(&sort.column) {
                continue;
            }
            self.push(if seen.is_empty() { " ORDER BY " } else { ", " });
            seen.push(sort.column);
            self.push_ordered(sort.column);
            let is_nullable = table.column(sort.column).nullable;
            self.push(match (sort.descending, is_nullable) {
                (false, false) => "",
                (false, true) => " NULLS LAST",
                (true, false) => " DESC",
                (true, true) => " DESC NULLS FIRST",
            });
        }
    }

    pub(super) fn push_filter(&mut self, filter: &Filter) {
        match filter {
            Filter::And(all) => self.push_all(all, (" AND ", "TRUE")),
            Filter::Or(any) => self.push_all(any, (" OR ", "FALSE")),
            Filter::Not(inner) => {
                self.push("(");
                self.push_filter(inner);
                self.push(") IS NOT TRUE");
            }
            Filter::Test { column, test } => self.push_test(*column, test),
        }
    }

    fn push_all(&mut self, all: &[Filter], (between, none): (&str, &str)) {
        if all.is_empty() {
            return self.push(none);
        }
        self.push("(");
        for (index, filter) in all.iter().enumerate() {
            self.push(if index > 0 { between } else { "" });
            // Each by itself, so that no operator binds more tightly than it is meant to.
            self.push("(");
            self.push_filter(filter);
            self.push(")");
        }
        self.push(")");
    }

    fn push_test(&mut self, id: ColumnId, test: &Test) {
        match test {
            Test::Null => {
                self.push_column(id);
                self.push(" IS NULL");
            }
            Test::NotNull => {
                self.push_column(id);
                self.push(" IS NOT NULL");
            }
            Test::Compare(comparison, value) => self.push_comparison(id, *comparison, value),
            Test::In(values) if values.is_empty() => self.push("FALSE"),
            Test::In(values) => {
                let kind = self.engine.equal_type(self.table, id);
                self.push_column(id);
                self.push(" IN (");
                for (index, value) in values.iter().enumerate() {
                    self.push(if index > 0 { ", " } else { "" });
                    self.push_param(value.clone(), kind);
                }
                self.push(")");
            }
            Test::Like { pattern, ignore_case } => match self.engine {
                Engine::Sqlite => self.push_like_function(id, pattern, *ignore_case),
                Engine::Postgres(_) => self.push_like(id, pattern, *ignore_case),
            },
        }
    }

    fn push_comparison(&mut self, id: ColumnId, comparison: Comparison, value: &Value) {
        let is_equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        // Equality needs no order: an index finds it whatever its collation.
        let needs_order = !is_equality || matches!(self.engine, Engine::Sqlite);
        let of = match needs_order {
            true => self.engine.order_type(self.table, id),
            false => self.engine.equal_type(self.table, id),
        };
        match needs_order {
            true => self.push_ordered(id),
            false => self.push_column(id),
        }
        self.push(operator(comparison));
        self.push_param(value.clone(), of);
    }

    /// A pattern that a function of ours looks for.
    fn push_like_function(
        &mut self,
        id: ColumnId,
        pattern: &std::sync::Arc<str>,
        ignore_case: bool,
    ) {
        self.push(LIKE_FUNCTION);
        self.push("(");
        self.push_param(Value::Text(std::sync::Arc::clone(pattern)), None);
        self.push(", ");
        let (before, behind) = match self.table.column(id).kind {
            // A null is neither.
            Type::Bool => ("CASE ", " WHEN 0 THEN 'false' WHEN 1 THEN 'true' END"),
            Type::Int => ("CAST(", " AS TEXT)"),
            _ => ("", ""),
        };
        self.push(before);
        self.push_column(id);
        self.push(behind);
        self.push(if ignore_case { ", 1)" } else { ", 0)" });
    }

    /// A pattern as PostgreSQL looks for it: in the collation "C" letters beyond A to Z have no other case.
    fn push_like(&mut self, id: ColumnId, pattern: &str, ignore_case: bool) {
        // No text of PostgreSQL has a U+0000, and none may be sent.
        if pattern.contains('\0') {
            return self.push("FALSE");
        }
        let is_decimal = self.table.column(id).kind == Type::Decimal;
        self.push(if is_decimal { "trim_scale(" } else { "" });
        self.push_column(id);
        self.push(if is_decimal { ")" } else { "" });
        self.push("::text COLLATE \"C\"");
        self.push(if ignore_case { " ILIKE " } else { " LIKE " });
        self.push_param(Value::Text(like::closed(pattern).into()), Some("text"));
    }
}

/// Appends a name in quotes.
pub(super) fn push_quoted(name: &str, sql: &mut String) {
    sql.push('"');
    sql.push_str(&name.replace('"', "\"\""));
    sql.push('"');
}

const fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => " = ",
        Comparison::NotEqual => " <> ",
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
    }
}
