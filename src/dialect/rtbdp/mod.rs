//! The dashboard's WebSocket of *Real-Time Big Data Pipeline*: rows of tables, live and replayed. `docs/dialects/rtbdp.md` is its page.
//!
//! Invariants: a row is told once for each connection and table, whatever number of its subscriptions it passes; rows of one message have the same columns; whatever is wrong is passed over in
//! silence, for the protocol has no word for it; no client is sent a close frame, but for one that does not know the secret.

mod admission;
mod columns;
mod doors;
mod filters;
mod login;
mod message;
mod ranking;
mod replay;
mod talk;

pub use doors::DOORS;
pub use talk::Conversation;

use crate::dialect::Dialect;
use crate::dialect::DialectId;
use crate::dialect::Ending;
use crate::dialect::FLOOD;
use crate::dialect::Form;
use crate::dialect::Guest;
use crate::dialect::Heading;
use crate::dialect::Manners;
use crate::dialect::PerTopic;
use crate::dialect::Protocol;
use crate::dialect::Run;
use crate::dialect::Silence;
use crate::dialect::View;
use crate::event::Event;
use crate::event::Payload;
use crate::event::Text;

/// The protocol.
pub static PROTOCOL: Protocol = Protocol {
    key: "rtbdp",
    name: "rtbdp",
    doors: DOORS,
    guest: Some(Guest {
        called: "rtbdp's dialect",
        origin: "`127.0.0.1:8887` is where its server listens, and any path leads to it there",
        deletes_as: None,
        secret: Some(
            "Path of a file with the secret that all rtbdp clients share: they say it at `/login`, and show the cookie that they get for it, or show that cookie's value anywhere in the URL. Empty: everyone is let in who may come in at all.",
        ),
        published_under: None,
    }),
    packets: None,
    settings: &[],
};

/// The dialect.
pub const RTBDP: DialectId = DialectId::of(&DIALECT);

static DIALECT: Dialect = Dialect {
    name: "rtbdp",
    protocol: &PROTOCOL,
    encode,
    head: Some(put_head),
    apart: None,
    run: Some(Run::PerTopic(PerTopic {
        goes_with: columns::goes_with,
        end: columns::put_message,
        alone,
    })),
    columns: None,
    outcome: None,
    envelopes: None,
    farewell: None,
    manners: Manners {
        silence: Silence::Pinged,
        slow: Some((1008, "slow subscriber")),
        //= rtbdp#4.8
        //# Consequence: on shutdown, overload or slow-consumer eviction a server for this dialect should **drop TCP without a close
        //# frame**
        ending: Ending::Abort,
        //= rtbdp#4.1
        //# messages **< 64 bytes are sent uncompressed**
        deflate_bytes_min: 64,
        flood: FLOOD,
        hears_once_live: false,
        says_reconnect: false,
        says_elsewhere: false,
    },
};

/// What stands before a row: its table, which is its subscription's id.
fn put_head(heading: &Heading<'_>, out: &mut Vec<u8>) {
    let table = heading.subs.ids().next().map_or("", |id| &**id);
    match heading.form {
        Form::InBatch => columns::put_table(table, out),
        Form::Single => columns::put_row_begin(table, out),
    }
}

fn encode(_event: &Event, payload: Payload<'_>, _view: &View, out: &mut Text) {
    match payload {
        Payload::Whole(row) => columns::put_row(row, &mut out.bytes),
        Payload::Chosen(_) => {
            let mut row = Text::default();
            payload.put_into(&mut row);
            columns::put_row(&row.bytes, &mut out.bytes);
        }
    }
}

/// A row that is a message of its own, but for what stands before it.
fn alone(_event: &Event, payload: Payload<'_>, _view: &View, out: &mut Text) {
    payload.put_into(out);
    out.bytes.push(b'}');
}
