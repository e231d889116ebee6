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

use super::tls::Held;
use super::tls::Secure;
use crate::limits::PIECES_COPIED_BYTES_MAX;
use crate::limits::PIECES_PER_SEND_MAX;
use crate::limits::TLS_OVERHEAD_BYTES;
use crate::limits::TLS_RECORD_BYTES;
use crate::shard::ConnId;
use crate::shard::ConnRef;
use crate::shard::Sent;
use crate::shard::Sink;

/// All sockets of a core.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    places: Vec<SocketState>,
    open: usize,
    /// The record layer of each place that has one; as long as the highest of those.
    secures: Vec<Option<Box<Secure>>>,
    held: Held,
    /// One record, sealed, and what goes into one that is made of pieces.
    sealed: Box<[u8]>,
    gathered: Vec<u8>,
}

/// What a connection leaves behind whose peer may still be reading.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) socket: OwnedFd,
    /// Bytes that the socket has not taken yet, as they go out.
    pub(super) rest: Vec<u8>,
}

/// The socket of a connection, and in which state it is; `OwnedFd` has a niche, so this is two words and four flags.
#[derive(Debug, Default)]
struct SocketState {
    socket: Option<OwnedFd>,
    generation: u32,
    /// The socket took less than it was given: the next time it is writable, the shard wants to know.
    is_full: bool,
    /// The socket's input has been read to the end: closing it cannot throw anything away.
    is_ended: bool,
    /// The socket has failed: there is nobody to linger for.
    is_dead: bool,
    /// The connection stands in the list of those with more to read.
    is_unread: bool,
}

const _: () = assert!(size_of::<SocketState>() == 12, "every connection has one");

impl Sockets {
    pub(super) fn insert(&mut self, conn: ConnRef, socket: OwnedFd) {
        let index = conn.id.index();
        if self.places.len() <= index {
            self.places.resize_with(index + 1, SocketState::default);
        }
        let place = &mut self.places[index];
        debug_assert!(place.socket.is_none(), "the shard gives away free places only");
        *place = SocketState {
            socket: Some(socket),
            generation: conn.generation,
            ..SocketState::default()
        };
        self.open += 1;
    }

    /// How much connections may hold of records in part.
    pub(super) fn set_records_bytes_max(&mut self, bytes_max: usize) {
        self.held = Held::new(bytes_max);
    }

    /// Gives a connection that has just been inserted a record layer.
    pub(super) fn secure(&mut self, conn: ConnId, secure: Secure) {
        if self.secures.len() <= conn.index() {
            self.secures.resize_with(conn.index() + 1, || None);
        }
        let mut secure = Box::new(secure);
        let bytes = secure.held_bytes();
        self.held.note(conn, &mut secure.held_since, bytes);
        self.places[conn.index()].is_full = !secure.rest().is_empty();
        self.secures[conn.index()] = Some(secure);
    }

    /// The record layer of a connection, if it has one.
    pub(super) fn secure_of(&mut self, conn: ConnId) -> Option<&mut Secure> {
        self.secures.get_mut(conn.index())?.as_deref_mut()
    }

    /// Sends what waits to be sent before anything else, and takes note of what is held; false: the peer is gone.
    pub(super) fn settle(&mut self, conn: ConnId) -> bool {
        !self.is_secure(conn) || self.send_sealed(conn, &[]) != Sent::Closed
    }

    /// A connection that must go because all hold too much of records in part; its peer is gone as far as anyone here is concerned.
    pub(super) fn pop_payer(&mut self) -> Option<ConnId> {
        let conn = self.held.pop_payer()?;
        self.places[conn.index()].is_dead = true;
        Some(conn)
    }

    /// Gives a place up; what remains is returned if there is a peer to linger for.
    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Remains> {
        let secure = self.secures.get_mut(conn.index()).and_then(Option::take);
        let secure = secure.map(|mut secure| {
            self.held.note(conn, &mut secure.held_since, 0);
            secure
        });
        let place = self.places.get_mut(conn.index())?;
        let socket = place.socket.take()?;
        self.open -= 1;
        let rest = secure.map(|secure| secure.close()).unwrap_or_default();
        let is_missed = !place.is_dead && (!place.is_ended || !rest.is_empty());
        is_missed.then_some(Remains { socket, rest })
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

    /// Forgets that the socket was full; true if it was. One that was and at once is again, because a record waits for it, still is.
    pub(super) fn was_full(&mut self, conn: ConnId) -> bool {
        let is_held = self.secure_of(conn).is_some_and(|secure| !secure.rest().is_empty());
        let place = self.places.get_mut(conn.index());
        place.is_some_and(|place| !is_held && std::mem::take(&mut place.is_full))
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
        if self.is_secure(conn) {
            return self.send_sealed(conn, bytes);
        }
        self.send_with(conn, bytes.len(), |socket| send(socket, bytes, FLAGS))
    }

    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent {
        if self.is_secure(conn) {
            return self.send_pieces_sealed(conn, pieces);
        }
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
        let Some(SocketState { socket: Some(socket), is_full, is_dead, .. }) =
            self.places.get_mut(conn.index())
        else {
            return Sent::Closed;
        };
        loop {
            match call(socket) {
                Ok(taken) => {
                    *is_full |= taken < bytes;
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

/// Sending and settling of sockets with a record layer (TLS).
impl Sockets {
    /// Whether what is sent is sealed.
    #[inline]
    fn is_secure(&self, conn: ConnId) -> bool {
        self.secures.get(conn.index()).is_some_and(Option::is_some)
    }

    /// Seals and sends a record at a time, until the socket takes no more: then the rest of one record waits, which counts as taken.
    fn send_sealed(&mut self, conn: ConnId, bytes: &[u8]) -> Sent {
        let sent = self.send_records(conn, bytes);
        if let Some(secure) = self.secures[conn.index()].as_deref_mut() {
            let bytes = secure.held_bytes();
            self.held.note(conn, &mut secure.held_since, bytes);
        }
        sent
    }

    fn send_records(&mut self, conn: ConnId, bytes: &[u8]) -> Sent {
        let mut taken = 0;
        loop {
            let Some(mut secure) = self.secures[conn.index()].take() else { return Sent::Closed };
            let sent = if !secure.rest().is_empty() {
                self.send_rest(conn, &mut secure)
            } else if taken < bytes.len() {
                let record = &bytes[taken..bytes.len().min(taken + TLS_RECORD_BYTES)];
                taken += record.len();
                self.send_record(conn, &mut secure, record)
            } else {
                Sent::Took(0)
            };
            let is_held = !secure.rest().is_empty();
            self.secures[conn.index()] = Some(secure);
            match sent {
                Sent::Closed => return Sent::Closed,
                Sent::Took(_) if is_held || taken == bytes.len() => return Sent::Took(taken),
                Sent::Took(_) => {}
            }
        }
    }

    /// What was sealed before and not taken.
    fn send_rest(&mut self, conn: ConnId, secure: &mut Secure) -> Sent {
        let rest = secure.rest();
        let sent = self.send_with(conn, rest.len(), |socket| send(socket, rest, FLAGS));
        if let Sent::Took(count) = sent {
            secure.took_rest(count);
        }
        sent
    }

    /// Seals one record and sends what the socket takes of it. The rest of it waits.
    fn send_record(&mut self, conn: ConnId, secure: &mut Secure, record: &[u8]) -> Sent {
        let mut sealed = std::mem::take(&mut self.sealed);
        if sealed.is_empty() {
            sealed = vec![0; TLS_RECORD_BYTES + 2 * TLS_OVERHEAD_BYTES].into_boxed_slice();
        }
        let sent = match secure.seal(record, &mut sealed) {
            Ok(length) => {
                let sealed = &sealed[..length];
                let sent = self.send_with(conn, length, |socket| send(socket, sealed, FLAGS));
                if let Sent::Took(count) = sent
                    && count < length
                {
                    secure.keep_rest(&sealed[count..]);
                }
                sent
            }
            Err(fault) => {
                tracing::debug!(conn = conn.0, %fault, "nothing can be sealed any more");
                self.set_dead(conn);
                Sent::Closed
            }
        };
        self.sealed = sealed;
        sent
    }

    /// Sends, sealed, what lies in pieces: as much as one record has room for is put side by side at a time.
    fn send_pieces_sealed(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent {
        let mut gathered = std::mem::take(&mut self.gathered);
        let mut taken = 0;
        let mut left = pieces.iter().copied();
        let mut piece: &[u8] = &[];
        let sent = loop {
            gathered.clear();
            while gathered.len() < TLS_RECORD_BYTES {
                if piece.is_empty() {
                    let Some(next) = left.next() else { break };
                    piece = next;
                }
                let room = TLS_RECORD_BYTES - gathered.len();
                let (now, later) = piece.split_at(room.min(piece.len()));
                gathered.extend_from_slice(now);
                piece = later;
            }
            if gathered.is_empty() {
                break Sent::Took(taken);
            }
            let Sent::Took(count) = self.send_sealed(conn, &gathered) else { break Sent::Closed };
            taken += count;
            if count < gathered.len() {
                break Sent::Took(taken);
            }
        };
        self.gathered = gathered;
        sent
    }
}
