//! Where a dialect listens: an address, and what is spoken there.

use std::net::SocketAddr;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    pub address: SocketAddr,
    /// Whether TLS is spoken there; `None`: as on the others.
    pub is_secured: Option<bool>,
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self { address, is_secured: None }
    }
}

impl Listen {
    /// As it is written.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (address, is_secured) = match (text.strip_prefix("tls://"), text.strip_prefix("tcp://"))
        {
            (Some(address), _) => (address, Some(true)),
            (_, Some(address)) => (address, Some(false)),
            (None, None) => (text, None),
        };
        Some(Self { address: address.parse().ok()?, is_secured })
    }
}
