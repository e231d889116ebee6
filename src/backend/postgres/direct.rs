//! Writes that are one statement each, so that many of them are one journey to the database.
//!
//! Invariants: a write has the same result here as one by one, where the row is looked up first; what cannot be known by one statement alone is not carried out here. Never begins or ends a transaction.

use super::connection::RawRow;
use super::rows::number_passed;
use super::values;
use crate::tables::Assigned;
use crate::tables::Change;
use crate::tables::Filter;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::Value;
use crate::tables::What;
use crate::tables::Write;
use crate::tables::Written;
use crate::tables::carry::not_found;
use crate::tables::carry::not_kept;
use crate::tables::gather::Values;
use crate::tables::sql::Engine;
use crate::tables::sql::Statement;
use crate::tables::sql::Stored;

/// A write, and what carries it out: the first of these statements is answered with its row.
#[derive(Debug)]
pub(super) struct Direct<'a> {
    write: &'a Write,
    table: &'a Table,
    pub(super) statements: Vec<Statement>,
}

impl<'a> Direct<'a> {
    /// How a write is carried out so; `None`: its row must be looked up first.
    pub(super) fn new(stored: &Stored, schema: &'a Schema, write: &'a Write) -> Option<Self> {
        let (table, within) = (schema.table(write.table), &write.within);
        let engine = Engine::Postgres(stored);
        let statements = match &write.change {
            // What is generated is known once it is there, and a row that may not be there is to take no number.
            Change::Create(row) if within.is_all() || may_be(table, row, within) => {
                with_numbers(table, row, Statement::insert(engine, table, row))
            }
            Change::Upsert(row) if within.is_all() => {
                with_numbers(table, row, Statement::upsert(engine, table, row))
            }
            Change::Update { key, set } if !set.is_empty() => {
                vec![Statement::update_within(engine, table, (key, within), set)]
            }
            Change::Delete { key } => vec![Statement::delete_within(engine, table, (key, within))],
            Change::Create(_) | Change::Upsert(_) | Change::Update { .. } => return None,
        };
        Some(Self { write, table, statements })
    }

    /// Bytes of what is bound, and of what is around it, about.
    pub(super) fn weight_bytes(&self) -> usize {
        let names: usize = self.statements.iter().map(|statement| statement.sql.len()).sum();
        names + self.write.weight_bytes()
    }

    /// What has become of it, by the rows that its first statement was answered with; `None`: it must be taken back, and its row be looked up first.
    pub(super) fn written(&self, found: &[RawRow]) -> Option<Result<Written, TableError>> {
        // A row that cannot be read is not to be kept either.
        let row = found.first().map(|found| self.row(found)).transpose().ok()?;
        let as_written = |what, (row, _): (Values, bool)| Ok(Written { what, row: Some(row) });
        let is_within = row.as_ref().is_none_or(|(row, _)| self.write.within.passes(row));
        Some(match (&self.write.change, row) {
            (Change::Delete { .. }, Some(row)) => as_written(What::Deleted, row),
            (Change::Delete { .. }, None) => Ok(Written { what: What::NotThere, row: None }),
            (Change::Update { .. }, None) => Err(not_found()),
            (_, Some(_)) if !is_within => return None,
            (Change::Update { .. }, Some(row)) => as_written(What::Updated, row),
            (Change::Create(_), Some(row)) | (Change::Upsert(_), Some(row @ (_, true))) => {
                as_written(What::Created, row)
            }
            (Change::Upsert(_), Some(row)) => as_written(What::Updated, row),
            (Change::Create(_) | Change::Upsert(_), None) => Err(not_kept()),
        })
    }

    /// The row as it is then, and whether it is new, as far as that is asked.
    fn row(&self, found: &RawRow) -> Result<(Values, bool), TableError> {
        let columns: Vec<_> = self.table.ids().collect();
        let (row, _) = values::read_row((self.table, &columns), found)?;
        let is_new = found.get(columns.len()).and_then(Option::as_deref) == Some(b"t");
        Ok((row, is_new))
    }
}

/// Whether a row that is given whole passes, as far as nothing in the database makes another of it.
fn may_be(table: &Table, row: &Assigned, within: &Filter) -> bool {
    let mut whole = vec![Value::Null; table.columns.len()];
    for (column, value) in row {
        whole[column.index()] = value.clone();
    }
    let mut columns = table.columns.iter().zip(&whole);
    !columns.any(|(column, value)| column.generated && value.is_null()) && within.passes(&whole)
}

/// A row that is put, and what has numbers that are generated later pass those that it gives.
fn with_numbers(table: &Table, row: &Assigned, put: Statement) -> Vec<Statement> {
    std::iter::once(put).chain(number_passed(table, row)).collect()
}
