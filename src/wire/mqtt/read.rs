//! One whole packet of a client's, read.

use super::Version;
use super::connect::Connect;
use super::fault::Fault;
use super::kind;
use super::length::packet_bytes;
use super::property::Context;
use super::property::Properties;
use super::property::PropertyId;
use super::publish::Publish;
use super::reason::Reason;
use super::subscribe::Subscribe;
use super::subscribe::Unsubscribe;
use super::take::Taker;

/// A packet of a client, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Connect(Connect<'a>),
    Publish(Publish<'a>),
    Ack(Ack<'a>),
    Subscribe(Subscribe<'a>),
    Unsubscribe(Unsubscribe<'a>),
    Ping,
    Disconnect {
        reason: Reason,
        properties: Properties<'a>,
    },
    /// AUTH, in MQTT 5 only.
    Auth {
        reason: Reason,
        properties: Properties<'a>,
    },
}

/// The kinds of acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AckKind {
    /// PUBACK: a message of QoS 1 is taken.
    Taken = kind::PUBACK,
    /// PUBREC: a message of QoS 2 is taken.
    Received = kind::PUBREC,
    /// PUBREL: the sender of the message has heard PUBREC.
    Released = kind::PUBREL,
    /// PUBCOMP: the receiver of the message has heard PUBREL.
    Complete = kind::PUBCOMP,
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP (MQTT 5, sections 3.4 to 3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    pub kind: AckKind,
    pub id: u16,
    pub reason: Reason,
    pub properties: Properties<'a>,
}

/// Reads one packet, header and all. `version`: what CONNECT agreed; `None`: nothing was said before.
///
/// # Errors
/// What is wrong with it.
pub fn read(packet: &[u8], version: Option<Version>) -> Result<Packet<'_>, Fault> {
    let (first, bytes) = open(packet)?;
    let (kind, flags) = (first >> 4, first & 0b1111);
    //= mqtt-v5.0#2.1.3
    //# Where a flag bit is marked as "Reserved", it is reserved for future use and MUST be set to the value listed.
    let expected = match kind {
        kind::PUBLISH => flags,
        kind::PUBREL | kind::SUBSCRIBE | kind::UNSUBSCRIBE => 0b0010,
        _ => 0,
    };
    if flags != expected {
        return Err(Fault::malformed("a packet has flags that its type does not have"));
    }
    let Some(version) = version else {
        return match kind {
            kind::CONNECT => Connect::take(bytes).map(Packet::Connect),
            _ => Err(Fault::protocol("the first packet is not CONNECT")),
        };
    };
    match kind {
        kind::CONNECT => Err(Fault::protocol("CONNECT was said before")),
        kind::PUBLISH => Publish::take(flags, bytes, version).map(Packet::Publish),
        kind::PUBACK | kind::PUBREC | kind::PUBREL | kind::PUBCOMP => {
            read_ack(packet, version).map(Packet::Ack)
        }
        kind::SUBSCRIBE => Subscribe::take(bytes, version).map(Packet::Subscribe),
        kind::UNSUBSCRIBE => Unsubscribe::take(bytes, version).map(Packet::Unsubscribe),
        kind::PINGREQ => match bytes {
            [] => Ok(Packet::Ping),
            _ => Err(Fault::malformed("PINGREQ has something in it")),
        },
        kind::DISCONNECT => {
            let (reason, properties) = ending(bytes, version, Context::DISCONNECT)?;
            if properties.text(PropertyId::ServerReference).is_some() {
                return Err(Fault::protocol("a client names another server"));
            }
            if !reason.is_of_disconnect() {
                return Err(UNKNOWN_REASON);
            }
            Ok(Packet::Disconnect { reason, properties })
        }
        kind::AUTH if version == Version::V5 => {
            let (reason, properties) = ending(bytes, version, Context::AUTH)?;
            Ok(Packet::Auth { reason, properties })
        }
        kind::CONNACK | kind::SUBACK | kind::UNSUBACK | kind::PINGRESP => {
            Err(Fault::protocol("a client sends a packet that only servers send"))
        }
        _ => Err(Fault::malformed("there is no packet of this type")),
    }
}

const UNKNOWN_REASON: Fault =
    Fault::protocol("a packet has a reason code that its type does not have");

/// A whole packet's first byte, and what follows its length.
fn open(packet: &[u8]) -> Result<(u8, &[u8]), Fault> {
    let whole = packet_bytes(packet, packet.len())?;
    if whole != Some(packet.len()) {
        return Err(Fault::malformed("the packet is not as long as it says"));
    }
    let header_bytes = 1 + packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let bytes = packet.get(header_bytes..).unwrap_or_default();
    Ok((packet.first().copied().unwrap_or_default(), bytes))
}

/// The version in which a CONNECT is to be answered that cannot be read, or is of a version that is not spoken; `None`: it is not known to be one.
#[must_use]
pub fn answered_in(packet: &[u8]) -> Option<Version> {
    let (first, bytes) = open(packet).ok()?;
    let mut taker = Taker(bytes);
    match (first >> 4, taker.text().ok()?, taker.byte().ok()?) {
        // Whatever comes after 5 knows how that says no.
        (kind::CONNECT, "MQTT", 5..) => Some(Version::V5),
        (kind::CONNECT, "MQTT" | "MQIsdp", _) => Some(Version::V4),
        _ => None,
    }
}

/// Reads an answer to a message, which servers and clients send alike.
///
/// # Errors
/// What is wrong with it.
pub fn read_ack(packet: &[u8], version: Version) -> Result<Ack<'_>, Fault> {
    let (first, bytes) = open(packet)?;
    let kind = match first >> 4 {
        kind::PUBACK => AckKind::Taken,
        kind::PUBREC => AckKind::Received,
        kind::PUBREL => AckKind::Released,
        kind::PUBCOMP => AckKind::Complete,
        _ => return Err(Fault::malformed("it is no answer to a message")),
    };
    let mut taker = Taker(bytes);
    let id = taker.id()?;
    let (reason, properties) = match version {
        Version::V4 if !taker.is_empty() => {
            return Err(Fault::malformed("something follows a packet identifier"));
        }
        _ => ending(taker.0, version, Context::ACK)?,
    };
    //= mqtt-v5.0#3.4.2.1
    //# The Client or Server sending the PUBACK packet MUST use one of the PUBACK Reason Codes
    let known = match kind {
        AckKind::Taken | AckKind::Received => Reason::OF_RECEIVERS,
        AckKind::Released | AckKind::Complete => Reason::OF_RELEASES,
    };
    if !known.contains(&reason) {
        return Err(UNKNOWN_REASON);
    }
    Ok(Ack { kind, id, reason, properties })
}

/// A reason code and properties, either of which may be left out (MQTT 5, sections 3.4.2 and 3.14.2).
fn ending(
    bytes: &[u8],
    version: Version,
    context: Context,
) -> Result<(Reason, Properties<'_>), Fault> {
    let mut taker = Taker(bytes);
    if taker.is_empty() {
        return Ok((Reason::SUCCESS, Properties::default()));
    }
    if version == Version::V4 {
        return Err(Fault::malformed("DISCONNECT of 3.1.1 has something in it"));
    }
    let reason = Reason(taker.byte()?);
    let properties = match taker.is_empty() {
        true => Properties::default(),
        false => Properties::take(&mut taker, context)?,
    };
    match taker.is_empty() {
        true => Ok((reason, properties)),
        false => Err(Fault::malformed("something follows a packet's properties")),
    }
}
