//! ResolveSpec's WebSocket: rows of tables, read, written and heard. `docs/dialects/resolvespec.md` is its page.
//!
//! Invariants: every request is answered once, in the order of the requests; whoever writes a row is answered before it hears of it; a subscription hears what a read with its filters would
//! find, and a notification is one message with one subscription's id. Whatever is wrong is answered with its code.

mod answers;
mod asked;
mod confined;
mod doors;
mod going;
mod hooked;
mod ids;
mod live;
mod message;
mod query;
mod reply;
mod shape;
mod talk;
mod told;
mod topics;

pub use doors::BY_TOPIC;
pub use doors::DOORS;
pub use talk::Conversation;

use crate::dialect::Dialect;
use crate::dialect::DialectId;
use crate::dialect::Ending;
use crate::dialect::FLOOD;
use crate::dialect::Guest;
use crate::dialect::Heading;
use crate::dialect::Manners;
use crate::dialect::Protocol;
use crate::dialect::Setting;
use crate::dialect::SettingTakes;
use crate::dialect::Silence;
use crate::dialect::View;
use crate::dialect::json;
use crate::event::Event;
use crate::event::Op;
use crate::event::Payload;
use crate::event::Text;

/// The protocol.
pub static PROTOCOL: Protocol = Protocol {
    key: "resolvespec",
    name: "ResolveSpec",
    doors: DOORS,
    packets: None,
    guest: Some(Guest {
        called: "ResolveSpec's dialect",
        origin: "`127.0.0.1:8080` is where its documents have it, and any path leads to it there",
        deletes_as: None,
        secret: None,
        published_under: Some("spec"),
    }),
    settings: &[
        Setting {
            name: LEGACY_UNFILTERED,
            takes: SettingTakes::Switch,
            default: 0,
            doc: "Whether subscriptions hear all rows of their tables that their clients may see, whatever their filters say, as they do at their origin.",
        },
        Setting {
            name: QOS,
            takes: SettingTakes::Number { min: 0, max: 2, unit: "" },
            default: 1,
            doc: "The quality of service with which answers and notifications are told over MQTT, if their client has subscribed to them with no lower one.",
        },
    ],
};

/// The setting's name; what it means stands above.
pub const LEGACY_UNFILTERED: &str = "legacy_unfiltered";

/// The setting's name; what it means stands above.
pub const QOS: &str = "qos";

/// The dialect.
pub const RESOLVESPEC: DialectId = DialectId::of(&DIALECT);

static DIALECT: Dialect = Dialect {
    name: "resolvespec",
    protocol: &PROTOCOL,
    encode,
    head: Some(put_head),
    //= resolvespec#3A.6
    //# Duplicate subscriptions each get their own notification.
    apart: Some(|subs| subs.set),
    run: None,
    columns: None,
    outcome: None,
    envelopes: None,
    farewell: None,
    manners: Manners {
        silence: Silence::Pinged,
        slow: None,
        ending: Ending::Close,
        deflate_bytes_min: 0,
        flood: FLOOD,
        hears_once_live: false,
        says_reconnect: false,
        says_elsewhere: false,
    },
};

//= resolvespec#3A.2
//# `{"type":"notification","operation":"create","subscription_id":"…","schema":"public","entity":"users","data":…,"timestamp":"…"}`
fn put_head(heading: &Heading<'_>, out: &mut Vec<u8>) {
    put_head_of(heading.subs.ids().next().map_or("", |id| id), heading.event, out);
}

/// Appends the head of what the subscription of an id is told of an event.
fn put_head_of(id: &str, event: &Event, out: &mut Vec<u8>) {
    let (id, schema, entity) = ids::parts_of(id);
    out.extend_from_slice(br#"{"type":"notification","operation":""#);
    out.extend_from_slice(match event.op {
        Op::Create => b"create",
        Op::Delete => b"delete",
        Op::Upsert | Op::Event | Op::Leave => b"update",
    });
    out.extend_from_slice(br#"","subscription_id":"#);
    json::string(id, out);
    out.extend_from_slice(br#","schema":"#);
    json::string(schema, out);
    out.extend_from_slice(br#","entity":"#);
    json::string(entity, out);
    out.extend_from_slice(br#","data":"#);
}

fn encode(event: &Event, payload: Payload<'_>, _view: &View, out: &mut Text) {
    out.reserve(payload.len() + event.key.len() + 64);
    //= resolvespec#3A.4
    //# `delete`, data = `{"id":"<record_id as string>"}`
    if event.op == Op::Delete {
        out.bytes.extend_from_slice(br#"{"id":"#);
        json::string(&event.key, &mut out.bytes);
        out.bytes.push(b'}');
    } else {
        payload.put_into(out);
    }
    reply::put_timestamp(event.time_us, &mut out.bytes);
    out.bytes.push(b'}');
}
