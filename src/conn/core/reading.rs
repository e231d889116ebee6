//! The part of a core's loop that reads: as much as the shard wants, and no more than others can wait for.
//!
//! Invariants: no connection gets more than `READS_PER_TURN_MAX` reads while others wait, and what a turn had no time for is read by the next, in order.

use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::recv;

use super::Core;
use crate::clock::Now;
use crate::conn::poll::Ready;
use crate::conn::world::World;
use crate::limits::READS_PER_TURN_MAX;
use crate::shard::ConnId;

impl<W: World> Core<W> {
    /// Of a connection that is not read nobody else would find out that its peer has left.
    pub(super) fn look_for_end(&mut self, conn: ConnId, ready: Ready, now: Now) {
        if ready.is_dead() {
            return self.die(conn, now);
        }
        let Some(socket) = self.sockets.socket(conn) else { return };
        // What it sent before it ended is read first, once it is wanted.
        if let Ok((0, _)) = recv(socket, &mut [0_u8; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK) {
            self.end(conn, now);
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

    pub(super) fn read_later(&mut self, conn: ConnId) {
        if self.sockets.set_unread(conn, true) {
            self.unread.push_back(conn);
        }
    }

    /// Reads on where the last turn stopped, in the order in which they were put off.
    pub(super) fn read_on(&mut self, now: Now) -> bool {
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
}
