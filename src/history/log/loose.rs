//! One event by itself, and one that has no place yet: outside of any block, as sessions keep them.
//!
//! Invariants: an event comes back as it was, but for what live filters found in it and the event before it; whatever bytes are read are an event or nothing.

use std::sync::Arc;

use bytes::Bytes;

use super::bytes::Taker;
use super::bytes::put_run;
use super::bytes::put_varint;
use super::meta::MetaRef;
use super::meta::put_meta;
use super::meta::take_meta;
use super::record::op_bits;
use super::record::op_of;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Event;
use crate::event::Fields;
use crate::event::HomeId;
use crate::event::Meta;
use crate::event::Op;
use crate::event::TopicName;
use crate::limits::KEY_BYTES_MAX;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::limits::TOPIC_BYTES_MAX;

const HAS_META: u8 = 0b1000;

/// What is said of an event besides its place.
struct Told<'a> {
    topic: &'a TopicName,
    key: &'a str,
    op: Op,
    payload: &'a [u8],
    meta: Option<&'a Meta>,
}

fn put(out: &mut Vec<u8>, told: &Told<'_>) {
    put_run(out, told.topic.as_str().as_bytes());
    out.push(op_bits(told.op) | if told.meta.is_some() { HAS_META } else { 0 });
    put_run(out, told.key.as_bytes());
    put_run(out, told.payload);
    if let Some(meta) = told.meta {
        put_meta(out, meta);
    }
}

/// Puts one that has no place.
pub fn put_draft(out: &mut Vec<u8>, draft: &Draft) {
    let Draft { topic, key, op, payload, meta, .. } = draft;
    put(out, &Told { topic, key, op: *op, payload, meta: meta.as_deref() });
}

/// Takes it again.
#[must_use]
pub fn take_draft(taker: &mut Taker<'_>) -> Option<Draft> {
    let topic = TopicName::new(taker.text(TOPIC_BYTES_MAX)?).ok()?;
    let bits = taker.byte()?;
    let op = op_of(bits & !HAS_META)?;
    let key = Arc::from(taker.text(KEY_BYTES_MAX)?);
    let payload = Bytes::copy_from_slice(taker.run(PAYLOAD_BYTES_MAX)?);
    let meta = match bits & HAS_META {
        0 => None,
        _ => Some(take_meta(taker).map(MetaRef::to_meta)?),
    };
    let (fields, ack) = (Fields::default(), Ack::Ordered);
    Some(Draft { topic, key, op, payload, fields, ack, meta: meta.map(Arc::new) })
}

/// Puts an event.
pub fn put_event(out: &mut Vec<u8>, event: &Event) {
    let Event { topic, key, op, payload, meta, home, offset, previous, time_us, .. } = event;
    put(out, &Told { topic, key, op: *op, payload, meta: meta.as_deref() });
    put_varint(out, u64::from(home.0));
    put_varint(out, *previous);
    put_varint(out, offset.saturating_sub(*previous));
    put_varint(out, *time_us);
}

/// Takes it again.
#[must_use]
pub fn take_event(taker: &mut Taker<'_>) -> Option<Event> {
    let draft = take_draft(taker)?;
    let home = HomeId(u16::try_from(taker.varint()?).ok()?);
    let previous = taker.varint()?;
    let offset = previous.checked_add(taker.varint()?)?;
    let time_us = taker.varint()?;
    Some(Event { offset, previous, ..draft.without_place(home, time_us) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_comes_back_and_nothing_that_is_cut_is_one() {
        let meta = Meta { publisher: 7, qos: 2, expiry_s: Some(9), ..Meta::default() };
        for (op, meta) in [(Op::Event, None), (Op::Delete, Some(Arc::new(meta)))] {
            let event = Event {
                topic: TopicName::new("fleet/a").unwrap(),
                key: Arc::from("k"),
                op,
                home: HomeId(3),
                offset: 300,
                previous: 298,
                time_us: 1_786_600_000_000_001,
                payload: Bytes::from_static(b"{\"x\":1}"),
                fields: Fields::default(),
                before: None,
                meta,
            };
            let mut out = Vec::new();
            put_event(&mut out, &event);
            let mut taker = Taker(&out);
            assert_eq!(take_event(&mut taker), Some(event));
            assert!(taker.is_empty());
            for cut in 0..out.len() {
                assert_eq!(take_event(&mut Taker(&out[..cut])), None, "cut to {cut}");
            }
        }
    }
}
