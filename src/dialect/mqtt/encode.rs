//! An event as PUBLISH: its payload, which all share, and what stands before it.

use super::message::NOTHING;
use super::message::put_remaining;
use super::names;
use super::requests;
use crate::dialect::BY_TOPIC;
use crate::dialect::Delivery;
use crate::dialect::Heading;
use crate::dialect::View;
use crate::event::Event;
use crate::event::Op;
use crate::event::Payload;
use crate::event::TRACEPARENT;
use crate::event::Text;
use crate::event::opaque;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::PublishHead;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Version;

/// Appends the payload as it was published. What is gone has none, if nothing is said of it but that.
pub(super) fn body(event: &Event, payload: Payload<'_>, _view: &View, out: &mut Text) {
    if event.op == Op::Delete && event.payload == NOTHING {
        return;
    }
    match payload {
        Payload::Whole(bytes) if opaque::is_opaque(bytes) => match opaque::opened(bytes) {
            Some(bytes) => out.bytes.extend_from_slice(&bytes),
            // It only looks like bytes.
            None => payload.put_into(out),
        },
        // Of bytes no members can be chosen.
        Payload::Chosen(_) if opaque::is_opaque(&event.payload) => {
            out.bytes.extend_from_slice(&opaque::opened(&event.payload).unwrap_or_default());
        }
        payload => payload.put_into(out),
    }
}

pub(super) fn head_v4(heading: &Heading<'_>, out: &mut Vec<u8>) {
    head(heading, Version::V4, &[], out);
}

pub(super) fn head_v5(heading: &Heading<'_>, out: &mut Vec<u8>) {
    let mut properties = Vec::new();
    match heading.event.meta.as_deref().filter(|meta| meta.is_of_dialect()) {
        Some(meta) => {
            properties.extend_from_slice(&meta.properties);
            //= mqtt-v5.0#3.3.2.3.3
            //# The PUBLISH packet sent to a Client by the Server MUST contain a Message Expiry Interval set to the received value minus
            //# the time that the Application Message has been waiting in the Server
            put_remaining(meta.left_s(heading.event.time_us, heading.told.now_us), &mut properties);
        }
        None => put_words(heading.event, &mut properties),
    }
    //= mqtt-v5.0#3.3.4
    //# the Server MUST send one copy of the message including the Subscription Identifiers of all matching subscriptions
    for Delivery { number, .. } in heading.subs.deliveries() {
        if let Some(number) = number {
            Property::Number(PropertyId::SubscriptionId, number.get()).put(&mut properties);
        }
    }
    head(heading, Version::V5, &properties, out);
}

/// What other dialects say of an event, as user properties: what it is about, that it is gone, and which request it belongs to.
fn put_words(event: &Event, properties: &mut Vec<u8>) {
    if !event.key.is_empty() {
        Property::User("key", &event.key).put(properties);
    }
    if !matches!(event.op, Op::Upsert | Op::Create | Op::Event) {
        Property::User("op", event.op.name()).put(properties);
    }
    if let Some(trace) = event.trace() {
        Property::User(TRACEPARENT, &trace.to_text()).put(properties);
    }
}

//= mqtt-v5.0#3.3.1.3
//# If the value of Retain As Published subscription option is set to 0, the Server MUST set the RETAIN flag to 0 when forwarding an
//# Application Message regardless of how the RETAIN flag was set in the received PUBLISH packet
fn is_retained(heading: &Heading<'_>) -> bool {
    let was = heading.event.meta.as_ref().is_some_and(|meta| meta.is_retained);
    heading.told.is_past || (was && heading.subs.deliveries().any(|of| of.retain_as_published))
}

fn qos_of(heading: &Heading<'_>) -> QoS {
    match heading.told.number {
        0 => QoS::AtMostOnce,
        _ => QoS::of(heading.told.qos).unwrap_or_default(),
    }
}

/// Appends what another protocol tells of an event, as it writes it.
pub(super) fn told_body(event: &Event, payload: Payload<'_>, view: &View, out: &mut Text) {
    (BY_TOPIC.encode)(event, payload, view, out);
}

pub(super) fn told_head_v4(heading: &Heading<'_>, out: &mut Vec<u8>) {
    told_head(heading, Version::V4, &[], out);
}

pub(super) fn told_head_v5(heading: &Heading<'_>, out: &mut Vec<u8>) {
    let mut properties = Vec::new();
    let (topic, _) = requests::told_by(heading.subs);
    let filters = heading.subs.of.iter().filter(|sub| sub.told_in.is_none());
    for filter in filters.filter(|filter| names::matches(&filter.id, topic)) {
        if let Some(number) = filter.delivery.number {
            Property::Number(PropertyId::SubscriptionId, number.get()).put(&mut properties);
        }
    }
    told_head(heading, Version::V5, &properties, out);
}

fn told_head(heading: &Heading<'_>, version: Version, properties: &[u8], out: &mut Vec<u8>) {
    let (topic, id) = requests::told_by(heading.subs);
    let mut begins = Vec::new();
    (BY_TOPIC.head)(id, heading.event, &mut begins);
    let head = PublishHead {
        is_again: heading.told.is_again,
        qos: qos_of(heading),
        is_retained: false,
        topic,
        id: heading.told.number,
        properties,
    };
    head.put(version, begins.len() + heading.body_bytes, out);
    out.extend_from_slice(&begins);
}

fn head(heading: &Heading<'_>, version: Version, properties: &[u8], out: &mut Vec<u8>) {
    let topic = names::name_of(&heading.event.topic, heading.view);
    let head = PublishHead {
        is_again: heading.told.is_again,
        qos: qos_of(heading),
        is_retained: is_retained(heading),
        topic: &topic,
        id: heading.told.number,
        properties,
    };
    head.put(version, heading.body_bytes, out);
}
