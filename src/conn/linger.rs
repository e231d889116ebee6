//! Sockets that we have closed, but whose peers may still be reading our last bytes.
//!
//! Closing a socket that holds unread input makes the kernel reset the connection, and the reset may overtake the reply that says why.
//! So our half is closed first, the rest of the input is thrown away, and the socket goes when the peer has closed its half, or after
//! `LINGER_MS`. Invariant: at most `LINGERING_MAX` wait, for at most `LINGER_MS`; never hands anything it reads to anyone.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use rustix::net::Shutdown;
use rustix::net::recv;
use rustix::net::send;
use rustix::net::shutdown;

use super::sockets::Remains;
use crate::limits::LINGER_MS;
use crate::limits::LINGER_READS_MAX;
use crate::limits::LINGERING_MAX;

/// Sockets that linger, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    sockets: VecDeque<Waiting>,
    /// Bytes of last records that their sockets have not taken.
    rest_bytes: usize,
    rest_bytes_max: usize,
}

#[derive(Debug)]
struct Waiting {
    socket: OwnedFd,
    /// What is sent before our half is closed.
    rest: Vec<u8>,
    until_ms: u64,
}

impl Lingering {
    /// How many bytes of last records may wait for their sockets; beyond them the oldest socket goes at once.
    pub(super) fn set_rest_bytes_max(&mut self, bytes_max: usize) {
        self.rest_bytes_max = bytes_max;
    }

    /// Says what is left to say, closes our half, and waits for the peer's.
    pub(super) fn add(&mut self, remains: Remains, scratch: &mut [u8], now_ms: u64) {
        let Remains { socket, rest } = remains;
        let mut waiting = Waiting { socket, rest, until_ms: now_ms + LINGER_MS };
        if waiting.is_over(scratch) {
            return;
        }
        self.rest_bytes += waiting.rest.capacity();
        self.sockets.push_back(waiting);
        while self.sockets.len() > LINGERING_MAX || self.rest_bytes > self.rest_bytes_max {
            let Some(oldest) = self.sockets.pop_front() else { break };
            self.rest_bytes -= oldest.rest.capacity();
        }
    }

    /// Closes those whose peer has closed, and those that had their time.
    pub(super) fn tick(&mut self, scratch: &mut [u8], now_ms: u64) {
        self.sockets.retain_mut(|waiting| now_ms < waiting.until_ms && !waiting.is_over(scratch));
        self.rest_bytes = self.sockets.iter().map(|waiting| waiting.rest.capacity()).sum();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }
}

impl Waiting {
    /// Goes on with saying what is left, and throws away some input; true if nothing is left to wait for.
    fn is_over(&mut self, scratch: &mut [u8]) -> bool {
        if !self.rest.is_empty() {
            match send(&self.socket, &self.rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => drop(self.rest.drain(..count)),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => return true,
            }
            if !self.rest.is_empty() {
                return false;
            }
            self.rest = Vec::new();
        }
        // Doing it again does nothing, and fails only if the peer is gone.
        shutdown(&self.socket, Shutdown::Write).is_err() || has_ended(&self.socket, scratch)
    }
}

/// Throws away some input; true at its end.
fn has_ended(socket: &OwnedFd, scratch: &mut [u8]) -> bool {
    for _ in 0..LINGER_READS_MAX {
        match recv(socket, &mut *scratch, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return true,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return error != Errno::AGAIN,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::io::Write;
    use std::net::TcpListener;
    use std::net::TcpStream;

    use super::*;

    fn remains(socket: TcpStream) -> Remains {
        Remains { socket: socket.into(), rest: Vec::new() }
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn the_last_bytes_arrive_although_input_was_never_read() {
        let (mut client, mut server) = pair();
        client.write_all(&vec![b'x'; 100_000]).unwrap();
        server.write_all(b"last words").unwrap();
        let mut lingering = Lingering::default();
        let mut scratch = vec![0; 1024];
        lingering.add(remains(server), &mut scratch, 0);
        assert!(!lingering.is_empty(), "the client has not closed");
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "last words");
        drop(client);
        for now_ms in 1..LINGER_MS {
            lingering.tick(&mut scratch, now_ms);
        }
        assert!(lingering.is_empty());
    }

    #[test]
    fn a_peer_that_never_closes_is_waited_for_so_long() {
        let (client, server) = pair();
        let mut lingering = Lingering::default();
        lingering.add(remains(server), &mut [0; 64], 10);
        lingering.tick(&mut [0; 64], 10 + LINGER_MS - 1);
        assert!(!lingering.is_empty());
        lingering.tick(&mut [0; 64], 10 + LINGER_MS);
        assert!(lingering.is_empty());
        drop(client);
    }
}
