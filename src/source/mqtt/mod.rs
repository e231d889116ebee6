//! Brokers of MQTT: topics that are subscribed to in a session, whose messages are acknowledged once they are stored here.
//!
//! A client of our own, by the codec of our own broker ([decisions/0070](../../../docs/decisions/0070-small-clients-of-brokers.md)). Invariant: nothing is published there.

mod packets;
mod session;

use session::Session;
use session::Wanted;

use super::Connector;
use super::Kind;
use super::Setting;
use super::Takes;
use super::Unfit;
use super::Values;
use super::broker::Target;
use super::broker::address_setting;
use super::broker::secret_setting;
use crate::limits::MQTT_CLIENT_ID_BYTES_MAX;
use crate::limits::SOURCE_SUBJECTS_MAX;
use crate::limits::TOPIC_OF_MQTT_BYTES_MAX;
use crate::outbound::Scheme;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Version;
use crate::wire::mqtt::topic;

const SCHEME: Scheme = Scheme { plain: ("mqtt", 1883), encrypted: ("mqtts", 8883) };
/// A day.
const SESSION_S_DEFAULT: u64 = 24 * 60 * 60;

/// Topics of a broker.
pub(super) static MQTT: Kind = Kind {
    name: "mqtt",
    doc: "Subscribes to topics of a broker of MQTT 5 or 3.1.1. With a session, which is how it is by itself, messages of QoS 1 and 2 wait at the broker while we are away, and are acknowledged once they are stored here: at least once.",
    settings: &[
        address_setting(
            "Where it is: `mqtt://broker.example.org:1883`, or `mqtts://…` where it is encrypted. `ada@` in front of it is a user, and `?ca=ca.pem` names the authority of its certificate.",
        ),
        secret_setting(
            "The file with the password. It goes to another machine only encrypted, unless the address ends in `?tls=off`.",
        ),
        Setting {
            name: "topics",
            takes: Takes::List,
            doc: "Topic filters: `plant/+/temperature`, `fleet/#`. At least one. A session remembers those that it had: whoever takes one away gives the source another `client_id`, too.",
        },
        Setting {
            name: "qos",
            takes: Takes::Number { min: 0, max: 2, default: 1, unit: "" },
            doc: "The greatest quality of service: with 0 nothing waits for us.",
        },
        Setting {
            name: "client_id",
            takes: Takes::Text { default: "" },
            doc: "What it calls itself, and its session; no two clients of a broker may be called alike. By itself `fanwire-` and the source's name: with several servers each needs its own.",
        },
        Setting {
            name: "session_s",
            takes: Takes::Number {
                min: 0,
                max: u32::MAX as u64,
                default: SESSION_S_DEFAULT,
                unit: "s",
            },
            doc: "How long the broker is to keep the session while we are away; 0: there is none. In 3.1.1 anything else means for ever.",
        },
        Setting {
            name: "version",
            takes: Takes::Word { of: &["5", "3.1.1"] },
            doc: "The version that is spoken.",
        },
    ],
    open,
};

fn open(values: &Values) -> Result<Box<dyn Connector>, Unfit> {
    let target = Target::of(values, SCHEME)?;
    let filters = values.list("topics");
    if filters.is_empty() || filters.len() > SOURCE_SUBJECTS_MAX {
        let why = format!("there must be at least one, and at most {SOURCE_SUBJECTS_MAX}");
        return Err(Unfit::new("topics", why));
    }
    let is_filter =
        |filter: &String| topic::is_filter(filter) && filter.len() <= TOPIC_OF_MQTT_BYTES_MAX;
    if let Some(wrong) = filters.iter().find(|filter| !is_filter(filter)) {
        return Err(Unfit::new("topics", format!("`{wrong}` is no topic filter")));
    }
    let client_id = match values.text("client_id") {
        "" => format!("fanwire-{}", values.source),
        id => id.to_owned(),
    };
    if client_id.len() > MQTT_CLIENT_ID_BYTES_MAX {
        let why = format!("it has more than {MQTT_CLIENT_ID_BYTES_MAX} bytes");
        return Err(Unfit::new("client_id", why));
    }
    let qos = u8::try_from(values.number("qos")).ok().and_then(QoS::of);
    let wanted = Wanted {
        version: if values.text("version") == "5" { Version::V5 } else { Version::V4 },
        client_id,
        filters: filters.to_vec(),
        qos: qos.unwrap_or(QoS::AtLeastOnce),
        session_s: u32::try_from(values.number("session_s")).unwrap_or(u32::MAX),
    };
    Ok(Box::new(Session::new(target, wanted)))
}
