//! Where a shard's bytes go: whatever takes them for a connection, and says how many it took.
//!
//! Invariant: it never blocks. Never knows what the bytes say.

use super::input::ConnId;

/// Where a shard's bytes go.
pub trait Sink {
    /// Hands bytes to a connection's socket, which never blocks.
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Sent;

    /// Sends bytes that lie in several places, at most [`PIECES_PER_SEND_MAX`](crate::limits::PIECES_PER_SEND_MAX) of them.
    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent;
}

/// What a socket did with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The socket took so many bytes. Fewer than it was given, or none: the socket is full, and will say when it is writable.
    Took(usize),
    /// The socket's peer is gone.
    Closed,
}
