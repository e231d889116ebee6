//! A message as an event: of a PUBLISH, or of a will.
//!
//! Invariant: what it says of itself (content type, response topic, correlation, user properties) goes on byte for byte; an alias does not.

use std::hash::BuildHasher;
use std::sync::Arc;

use super::names;
use crate::dialect::View;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Fields;
use crate::event::Meta;
use crate::event::Op;
use crate::event::TRACEPARENT;
use crate::event::TraceContext;
use crate::event::opaque;
use crate::limits::MQTT_PROPERTIES_BYTES_MAX;
use crate::wire::mqtt::Properties;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::Publish;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Reason;
use crate::wire::mqtt::Will;
use crate::wire::mqtt::topic;

/// The key of what a topic retains: so a message that is not retained does not take its place.
pub(super) const RETAINED: &str = "retained";

/// Of a message that was not taken: why.
#[derive(Debug)]
pub(super) struct NotTaken<'a> {
    pub(super) reason: Reason,
    pub(super) why: &'a str,
}

/// What a client has said, and who it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    name: &'a str,
    payload: &'a [u8],
    qos: QoS,
    is_retained: bool,
    properties: Properties<'a>,
    /// As a hash.
    publisher: u64,
}

impl<'a> Message<'a> {
    /// A message of a topic whose alias is resolved.
    pub(super) fn of(publish: &Publish<'a>, name: &'a str, publisher: u64) -> Self {
        let Publish { payload, qos, is_retained, properties, .. } = *publish;
        Self { name, payload, qos, is_retained, properties, publisher }
    }

    /// What is to be said once a client is gone.
    pub(super) const fn of_will(will: &Will<'a>, publisher: u64) -> Self {
        let Will { topic, payload, qos, is_retained, properties, .. } = *will;
        Self { name: topic, payload, qos, is_retained, properties, publisher }
    }

    /// The event that it is.
    pub(super) fn draft(&self, view: &View) -> Result<Draft, NotTaken<'static>> {
        let not_taken = |reason, why| NotTaken { reason, why };
        if topic::is_reserved(self.name) {
            let why = "topics that begin with $ are the server's";
            return Err(not_taken(Reason::TOPIC_NAME_INVALID, why));
        }
        let topic = names::topic_of(self.name, view).map_err(|_| {
            let why = "the topic is too long, or has too many levels";
            not_taken(Reason::TOPIC_NAME_INVALID, why)
        })?;
        if !view.sees(&topic) {
            let why = "MQTT does not see this topic (mqtt.topics)";
            return Err(not_taken(Reason::NOT_AUTHORIZED, why));
        }
        let response = self.properties.text(PropertyId::ResponseTopic);
        if response.is_some_and(|topic| !topic::is_name(topic)) {
            let why = "the response topic is empty or holds a wildcard";
            return Err(not_taken(Reason::TOPIC_NAME_INVALID, why));
        }
        let is_text = self.properties.number(PropertyId::PayloadFormat) == Some(1);
        if is_text && std::str::from_utf8(self.payload).is_err() {
            let why = "the payload is said to be UTF-8, and is not";
            return Err(not_taken(Reason::PAYLOAD_FORMAT_INVALID, why));
        }
        //= mqtt-v5.0#3.3.1.3
        //# If the Payload contains zero bytes it is processed normally by the Server but any retained message with the same topic name
        //# MUST be removed
        let (key, op) = match (self.is_retained, self.payload) {
            (false, _) => ("", Op::Event),
            (true, []) => (RETAINED, Op::Delete),
            (true, _) => (RETAINED, Op::Upsert),
        };
        let payload = match op {
            Op::Delete => NOTHING.into(),
            _ => opaque::payload_of(self.payload)
                .map_err(|_| not_taken(Reason::QUOTA_EXCEEDED, "the payload is too large"))?,
        };
        let meta = self.meta();
        if meta.properties.len() > MQTT_PROPERTIES_BYTES_MAX {
            return Err(not_taken(Reason::QUOTA_EXCEEDED, "the properties are too large"));
        }
        let (key, fields, ack) = (Arc::from(key), Fields::default(), Ack::Ordered);
        Ok(Draft { topic, key, op, payload, fields, ack, meta: Some(Arc::new(meta)) })
    }

    /// Which request of its publisher's it belongs to, as a user property says. Names of those may stand several times; this one says nothing then.
    fn trace(&self) -> Option<TraceContext> {
        let named = self.properties.iter().filter_map(|property| match property {
            Property::User(TRACEPARENT, text) => Some(text.as_bytes()),
            _ => None,
        });
        TraceContext::parse_only(named)
    }

    fn meta(&self) -> Meta {
        let mut properties = Vec::new();
        for property in self.properties.iter() {
            match property.id() {
                PropertyId::PayloadFormat
                | PropertyId::ContentType
                | PropertyId::ResponseTopic
                | PropertyId::CorrelationData
                | PropertyId::UserProperty => property.put(&mut properties),
                _ => {}
            }
        }
        Meta {
            publisher: self.publisher,
            qos: self.qos as u8,
            is_retained: self.is_retained,
            expiry_s: self.properties.number(PropertyId::MessageExpiry),
            trace: self.trace(),
            origin: None,
            properties: properties.into(),
        }
    }
}

/// The payload of what is gone.
pub(super) const NOTHING: &[u8] = b"{}";

/// What a client calls itself, as a number that is not 0.
pub(super) fn publisher_of(client_id: &str) -> u64 {
    foldhash::fast::FixedState::default().hash_one(client_id).max(1)
}

/// Appends what a client knows an answer by.
pub(super) fn put_correlation(data: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(data) = data {
        Property::Binary(PropertyId::CorrelationData, data).put(out);
    }
}

/// Appends how many seconds are left of a message's time, if it has an end.
pub(super) fn put_remaining(left_s: Option<u32>, out: &mut Vec<u8>) {
    if let Some(left_s) = left_s {
        Property::Number(PropertyId::MessageExpiry, left_s).put(out);
    }
}
