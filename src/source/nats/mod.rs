//! NATS and JetStream: subjects that are listened to, and streams that are read from where we were.
//!
//! A client of our own ([decisions/0070](../../../docs/decisions/0070-small-clients-of-brokers.md)). Invariants: nothing is written to a stream; what is read of one is read in its order, without holes.

mod api;
mod connection;
mod core;
mod jetstream;
mod key;
mod wire;

use connection::Server;
use core::Core;
use jetstream::JetStream;
use jetstream::Reading;
use key::Proof;

use super::Connector;
use super::Fault;
use super::FaultKind;
use super::Kind;
use super::Message;
use super::Setting;
use super::Takes;
use super::Unfit;
use super::Values;
use super::broker::Name;
use super::broker::Target;
use super::broker::address_setting;
use super::broker::secret_setting;
use crate::limits::SOURCE_MESSAGE_BYTES_MAX;
use crate::limits::SOURCE_SUBJECTS_MAX;
use crate::outbound::Scheme;

const SCHEME: Scheme = Scheme { plain: ("nats", 4222), encrypted: ("tls", 4222) };

const ADDRESS: Setting = address_setting(
    "Where it is: `nats://broker.example.org:4222`, or `tls://…` where it is encrypted from the start; a server that demands encryption gets it either way. Several hosts of one cluster stand behind each other with commas; `ada@` in front of them is who we are, and `?ca=ca.pem` names the authority of their certificates.",
);
const SECRET: Setting = secret_setting(
    "The file that proves who we are: credentials as `nsc` writes them, the seed of a user's key, a password (if the address names a user) or a token. Passwords and tokens go to another machine only encrypted, unless the address ends in `?tls=off`.",
);

/// Subjects of NATS.
pub(super) static NATS: Kind = Kind {
    name: "nats",
    doc: "Listens on subjects of NATS. Nothing is kept there for whoever is away: each reconnect is a gap. What has to arrive is kept in a stream: see `jetstream`.",
    settings: &[
        ADDRESS,
        SECRET,
        Setting {
            name: "subjects",
            takes: Takes::List,
            doc: "What is listened to: `orders.>`, `trucks.*.position`. At least one.",
        },
    ],
    open: open_core,
};

/// A stream of JetStream.
pub(super) static JETSTREAM: Kind = Kind {
    name: "jetstream",
    doc: "Reads a stream of JetStream in its order and goes on where it was, exactly once. Nothing is acknowledged and nothing left behind there but a consumer that goes away by itself.",
    settings: &[
        ADDRESS,
        SECRET,
        Setting { name: "stream", takes: Takes::Required, doc: "The stream's name." },
        Setting {
            name: "subjects",
            takes: Takes::List,
            doc: "Only what was said on these subjects; everything by itself. More than one need NATS 2.10.",
        },
        Setting {
            name: "begin",
            takes: Takes::Word { of: &["new", "first"] },
            doc: "Where it begins the first time: with what is `new`, or with the `first` message that the stream has.",
        },
        Setting {
            name: "domain",
            takes: Takes::Text { default: "" },
            doc: "The JetStream domain, if the stream is not in the server's own.",
        },
    ],
    open: open_stream,
};

fn open_core(values: &Values) -> Result<Box<dyn Connector>, Unfit> {
    let subjects = subjects(values)?;
    if subjects.is_empty() {
        return Err(Unfit::new("subjects", "there must be at least one"));
    }
    Ok(Box::new(Core::new(server(values)?, subjects)))
}

fn open_stream(values: &Values) -> Result<Box<dyn Connector>, Unfit> {
    let name = |setting: &'static str| {
        let text = values.text(setting);
        // What stands in a subject as one token (ADR-6 of NATS).
        let is_wrong = |letter: char| {
            letter.is_whitespace() || letter.is_control() || "./\\*>".contains(letter)
        };
        if text.chars().any(is_wrong) {
            return Err(Unfit::new(setting, format!("`{text}` is no name")));
        }
        Ok(text.to_owned())
    };
    let reading = Reading {
        stream: name("stream")?,
        domain: name("domain")?,
        subjects: subjects(values)?,
        begins_first: values.text("begin") == "first",
    };
    Ok(Box::new(JetStream::new(server(values)?, reading)))
}

fn server(values: &Values) -> Result<Server, Unfit> {
    let target = Target::of(values, SCHEME)?;
    let proof = Proof::of(target.secret.as_deref(), &target.address.user);
    let proof = proof.map_err(|why| Unfit::new("secret_file", why))?;
    Ok(Server { target, proof, name: format!("fanwire/{}", values.source), first: 0 })
}

fn subjects(values: &Values) -> Result<Vec<String>, Unfit> {
    let subjects = values.list("subjects");
    if subjects.len() > SOURCE_SUBJECTS_MAX {
        return Err(Unfit::new("subjects", format!("there may be {SOURCE_SUBJECTS_MAX}")));
    }
    match subjects.iter().find(|subject| !wire::is_subject(subject)) {
        Some(wrong) => Err(Unfit::new("subjects", format!("`{wrong}` is no subject"))),
        None => Ok(subjects.to_vec()),
    }
}

/// What everybody may know of a message.
fn message_of(message: &wire::Message, name: &mut Name) -> Message {
    let headers = message.headers();
    let headers = headers.map(|(name, value)| (String::from_utf8_lossy(&name).into(), value));
    Message {
        subject: Some(name.of(&message.subject)),
        headers: headers.collect(),
        payload: message.payload.clone(),
        ..Message::default()
    }
}

fn too_large(bytes: usize) -> String {
    format!("it has {bytes} bytes, and {SOURCE_MESSAGE_BYTES_MAX} are taken")
}

fn not_connected() -> Fault {
    Fault::new(FaultKind::Lost, "there is no connection")
}
