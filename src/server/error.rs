//! Why a server did not start.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::config::ConfigError;
use crate::config::Origin;

/// What stood in the way.
#[derive(Debug)]
pub enum StartError {
    Config(ConfigError),
    /// Somebody listens there already.
    AddressInUse {
        written: Box<Written>,
        address: SocketAddr,
    },
    /// The address is not ours, or we may not use it.
    Address {
        written: Box<Written>,
        address: SocketAddr,
        error: io::Error,
    },
    /// io_uring was asked for by name.
    NoIoUring(io::Error),
    /// A shard's runtime, epoll instance or timer could not be made.
    Shard(io::Error),
    /// A thread could not be started.
    Thread(io::Error),
    /// The folder of what outlasts a restart cannot be had, or cannot be read.
    Store(ConfigError),
    /// A doorbell or a table of descriptors could not be made.
    Descriptors(io::Error),
}

/// A key, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub key: std::borrow::Cow<'static, str>,
    pub origin: Origin,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}`", self.origin, self.key)
    }
}

impl StartError {
    pub(super) fn address(written: &Written, address: SocketAddr, error: io::Error) -> Self {
        let written = Box::new(written.clone());
        if error.kind() == io::ErrorKind::AddrInUse {
            Self::AddressInUse { written, address }
        } else {
            Self::Address { written, address, error }
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) | Self::Store(error) => error.fmt(f),
            Self::AddressInUse { written, address } => {
                write!(f, "{written}: somebody listens on {address} already")
            }
            Self::Address { written, address, error } => {
                write!(f, "{written}: cannot listen on {address}: {error}")
            }
            Self::NoIoUring(error) => write!(
                f,
                "the kernel does not allow io_uring: {error}; driver = \"epoll\" works everywhere"
            ),
            Self::Shard(error) => write!(f, "cannot set up a shard: {error}"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
            Self::Descriptors(error) => write!(f, "cannot set up descriptors: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}
