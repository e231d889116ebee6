//! The record layer of one connection whose handshake is done.
//!
//! Invariants: what `seal` has sealed is never sealed again: its sequence number is used, and whatever a socket does not take of it is kept by
//! `keep_rest` and goes out before anything else. Of what comes in at most one record waits for its end. How many records without data, and how many
//! key updates, may follow one another, the library bounds (32 of each), and `tests/server/tls_attacks.rs` holds it to that. Never holds plaintext.

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::ConnectionState;
use rustls::unbuffered::UnbufferedStatus;

use crate::limits::TLS_CARRY_BYTES_MAX;
use crate::limits::TLS_OVERHEAD_BYTES;
use crate::limits::TLS_REST_BYTES_MAX;

/// A connection's keys, and its records that have come or gone in part.
pub(in crate::conn) struct Secure {
    tls: UnbufferedServerConnection,
    /// What has come of a record that has not ended.
    carry: Vec<u8>,
    /// What the socket has not taken yet.
    rest: Vec<u8>,
    /// When the connection began to hold something, in the order of all; 0: it holds nothing.
    pub(in crate::conn) held_since: u64,
    /// The library has said that it cannot go on: it must not be asked again, or it panics.
    is_broken: bool,
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secure").field("held", &self.held_bytes()).finish_non_exhaustive()
    }
}

/// Why a connection cannot go on.
#[derive(Debug)]
pub(in crate::conn) enum Fault {
    /// The peer broke the protocol, or a record was tampered with.
    Tls(Box<rustls::Error>),
    /// The peer makes us answer and does not read the answers, or begins what it does not end.
    Flood,
    /// The connection was broken before.
    Broken,
    /// No more may be said with these keys.
    Exhausted,
}

impl Fault {
    fn tls(error: rustls::Error) -> Self {
        Self::Tls(Box::new(error))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Flood => f.write_str("too much is held for it"),
            Self::Broken => f.write_str("it was broken before"),
            Self::Exhausted => f.write_str("its keys are used up"),
        }
    }
}

impl Secure {
    /// Of a handshake that is done, with what has not been made use of and what has not been sent.
    pub(super) fn new(tls: UnbufferedServerConnection, carry: Vec<u8>, rest: Vec<u8>) -> Self {
        let mut secure = Self { tls, carry, rest, held_since: 0, is_broken: false };
        secure.carry.shrink_to_fit();
        secure.rest.shrink_to_fit();
        secure
    }

    /// Bytes of records in part.
    pub(in crate::conn) fn held_bytes(&self) -> usize {
        self.carry.capacity() + self.rest.capacity()
    }

    /// Puts what has come in part in front of what is read next; says how much that is.
    pub(in crate::conn) fn carry_into(&self, buffer: &mut [u8]) -> usize {
        buffer[..self.carry.len()].copy_from_slice(&self.carry);
        self.carry.len()
    }

    /// Opens the records of `input`, which begins with what had been carried; true: the peer has said that it sends no more. What is answered to the
    /// peer's own messages joins the rest.
    pub(in crate::conn) fn open(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let opened = if self.is_broken { Err(Fault::Broken) } else { self.open_all(input, plain) };
        self.is_broken |= opened.is_err();
        opened
    }

    fn open_all(&mut self, input: &mut [u8], plain: &mut Vec<u8>) -> Result<bool, Fault> {
        let (mut used, mut has_ended) = (0, false);
        loop {
            let UnbufferedStatus { discard, state } =
                self.tls.process_tls_records(&mut input[used..]);
            let mut goes_on = true;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        plain.extend_from_slice(record.map_err(Fault::tls)?.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    let begin = self.rest.len();
                    self.rest.resize(begin + TLS_OVERHEAD_BYTES, 0);
                    let length = message.encode(&mut self.rest[begin..]);
                    self.rest.truncate(begin + length.map_err(|_| Fault::Flood)?);
                }
                Ok(ConnectionState::TransmitTlsData(message)) => message.done(),
                Ok(ConnectionState::PeerClosed) => has_ended = true,
                Ok(_) => goes_on = false,
                Err(error) => {
                    self.say_alert(&mut input[used + discard..]);
                    return Err(Fault::tls(error));
                }
            }
            used += discard;
            if !goes_on {
                break;
            }
        }
        let left = &input[used..];
        if left.len() > TLS_CARRY_BYTES_MAX || self.rest.len() > TLS_REST_BYTES_MAX {
            return Err(Fault::Flood);
        }
        // Few connections are read in the midst of a record, so that the others hold nothing.
        self.carry = if has_ended { Vec::new() } else { left.to_vec() };
        self.rest.shrink_to_fit();
        Ok(has_ended)
    }

    /// The library says what was wrong in a last record, if it comes to that.
    fn say_alert(&mut self, input: &mut [u8]) {
        if !self.tls.wants_write() {
            return;
        }
        let UnbufferedStatus { state: Ok(ConnectionState::EncodeTlsData(mut alert)), .. } =
            self.tls.process_tls_records(input)
        else {
            return;
        };
        let begin = self.rest.len();
        self.rest.resize(begin + TLS_OVERHEAD_BYTES, 0);
        let length = alert.encode(&mut self.rest[begin..]).unwrap_or(0);
        self.rest.truncate(begin + length);
    }

    /// Seals at most a record's worth of plaintext into `sealed`, which has room for two; says how many bytes that is. From here on it is committed.
    pub(in crate::conn) fn seal(
        &mut self,
        plain: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, Fault> {
        let mut length = 0;
        while !self.is_broken {
            // What has come in part is shown again: the library remembers how far it has looked at it.
            let state = self.tls.process_tls_records(&mut self.carry).state.map_err(Fault::tls)?;
            let room = &mut sealed[length..];
            match state {
                ConnectionState::WriteTraffic(mut traffic) => {
                    length += traffic.encrypt(plain, room).map_err(|_| Fault::Exhausted)?;
                    return Ok(length);
                }
                // What is to go out first, such as new keys of our own.
                ConnectionState::EncodeTlsData(mut message) => {
                    length += message.encode(room).map_err(|_| Fault::Flood)?;
                }
                ConnectionState::TransmitTlsData(message) => message.done(),
                // Said once, and to `open`, which has been shown all records that have come whole: what is carried is the part of one.
                ConnectionState::PeerClosed => debug_assert!(false, "its end was not noticed"),
                _ => return Err(Fault::Exhausted),
            }
        }
        Err(Fault::Broken)
    }

    /// Ends our side: close_notify joins the rest, which is returned.
    pub(in crate::conn) fn close(mut self) -> Vec<u8> {
        if !self.is_broken
            && let Ok(ConnectionState::WriteTraffic(mut traffic)) =
                self.tls.process_tls_records(&mut self.carry).state
        {
            let begin = self.rest.len();
            self.rest.resize(begin + TLS_OVERHEAD_BYTES, 0);
            let length = traffic.queue_close_notify(&mut self.rest[begin..]).unwrap_or(0);
            self.rest.truncate(begin + length);
        }
        self.rest
    }

    /// What is to be sent before anything else.
    pub(in crate::conn) fn rest(&self) -> &[u8] {
        &self.rest
    }

    /// So much of the rest has been taken.
    pub(in crate::conn) fn took_rest(&mut self, count: usize) {
        self.rest.drain(..count);
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
    }

    /// Keeps what a socket has not taken of what was sealed.
    pub(in crate::conn) fn keep_rest(&mut self, rest: &[u8]) {
        debug_assert!(self.rest.is_empty(), "nothing is sealed while something waits");
        self.rest = rest.to_vec();
    }
}
