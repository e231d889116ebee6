//! A group of writes, carried out in one transaction.
//!
//! Invariants: what is answered as written is committed; a write that fails leaves the others as they are; of a transaction whose end nobody has heard it is known by which number the database can be asked for it.
//! A group is first tried as one statement a write, many in one journey; if one of them fails, or needs its row looked up first, all of it is taken back and done one by one.

use super::connection::Connection;
use super::connection::RawRow;
use super::direct::Direct;
use super::failure::Failure;
use super::rows::PostgresRows;
use super::rows::plain;
use crate::backend::group::Waiting;
use crate::backend::reader::Until;
use crate::limits::POSTGRES_PIPELINE_BYTES_MAX;
use crate::tables::Change;
use crate::tables::ErrorCode;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::Write;
use crate::tables::Written;
use crate::tables::carry::carry_out;
use crate::tables::sql::Statement;
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

/// What begins a transaction, and says its number.
fn begin() -> Vec<Statement> {
    vec![plain("BEGIN"), plain("SELECT pg_current_xact_id()::text")]
}

/// The number of a transaction, in the answers to what has begun it.
fn number_in(answers: &[Vec<RawRow>]) -> Option<String> {
    let text = answers.get(1)?.first()?.first()?.as_deref()?;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

/// Carries out writes that were checked, all in one transaction; what became of each, in order.
pub(super) fn write_all(
    (connection, stored): (&mut Connection, &Stored),
    schema: &Schema,
    group: &[Waiting],
    until: Until,
) -> Result<Results, Undone> {
    let direct = group.iter().map(|waiting| Direct::new(stored, schema, &waiting.write));
    if let Some(all) = direct.collect::<Option<Vec<Direct<'_>>>>()
        && let Some(results) = write_directly(connection, &all, &until)?
    {
        return Ok(results);
    }
    write_one_by_one((connection, stored), schema, group, until)
}

/// Carries them out as one statement each; `None`: that cannot be, and nothing has changed.
fn write_directly(
    connection: &mut Connection,
    all: &[Direct<'_>],
    until: &Until,
) -> Result<Option<Results>, Undone> {
    let mut results = Vec::with_capacity(all.len());
    let mut number = None;
    let mut rest = all;
    while !rest.is_empty() {
        let before = if results.is_empty() { begin() } else { Vec::new() };
        let (some, later) = rest.split_at(fitting(rest));
        let statements = some.iter().flat_map(|one| one.statements.iter().cloned());
        let statements: Vec<Statement> = before.iter().cloned().chain(statements).collect();
        let found = match connection.batch(&statements, until) {
            Ok(found) => found,
            Err(failure) if failure.is_final() => {
                let done = connection.done().saturating_sub(before.len());
                let to_blame = results.len() + place_of(some, done);
                let is_to_blame = matches!(failure, Failure::TooLong);
                return Err(Undone::Lost(failure, is_to_blame.then_some(to_blame)));
            }
            Err(_) => {
                roll_back(connection, until);
                return Ok(None);
            }
        };
        number = number.or_else(|| number_in(&found));
        let mut answers = found.iter().skip(before.len());
        for one in some {
            let rows = answers.next().map(Vec::as_slice).unwrap_or_default();
            let Some(result) = one.written(rows) else {
                roll_back(connection, until);
                return Ok(None);
            };
            results.push(result);
            // What stands behind its first statement says nothing of it.
            answers.by_ref().take(one.statements.len() - 1).for_each(drop);
        }
        rest = later;
    }
    let Some(number) = number else { return Ok(None) };
    commit(connection, &[plain("COMMIT")], until, (number, results)).map(Some)
}

/// How many of these are sent before any answer is read: at least one.
fn fitting(all: &[Direct<'_>]) -> usize {
    let mut bytes = 0;
    let fits = all.iter().take_while(|one| {
        bytes += one.weight_bytes();
        bytes <= POSTGRES_PIPELINE_BYTES_MAX
    });
    fits.count().max(1)
}

/// Which of these a statement belongs to.
fn place_of(all: &[Direct<'_>], statement: usize) -> usize {
    let mut left = statement;
    let before = all.iter().take_while(|one| {
        let is_before = left >= one.statements.len();
        left = left.saturating_sub(one.statements.len());
        is_before
    });
    before.count().min(all.len().saturating_sub(1))
}

/// Carries them out one after the other, each as if it were alone.
fn write_one_by_one(
    (connection, stored): (&mut Connection, &Stored),
    schema: &Schema,
    group: &[Waiting],
    until: Until,
) -> Result<Results, Undone> {
    let mut rows =
        PostgresRows { connection, stored, until, before: begin(), first: None, lost: None };
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
                    roll_back(rows.connection, &rows.until);
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
    let Some(number) = rows.first.as_deref().and_then(number_in) else {
        // Nothing was asked of the database at all.
        return Ok(results);
    };
    rows.before.push(plain("COMMIT"));
    let last = std::mem::take(&mut rows.before);
    commit(rows.connection, &last, &rows.until, (number, results))
}

/// Ends a transaction with these statements; what became of its writes is known once it has ended.
fn commit(
    connection: &mut Connection,
    last: &[Statement],
    until: &Until,
    (number, results): (String, Results),
) -> Result<Results, Undone> {
    match connection.batch(last, until) {
        Ok(_) if connection.has_done("COMMIT") => Ok(results),
        Ok(_) => {
            let message = "the database has given up what it was told";
            Err(Undone::Refused(TableError::new(ErrorCode::Failed, message)))
        }
        Err(failure) if failure.is_final() => {
            Err(Undone::InDoubt(failure, Box::new((number, results))))
        }
        Err(failure) => {
            roll_back(connection, until);
            Err(Undone::Refused(failure.to_table_error("COMMIT")))
        }
    }
}

/// Carries out one write. A row that somebody else put there since it was looked up is one that is there.
fn carry(
    rows: &mut PostgresRows<'_>,
    schema: &Schema,
    write: &Write,
) -> Result<Written, TableError> {
    let table = schema.table(write.table);
    let result = carry_out(rows, table, write);
    let is_late = matches!(&result, Err(error) if error.code == ErrorCode::KeyExists);
    if is_late && matches!(write.change, Change::Upsert(_)) && rows.lost.is_none() {
        rows.before.push(plain("ROLLBACK TO SAVEPOINT fw_row"));
        return carry_out(rows, table, write);
    }
    result
}

fn roll_back(connection: &mut Connection, until: &Until) {
    if let Err(failure) = connection.batch(&[plain("ROLLBACK")], until) {
        tracing::debug!(%failure, "nothing is to be taken back");
    }
}
