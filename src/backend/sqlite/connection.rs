//! One connection to the file: how it is opened, and statements of the printer carried out on it.
//!
//! Invariant: every connection has our collation and our function, and reads a double-quoted name as a name and nothing else. What goes wrong is said in words for the client, and in SQLite's own beside them.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::ErrorCode as SqliteCode;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::params_from_iter;
use rusqlite::types::ValueRef;

use super::values::Bound;
use super::values::read;
use crate::backend::purpose::Purpose;
use crate::limits::SQLITE_BUSY_MS;
use crate::limits::SQLITE_CACHE_BYTES;
use crate::limits::SQLITE_STATEMENTS_MAX;
use crate::tables::ColumnId;
use crate::tables::DatabaseSaid;
use crate::tables::Decimal;
use crate::tables::ErrorCode;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::gather::Values;
use crate::tables::like::is_like;
use crate::tables::sql::DECIMAL_COLLATION;
use crate::tables::sql::LIKE_FUNCTION;
use crate::tables::sql::Statement;

/// Earlier versions lose commits when one connection writes while another checkpoints.
const VERSION_MIN: i32 = 3_051_003;

/// Opens the file; for writing it is made if it is not there.
pub(super) fn open(path: &Path, purpose: Purpose) -> Result<Connection, rusqlite::Error> {
    assert!(rusqlite::version_number() >= VERSION_MIN, "SQLite is bundled, and late enough");
    let how = match purpose {
        Purpose::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        Purpose::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let connection = Connection::open_with_flags(path, how | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // Else SQLite looks at the values that are bound, a limit's among them, and prepares the statement anew for each.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(Duration::from_millis(SQLITE_BUSY_MS))?;
    connection.set_prepared_statement_cache_capacity(SQLITE_STATEMENTS_MAX);
    if purpose == Purpose::Write {
        // Before the first table is made; readers then find it so.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
    }
    let kib = i64::try_from(SQLITE_CACHE_BYTES / 1024).unwrap_or(i64::MAX);
    connection.pragma_update(None, "cache_size", -kib)?;
    connection.create_collation(DECIMAL_COLLATION, |one, other| {
        // What is no number stands behind all numbers.
        let number = |text: &str| (Decimal::parse(text).is_none(), Decimal::parse(text));
        number(one).cmp(&number(other))
    })?;
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(LIKE_FUNCTION, 3, flags, |context| {
        let (ValueRef::Text(pattern), ValueRef::Text(text), ValueRef::Integer(ignore_case)) =
            (context.get_raw(0), context.get_raw(1), context.get_raw(2))
        else {
            return Ok(false);
        };
        let text = String::from_utf8_lossy(text);
        Ok(is_like(&String::from_utf8_lossy(pattern), &text, ignore_case != 0))
    })?;
    Ok(connection)
}

/// Carries out a statement that is answered with rows of these columns, to its end unless `take` fails.
pub(super) fn each_row(
    connection: &Connection,
    statement: &Statement,
    (table, columns): (&Table, &[ColumnId]),
    mut take: impl FnMut(Values, Option<i64>) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let said = |error: rusqlite::Error| table_error(&error, &statement.sql);
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(said)?;
    let params = params_from_iter(statement.params.iter().map(Bound));
    let mut rows = prepared.query(params).map_err(said)?;
    while let Some(row) = rows.next().map_err(said)? {
        let values: Result<Values, TableError> = columns
            .iter()
            .enumerate()
            .map(|(index, column)| read(table.column(*column), row.get_ref(index).map_err(said)?))
            .collect();
        let number = row.get(columns.len()).ok();
        take(values?, number)?;
    }
    Ok(())
}

/// Carries out a statement that is answered with one number.
pub(super) fn number(connection: &Connection, statement: &Statement) -> Result<u64, TableError> {
    let said = |error: rusqlite::Error| table_error(&error, &statement.sql);
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(said)?;
    let params = params_from_iter(statement.params.iter().map(Bound));
    let number: i64 = prepared.query_row(params, |row| row.get(0)).map_err(said)?;
    Ok(u64::try_from(number).unwrap_or_default())
}

/// Carries out a statement that is answered with nothing.
pub(super) fn execute(connection: &Connection, statement: &Statement) -> Result<(), TableError> {
    let said = |error: rusqlite::Error| table_error(&error, &statement.sql);
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(said)?;
    let params = params_from_iter(statement.params.iter().map(Bound));
    prepared.execute(params).map(drop).map_err(said)
}

/// What a client is told of an error.
pub(super) fn table_error(error: &rusqlite::Error, sql: &str) -> TableError {
    let (code, message) = match error.sqlite_error_code() {
        Some(SqliteCode::ConstraintViolation) => match error.sqlite_error() {
            Some(of) if matches!(of.extended_code, 1555 | 2067 | 2579) => {
                (ErrorCode::KeyExists, "there is a row of this key already")
            }
            _ => (ErrorCode::Constraint, "the database does not allow such a row"),
        },
        Some(SqliteCode::OperationInterrupted) => {
            (ErrorCode::TooSlow, "it takes longer than it may")
        }
        Some(SqliteCode::DatabaseBusy | SqliteCode::DatabaseLocked) => {
            (ErrorCode::Busy, "somebody else writes to the database just now")
        }
        Some(SqliteCode::DiskFull) => (ErrorCode::Full, "the disk is full"),
        _ => (ErrorCode::Failed, "the database has failed"),
    };
    if code == ErrorCode::Failed {
        tracing::warn!(%error, sql, "the tables' database has failed");
    }
    let said = DatabaseSaid { detail: error.to_string().into(), sql: sql.into() };
    TableError { database: Some(Box::new(said)), ..TableError::new(code, message) }
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::tables::Column;
    use crate::tables::Query;
    use crate::tables::Type;
    use crate::tables::sql::Engine;

    #[test]
    fn a_statement_is_prepared_once_whatever_is_bound() {
        let path = std::env::temp_dir().join(format!("fanwire-once-{}.sqlite", std::process::id()));
        let connection = open(&path, Purpose::Write).unwrap();
        connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY)").unwrap();
        let table = Table::new("t", vec![Column::key("id", Type::Int)]).unwrap();
        let statement = |limit| {
            let query = Query {
                limit: Some(limit),
                offset: limit,
                ..Query::all(crate::tables::TableId(0))
            };
            Statement::rows(Engine::Sqlite, &table, &query)
        };
        let prepared_again = || {
            for limit in 0..5 {
                let columns = [ColumnId(0)];
                each_row(&connection, &statement(limit), (&table, &columns), |_, _| Ok(()))
                    .unwrap();
            }
            let prepared = connection.prepare_cached(&statement(0).sql).unwrap();
            assert_eq!(prepared.reset_status(StatementStatus::Run), 5, "it is kept");
            prepared.reset_status(StatementStatus::RePrepare)
        };
        assert_eq!(prepared_again(), 0);
        // Left to itself SQLite prepares it for each limit.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, false).unwrap();
        connection.flush_prepared_statement_cache();
        assert!(prepared_again() > 0);
        drop(connection);
        std::fs::remove_file(path).unwrap();
    }
}
