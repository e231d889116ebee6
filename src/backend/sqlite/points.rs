//! Rows by their keys, read by whoever hears that they are wanted: what takes some dozens of instructions is not worth waking two threads.
//!
//! Invariants: a table's key is its primary key, as is looked at when the file is opened, so a read here is one step down an index and a few tests. Never looks for patterns, which take long in one
//! step, and never writes.

use rusqlite::Connection;

use super::connection::each_row;
use crate::limits::SQLITE_POINT_TESTS_MAX;
use crate::tables::ColumnId;
use crate::tables::End;
use crate::tables::Filter;
use crate::tables::Page;
use crate::tables::Query;
use crate::tables::Row;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableId;
use crate::tables::Test;
use crate::tables::Value;
use crate::tables::gather::Values;
use crate::tables::key_in;
use crate::tables::sql::Engine;
use crate::tables::sql::Statement;

/// A connection that reads them.
#[derive(Debug)]
pub(super) struct PointReads {
    connection: Connection,
    /// Of each table the statement for the whole row of a key.
    whole: Vec<Statement>,
}

impl PointReads {
    pub(super) fn new(connection: Connection, schema: &Schema) -> Self {
        let statement = |(_, table): (TableId, &Table)| {
            // Values are bound in the order of the key's columns.
            let key = vec![Value::Null; table.key.len()];
            Statement::row(Engine::Sqlite, table, &key)
        };
        Self { connection, whole: schema.tables().map(statement).collect() }
    }

    /// The answer to a query for the row of a key; `None`: it is another query, or fails. Then it is the readers'.
    pub(super) fn answer(&mut self, schema: &Schema, query: &Query) -> Option<Page> {
        let table = schema.table(query.table);
        let key = point(query, table)?;
        let mut rows = Vec::new();
        if query.columns.is_empty() {
            let whole = self.whole.get_mut(query.table.index())?;
            whole.params.clear();
            whole.params.extend(key);
            let columns: Vec<ColumnId> = table.ids().collect();
            let read = each_row(&self.connection, whole, (table, &columns), |row, _| {
                rows.extend(query.filter.passes(&row).then(|| Row::new(row)));
                Ok(())
            });
            read.ok()?;
            let passed = usize::try_from(query.offset).unwrap_or(usize::MAX);
            rows.drain(..passed.min(rows.len()));
            rows.truncate(query.limit.map_or(1, |limit| usize::try_from(limit).unwrap_or(1)));
        } else {
            let statement = Statement::rows(Engine::Sqlite, table, query);
            let columns = query.columns_of(table);
            let read = each_row(&self.connection, &statement, (table, &columns), |row, _| {
                rows.push(Row::new(row));
                Ok(())
            });
            read.ok()?;
        }
        let end = End { count: rows.len() as u64, total: None, number: None };
        Some(Page { rows: rows.into(), end: Some(end) })
    }
}

/// The key of a query that is for one row, by its whole key, and nothing besides.
fn point(query: &Query, table: &Table) -> Option<Values> {
    let is_plain = !query.wants_total && query.number_of.is_none() && query.preload.is_empty();
    let mut tests = 0;
    let is_point =
        is_plain && has_no_pattern(&query.filter, &mut tests) && tests <= SQLITE_POINT_TESTS_MAX;
    if is_point { key_in(&query.filter, table) } else { None }
}

fn has_no_pattern(filter: &Filter, tests: &mut usize) -> bool {
    match filter {
        Filter::And(all) | Filter::Or(all) => all.iter().all(|one| has_no_pattern(one, tests)),
        Filter::Not(inner) => has_no_pattern(inner, tests),
        Filter::Test { test, .. } => {
            *tests += match test {
                Test::In(values) => values.len(),
                _ => 1,
            };
            !matches!(test, Test::Like { .. })
        }
    }
}
