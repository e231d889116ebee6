//! Who is at the far end of a connection, as far as its socket and what stands before its first request say it.
//!
//! Never looks at a request: what that says of its sender is heard only of whom the operator trusts to say it.

use std::net::IpAddr;

use crate::auth::Certificate;

/// The far end of a connection that was just accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the peer is.
    pub address: IpAddr,
    /// What the peer has shown in its handshake, and was checked there.
    pub certificate: Option<Box<Certificate>>,
    /// A proxy has said that, before anything else.
    pub is_passed_on: bool,
    /// What the peer says comes by TLS: one listener's addresses need not all be alike in that.
    pub is_encrypted: bool,
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self { address, certificate: None, is_passed_on: false, is_encrypted: false }
    }
}
