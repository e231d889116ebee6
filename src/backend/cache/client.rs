//! What is said to a server that keeps answers, whichever it is: what is to be put there, and what is looked for, in one round trip.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::clock::Clock;

/// Something that is put, in the place of what was there.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
    pub(super) ttl_s: u64,
    /// If it is not put, the server cannot be used.
    pub(super) is_needed: bool,
}

/// What is looked for together: whatever is there of it, in this order.
pub(super) type Look = Vec<String>;

/// What was there of one look.
pub(super) type Seen = Vec<Option<Vec<u8>>>;

/// Where a server is, and who asks.
#[derive(Clone, Debug)]
pub(super) struct CacheAddress {
    /// As it is configured; there is no secret in it.
    pub(super) text: String,
    pub(super) password: Option<String>,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
}

/// A connection to a server.
pub(super) trait Client: Sized {
    /// # Errors
    /// If it is not to be had within the time.
    fn connect(address: &CacheAddress) -> Result<Self, ClientError>;

    /// Puts everything, and then looks; what was seen of each look.
    ///
    /// # Errors
    /// If the server does not answer in time, or not as it should, or has not put what is needed. What it has done is not known then, and the connection is of no use any more.
    fn exchange(&mut self, puts: &[Put], looks: &[Look]) -> Result<Vec<Seen>, ClientError>;
}

/// Why a server is of no use.
#[derive(Debug)]
pub(super) enum ClientError {
    Io(io::Error),
    Redis(redis::RedisError),
    /// The server has refused something that is needed, in its words.
    Refused(Box<str>),
    /// The server says what its protocol does not have.
    Unreadable,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Redis(error) => write!(f, "{error}"),
            Self::Refused(said) => write!(f, "it has refused a generation: {said}"),
            Self::Unreadable => f.write_str("its answer cannot be read"),
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<redis::RedisError> for ClientError {
    fn from(error: redis::RedisError) -> Self {
        Self::Redis(error)
    }
}
