//! A connection to memcached, in its text protocol (`doc/protocol.txt` of its source): `set` and `get`, and nothing else.
//!
//! Invariants: an exchange takes no longer than it may, however slowly its answers drip; no line and no value is read that is longer than it may be. Never sends a key that memcached does not take.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::net::ToSocketAddrs as _;
use std::time::Duration;

use super::client::CacheAddress;
use super::client::Client;
use super::client::ClientError;
use super::client::Look;
use super::client::Put;
use super::client::Seen;
use crate::clock::Clock;
use crate::limits::CACHE_TABLES_MAX;
use crate::limits::CACHE_VALUE_BYTES_MAX;
use crate::limits::MEMCACHED_KEY_BYTES_MAX;
use crate::limits::MEMCACHED_LINE_BYTES_MAX;

/// Bytes that are read at a time.
const READ_BYTES: usize = 16 * 1024;

/// A value that is longer is none of ours.
const VALUE_BYTES_MAX: usize =
    CACHE_VALUE_BYTES_MAX + CACHE_TABLES_MAX * super::generations::Generation::BYTES;

#[derive(Debug)]
pub(super) struct Memcached {
    stream: TcpStream,
    clock: Clock,
    timeout: Duration,
    /// What has come and was not read yet, from `at` on.
    come: Vec<u8>,
    at: usize,
    until_us: u64,
}

impl Client for Memcached {
    fn connect(address: &CacheAddress) -> Result<Self, ClientError> {
        let mut error = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for socket in address.text.to_socket_addrs()? {
            match TcpStream::connect_timeout(&socket, address.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    let CacheAddress { clock, timeout, .. } = *address;
                    let (come, at, until_us) = (Vec::new(), 0, 0);
                    return Ok(Self { stream, clock, timeout, come, at, until_us });
                }
                Err(why) => error = why,
            }
        }
        Err(error.into())
    }

    fn exchange(&mut self, puts: &[Put], looks: &[Look]) -> Result<Vec<Seen>, ClientError> {
        let timeout_us = u64::try_from(self.timeout.as_micros()).unwrap_or(u64::MAX);
        self.until_us = self.clock.mono_us().saturating_add(timeout_us);
        let mut said = Vec::new();
        puts.iter().for_each(|put| say_put(put, &mut said));
        looks.iter().for_each(|look| say_look(look, &mut said));
        self.send(&said)?;
        for put in puts {
            let line = self.line()?;
            if line != b"STORED" && put.is_needed {
                return Err(ClientError::Refused(String::from_utf8_lossy(&line).into()));
            }
        }
        looks.iter().map(|look| self.seen(look)).collect()
    }
}

fn say_put(Put { key, value, ttl_s, .. }: &Put, out: &mut Vec<u8>) {
    debug_assert!(key.len() <= MEMCACHED_KEY_BYTES_MAX, "{key}");
    out.extend_from_slice(format!("set {key} 0 {ttl_s} {}\r\n", value.len()).as_bytes());
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn say_look(keys: &Look, out: &mut Vec<u8>) {
    out.extend_from_slice(b"get");
    for key in keys {
        out.push(b' ');
        out.extend_from_slice(key.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

impl Memcached {
    /// What is left of the exchange's time.
    fn left(&self) -> io::Result<Duration> {
        let left_us = self.until_us.saturating_sub(self.clock.mono_us());
        match left_us {
            0 => Err(io::ErrorKind::TimedOut.into()),
            us => Ok(Duration::from_micros(us)),
        }
    }

    fn send(&mut self, mut said: &[u8]) -> io::Result<()> {
        while !said.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?))?;
            match self.stream.write(said) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => said = said.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads what has come of late, and waits for it.
    fn read_more(&mut self) -> io::Result<()> {
        self.come.drain(..self.at);
        self.at = 0;
        self.stream.set_read_timeout(Some(self.left()?))?;
        let before = self.come.len();
        self.come.resize(before + READ_BYTES, 0);
        let read = self.stream.read(&mut self.come[before..]);
        self.come.truncate(before + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn waiting(&self) -> &[u8] {
        self.come.get(self.at..).unwrap_or_default()
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<Vec<u8>, ClientError> {
        loop {
            let waiting = self.waiting();
            if let Some(end) = waiting.windows(2).position(|two| two == b"\r\n") {
                let line = waiting.get(..end).unwrap_or_default().to_vec();
                self.at += end + 2;
                return Ok(line);
            }
            if waiting.len() > MEMCACHED_LINE_BYTES_MAX {
                return Err(ClientError::Unreadable);
            }
            self.read_more()?;
        }
    }

    /// So many bytes, and the end of a line behind them.
    fn block(&mut self, length: usize) -> Result<Vec<u8>, ClientError> {
        while self.waiting().len() < length + 2 {
            self.read_more()?;
        }
        let (block, rest) = self.waiting().split_at(length);
        if !rest.starts_with(b"\r\n") {
            return Err(ClientError::Unreadable);
        }
        let block = block.to_vec();
        self.at += length + 2;
        Ok(block)
    }

    /// `VALUE <key> <flags> <bytes>`, a block of that length, and so on up to `END`.
    fn seen(&mut self, keys: &Look) -> Result<Seen, ClientError> {
        let mut seen: Seen = keys.iter().map(|_| None).collect();
        loop {
            let line = self.line()?;
            if line == b"END" {
                return Ok(seen);
            }
            let line = std::str::from_utf8(&line).map_err(|_| ClientError::Unreadable)?;
            let mut words = line.split(' ');
            let (Some("VALUE"), Some(key), Some(_flags), Some(length)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(ClientError::Unreadable);
            };
            let length = length.parse().ok().filter(|length| *length <= VALUE_BYTES_MAX);
            let block = self.block(length.ok_or(ClientError::Unreadable)?)?;
            for (of, value) in keys.iter().zip(&mut seen) {
                if of == key {
                    *value = Some(block.clone());
                }
            }
        }
    }
}
