//! The part of a core's loop that is about TLS: handshakes, records that have come, and who holds too much of them.
//!
//! Invariants: handshakes take a bounded part of a turn and never hold up who is connected; a handshake that is done becomes a connection of the
//! shard in the same step. A new configuration holds for handshakes that begin after it.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Core;
use super::Remains;
use super::entering::Listening;
use crate::clock::Now;
use crate::conn::relisten::Open;
use crate::conn::tls::Fault;
use crate::conn::tls::Finished;
use crate::conn::tls::Handshake;
use crate::conn::tls::Outcome;
use crate::conn::world::World;
use crate::limits::TLS_STEPS_PER_TURN_MAX;
use crate::shard::ConnId;
use crate::shard::Stats;

impl<W: World> Core<W> {
    /// Whether one more handshake may begin; if not, nobody is accepted before the next tick or the end of one.
    pub(super) fn has_room_for_handshake(&mut self, now: Now) -> bool {
        let has_room = self.handshakes.make_room(now.mono_ms);
        if !has_room && self.listening == Listening::On && self.set_secured_listening(false) {
            self.listening = Listening::Crowded;
        }
        has_room
    }

    /// Begins a handshake with a client that was just accepted at one of the listeners.
    pub(super) fn begin_handshake(
        &mut self,
        (socket, peer): (OwnedFd, IpAddr),
        index: usize,
        now: Now,
    ) {
        let Some(open) = self.listeners.get(index) else { return };
        let Open { port, is_secured, takes_header, .. } = *open;
        if takes_header && !self.proxies.contain(peer) {
            return tracing::debug!(%peer, "it is no proxy that is trusted: its connection is closed");
        }
        let tls = self.tls.as_ref().filter(|_| is_secured);
        let config = tls.map(|tls| Arc::clone(&tls.config));
        let handshake = match Handshake::new(socket, peer, port, config) {
            Ok(handshake) if takes_header => handshake.behind_proxy(),
            Ok(handshake) => handshake,
            Err(error) => return tracing::warn!(%peer, %error, "cannot begin a handshake"),
        };
        let place = self.handshakes.add(handshake, now.mono_ms);
        let Some(socket) = self.handshakes.socket(place) else { return };
        if let Err(error) = self.poll.add_handshake(socket, place) {
            tracing::warn!(%peer, %error, "cannot watch a handshake: it takes its first step only");
        }
    }

    /// Goes on with some handshakes; true if there was something to do.
    pub(super) fn shake_hands(&mut self, now: Now) -> bool {
        let was_busy = self.handshakes.has_ready();
        for _ in 0..TLS_STEPS_PER_TURN_MAX {
            if self.clock.mono_us() >= self.read_until_us || !self.step_handshake(now) {
                break;
            }
        }
        if was_busy && self.listening == Listening::Crowded {
            self.accept_secured_again(now);
        }
        was_busy
    }

    /// Goes on with the handshake whose turn it is; false if it is nobody's.
    fn step_handshake(&mut self, now: Now) -> bool {
        match self.handshakes.step(&mut self.buffer, now.mono_ms) {
            None => return false,
            Some(None) => {}
            Some(Some(Outcome::Over(socket))) => {
                self.lingering.add(
                    Remains { socket, rest: Vec::new() },
                    &mut self.buffer,
                    now.mono_ms,
                );
            }
            Some(Some(Outcome::Done(handshake))) => self.promote(*handshake, now),
        }
        true
    }

    /// Makes a handshake that is done a connection of the shard, with what its client has said already.
    fn promote(&mut self, handshake: Handshake, now: Now) {
        let (port, address) = (handshake.port, handshake.peer);
        let Some(conn) = self.world.open(port, handshake.far_end(), now) else { return };
        let Finished { socket, secure, mut said, has_ended } = handshake.finish();
        let watched = self.poll.promote(socket.as_fd(), conn);
        self.sockets.insert(conn, socket);
        if let Some(secure) = secure {
            self.sockets.secure(conn.id, secure);
        }
        if let Err(error) = watched {
            tracing::warn!(peer = %address, %error, "cannot watch a connection: it is closed");
            return self.die(conn.id, now);
        }
        if !said.is_empty() {
            self.world.received(conn.id, &mut said, now);
        }
        if has_ended {
            self.end(conn.id, now);
        }
    }

    /// Hands on what so many bytes at the beginning of the buffer are records of; false: there is nothing more to be read.
    pub(super) fn received_sealed(&mut self, conn: ConnId, length: usize, now: Now) -> bool {
        let Some(secure) = self.sockets.secure_of(conn) else { return false };
        self.plain.clear();
        let opened = secure.open(&mut self.buffer[..length], &mut self.plain);
        let is_there = self.sockets.settle(conn);
        if !self.plain.is_empty() {
            self.world.received(conn, &mut self.plain, now);
        }
        match opened {
            Ok(false) if is_there => return true,
            Ok(true) if is_there => self.end(conn, now),
            Ok(_) | Err(Fault::Broken) => self.world.closed(conn, now),
            Err(fault) => {
                tracing::debug!(conn = conn.0, %fault, "a connection's TLS is broken");
                self.handshakes.failed += 1;
                // Its last record says why; whoever closes it lets that be read.
                self.world.closed(conn, now);
            }
        }
        false
    }

    /// Closes connections that have held records in part for the longest, if all together hold too many.
    pub(super) fn take_payers(&mut self, now: Now) {
        while let Some(conn) = self.sockets.pop_payer() {
            self.records_shed += 1;
            tracing::debug!(conn = conn.0, "no room for records in part");
            self.world.closed(conn, now);
        }
    }

    /// Ends handshakes that had their time, and takes a new configuration if there is one.
    pub(super) fn tick_tls(&mut self, now: Now) {
        let Some(tls) = &mut self.tls else { return };
        if let Some(config) = tls.renewed.try_iter().last() {
            tls.config = config;
        }
        self.handshakes.tick(now.mono_ms);
        if self.listening == Listening::Crowded {
            self.accept_secured_again(now);
        }
    }

    /// Finishes the handshakes that have come so far that it is our turn, and gives up the others: the server stops.
    pub(super) fn finish_handshakes(&mut self, now: Now) {
        let mut steps = crate::limits::TLS_HANDSHAKES_MAX;
        while steps > 0 && self.step_handshake(now) {
            steps -= 1;
        }
        self.handshakes.clear();
    }

    /// The shard's counts, with those of TLS.
    pub(super) fn count_tls(&self, stats: Stats) -> Stats {
        Stats {
            tls_handshakes: self.handshakes.done,
            tls_failures: self.handshakes.failed,
            tls_shed: self.records_shed,
            ..stats
        }
    }

    fn accept_secured_again(&mut self, now: Now) {
        if self.handshakes.make_room(now.mono_ms) && self.set_secured_listening(true) {
            self.listening = Listening::On;
        }
    }

    /// Whether the kernel does as it is told with the listeners whose connections do not begin at once.
    fn set_secured_listening(&self, on: bool) -> bool {
        let mut secured = (0..).zip(&self.listeners).filter(|(_, open)| open.has_handshake());
        secured
            .all(|(index, open)| self.poll.set_listening(open.listener.as_fd(), index, on).is_ok())
    }
}
