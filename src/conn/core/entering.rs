//! The part of a core's loop that lets connections in: who waits at its listeners, and what happens when there is nothing to hold them with.
//!
//! Invariants: a turn accepts a bounded number; a core that is out of descriptors or memory says so once in a while and rests until the next tick.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::Core;
use crate::clock::Now;
use crate::conn::listener::Accepted;
use crate::conn::relisten::Settled;
use crate::conn::world::World;
use crate::limits::ACCEPTS_PER_TURN_MAX;
use crate::limits::BACKLOG;
use crate::limits::SHORTAGE_TOLD_MS;
use crate::limits::TICK_MS;

/// Whether new connections are accepted. All listeners do alike: what one lacks, the others lack too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listening {
    On,
    /// Out of descriptors or memory, until the next tick.
    Resting,
    /// So many handshakes are underway that listeners of TLS rest until one has ended.
    Crowded,
}

impl<W: World> Core<W> {
    /// Accepts who waits at one of the listeners, some at a time; true if there may be more.
    pub(super) fn accept(&mut self, index: usize, now: Now) -> bool {
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            if self.listening == Listening::Resting {
                return false;
            }
            let Some(open) = self.listeners.get(index) else { return false };
            if open.has_handshake() && !self.has_room_for_handshake(now) {
                return false;
            }
            let Some(open) = self.listeners.get(index) else { return false };
            let port = open.port;
            match open.listener.accept() {
                Accepted::Conn(socket, peer) if open.has_handshake() => {
                    self.begin_handshake((socket, peer), index, now);
                }
                Accepted::Conn(socket, peer) => {
                    let Some(conn) = self.world.open(port, peer.into(), now) else { continue };
                    let watched = self.poll.add_conn(socket.as_fd(), conn);
                    self.sockets.insert(conn, socket);
                    if let Err(error) = watched {
                        tracing::warn!(%peer, %error, "cannot watch a connection: it is closed");
                        self.die(conn.id, now);
                    }
                }
                Accepted::Nobody => return false,
                Accepted::Left => {}
                Accepted::Exhausted(error) => {
                    self.rest(error, now);
                    return false;
                }
            }
        }
        true
    }

    /// Listens where it is told from now on. Whoever waits where it no longer does is accepted first.
    pub(super) fn settle(&mut self, settled: Settled, now: Now) {
        // A core that stops has closed its listeners, and opens none.
        if self.stopping.is_some() {
            return;
        }
        for index in 0..self.listeners.len() {
            if self.listeners.get(index).is_some_and(|open| settled.lacks(open)) {
                self.accept_waiting(index, now);
            }
        }
        let former = std::mem::take(&mut self.listeners);
        for open in &former {
            // One that was just opened is not watched yet, and one that goes is no longer.
            self.poll.remove(open.listener.as_fd());
        }
        self.listeners = settled.apply(former);
        for (index, open) in (0..).zip(&self.listeners) {
            if let Err(error) = self.poll.add_listener(open.listener.as_fd(), index) {
                tracing::error!(port = open.port.name(), %error, "cannot watch a listener: nobody is accepted there");
            }
        }
        // As if it had rested: who waits by now is not told again.
        self.listen_again(now);
    }

    /// Accepts who waits at one of the listeners, as many as its queue holds.
    pub(super) fn accept_waiting(&mut self, index: usize, now: Now) {
        let mut turns = BACKLOG as usize / ACCEPTS_PER_TURN_MAX;
        while turns > 0 && self.accept(index, now) {
            turns -= 1;
        }
    }

    pub(super) fn rest(&mut self, error: Errno, now: Now) {
        let is_told =
            self.shortage_told_ms.is_some_and(|told_ms| now.mono_ms < told_ms + SHORTAGE_TOLD_MS);
        if !is_told {
            self.shortage_told_ms = Some(now.mono_ms);
            let open = self.sockets.open();
            tracing::warn!(%error, open, "cannot accept connections for now; trying again every {TICK_MS} ms");
        }
        if let Err(error) = self.set_listening(false) {
            tracing::error!(%error, "cannot rest");
        }
        self.listening = Listening::Resting;
    }

    pub(super) fn listen_again(&mut self, now: Now) {
        if self.set_listening(true).is_err() {
            return;
        }
        self.listening = Listening::On;
        for index in 0..self.listeners.len() {
            self.accept(index, now);
        }
    }

    pub(super) fn set_listening(&self, on: bool) -> io::Result<()> {
        for (index, open) in (0..).zip(&self.listeners) {
            self.poll.set_listening(open.listener.as_fd(), index, on)?;
        }
        Ok(())
    }
}
