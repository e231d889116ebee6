//! Reason codes for what the server has to say, and what is said at the end.

use crate::dialect::RefusalCode;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::Reason;
use crate::wire::mqtt::Version;
use crate::wire::mqtt::put_disconnect;

/// What a client that says too much in a second is told.
pub(super) const FLOOD: &str = "messages_per_s: too many packets in a second";

/// Close codes from here on are reason codes: what a conversation closes with.
const OWN: u16 = 0x4d00;

/// The close code that stands for a reason code.
pub(super) const fn close_code(reason: Reason) -> u16 {
    OWN | reason.0 as u16
}

/// The reason code that a close code stands for: one of a conversation's own, or of the server's as WebSockets are closed with them.
fn reason_of(code: u16, said: &str) -> Reason {
    match code {
        OWN..=0x4dff => Reason((code & 0xff) as u8),
        1000 => Reason::KEEP_ALIVE_TIMEOUT,
        1001 => Reason::SERVER_SHUTTING_DOWN,
        1009 => Reason::PACKET_TOO_LARGE,
        1008 if said == FLOOD => Reason::MESSAGE_RATE_TOO_HIGH,
        1008 if said == "token revoked" => Reason::NOT_AUTHORIZED,
        4009 => Reason::SESSION_TAKEN_OVER,
        4011 => Reason::USE_ANOTHER_SERVER,
        4012 => Reason::SERVER_MOVED,
        // A token is over.
        4001 => Reason::NOT_AUTHORIZED,
        _ => Reason::QUOTA_EXCEEDED,
    }
}

/// The code that the WebSocket is closed with around it.
const fn websocket_code(reason: Reason) -> u16 {
    match reason {
        Reason::SUCCESS => 1000,
        Reason::SERVER_SHUTTING_DOWN | Reason::USE_ANOTHER_SERVER | Reason::SERVER_MOVED => 1001,
        Reason::MALFORMED_PACKET | Reason::PROTOCOL_ERROR => 1002,
        Reason::PACKET_TOO_LARGE => 1009,
        _ => 1008,
    }
}

//= mqtt-v3.1.1#3.14
//# The DISCONNECT Packet is the final Control Packet sent from the Client to the Server.
pub(super) fn farewell_v4(code: u16, said: &str, _bytes_max: u32, _out: &mut Vec<u8>) -> u16 {
    websocket_code(reason_of(code, said))
}

/// Appends DISCONNECT, unless the client has said its own or was refused in CONNACK; of so many bytes at most, if there is a most.
pub(super) fn farewell_v5(code: u16, said: &str, bytes_max: u32, out: &mut Vec<u8>) -> u16 {
    let reason = reason_of(code, said);
    if reason != Reason::SUCCESS {
        let mut properties = Vec::new();
        //= mqtt-v5.0#4.11
        //# the Reason Codes 0x9C (Use another server) or 0x9D (Server moved) MAY include a Server Reference
        let property = match reason {
            Reason::USE_ANOTHER_SERVER | Reason::SERVER_MOVED => PropertyId::ServerReference,
            _ => PropertyId::ReasonString,
        };
        if !said.is_empty() {
            Property::Text(property, said).put(&mut properties);
        }
        put_disconnect(Version::V5, reason, &properties, out);
        //= mqtt-v5.0#3.14.2.2.3
        //# The sender MUST NOT send this Property if it would increase the size of the DISCONNECT packet beyond the Maximum Packet Size
        if bytes_max > 0 && out.len() > bytes_max as usize {
            out.clear();
            put_disconnect(Version::V5, reason, &[], out);
        }
    }
    websocket_code(reason)
}

/// What PUBACK and PUBREC say of an event that was not taken.
pub(super) const fn of_publish(code: RefusalCode) -> Reason {
    match code {
        RefusalCode::Forbidden => Reason::NOT_AUTHORIZED,
        RefusalCode::BadTopic => Reason::TOPIC_NAME_INVALID,
        RefusalCode::Full
        | RefusalCode::DiskFull
        | RefusalCode::RateLimited
        | RefusalCode::TooManyTopics
        | RefusalCode::TooLarge => Reason::QUOTA_EXCEEDED,
        _ => Reason::IMPLEMENTATION_SPECIFIC,
    }
}

/// What SUBACK says of a filter that was not taken on.
pub(super) const fn of_subscribe(code: RefusalCode) -> Reason {
    match code {
        RefusalCode::Forbidden => Reason::NOT_AUTHORIZED,
        RefusalCode::BadTopic => Reason::TOPIC_FILTER_INVALID,
        RefusalCode::TooManySubscriptions | RefusalCode::RateLimited => Reason::QUOTA_EXCEEDED,
        _ => Reason::IMPLEMENTATION_SPECIFIC,
    }
}
