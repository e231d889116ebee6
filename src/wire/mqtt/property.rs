//! Properties of MQTT 5 (section 2.2.2): one table says what each is called, what it holds, and where it may stand; it drives reading and checking.
//!
//! Invariants: properties that were read are all known, stand where they may, and are there once unless they may repeat; their bytes are borrowed
//! and go on as they came.

use super::fault::Fault;
use super::reason::Reason;
use super::take::Taker;
use super::take::put_binary;
use super::take::put_varint;
use super::take::varint_bytes;
use crate::limits::MQTT_PROPERTIES_MAX;

/// The identifiers of properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PropertyId {
    PayloadFormat = 0x01,
    MessageExpiry = 0x02,
    ContentType = 0x03,
    ResponseTopic = 0x08,
    CorrelationData = 0x09,
    SubscriptionId = 0x0B,
    SessionExpiry = 0x11,
    AssignedClientId = 0x12,
    ServerKeepAlive = 0x13,
    AuthMethod = 0x15,
    AuthData = 0x16,
    RequestProblem = 0x17,
    WillDelay = 0x18,
    RequestResponse = 0x19,
    ResponseInfo = 0x1A,
    ServerReference = 0x1C,
    ReasonString = 0x1F,
    ReceiveMaximum = 0x21,
    TopicAliasMaximum = 0x22,
    TopicAlias = 0x23,
    MaximumQoS = 0x24,
    RetainAvailable = 0x25,
    UserProperty = 0x26,
    MaximumPacketSize = 0x27,
    WildcardAvailable = 0x28,
    SubscriptionIdAvailable = 0x29,
    SharedAvailable = 0x2A,
}

/// The data types of properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// 0 or 1.
    Switch,
    Two,
    Four,
    Varint,
    Text,
    Binary,
    Pair,
}

/// Where properties stand; a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context(u16);

impl Context {
    pub const CONNECT: Self = Self(1);
    pub const WILL: Self = Self(1 << 1);
    pub const CONNACK: Self = Self(1 << 2);
    pub const PUBLISH: Self = Self(1 << 3);
    /// PUBACK, PUBREC, PUBREL, PUBCOMP.
    pub const ACK: Self = Self(1 << 4);
    pub const SUBSCRIBE: Self = Self(1 << 5);
    /// SUBACK, UNSUBACK.
    pub const SUBACK: Self = Self(1 << 6);
    pub const UNSUBSCRIBE: Self = Self(1 << 7);
    pub const DISCONNECT: Self = Self(1 << 8);
    pub const AUTH: Self = Self(1 << 9);

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

const ANYWHERE: Context = Context(u16::MAX);
const IN_MESSAGE: Context = Context::PUBLISH.and(Context::WILL);
const IN_OPENING: Context = Context::CONNECT.and(Context::CONNACK);
const IN_AUTH: Context = IN_OPENING.and(Context::AUTH);
const IN_ANSWER: Context = Context::CONNACK
    .and(Context::ACK)
    .and(Context::SUBACK)
    .and(Context::DISCONNECT)
    .and(Context::AUTH);
const IN_SESSION: Context = IN_OPENING.and(Context::DISCONNECT);
const IN_REFERRAL: Context = Context::CONNACK.and(Context::DISCONNECT);
// A client never sends a Subscription Identifier in a PUBLISH: to whoever reads what clients send, that is a fault.
const IN_SUBSCRIBE: Context = Context::SUBSCRIBE;

/// Every property there is: the table of section 2.2.2.2.
const TABLE: [(PropertyId, Holds, Context); 27] = [
    (PropertyId::PayloadFormat, Holds::Switch, IN_MESSAGE),
    (PropertyId::MessageExpiry, Holds::Four, IN_MESSAGE),
    (PropertyId::ContentType, Holds::Text, IN_MESSAGE),
    (PropertyId::ResponseTopic, Holds::Text, IN_MESSAGE),
    (PropertyId::CorrelationData, Holds::Binary, IN_MESSAGE),
    (PropertyId::SubscriptionId, Holds::Varint, IN_SUBSCRIBE),
    (PropertyId::SessionExpiry, Holds::Four, IN_SESSION),
    (PropertyId::AssignedClientId, Holds::Text, Context::CONNACK),
    (PropertyId::ServerKeepAlive, Holds::Two, Context::CONNACK),
    (PropertyId::AuthMethod, Holds::Text, IN_AUTH),
    (PropertyId::AuthData, Holds::Binary, IN_AUTH),
    (PropertyId::RequestProblem, Holds::Switch, Context::CONNECT),
    (PropertyId::WillDelay, Holds::Four, Context::WILL),
    (PropertyId::RequestResponse, Holds::Switch, Context::CONNECT),
    (PropertyId::ResponseInfo, Holds::Text, Context::CONNACK),
    (PropertyId::ServerReference, Holds::Text, IN_REFERRAL),
    (PropertyId::ReasonString, Holds::Text, IN_ANSWER),
    (PropertyId::ReceiveMaximum, Holds::Two, IN_OPENING),
    (PropertyId::TopicAliasMaximum, Holds::Two, IN_OPENING),
    (PropertyId::TopicAlias, Holds::Two, Context::PUBLISH),
    (PropertyId::MaximumQoS, Holds::Switch, Context::CONNACK),
    (PropertyId::RetainAvailable, Holds::Switch, Context::CONNACK),
    (PropertyId::UserProperty, Holds::Pair, ANYWHERE),
    (PropertyId::MaximumPacketSize, Holds::Four, IN_OPENING),
    (PropertyId::WildcardAvailable, Holds::Switch, Context::CONNACK),
    (PropertyId::SubscriptionIdAvailable, Holds::Switch, Context::CONNACK),
    (PropertyId::SharedAvailable, Holds::Switch, Context::CONNACK),
];

/// One property with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property<'a> {
    Number(PropertyId, u32),
    Text(PropertyId, &'a str),
    Binary(PropertyId, &'a [u8]),
    /// A user property: name and value.
    User(&'a str, &'a str),
}

impl Property<'_> {
    /// The identifier of the property.
    #[must_use]
    pub const fn id(&self) -> PropertyId {
        match self {
            Self::Number(id, _) | Self::Text(id, _) | Self::Binary(id, _) => *id,
            Self::User(..) => PropertyId::UserProperty,
        }
    }
}

fn holds(id: u32) -> Result<(PropertyId, Holds, Context), Fault> {
    let row = TABLE.iter().find(|(known, ..)| u32::from(*known as u8) == id);
    row.copied().ok_or(Fault::malformed("there is no such property"))
}

fn take<'a>(taker: &mut Taker<'a>) -> Result<(Property<'a>, Context), Fault> {
    let (id, holds, context) = holds(taker.varint()?)?;
    let property = match holds {
        Holds::Switch => match taker.byte()? {
            value @ 0..=1 => Property::Number(id, u32::from(value)),
            _ => return Err(Fault::protocol("a property that is 0 or 1 is neither")),
        },
        Holds::Two => Property::Number(id, u32::from(taker.two()?)),
        Holds::Four => Property::Number(id, taker.four()?),
        Holds::Varint => Property::Number(id, taker.varint()?),
        Holds::Text => Property::Text(id, taker.text()?),
        Holds::Binary => Property::Binary(id, taker.binary()?),
        Holds::Pair => Property::User(taker.text()?, taker.text()?),
    };
    match property {
        Property::Number(PropertyId::TopicAlias, 0) => {
            Err(Fault::of(Reason::TOPIC_ALIAS_INVALID, "a topic alias is 0"))
        }
        Property::Number(
            PropertyId::ReceiveMaximum | PropertyId::MaximumPacketSize | PropertyId::SubscriptionId,
            0,
        ) => Err(Fault::protocol("a property that must not be 0 is")),
        _ => Ok((property, context)),
    }
}

/// The properties of one packet, checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// Takes the properties at the beginning of `take`.
    pub(super) fn take(taker: &mut Taker<'a>, context: Context) -> Result<Self, Fault> {
        let count = taker.varint()?;
        let bytes = taker.bytes(usize::try_from(count).unwrap_or(usize::MAX))?;
        let (mut rest, mut seen, mut count) = (Taker(bytes), 0_u64, 0);
        while !rest.is_empty() {
            let (property, allowed) = take(&mut rest)?;
            count += 1;
            if count > MQTT_PROPERTIES_MAX {
                return Err(Fault::of(Reason::QUOTA_EXCEEDED, "a packet has too many properties"));
            }
            if !allowed.has(context) {
                return Err(Fault::protocol("a property stands in a packet that may not have it"));
            }
            let bit = 1 << (property.id() as u8);
            //= mqtt-v5.0#3.1.2.11.8
            //# The same name is allowed to appear more than once.
            if seen & bit != 0 && property.id() != PropertyId::UserProperty {
                return Err(Fault::protocol("a property stands in a packet twice"));
            }
            seen |= bit;
        }
        Ok(Self(bytes))
    }

    /// The bytes of all properties, without the length before them.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Each property, in the order of the packet.
    pub fn iter(self) -> impl Iterator<Item = Property<'a>> {
        let mut rest = Taker(self.0);
        std::iter::from_fn(move || {
            if rest.is_empty() { None } else { take(&mut rest).ok().map(|(property, _)| property) }
        })
    }

    /// The value of a property that is a number.
    #[must_use]
    pub fn number(self, id: PropertyId) -> Option<u32> {
        self.iter().find_map(|property| match property {
            Property::Number(of, number) if of == id => Some(number),
            _ => None,
        })
    }

    /// The value of a property that is a string.
    #[must_use]
    pub fn text(self, id: PropertyId) -> Option<&'a str> {
        self.iter().find_map(|property| match property {
            Property::Text(of, text) if of == id => Some(text),
            _ => None,
        })
    }

    /// What a property that is binary data holds.
    #[must_use]
    pub fn binary(self, id: PropertyId) -> Option<&'a [u8]> {
        self.iter().find_map(|property| match property {
            Property::Binary(of, bytes) if of == id => Some(bytes),
            _ => None,
        })
    }

    /// The value of the first user property of this name.
    #[must_use]
    pub fn user(self, name: &str) -> Option<&'a str> {
        self.iter().find_map(|property| match property {
            Property::User(of, value) if of == name => Some(value),
            _ => None,
        })
    }
}

impl Property<'_> {
    /// Appends the property, identifier first.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.push(self.id() as u8);
        match self {
            Self::Number(id, number) => {
                let bytes = number.to_be_bytes();
                match TABLE.iter().find(|(of, ..)| of == id).map(|(_, holds, _)| holds) {
                    Some(Holds::Switch) => out.extend_from_slice(&bytes[3..]),
                    Some(Holds::Two) => out.extend_from_slice(&bytes[2..]),
                    Some(Holds::Varint) => {
                        put_varint(usize::try_from(*number).unwrap_or_default(), out);
                    }
                    _ => out.extend_from_slice(&bytes),
                }
            }
            Self::Text(_, text) => put_binary(text.as_bytes(), out),
            Self::Binary(_, bytes) => put_binary(bytes, out),
            Self::User(name, value) => {
                put_binary(name.as_bytes(), out);
                put_binary(value.as_bytes(), out);
            }
        }
    }
}

/// Appends properties that were written before, with their length in front.
pub fn put_properties(properties: &[u8], out: &mut Vec<u8>) {
    put_varint(properties.len(), out);
    out.extend_from_slice(properties);
}

/// Bytes of properties with their length in front.
pub(super) const fn properties_bytes(properties: usize) -> usize {
    varint_bytes(properties) + properties
}
