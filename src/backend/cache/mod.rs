//! The cache in front of tables: numbers of rows, and whole answers of tables for which that is wanted, in this process or on servers of Redis or memcached.
//!
//! What is kept is kept under all that it depends on: the query as it comes here, with everything that a token or a hook forces, and the generation of each of its tables.
//!
//! Invariants: a read that is asked for after a write through us was told or answered sees that write; what others write is seen once what was kept is too old. A cache that is slow, full or gone is a
//! miss: it never fails a query, and holds it up no longer than its time-out. Rows that are kept are of one moment; a total that is kept may be of another moment than the rows beside it.

mod answers;
mod bytes;
mod client;
mod generations;
mod key;
mod memcached;
mod memory;
mod plan;
mod redis;
mod server;
mod servers;
mod settings;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::choice::Backend;
use super::link::Link;
use super::sharing::SharedBackend;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::tables::CacheFigures;
use crate::tables::Schema;
use crate::tables::asks::Ask;
use crate::tables::keeper::Outcome;
use answers::Cache;
pub use redis::check_redis_address;
pub use settings::CacheUse;
pub use settings::Kept;

/// Is told what the cache counts.
type Watch = Box<dyn FnMut(&CacheFigures) + Send>;

/// Tables with a cache in front of them, if there is one.
pub struct Cached {
    backend: SharedBackend,
    cache: Option<Cache>,
    watch: Watch,
    /// What was told last.
    noted: Option<CacheFigures>,
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, cache, .. } = self;
        f.debug_struct("Cached")
            .field("backend", backend)
            .field("cache", cache)
            .finish_non_exhaustive()
    }
}

impl Cached {
    /// Tables without a cache.
    #[must_use]
    pub fn without(backend: Backend) -> Self {
        Self {
            backend: SharedBackend::new(backend),
            cache: None,
            watch: Box::new(|_| {}),
            noted: None,
        }
    }

    /// Tables with a cache. `doorbell`: is rung when a server has answered. `watch`: is told what is counted, whenever that is something else.
    ///
    /// # Errors
    /// If a thread cannot be started. Servers that are not there are no error.
    pub fn new(
        backend: Backend,
        schema: &Schema,
        how: &CacheUse,
        bell: (Arc<Doorbell>, Clock),
        watch: impl FnMut(&CacheFigures) + Send + 'static,
    ) -> io::Result<Self> {
        let cache = Some(Cache::new(schema, how, bell)?);
        let mut cached = Self {
            backend: SharedBackend::new(backend),
            cache,
            watch: Box::new(watch),
            noted: None,
        };
        cached.note();
        Ok(cached)
    }

    /// Hears one thing; appends what is to be said at once.
    pub fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) {
        let Some(cache) = &mut self.cache else { return self.backend.hear(ask, out) };
        let Some(ask) = cache.hear(ask, out) else { return };
        let before = out.len();
        self.backend.hear(ask, out);
        cache.see(out.get_mut(before..).unwrap_or_default());
    }

    /// Nothing more comes just now: what was put off is done. Appends what is to be said.
    pub fn settle(&mut self, out: &mut Vec<Outcome>) {
        let before = out.len();
        self.backend.settle(out);
        let Some(cache) = &mut self.cache else { return };
        cache.see(out.get_mut(before..).unwrap_or_default());
        cache.settled();
        while let Some(next) = cache.next_found(out) {
            let before = out.len();
            self.backend.hear(next, out);
            cache.see(out.get_mut(before..).unwrap_or_default());
        }
        self.note();
    }

    /// Whether it takes another thing that is to be written.
    pub(super) fn has_room(&self) -> bool {
        self.backend.backend().has_room()
    }

    /// The word for where the rows are, and whether it is there.
    pub(super) fn link(&self) -> (&'static str, Arc<Link>) {
        self.backend.backend().link()
    }

    /// Nothing more comes at all: what was taken in is done. Appends what is to be said.
    pub(super) fn finish(&mut self, out: &mut Vec<Outcome>) {
        let before = out.len();
        self.backend.finish(out);
        if let Some(cache) = &mut self.cache {
            cache.see(out.get_mut(before..).unwrap_or_default());
        }
    }

    fn note(&mut self) {
        let figures = self.figures();
        if let Some(figures) = figures.filter(|_| figures != self.noted) {
            (self.watch)(&figures);
            self.noted = Some(figures);
        }
    }

    /// Whether there is something to be settled though nothing was heard.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.backend.backend().is_ready() || self.cache.as_ref().is_some_and(Cache::is_ready)
    }

    /// How long it may be left alone at most, if nothing happens.
    #[must_use]
    pub fn rest(&self, most: Duration) -> Duration {
        self.cache.as_ref().map_or(most, |cache| cache.rest(most))
    }

    /// What the cache has counted; `None`: there is none.
    #[must_use]
    pub fn figures(&self) -> Option<CacheFigures> {
        self.cache.as_ref().map(Cache::figures)
    }
}
