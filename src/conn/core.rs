//! A core's loop: what is ready goes into the shard, what the shard wants said goes out, and then it sleeps.
//!
//! Invariants: the loop has one await, reached only when a whole turn found nothing to do; nothing is borrowed across it. Reading and working take
//! some milliseconds of a turn each, and what is left of either has its turn next. A message for another party that does not fit is tried again.
//! It is the only task of its runtime, so it never has to yield to another.

mod entering;
mod secured;
mod stopping;
mod turn;

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;

use flume::Receiver;
use monoio::net::UnixStream;

use super::linger::Lingering;
use super::measure::Measure;
use super::mesh::Links;
use super::poll::Poll;
use super::relisten::Open;
use super::relisten::Relistening;
use super::rush::Rush;
use super::share::Share;
use super::sockets::Remains;
use super::sockets::Sockets;
use super::timer::Timer;
use super::tls::Handshakes;
use super::tls::Tls;
use super::world::World;
use crate::auth::Networks;
use crate::clock::Clock;
use crate::clock::Now;
use crate::limits::MESH_RETRY_MS;
use crate::limits::NAP_US;
use crate::limits::READ_BYTES;
use crate::limits::TICK_MS;
use crate::shard::AdminRequest;
use crate::shard::ConnId;
use crate::shard::ConnRef;
use crate::shard::Lane;
use crate::shard::Pulse;
use crate::shard::Response;
use crate::shard::Settings;
use crate::shard::Stats;
use entering::Listening;
use stopping::Stopping;

/// Who answers what the shard does not, and is told ten times a second how things stand.
pub trait Desk {
    /// Answers a request of a connection; must not wait for anything. `None`: `poll_answer` does, later.
    fn answer(&mut self, conn: ConnRef, request: &AdminRequest) -> Option<Response>;

    /// An answer that was not there at once. Asked for at each tick.
    fn poll_answer(&mut self) -> Option<(ConnRef, Response)>;

    /// Takes note of the shard's counts, and of what its loop has measured.
    fn note(&mut self, stats: Stats, pulse: &Pulse);
}

/// What an operator may set that the loop needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long stopping may take; what is not finished by then is cut off.
    pub drain_timeout_ms: u64,
}

/// How a core ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Connections that were cut off because stopping took too long.
    pub cut_off: usize,
}

/// One core: a shard and its sockets.
pub struct Core<W: World> {
    world: W,
    desk: Box<dyn Desk>,
    clock: Clock,
    pace: Pace,
    links: Links<W::Message>,
    poll: Poll,
    timer: Timer,
    sockets: Sockets,
    lingering: Lingering,
    listeners: Vec<Open>,
    tls: Option<Tls>,
    proxies: Arc<Networks>,
    told: Told,
    handshakes: Handshakes,
    /// What records have been opened to, for as long as it takes to hand it on.
    plain: Vec<u8>,
    /// Connections that had to go because all held too many records in part.
    records_shed: u64,
    rush: Rush,
    measure: Measure,
    listening: Listening,
    /// When it was last said that nothing can be accepted, in `Now::mono_ms`.
    shortage_told_ms: Option<u64>,
    /// One buffer for every read of every connection.
    buffer: Box<[u8]>,
    /// Connections with more to read than one turn takes, or that it had no time for.
    unread: VecDeque<ConnId>,
    /// Until when this turn reads, by `Clock::mono_us`.
    read_until_us: u64,
    /// Something did not fit another party's inbox.
    is_mesh_stuck: bool,
    next_tick_ms: u64,
    stopping: Option<Stopping>,
}

/// All that a core listens on, and what it needs where it speaks TLS.
#[derive(Debug)]
pub struct Entrance {
    pub listeners: Vec<Open>,
    pub tls: Option<Tls>,
    /// Whose headers are believed where they are awaited.
    pub proxies: Arc<Networks>,
    pub told: Told,
}

/// What a core is told while it runs.
#[derive(Debug)]
pub struct Told {
    /// Settings that were read anew, the newest last.
    pub settings: Receiver<Arc<Settings>>,
    /// Where copies of its listeners are asked for.
    pub share: Share,
    /// Listeners that come and go.
    pub relistening: Relistening,
}

impl<W: World> std::fmt::Debug for Core<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("open", &self.sockets.open())
            .field("stopping", &self.stopping)
            .finish_non_exhaustive()
    }
}

/// Runs a core until it has been asked to stop and has.
///
/// # Errors
/// If the runtime cannot watch the core's epoll instance.
pub async fn run<W: World>(mut core: Core<W>) -> io::Result<Left> {
    // The runtime knows how to wait for sockets; an epoll instance is waited for in just the same way.
    let epoll = core.poll.as_fd().try_clone_to_owned()?;
    let ready = UnixStream::from_std(StdUnixStream::from(epoll))?;
    let mut wait_us = 0;
    loop {
        let was_busy = core.turn(wait_us);
        if core.is_finished() {
            return Ok(Left { cut_off: core.sockets.open() });
        }
        // What is busy is so again within a moment: a nap at the epoll instance spares the way through the runtime and back.
        wait_us = if was_busy { core.nap_us() } else { 0 };
        if was_busy {
            continue;
        }
        if core.falls_asleep() {
            // Waiting may fail for want of a moment's memory; the loop then turns once more and tries again.
            drop(ready.readable(false).await);
        }
        core.links.doorbell.wake_up();
    }
}

impl<W: World> Core<W> {
    /// A core that has not yet begun.
    ///
    /// # Errors
    /// If the process has no descriptors left for it.
    pub fn new(
        world: W,
        desk: Box<dyn Desk>,
        entrance: Entrance,
        links: Links<W::Message>,
        clock: Clock,
        pace: Pace,
    ) -> io::Result<Self> {
        let Entrance { listeners, tls, proxies, told } = entrance;
        let poll = Poll::new()?;
        let timer = Timer::new()?;
        poll.add_alarm(timer.as_fd())?;
        poll.add_alarm(links.doorbell.eventfd().as_fd())?;
        for (index, open) in (0..).zip(&listeners) {
            poll.add_listener(open.listener.as_fd(), index)?;
        }
        let (mut sockets, mut lingering) = (Sockets::default(), Lingering::default());
        if let Some(tls) = &tls {
            sockets.set_records_bytes_max(tls.records_bytes_max / 2);
            lingering.set_rest_bytes_max(tls.records_bytes_max / 2);
        }
        Ok(Self {
            world,
            desk,
            clock,
            pace,
            links,
            poll,
            timer,
            sockets,
            lingering,
            listeners,
            tls,
            proxies,
            told,
            handshakes: Handshakes::default(),
            plain: Vec::new(),
            records_shed: 0,
            listening: Listening::On,
            rush: Rush::default(),
            measure: Measure::default(),
            shortage_told_ms: None,
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            unread: VecDeque::new(),
            read_until_us: 0,
            is_mesh_stuck: false,
            next_tick_ms: 0,
            stopping: None,
        })
    }

    fn end(&mut self, conn: ConnId, now: Now) {
        if self.sockets.set_ended(conn) {
            self.world.ended(conn, now);
        }
    }

    fn die(&mut self, conn: ConnId, now: Now) {
        if self.sockets.set_dead(conn) {
            self.world.closed(conn, now);
        }
    }

    fn close(&mut self, conn: ConnId, now: Now) {
        if let Some(remains) = self.sockets.remove(conn) {
            self.lingering.add(remains, &mut self.buffer, now.mono_ms);
        }
    }

    fn tick(&mut self, now: Now) {
        if now.mono_ms < self.next_tick_ms {
            return;
        }
        self.next_tick_ms = now.mono_ms + TICK_MS;
        if let Some(settings) = self.told.settings.try_iter().last() {
            self.proxies = Arc::clone(&settings.access.proxies.trusted);
            self.world.renew(&settings);
        }
        if let Some(settled) = self.told.relistening.hear() {
            self.settle(settled, now);
        }
        self.told.share.answer(self.listeners.iter().map(|open| (open.port, &open.listener)));
        self.world.tick(now);
        self.lingering.tick(&mut self.buffer, now.mono_ms);
        self.tick_tls(now);
        if self.listening == Listening::Resting {
            self.listen_again(now);
        }
        while let Some((conn, response)) = self.desk.poll_answer() {
            self.world.answer(conn, &response, now);
        }
        self.desk.note(self.count_tls(self.world.stats()), &self.measure.pulse);
    }

    /// For how many microseconds a core that was busy may wait at its sockets; says that it sleeps, if it may.
    fn nap_us(&self) -> u64 {
        let is_waited_for = !self.unread.is_empty() || self.handshakes.has_ready();
        if self.world.has_work() || is_waited_for || self.is_mesh_stuck {
            return 0;
        }
        let until_due_ms = self.due_ms().saturating_sub(self.clock.now().mono_ms);
        self.links.doorbell.fall_asleep();
        let is_called = self.links.doorbell.stop_wanted()
            || Lane::ALL.iter().any(|lane| !self.links.inbox.is_empty(*lane));
        if is_called { 0 } else { until_due_ms.saturating_mul(1_000).min(NAP_US) }
    }

    /// When there is something to do even if nothing comes in, in `Now::mono_ms`.
    fn due_ms(&self) -> u64 {
        self.next_tick_ms.min(self.world.next_due_ms().unwrap_or(u64::MAX))
    }

    /// Sets the timer and says that this core sleeps; false if something has come in between.
    fn falls_asleep(&mut self) -> bool {
        let now_ms = self.clock.now().mono_ms;
        let mut wake_ms = self.due_ms();
        let is_inbox_shut = !self.world.wants_inbox();
        if self.is_mesh_stuck || is_inbox_shut {
            wake_ms = wake_ms.min(now_ms + MESH_RETRY_MS);
        }
        self.timer.set(wake_ms, now_ms);
        self.links.doorbell.fall_asleep();
        let is_stop_new = self.stopping.is_none() && self.links.doorbell.stop_wanted();
        let inbox = &self.links.inbox;
        let has_come =
            !inbox.is_empty(Lane::Control) || !is_inbox_shut && !inbox.is_empty(Lane::Data);
        !is_stop_new && !self.is_finished() && !has_come
    }
}
