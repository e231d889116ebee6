//! peat-node's subscription: `/ws/subscribe`, `/sse/subscribe` and the Connect call behind them. `docs/dialects/peat.md` is its page.
//!
//! One message a change, no acknowledgement, no marker, no gap: the dialect has no words for them, and what is dropped is dropped in silence. Invariants: a frame is the
//! proto3-JSON of `DocumentChange` in declaration order; the payload is copied as text, never parsed or rewritten.

mod call;
mod change;
pub mod connect;
mod doors;
mod proto;
mod query;
mod request;
mod talk;

pub use doors::DOORS;
pub use proto::ProtoError;
pub use query::Comparison;
pub use query::Query;
pub use query::QueryError;
pub use request::Request;
pub use request::RequestError;
pub use request::Snapshot;
pub use talk::Conversation;

use crate::dialect::Dialect;
use crate::dialect::DialectId;
use crate::dialect::Ending;
use crate::dialect::Envelopes;
use crate::dialect::FLOOD;
use crate::dialect::Guest;
use crate::dialect::Manners;
use crate::dialect::Protocol;
use crate::dialect::Silence;

/// The protocol.
pub static PROTOCOL: Protocol = Protocol {
    key: "peat",
    name: "peat-node",
    doors: DOORS,
    guest: Some(Guest {
        called: "peat-node's dialect",
        origin: "`127.0.0.1:50051` is where a peat-node listens",
        deletes_as: None,
        secret: None,
        published_under: None,
    }),
    packets: None,
    settings: &[],
};

/// Changes as proto3-JSON.
pub const PEAT: DialectId = DialectId::of(&JSON);
/// Changes as protobuf.
pub const PEAT_PROTO: DialectId = DialectId::of(&PROTO);

static JSON: Dialect = Dialect {
    name: "peat",
    protocol: &PROTOCOL,
    encode: |event, payload, view, out| {
        change::json(event, payload, &view.name_of(&event.topic), out);
    },
    head: None,
    apart: None,
    run: None,
    columns: None,
    outcome: None,
    envelopes: Some(ENVELOPES),
    farewell: None,
    manners: MANNERS,
};

static PROTO: Dialect = Dialect {
    name: "peat in protobuf",
    encode: |event, payload, view, out| {
        change::proto(event, payload, &view.name_of(&event.topic), out);
    },
    protocol: &PROTOCOL,
    head: None,
    apart: None,
    run: None,
    columns: None,
    outcome: None,
    envelopes: Some(ENVELOPES),
    farewell: None,
    manners: MANNERS,
};

/// Envelopes of a Connect call.
const ENVELOPES: Envelopes = Envelopes { put: connect::put_envelope, put_end: call::put_end };

/// Manners of peat-node's clients: they need never say anything, so they are pinged, and never closed for silence alone.
const MANNERS: Manners = Manners {
    silence: Silence::Pinged,
    slow: None,
    ending: Ending::Close,
    deflate_bytes_min: 0,
    flood: FLOOD,
    hears_once_live: false,
    says_reconnect: false,
    says_elsewhere: false,
};
