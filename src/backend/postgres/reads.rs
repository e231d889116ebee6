//! One connection that reads, for one reader.
//!
//! Invariants: it never writes; what takes too long is ended on the server, too, and its connection given up. A connection that is lost is made anew by the next query that wants it, unless the database is known
//! to be lost: then a query fails at once.

use std::cell::RefCell;
use std::sync::Arc;

use super::catalogue;
use super::connection::Connection;
use super::connection::Target;
use super::failure::Failure;
use super::failure::unavailable;
use super::values;
use crate::backend::link::Link;
use crate::backend::purpose::Purpose;
use crate::backend::reader::Reads;
use crate::backend::reader::Take;
use crate::backend::reader::Until;
use crate::limits::POSTGRES_CONNECT_MS_MAX;
use crate::limits::POSTGRES_FETCH_ROWS_MAX;
use crate::limits::TABLE_PAGE_BYTES;
use crate::tables::ErrorCode;
use crate::tables::Filter;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::sql::Engine;
use crate::tables::sql::Statement;
use crate::tables::sql::Stored;

/// Rows that are fetched first, before it is known how large they are.
const FETCH_ROWS_FIRST: usize = 16;

/// A reader's database.
#[derive(Debug)]
pub(super) struct PostgresReads {
    target: Arc<Target>,
    schema: Schema,
    link: Arc<Link>,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    connected: Option<(Connection, Stored)>,
    now: Option<(Until, bool)>,
    /// Statements of this moment that were read a few rows at a time.
    portals: u64,
}

impl PostgresReads {
    /// Connects when it is asked something.
    pub(super) fn new(target: &Arc<Target>, schema: &Schema, link: &Arc<Link>) -> Self {
        let (target, link) = (Arc::clone(target), Arc::clone(link));
        Self { target, schema: schema.clone(), link, state: RefCell::default() }
    }

    fn connect(&self) -> Result<(Connection, Stored), TableError> {
        let opened = Connection::open(&self.target, Purpose::Read).and_then(|mut connection| {
            let until = self.target.within_ms(POSTGRES_CONNECT_MS_MAX);
            let compared = catalogue::compare(&mut connection, &self.schema, &until)?;
            Ok((connection, compared))
        });
        match opened {
            Ok((connection, compared)) if compared.differences.is_empty() => {
                Ok((connection, compared.stored))
            }
            Ok((_, compared)) => {
                let differences = compared.differences.join("; ");
                tracing::warn!(differences, "the tables' database is not as it is declared");
                Err(unavailable())
            }
            Err(failure) => {
                tracing::warn!(%failure, "the tables' database cannot be read");
                Err(unavailable())
            }
        }
    }

    /// Does something on the connection; if it fails so that the connection is of no use, it is given up.
    fn with<T>(
        &self,
        sql: &str,
        act: impl FnOnce(&mut Connection, &Until) -> Result<T, Failure>,
    ) -> Result<T, TableError> {
        let mut state = self.state.borrow_mut();
        let State { connected, now, .. } = &mut *state;
        let (Some((connection, _)), Some((until, _))) = (connected.as_mut(), now.as_ref()) else {
            return Err(unavailable());
        };
        let failure = match act(connection, until) {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let is_over = matches!(failure, Failure::Over | Failure::Taken(_) | Failure::TooLong);
        if is_over {
            connection.cancel();
        }
        if is_over || failure.is_final() {
            *connected = None;
        }
        Err(failure.to_table_error(sql))
    }

    fn statement(
        &self,
        print: impl FnOnce(Engine<'_>) -> Statement,
    ) -> Result<Statement, TableError> {
        let state = self.state.borrow();
        let (_, stored) = state.connected.as_ref().ok_or_else(unavailable)?;
        Ok(print(Engine::Postgres(stored)))
    }

    /// Rows a few at a time, so that others can be read in between.
    fn portal(
        &self,
        statement: &Statement,
        of: (&Table, &Query),
        take: &mut Take<'_>,
    ) -> Result<(), TableError> {
        let (table, query) = of;
        let columns = query.columns_of(table);
        let portal = {
            let mut state = self.state.borrow_mut();
            state.portals += 1;
            format!("p{}", state.portals)
        };
        self.with(&statement.sql, |connection, _| {
            connection.begin(&portal, statement);
            Ok(())
        })?;
        let mut rows_max = FETCH_ROWS_FIRST;
        loop {
            let (rows, is_more) = self.with(&statement.sql, |connection, until| {
                connection.fetch(&portal, rows_max, until)
            })?;
            let bytes: usize = rows.iter().flatten().flatten().map(bytes::Bytes::len).sum();
            let row_bytes = (bytes / rows.len().max(1)).max(1);
            rows_max = (TABLE_PAGE_BYTES / row_bytes).clamp(1, POSTGRES_FETCH_ROWS_MAX);
            for found in rows {
                let (row, number) = values::read_row((table, &columns), &found)?;
                take(row, number)?;
            }
            if !is_more {
                break;
            }
        }
        self.with(&statement.sql, |connection, _| {
            connection.close(&portal);
            Ok(())
        })
    }
}

impl Reads for PostgresReads {
    fn begin(&mut self, until: &Until, is_single: bool) -> Result<(), TableError> {
        let mut state = self.state.borrow_mut();
        if !self.link.is_up() {
            state.connected = None;
            return Err(unavailable());
        }
        if !state.connected.as_ref().is_some_and(|(connection, _)| connection.is_clean()) {
            state.connected = Some(self.connect()?);
        }
        state.now = Some((until.clone(), is_single));
        state.portals = 0;
        Ok(())
    }

    fn rows(&self, table: &Table, query: &Query, take: &mut Take<'_>) -> Result<(), TableError> {
        let statement = self.statement(|engine| Statement::rows(engine, table, query))?;
        let is_single = matches!(self.state.borrow().now, Some((_, true)));
        if !is_single {
            return self.portal(&statement, (table, query), take);
        }
        let columns = query.columns_of(table);
        self.with(&statement.sql, |connection, until| {
            connection.each_row(&statement, until, &mut |found| {
                let (row, number) = values::read_row((table, &columns), &found)?;
                take(row, number)
            })
        })
    }

    fn count(&self, table: &Table, filter: &Filter) -> Result<u64, TableError> {
        let statement = self.statement(|engine| Statement::count(engine, table, filter))?;
        let (rows, _) = self.with(&statement.sql, |connection, until| {
            connection.begin("", &statement);
            connection.fetch("", 0, until)
        })?;
        let count = rows.first().and_then(|row| row.first()?.as_deref());
        let count = count.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        count.ok_or_else(|| TableError::new(ErrorCode::Failed, "the database does not count"))
    }

    fn end(&self) {
        let mut state = self.state.borrow_mut();
        let Some((connection, _)) = state.connected.as_mut() else { return };
        let ended = match connection.is_begun() {
            true => connection.end(&self.target.within_ms(POSTGRES_CONNECT_MS_MAX)),
            false => Ok(()),
        };
        if ended.is_err() || !connection.is_clean() {
            state.connected = None;
        }
    }
}
