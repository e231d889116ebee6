//! One shard's thread, from its first instruction to its last.
//!
//! Invariants: its steps are the same as everyone's, in the same order (runtime; own table; listeners; loop); it reports each, and takes the
//! next only when told to. A panic in here ends the process: its clients resume elsewhere or after the restart, which is better than a shard
//! that is silently missing.

use std::io;
use std::sync::Arc;

use flume::Receiver;
use flume::Sender;
use rustix::thread::CpuSet;
use rustix::thread::sched_setaffinity;

use super::driver::Driver;
use super::driver::Runtime;
use super::error::StartError;
use super::fd_table;
use super::inherited;
use super::places::Place;
use crate::admin::FrontDesk;
use crate::auth::Networks;
use crate::clock::Clock;
use crate::conn;
use crate::conn::Core;
use crate::conn::Desk;
use crate::conn::Entrance;
use crate::conn::Left;
use crate::conn::Links;
use crate::conn::ListenerOptions;
use crate::conn::Open;
use crate::conn::Pace;
use crate::conn::Tls;
use crate::conn::Told;
use crate::conn::World;
use crate::shard::AdminRequest;
use crate::shard::ConnRef;
use crate::shard::Pulse;
use crate::shard::Response;
use crate::shard::Stats;

/// What a thread is given.
pub(super) struct ShardJob<W: World> {
    pub(super) driver: Driver,
    pub(super) cpu: Option<usize>,
    pub(super) has_own_table: bool,
    pub(super) options: ListenerOptions,
    pub(super) pace: Pace,
    pub(super) clock: Clock,
    pub(super) links: Links<W::Message>,
    /// What is needed to speak TLS, if any listener does.
    pub(super) tls: Option<Tls>,
    /// Who may say for whom a connection is.
    pub(super) proxies: Arc<Networks>,
    pub(super) told: Told,
    /// Sockets of a former server.
    pub(super) inherited: inherited::Share,
    pub(super) desk: FrontDesk,
    /// The next step; closed if there is nothing to be done after all.
    pub(super) go: Receiver<Go>,
    /// How each step went.
    pub(super) report: Sender<Result<(), StartError>>,
}

/// What a thread that has reported is told to do next.
#[derive(Clone, Debug)]
pub(super) enum Go {
    /// Everyone's runtime has been made: from here on tables of descriptors may differ.
    LeaveTable,
    Listen(Arc<[Place]>),
}

/// Ends the process if its thread panics.
struct AbortsOnPanic;

impl Drop for AbortsOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl Desk for FrontDesk {
    fn answer(&mut self, conn: ConnRef, request: &AdminRequest) -> Option<Response> {
        Self::answer(self, conn, request)
    }

    fn poll_answer(&mut self) -> Option<(ConnRef, Response)> {
        Self::poll_answer(self)
    }

    fn note(&mut self, stats: Stats, pulse: &Pulse) {
        Self::note(self, &stats, pulse);
    }
}

/// Runs a shard until it is told to stop; `None`: it never began.
pub(super) fn run<W: World>(job: ShardJob<W>, world: impl FnOnce() -> W) -> Option<Left> {
    let _guard = AbortsOnPanic;
    let report = job.report.clone();
    match begin(job, world) {
        Ok(None) => None,
        Ok(Some((mut runtime, core))) => {
            let left: io::Result<Left> = runtime.block_on(conn::run(core));
            Some(
                left.expect(
                    "a descriptor is free: the listener of this table has just been opened",
                ),
            )
        }
        Err(error) => {
            tell(&report, Err(error));
            None
        }
    }
}

/// Takes the steps up to the loop.
fn begin<W: World>(
    mut job: ShardJob<W>,
    world: impl FnOnce() -> W,
) -> Result<Option<(Runtime, Core<W>)>, StartError> {
    pin(job.cpu);
    let runtime = Runtime::new(job.driver).map_err(StartError::Shard)?;
    tell(&job.report, Ok(()));
    let Ok(Go::LeaveTable) = job.go.recv() else { return Ok(None) };
    if job.has_own_table {
        fd_table::leave_shared_table().map_err(StartError::Descriptors)?;
        job.inherited.leave_others();
    }
    tell(&job.report, Ok(()));
    let Ok(Go::Listen(places)) = job.go.recv() else { return Ok(None) };
    let mut listeners = Vec::with_capacity(places.len());
    for place in &*places {
        let Place { port, is_secured, takes_header, .. } = *place;
        let mut own = job.inherited.listeners(port, place.address);
        if own.is_empty() {
            own.push(place.open(job.options)?);
        }
        let open = |listener| Open { port, listener, is_secured, takes_header };
        listeners.extend(own.into_iter().map(open));
    }
    let desk = Box::new(job.desk);
    let entrance = Entrance { listeners, tls: job.tls, proxies: job.proxies, told: job.told };
    let core = Core::new(world(), desk, entrance, job.links, job.clock, job.pace);
    let core = core.map_err(StartError::Shard)?;
    tell(&job.report, Ok(()));
    Ok(Some((runtime, core)))
}

/// The other end waits for a report of each shard and step, or has given up already.
fn tell(report: &Sender<Result<(), StartError>>, step: Result<(), StartError>) {
    drop(report.send(step));
}

/// A shard that moves between cores leaves its caches behind; but it works, so failing to pin is no reason not to start.
fn pin(cpu: Option<usize>) {
    let Some(cpu) = cpu else { return };
    let mut set = CpuSet::new();
    set.set(cpu);
    if let Err(error) = sched_setaffinity(None, &set) {
        tracing::warn!(cpu, %error, "cannot stay on one core");
    }
}
