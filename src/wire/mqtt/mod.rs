//! MQTT 3.1.1 and 5: packets from bytes and bytes from packets, as a server reads and writes them.
//!
//! Invariants: any bytes at any split give the same packets, or the same fault behind them; what is read is borrowed from where it lies, and its
//! strings, flags, properties and reason codes are checked before anybody sees it; a fault has the reason code that the standard gives it. Never
//! answers anything, and knows no session.

mod connect;

mod fault;

mod length;

mod property;

mod publish;

mod read;

mod reason;

mod subscribe;

mod take;

pub mod topic;

mod write;

pub use connect::Connect;
pub use connect::Will;
pub use fault::Fault;
pub use length::packet_bytes;
pub use length::put_header;
pub use property::Context;
pub use property::Properties;
pub use property::Property;
pub use property::PropertyId;
pub use property::put_properties;
pub use publish::Publish;
pub use publish::PublishHead;
pub use publish::QoS;
pub use read::Ack;
pub use read::AckKind;
pub use read::Packet;
pub use read::answered_in;
pub use read::read;
pub use read::read_ack;
pub use reason::Reason;
pub use subscribe::Filters;
pub use subscribe::Options;
pub use subscribe::RetainHandling;
pub use subscribe::Subscribe;
pub use subscribe::Unsubscribe;
pub use subscribe::put_subscribe;
pub use write::put_ack;
pub use write::put_connack;
pub use write::put_disconnect;
pub use write::put_pingresp;
pub use write::put_suback;
pub use write::put_unsuback;

/// The versions that are spoken, by their protocol levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1.1.
    V4,
    /// MQTT 5.
    V5,
}

/// Kinds of packets, as the upper half of a packet's first byte says them.
pub mod kind {
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const UNSUBSCRIBE: u8 = 10;
    pub const UNSUBACK: u8 = 11;
    pub const PINGREQ: u8 = 12;
    pub const PINGRESP: u8 = 13;
    pub const DISCONNECT: u8 = 14;
    pub const AUTH: u8 = 15;
}

#[cfg(test)]
mod tests;
