//! An event as PUBLISH: its payload, which all share, and what stands before it.

use super::names;
use crate::dialect::Delivery;
use crate::dialect::Heading;
use crate::dialect::View;
use crate::event::Event;
use crate::event::Op;
use crate::event::Payload;
use crate::event::Text;
use crate::event::opaque;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::PublishHead;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Version;

/// Appends the payload as it was published. What is gone has none, if nothing is said of it but that.
pub(super) fn body(event: &Event, payload: Payload<'_>, _view: &View, out: &mut Text) {
    if event.op == Op::Delete && event.payload == b"{}"[..] {
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
    //= mqtt-v5.0#3.3.4
    //# the Server MUST send one copy of the message including the Subscription Identifiers of all matching subscriptions
    for Delivery { number, .. } in heading.subs.deliveries() {
        if let Some(number) = number {
            Property::Number(PropertyId::SubscriptionId, number.get()).put(&mut properties);
        }
    }
    head(heading, Version::V5, &properties, out);
}

fn head(heading: &Heading<'_>, version: Version, properties: &[u8], out: &mut Vec<u8>) {
    let topic = names::name_of(&heading.event.topic, heading.view);
    let head = PublishHead {
        is_again: false,
        qos: QoS::AtMostOnce,
        is_retained: false,
        topic: &topic,
        id: 0,
        properties,
    };
    head.put(version, heading.body_bytes, out);
}
