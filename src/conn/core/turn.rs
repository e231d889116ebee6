//! One turn of a core's loop: what is ready is read into the shard, what other parties say is taken in, the shard works, and what it says is handed on.
//!
//! Invariants: no connection gets more than `READS_PER_TURN_MAX` reads while others wait, and what a turn had no time for is read by the next, in order;
//! a message for another party that does not fit stays, in order. Never waits longer than it is told.

use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::recv;

use super::Core;
use crate::clock::Now;
use crate::conn::mesh::HandedOn;
use crate::conn::mesh::take_in;
use crate::conn::poll::Events;
use crate::conn::poll::Ready;
use crate::conn::poll::Token;
use crate::conn::world::World;
use crate::limits::ADMIN_PER_TURN_MAX;
use crate::limits::READS_PER_TURN_MAX;
use crate::limits::WORK_US;
use crate::shard::ConnId;
use crate::shard::ConnRef;
use crate::shard::PartyId;

impl<W: World> Core<W> {
    /// Everything that can be done now, or after so many microseconds at most, once; false if there was nothing.
    pub(super) fn turn(&mut self, wait_us: u64) -> bool {
        let events = self.poll.take(wait_us);
        self.links.doorbell.wake_up();
        let now = self.clock.now();
        let began_us = self.clock.mono_us();
        self.read_until_us = began_us + WORK_US;
        let mut was_busy = self.read_on(now);
        was_busy |= self.take_ready(events, now);
        was_busy |= self.shake_hands(now);
        was_busy |= self.take_inbox(now);
        self.tick(now);
        self.work(now);
        was_busy |= self.answer_admin(now);
        while let Some(conn) = self.world.poll_resumed() {
            self.read_later(conn);
            was_busy = true;
        }
        was_busy |= self.send_mesh();
        self.take_payers(now);
        while let Some(conn) = self.world.poll_gone() {
            self.close(conn, now);
            was_busy = true;
        }
        self.stop(now);
        was_busy |= self.world.has_work() || self.handshakes.has_ready();
        if was_busy {
            self.measure.turned(self.clock.mono_us().saturating_sub(began_us));
        }
        was_busy
    }

    /// Tells what has arrived, and under load what comes right behind it.
    fn work(&mut self, mut now: Now) {
        if !self.world.has_work() {
            self.world.work(&mut self.sockets, now);
            return self.measure.landed(self.world.done().landed_us, &self.clock);
        }
        let mut began_us = self.clock.mono_us();
        let is_new = !self.world.is_underway();
        let until_us = began_us + if is_new { self.rush.patience_us(began_us) } else { 0 };
        while began_us < until_us && self.world.wants_inbox() {
            let events = self.poll.take(until_us - began_us);
            now = self.clock.now();
            self.take_ready(events, now);
            self.take_inbox(now);
            began_us = self.clock.mono_us();
        }
        let told = self.world.work(&mut self.sockets, now);
        let ended_us = self.clock.mono_us();
        self.rush.worked(began_us, ended_us, told, self.world.is_underway());
        let took_us = ended_us.saturating_sub(began_us);
        let done = self.world.done();
        self.measure.landed(done.landed_us, &self.clock);
        let units = self.measure.gauge.worked(done.units, took_us);
        self.world.set_units(units);
    }

    /// Takes what is ready; true if that was more than an alarm.
    fn take_ready(&mut self, events: Events, now: Now) -> bool {
        let mut was_busy = false;
        for ready in events.iter() {
            was_busy |= ready.token != Token::Alarm;
            match ready.token {
                Token::Conn(conn) => self.take_conn(conn, ready, now),
                Token::Listener(index) => {
                    self.accept(usize::from(index), now);
                }
                Token::Handshake(place) => self.handshakes.set_ready(place),
                Token::Alarm => {}
            }
        }
        self.poll.recycle(events);
        was_busy
    }

    fn take_conn(&mut self, conn: ConnRef, ready: Ready, now: Now) {
        if !self.sockets.is_current(conn) {
            return;
        }
        if ready.is_readable() {
            self.read(conn.id, ready.is_ending(), now);
        }
        if ready.is_ending() && !self.world.wants_input(conn.id) {
            self.look_for_end(conn.id, ready, now);
        }
        // What was sealed goes first; only then is there room for more.
        if ready.is_writable() && !self.sockets.settle(conn.id) {
            self.world.closed(conn.id, now);
        } else if ready.is_writable() && self.sockets.was_full(conn.id) {
            self.world.writable(conn.id, now);
        }
    }

    /// Reads until there is no more, the shard has had enough, or others have waited long enough.
    pub(super) fn read(&mut self, conn: ConnId, to_the_end: bool, now: Now) {
        for _ in 0..READS_PER_TURN_MAX {
            if !self.world.wants_input(conn) {
                return;
            }
            if self.clock.mono_us() >= self.read_until_us {
                break;
            }
            let secure = self.sockets.secure_of(conn);
            let carried = secure.map(|secure| secure.carry_into(&mut self.buffer));
            let room = &mut self.buffer[carried.unwrap_or(0)..];
            let room_length = room.len();
            let Some(socket) = self.sockets.socket(conn) else { return };
            match recv(socket, room, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return self.end(conn, now),
                Ok((length, _)) => {
                    match carried {
                        None => self.world.received(conn, &mut self.buffer[..length], now),
                        Some(carried) => {
                            if !self.received_sealed(conn, carried + length, now) {
                                return;
                            }
                        }
                    }
                    // epoll(7): for a stream, a short read means that there is no more; only its end would not show.
                    if length < room_length && !to_the_end {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => return self.die(conn, now),
            }
        }
        self.read_later(conn);
    }

    /// Of a connection that is not read nobody else would find out that its peer has left.
    fn look_for_end(&mut self, conn: ConnId, ready: Ready, now: Now) {
        if ready.is_dead() {
            return self.die(conn, now);
        }
        let Some(socket) = self.sockets.socket(conn) else { return };
        // What it sent before it ended is read first, once it is wanted.
        if let Ok((0, _)) = recv(socket, &mut [0_u8; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK) {
            self.end(conn, now);
        }
    }

    pub(super) fn read_later(&mut self, conn: ConnId) {
        if self.sockets.set_unread(conn, true) {
            self.unread.push_back(conn);
        }
    }

    /// Reads on where the last turn stopped, in the order in which they were put off.
    fn read_on(&mut self, now: Now) -> bool {
        let count = self.unread.len();
        for _ in 0..count {
            if self.clock.mono_us() >= self.read_until_us {
                break;
            }
            let Some(conn) = self.unread.pop_front() else { break };
            // A place that was given away since has no such mark; reading it once too often would do no harm anyway.
            if self.sockets.set_unread(conn, false) {
                self.read(conn, true, now);
            }
        }
        count > 0
    }

    fn take_inbox(&mut self, now: Now) -> bool {
        let Self { world, links, .. } = self;
        take_in(world, &mut |lane| links.inbox.take(lane), now)
    }

    fn answer_admin(&mut self, now: Now) -> bool {
        let mut was_busy = false;
        for _ in 0..ADMIN_PER_TURN_MAX {
            let Some((conn, request)) = self.world.poll_admin() else { break };
            if let Some(response) = self.desk.answer(conn, &request) {
                self.world.answer(conn, &response, now);
            }
            was_busy = true;
        }
        was_busy
    }

    /// Hands what waits for other parties to them, as far as it fits.
    fn send_mesh(&mut self) -> bool {
        let mut was_busy = false;
        self.is_mesh_stuck = false;
        for (party, peer) in (0..).map(PartyId).zip(&self.links.peers) {
            let HandedOn { any, is_stuck } = peer.hand_on(self.world.mesh_pending(party));
            was_busy |= any;
            self.is_mesh_stuck |= is_stuck;
        }
        was_busy
    }
}
