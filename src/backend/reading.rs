//! Answers that are being read by several threads, and handed out page by page as their askers have room.
//!
//! Invariants: a slow query keeps one reader busy, for a bounded time, and nobody else waits for it but those behind it in line; an asker is handed a page only when it wants one. Never reads itself,
//! and never knows what it is that is read from.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use flume::Receiver;
use flume::Sender;
use flume::TryRecvError;

use super::reader;
use super::reader::Held;
use super::reader::ReadJob;
use super::reader::ReadersCommon;
use super::reader::Reads;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::limits::TABLE_ANSWERS_MAX;
use crate::limits::TABLE_PAGES_AHEAD;
use crate::limits::TABLE_QUERIES_MAX;
use crate::tables::ErrorCode;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::TableError;
use crate::tables::asks::Answer;
use crate::tables::asks::Asker;
use crate::tables::keeper::Outcome;

/// How a database is used.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    pub readers: u64,
    /// How long a query may take, in microseconds.
    pub query_us_max: u64,
}

/// An answer that is being read.
struct Reading {
    pages: Receiver<(Answer, Held)>,
    is_left: Arc<AtomicBool>,
    /// The asker has room for a page.
    is_wanted: bool,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.is_left.store(true, Ordering::Relaxed);
    }
}

/// The readers, and what they read.
pub(super) struct Readings {
    jobs: Option<Sender<ReadJob>>,
    readers: Vec<JoinHandle<()>>,
    ready: Receiver<Asker>,
    answers: HashMap<Asker, Reading, foldhash::fast::RandomState>,
}

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").field("answers", &self.answers.len()).finish_non_exhaustive()
    }
}

impl Readings {
    /// Begins a reader for each of these. `doorbell`: is rung when a page can be handed out.
    pub(super) fn start<R: Reads + 'static>(
        databases: Vec<R>,
        schema: &Schema,
        query_us_max: u64,
        (doorbell, clock): (Arc<Doorbell>, Clock),
    ) -> io::Result<Self> {
        let (jobs, to_do) = flume::bounded(TABLE_QUERIES_MAX);
        let (is_ready, ready) = flume::bounded(TABLE_ANSWERS_MAX * (TABLE_PAGES_AHEAD + 1));
        let shared = ReadersCommon {
            schema: schema.clone(),
            ready: is_ready,
            doorbell,
            held: Arc::new(AtomicUsize::new(0)),
            clock,
            query_us_max,
        };
        let start = |database| reader::start(database, to_do.clone(), shared.clone());
        let readers = databases.into_iter().map(start).collect::<io::Result<_>>()?;
        Ok(Self { jobs: Some(jobs), readers, ready, answers: HashMap::default() })
    }

    /// A query: its first page is handed out when it is there.
    ///
    /// # Errors
    /// If too many wait already.
    pub(super) fn ask(&mut self, asker: Asker, query: Box<Query>) -> Result<(), TableError> {
        let busy = || {
            TableError::new(ErrorCode::Busy, "more is asked of tables just now than is answered")
        };
        if self.answers.len() >= TABLE_ANSWERS_MAX {
            return Err(busy());
        }
        let (send, pages) = flume::bounded(TABLE_PAGES_AHEAD);
        let is_left = Arc::new(AtomicBool::new(false));
        let job = ReadJob { asker, query, pages: send, is_left: Arc::clone(&is_left) };
        let jobs = self.jobs.as_ref().expect("it has readers until it ends");
        jobs.try_send(job).map_err(|_| busy())?;
        self.answers.insert(asker, Reading { pages, is_left, is_wanted: true });
        Ok(())
    }

    /// An asker has room for another page; appends the page if it is there.
    pub(super) fn more(&mut self, asker: Asker, out: &mut Vec<Outcome>) {
        if let Some(reading) = self.answers.get_mut(&asker) {
            reading.is_wanted = true;
            self.hand_out(asker, out);
        }
    }

    /// Nobody wants the rest of it.
    pub(super) fn leave(&mut self, asker: Asker) {
        drop(self.answers.remove(&asker));
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

impl Drop for Readings {
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
