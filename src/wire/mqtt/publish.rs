//! PUBLISH (MQTT 5, section 3.3): read from a client, and written to one.

use super::Version;
use super::fault::Fault;
use super::kind;
use super::length::put_header;
use super::property::Context;
use super::property::Properties;
use super::property::properties_bytes;
use super::property::put_properties;
use super::reason::Reason;
use super::take::Taker;
use super::take::put_binary;
use super::topic;

/// How often a message is delivered at least, and at most (MQTT 5, section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    #[default]
    AtMostOnce = 0,
    AtLeastOnce = 1,
    ExactlyOnce = 2,
}

impl QoS {
    /// The quality of service with this number.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A PUBLISH packet of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    pub is_again: bool,
    pub qos: QoS,
    pub is_retained: bool,
    /// The topic's name; empty: the one that the alias stands for.
    pub topic: &'a str,
    /// 0 in a message of QoS 0.
    pub id: u16,
    pub properties: Properties<'a>,
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    pub(super) fn take(flags: u8, bytes: &'a [u8], version: Version) -> Result<Self, Fault> {
        let mut taker = Taker(bytes);
        let qos = QoS::of(flags >> 1 & 0b11).ok_or(Fault::malformed("a message has QoS 3"))?;
        let is_again = flags & 0b1000 != 0;
        //= mqtt-v5.0#3.3.1.1
        //# The DUP flag MUST be set to 0 for all QoS 0 messages
        if is_again && qos == QoS::AtMostOnce {
            return Err(Fault::malformed("a message of QoS 0 says that it is sent again"));
        }
        let topic = taker.text()?;
        let id = if qos == QoS::AtMostOnce { 0 } else { taker.id()? };
        let properties = match version {
            Version::V4 => Properties::default(),
            Version::V5 => Properties::take(&mut taker, Context::PUBLISH)?,
        };
        if topic.is_empty() {
            let has_alias = properties.number(super::PropertyId::TopicAlias).is_some();
            if !has_alias {
                return Err(Fault::protocol("a message has neither a topic nor an alias"));
            }
        } else if !topic::is_name(topic) {
            let what = "the topic of a message holds a wildcard";
            return Err(Fault::of(Reason::TOPIC_NAME_INVALID, what));
        }
        let is_retained = flags & 1 != 0;
        Ok(Self { is_again, qos, is_retained, topic, id, properties, payload: taker.0 })
    }
}

/// A message to a client, but for its payload.
#[derive(Clone, Copy, Debug)]
pub struct PublishHead<'a> {
    pub is_again: bool,
    pub qos: QoS,
    pub is_retained: bool,
    pub topic: &'a str,
    /// 0 in a message of QoS 0.
    pub id: u16,
    /// The properties of MQTT 5, written one behind the other; 3.1.1 has none.
    pub properties: &'a [u8],
}

impl PublishHead<'_> {
    /// Appends everything that stands before a payload of so many bytes.
    pub fn put(&self, version: Version, payload_bytes: usize, out: &mut Vec<u8>) {
        let has_id = self.qos != QoS::AtMostOnce;
        let properties = match version {
            Version::V4 => 0,
            Version::V5 => properties_bytes(self.properties.len()),
        };
        let remaining = 2 + self.topic.len() + 2 * usize::from(has_id) + properties + payload_bytes;
        let flags =
            u8::from(self.is_again) << 3 | (self.qos as u8) << 1 | u8::from(self.is_retained);
        put_header(kind::PUBLISH << 4 | flags, remaining, out);
        put_binary(self.topic.as_bytes(), out);
        if has_id {
            out.extend_from_slice(&self.id.to_be_bytes());
        }
        if version == Version::V5 {
            put_properties(self.properties, out);
        }
    }
}
