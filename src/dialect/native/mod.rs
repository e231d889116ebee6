//! The native protocol, `fanwire.v1`: `docs/dialects/native.md` is its specification, and this folder is that page as code.
//!
//! Invariant: the payload is copied as it is, never parsed or rewritten.

mod columns;
mod command;
mod compact;
mod decode;
mod doors;
mod encode;
mod members;
mod options;
mod playback;
mod talk;
mod upload;
mod url;

pub use command::Command;
pub use command::Malformed;
pub use decode::command;
pub use doors::DOORS;
pub use options::parameter;
pub use options::parse_since;
pub use options::parse_since_text;
pub use talk::Conversation;

use crate::dialect::BatchPart;
use crate::dialect::Dialect;
use crate::dialect::DialectId;
use crate::dialect::Ending;
use crate::dialect::FLOOD;
use crate::dialect::Manners;
use crate::dialect::Protocol;
use crate::dialect::Run;
use crate::dialect::Silence;
use crate::dialect::Whole;

/// The name under which it is offered in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "fanwire.v1";

/// The name of the same protocol where subscriptions are told events in the compact form unless they ask for the other one.
pub const COMPACT_SUBPROTOCOL: &str = "fanwire.v1.compact";
/// Both.
const SUBPROTOCOLS: &[&str] = &[SUBPROTOCOL, COMPACT_SUBPROTOCOL];

/// The protocol.
pub static PROTOCOL: Protocol = Protocol {
    key: "native",
    name: "Native",
    doors: DOORS,
    guest: None,
    packets: None,
    settings: &[],
};

pub use decode::event_of;

/// Over WebSocket.
pub const NATIVE: DialectId = DialectId::of(&WEBSOCKET);
/// The native protocol's events over SSE: a client says nothing, and there is one subscription, so nothing names it.
pub const NATIVE_SSE: DialectId = DialectId::of(&SSE);

/// The compact form over WebSocket.
const COMPACT: DialectId = DialectId::of(&COMPACT_WEBSOCKET);
/// The compact form over SSE.
const COMPACT_SSE: DialectId = DialectId::of(&COMPACT_STREAM);
/// Batches in columns over WebSocket.
const COLUMNS: DialectId = DialectId::of(&COLUMNS_WEBSOCKET);
/// Batches in columns over SSE.
const COLUMNS_SSE: DialectId = DialectId::of(&COLUMNS_STREAM);

/// What is the same in every form over WebSocket.
const OVER_WEBSOCKET: Dialect = Dialect {
    name: "native",
    protocol: &PROTOCOL,
    encode: encode::encode,
    head: Some(encode::event_head),
    apart: None,
    run: Some(Run::Joined(put_batch)),
    columns: None,
    outcome: Some(encode::outcome),
    envelopes: None,
    farewell: None,
    manners: MANNERS,
};

/// What is the same in every form over SSE.
const OVER_SSE: Dialect = Dialect {
    name: "native over SSE",
    head: Some(encode::event_head_sse),
    run: Some(Run::Joined(put_batch_sse)),
    outcome: Some(encode::outcome_sse),
    manners: Manners { hears_once_live: false, ..MANNERS },
    ..OVER_WEBSOCKET
};

static WEBSOCKET: Dialect = Dialect { columns: Some(COLUMNS), ..OVER_WEBSOCKET };
static SSE: Dialect = Dialect { columns: Some(COLUMNS_SSE), ..OVER_SSE };

static COMPACT_WEBSOCKET: Dialect = Dialect {
    name: "native, compact",
    encode: compact::encode,
    head: Some(compact::head),
    columns: Some(COLUMNS),
    ..OVER_WEBSOCKET
};

static COMPACT_STREAM: Dialect = Dialect {
    name: "native over SSE, compact",
    encode: compact::encode,
    head: Some(compact::head_sse),
    columns: Some(COLUMNS_SSE),
    ..OVER_SSE
};

static COLUMNS_WEBSOCKET: Dialect = Dialect {
    name: "native, in columns",
    encode: columns::encode,
    head: Some(columns::head),
    run: Some(Run::Whole(Whole {
        kind: "columns",
        goes_with: columns::goes_with,
        end: columns::put_message,
    })),
    ..OVER_WEBSOCKET
};

static COLUMNS_STREAM: Dialect = Dialect {
    name: "native over SSE, in columns",
    encode: columns::encode,
    head: Some(columns::head_sse),
    run: Some(Run::Whole(Whole {
        kind: "columns",
        goes_with: columns::goes_with_sse,
        end: columns::put_message_sse,
    })),
    ..OVER_SSE
};

const MANNERS: Manners = Manners {
    silence: Silence::Pinged,
    slow: Some((4008, "slow subscriber: reconnect and resume")),
    ending: Ending::Close,
    deflate_bytes_min: 0,
    flood: FLOOD,
    hears_once_live: true,
    says_reconnect: true,
    says_elsewhere: false,
};

fn put_batch(part: BatchPart, _time_us: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(match part {
        BatchPart::Begin => br#"{"type":"batch","events":["#,
        BatchPart::Between => b",",
        BatchPart::End => b"]}",
    });
}

fn put_batch_sse(part: BatchPart, time_us: u64, out: &mut Vec<u8>) {
    match part {
        // The stream's own line says what kind it is.
        BatchPart::Begin => out.extend_from_slice(br#"{"events":["#),
        BatchPart::Between | BatchPart::End => put_batch(part, time_us, out),
    }
}
