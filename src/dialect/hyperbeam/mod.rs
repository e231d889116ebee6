//! HyperBEAM's WebSocket device: topics that are cast to, and clients that name the topics they want. `docs/dialects/hyperbeam.md` is its page.
//!
//! Invariants: a message is told once per topic, a topic's name is compared byte for byte, and every reply has the time in milliseconds.
//! Errors never close the connection. Nothing is replayed and no gap is announced: the dialect has no words for it.

mod calls;
mod cast;
mod doors;
mod reply;
mod talk;
mod topics;

pub use cast::Cast;
pub use cast::cast;
pub use doors::DOORS;
pub use talk::Conversation;
pub use topics::Options;
pub use topics::TopicsFault;
pub use topics::is_filtered;
pub use topics::of_query;

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
use crate::dialect::Subs;
use crate::dialect::View;
use crate::dialect::json;
use crate::event::Event;
use crate::event::Payload;
use crate::event::Text;

/// The protocol.
pub static PROTOCOL: Protocol = Protocol {
    key: "hyperbeam",
    name: "HyperBEAM",
    doors: DOORS,
    guest: Some(Guest {
        called: "HyperBEAM's dialect",
        origin: "`127.0.0.1:8734` is where a HyperBEAM node listens",
        deletes_as: Some("messages"),
        secret: None,
        published_under: None,
    }),
    packets: None,
    settings: &[
        Setting {
            name: DERIVED_TOPICS,
            takes: SettingTakes::Switch,
            default: 0,
            doc: "Whether `process:<id>` and `hashpath:<h>` are topics of every message that has such a member.",
        },
        Setting {
            name: REGEX_TOPICS,
            takes: SettingTakes::Switch,
            default: 0,
            doc: "Whether clients may subscribe to `re:<regex>`.",
        },
        Setting {
            name: INFO_SEEN,
            takes: SettingTakes::Switch,
            default: 0,
            doc: "Whether `info` also lists topics that events were seen of.",
        },
        Setting {
            name: IDLE_S,
            takes: SettingTakes::Number { min: 1, max: 24 * 60 * 60, unit: "seconds" },
            default: 60,
            doc: "A HyperBEAM client that says nothing for so long is closed with 1000.",
        },
    ],
};

/// The settings' names; what each means stands above.
pub const DERIVED_TOPICS: &str = "derived_topics";
pub const REGEX_TOPICS: &str = "regex_topics";
pub const INFO_SEEN: &str = "info_seen";
pub const IDLE_S: &str = "idle_s";

/// The dialect.
pub const HYPERBEAM: DialectId = DialectId::of(&DIALECT);

static DIALECT: Dialect = Dialect {
    name: "hyperbeam",
    protocol: &PROTOCOL,
    encode,
    head: Some(put_head),
    apart: Some(apart),
    run: None,
    columns: None,
    outcome: None,
    envelopes: None,
    farewell: None,
    //= hyperbeam#2.2
    //# WebSocket idle timeout 60 s without client data → close 1000 with
    //# empty reason
    manners: Manners {
        silence: Silence::Closed { after_s: IDLE_S },
        slow: None,
        ending: Ending::Close,
        deflate_bytes_min: 0,
        flood: FLOOD,
        hears_once_live: false,
        says_reconnect: false,
        says_elsewhere: false,
    },
};

//= hyperbeam#2.2
//# `{"type":"message","topic":"a","data":<the cast message as JSON>,"timestamp":…}`
fn encode(event: &Event, payload: Payload<'_>, _view: &View, out: &mut Text) {
    out.reserve(payload.len() + 64);
    out.bytes.extend_from_slice(br#","data":"#);
    payload.put_into(out);
    out.bytes.extend_from_slice(br#","timestamp":"#);
    json::number(event.time_us / 1000, &mut out.bytes);
    out.bytes.push(b'}');
}

fn put_head(heading: &Heading<'_>, out: &mut Vec<u8>) {
    let Heading { event, view, subs, .. } = heading;
    out.extend_from_slice(br#"{"type":"message","topic":"#);
    match subs.ids().next().and_then(|id| topics::derived_name(id)) {
        Some(name) => json::string(name, out),
        None => json::string(&view.name_of(&event.topic), out),
    }
}

/// A derived topic is one more topic that a message has, and is told of on its own.
fn apart(subs: Subs<'_>) -> u64 {
    let is_derived = |id: &std::sync::Arc<str>| topics::derived_name(id).is_some();
    let all = subs.every_id().enumerate();
    all.filter(|(_, id)| is_derived(id)).fold(0, |set, (index, _)| set | 1 << index)
}
