//! Interim: the types that the I/O shell shares with the core, until the core itself is merged.

mod input;
mod settings;
mod stats;

use bytes::Bytes;

pub use input::Address;
pub use input::Began;
pub use input::ConnId;
pub use input::ConnRef;
pub use input::Mesh;
pub use input::PageAnswer;
pub use input::PublishRun;
pub use input::PublishedRun;
pub use input::ReadWish;
pub use settings::Settings;
pub use stats::Stats;

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

/// A request that is answered outside of the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRequest {
    /// Escapes resolved.
    pub path: String,
    /// Whether only the head of the answer is wanted.
    pub head_only: bool,
    /// The field `If-None-Match`.
    pub if_none_match: Option<String>,
}

/// An answer to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    /// Further fields: name and value.
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}
