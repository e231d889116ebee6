//! What becomes of a write, wherever the rows are: one row is looked up, changed and put back.
//!
//! Invariants: a write that fails has changed nothing; a row outside of what may be touched is as if it were not there, and none is moved there.

use super::answer::What;
use super::answer::Written;
use super::error::ErrorCode;
use super::error::TableError;
use super::filter::Filter;
use super::gather::Values;
use super::query::Assigned;
use super::query::Change;
use super::query::Write;
use super::query::key_of;
use super::schema::ColumnId;
use super::schema::Table;
use super::value::Value;

/// Where the rows of one table are, one at a time.
pub trait OneRow {
    /// The whole row of a key.
    ///
    /// # Errors
    /// If it cannot be looked up.
    fn find(&mut self, table: &Table, key: &[Value]) -> Result<Option<Values>, TableError>;

    /// A row whose key is not there, or is to be generated; the whole row as it is then. If it does not pass `within`, nothing is put.
    ///
    /// # Errors
    /// If it cannot be put.
    fn insert(
        &mut self,
        table: &Table,
        row: &Assigned,
        within: &Filter,
    ) -> Result<Values, TableError>;

    /// The row of a key becomes another, in the columns of `set`, which is not empty.
    ///
    /// # Errors
    /// If it cannot be changed.
    fn update(
        &mut self,
        table: &Table,
        key: &[Value],
        set: &Assigned,
        before: &[Value],
        after: Values,
    ) -> Result<Values, TableError>;

    /// The row of a key goes.
    ///
    /// # Errors
    /// If it cannot be taken away.
    fn delete(&mut self, table: &Table, key: &[Value], before: &[Value]) -> Result<(), TableError>;
}

/// Carries out a write that was checked.
///
/// # Errors
/// If it cannot be: then nothing has changed.
pub fn carry_out(
    rows: &mut impl OneRow,
    table: &Table,
    write: &Write,
) -> Result<Written, TableError> {
    let within = &write.within;
    match &write.change {
        Change::Create(row) => {
            let key = key_of(table, row);
            let is_given = !key.iter().any(Value::is_null);
            if is_given && rows.find(table, &key)?.is_some() {
                return Err(key_exists());
            }
            let row = rows.insert(table, row, within)?;
            Ok(Written { what: What::Created, row: Some(row) })
        }
        Change::Upsert(row) => {
            let key = key_of(table, row);
            match rows.find(table, &key)? {
                None => {
                    let row = rows.insert(table, row, within)?;
                    Ok(Written { what: What::Created, row: Some(row) })
                }
                Some(before) if !within.passes(&before) => Err(beyond()),
                Some(before) => update(rows, table, (&key, row), &before, within),
            }
        }
        Change::Update { key, set } => {
            let before = rows.find(table, key)?.filter(|row| within.passes(row));
            let before = before.ok_or_else(not_found)?;
            update(rows, table, (key, set), &before, within)
        }
        Change::Delete { key } => {
            let before = rows.find(table, key)?.filter(|row| within.passes(row));
            let Some(before) = before else {
                return Ok(Written { what: What::NotThere, row: None });
            };
            rows.delete(table, key, &before)?;
            Ok(Written { what: What::Deleted, row: Some(before) })
        }
    }
}

fn update(
    rows: &mut impl OneRow,
    table: &Table,
    (key, set): (&[Value], &Assigned),
    before: &[Value],
    within: &Filter,
) -> Result<Written, TableError> {
    let after = changed(before, set);
    if !within.passes(&after) {
        return Err(beyond());
    }
    let is_other = |(column, value): &&(ColumnId, Value)| before[column.index()] != *value;
    let set: Assigned = set.iter().filter(is_other).cloned().collect();
    // What changes nothing is told all the same: whoever writes wants it heard.
    let row = match set.is_empty() {
        true => after,
        false => rows.update(table, key, &set, before, after)?,
    };
    Ok(Written { what: What::Updated, row: Some(row) })
}

/// A row with some columns changed.
fn changed(row: &[Value], set: &[(ColumnId, Value)]) -> Values {
    let mut row = row.to_vec();
    for (column, value) in set {
        row[column.index()] = value.clone();
    }
    row.into()
}

/// There is a row of this key already.
#[must_use]
pub fn key_exists() -> TableError {
    TableError::new(ErrorCode::KeyExists, "there is a row of this key already")
}

/// A row may not be written.
#[must_use]
pub fn beyond() -> TableError {
    TableError::new(ErrorCode::Forbidden, "this row is beyond what may be written")
}

/// A database has passed over a row that was put.
#[must_use]
pub fn not_kept() -> TableError {
    TableError::new(ErrorCode::Failed, "the database has not kept the row")
}

/// There is no row that may be touched.
#[must_use]
pub fn not_found() -> TableError {
    TableError::new(ErrorCode::NotFound, "there is no such row")
}
