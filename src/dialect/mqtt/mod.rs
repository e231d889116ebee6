//! MQTT 3.1.1 and 5, as a server on the one engine: `docs/MQTT.md`.
//!
//! Packets are read and written by `wire/mqtt`; here is what they mean. Invariants: what is the same for all who are sent an event is its payload, so
//! whoever wants the same of it is in one class; a refusal has the reason code that the standard gives it, and 3.1.1, which has no word for most, is
//! closed instead.

mod asking;

mod doors;

mod encode;

mod kept;

mod message;

mod names;

mod opening;

mod publishing;

mod reasons;

mod requests;

mod subscribing;

mod talk;

use crate::dialect::Dialect;
use crate::dialect::DialectId;
use crate::dialect::Ending;
use crate::dialect::Guest;
use crate::dialect::Manners;
use crate::dialect::NoPacket;
use crate::dialect::Packets;
use crate::dialect::Protocol;
use crate::dialect::Setting;
use crate::dialect::SettingTakes;
use crate::dialect::Silence;
use crate::limits;
use crate::wire::mqtt;
use crate::wire::mqtt::Reason;

pub use talk::Conversation;

/// The name under which it is offered in `Sec-WebSocket-Protocol` (MQTT 5, section 6).
pub const SUBPROTOCOL: &str = "mqtt";

/// The protocol.
pub static PROTOCOL: Protocol = Protocol {
    key: "mqtt",
    name: "MQTT",
    doors: doors::DOORS,
    guest: Some(Guest {
        called: "MQTT",
        origin: "1883 is its port, and 8883 where it is encrypted; a WebSocket is taken there, too, at `/mqtt`",
        deletes_as: None,
        secret: None,
        published_under: None,
    }),
    packets: Some(&PACKETS),
    settings: &[
        Setting {
            name: SESSION_S_MAX,
            takes: SettingTakes::Number { min: 0, max: limits::SESSION_S_MAX, unit: "seconds" },
            default: limits::SESSION_S_DEFAULT,
            doc: "How long the session of an MQTT client that is gone is kept at most: as long as one of 3.1.1 is that is not clean, and one of 5 that asks for more. 0: a session ends with its connection.",
        },
        Setting {
            name: SHARED,
            takes: SettingTakes::Switch,
            default: 1,
            doc: "Whether clients may share subscriptions (`$share/GROUP/FILTER`). `false`: each is refused with 0x9E, and CONNACK says that there are none.",
        },
    ],
};

/// The settings' names; what they mean stands above.
const SESSION_S_MAX: &str = "session_s_max";
const SHARED: &str = "shared";

static PACKETS: Packets = Packets {
    // What begins with a letter is a method of HTTP; whatever else does not begin with CONNECT is closed by who hears packets.
    begins: |byte| !byte.is_ascii_uppercase(),
    length: |bytes, bytes_max| {
        mqtt::packet_bytes(bytes, bytes_max).map_err(|fault| match fault.reason {
            Reason::PACKET_TOO_LARGE => NoPacket::TooLong,
            _ => NoPacket::Malformed,
        })
    },
    opens: doors::opening,
};

/// To clients of 3.1.1; and to those that have not said which version they speak.
pub const V4: DialectId = DialectId::of(&DIALECT_V4);
/// To clients of 5.
pub const V5: DialectId = DialectId::of(&DIALECT_V5);

static DIALECT_V4: Dialect = Dialect {
    name: "MQTT 3.1.1",
    protocol: &PROTOCOL,
    encode: encode::body,
    head: Some(encode::head_v4),
    apart: Some(requests::told_apart),
    run: None,
    columns: None,
    outcome: None,
    envelopes: None,
    farewell: Some(reasons::farewell_v4),
    manners: Manners { says_elsewhere: false, ..MANNERS },
};

static DIALECT_V5: Dialect = Dialect {
    name: "MQTT 5",
    protocol: &PROTOCOL,
    encode: encode::body,
    head: Some(encode::head_v5),
    apart: Some(requests::told_apart),
    run: None,
    columns: None,
    outcome: None,
    envelopes: None,
    farewell: Some(reasons::farewell_v5),
    manners: MANNERS,
};

/// In which a client of this version is told events of another protocol's, as that writes them.
const fn told_in(version: mqtt::Version) -> DialectId {
    match version {
        mqtt::Version::V4 => DialectId::of(&TOLD_V4),
        mqtt::Version::V5 => DialectId::of(&TOLD_V5),
    }
}

static TOLD_V4: Dialect = Dialect {
    name: "MQTT 3.1.1, another protocol's",
    encode: encode::told_body,
    head: Some(encode::told_head_v4),
    ..DIALECT_V4
};

static TOLD_V5: Dialect = Dialect {
    name: "MQTT 5, another protocol's",
    encode: encode::told_body,
    head: Some(encode::told_head_v5),
    ..DIALECT_V5
};

const MANNERS: Manners = Manners {
    silence: Silence::Agreed,
    slow: None,
    ending: Ending::Close,
    deflate_bytes_min: 0,
    flood: reasons::FLOOD,
    hears_once_live: false,
    says_reconnect: false,
    says_elsewhere: true,
};
