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
mod reader;
mod values;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use flume::Receiver;
use flume::Sender;
use flume::TryRecvError;
use rusqlite::Connection;

use checked::differences;
use connection::Purpose;
use reader::Held;
use reader::Job;
use reader::Shared;

use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::limits::TABLE_ANSWERS_MAX;
use crate::limits::TABLE_GROUP_WRITES_MAX;
use crate::limits::TABLE_PAGES_AHEAD;
use crate::limits::TABLE_QUERIES_MAX;
use crate::tables::ErrorCode;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::Write;
use crate::tables::asks::Answer;
use crate::tables::asks::Ask;
use crate::tables::asks::Asker;
use crate::tables::keeper::Outcome;
use crate::tables::keeper::check_event;
use crate::tables::keeper::told;
use crate::tables::keeper::told_to_all;
use crate::tables::keeper::write_of_event;
use crate::tables::sql::Statement;

/// How the file is used.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    pub readers: u64,
    /// How long a query may take, in microseconds.
    pub query_us_max: u64,
}

/// Why a file cannot be used.
#[derive(Debug)]
pub enum OpenError {
    Sqlite(rusqlite::Error),
    Thread(std::io::Error),
    /// What a table of the file lacks that was declared.
    Differs(Vec<String>),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) => write!(f, "{error}"),
            Self::Thread(error) => write!(f, "{error}"),
            Self::Differs(differences) => f.write_str(&differences.join("; ")),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What the tables of a file lack of what is declared, or have otherwise; the file is only read.
///
/// # Errors
/// If it cannot be.
pub fn check(path: &Path, schema: &Schema) -> Result<Vec<String>, OpenError> {
    let connection = connection::open(path, Purpose::Read)?;
    Ok(differences(&connection, schema)?)
}

/// An answer that is being read.
struct Reading {
    pages: Receiver<(Answer, Held)>,
    is_left: Arc<AtomicBool>,
    /// Its asker has room for a page.
    is_wanted: bool,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.is_left.store(true, Ordering::Relaxed);
    }
}

/// The file, and everything that is asked of it.
pub struct Sqlite {
    schema: Schema,
    writer: Connection,
    /// Writes of the next transaction, and who waits for each.
    group: Vec<(Option<Asker>, Write)>,
    jobs: Option<Sender<Job>>,
    readers: Vec<JoinHandle<()>>,
    ready: Receiver<Asker>,
    answers: HashMap<Asker, Reading, foldhash::fast::RandomState>,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("answers", &self.answers.len()).finish_non_exhaustive()
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
    ) -> Result<Self, OpenError> {
        let writer = connection::open(path, Purpose::Write)?;
        for (_, table) in schema.tables() {
            for sql in Statement::creating(table) {
                writer.execute_batch(&sql)?;
            }
        }
        let differences = differences(&writer, &schema)?;
        if !differences.is_empty() {
            return Err(OpenError::Differs(differences));
        }
        let (jobs, to_do) = flume::bounded(TABLE_QUERIES_MAX);
        let (is_ready, ready) = flume::bounded(TABLE_ANSWERS_MAX * (TABLE_PAGES_AHEAD + 1));
        let shared = Shared {
            schema: schema.clone(),
            ready: is_ready,
            doorbell,
            held: Arc::new(AtomicUsize::new(0)),
            clock,
            query_us_max: how.query_us_max,
        };
        let start = |_| reader::start(path, to_do.clone(), shared.clone());
        let readers: Result<Vec<_>, _> = (0..how.readers).map(start).collect();
        let readers = readers.map_err(OpenError::Thread)?;
        let (group, answers) = (Vec::new(), HashMap::default());
        Ok(Self { schema, writer, group, jobs: Some(jobs), readers, ready, answers })
    }

    /// Hears one thing; what is to be said at once is appended.
    pub(super) fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) {
        match ask {
            Ask::Query { asker, query } => {
                if let Err(error) = self.query(asker, query) {
                    out.push(Outcome::Answer(asker, Answer::Failed(error)));
                }
            }
            Ask::More { asker } => {
                if let Some(reading) = self.answers.get_mut(&asker) {
                    reading.is_wanted = true;
                    self.hand_out(asker, out);
                }
            }
            Ask::Leave { asker } => drop(self.answers.remove(&asker)),
            Ask::Write { asker, write } => match check_event(&self.schema, &write) {
                Ok(()) => self.group.push((Some(asker), *write)),
                Err(error) => out.push(Outcome::Answer(asker, Answer::Failed(error))),
            },
            Ask::Rows { rows } => {
                for (table, event) in rows {
                    let write = write_of_event(&self.schema, table, &event);
                    let write = write.and_then(|write| {
                        check_event(&self.schema, &write)?;
                        Ok(write)
                    });
                    match write {
                        Ok(write) => self.group.push((None, write)),
                        Err(error) => tracing::debug!(%error, "an event makes no row"),
                    }
                }
            }
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
        let (askers, writes): (Vec<_>, Vec<_>) = self.group.drain(..).unzip();
        let results = writer::write_all(&self.writer, &self.schema, &writes);
        for ((asker, write), result) in askers.into_iter().zip(&writes).zip(results) {
            match (asker, result) {
                (Some(asker), Ok(written)) => {
                    out.push(told(&self.schema, write, asker, written));
                }
                (Some(asker), Err(error)) => {
                    out.push(Outcome::Answer(asker, Answer::Failed(error)));
                }
                (None, Ok(written)) => {
                    let told = told_to_all(&self.schema, write, &written);
                    out.extend(told.map(Outcome::Told));
                }
                (None, Err(error)) => tracing::warn!(%error, "an event's row is not written"),
            }
        }
    }

    /// Whether a page can be handed out.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Appends the pages that are there and wanted.
    pub(super) fn hand_out_ready(&mut self, out: &mut Vec<Outcome>) {
        for _ in 0..self.ready.len() {
            let Ok(asker) = self.ready.try_recv() else { break };
            self.hand_out(asker, out);
        }
    }

    fn query(&mut self, asker: Asker, query: Box<Query>) -> Result<(), TableError> {
        let busy = || {
            TableError::new(ErrorCode::Busy, "more is asked of tables just now than is answered")
        };
        if self.answers.len() >= TABLE_ANSWERS_MAX {
            return Err(busy());
        }
        let (send, pages) = flume::bounded(TABLE_PAGES_AHEAD);
        let is_left = Arc::new(AtomicBool::new(false));
        let job = Job { asker, query, pages: send, is_left: Arc::clone(&is_left) };
        let jobs = self.jobs.as_ref().expect("it has readers until it ends");
        jobs.try_send(job).map_err(|_| busy())?;
        self.answers.insert(asker, Reading { pages, is_left, is_wanted: true });
        Ok(())
    }

    fn hand_out(&mut self, asker: Asker, out: &mut Vec<Outcome>) {
        let Some(reading) = self.answers.get_mut(&asker) else { return };
        if !reading.is_wanted {
            return;
        }
        let answer = match reading.pages.try_recv() {
            Ok((answer, _held)) => answer,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Answer::Failed(TableError::new(
                ErrorCode::TooSlow,
                "its rows were not taken for too long",
            )),
        };
        reading.is_wanted = false;
        if !matches!(&answer, Answer::Page(page) if page.end.is_none()) {
            self.answers.remove(&asker);
        }
        out.push(Outcome::Answer(asker, answer));
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.answers.clear();
        self.jobs = None;
        for reader in self.readers.drain(..) {
            if reader.join().is_err() {
                tracing::error!("a reader of the tables has panicked");
            }
        }
    }
}
