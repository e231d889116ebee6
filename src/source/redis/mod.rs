//! Redis, and what speaks like it: channels that are listened to, and streams that are read from where we were.
//!
//! A client of our own ([decisions/0070](../../../docs/decisions/0070-small-clients-of-brokers.md)). Invariant: nothing is written there, and no group is joined.

mod channels;
mod connection;
mod place;
mod streams;
mod wire;

use channels::Channels;
use connection::Server;
use streams::Reading;
use streams::Streams;

use super::Connector;
use super::Fault;
use super::FaultKind;
use super::Kind;
use super::Setting;
use super::Takes;
use super::Unfit;
use super::Values;
use super::broker::Target;
use super::broker::address_setting;
use super::broker::secret_setting;
use crate::limits::REDIS_ANSWER_BYTES_MAX;
use crate::limits::SOURCE_SUBJECTS_MAX;
use crate::outbound::Scheme;

const SCHEME: Scheme = Scheme { plain: ("redis", 6379), encrypted: ("rediss", 6379) };

const ADDRESS: Setting = address_setting(
    "Where it is: `redis://cache.example.org:6379`, or `rediss://…` where it is encrypted; Valkey, KeyDB and Dragonfly are reached in the same way. `/2` behind it is the number of a database, `ada@` in front of it a user, and `?ca=ca.pem` names the authority of its certificate.",
);
const SECRET: Setting = secret_setting(
    "The file with the password. It goes to another machine only encrypted, unless the address ends in `?tls=off`.",
);

/// Channels.
pub(super) static REDIS: Kind = Kind {
    name: "redis",
    doc: "Listens on channels of Redis (pub/sub). Nothing is kept there for whoever is away: each reconnect is a gap. What has to arrive is put into a stream: see `redis-stream`.",
    settings: &[
        ADDRESS,
        SECRET,
        Setting { name: "channels", takes: Takes::List, doc: "Names of channels." },
        Setting {
            name: "patterns",
            takes: Takes::List,
            doc: "Patterns of them, as `PSUBSCRIBE` takes them: `orders.*`. What a name and a pattern both mean comes twice.",
        },
    ],
    open: open_channels,
};

/// Streams.
pub(super) static REDIS_STREAM: Kind = Kind {
    name: "redis-stream",
    doc: "Reads streams of Redis in their order and goes on where it was, exactly once. It joins no consumer group, so that every server of ours hears everything.",
    settings: &[
        ADDRESS,
        SECRET,
        Setting {
            name: "streams",
            takes: Takes::List,
            doc: "Keys of streams. At least one; one that is not there yet may come.",
        },
        Setting {
            name: "begin",
            takes: Takes::Word { of: &["new", "first"] },
            doc: "Where it begins the first time: with what is `new`, or with the `first` entry that a stream has.",
        },
        Setting {
            name: "field",
            takes: Takes::Text { default: "" },
            doc: "The field of an entry that is its payload; the others are headers. By itself the payload is an object of all fields, each a string.",
        },
    ],
    open: open_streams,
};

fn open_channels(values: &Values) -> Result<Box<dyn Connector>, Unfit> {
    let (channels, patterns) = (names(values, "channels")?, names(values, "patterns")?);
    if channels.is_empty() && patterns.is_empty() {
        return Err(Unfit::new("channels", "there must be a channel or a pattern"));
    }
    Ok(Box::new(Channels::new(server(values)?, channels, patterns)))
}

fn open_streams(values: &Values) -> Result<Box<dyn Connector>, Unfit> {
    let streams = names(values, "streams")?;
    if streams.is_empty() {
        return Err(Unfit::new("streams", "there must be at least one"));
    }
    let begins_first = values.text("begin") == "first";
    let reading = Reading { streams, begins_first, field: values.text("field").to_owned() };
    Ok(Box::new(Streams::new(server(values)?, reading)))
}

fn server(values: &Values) -> Result<Server, Unfit> {
    let target = Target::of(values, SCHEME)?;
    if target.address.path.parse::<u16>().is_err() && !target.address.path.is_empty() {
        return Err(Unfit::new(
            "address",
            "what stands behind its `/` must be a database's number",
        ));
    }
    Ok(Server { target, name: format!("fanwire/{}", values.source), first: 0 })
}

fn names(values: &Values, setting: &'static str) -> Result<Vec<String>, Unfit> {
    let names = values.list(setting);
    if names.len() > SOURCE_SUBJECTS_MAX {
        return Err(Unfit::new(setting, format!("there may be {SOURCE_SUBJECTS_MAX}")));
    }
    if names.iter().any(String::is_empty) {
        return Err(Unfit::new(setting, "one of them is empty"));
    }
    Ok(names.to_vec())
}

fn too_large() -> String {
    format!("it has more than {REDIS_ANSWER_BYTES_MAX} bytes")
}

fn not_connected() -> Fault {
    Fault::new(FaultKind::Lost, "there is no connection")
}
