//! A machine in virtual time: its cores go through their turns as they do in `conn::core`, and everything that they do takes time.
//!
//! What work takes is counted here and not by the server: each `send` and byte, each step of a filter, each read, and whatever is set aside.
//! What is sent takes much longer than it does, so that few subscribers and events are a load. Invariants: cores go in step, each turn taking as long as
//! the slowest; a core reads for so long in a turn, and of one connection so many times, and what is left is read in the next one.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use fanwire::auth::AdminSecret;
use fanwire::auth::Algorithm;
use fanwire::auth::AnonymousAccess;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::Rate;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::conn::Gauge;
use fanwire::history::Retention;
use fanwire::limits::INBOX_BYTES_MAX;
use fanwire::limits::INBOX_MESSAGES_MAX;
use fanwire::limits::READ_BYTES;
use fanwire::limits::READS_PER_TURN_MAX;
use fanwire::limits::TICK_MS;
use fanwire::limits::UNITS_TURN;
use fanwire::limits::WORK_US;
use fanwire::shard::Access;
use fanwire::shard::MemoryBounds;
use fanwire::shard::Port;
use fanwire::shard::Settings;

use super::heap;
use super::support::fits::SECRET;
use super::support::random::Random;
use super::support::world::Costs;
use super::support::world::Wire;
use super::support::world::World;
use super::support::world::roomy;

pub(crate) const ADMIN: &str = "0123456789abcdef0123456789abcdef";
/// Microseconds that a `send` takes, and each KiB that is sent: much, so that few subscribers and events are a load.
pub(crate) const SEND_US: u64 = 60;
pub(crate) const KIB_US: u64 = 10;
/// Bytes of each budget of a shard.
const BUDGET: usize = 2 << 20;

/// Nanoseconds of setting something aside, of each KiB of it, of a `recv`, and of each KiB that it brings.
const SET_ASIDE_NS: u64 = 40;
const SET_ASIDE_KIB_NS: u64 = 100;
const READ_NS: u64 = 2_000;
const READ_KIB_NS: u64 = 1_000;
/// About what a unit of the shard's work takes here.
const UNIT_NS: u64 = 1_000;
/// A turn takes at least so long.
const TURN_US_MIN: u64 = 200;

fn access() -> Access {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let keys = KeySet::new(vec![key]).unwrap();
    let verifier = Verifier::new(keys, TokenRules::default(), Mapping::default()).unwrap();
    let mut access = Access { verifier: Some(Arc::new(verifier)), ..Access::default() };
    access.admin = Some(Arc::new(AdminSecret::new(ADMIN.as_bytes()).unwrap()));
    access.anonymous.access = AnonymousAccess::Anywhere;
    access.limits.user_connections = 10_000;
    access.limits.address_connections = 10_000;
    // Those are bounds of their own, and would hide the others.
    let many = Rate::per_second(1_000_000);
    access.limits.messages = many;
    access.limits.handshakes = many;
    // Who publishes more than a core can tell is told so: a bound of its own as well, for those from elsewhere.
    access.limits.publish = Rate::per_second(500);
    access
}

fn settings() -> Settings {
    let retention = Retention {
        bytes_max: BUDGET,
        topic_bytes_max: BUDGET,
        last_bytes_max: BUDGET,
        topics_bytes_max: BUDGET / 4,
        ..roomy().retention
    };
    Settings {
        access: Arc::new(access()),
        retention,
        // The bytes of topics are the bound, and not their number.
        topics_max: 1 << 20,
        outbox_bytes_max: BUDGET / 8,
        outboxes_bytes_max: BUDGET,
        memory: MemoryBounds {
            subscriptions_bytes_max: BUDGET,
            batches_bytes_max: BUDGET,
            shaping_bytes_max: BUDGET,
            replays_bytes_max: BUDGET,
            input_bytes_max: BUDGET,
            // So that an event of a megabyte leaves room for what comes beside it.
            mesh_bytes_max: 4 * BUDGET,
            tables_bytes_max: BUDGET,
            tokens_bytes_max: BUDGET,
            sessions_bytes_max: BUDGET,
        },
        request_timeout_s: 1,
        ..roomy()
    }
}

/// What a core has learned that has been busy for a while, and how many units it does in a turn.
fn settled_gauge() -> (Gauge, u64) {
    let mut gauge = Gauge::default();
    let mut units = UNITS_TURN;
    for _ in 0..100 {
        units = gauge.worked(units, units * UNIT_NS / 1_000);
    }
    (gauge, units)
}

/// What clients have said and no core has read.
type Unread = BTreeMap<Wire, VecDeque<Vec<u8>>>;

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) random: Random,
    gauges: Vec<Gauge>,
    unread: Vec<Unread>,
    /// Whom each core reads first in the next turn, if it did not come to all.
    read_next: Vec<Option<Wire>>,
    unread_bytes: usize,
    /// Bytes that were held before anyone came, the test's own among them.
    held_before: i64,
    /// The most that the server was seen to hold since.
    pub(crate) held_max: i64,
    pub(crate) turn_us_max: u64,
    ticked_ms: u64,
}

impl Stage {
    pub(crate) fn new(random: Random, shards: u16) -> Self {
        let mut world = World::new(shards, &settings());
        world.costs =
            Costs { send_ns: SEND_US * 1_000, kib_ns: KIB_US * 1_000, ..Costs::default() };
        world.inbox_messages_max = INBOX_MESSAGES_MAX;
        world.inbox_bytes_max = INBOX_BYTES_MAX;
        let count = usize::from(shards);
        let gauge = settled_gauge();
        world.shards.iter_mut().for_each(|shard| shard.set_units(gauge.1));
        Self {
            ticked_ms: world.now.mono_ms,
            world,
            random,
            gauges: vec![gauge.0; count],
            unread: vec![Unread::new(); count],
            read_next: vec![None; count],
            unread_bytes: 0,
            held_before: heap::held(),
            held_max: 0,
            turn_us_max: 0,
        }
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.world.now.wall_us
    }

    pub(crate) fn any_shard(&mut self) -> usize {
        let count = self.world.shards.len();
        self.random.below(count)
    }

    /// A connection from elsewhere, as all of one attacker's.
    pub(crate) fn open_elsewhere(&mut self, shard: usize, capacity: usize) -> Wire {
        self.world.open_from(shard, capacity, IpAddr::from([198, 51, 100, 7]))
    }

    /// The same, to MQTT's own listener.
    pub(crate) fn open_to_mqtt(&mut self, shard: usize, capacity: usize) -> Wire {
        let by = (Port::Own("mqtt"), IpAddr::from([198, 51, 100, 7]));
        self.world.try_open_at(shard, capacity, by).expect("there is room")
    }

    pub(crate) fn open(&mut self, shard: usize, capacity: usize) -> Wire {
        self.world.open(shard, capacity)
    }

    /// A client says this as soon as its core reads it: at once with what it has said before, as far as one read takes it.
    pub(crate) fn say(&mut self, wire: Wire, bytes: &[u8]) {
        self.unread_bytes += bytes.len();
        let unread = self.unread[wire.shard].entry(wire).or_default();
        let room = unread.back().map_or(0, |last| READ_BYTES - last.len());
        let (at_once, later) = bytes.split_at(room.min(bytes.len()));
        if let Some(last) = unread.back_mut() {
            last.reserve_exact(at_once.len());
            last.extend_from_slice(at_once);
        }
        unread.extend(later.chunks(READ_BYTES).map(<[u8]>::to_vec));
    }

    /// One turn of each core, and what time it takes.
    pub(crate) fn turn(&mut self) {
        let mut took_us = TURN_US_MIN;
        // What clients have heard meanwhile is theirs.
        heap::take_peak();
        for shard in 0..self.world.shards.len() {
            let mut meter = Meter::new();
            self.world.take_in(shard);
            let heard_ns = meter.take_ns() + self.read(shard);
            meter.take_ns();
            let told_us = self.world.work(shard) + meter.take_ns() / 1_000;
            let units = self.gauges[shard].worked(self.world.shards[shard].done().units, told_us);
            self.world.shards[shard].set_units(units);
            took_us = took_us.max(heard_ns / 1_000 + told_us);
        }
        self.turn_us_max = self.turn_us_max.max(took_us);
        self.note_held();
        self.pass(took_us);
    }

    /// A core reads for as long as it tells, a few times of each connection; what it had no time for comes first in the next turn (`conn::core::reading`).
    fn read(&mut self, shard: usize) -> u64 {
        let mut spent_ns = 0;
        for _ in 0..READS_PER_TURN_MAX {
            let wires: Vec<Wire> = self.unread[shard].keys().copied().collect();
            let first = match self.read_next[shard].take() {
                Some(next) => wires.partition_point(|wire| *wire < next),
                None => self.random.below(wires.len().max(1)),
            };
            for wire in wires[first..].iter().chain(&wires[..first]) {
                if spent_ns > WORK_US * 1_000 {
                    self.read_next[shard] = Some(*wire);
                    return spent_ns;
                }
                if !self.world.is_open(*wire) {
                    let gone = self.unread[shard].remove(wire).unwrap_or_default();
                    self.unread_bytes -= gone.iter().map(Vec::len).sum::<usize>();
                } else if self.world.wants_input(*wire) {
                    spent_ns += self.read_one(shard, *wire);
                }
            }
        }
        spent_ns
    }

    fn read_one(&mut self, shard: usize, wire: Wire) -> u64 {
        let Some(unread) = self.unread[shard].get_mut(&wire) else { return 0 };
        let Some(bytes) = unread.pop_front() else {
            self.unread[shard].remove(&wire);
            return 0;
        };
        self.unread_bytes -= bytes.len();
        let mut meter = Meter::new();
        self.world.say(wire, &bytes);
        READ_NS + bytes.len() as u64 * READ_KIB_NS / 1024 + meter.take_ns()
    }

    /// Time passes, and clients read meanwhile.
    fn pass(&mut self, us: u64) {
        let until_us = self.now_us() + us;
        while self.now_us() < until_us {
            let before_ms = self.world.now.mono_ms;
            let step_us = (1_000 - self.now_us() % 1_000).min(until_us - self.now_us());
            self.world.advance_us(step_us);
            if self.world.now.mono_ms > before_ms {
                self.world.flow();
            }
        }
        if self.world.now.mono_ms >= self.ticked_ms + TICK_MS {
            self.ticked_ms = self.world.now.mono_ms;
            let mut meter = Meter::new();
            self.world.tick();
            self.world.advance_us(meter.take_ns() / 1_000);
        }
    }

    /// What was held at the most in this turn, but for what is the clients': what has been sent to them and what they are about to say.
    fn note_held(&mut self) {
        let sockets = self.world.sockets.values();
        let sent: usize =
            sockets.map(|socket| socket.buffer.capacity() + socket.heard.capacity()).sum();
        let of_clients = i64::try_from(sent + self.unread_bytes).unwrap();
        self.held_max = self.held_max.max(heap::take_peak() - self.held_before - of_clients);
    }
}

/// Counts what this thread sets aside, as time.
struct Meter(u64, u64);

impl Meter {
    fn new() -> Self {
        let (count, bytes) = heap::set_aside();
        Self(count, bytes)
    }

    /// Nanoseconds since this was last asked.
    fn take_ns(&mut self) -> u64 {
        let (count, bytes) = heap::set_aside();
        let ns = (count - self.0) * SET_ASIDE_NS + (bytes - self.1) * SET_ASIDE_KIB_NS / 1024;
        *self = Self(count, bytes);
        ns
    }
}
