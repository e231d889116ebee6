//! The Provisioning Platform's events: tasks, batches, workflows, health, logs, metrics and custom ones. `docs/dialects/provisioning.md`
//! is its page.
//!
//! Invariants: without a subscription a client gets every event that its token allows, because the real client depends on it; a frame is
//! one event unless the URL asked for batches. A payload that is an event already is passed on as it is.

mod doors;
mod event;
mod filters;
mod post;
mod request;
mod selection;
mod talk;
mod types;

pub use doors::DOORS;
pub use event::Posted;
pub use event::PostedError;
pub use event::posted;
pub use filters::FilterFault;
pub use filters::Filters;
pub use request::Endpoint;
pub use request::Request;
pub use request::RequestError;
pub use talk::Conversation;
pub use types::LOG_ENTRY;
pub use types::METRIC_UPDATE;
pub use types::SYSTEM_HEALTH_UPDATE;

use crate::dialect::BatchPart;
use crate::dialect::Dialect;
use crate::dialect::DialectId;
use crate::dialect::Ending;
use crate::dialect::Guest;
use crate::dialect::Manners;
use crate::dialect::Protocol;
use crate::dialect::Run;
use crate::dialect::Silence;
use crate::event::moment;

/// The protocol.
pub static PROTOCOL: Protocol = Protocol {
    key: "provisioning",
    name: "Provisioning",
    doors: DOORS,
    guest: Some(Guest {
        called: "the Provisioning dialect",
        origin: "`127.0.0.1:9090` is where the platform listens",
        deletes_as: Some("events"),
        secret: None,
        published_under: None,
    }),
    packets: None,
    settings: &[],
};

/// The dialect.
pub const PROVISIONING: DialectId = DialectId::of(&DIALECT);

static DIALECT: Dialect = Dialect {
    name: "provisioning",
    protocol: &PROTOCOL,
    encode: |event, payload, view, out| {
        event::encode(event, payload, &view.name_of(&event.topic), out);
    },
    head: None,
    apart: None,
    run: Some(Run::Joined(put_batch)),
    columns: None,
    outcome: None,
    envelopes: None,
    farewell: None,
    //= provisioning#5.5
    //# a lagging client is **disconnected**.
    manners: Manners {
        silence: Silence::Pinged,
        slow: Some((1008, "slow subscriber")),
        ending: Ending::Close,
        deflate_bytes_min: 0,
        flood: "rate limit exceeded",
        hears_once_live: false,
        says_reconnect: false,
        says_elsewhere: false,
    },
};

//= provisioning#5.7
//# then `{"type":"batch","timestamp",events:[full events]}`
fn put_batch(part: BatchPart, time_us: u64, out: &mut Vec<u8>) {
    match part {
        BatchPart::Begin => {
            out.extend_from_slice(br#"{"type":"batch","timestamp":""#);
            moment::put_seconds(time_us, out);
            out.extend_from_slice(br#"","events":["#);
        }
        BatchPart::Between => out.push(b','),
        BatchPart::End => out.extend_from_slice(b"]}"),
    }
}
