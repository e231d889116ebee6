//! What whoever has the tables counts, for those who watch it.
//!
//! Invariants: what is counted apart is a word of ours (a backend, a kind of error), never a client's and never a table's name; counting costs no lock.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::link::Link;
use crate::conn::SharedHistogram;
use crate::shard::Histogram;
use crate::tables::ErrorCode;
use crate::tables::TableError;
use crate::tables::What;
use crate::tables::asks::Answer;
use crate::tables::asks::Ask;
use crate::tables::asks::Asker;
use crate::tables::keeper::Outcome;

/// The counts.
#[derive(Debug)]
pub struct Figures {
    backend: &'static str,
    link: Arc<Link>,
    /// From a query until its first page, or its error, is handed out.
    queries: SharedHistogram,
    rows_read: AtomicU64,
    rows_written: AtomicU64,
    errors: [AtomicU64; ErrorCode::ALL.len()],
}

impl Figures {
    pub(super) fn new(backend: &'static str, link: Arc<Link>) -> Self {
        Self {
            backend,
            link,
            queries: SharedHistogram::default(),
            rows_read: AtomicU64::new(0),
            rows_written: AtomicU64::new(0),
            errors: [const { AtomicU64::new(0) }; ErrorCode::ALL.len()],
        }
    }

    /// The word for where the rows are.
    #[must_use]
    pub const fn backend(&self) -> &'static str {
        self.backend
    }

    /// Whether the database is there, and how often it was not.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// How long queries took until their first page, or their error.
    #[must_use]
    pub fn queries(&self) -> Histogram {
        self.queries.read()
    }

    /// Rows that were handed out, and rows that have changed.
    #[must_use]
    pub fn rows(&self) -> (u64, u64) {
        (self.rows_read.load(Ordering::Relaxed), self.rows_written.load(Ordering::Relaxed))
    }

    /// How often what was asked was answered with an error, by kind.
    pub fn errors(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        ErrorCode::ALL.into_iter().zip(self.errors.iter().map(|cell| cell.load(Ordering::Relaxed)))
    }

    fn count_error(&self, error: &TableError) {
        let place = ErrorCode::ALL.iter().position(|code| *code == error.code);
        place.into_iter().for_each(|place| add(&self.errors[place], 1));
    }
}

fn add(cell: &AtomicU64, count: u64) {
    cell.fetch_add(count, Ordering::Relaxed);
}

/// Counts what is asked and what is said.
#[derive(Debug)]
pub(super) struct Counting {
    figures: Arc<Figures>,
    /// Since when queries wait for their first page, in microseconds.
    waiting: HashMap<Asker, u64, foldhash::fast::RandomState>,
}

impl Counting {
    pub(super) fn new(figures: Arc<Figures>) -> Self {
        Self { figures, waiting: HashMap::default() }
    }

    pub(super) fn figures(&self) -> Arc<Figures> {
        Arc::clone(&self.figures)
    }

    /// Something is asked.
    pub(super) fn hear(&mut self, ask: &Ask, mono_us: u64) {
        match ask {
            Ask::Query { asker, .. } => {
                self.waiting.insert(*asker, mono_us);
            }
            Ask::Leave { asker } => {
                self.waiting.remove(asker);
            }
            Ask::More { .. } | Ask::Write { .. } | Ask::Rows { .. } => {}
        }
    }

    /// Something is said.
    pub(super) fn say(&mut self, outcome: &Outcome, mono_us: u64) {
        match outcome {
            Outcome::Told(_) => add(&self.figures.rows_written, 1),
            Outcome::Answer(asker, answer) => {
                if let Some(since_us) = self.waiting.remove(asker) {
                    self.figures.queries.observe(mono_us.saturating_sub(since_us));
                }
                match answer {
                    Answer::Page(page) => add(&self.figures.rows_read, page.rows.len() as u64),
                    Answer::Failed(error) => self.figures.count_error(error),
                    Answer::Written(written) => debug_assert_eq!(written.what, What::NotThere),
                }
            }
        }
    }
}
