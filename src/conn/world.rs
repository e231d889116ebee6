//! What the loop needs of a shard: the seam between I/O and the pure core.
//!
//! One implementation serves, `shard::Shard`; the loop's own tests bring another that echoes. No method may block, and none fails.

use crate::clock::Now;
use crate::shard::AdminRequest;
use crate::shard::ConnId;
use crate::shard::ConnRef;
use crate::shard::Done;
use crate::shard::Mesh;
use crate::shard::Message;
use crate::shard::PartyId;
use crate::shard::Peer;
use crate::shard::Pending;
use crate::shard::Port;
use crate::shard::Response;
use crate::shard::Settings;
use crate::shard::Shard;
use crate::shard::Sink;
use crate::shard::Stats;

/// One core's world, as its sockets see it.
pub trait World {
    /// What such worlds, and other parties, say to one another.
    type Message: Message;

    /// A connection was accepted; `None`: there is no place for it, close the socket.
    fn open(&mut self, port: Port, peer: Peer, now: Now) -> Option<ConnRef>;

    /// Bytes came in; all of them are taken.
    fn received(&mut self, conn: ConnId, bytes: &mut [u8], now: Now);

    /// False: nothing is to be read until `poll_resumed` names this connection.
    fn wants_input(&mut self, conn: ConnId) -> bool;

    /// A connection that wants input again; it is read until there is no more.
    fn poll_resumed(&mut self) -> Option<ConnId>;

    /// A socket that was full has room again.
    fn writable(&mut self, conn: ConnId, now: Now);

    /// The peer will send no more; it may still read.
    fn ended(&mut self, conn: ConnId, now: Now);

    /// The peer is gone, or the socket has failed.
    fn closed(&mut self, conn: ConnId, now: Now);

    /// Another party says something.
    fn inbox(&mut self, message: Self::Message, now: Now);

    /// False: no data before work was done. Control is always taken.
    fn wants_inbox(&self) -> bool;

    /// Whether a round of telling was begun and not ended: what arrives now waits for the next one.
    fn is_underway(&self) -> bool;

    /// What the last `work` did.
    fn done(&self) -> Done<'_>;

    /// How many units `work` may do from now on before it returns.
    fn set_units(&mut self, units: u64);

    /// Fans out what arrived, and sends, as far as its units go; says how many events were fanned out.
    fn work<S: Sink>(&mut self, sink: &mut S, now: Now) -> u64;

    /// Whether there is something to do without anything new coming in.
    fn has_work(&self) -> bool;

    /// What waits for another party. There may be any number of them.
    fn mesh_pending(&mut self, to: PartyId) -> &mut Pending<Self::Message>;

    /// A connection whose socket is to be closed; its place may be given away from here on.
    fn poll_gone(&mut self) -> Option<ConnId>;

    /// A request that is answered outside.
    fn poll_admin(&mut self) -> Option<(ConnRef, AdminRequest)>;

    /// The answer to one.
    fn answer(&mut self, conn: ConnRef, response: &Response, now: Now);

    /// Comes every `TICK_MS`.
    fn tick(&mut self, now: Now);

    /// When `work` must run, in `Now::mono_ms`.
    fn next_due_ms(&self) -> Option<u64>;

    /// Settings have been read anew: those hold from now on that may change.
    fn renew(&mut self, settings: &Settings);

    /// Take nothing new, finish what was begun.
    fn stop(&mut self, now: Now);

    /// Whether all that was begun has been finished.
    fn is_drained(&self) -> bool;

    /// What was counted.
    fn stats(&self) -> Stats;
}

/// The world that serves. Each method is the shard's own of the same name.
impl World for Shard {
    type Message = Mesh;

    fn open(&mut self, port: Port, peer: Peer, now: Now) -> Option<ConnRef> {
        Self::open(self, port, peer, now)
    }

    fn received(&mut self, conn: ConnId, bytes: &mut [u8], now: Now) {
        Self::received(self, conn, bytes, now);
    }

    fn wants_input(&mut self, conn: ConnId) -> bool {
        Self::wants_input(self, conn)
    }

    fn poll_resumed(&mut self) -> Option<ConnId> {
        Self::poll_resumed(self)
    }

    fn writable(&mut self, conn: ConnId, now: Now) {
        Self::writable(self, conn, now);
    }

    fn ended(&mut self, conn: ConnId, now: Now) {
        Self::ended(self, conn, now);
    }

    fn closed(&mut self, conn: ConnId, now: Now) {
        Self::closed(self, conn, now);
    }

    fn inbox(&mut self, message: Mesh, now: Now) {
        Self::inbox(self, message, now);
    }

    fn wants_inbox(&self) -> bool {
        Self::wants_inbox(self)
    }

    fn is_underway(&self) -> bool {
        Self::is_underway(self)
    }

    fn done(&self) -> Done<'_> {
        Self::done(self)
    }

    fn set_units(&mut self, units: u64) {
        Self::set_units(self, units);
    }

    fn work<S: Sink>(&mut self, sink: &mut S, now: Now) -> u64 {
        Self::work(self, sink, now)
    }

    fn has_work(&self) -> bool {
        Self::has_work(self)
    }

    fn mesh_pending(&mut self, to: PartyId) -> &mut Pending<Mesh> {
        Self::mesh_pending(self, to)
    }

    fn poll_gone(&mut self) -> Option<ConnId> {
        Self::poll_gone(self)
    }

    fn poll_admin(&mut self) -> Option<(ConnRef, AdminRequest)> {
        Self::poll_admin(self)
    }

    fn answer(&mut self, conn: ConnRef, response: &Response, now: Now) {
        Self::answer(self, conn, response, now);
    }

    fn tick(&mut self, now: Now) {
        Self::tick(self, now);
    }

    fn next_due_ms(&self) -> Option<u64> {
        Self::next_due_ms(self)
    }

    fn renew(&mut self, settings: &Settings) {
        Self::renew(self, settings);
    }

    fn stop(&mut self, now: Now) {
        Self::stop(self, now);
    }

    fn is_drained(&self) -> bool {
        Self::is_drained(self)
    }

    fn stats(&self) -> Stats {
        Self::stats(self)
    }
}
