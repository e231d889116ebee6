//! Shards, other parties, the lanes between all of them, and sockets that can be full; time passes when it is told to.

#[path = "costs.rs"]
mod costs;
#[path = "drain.rs"]
mod drain;
#[path = "party.rs"]
pub mod party;
#[path = "store.rs"]
pub mod store;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::clock::Now;
use fanwire::conn::take_in;
use fanwire::event::ShardId;
use fanwire::history::Retention;
use fanwire::shard::ConnId;
use fanwire::shard::ConnRef;
use fanwire::shard::Lane;
use fanwire::shard::Mesh;
use fanwire::shard::Message;
use fanwire::shard::PartyId;
use fanwire::shard::Port;
use fanwire::shard::Returns;
use fanwire::shard::Sent;
use fanwire::shard::Settings;
use fanwire::shard::Shard;
use fanwire::shard::Sink;

pub use self::costs::Costs;
pub use self::drain::Drain;
use self::party::Party;
use self::store::Store;

/// Wall-clock time at the start.
pub const START_US: u64 = 1_786_600_000_000_000;
/// Milliseconds since the process began at that time.
const MONO_MS: u64 = 1000;
/// Settings with room for everything.
pub fn roomy() -> Settings {
    Settings {
        retention: Retention {
            topic_events_max: 100_000,
            topic_bytes_max: 1 << 30,
            age_us_max: 1 << 50,
            topic_keys_max: 100_000,
            bytes_max: 1 << 30,
            last_bytes_max: 1 << 30,
            topics_bytes_max: 1 << 30,
        },
        topics_max: 1000,
        connections_max: 100_000,
        outbox_bytes_max: 1 << 20,
        outboxes_bytes_max: 1 << 32,
        memory: Default::default(),
        message_bytes_max: 1 << 20,
        bounds: Default::default(),
        deflate: true,
        echo: true,
        own: Default::default(),
        access: Arc::default(),
        views: Arc::default(),
        ping_after_s: 30,
        request_timeout_s: 30,
        upload_bytes_per_s_min: 1024,
        close_timeout_s: 5,
        returns: Returns { spread_ms: 10_000, paced_ms: 5_000, elsewhere: None },
        durable: None,
        tables: Default::default(),
        hooks: Default::default(),
    }
}

/// The peer's end of a connection.
#[derive(Debug, Default)]
pub struct Socket {
    /// Bytes sent and not yet read.
    pub buffer: VecDeque<u8>,
    pub capacity: usize,
    is_full: bool,
    /// The server has closed it.
    pub is_closed: bool,
    /// How fast its client reads while time passes; `None`: only when it is told to.
    pub drain: Option<Drain>,
    /// What has been read so while time passed.
    pub heard: Vec<u8>,
}

/// A connection as its client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wire {
    pub shard: usize,
    pub id: u32,
    pub generation: u32,
}

/// What is on its way from one party to another.
#[derive(Debug, Default)]
struct Way {
    control: VecDeque<Mesh>,
    data: VecDeque<Mesh>,
}

impl Way {
    fn queue(&mut self, lane: Lane) -> &mut VecDeque<Mesh> {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Data => &mut self.data,
        }
    }

    fn take(&mut self, lane: Lane) -> Option<Mesh> {
        self.queue(lane).pop_front()
    }
}

#[derive(Debug)]
pub struct World {
    pub shards: Vec<Shard>,
    /// What each shard has sent to each party and that has not arrived.
    ways: Vec<Vec<Way>>,
    /// Parties that are no shards; the first one's id is the count of shards.
    pub parties: Vec<Party>,
    /// The party that keeps durable topics, if there is one; it comes behind the others.
    pub store: Option<Store>,
    pub sockets: BTreeMap<Wire, Socket>,
    pub port: Port,
    /// The connection that has a place now.
    places: Vec<BTreeMap<u32, Wire>>,
    /// Connections that were named as to be read again.
    pub resumed: BTreeSet<Wire>,
    pub now: Now,
    pub costs: Costs,
    /// Messages in each lane from one party to another; more wait where they come from.
    pub inbox_messages_max: usize,
    /// Bytes in each, likewise; one message may go beyond them.
    pub inbox_bytes_max: usize,
}

struct Sockets<'a> {
    /// What was sent so far took so long, in nanoseconds.
    spent_ns: u64,
    costs: Costs,
    shard: usize,
    sockets: &'a mut BTreeMap<Wire, Socket>,
    places: &'a BTreeMap<u32, Wire>,
}

impl Sink for Sockets<'_> {
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Sent {
        let wire = self
            .places
            .get(&conn.0)
            .unwrap_or_else(|| panic!("shard {} sends to nobody: {conn:?}", self.shard));
        let socket = self.sockets.get_mut(wire).expect("a place has a socket");
        let room = socket.capacity.saturating_sub(socket.buffer.len());
        let count = room.min(bytes.len());
        socket.buffer.extend(&bytes[..count]);
        socket.is_full = count < bytes.len();
        self.spent_ns += self.costs.send_ns + count as u64 * self.costs.kib_ns / 1_024;
        Sent::Took(count)
    }

    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent {
        self.send(conn, &pieces.concat())
    }
}

impl World {
    pub fn new(shard_count: u16, settings: &Settings) -> Self {
        Self::of_epoch("e1", shard_count, settings)
    }

    /// A server that has begun with an epoch.
    pub fn of_epoch(epoch: &str, shard_count: u16, settings: &Settings) -> Self {
        let epoch: Arc<str> = Arc::from(epoch);
        let count = usize::from(shard_count);
        Self {
            shards: (0..shard_count)
                .map(|id| {
                    Shard::new(ShardId(id), shard_count, settings.clone(), Arc::clone(&epoch))
                })
                .collect(),
            ways: (0..count).map(|_| (0..count).map(|_| Way::default()).collect()).collect(),
            parties: Vec::new(),
            store: None,
            sockets: BTreeMap::default(),
            port: Port::Shared,
            places: vec![BTreeMap::new(); count],
            resumed: BTreeSet::new(),
            now: Now { mono_ms: MONO_MS, wall_us: START_US },
            costs: Costs::default(),
            inbox_messages_max: usize::MAX,
            inbox_bytes_max: usize::MAX,
        }
    }

    pub fn open(&mut self, shard: usize, capacity: usize) -> Wire {
        self.open_from(shard, capacity, IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    pub fn open_from(&mut self, shard: usize, capacity: usize, peer: IpAddr) -> Wire {
        self.try_open_from(shard, capacity, peer).expect("there is room")
    }

    /// The same; `None`: it was closed at once.
    pub fn try_open_from(&mut self, shard: usize, capacity: usize, peer: IpAddr) -> Option<Wire> {
        self.try_open_at(shard, capacity, (self.port, peer))
    }

    /// The same, by one of the listeners.
    pub fn try_open_at(
        &mut self,
        shard: usize,
        capacity: usize,
        by: (Port, IpAddr),
    ) -> Option<Wire> {
        let ConnRef { id, generation } = self.shards[shard].open(by.0, by.1, self.now)?;
        let wire = Wire { shard, id: id.0, generation };
        self.places[shard].insert(id.0, wire);
        self.sockets.insert(wire, Socket { capacity, ..Socket::default() });
        Some(wire)
    }

    /// The client says no more, and still reads.
    pub fn end(&mut self, wire: Wire) {
        if self.is_open(wire) {
            self.shards[wire.shard].ended(ConnId(wire.id), self.now);
        }
    }

    /// Bytes from a client.
    pub fn say(&mut self, wire: Wire, bytes: &[u8]) {
        if self.is_open(wire) {
            self.shards[wire.shard].received(ConnId(wire.id), &mut bytes.to_vec(), self.now);
        }
    }

    pub fn is_open(&self, wire: Wire) -> bool {
        self.sockets.get(&wire).is_some_and(|socket| !socket.is_closed)
    }

    pub fn wants_input(&mut self, wire: Wire) -> bool {
        self.is_open(wire) && self.shards[wire.shard].wants_input(ConnId(wire.id))
    }

    /// The client reads up to `count` bytes.
    pub fn read(&mut self, wire: Wire, count: usize) -> Vec<u8> {
        let Some(socket) = self.sockets.get_mut(&wire) else { return Vec::new() };
        let count = count.min(socket.buffer.len());
        let bytes: Vec<u8> = socket.buffer.drain(..count).collect();
        if count > 0 && socket.is_full && !socket.is_closed {
            socket.is_full = false;
            self.shards[wire.shard].writable(ConnId(wire.id), self.now);
        }
        bytes
    }

    /// The client vanishes.
    pub fn vanish(&mut self, wire: Wire) {
        if self.is_open(wire) {
            self.shards[wire.shard].closed(ConnId(wire.id), self.now);
            self.reap(wire.shard);
        }
        self.sockets.remove(&wire);
    }

    /// One shard does what there is to do; says how long that takes, in microseconds. Time does not pass by itself.
    pub fn work(&mut self, shard: usize) -> u64 {
        let (places, costs) = (&self.places[shard], self.costs);
        let steps_before = self.shards[shard].stats().filter_steps;
        let mut sink = Sockets { spent_ns: 0, costs, shard, sockets: &mut self.sockets, places };
        let events = self.shards[shard].work(&mut sink, self.now);
        let steps = self.shards[shard].stats().filter_steps - steps_before;
        let took_us = (sink.spent_ns + events * costs.event_ns + steps * costs.step_ns) / 1_000;
        self.reap(shard);
        self.hand_on(shard);
        while let Some(id) = self.shards[shard].poll_resumed() {
            self.resumed.extend(self.places[shard].get(&id.0));
        }
        took_us
    }

    /// One shard takes in what a core takes in with each turn, from all others.
    pub fn take_in(&mut self, shard: usize) -> bool {
        let Self { shards, ways, now, .. } = self;
        let mut next = |lane| ways.iter_mut().find_map(|ways| ways[shard].take(lane));
        take_in(&mut shards[shard], &mut next, *now)
    }

    /// A message is on its way to a shard.
    pub fn tell(&mut self, from: usize, to: usize, message: Mesh) {
        self.ways[from][to].queue(message.lane()).push_back(message);
    }

    /// What a shard has for other parties is on its way.
    fn hand_on(&mut self, shard: usize) {
        for (to, way) in self.ways[shard].iter_mut().enumerate() {
            let pending = self.shards[shard].mesh_pending(PartyId(to as u16));
            for lane in Lane::ALL {
                let queue = way.queue(lane);
                let is_bounded = self.inbox_bytes_max < usize::MAX;
                let weighed = queue.iter().filter(|_| is_bounded);
                let mut bytes: usize = weighed.map(Message::weight_bytes).sum();
                while queue.len() < self.inbox_messages_max
                    && bytes < self.inbox_bytes_max
                    && let Some(parcel) = pending.pop(lane)
                {
                    bytes += parcel.weight_bytes;
                    queue.push_back(parcel.message);
                }
            }
        }
    }

    /// A party that is no shard; its id.
    pub fn join(&mut self, party: Party) -> PartyId {
        let id = PartyId(u16::try_from(self.shards.len() + self.parties.len()).unwrap());
        self.parties.push(party);
        for ways in &mut self.ways {
            ways.push(Way::default());
        }
        id
    }

    /// The store, whose id `Settings::durable` names; what it holds is what homes go on from.
    pub fn join_store(&mut self, store: Store, last_max: usize) {
        let shard_count = u16::try_from(self.shards.len()).unwrap();
        for (shard, id) in self.shards.iter_mut().zip((0..).map(ShardId)) {
            shard.restore(&store.kept.borrow().restored(id, shard_count, last_max), self.now);
        }
        self.store = Some(store);
        for ways in &mut self.ways {
            ways.push(Way::default());
        }
    }

    fn reap(&mut self, shard: usize) {
        while let Some(id) = self.shards[shard].poll_gone() {
            let wire = self.places[shard].remove(&id.0).expect("a place that goes was given away");
            if let Some(socket) = self.sockets.get_mut(&wire) {
                socket.is_closed = true;
            }
        }
    }

    /// All control and up to `count` messages of data from one shard arrive at another.
    pub fn deliver(&mut self, from: usize, to: usize, count: usize) -> bool {
        let mut any = self.deliver_control(from, to);
        for _ in 0..count {
            if !self.shards[to].wants_inbox() {
                break;
            }
            let Some(message) = self.ways[from][to].data.pop_front() else { break };
            self.shards[to].inbox(message, self.now);
            any = true;
        }
        any
    }

    /// All control from one shard arrives at another.
    pub fn deliver_control(&mut self, from: usize, to: usize) -> bool {
        let control = std::mem::take(&mut self.ways[from][to].control);
        let any = !control.is_empty();
        for message in control {
            self.shards[to].inbox(message, self.now);
        }
        any
    }

    /// Messages of data that are on their way from one shard to another.
    pub fn underway(&self, from: usize, to: usize) -> usize {
        self.ways[from][to].data.len()
    }

    /// What shards have told the other parties arrives there, and what those have answered by now arrives at the shards.
    pub fn deliver_parties(&mut self) -> bool {
        let mut any = false;
        let shard_count = self.shards.len();
        for (index, party) in self.parties.iter_mut().enumerate() {
            for ways in &mut self.ways {
                let Way { control, data } = &mut ways[shard_count + index];
                for message in control.drain(..).chain(data.drain(..)) {
                    any = true;
                    party.hear(message, self.now);
                }
            }
            for (to, message) in party.answers(self.now) {
                any = true;
                self.shards[to.index()].inbox(message, self.now);
            }
        }
        let at = shard_count + self.parties.len();
        let Some(store) = &mut self.store else { return any };
        for ways in &mut self.ways {
            let Way { control, data } = &mut ways[at];
            if store.is_stuck {
                break;
            }
            for message in control.drain(..).chain(data.drain(..)) {
                any = true;
                store.hear(message, self.now);
            }
        }
        for (to, message) in store.answers(self.now) {
            any = true;
            self.shards[to.index()].inbox(message, self.now);
        }
        any
    }

    pub fn advance(&mut self, ms: u64) {
        self.advance_us(ms * 1000);
    }

    /// Milliseconds since the start follow from microseconds since 1970.
    pub fn advance_us(&mut self, us: u64) {
        self.now.wall_us += us;
        self.now.mono_ms = MONO_MS + (self.now.wall_us - START_US) / 1000;
    }

    /// A millisecond passes: clients read at their own rates, and each shard has one turn, in which it does as much as it was told that it may
    /// (`Shard::set_units`). What shards say to one another takes a turn.
    pub fn pass_ms(&mut self) {
        self.advance(1);
        self.flow();
        if self.now.mono_ms.is_multiple_of(100) {
            self.tick();
        }
        let shards = self.shards.len();
        for (from, to) in (0..shards).flat_map(|from| (0..shards).map(move |to| (from, to))) {
            self.deliver(from, to, usize::MAX);
        }
        for shard in 0..shards {
            self.work(shard);
        }
    }

    /// Clients take what they are due in this millisecond.
    pub fn flow(&mut self) {
        let drains = self.sockets.iter_mut().filter_map(|(wire, socket)| {
            let due = socket.drain.as_mut()?.due(self.now.mono_ms);
            (due > 0).then_some((*wire, due))
        });
        for (wire, due) in drains.collect::<Vec<_>>() {
            self.drain(wire, due);
        }
    }

    /// A client takes bytes by itself; the server hears of it once a third of the socket is free, as it does of the kernel.
    fn drain(&mut self, wire: Wire, count: usize) {
        let Some(socket) = self.sockets.get_mut(&wire) else { return };
        let count = count.min(socket.buffer.len());
        socket.heard.extend(socket.buffer.drain(..count));
        let has_room = socket.buffer.len() <= socket.capacity / 3 * 2;
        if socket.is_full && has_room && !socket.is_closed {
            socket.is_full = false;
            self.shards[wire.shard].writable(ConnId(wire.id), self.now);
        }
    }

    pub fn tick(&mut self) {
        for shard in &mut self.shards {
            shard.tick(self.now);
        }
        for shard in 0..self.shards.len() {
            self.reap(shard);
        }
    }

    /// Everything that is on its way arrives; sockets stay as full as they are.
    pub fn settle(&mut self) {
        loop {
            let mut any = false;
            for shard in 0..self.shards.len() {
                self.work(shard);
                any |= self.shards[shard].has_work();
            }
            for from in 0..self.shards.len() {
                for to in 0..self.shards.len() {
                    any |= self.deliver(from, to, usize::MAX);
                }
            }
            any |= self.deliver_parties();
            if !any {
                return;
            }
        }
    }
}
