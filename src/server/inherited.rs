//! Listening sockets that a former server has handed over to this process, by their numbers.
//!
//! Invariants: each socket ends up with one shard, in that shard's table of descriptors, and nowhere else in this process, so that it is closed when its shard stops;
//! a socket that nothing here listens on is closed before any thread starts. They are not handed to programs that this one starts by accident.

#![expect(
    unsafe_code,
    reason = "a descriptor that was open before the program began is only known by its number"
)]

use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::os::fd::BorrowedFd;
use std::os::fd::FromRawFd as _;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::io::FdFlags;
use rustix::io::fcntl_setfd;

use super::places::Place;
use crate::conn::Listener;
use crate::dialect::Port;
use crate::limits::HANDOVER_MS_MAX;

/// What a former server has handed over; nothing, if there was none.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(String, OwnedFd)>,
    /// Where it is told that it may go.
    ready: Option<UnixStream>,
    has_former: bool,
}

/// What one shard gets of it.
#[derive(Debug, Default)]
pub(super) struct Share {
    own: Vec<(Port, SocketAddr, OwnedFd)>,
    /// The numbers of all others' sockets, which a table of its own has, too.
    others: Vec<RawFd>,
}

impl Inherited {
    /// Takes what the command line names: sockets as `NUMBER:LISTENER`, and where to say that all is well.
    ///
    /// # Errors
    /// If one of them is none.
    pub fn take(named: &[String], ready: Option<RawFd>) -> io::Result<Self> {
        let wrong = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text.to_owned());
        let mut sockets = Vec::new();
        for text in named {
            let (number, name) = text.split_once(':').ok_or_else(|| wrong(text))?;
            let number: RawFd = number.parse().map_err(|_| wrong(text))?;
            sockets.push((name.to_owned(), owned(number)?));
        }
        let ready = ready.map(|number| owned(number).map(UnixStream::from)).transpose()?;
        Ok(Self { has_former: ready.is_some(), sockets, ready })
    }

    /// What a former server has given by itself, and where it is told that it may go.
    pub(super) const fn given(sockets: Vec<(String, OwnedFd)>, ready: UnixStream) -> Self {
        Self { sockets, ready: Some(ready), has_former: true }
    }

    /// What the listeners are called.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<&str> {
        self.sockets.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// For how long what the former server still has is waited for.
    pub(super) const fn patience(&self) -> Duration {
        Duration::from_millis(if self.has_former { HANDOVER_MS_MAX } else { 0 })
    }

    /// Tells the former server that it may go, if it has not been told.
    pub(super) fn release_former(&mut self) {
        if let Some(mut ready) = self.ready.take()
            && let Err(error) = ready.write_all(b"r")
        {
            tracing::warn!(%error, "the server before this one has gone before it was told to");
        }
    }

    /// Finds the places that these sockets are for; those that are for none are closed.
    pub(super) fn fit(&mut self, places: &mut [Place]) {
        self.sockets.retain(|(name, socket)| {
            let Some(address) = address_of(socket) else { return false };
            let find = |is_there: &dyn Fn(SocketAddr) -> bool| {
                places.iter().position(|of| of.port.name() == name && is_there(of.address))
            };
            // One place may be for any port, and the next one for this.
            let is_any = |of: SocketAddr| of.port() == 0 && of.ip() == address.ip();
            let found = find(&|of| of == address).or_else(|| find(&is_any));
            let Some(place) = found.and_then(|at| places.get_mut(at)) else { return false };
            place.address = address;
            place.is_inherited = true;
            true
        });
    }

    /// Gives each of so many shards its part, in turn.
    pub(super) fn split(&mut self, shard_count: u16, places: &[Place]) -> Vec<Share> {
        let numbers: Vec<RawFd> =
            self.sockets.iter().map(|(_, socket)| socket.as_raw_fd()).collect();
        let mut shares: Vec<Share> = (0..shard_count).map(|_| Share::default()).collect();
        // Those of one listener go round among the shards, each listener from the first shard on.
        for place in places {
            let is_of_place = |(name, socket): &mut (String, OwnedFd)| {
                name == place.port.name() && address_of(socket) == Some(place.address)
            };
            let of_place = self.sockets.extract_if(.., is_of_place);
            for (turn, (_, socket)) in of_place.enumerate() {
                let share = &mut shares[turn % usize::from(shard_count)];
                share.own.push((place.port, place.address, socket));
            }
        }
        for share in &mut shares {
            let own: Vec<RawFd> = share.own.iter().map(|(.., socket)| socket.as_raw_fd()).collect();
            share.others = numbers.iter().copied().filter(|of| !own.contains(of)).collect();
        }
        shares
    }
}

impl Share {
    /// The numbers of all sockets, of this shard and of others.
    pub(super) fn numbers(&self) -> Vec<RawFd> {
        let own = self.own.iter().map(|(.., socket)| socket.as_raw_fd());
        own.chain(self.others.iter().copied()).collect()
    }

    /// This thread has left the table that it shared: what others have is closed in its own.
    pub(super) fn leave_others(&mut self) {
        close_here(&std::mem::take(&mut self.others));
    }

    /// The listeners of one port, at one address.
    pub(super) fn listeners(&mut self, port: Port, address: SocketAddr) -> Vec<Listener> {
        let of_place = self.own.extract_if(.., |(of, at, _)| (*of, *at) == (port, address));
        of_place.map(|(.., socket)| Listener::of(socket)).collect()
    }
}

/// Where a socket listens.
fn address_of(socket: &OwnedFd) -> Option<SocketAddr> {
    SocketAddr::try_from(rustix::net::getsockname(socket).ok()?).ok()
}

/// Closes descriptors in this thread's table of which other tables have copies.
pub(super) fn close_here(numbers: &[RawFd]) {
    for number in numbers {
        // SAFETY: the number was given to another thread whose table is another one by now, so nobody in this table uses it.
        drop(unsafe { OwnedFd::from_raw_fd(*number) });
    }
}

/// A descriptor that was open when the program began.
fn owned(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "that is no socket"));
    }
    // SAFETY: it is looked at for this one call, which fails if the number is not open.
    fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::CLOEXEC)?;
    // SAFETY: whoever started this program says that it opened it for this one; it is open, and taken once, before anything else is opened.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
