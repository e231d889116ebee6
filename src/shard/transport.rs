//! How a connection is spoken to: its dialect, and what its messages are wrapped in.

use crate::dialect::DialectId;
use crate::wire::frame::OpCode;

/// How a connection is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Voice {
    pub(super) dialect: DialectId,
    pub(super) transport: Transport,
}

impl Voice {
    /// Whether what its client says behind a subscription waits until that is live.
    pub(super) fn hears_once_live(self) -> bool {
        self.dialect.speaker().manners.hears_once_live
    }

    /// Which kind of message a WebSocket's are.
    pub(super) const fn opcode(self) -> OpCode {
        match self.dialect.speaker().protocol.packets {
            Some(_) => OpCode::Binary,
            None => OpCode::Text,
        }
    }

    /// Whether all that a class is sent goes through one deflate stream, so that its connections are sent the same bytes or share nothing.
    pub(super) const fn shares_stream(self) -> bool {
        matches!(self.transport, Transport::WebSocket { deflate: Deflate::Takeover { .. } })
    }

    pub(super) const fn is_sse(self) -> bool {
        matches!(self.transport, Transport::Sse { .. } | Transport::Messages)
    }
}

/// What a message is wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Transport {
    WebSocket {
        deflate: Deflate,
    },
    /// Server-sent events; `chunked`: in HTTP/1.1 chunks.
    Sse {
        chunked: bool,
    },
    /// A stream of messages, each in an envelope of the dialect's own and in an HTTP/1.1 chunk.
    Messages,
    /// Nothing: the dialect's messages are packets, which say themselves where they end.
    Bare,
}

/// What was agreed about the server's compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Deflate {
    Off,
    /// The window is kept from message to message.
    Takeover {
        window_bits: u8,
    },
    /// Each message stands alone.
    Alone {
        window_bits: u8,
    },
}
