//! Rows of any table, one at a time, within a transaction.
//!
//! Invariant: what the transaction is to do first (begin, mark a place, go back to it) goes with the next statement, in one go: a write costs two journeys to the database, one that looks its row up and one that changes it.
//! `direct.rs` carries out in one for many what needs no look.

use super::connection::Connection;
use super::connection::RawRow;
use super::failure::Failure;
use super::failure::unavailable;
use super::values;
use crate::backend::reader::Until;
use crate::tables::Assigned;
use crate::tables::ErrorCode;
use crate::tables::Filter;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::Value;
use crate::tables::carry::OneRow;
use crate::tables::carry::beyond;
use crate::tables::carry::not_kept;
use crate::tables::gather::Values;
use crate::tables::sql::Engine;
use crate::tables::sql::Statement;
use crate::tables::sql::Stored;
use crate::tables::sql::quoted;

/// The number that was generated last.
const LAST_NUMBER: &str = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence($1::text, $2::text)::regclass), 0)";
/// What is generated next is larger than a number that was given.
const PASS_NUMBER: &str = "SELECT setval(s.name, $3::int8) \
     FROM (SELECT pg_get_serial_sequence($1::text, $2::text)::regclass AS name) s \
     WHERE $3::int8 > coalesce(pg_sequence_last_value(s.name), 0)";

/// A statement without parameters.
pub(super) fn plain(sql: &str) -> Statement {
    Statement { sql: sql.to_owned(), params: Vec::new() }
}

/// The rows, as a transaction sees them.
#[derive(Debug)]
pub(super) struct PostgresRows<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) stored: &'a Stored,
    pub(super) until: Until,
    /// What goes before the next statement.
    pub(super) before: Vec<Statement>,
    /// The answers to what went before the first one.
    pub(super) first: Option<Vec<Vec<RawRow>>>,
    /// Why nothing more can be done.
    pub(super) lost: Option<Failure>,
}

impl PostgresRows<'_> {
    /// Carries out a statement, and those behind it; its rows.
    pub(super) fn run(&mut self, statements: Vec<Statement>) -> Result<Vec<RawRow>, TableError> {
        if self.lost.is_some() {
            return Err(unavailable());
        }
        let place = self.before.len();
        let mut all = std::mem::take(&mut self.before);
        all.extend(statements);
        match self.connection.batch(&all, &self.until) {
            Ok(mut found) => {
                let rows = found.get_mut(place).map(std::mem::take).unwrap_or_default();
                self.first.get_or_insert(found);
                Ok(rows)
            }
            Err(failure) if failure.is_final() || self.first.is_none() => {
                // Where not even a transaction begins, the next statement will not be carried out either.
                self.lost = Some(failure);
                Err(unavailable())
            }
            Err(failure) => {
                let sql = all.get(place).map_or("", |statement| &*statement.sql);
                Err(failure.to_table_error(sql))
            }
        }
    }

    /// The one row that a statement is answered with.
    fn one(
        &mut self,
        table: &Table,
        statements: Vec<Statement>,
    ) -> Result<Option<Values>, TableError> {
        let rows = self.run(statements)?;
        let columns: Vec<_> = table.ids().collect();
        let row =
            rows.first().map(|found| values::read_row((table, &columns), found)).transpose()?;
        Ok(row.map(|(row, _)| row))
    }

    fn must(&mut self, table: &Table, statements: Vec<Statement>) -> Result<Values, TableError> {
        self.one(table, statements)?.ok_or_else(not_kept)
    }

    /// A row as it will be, as far as nothing in the database makes another of it.
    fn expected(&mut self, table: &Table, row: &Assigned) -> Result<Values, TableError> {
        let mut expected = vec![Value::Null; table.columns.len()];
        for (column, value) in row {
            expected[column.index()] = value.clone();
        }
        for (column, value) in table.columns.iter().zip(&mut expected) {
            if column.generated && value.is_null() {
                let params = sequence_of(table, &column.name);
                let rows = self.run(vec![Statement { sql: LAST_NUMBER.to_owned(), params }])?;
                let last = rows.first().and_then(|row| row.first()?.as_deref());
                let last =
                    last.and_then(|text| std::str::from_utf8(text).ok()?.parse::<i64>().ok());
                let next = last.and_then(|last| last.checked_add(1));
                let full = || TableError::new(ErrorCode::Full, "no number is left");
                *value = Value::Int(next.ok_or_else(|| full().at(&column.name))?);
            }
        }
        Ok(expected.into())
    }
}

/// What has numbers that are generated later pass those that a row gives.
pub(super) fn number_passed(table: &Table, row: &Assigned) -> impl Iterator<Item = Statement> {
    let given = row.iter().filter(|(id, value)| table.column(*id).generated && !value.is_null());
    given.map(|(id, value)| {
        let mut params = sequence_of(table, &table.column(*id).name);
        params.push(value.clone());
        Statement { sql: PASS_NUMBER.to_owned(), params }
    })
}

/// What names the sequence of a column.
fn sequence_of(table: &Table, column: &str) -> Vec<Value> {
    let names: Vec<String> = table.name.splitn(2, '.').map(quoted).collect();
    vec![Value::Text(names.join(".").into()), Value::Text(column.into())]
}

impl OneRow for PostgresRows<'_> {
    fn find(&mut self, table: &Table, key: &[Value]) -> Result<Option<Values>, TableError> {
        let statement = Statement::row(Engine::Postgres(self.stored), table, key);
        self.one(table, vec![statement])
    }

    fn insert(
        &mut self,
        table: &Table,
        row: &Assigned,
        within: &Filter,
    ) -> Result<Values, TableError> {
        // A row that may not be there takes no number away from those that may.
        if !within.is_all() && !within.passes(&self.expected(table, row)?) {
            return Err(beyond());
        }
        let mut statements = vec![Statement::insert(Engine::Postgres(self.stored), table, row)];
        statements.extend(number_passed(table, row));
        let put = self.must(table, statements)?;
        if within.passes(&put) { Ok(put) } else { Err(beyond()) }
    }

    fn update(
        &mut self,
        table: &Table,
        key: &[Value],
        set: &Assigned,
        _before: &[Value],
        _after: Values,
    ) -> Result<Values, TableError> {
        let statement = Statement::update(Engine::Postgres(self.stored), table, key, set);
        self.must(table, vec![statement])
    }

    fn delete(&mut self, table: &Table, key: &[Value], _: &[Value]) -> Result<(), TableError> {
        let statement = Statement::delete(Engine::Postgres(self.stored), table, key);
        self.run(vec![statement]).map(drop)
    }
}
