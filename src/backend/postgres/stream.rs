//! The bytes of a connection to a database: asked for encryption as PostgreSQL wants to be asked.
//!
//! Invariant: nothing is said in the clear to a database that must encrypt and does not.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::address::Address;
use super::address::Place;
use super::address::Proof;
use super::wire::Outgoing;
use crate::limits::POSTGRES_CONNECT_MS_MAX;
use crate::outbound::Line;
use crate::outbound::Wording;
use crate::outbound::encryption_by;

const WORDING: Wording = Wording {
    like: "postgres://ada@db.example.org/house",
    what: "tables are read",
    whose: "the database's (sslrootcert)",
};

/// Connects, and encrypts if the address says so.
///
/// # Errors
/// If nobody answers, or who answers does not prove to be who it should be.
pub(super) fn open(address: &Address, tls: Option<&Arc<ClientConfig>>) -> io::Result<Line> {
    let mut line = Line::open(&address.place, Duration::from_millis(POSTGRES_CONNECT_MS_MAX))?;
    let (Some(tls), Place::Host(host, _)) = (tls, &address.place) else {
        return Ok(line);
    };
    let mut request = Outgoing::default();
    request.ssl_request();
    line.send(request.bytes())?;
    // What a plain server says next, after a proxy took this for a first message, is no `S`.
    if line.receive_byte()? != b'S' {
        return Err(io::Error::other("it does not encrypt, and must"));
    }
    line.encrypt(tls, host)
}

/// How a database's certificate is checked; `None`: nothing is encrypted.
///
/// # Errors
/// If an authority cannot be read.
pub(super) fn encryption(proof: &Proof) -> io::Result<Option<Arc<ClientConfig>>> {
    let Proof::Certificate(root) = proof else { return Ok(None) };
    encryption_by(root.as_deref(), WORDING).map(Some)
}
