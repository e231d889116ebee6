//! Where each shard leaves its counts, and whether the server takes connections.
//!
//! Each cell has one writer. Counts of different shards, and of one shard among each other, may be a tick apart: nobody who reads
//! metrics can tell.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::cache_figures::CACHE_FIGURES;
use super::certificates::CertificateBoard;
use super::orders::OrderBook;
use super::orders::Ordered;
use super::orders::Orders;
use super::party_figures::PartyCells;
use super::store_figures::STORE_FIGURES;
use crate::backend::Figures as TableFigures;
use crate::dialect::DialectId;
use crate::event::ShardId;
use crate::history::keeper::Figures;
use crate::limits::DIALECTS_COUNTED_MAX;
use crate::limits::ORDERS_MAX;
use crate::shard::FIGURES;
use crate::shard::Pulse;
use crate::shard::Response;
use crate::shard::Stats;
use crate::shard::Tally;
use crate::source::Figures as SourceFigures;
use crate::tables::CacheFigures;
use crate::webhook::Figures as HookFigures;

/// What one shard leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noted {
    pub(super) figures: [u64; FIGURES.len()],
    pub(super) tally: Tally,
    /// The most bytes that one connection is owed.
    pub(super) bytes_most: u64,
    pub(super) pulse: Pulse,
}

impl Noted {
    pub(super) fn of(stats: &Stats, pulse: &Pulse) -> Self {
        let mut figures = [0; FIGURES.len()];
        for (value, figure) in figures.iter_mut().zip(FIGURES) {
            *value = (figure.read)(stats);
        }
        let bytes_most = stats.behind.bytes_most;
        Self { figures, tally: stats.tally, bytes_most, pulse: *pulse }
    }

    /// Every number in it, always in the same order.
    fn for_each(&mut self, mut see: impl FnMut(&mut u64)) {
        let Self { figures, tally, bytes_most, pulse } = self;
        let spoken = tally.spoken.iter_mut();
        let spoken = spoken.flat_map(|of| [&mut of.connections, &mut of.subscriptions]);
        let told = pulse.told.counts.iter_mut().chain([&mut pulse.told.sum_us]);
        let turns = pulse.turns.counts.iter_mut().chain([&mut pulse.turns.sum_us]);
        let words =
            tally.refused.iter_mut().chain(&mut tally.tables_failed).chain(&mut tally.answers);
        figures
            .iter_mut()
            .chain(words)
            .chain([bytes_most])
            .chain(spoken)
            .chain(told)
            .chain(turns)
            .for_each(&mut see);
    }
}

/// Where one shard leaves it.
#[derive(Debug)]
struct Cell {
    numbers: Vec<AtomicU64>,
    dialects: [OnceLock<DialectId>; DIALECTS_COUNTED_MAX],
}

impl Cell {
    fn new() -> Self {
        let mut count = 0;
        Noted::of(&Stats::default(), &Pulse::default()).for_each(|_| count += 1);
        let numbers = (0..count).map(|_| AtomicU64::new(0)).collect();
        Self { numbers, dialects: [const { OnceLock::new() }; DIALECTS_COUNTED_MAX] }
    }

    fn write(&self, mut noted: Noted) {
        for (cell, spoken) in self.dialects.iter().zip(&noted.tally.spoken) {
            if let Some(dialect) = spoken.dialect {
                cell.get_or_init(|| dialect);
            }
        }
        let mut cells = self.numbers.iter();
        noted.for_each(|number| {
            cells.next().into_iter().for_each(|cell| cell.store(*number, Ordering::Relaxed));
        });
    }

    fn read(&self) -> Noted {
        let mut noted = Noted::of(&Stats::default(), &Pulse::default());
        let mut cells = self.numbers.iter();
        noted.for_each(|number| {
            *number = cells.next().map_or(0, |cell| cell.load(Ordering::Relaxed));
        });
        for (cell, spoken) in self.dialects.iter().zip(&mut noted.tally.spoken) {
            spoken.dialect = cell.get().copied();
        }
        noted
    }
}

/// The counts of all shards.
#[derive(Debug)]
pub struct Board {
    cells: Vec<Cell>,
    /// How often each shard has left its counts.
    rounds: Vec<AtomicU64>,
    is_ready: AtomicBool,
    /// What the store has counted, if there is one.
    store: PartyCells<{ STORE_FIGURES.len() }>,
    /// What the cache in front of tables has counted, if there is one.
    cache: PartyCells<{ CACHE_FIGURES.len() }>,
    is_store_full: AtomicBool,
    /// What whoever has the tables counts, if there are any.
    tables: OnceLock<Arc<TableFigures>>,
    /// What whoever answers hooks counts, if any are asked.
    hooks: OnceLock<Arc<HookFigures>>,
    /// What each source counts, if there are any.
    sources: OnceLock<Arc<[Arc<SourceFigures>]>>,
    /// Where orders of operators are handed in, if somebody takes them.
    orders: OnceLock<OrderBook>,
    certificates: CertificateBoard,
}

impl Board {
    /// A board for so many shards, on which everything is zero.
    #[must_use]
    pub fn new(shard_count: u16) -> Self {
        Self {
            cells: (0..shard_count).map(|_| Cell::new()).collect(),
            rounds: (0..shard_count).map(|_| AtomicU64::new(0)).collect(),
            is_ready: AtomicBool::new(false),
            store: PartyCells::new(),
            cache: PartyCells::new(),
            is_store_full: AtomicBool::new(false),
            tables: OnceLock::new(),
            hooks: OnceLock::new(),
            sources: OnceLock::new(),
            orders: OnceLock::new(),
            certificates: CertificateBoard::default(),
        }
    }

    /// Orders of operators are taken from now on; `wake` is called when one waits. Whoever has said so before is woken still.
    pub fn take_orders(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.orders.get_or_init(|| {
            let (orders, waiting) = flume::bounded(ORDERS_MAX);
            OrderBook { orders, waiting: Orders(waiting), wake: Box::new(wake) }
        });
    }

    /// Those that wait, if orders are taken.
    #[must_use]
    pub fn orders(&self) -> Option<Orders> {
        self.orders.get().map(|book| book.waiting.clone())
    }

    /// Hands in an order; what it is refused with, if nobody takes it.
    pub(super) fn order(&self, ordered: Ordered) -> Option<Response> {
        let Some(book) = self.orders.get() else {
            let message = "this server is part of another program, which takes no orders";
            return Some(Response::error(501, "not_here", message));
        };
        if book.orders.try_send(ordered).is_err() {
            let message = "too many orders wait to be carried out";
            return Some(Response::error(503, "full", message));
        }
        (book.wake)();
        None
    }

    /// Says whether connections are taken.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::SeqCst);
    }

    /// Whether connections are taken, and events of all topics, tables can be read, and every source that is required is connected.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.unready().is_none()
    }

    /// Why it is not ready, in a word; `None`: it is.
    pub(super) fn unready(&self) -> Option<&'static str> {
        let has_tables = self.tables().is_none_or(|tables| tables.link().is_up());
        match (self.is_ready.load(Ordering::SeqCst), has_tables) {
            (false, _) => Some("not_started"),
            _ if self.is_store_full.load(Ordering::SeqCst) => Some("store_full"),
            (true, false) => Some("tables_lost"),
            (true, true) if self.sources().iter().any(|source| source.is_missed()) => {
                Some("source_lost")
            }
            (true, true) => None,
        }
    }

    /// Whoever has the tables counts so from now on.
    pub fn note_tables(&self, figures: Arc<TableFigures>) {
        if self.tables.set(figures).is_err() {
            tracing::error!("a server has its tables once");
        }
    }

    /// What whoever has the tables counts, if there are any.
    pub(super) fn tables(&self) -> Option<&TableFigures> {
        self.tables.get().map(|figures| &**figures)
    }

    /// Whoever answers hooks counts so from now on.
    pub fn note_hooks(&self, figures: Arc<HookFigures>) {
        if self.hooks.set(figures).is_err() {
            tracing::error!("a server has its hooks once");
        }
    }

    /// What whoever answers hooks counts, if any are asked.
    pub(super) fn hooks(&self) -> Option<&HookFigures> {
        self.hooks.get().map(|figures| &**figures)
    }

    /// Each source counts so from now on.
    pub fn note_sources(&self, figures: Arc<[Arc<SourceFigures>]>) {
        if self.sources.set(figures).is_err() {
            tracing::error!("a server has its sources once");
        }
    }

    /// What each source counts.
    pub(super) fn sources(&self) -> &[Arc<SourceFigures>] {
        self.sources.get().map_or(&[], |figures| figures)
    }

    /// Takes note of what the store has counted. Whoever finds its disk full is sent elsewhere.
    pub fn note_store(&self, figures: &Figures) {
        self.store.note(figures, &STORE_FIGURES);
        self.is_store_full.store(figures.is_full == 1, Ordering::SeqCst);
    }

    /// What the store has counted, in the order of `STORE_FIGURES`; nothing, if there is none.
    pub(super) fn store(&self) -> impl Iterator<Item = u64> {
        self.store.read()
    }

    /// Takes note of what the cache in front of tables has counted.
    pub fn note_cache(&self, figures: &CacheFigures) {
        self.cache.note(figures, &CACHE_FIGURES);
    }

    /// What the cache has counted, in the order of `CACHE_FIGURES`; nothing, if there is none.
    pub(super) fn cache(&self) -> impl Iterator<Item = u64> {
        self.cache.read()
    }

    /// What is known of certificates.
    #[must_use]
    pub const fn certificates(&self) -> &CertificateBoard {
        &self.certificates
    }

    /// Takes note of a shard's counts.
    pub(super) fn note(&self, shard: ShardId, noted: Noted) {
        self.cells[shard.index()].write(noted);
        self.rounds[shard.index()].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each shard has left its counts: ten times a second, of one that is not stuck.
    #[must_use]
    pub fn rounds(&self) -> Vec<u64> {
        self.rounds.iter().map(|rounds| rounds.load(Ordering::Relaxed)).collect()
    }

    /// What each shard has left, in their order.
    pub(super) fn noted(&self) -> Vec<Noted> {
        self.cells.iter().map(Cell::read).collect()
    }
}
