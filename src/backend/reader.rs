//! A thread that reads: one query at a time, page after page, as far ahead of its client as there is room.
//!
//! Invariants: it never writes; a query takes at most as long as it may, and one whose client does not take its pages for too long is given up, so a reader is free again within a bounded time; of pages
//! that wait to be taken no more is held than all readers together may hold.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Receiver;
use flume::SendTimeoutError;
use flume::Sender;

use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::limits::TABLE_ANSWERS_BYTES_MAX;
use crate::limits::TABLE_PAGE_BYTES;
use crate::limits::TABLE_PAGE_ROWS_MAX;
use crate::limits::TABLE_STALLED_MS;
use crate::tables::End;
use crate::tables::ErrorCode;
use crate::tables::Filter;
use crate::tables::Page;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::asks::Answer;
use crate::tables::asks::Asker;
use crate::tables::gather::Values;
use crate::tables::gather::columns_read;
use crate::tables::gather::gather;

/// How often a reader that waits for room looks for it.
const LOOK: Duration = Duration::from_millis(1);

/// Takes a row, and the number that stands behind it if one was asked for; an error ends the reading.
pub(super) type Take<'a> = dyn FnMut(Values, Option<i64>) -> Result<(), TableError> + 'a;

/// A database as one reader has it.
pub(super) trait Reads: Send {
    /// What is read from now on is of one moment, until `end`; it fails once `until` is over. `is_single`: it is the rows of one query and nothing else.
    fn begin(&mut self, until: &Until, is_single: bool) -> Result<(), TableError>;

    /// The rows of a query without preloads. `take` may read, too, unless it is the rows of one query and nothing else.
    fn rows(&self, table: &Table, query: &Query, take: &mut Take<'_>) -> Result<(), TableError>;

    /// How many rows pass.
    fn count(&self, table: &Table, filter: &Filter) -> Result<u64, TableError>;

    /// Nothing more is read of this moment.
    fn end(&self);
}

/// How long something may take.
#[derive(Clone, Debug)]
pub(super) struct Until {
    pub(super) clock: Clock,
    pub(super) mono_us: u64,
    /// Nobody wants it any more.
    pub(super) is_left: Arc<AtomicBool>,
}

impl Until {
    /// Whether it has taken too long, or nobody wants it any more.
    pub(super) fn is_over(&self) -> bool {
        self.clock.mono_us() >= self.mono_us || self.is_left.load(Ordering::Relaxed)
    }
}

/// A query that is to be read.
#[derive(Debug)]
pub(super) struct ReadJob {
    pub(super) asker: Asker,
    pub(super) query: Box<Query>,
    pub(super) pages: Sender<(Answer, Held)>,
    /// Nobody wants it any more.
    pub(super) is_left: Arc<AtomicBool>,
}

/// The room that a page takes while it waits to be taken.
#[derive(Debug)]
pub(super) struct Held {
    bytes: usize,
    held: Arc<AtomicUsize>,
}

impl Held {
    /// Room for so many bytes. One page may always be there, or a large one would never be.
    fn take(held: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let before = held.fetch_add(bytes, Ordering::Relaxed);
        let room = Self { bytes, held: Arc::clone(held) };
        (before == 0 || before + bytes <= TABLE_ANSWERS_BYTES_MAX).then_some(room)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What all readers share with whoever hands out what they read.
#[derive(Clone, Debug)]
pub(super) struct ReadersCommon {
    pub(super) schema: Schema,
    /// Whose page is there.
    pub(super) ready: Sender<Asker>,
    pub(super) doorbell: Arc<Doorbell>,
    /// Bytes of pages that wait to be taken.
    pub(super) held: Arc<AtomicUsize>,
    pub(super) clock: Clock,
    /// How long a query may take, in microseconds.
    pub(super) query_us_max: u64,
}

/// One that reads.
struct Reader<R> {
    database: R,
    shared: ReadersCommon,
}

/// Begins one; it ends when nobody can hand it a job any more.
pub(super) fn start<R: Reads + 'static>(
    database: R,
    jobs: Receiver<ReadJob>,
    shared: ReadersCommon,
) -> Result<JoinHandle<()>, std::io::Error> {
    let mut reader = Reader { database, shared };
    let thread = std::thread::Builder::new().name("tables-reader".to_owned());
    thread.spawn(move || {
        for job in &jobs {
            reader.carry_out(&job);
        }
    })
}

impl<R: Reads> Reader<R> {
    fn carry_out(&mut self, job: &ReadJob) {
        if job.is_left.load(Ordering::Relaxed) {
            return;
        }
        let last = self.read(job).map_or_else(Answer::Failed, Answer::Page);
        if self.send(job, last).is_err() {
            tracing::debug!("a query's last page found nobody");
        }
    }

    /// Reads all pages, and sends all but the last.
    fn read(&mut self, job: &ReadJob) -> Result<Page, TableError> {
        let ReadersCommon { clock, query_us_max, .. } = &self.shared;
        let mono_us = clock.mono_us().saturating_add(*query_us_max);
        let until = Until { clock: *clock, mono_us, is_left: Arc::clone(&job.is_left) };
        let is_single = !job.query.wants_total && job.query.preload.is_empty();
        // Counts, rows and what is preloaded are of one moment.
        self.database.begin(&until, is_single)?;
        let page = self.read_within(job);
        self.database.end();
        page
    }

    fn read_within(&self, job: &ReadJob) -> Result<Page, TableError> {
        let schema = &self.shared.schema;
        let query = &*job.query;
        let table = schema.table(query.table);
        let total = match query.wants_total {
            true => Some(self.database.count(table, &query.filter)?),
            false => None,
        };
        let columns = columns_read(table, &query.columns, &query.preload);
        let read = Query { columns, preload: Vec::new(), ..query.clone() };
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let mut end = End { count: 0, total, number: None };
        self.database.rows(table, &read, &mut |row, number| {
            let row_bytes = size_of_val(&*row)
                + row.iter().map(crate::tables::Value::weight_bytes).sum::<usize>();
            let is_full = rows.len() >= TABLE_PAGE_ROWS_MAX || bytes + row_bytes > TABLE_PAGE_BYTES;
            if is_full && !rows.is_empty() {
                let page = self.page(query, std::mem::take(&mut rows), None)?;
                self.send(job, Answer::Page(page))?;
                bytes = 0;
            }
            bytes += row_bytes;
            end.count += 1;
            let number = query.number_of.as_ref().and(number);
            end.number = number.and_then(|number| u64::try_from(number).ok());
            rows.push(row);
            Ok(())
        })?;
        if query.number_of.is_some() && end.number.is_none() {
            return Err(TableError::new(ErrorCode::NotFound, "there is no such row"));
        }
        self.page(query, rows, Some(end))
    }

    /// A page of rows, with what is preloaded.
    fn page(&self, query: &Query, rows: Vec<Values>, end: Option<End>) -> Result<Page, TableError> {
        let schema = &self.shared.schema;
        let table = schema.table(query.table);
        let mut answers = |query: &Query| {
            let mut rows = Vec::new();
            self.database.rows(schema.table(query.table), query, &mut |row, _| {
                rows.push(row);
                Ok(())
            })?;
            Ok(rows)
        };
        let asked = (&query.columns[..], &query.preload[..]);
        Ok(Page { rows: gather(schema, table, asked, rows, &mut answers)?.into(), end })
    }

    /// Hands a page over, once there is room for it.
    fn send(&self, job: &ReadJob, answer: Answer) -> Result<(), TableError> {
        let ReadersCommon { held, clock, ready, doorbell, .. } = &self.shared;
        let until_us = clock.mono_us() + TABLE_STALLED_MS * 1000;
        let bytes = answer.weight_bytes();
        let mut waiting = None;
        let mut answer = Some(answer);
        loop {
            let is_wanted = clock.mono_us() < until_us && !job.is_left.load(Ordering::Relaxed);
            if !is_wanted {
                let message = "its rows were not taken for too long";
                return Err(TableError::new(ErrorCode::TooSlow, message));
            }
            waiting = waiting.or_else(|| {
                let room = Held::take(held, bytes)?;
                answer.take().map(|answer| (answer, room))
            });
            let Some(page) = waiting.take() else {
                std::thread::park_timeout(LOOK);
                continue;
            };
            match job.pages.send_timeout(page, LOOK) {
                Ok(()) => break,
                Err(SendTimeoutError::Timeout(back)) => waiting = Some(back),
                Err(SendTimeoutError::Disconnected(_)) => {
                    let message = "nobody wants it any more";
                    return Err(TableError::new(ErrorCode::TooSlow, message));
                }
            }
        }
        // Whoever hands out looks at all that is ready whenever its bell rings: one note too few is as good as one more.
        if ready.try_send(job.asker).is_err() {
            tracing::debug!("so many pages are ready that one more makes no difference");
        }
        doorbell.ring();
        Ok(())
    }
}
