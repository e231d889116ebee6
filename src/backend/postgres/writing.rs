//! A group of writes, carried out in one transaction.
//!
//! Invariants: what is answered as written is committed; a write that fails leaves the others as they are; of a transaction whose end nobody has heard it is known by which number the database can be asked for it.

use super::connection::Connection;
use super::failure::Failure;
use super::rows::Rows;
use super::rows::plain;
use crate::backend::group::Waiting;
use crate::backend::reader::Until;
use crate::tables::Change;
use crate::tables::ErrorCode;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::Write;
use crate::tables::Written;
use crate::tables::carry::carry_out;
use crate::tables::sql::Stored;

/// What became of each write of a group.
pub(super) type Results = Vec<Result<Written, TableError>>;

/// Why a group was not carried out.
#[derive(Debug)]
pub(super) enum Undone {
    /// The connection was lost before anything was committed; if one write is to blame, its place in the group.
    Lost(Failure, Option<usize>),
    /// The connection was lost while it was being committed: the transaction's number, and what has become of each write if it was.
    InDoubt(Failure, Box<(String, Results)>),
    /// The database takes back all of it.
    Refused(TableError),
}

/// Carries out writes that were checked, all in one transaction; what became of each, in order.
pub(super) fn write_all(
    (connection, stored): (&mut Connection, &Stored),
    schema: &Schema,
    group: &[Waiting],
    until: Until,
) -> Result<Results, Undone> {
    let before = vec![plain("BEGIN"), plain("SELECT pg_current_xact_id()::text")];
    let mut rows = Rows { connection, stored, until, before, first: None, lost: None };
    let mut results = Vec::with_capacity(group.len());
    for (index, Waiting { write, .. }) in group.iter().enumerate() {
        rows.before.push(plain("SAVEPOINT fw_row"));
        let result = carry(&mut rows, schema, write);
        if let Some(failure) = rows.lost.take() {
            return Err(match failure.is_final() {
                true => {
                    let is_to_blame = matches!(failure, Failure::TooLong);
                    Undone::Lost(failure, is_to_blame.then_some(index))
                }
                false => {
                    roll_back(&mut rows);
                    Undone::Refused(failure.to_table_error("BEGIN"))
                }
            });
        }
        if result.is_err() {
            rows.before.push(plain("ROLLBACK TO SAVEPOINT fw_row"));
        }
        rows.before.push(plain("RELEASE SAVEPOINT fw_row"));
        results.push(result);
    }
    let number = rows.first.as_ref().and_then(|first| {
        let text = first.get(1)?.first()?.first()?.as_deref()?;
        std::str::from_utf8(text).ok().map(str::to_owned)
    });
    let Some(number) = number else {
        // Nothing was asked of the database at all.
        return Ok(results);
    };
    rows.before.push(plain("COMMIT"));
    let all = std::mem::take(&mut rows.before);
    match rows.connection.batch(&all, &rows.until) {
        Ok(_) if rows.connection.has_done("COMMIT") => Ok(results),
        Ok(_) => {
            let message = "the database has given up what it was told";
            Err(Undone::Refused(TableError::new(ErrorCode::Failed, message)))
        }
        Err(failure) if failure.is_final() => {
            Err(Undone::InDoubt(failure, Box::new((number, results))))
        }
        Err(failure) => {
            roll_back(&mut rows);
            Err(Undone::Refused(failure.to_table_error("COMMIT")))
        }
    }
}

/// Carries out one write. A row that somebody else put there since it was looked up is one that is there.
fn carry(rows: &mut Rows<'_>, schema: &Schema, write: &Write) -> Result<Written, TableError> {
    let table = schema.table(write.table);
    let result = carry_out(rows, table, write);
    let is_late = matches!(&result, Err(error) if error.code == ErrorCode::KeyExists);
    if is_late && matches!(write.change, Change::Upsert(_)) && rows.lost.is_none() {
        rows.before.push(plain("ROLLBACK TO SAVEPOINT fw_row"));
        return carry_out(rows, table, write);
    }
    result
}

fn roll_back(rows: &mut Rows<'_>) {
    if let Err(failure) = rows.connection.batch(&[plain("ROLLBACK")], &rows.until) {
        tracing::debug!(%failure, "nothing is to be taken back");
    }
}
