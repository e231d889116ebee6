//! One connection that reads, for one reader.
//!
//! Invariant: it never writes; what takes too long is interrupted within `SQLITE_OPS_PER_LOOK` instructions.

use rusqlite::Connection;

use super::connection;
use super::connection::each_row;
use crate::backend::reader::Reads;
use crate::backend::reader::Take;
use crate::backend::reader::Until;
use crate::limits::SQLITE_OPS_PER_LOOK;
use crate::tables::Filter;
use crate::tables::Query;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::sql::Engine;
use crate::tables::sql::Statement;

/// The connection.
#[derive(Debug)]
pub(super) struct SqliteReads(Connection);

impl SqliteReads {
    pub(super) const fn new(connection: Connection) -> Self {
        Self(connection)
    }
}

impl Reads for SqliteReads {
    fn begin(&mut self, until: &Until, _is_single: bool) -> Result<(), TableError> {
        let said = |error: rusqlite::Error| connection::table_error(&error, "");
        let until = until.clone();
        let is_over = move || until.is_over();
        self.0.progress_handler(SQLITE_OPS_PER_LOOK, Some(is_over)).map_err(said)?;
        self.0.execute_batch("BEGIN").map_err(said)
    }

    fn rows(&self, table: &Table, query: &Query, take: &mut Take<'_>) -> Result<(), TableError> {
        let statement = Statement::rows(Engine::Sqlite, table, query);
        each_row(&self.0, &statement, (table, &query.columns_of(table)), take)
    }

    fn count(&self, table: &Table, filter: &Filter) -> Result<u64, TableError> {
        connection::number(&self.0, &Statement::count(Engine::Sqlite, table, filter))
    }

    fn end(&self) {
        if let Err(error) = self.0.execute_batch("ROLLBACK") {
            tracing::debug!(%error, "what was read has ended already");
        }
    }
}
