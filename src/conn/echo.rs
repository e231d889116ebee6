//! A world for tests: it sends back what it gets.
//!
//! What it hears on one core it also tells the next one, which counts it: so the links between cores are used as well. A byte `x` makes it
//! close the connection, a `p` makes it pause until the next tick.

use super::world::World;
use crate::clock::Now;
use crate::event::ShardId;
use crate::shard::AdminRequest;
use crate::shard::ConnId;
use crate::shard::ConnRef;
use crate::shard::Done;
use crate::shard::Lane;
use crate::shard::Message;
use crate::shard::PartyId;
use crate::shard::Peer;
use crate::shard::Pending;
use crate::shard::Port;
use crate::shard::Response;
use crate::shard::Sent;
use crate::shard::Settings;
use crate::shard::Sink;
use crate::shard::Stats;

#[derive(Debug, Default)]
struct EchoConn {
    generation: u32,
    /// Somebody has it, until `poll_gone` has named it.
    is_taken: bool,
    is_gone: bool,
    is_paused: bool,
    is_full: bool,
    is_closing: bool,
    owed: Vec<u8>,
}

/// How many bytes another core heard. The odd ones take the other lane, so that both are used.
#[derive(Debug)]
pub(crate) struct Count(u64);

impl Message for Count {
    fn lane(&self) -> Lane {
        if self.0.is_multiple_of(2) { Lane::Data } else { Lane::Control }
    }

    fn weight_bytes(&self) -> usize {
        size_of::<Self>()
    }

    fn is_past(&self) -> bool {
        false
    }
}

/// The world; `told` counts what other cores have told it.
#[derive(Debug)]
pub(crate) struct Echo {
    id: ShardId,
    places: Vec<EchoConn>,
    connections_max: usize,
    pending: Vec<Pending<Count>>,
    shard_count: usize,
    resumed: Vec<ConnId>,
    gone: Vec<ConnId>,
    told: u64,
    is_stopping: bool,
}

impl Echo {
    pub(crate) fn new(id: ShardId, shard_count: u16, connections_max: usize) -> Self {
        let shard_count = usize::from(shard_count);
        let pending = (0..shard_count).map(|_| Pending::default()).collect();
        let (places, resumed, gone) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            id,
            places,
            connections_max,
            pending,
            shard_count,
            resumed,
            gone,
            told: 0,
            is_stopping: false,
        }
    }

    fn open_count(&self) -> usize {
        self.places.iter().filter(|place| place.is_taken).count()
    }
}

impl World for Echo {
    type Message = Count;

    fn open(&mut self, _port: Port, _peer: Peer, _now: Now) -> Option<ConnRef> {
        if self.open_count() >= self.connections_max {
            return None;
        }
        let free = self.places.iter().position(|place| !place.is_taken);
        let index = free.unwrap_or_else(|| {
            self.places.push(EchoConn::default());
            self.places.len() - 1
        });
        let generation = self.places[index].generation + 1;
        self.places[index] = EchoConn { generation, is_taken: true, ..EchoConn::default() };
        Some(ConnRef { id: ConnId(u32::try_from(index).unwrap()), generation })
    }

    fn received(&mut self, conn: ConnId, bytes: &mut [u8], _now: Now) {
        let next = (self.id.index() + 1) % self.shard_count;
        self.pending[next].push(Count(bytes.len() as u64));
        let place = &mut self.places[conn.index()];
        assert!(!place.is_gone && !place.is_paused, "it was not to be read");
        place.owed.extend_from_slice(bytes);
        place.is_closing |= bytes.contains(&b'x');
        place.is_paused |= bytes.contains(&b'p');
    }

    fn wants_input(&mut self, conn: ConnId) -> bool {
        let place = &self.places[conn.index()];
        !place.is_gone && !place.is_paused && !place.is_closing && place.owed.len() < 256 * 1024
    }

    fn poll_resumed(&mut self) -> Option<ConnId> {
        self.resumed.pop()
    }

    fn writable(&mut self, conn: ConnId, _now: Now) {
        self.places[conn.index()].is_full = false;
    }

    fn ended(&mut self, conn: ConnId, now: Now) {
        let place = &mut self.places[conn.index()];
        place.is_closing = true;
        if place.owed.is_empty() {
            self.closed(conn, now);
        }
    }

    fn closed(&mut self, conn: ConnId, _now: Now) {
        let place = &mut self.places[conn.index()];
        if !std::mem::replace(&mut place.is_gone, true) {
            self.gone.push(conn);
        }
    }

    fn inbox(&mut self, Count(message): Count, _now: Now) {
        self.told += message;
    }

    fn wants_inbox(&self) -> bool {
        true
    }

    fn is_underway(&self) -> bool {
        false
    }

    fn done(&self) -> Done<'_> {
        Done { units: 0, landed_us: &[] }
    }

    fn set_units(&mut self, _units: u64) {}

    fn work<S: Sink>(&mut self, sink: &mut S, _now: Now) -> u64 {
        for (id, place) in (0..).map(ConnId).zip(&mut self.places) {
            if !place.is_taken || place.is_gone || place.is_full {
                continue;
            }
            let was_held_back = place.owed.len() >= 256 * 1024;
            match sink.send(id, &place.owed) {
                Sent::Took(taken) => {
                    place.is_full = taken < place.owed.len();
                    place.owed.drain(..taken);
                }
                Sent::Closed => {
                    place.owed.clear();
                    place.is_closing = true;
                }
            }
            if was_held_back && place.owed.len() < 256 * 1024 {
                self.resumed.push(id);
            }
            if place.owed.is_empty() && (place.is_closing || self.is_stopping) {
                place.is_gone = true;
                self.gone.push(id);
            }
        }
        0
    }

    fn has_work(&self) -> bool {
        false
    }

    fn mesh_pending(&mut self, to: PartyId) -> &mut Pending<Count> {
        if self.pending.len() <= to.index() {
            self.pending.resize_with(to.index() + 1, Pending::default);
        }
        &mut self.pending[to.index()]
    }

    fn poll_gone(&mut self) -> Option<ConnId> {
        let conn = self.gone.pop()?;
        self.places[conn.index()].is_taken = false;
        Some(conn)
    }

    fn poll_admin(&mut self) -> Option<(ConnRef, AdminRequest)> {
        None
    }

    fn answer(&mut self, _conn: ConnRef, _response: &Response, _now: Now) {}

    fn tick(&mut self, _now: Now) {
        for (id, place) in (0..).map(ConnId).zip(&mut self.places) {
            if std::mem::take(&mut place.is_paused) {
                self.resumed.push(id);
            }
        }
    }

    fn next_due_ms(&self) -> Option<u64> {
        None
    }

    fn renew(&mut self, _settings: &Settings) {}

    fn stop(&mut self, _now: Now) {
        self.is_stopping = true;
    }

    fn is_drained(&self) -> bool {
        self.open_count() == 0
    }

    fn stats(&self) -> Stats {
        Stats { connections: self.open_count() as u64, events: self.told, ..Stats::default() }
    }
}
