//! Rows by their keys, read by whoever hears that they are wanted: what takes some dozens of instructions is not worth waking two threads.
//!
//! Invariants: a table's key is its primary key, as is looked at when the file is opened, so a read here is one step down an index and a few tests. Never looks for patterns, which take long in one
//! step, and never writes.

use std::sync::Arc;

use rusqlite::Connection;

use super::connection::each_row;
use crate::limits::SQLITE_POINT_TESTS_MAX;
use crate::tables::End;
use crate::tables::Filter;
use crate::tables::Page;
use crate::tables::Query;
use crate::tables::Row;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::Test;
use crate::tables::key_in;
use crate::tables::sql::Engine;
use crate::tables::sql::Statement;

/// A connection that reads them.
#[derive(Debug)]
pub(super) struct PointReads(Connection);

impl PointReads {
    pub(super) const fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// The answer to a query for the row of a key; `None`: it is another query, or fails. Then it is the readers'.
    pub(super) fn answer(&self, schema: &Schema, query: &Query) -> Option<Page> {
        let table = schema.table(query.table);
        if !is_point(query, table) {
            return None;
        }
        let statement = Statement::rows(Engine::Sqlite, table, query);
        let mut rows = Vec::new();
        let read = each_row(&self.0, &statement, (table, &query.columns_of(table)), |row, _| {
            rows.push(Row::new(row));
            Ok(())
        });
        read.ok()?;
        let end = End { count: rows.len() as u64, total: None, number: None };
        Some(Page { rows: Arc::new(rows), end: Some(end) })
    }
}

/// Whether a query is for one row, by its whole key, and nothing besides.
fn is_point(query: &Query, table: &Table) -> bool {
    let is_plain = !query.wants_total && query.number_of.is_none() && query.preload.is_empty();
    let mut tests = 0;
    is_plain
        && key_in(&query.filter, table).is_some()
        && has_no_pattern(&query.filter, &mut tests)
        && tests <= SQLITE_POINT_TESTS_MAX
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
