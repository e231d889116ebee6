//! Tables in one file of SQLite: one connection writes, several read beside it.
//!
//! Invariants: a slow query keeps one reader busy, for a bounded time, and nobody else waits for it but those behind it in line; writes are carried out in the order in which they came, in
//! transactions that they share, and told after they are on the disk. What others write into the file is read, and not told.

#![expect(
    clippy::result_large_err,
    reason = "an error of SQLite's library has 64 bytes, and is rare"
)]

mod checked;
mod connection;
mod finding;
mod points;
mod reads;
mod values;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;

use checked::differences;
use points::PointReads;
use reads::SqliteReads;

use super::group;
use super::group::Waiting;
use super::purpose::Purpose;
use super::reading::Readings;
pub use super::reading::Use;
use super::taking::FoundTable;
use super::taking::NamePattern;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::limits::TABLE_GROUP_WRITES_MAX;
use crate::limits::TABLES_LISTED_MAX;
use crate::tables::Page;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::asks::Answer;
use crate::tables::asks::Ask;
use crate::tables::keeper::Outcome;
use crate::tables::sql::Engine;
use crate::tables::sql::Statement;

/// Why a file cannot be used.
#[derive(Debug)]
pub enum SqliteOpenError {
    Sqlite(rusqlite::Error),
    Thread(std::io::Error),
    /// What a table of the file lacks that was declared.
    Differs(Vec<String>),
    /// The file has more tables than are looked through.
    TooMany,
}

impl fmt::Display for SqliteOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "{error}"),
            Self::Thread(error) => write!(f, "{error}"),
            Self::Differs(differences) => f.write_str(&differences.join("; ")),
            Self::TooMany => {
                write!(
                    f,
                    "it has more than {TABLES_LISTED_MAX} tables, too many to find some by name"
                )
            }
        }
    }
}

impl std::error::Error for SqliteOpenError {}

impl From<rusqlite::Error> for SqliteOpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What the tables of a file lack of what is declared, or have otherwise; the file is only read.
///
/// # Errors
/// If it cannot be.
pub fn check(path: &Path, schema: &Schema) -> Result<Vec<String>, SqliteOpenError> {
    let connection = connection::open(path, Purpose::Read)?;
    Ok(differences(&connection, schema)?)
}

/// The tables of a file that each of these patterns names; the file is only read.
///
/// # Errors
/// If it cannot be, or has too many.
pub fn find(
    path: &Path,
    patterns: &[NamePattern],
) -> Result<Vec<Vec<FoundTable>>, SqliteOpenError> {
    let connection = connection::open(path, Purpose::Read)?;
    finding::find(&connection, patterns)?.ok_or(SqliteOpenError::TooMany)
}

/// The file, and everything that is asked of it.
pub struct Sqlite {
    schema: Schema,
    writer: Connection,
    /// Writes of the next transaction, and who waits for each.
    group: Vec<Waiting>,
    /// Rows by their keys are read without them.
    points: PointReads,
    readings: Readings,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("readings", &self.readings).finish_non_exhaustive()
    }
}

impl Sqlite {
    /// Opens a file, and makes the tables that are not there. `doorbell`: is rung when something can be handed out.
    ///
    /// # Errors
    /// If it cannot be opened, or its tables are others than those that were declared.
    pub fn open(
        path: &Path,
        schema: Schema,
        how: Use,
        (doorbell, clock): (Arc<Doorbell>, Clock),
    ) -> Result<Self, SqliteOpenError> {
        let writer = connection::open(path, Purpose::Write)?;
        for (_, table) in schema.tables() {
            for sql in Statement::creating(Engine::Sqlite, table) {
                writer.execute_batch(&sql)?;
            }
        }
        let differences = differences(&writer, &schema)?;
        if !differences.is_empty() {
            return Err(SqliteOpenError::Differs(differences));
        }
        let open = |_| Ok(SqliteReads::new(connection::open(path, Purpose::Read)?));
        let databases = (0..how.readers).map(open).collect::<rusqlite::Result<_>>()?;
        let bell = (doorbell, clock);
        let readings = Readings::start(databases, &schema, how.query_us_max, bell);
        let readings = readings.map_err(SqliteOpenError::Thread)?;
        let points = PointReads::new(connection::open(path, Purpose::Read)?, &schema);
        Ok(Self { schema, writer, group: Vec::new(), points, readings })
    }

    /// The whole answer to a query for the row of a key; `None`: it is another query.
    pub(super) fn answer_at_once(&mut self, query: &Query) -> Option<Page> {
        self.points.answer(&self.schema, query)
    }

    /// Hears one thing; what is to be said at once is appended.
    pub(super) fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) {
        match ask {
            Ask::Query { asker, query } => {
                if let Some(page) = self.answer_at_once(&query) {
                    out.push(Outcome::Answer(asker, Answer::Page(page)));
                } else if let Err(error) = self.readings.ask(asker, query) {
                    out.push(Outcome::Answer(asker, Answer::Failed(error)));
                }
            }
            Ask::More { asker } => self.readings.more(asker, out),
            Ask::Leave { asker } => self.readings.leave(asker),
            Ask::Write { asker, write } => {
                self.group.extend(group::of_client(&self.schema, asker, *write, out));
            }
            Ask::Rows { rows } => self.group.extend(group::of_events(&self.schema, rows)),
        }
        if self.group.len() >= TABLE_GROUP_WRITES_MAX {
            self.settle(out);
        }
    }

    /// Carries out the writes that wait; appends what is to be said of them.
    pub(super) fn settle(&mut self, out: &mut Vec<Outcome>) {
        if self.group.is_empty() {
            return;
        }
        let group = std::mem::take(&mut self.group);
        let results = writer::write_all(&self.writer, &self.schema, &group);
        for (waiting, result) in group.iter().zip(results) {
            group::say(&self.schema, waiting, result, out);
        }
    }

    /// Whether a page can be handed out.
    pub(super) fn is_ready(&self) -> bool {
        self.readings.is_ready()
    }

    /// Appends the pages that are there and wanted.
    pub(super) fn hand_out_ready(&mut self, out: &mut Vec<Outcome>) {
        self.readings.hand_out_ready(out);
    }
}
