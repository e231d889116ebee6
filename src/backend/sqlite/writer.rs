//! The one connection that writes: rows one by one, within transactions that many writes share.
//!
//! Invariant: what is answered as written is on the disk; a write that fails leaves the others of its transaction as they are, unless the database has given up all of it.

use rusqlite::Connection;

use super::connection::each_row;
use super::connection::execute;
use super::connection::table_error;
use crate::backend::group::Waiting;
use crate::tables::Assigned;
use crate::tables::ErrorCode;
use crate::tables::Filter;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::Value;
use crate::tables::Written;
use crate::tables::carry::OneRow;
use crate::tables::carry::beyond;
use crate::tables::carry::carry_out;
use crate::tables::carry::not_kept;
use crate::tables::gather::Values;
use crate::tables::sql::Engine;
use crate::tables::sql::Statement;

/// Carries out writes that were checked, all in one transaction; what became of each, in order.
pub(super) fn write_all(
    connection: &Connection,
    schema: &Schema,
    writes: &[Waiting],
) -> Vec<Result<Written, TableError>> {
    let fail = |error: &TableError| writes.iter().map(|_| Err(error.clone())).collect();
    if let Err(error) = run(connection, "BEGIN IMMEDIATE") {
        return fail(&error);
    }
    let mut results = Vec::with_capacity(writes.len());
    for Waiting { write, .. } in writes {
        let result = carry_out(&mut SqliteRows(connection), schema.table(write.table), write);
        // Out of room, or worse: then the database takes back all of it.
        if connection.is_autocommit() {
            let error = result.err().unwrap_or_else(|| {
                TableError::new(ErrorCode::Failed, "the database has given up what it was told")
            });
            return fail(&error);
        }
        results.push(result);
    }
    match run(connection, "COMMIT") {
        Ok(()) => results,
        Err(error) => {
            // If there is nothing to take back either, there is nothing at all.
            if let Err(second) = run(connection, "ROLLBACK") {
                tracing::debug!(%second, "nothing is to be taken back");
            }
            fail(&error)
        }
    }
}

fn run(connection: &Connection, sql: &str) -> Result<(), TableError> {
    connection.execute_batch(sql).map_err(|error| table_error(&error, sql))
}

/// Rows of any table, within a transaction.
struct SqliteRows<'a>(&'a Connection);

impl SqliteRows<'_> {
    /// The one row that a statement is answered with.
    fn one(&self, table: &Table, statement: &Statement) -> Result<Option<Values>, TableError> {
        let columns: Vec<_> = table.ids().collect();
        let mut found = None;
        each_row(self.0, statement, (table, &columns), |row, _| {
            // To its end, so that what it changes is changed.
            found = Some(row);
            Ok(())
        })?;
        Ok(found)
    }

    fn must(&self, table: &Table, statement: &Statement) -> Result<Values, TableError> {
        self.one(table, statement)?.ok_or_else(not_kept)
    }
}

impl OneRow for SqliteRows<'_> {
    fn find(&mut self, table: &Table, key: &[Value]) -> Result<Option<Values>, TableError> {
        self.one(table, &Statement::row(Engine::Sqlite, table, key))
    }

    fn insert(
        &mut self,
        table: &Table,
        row: &Assigned,
        within: &Filter,
    ) -> Result<Values, TableError> {
        // What the database makes of it is known only when it is there.
        run(self.0, "SAVEPOINT fw_row")?;
        let put = self.must(table, &Statement::insert(Engine::Sqlite, table, row));
        let is_kept = put.as_ref().is_ok_and(|row| within.passes(row));
        if !is_kept && !self.0.is_autocommit() {
            run(self.0, "ROLLBACK TO fw_row")?;
        }
        if !self.0.is_autocommit() {
            run(self.0, "RELEASE fw_row")?;
        }
        let put = put?;
        if is_kept { Ok(put) } else { Err(beyond()) }
    }

    fn update(
        &mut self,
        table: &Table,
        key: &[Value],
        set: &Assigned,
        _before: &[Value],
        _after: Values,
    ) -> Result<Values, TableError> {
        self.must(table, &Statement::update(Engine::Sqlite, table, key, set))
    }

    fn delete(&mut self, table: &Table, key: &[Value], _: &[Value]) -> Result<(), TableError> {
        execute(self.0, &Statement::delete(Engine::Sqlite, table, key))
    }
}
