//! TLS below the shard: ciphertext in and out of sockets, plaintext in and out of the shard.
//!
//! Invariants: the shard hears of a connection only when its handshake is done; a record is sealed once, and what its socket does not take of it
//! waits here, one record at most; what is held of records in part has a budget, of which whoever has held longest lets go. Handshakes are bounded
//! in number, in time, and in steps a turn. Never looks at what the plaintext means.

mod handshake;
mod handshakes;
mod held;
mod secure;

pub(super) use handshake::Finished;
pub(super) use handshake::Handshake;
pub(super) use handshakes::Handshakes;
pub(super) use handshakes::Outcome;
pub(super) use held::Held;
pub(super) use secure::Fault;
pub(super) use secure::Secure;

use std::sync::Arc;

use flume::Receiver;
use rustls::ServerConfig;

/// What a core needs to speak TLS.
#[derive(Debug)]
pub struct Tls {
    /// Whose certificates are shown, by name.
    pub config: Arc<ServerConfig>,
    /// Configurations that take its place, the newest last. What is connected stays as it is.
    pub renewed: Receiver<Arc<ServerConfig>>,
    /// Bytes of records in part that this core may hold.
    pub records_bytes_max: usize,
}
