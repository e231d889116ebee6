//! The sockets of a core, by the place that the shard gave each connection.
//!
//! Invariants: a place without a socket is free; twelve bytes a place. Never decides anything: what a full or broken socket means is the
//! shard's business.

use std::io::IoSlice;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendFlags;
use rustix::net::send;
use rustix::net::sendmsg;

use crate::limits::PIECES_COPIED_BYTES_MAX;
use crate::limits::PIECES_PER_SEND_MAX;
use crate::shard::ConnId;
use crate::shard::ConnRef;
use crate::shard::Sent;
use crate::shard::Sink;

/// All sockets of a core.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    places: Vec<Place>,
    open: usize,
}

/// One place; `OwnedFd` has a niche, so this is two words and four flags.
#[derive(Debug, Default)]
struct Place {
    socket: Option<OwnedFd>,
    generation: u32,
    /// It took less than it was given: the next time it is writable, the shard wants to know.
    is_full: bool,
    /// Its input has been read to the end: closing it cannot throw anything away.
    is_ended: bool,
    /// It has failed: there is nobody to linger for.
    is_dead: bool,
    /// It stands in the list of those with more to read.
    is_unread: bool,
}

const _: () = assert!(size_of::<Place>() == 12, "every connection has one");

impl Sockets {
    pub(super) fn insert(&mut self, conn: ConnRef, socket: OwnedFd) {
        let index = conn.id.index();
        if self.places.len() <= index {
            self.places.resize_with(index + 1, Place::default);
        }
        let place = &mut self.places[index];
        debug_assert!(place.socket.is_none(), "the shard gives away free places only");
        *place = Place { socket: Some(socket), generation: conn.generation, ..Place::default() };
        self.open += 1;
    }

    /// Gives a place up; the socket is returned if there is a peer to linger for.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<OwnedFd> {
        let place = self.places.get_mut(conn.index())?;
        let socket = place.socket.take()?;
        self.open -= 1;
        (!place.is_ended && !place.is_dead).then_some(socket)
    }

    /// Whether that connection still has its place.
    pub(super) fn is_current(&self, conn: ConnRef) -> bool {
        self.places
            .get(conn.id.index())
            .is_some_and(|place| place.socket.is_some() && place.generation == conn.generation)
    }

    pub(super) fn socket(&self, conn: ConnId) -> Option<BorrowedFd<'_>> {
        self.places.get(conn.index())?.socket.as_ref().map(AsFd::as_fd)
    }

    /// Forgets that the socket was full; true if it was.
    pub(super) fn was_full(&mut self, conn: ConnId) -> bool {
        self.places.get_mut(conn.index()).is_some_and(|place| std::mem::take(&mut place.is_full))
    }

    /// Notes that the peer sends no more; false if that was known.
    pub(super) fn set_ended(&mut self, conn: ConnId) -> bool {
        let place = self.places.get_mut(conn.index()).filter(|place| place.socket.is_some());
        place.is_some_and(|place| !place.is_dead && !std::mem::replace(&mut place.is_ended, true))
    }

    /// Notes that the peer is gone; false if that was known.
    pub(super) fn set_dead(&mut self, conn: ConnId) -> bool {
        let place = self.places.get_mut(conn.index()).filter(|place| place.socket.is_some());
        place.is_some_and(|place| !std::mem::replace(&mut place.is_dead, true))
    }

    /// Notes whether a socket stands in the list of those with more to read; false if nothing changed.
    pub(super) fn set_unread(&mut self, conn: ConnId, unread: bool) -> bool {
        let place = self.places.get_mut(conn.index()).filter(|place| place.socket.is_some());
        place.is_some_and(|place| std::mem::replace(&mut place.is_unread, unread) != unread)
    }

    pub(super) const fn open(&self) -> usize {
        self.open
    }
}

impl Sink for Sockets {
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Sent {
        self.send_with(conn, bytes.len(), |socket| send(socket, bytes, FLAGS))
    }

    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent {
        let bytes = pieces.iter().map(|piece| piece.len()).sum();
        if bytes <= PIECES_COPIED_BYTES_MAX {
            return self.send(conn, &pieces.concat());
        }
        let mut slices = [IoSlice::new(&[]); PIECES_PER_SEND_MAX];
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
        }
        let slices = &slices[..pieces.len().min(PIECES_PER_SEND_MAX)];
        self.send_with(conn, bytes, |socket| {
            sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), FLAGS)
        })
    }
}

const FLAGS: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

impl Sockets {
    /// Hands so many bytes to a socket by a call that never blocks.
    fn send_with(
        &mut self,
        conn: ConnId,
        bytes: usize,
        call: impl Fn(&OwnedFd) -> Result<usize, Errno>,
    ) -> Sent {
        let Some(Place { socket: Some(socket), is_full, is_dead, .. }) =
            self.places.get_mut(conn.index())
        else {
            return Sent::Closed;
        };
        loop {
            match call(socket) {
                Ok(taken) => {
                    *is_full = taken < bytes;
                    return Sent::Took(taken);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    *is_full = true;
                    return Sent::Took(0);
                }
                Err(_) => {
                    *is_dead = true;
                    return Sent::Closed;
                }
            }
        }
    }
}
