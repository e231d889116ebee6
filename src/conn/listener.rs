//! A core's listening socket, and what happens when nothing more can be accepted.
//!
//! Every core listens on the same address and the kernel spreads connections over them (`SO_REUSEPORT`). What all connections have in
//! common (no delay, bounded send buffer, how long a silent peer is believed in) is set here once: Linux hands it down to each accepted socket. Invariant: a core without free
//! descriptors says so once and then rests until the next tick; it never spins.

use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::sockopt;

use super::defer::until_spoken;
use crate::limits::BACKLOG;
use crate::limits::DEFER_S;

/// What connections have in common.
#[derive(Clone, Copy, Debug)]
pub struct ListenerOptions {
    /// Bytes that the kernel holds for a peer that does not read; 0: as many as the kernel likes, which is megabytes.
    pub send_buffer_bytes: usize,
    /// How long a peer may leave what it was sent unacknowledged, or read nothing of what waits for it, before the kernel gives it up.
    pub peer_timeout: Duration,
}

/// A socket that others connect to.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
}

/// What came of an attempt to accept.
#[derive(Debug)]
pub(super) enum Accepted {
    Conn(OwnedFd, IpAddr),
    /// Nobody waits.
    Nobody,
    /// Who waited has left; there may be others.
    Left,
    /// The process or the machine has no descriptor or memory for it.
    Exhausted(Errno),
}

impl Listener {
    /// Takes an address without listening there: others may then listen on it, but only those that share as we do.
    ///
    /// # Errors
    /// If the address is taken, is not ours, or may not be used.
    pub fn reserve(address: SocketAddr) -> io::Result<Self> {
        let listener = Self { socket: socket(address)? };
        sockopt::set_socket_reuseport(&listener.socket, true)?;
        rustix::net::bind(&listener.socket, &address)?;
        Ok(listener)
    }

    /// Whether somebody listens there already, even somebody who would share: two servers on one port would split its clients at random.
    ///
    /// # Errors
    /// If the address is taken, is not ours, or may not be used.
    pub fn probe(address: SocketAddr) -> io::Result<()> {
        Ok(rustix::net::bind(&socket(address)?, &address)?)
    }

    /// A socket that listens already, since another process has set it up.
    #[must_use]
    pub const fn of(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Listens beside the others.
    ///
    /// # Errors
    /// If the address is taken, is not ours, or may not be used.
    pub fn open(address: SocketAddr, options: ListenerOptions) -> io::Result<Self> {
        let listener = Self::reserve(address)?;
        sockopt::set_tcp_nodelay(&listener.socket, true)?;
        until_spoken(&listener.socket, DEFER_S)?;
        listener.give_peers_up_after(options.peer_timeout)?;
        if options.send_buffer_bytes > 0 {
            sockopt::set_socket_send_buffer_size(&listener.socket, options.send_buffer_bytes)?;
        }
        rustix::net::listen(&listener.socket, i32::try_from(BACKLOG).expect("it is small"))?;
        Ok(listener)
    }

    /// A client that is gone without a word (a phone out of reach, a cable pulled) acknowledges nothing, and the kernel would go on for a
    /// quarter of an hour (`tcp_retries2`). Where nothing is sent, probes find it out: the first after half of the time, for they are
    /// followed by others until the time is over.
    fn give_peers_up_after(&self, timeout: Duration) -> io::Result<()> {
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(&self.socket, millis)?;
        sockopt::set_socket_keepalive(&self.socket, true)?;
        let whole_s = |time: Duration| Duration::from_secs(time.as_secs().max(1));
        sockopt::set_tcp_keepidle(&self.socket, whole_s(timeout / 2))?;
        Ok(sockopt::set_tcp_keepintvl(&self.socket, whole_s(timeout / 8))?)
    }

    /// Where the listener listens.
    ///
    /// # Errors
    /// Never, of a socket that is bound.
    pub fn address(&self) -> io::Result<SocketAddr> {
        Ok(rustix::net::getsockname(&self.socket)?.try_into()?)
    }

    /// Accepts one connection, if one waits.
    pub(super) fn accept(&self) -> Accepted {
        match rustix::net::acceptfrom_with(
            &self.socket,
            SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        ) {
            Ok((socket, peer)) => match peer.map(SocketAddr::try_from) {
                Some(Ok(peer)) => Accepted::Conn(socket, peer.ip()),
                _ => Accepted::Left,
            },
            Err(Errno::AGAIN) => Accepted::Nobody,
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                Accepted::Exhausted(error)
            }
            // Linux passes pending errors of the new connection on as errors of accept (accept(2), "Error handling").
            Err(_) => Accepted::Left,
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // A server that was restarted must not wait until the connections of its former life are forgotten.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;

    use super::*;
    use crate::clock::Clock;

    const ANY_PORT: &str = "127.0.0.1:0";

    fn options(send_buffer_bytes: usize) -> ListenerOptions {
        ListenerOptions { send_buffer_bytes, peer_timeout: Duration::from_secs(44) }
    }

    #[test]
    fn several_share_an_address_but_a_stranger_is_noticed() {
        let options = options(0);
        let first = Listener::open(ANY_PORT.parse().unwrap(), options).unwrap();
        let address = first.address().unwrap();
        Listener::open(address, options).unwrap();
        let taken = Listener::probe(address).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn accepted_sockets_inherit_what_they_have_in_common() {
        let options = options(64 * 1024);
        let listener = Listener::open(ANY_PORT.parse().unwrap(), options).unwrap();
        let mut client = TcpStream::connect(listener.address().unwrap()).unwrap();
        client.write_all(b"G").unwrap();
        let accepted = loop {
            match listener.accept() {
                Accepted::Conn(socket, peer) => break (socket, peer),
                Accepted::Nobody => {}
                other => panic!("{other:?}"),
            }
        };
        assert!(accepted.1.is_loopback());
        assert!(sockopt::tcp_nodelay(&accepted.0).unwrap());
        assert_eq!(sockopt::tcp_user_timeout(&accepted.0).unwrap(), 44_000);
        assert!(sockopt::socket_keepalive(&accepted.0).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&accepted.0).unwrap(), Duration::from_secs(22));
        assert_eq!(sockopt::tcp_keepintvl(&accepted.0).unwrap(), Duration::from_secs(5));
        // The kernel doubles what it is asked for, for its own bookkeeping.
        assert_eq!(
            sockopt::socket_send_buffer_size(&accepted.0).unwrap(),
            2 * options.send_buffer_bytes
        );
    }

    #[test]
    fn who_says_nothing_is_accepted_too_but_later() {
        let listener = Listener::open(ANY_PORT.parse().unwrap(), options(0)).unwrap();
        let clock = Clock::start();
        let _silent = TcpStream::connect(listener.address().unwrap()).unwrap();
        while !matches!(listener.accept(), Accepted::Conn(..)) {
            std::thread::yield_now();
        }
        assert!(clock.mono_us() >= 500_000, "it was not deferred");
    }
}
