//! A server that keeps answers, and the thread that speaks with it.
//!
//! One thread and one connection, over which everything goes in the order in which it was said: that is what generations hang on. A server is told a new generation of a table before it is asked
//! for anything that was asked for after the write; a new connection begins with new generations of all tables, so that a server that has come back with old memories has none that count.
//!
//! Invariants: whoever looks for something is answered once, by what is there or by nothing; what waits is bounded. Nobody waits for a server that is gone: it is connected to again, ever less often.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use aws_lc_rs::rand;
use flume::Receiver;
use flume::RecvTimeoutError;
use flume::Sender;

use super::client::CacheAddress;
use super::client::Client;
use super::client::ClientError;
use super::client::Look;
use super::client::Put;
use super::client::Seen;
use super::generations::Generation;
use super::generations::Generations;
use super::key::Key;
use super::key::Keys;
use crate::conn::Doorbell;
use crate::limits::CACHE_GENERATION_S;
use crate::limits::CACHE_JOBS_MAX;
use crate::limits::CACHE_LOOKUPS_MAX;
use crate::limits::CACHE_RETRY_MS;
use crate::limits::CACHE_RETRY_MS_MAX;
use crate::limits::CACHE_STORES_BYTES_MAX;
use crate::tables::TableId;
use crate::tables::asks::Asker;

/// Something that is looked for.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) asker: Asker,
    /// Which of the asker's lookups it is.
    pub(super) id: u64,
    pub(super) key: Key,
    /// The tables that the answer depends on.
    pub(super) tables: Arc<[TableId]>,
}

/// What was found.
#[derive(Debug)]
pub(super) struct LookupOutcome {
    pub(super) asker: Asker,
    pub(super) id: u64,
    /// With the generations that it is of in front.
    pub(super) value: Option<Vec<u8>>,
    /// The tables' generations; `None`: the server does not know all of them, or is gone.
    pub(super) generations: Option<Vec<Generation>>,
}

/// The room that an answer takes on its way to the server.
#[derive(Debug)]
struct Room {
    bytes: usize,
    held: Arc<AtomicUsize>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[derive(Debug)]
enum CacheJob {
    Look(Lookup),
    Keep {
        key: Key,
        value: Vec<u8>,
        _room: Room,
    },
    /// A table was written.
    Written,
}

/// What all servers share with whoever asks them.
#[derive(Clone)]
pub(super) struct ServersCommon {
    pub(super) keys: Arc<Keys>,
    pub(super) generations: Generations,
    pub(super) doorbell: Arc<Doorbell>,
    /// In front of every key.
    pub(super) namespace: Arc<str>,
    pub(super) ttl_s: u64,
}

/// How a server is, for whoever asks it.
#[derive(Debug, Default)]
struct ServerHealth {
    is_up: AtomicBool,
    failures: AtomicU64,
}

/// A server that keeps answers.
#[derive(Debug)]
pub(super) struct Server {
    jobs: Option<Sender<CacheJob>>,
    link: Arc<ServerHealth>,
    stored_bytes: Arc<AtomicUsize>,
    /// What it is asked for, in the order in which it answers: until when, by whom, and which.
    looking: VecDeque<(u64, Asker, u64)>,
    /// Of how many of these, from the first on, nobody waits for the answer any more.
    given_up: usize,
    found: Receiver<LookupOutcome>,
    timeout_us: u64,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Begins to speak with a server, be it there or not.
    pub(super) fn start<C: Client>(
        address: CacheAddress,
        shared: ServersCommon,
    ) -> Result<Self, std::io::Error> {
        let (send, jobs) = flume::bounded(CACHE_JOBS_MAX);
        let (say_found, found) = flume::bounded(CACHE_LOOKUPS_MAX);
        let link = Arc::new(ServerHealth::default());
        let timeout_us = u64::try_from(address.timeout.as_micros()).unwrap_or(u64::MAX);
        let worker = Worker {
            told: vec![None; shared.generations.len()],
            maker: random(),
            made: 0,
            address,
            shared,
            jobs,
            found: say_found,
            link: Arc::clone(&link),
        };
        let thread = std::thread::Builder::new().name("tables-cache".to_owned());
        let thread = thread.spawn(move || worker.run::<C>())?;
        Ok(Self {
            jobs: Some(send),
            link,
            stored_bytes: Arc::default(),
            looking: VecDeque::new(),
            given_up: 0,
            found,
            timeout_us,
            thread: Some(thread),
        })
    }

    /// Looks for something; whether it does.
    pub(super) fn look(&mut self, lookup: Lookup, now_us: u64) -> bool {
        let waits = (now_us.saturating_add(self.timeout_us), lookup.asker, lookup.id);
        let has_room = self.looking.len() < CACHE_LOOKUPS_MAX && self.is_up();
        let is_looking = has_room && self.say(CacheJob::Look(lookup));
        if is_looking {
            self.looking.push_back(waits);
        }
        is_looking
    }

    /// The next answer, or the next lookup that has waited long enough: then nothing was found.
    pub(super) fn next(&mut self, now_us: u64) -> Option<LookupOutcome> {
        while let Ok(found) = self.found.try_recv() {
            self.looking.pop_front();
            match self.given_up.checked_sub(1) {
                None => return Some(found),
                Some(fewer) => self.given_up = fewer,
            }
        }
        let (_, asker, id) = self.looking.get(self.given_up).filter(|due| due.0 <= now_us)?;
        self.given_up += 1;
        Some(LookupOutcome { asker: *asker, id: *id, value: None, generations: None })
    }

    /// When the next lookup has waited long enough, in microseconds; `None`: nobody waits.
    pub(super) fn due_us(&self) -> Option<u64> {
        self.looking.get(self.given_up).map(|due| due.0)
    }

    /// Whether an answer is there.
    pub(super) fn is_ready(&self) -> bool {
        !self.found.is_empty()
    }

    /// Keeps an answer, if it has room for it; whether it does.
    pub(super) fn keep(&self, key: Key, value: Vec<u8>) -> bool {
        let bytes = value.len();
        let before = self.stored_bytes.fetch_add(bytes, Ordering::Relaxed);
        let room = Room { bytes, held: Arc::clone(&self.stored_bytes) };
        before + bytes <= CACHE_STORES_BYTES_MAX
            && self.is_up()
            && self.say(CacheJob::Keep { key, value, _room: room })
    }

    /// A table was written: others who share what it keeps are to know it soon.
    pub(super) fn written(&self) {
        // With a full line before it the thread has enough to do, and looks for itself.
        self.say(CacheJob::Written);
    }

    pub(super) fn is_up(&self) -> bool {
        self.link.is_up.load(Ordering::SeqCst)
    }

    /// How often it was lost, or not to be had.
    pub(super) fn failures(&self) -> u64 {
        self.link.failures.load(Ordering::Relaxed)
    }

    fn say(&self, job: CacheJob) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.try_send(job).is_ok())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.jobs = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of a cache server has panicked");
        }
    }
}

/// A number that nobody else has.
pub(super) fn random() -> u64 {
    let bytes = rand::generate(&rand::SystemRandom::new()).map(rand::Random::expose);
    u64::from_le_bytes(bytes.expect("the system has random bytes"))
}

/// The thread that speaks with one server.
struct Worker {
    address: CacheAddress,
    shared: ServersCommon,
    jobs: Receiver<CacheJob>,
    found: Sender<LookupOutcome>,
    link: Arc<ServerHealth>,
    /// What the server was told on this connection: how often each table was written, and the generation that stands for it.
    told: Vec<Option<u64>>,
    maker: u64,
    made: u64,
}

/// What is said and asked in one round trip.
#[derive(Default)]
struct Batch {
    puts: Vec<Put>,
    looks: Vec<Look>,
    lookups: Vec<Lookup>,
}

impl Worker {
    fn run<C: Client>(mut self) {
        let mut retry_ms = CACHE_RETRY_MS;
        while let Err(error) = self.speak::<C>() {
            let was_up = self.link.is_up.swap(false, Ordering::SeqCst);
            let failures = self.link.failures.fetch_add(1, Ordering::Relaxed);
            self.shared.doorbell.ring();
            if was_up || failures == 0 {
                let server = &self.address.text;
                tracing::warn!(%error, server, "a server that keeps answers of tables is gone; they are read from the tables");
                retry_ms = CACHE_RETRY_MS;
            }
            if !self.wait(retry_ms) {
                break;
            }
            retry_ms = (retry_ms * 2).min(CACHE_RETRY_MS_MAX);
        }
    }

    /// Speaks with the server until it is lost; returns if nothing more is to be said.
    fn speak<C: Client>(&mut self) -> Result<(), ClientError> {
        let mut client = C::connect(&self.address)?;
        self.told.fill(None);
        self.exchange(&mut client, Batch::default())?;
        self.link.is_up.store(true, Ordering::SeqCst);
        self.shared.doorbell.ring();
        tracing::info!(server = self.address.text, "answers of tables are kept by a server");
        while let Ok(job) = self.jobs.recv() {
            let mut batch = Batch::default();
            self.add(job, &mut batch);
            for _ in 0..self.jobs.len() {
                let Ok(job) = self.jobs.try_recv() else { break };
                self.add(job, &mut batch);
            }
            self.exchange(&mut client, batch)?;
        }
        Ok(())
    }

    fn add(&self, job: CacheJob, batch: &mut Batch) {
        match job {
            CacheJob::Look(lookup) => {
                let generations = lookup.tables.iter().map(|table| self.generation_key(*table));
                let look = generations.chain([self.key("a", &lookup.key)]).collect();
                batch.looks.push(look);
                batch.lookups.push(lookup);
            }
            CacheJob::Keep { key, value, _room } => {
                let (key, ttl_s) = (self.key("a", &key), self.shared.ttl_s);
                batch.puts.push(Put { key, value, ttl_s, is_needed: false });
            }
            CacheJob::Written => {}
        }
    }

    fn key(&self, kind: &str, key: &Key) -> String {
        format!("fanwire:{}:{kind}:{}", self.shared.namespace, key.hex())
    }

    fn generation_key(&self, table: TableId) -> String {
        self.key("g", &self.shared.keys.of_generation(table))
    }

    /// Says what is to be said, new generations before everything, and answers whoever looks for something.
    fn exchange(&mut self, client: &mut impl Client, batch: Batch) -> Result<(), ClientError> {
        let Batch { puts, looks, lookups } = batch;
        let now: Vec<(TableId, u64)> = self.shared.generations.each().collect();
        let mut all: Vec<Put> = Vec::new();
        for (table, written) in &now {
            if self.told[table.index()] != Some(*written) {
                self.made += 1;
                let value = Generation::new(self.maker, self.made).bytes().to_vec();
                let key = self.generation_key(*table);
                all.push(Put { key, value, ttl_s: CACHE_GENERATION_S, is_needed: true });
            }
        }
        all.extend(puts);
        if all.is_empty() && looks.is_empty() {
            return Ok(());
        }
        let seen = client.exchange(&all, &looks);
        let seen = seen.inspect_err(|_| lookups.iter().for_each(|lookup| self.lost(lookup)))?;
        for (table, written) in now {
            self.told[table.index()] = Some(written);
        }
        for (lookup, seen) in lookups.iter().zip(seen) {
            self.answer(lookup, seen);
        }
        self.shared.doorbell.ring();
        Ok(())
    }

    fn answer(&mut self, lookup: &Lookup, mut seen: Seen) {
        let value = seen.pop().flatten();
        for (table, generation) in lookup.tables.iter().zip(&seen) {
            if generation.as_deref().and_then(Generation::read).is_none() {
                // The server has forgotten it: the table has a new one from now on.
                self.told[table.index()] = None;
            }
        }
        let generations = seen.iter().map(|seen| Generation::read(seen.as_deref()?)).collect();
        self.found(lookup, value, generations);
    }

    fn lost(&self, lookup: &Lookup) {
        self.found(lookup, None, None);
        self.shared.doorbell.ring();
    }

    fn found(&self, lookup: &Lookup, value: Option<Vec<u8>>, generations: Option<Vec<Generation>>) {
        let Lookup { asker, id, .. } = *lookup;
        let found = LookupOutcome { asker, id, value, generations };
        if self.found.try_send(found).is_err() {
            tracing::debug!("nobody wants to know any more what was found");
        }
    }

    /// Waits before the next attempt, and has nobody else wait; whether there is to be one.
    fn wait(&self, retry_ms: u64) -> bool {
        let clock = self.address.clock;
        let until_us = clock.mono_us() + retry_ms * 1000;
        loop {
            let left_us = until_us.saturating_sub(clock.mono_us());
            match self.jobs.recv_timeout(Duration::from_micros(left_us)) {
                Ok(CacheJob::Look(lookup)) => self.lost(&lookup),
                Ok(CacheJob::Keep { .. } | CacheJob::Written) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}
