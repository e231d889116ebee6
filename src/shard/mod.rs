//! Interim: the types that the I/O shell shares with the core, until the core itself is merged.

mod input;
mod settings;

use bytes::Bytes;

pub use input::ConnId;
pub use input::ConnRef;
pub use input::Mesh;
pub use settings::Settings;

/// Where a shard's bytes go.
pub trait Sink {
    /// Hands bytes to a connection's socket.
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Sent;
}

/// What became of bytes that were to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// So many of them; if fewer than given the socket is full.
    Took(usize),
    Closed,
}

/// A request that the core does not answer itself.
#[derive(Debug)]
pub struct AdminRequest {
    pub method: String,
    pub path: String,
    pub query: String,
}

/// An answer to one.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// What a shard counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub connections: u64,
    pub subscriptions: u64,
    pub events: u64,
}
