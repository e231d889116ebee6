//! What a server says besides messages.
//!
//! Invariant: properties and reason codes are left out where they say nothing, and in 3.1.1 where there are none.

use super::Version;
use super::kind;
use super::length::put_header;
use super::property::properties_bytes;
use super::property::put_properties;
use super::read::AckKind;
use super::reason::Reason;

/// Appends CONNACK; false if 3.1.1 has no word for the reason. `properties`: of 5, written one behind the other.
pub fn put_connack(
    version: Version,
    is_resumed: bool,
    reason: Reason,
    properties: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    match version {
        Version::V4 => {
            let Some(code) = reason.connect_code() else { return false };
            put_header(kind::CONNACK << 4, 2, out);
            out.extend_from_slice(&[u8::from(is_resumed), code]);
        }
        Version::V5 => {
            put_header(kind::CONNACK << 4, 2 + properties_bytes(properties.len()), out);
            out.extend_from_slice(&[u8::from(is_resumed), reason.0]);
            put_properties(properties, out);
        }
    }
    true
}

/// Appends PUBACK, PUBREC, PUBREL or PUBCOMP.
pub fn put_ack(
    version: Version,
    kind: AckKind,
    id: u16,
    (reason, properties): (Reason, &[u8]),
    out: &mut Vec<u8>,
) {
    let flags = if kind == AckKind::Released { 0b0010 } else { 0 };
    let first = (kind as u8) << 4 | flags;
    //= mqtt-v5.0#3.4.2.1
    //# The Reason Code and Property Length can be omitted if the Reason Code is 0x00 (Success) and there are no Properties.
    if version == Version::V4 || (reason == Reason::SUCCESS && properties.is_empty()) {
        put_header(first, 2, out);
        return out.extend_from_slice(&id.to_be_bytes());
    }
    let rest = if properties.is_empty() { 0 } else { properties_bytes(properties.len()) };
    put_header(first, 3 + rest, out);
    out.extend_from_slice(&id.to_be_bytes());
    out.push(reason.0);
    if !properties.is_empty() {
        put_properties(properties, out);
    }
}

/// Appends SUBACK: of each filter, in order, what was granted or why not. 3.1.1 knows one way to fail.
pub fn put_suback(
    version: Version,
    id: u16,
    (reasons, properties): (&[Reason], &[u8]),
    out: &mut Vec<u8>,
) {
    put_reasons(version, (kind::SUBACK, id), reasons, properties, out);
}

/// Appends UNSUBACK: of each filter, in order, what became of it. 3.1.1 does not say.
pub fn put_unsuback(version: Version, id: u16, reasons: &[Reason], out: &mut Vec<u8>) {
    let reasons = if version == Version::V4 { &[] } else { reasons };
    put_reasons(version, (kind::UNSUBACK, id), reasons, &[], out);
}

fn put_reasons(
    version: Version,
    (kind, id): (u8, u16),
    reasons: &[Reason],
    properties: &[u8],
    out: &mut Vec<u8>,
) {
    let has_properties = version == Version::V5;
    let bytes = if has_properties { properties_bytes(properties.len()) } else { 0 };
    put_header(kind << 4, 2 + bytes + reasons.len(), out);
    out.extend_from_slice(&id.to_be_bytes());
    if has_properties {
        put_properties(properties, out);
    }
    let said = |reason: &Reason| match version {
        Version::V4 if reason.is_error() => Reason::UNSPECIFIED.0,
        _ => reason.0,
    };
    out.extend(reasons.iter().map(said));
}

/// Appends PINGRESP.
pub fn put_pingresp(out: &mut Vec<u8>) {
    put_header(kind::PINGRESP << 4, 0, out);
}

/// Appends DISCONNECT, which a server says in 5 only; in 3.1.1 nothing.
pub fn put_disconnect(version: Version, reason: Reason, properties: &[u8], out: &mut Vec<u8>) {
    if version == Version::V4 {
        return;
    }
    let rest = if properties.is_empty() { 0 } else { properties_bytes(properties.len()) };
    put_header(kind::DISCONNECT << 4, 1 + rest, out);
    out.push(reason.0);
    if !properties.is_empty() {
        put_properties(properties, out);
    }
}
