//! Wiring: threads, runtimes, the mesh between parties, start and stop. No policy.
//!
//! Invariants: a server either starts as a whole or not at all; it is ready only when every shard listens; stopping takes no longer than
//! the configured time. What happens in which order is this page's business: doorbells and runtimes are made before any thread has its own
//! table of descriptors, listeners after.

mod access;
mod caching;
mod databases;
mod descriptors;
mod doctor;
mod driver;
mod error;
mod fd_table;
mod grants;
mod handover;
mod hooking;
mod inherited;
mod keys;
mod memory;
mod parties;
mod places;
mod plan;
mod positions;
mod relisten;
mod reload;
mod rounds;
mod shard_thread;
mod signals;
mod sourcing;
mod start_pages;
mod storing;
mod successor;
mod tabling;
mod taking;
#[cfg(test)]
mod tests;
mod tls;
mod written;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread::JoinHandle;

use flume::Receiver;
use flume::Sender;
use rustix::net::AddressFamily;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::socketpair;
use rustls::ServerConfig;

pub use doctor::Finding;
pub use doctor::Severity;
pub use error::StartError;
pub use error::Written;
pub use handover::HandoverError;
pub use handover::INHERIT;
pub use handover::READY;
pub use inherited::Inherited;
pub use reload::Reloaded;
pub use rounds::Rounds;
pub use signals::Signal;
pub use signals::Signals;
pub use start_pages::give_back_start_pages;
pub use storing::DISK_FAILED_CODE;
pub use successor::SuccessionError;
pub use successor::Successor;
pub use successor::Successors;
pub use tabling::TablesChecked;

use crate::admin::Board;
use crate::admin::FrontDesk;
use crate::admin::Orders;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::ConfigError;
use crate::conn;
use crate::conn::Doorbell;
use crate::conn::Left;
use crate::conn::Links;
use crate::conn::Pace;
use crate::conn::Party;
use crate::conn::Relistening;
use crate::conn::Tls;
use crate::conn::Told;
use crate::conn::World;
use crate::conn::weave;
use crate::dialect::hook::Hooks;
use crate::event::ShardId;
use crate::limits::RELISTEN_MAX;
use crate::limits::SETTINGS_RENEWALS_MAX;
use crate::limits::TLS_RENEWALS_MAX;
use crate::position::epoch_with_durable;
use crate::shard::Port;
use crate::shard::Settings;
use crate::shard::Shard;
use handover::Wire;
use hooking::Hooking;
use inherited::Share;
use keys::Keeping;
use parties::BeginHooking;
use parties::BeginHooks;
use parties::BeginSources;
use parties::BeginStore;
use parties::BeginTables;
use parties::Begun;
use parties::Parties;
use places::Place;
use plan::Plan;
use shard_thread::Go;
use shard_thread::ShardJob;
use sourcing::Sourcing;
use storing::Past;
use storing::Storing;
use tabling::Declared;
use tabling::Tabling;
use tls::Certificates;
use tls::Ordering;
use tls::Watching;

/// A server that runs. Dropping it leaves it running: say `stop`, then `join`.
#[derive(Debug)]
pub struct Running {
    places: Arc<[Place]>,
    board: Arc<Board>,
    doorbells: Vec<Arc<Doorbell>>,
    threads: Vec<JoinHandle<Option<Left>>>,
    /// Fetches keys, if they are fetched.
    keeping: Option<Keeping>,
    /// Looks whether certificates have changed, if there are any.
    watching: Option<Watching>,
    /// Orders certificates, if any are to be ordered.
    ordering: Option<Ordering>,
    /// What it runs with.
    config: Config,
    /// Where each shard is told of settings that are read anew.
    renew: Vec<Sender<Arc<Settings>>>,
    /// Keeps what durable topics are told, if there are any.
    storing: Option<Storing>,
    /// Has the tables, if there are any.
    tabling: Option<Tabling>,
    /// Answers hooks, if any are asked.
    hooking: Option<Hooking>,
    /// Has events come from far ends, if any are declared.
    sourcing: Option<Sourcing>,
    /// Where each shard is asked for copies of its listeners, and told which it has.
    wires: Vec<Wire>,
}

impl Running {
    /// Where it listens: with the port that was found, if any would do.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.places[0].address
    }

    /// Where a dialect has a listener of its own, the first of them if it has several; `None`: it has none.
    #[must_use]
    pub fn address_of(&self, port: Port) -> Option<SocketAddr> {
        self.addresses_of(port).next()
    }

    /// Orders of operators, of a server that was started with a way to wake whoever carries them out.
    #[must_use]
    pub fn orders(&self) -> Option<Orders> {
        self.board.orders()
    }

    /// Takes no new connections, finishes what was begun, tells everyone to go. Returns at once.
    pub fn stop(&self) {
        self.board.set_ready(false);
        let sources = self.sourcing.iter().flat_map(Sourcing::doorbells);
        for doorbell in sources.chain(&self.doorbells) {
            doorbell.ring_to_stop();
        }
    }

    /// Waits until it has stopped; says how many connections had to be cut off.
    #[must_use]
    pub fn join(self) -> usize {
        drop(self.ordering);
        drop(self.watching);
        let left = self
            .threads
            .into_iter()
            .map(|thread| thread.join().expect("a shard that panics ends the process"));
        let cut_off = left.flatten().map(|left| left.cut_off).sum();
        if let Some(keeping) = self.keeping {
            keeping.let_go();
        }
        // Shards may have had something to keep until they ended.
        drop(self.sourcing);
        drop(self.hooking);
        drop(self.tabling);
        drop(self.storing);
        cut_off
    }
}

/// The server.
#[derive(Clone, Copy, Debug)]
pub struct Server;

impl Server {
    /// What each of so many shards is told, for those who run the core without sockets.
    ///
    /// # Errors
    /// If what is configured cannot be.
    pub fn shard_settings(config: &Config, shard_count: u16) -> Result<Settings, ConfigError> {
        let (connections, shards) = (config.connections_max, u64::from(shard_count));
        let sizes = memory::Sizes::new(config, connections, shards, memory::available(config));
        plan::settings(config, connections, shards, &sizes)
    }

    /// What is taken of the database's tables, and what they lack of what is declared, or have otherwise. Changes nothing.
    ///
    /// # Errors
    /// If the configuration is at fault, or the database cannot be read.
    pub fn check_tables(config: &Config) -> Result<TablesChecked, ConfigError> {
        tabling::checked(config)
    }

    /// Starts one; several may run in one process.
    ///
    /// # Errors
    /// If it cannot hold what is configured, or cannot listen. Nothing of it is left running then.
    pub fn start(config: &Config) -> Result<Running, StartError> {
        Self::begin(config, Inherited::default(), None, None)
    }

    /// Starts one whose hooks are answered by an embedder in Rust, instead of over HTTP.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_with_hooks(config: &Config, hooks: Arc<dyn Hooks>) -> Result<Running, StartError> {
        let mut config = config.clone();
        config.hooks.are_embedded = true;
        Self::begin(&config, Inherited::default(), Some(hooks), None)
    }

    /// Starts one in the place of a former one, which has handed its listeners over. With a data folder the former stops before this one accepts anybody: who
    /// connects in between waits. Without one both accept for a moment. `wake` is called when an order of an operator waits.
    ///
    /// # Errors
    /// As `start`.
    pub fn take_over(
        config: &Config,
        inherited: Inherited,
        wake: fn(),
    ) -> Result<Running, StartError> {
        Self::begin(config, inherited, None, Some(wake))
    }

    fn begin(
        config: &Config,
        inherited: Inherited,
        hooks: Option<Arc<dyn Hooks>>,
        wake: Option<fn()>,
    ) -> Result<Running, StartError> {
        let inherited = RefCell::new(inherited);
        // All that a new epoch must do is differ from the one before: positions of a former life are then recognised.
        let epoch: Arc<str> = format!("{:x}", Clock::start().now().wall_us).into();
        let topics = storing::durable_topics(config)?;
        let past = Arc::new(OnceLock::<Past>::new());
        let found = Arc::clone(&past);
        let world = move |id: ShardId, shard_count, settings| {
            let Some(past) = found.get() else {
                return Shard::new(id, shard_count, settings, Arc::clone(&epoch));
            };
            let epoch = match settings.homes(shard_count).has_durable() {
                true => epoch_with_durable(&past.epoch, &epoch).into(),
                false => Arc::clone(&epoch),
            };
            let mut shard = Shard::new(id, shard_count, settings, epoch);
            shard.restore(&past.restored[id.index()], Clock::start().now());
            shard
        };
        let store = topics.as_ref().map(|topics| BeginStore {
            topics: Arc::clone(topics),
            begin: Box::new(|place| {
                // Whose the folder is passes on: the former server lets go of it when it has stopped.
                inherited.borrow_mut().release_former();
                let patience = inherited.borrow().patience();
                Storing::start(config, topics, (&past, patience), place)
            }),
        });
        let Declared { schema, cached, .. } = tabling::declared(config)?;
        let tables: Box<BeginTables<'_, _>> = Box::new(move |schema, place, about| {
            Tabling::start(config, (schema, cached), place, about)
        });
        let hooks = match hooks {
            Some(hooks) => Some(hooks),
            None => hooking::over_http(config, Clock::start())?
                .map(|hooks| -> Arc<dyn Hooks> { Arc::new(hooks) }),
        };
        let hooks = hooks.map(|hooks| -> Result<BeginHooks<'_, _>, StartError> {
            let terms = hooking::terms(config, hooks.asked())?;
            let begin: Box<BeginHooking<'_, _>> =
                Box::new(move |place, about| Hooking::start(config, &hooks, place, about));
            Ok(BeginHooks { terms, begin })
        });
        let hooks = hooks.transpose()?;
        let begin: Box<BeginSources<'_, _>> = Box::new(|seats, homes, about| {
            let of = |name: &str| past.get().and_then(|past| past.sources.get(name)).cloned();
            Sourcing::start(config, seats, homes, |name| of(name).unwrap_or_default(), about)
        });
        sourcing::specs(config)?;
        let sources = (!config.sources.is_empty()).then_some((config.sources.len(), begin));
        let parties =
            Parties { store, tables: Some((schema, tables)), keeper: None, hooks, sources };
        start(config, world, keys::keep, parties, (&inherited, wake))
    }
}

/// Starts shards that are worlds of any kind, and the other parties: `keep` fetches keys and tells the shards of them, a store keeps what durable topics are told, and somebody has the tables.
fn start<W, F, K>(
    config: &Config,
    world: F,
    keep: K,
    parties: Parties<'_, W::Message>,
    (inherited, wake): (&RefCell<Inherited>, Option<fn()>),
) -> Result<Running, StartError>
where
    W: World + 'static,
    F: Fn(ShardId, u16, Settings) -> W + Clone + Send + 'static,
    K: FnOnce(keys::Job<W::Message>, Sender<()>) + Send + 'static,
{
    let mut plan = Plan::new(config)?;
    let mut certificates = Certificates::new(config)?;
    let mut places = places::places(config)?;
    inherited.borrow_mut().fit(&mut places);
    places.iter().try_for_each(Place::probe)?;
    let board = Arc::new(Board::new(plan.shard_count));
    // Before anybody can give one.
    wake.into_iter().for_each(|wake| board.take_orders(wake));
    let parties = Parties { keeper: keys::keeper(config)?, ..parties };
    let party_count = parties.seat(&mut plan);
    let (_, _, inbox_bytes) = plan.settings.memory.mesh_parts();
    let mut links = weave::<W::Message>(party_count, plan.shard_count, inbox_bytes)
        .map_err(StartError::Descriptors)?;
    let others = links.split_off(usize::from(plan.shard_count)).into_iter();
    let doorbells: Vec<_> = links.iter().map(|links| Arc::clone(&links.doorbell)).collect();
    let clock = Clock::start();
    let certificates_shown = certificates.as_mut().map(|some| some.load(clock)).transpose()?;
    let (tls, renew) = tls_of(&plan, certificates_shown.as_ref());
    let desk = |id| FrontDesk::new(id, Arc::clone(&board));
    let shares = inherited.borrow_mut().split(plan.shard_count, &places);
    let inherited_numbers = shares.first().map(Share::numbers).unwrap_or_default();
    let each = links.into_iter().zip(tls).zip(shares);
    let mut starting = Starting::spawn(config, &plan, each, clock, desk, world)?;
    starting.step()?;
    starting.go(&Go::LeaveTable);
    starting.step()?;
    if plan.has_own_tables {
        inherited::close_here(&inherited_numbers);
    }
    // Their sockets and files are opened only now, so that no shard's own table holds on to them.
    let links = others.map(Party::new);
    let Begun { keeping, storing, tabling, hooking, sourcing } =
        parties.begin(&plan, links, (&board, clock), keep)?;
    // Held until every shard listens beside it, so that a port that was found free stays ours.
    let mut reserved = Vec::with_capacity(places.len());
    for place in places.iter_mut().filter(|place| !place.is_inherited) {
        reserved.push(place.reserve()?);
    }
    let places: Arc<[Place]> = places.into();
    starting.go(&Go::Listen(Arc::clone(&places)));
    starting.step().inspect_err(|_| doorbells.iter().for_each(|bell| bell.ring_to_stop()))?;
    drop(reserved);
    let watching = certificates.map(|some| Watching::start(some, (&board, clock), renew));
    let watching = watching.transpose().map_err(StartError::Thread)?;
    let ordering = Ordering::start(config, watching.as_ref(), (&board, clock))?;
    board.set_ready(true);
    inherited.borrow_mut().release_former();
    plan.tell(&places);
    let Starting { threads, renew, wires, .. } = starting;
    let config = config.clone();
    Ok(Running {
        places,
        board,
        doorbells,
        threads,
        keeping,
        watching,
        ordering,
        storing,
        tabling,
        hooking,
        sourcing,
        config,
        renew,
        wires,
    })
}

/// What each shard needs to speak TLS, and where it is told of new certificates; nothing of either if there are none.
fn tls_of(
    plan: &Plan,
    config: Option<&Arc<ServerConfig>>,
) -> (Vec<Option<Tls>>, Vec<Sender<Arc<ServerConfig>>>) {
    let Some(config) = config else {
        return ((0..plan.shard_count).map(|_| None).collect(), Vec::new());
    };
    let each = (0..plan.shard_count).map(|_| {
        let (renew, renewed) = flume::bounded(TLS_RENEWALS_MAX);
        let records_bytes_max = plan.tls_records_bytes_max;
        (Some(Tls { config: Arc::clone(config), renewed, records_bytes_max }), renew)
    });
    each.unzip()
}

/// Threads that are on their way. Dropped half-way, their `go` channels close, and they end.
struct Starting {
    threads: Vec<JoinHandle<Option<Left>>>,
    go: Vec<Sender<Go>>,
    renew: Vec<Sender<Arc<Settings>>>,
    wires: Vec<Wire>,
    reports: Receiver<Result<(), StartError>>,
}

impl Starting {
    fn spawn<W, F>(
        config: &Config,
        plan: &Plan,
        each: impl Iterator<Item = ((Links<W::Message>, Option<Tls>), Share)>,
        clock: Clock,
        desk: impl Fn(ShardId) -> FrontDesk,
        world: F,
    ) -> Result<Self, StartError>
    where
        W: World + 'static,
        F: Fn(ShardId, u16, Settings) -> W + Clone + Send + 'static,
    {
        let (report, reports) = flume::bounded(usize::from(plan.shard_count));
        let (threads, go, renew, wires) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut starting = Self { threads, go, renew, wires, reports };
        for (id, ((links, tls), inherited)) in (0..plan.shard_count).map(ShardId).zip(each) {
            let (ask, asked) = flume::bounded(1);
            let (end, wire) =
                socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                    .map_err(|error| StartError::Descriptors(error.into()))?;
            let (relisten, relistened) = flume::bounded(RELISTEN_MAX);
            starting.wires.push(Wire { ask, end, relisten });
            let (go, step) = flume::bounded(1);
            let (renew, renewed) = flume::bounded(SETTINGS_RENEWALS_MAX);
            let job = ShardJob {
                driver: plan.driver.driver,
                cpu: plan.cpus.get(id.index()).copied(),
                has_own_table: plan.has_own_tables,
                options: places::listener_options(config),
                pace: Pace { drain_timeout_ms: config.drain_timeout_s.saturating_mul(1000) },
                clock,
                links,
                tls,
                told: Told {
                    settings: renewed,
                    share: conn::Share { asked, wire },
                    relistening: Relistening::new(relistened),
                },
                inherited,
                proxies: Arc::clone(&plan.settings.access.proxies.trusted),
                desk: desk(id),
                go: step,
                report: report.clone(),
            };
            let (world, shard_count, settings) =
                (world.clone(), plan.shard_count, plan.settings.clone());
            let body = move || shard_thread::run(job, || world(id, shard_count, settings));
            let thread = std::thread::Builder::new().name(format!("shard-{}", id.0)).spawn(body);
            starting.threads.push(thread.map_err(StartError::Thread)?);
            starting.go.push(go);
            starting.renew.push(renew);
        }
        Ok(starting)
    }

    /// Waits until every thread has taken its next step.
    fn step(&mut self) -> Result<(), StartError> {
        for _ in 0..self.threads.len() {
            self.reports.recv().expect("every thread reports each step")?;
        }
        Ok(())
    }

    fn go(&self, step: &Go) {
        for go in &self.go {
            // A thread that does not wait for it any more has reported why.
            if go.send(step.clone()).is_err() {
                tracing::debug!(?step, "a shard that failed was told to go on");
            }
        }
    }
}
