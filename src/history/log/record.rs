//! One event as it lies in a block's body, and the part of a topic that a block holds.
//!
//! Invariants: of one topic offsets and stamps ascend from record to record; offsets may have holes, and `previous` says which one came before.
//! Reading takes any bytes and answers what they hold, or that they hold nothing; it copies nothing until asked to.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::bytes::Taker;
use super::bytes::put_run;
use super::bytes::put_varint;
use super::meta::MetaRef;
use super::meta::put_meta;
use super::meta::take_meta;
use crate::event::Meta;
use crate::event::Op;
use crate::event::TopicName;
use crate::limits::KEY_BYTES_MAX;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::limits::TOPIC_BYTES_MAX;

/// An event as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub topic: TopicName,
    /// The offset of the topic's event before it; 0: it is the first one.
    pub previous: u64,
    pub offset: u64,
    /// Microseconds since 1970-01-01 UTC.
    pub time_us: u64,
    pub op: Op,
    pub key: Arc<str>,
    /// One JSON object, exactly as it was published.
    pub payload: Bytes,
    /// Of a delete: the last event of its key, where that was known.
    pub before: Option<Box<Before>>,
    /// What the publisher has said of it besides.
    pub meta: Option<Arc<Meta>>,
}

impl Record {
    /// Bytes that it takes, in memory and in a body.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let before_bytes =
            self.before.as_ref().map_or(0, |before| before.payload.len() + size_of::<Before>());
        let meta_bytes = self.meta.as_ref().map_or(0, |meta| meta.weight_bytes());
        self.payload.len() + self.key.len() + before_bytes + meta_bytes + size_of::<Self>()
    }
}

/// The last event of a key before it was deleted, as far as it says who may know of the key: what its publisher said of it besides does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    pub offset: u64,
    pub time_us: u64,
    pub op: Op,
    pub payload: Bytes,
}

/// What a block or a segment holds of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub topic: TopicName,
    /// The offset of the event before the first one.
    pub previous: u64,
    /// The last event's offset.
    pub last: u64,
    /// How many events.
    pub count: u64,
    /// The last event's stamp.
    pub last_us: u64,
}

const OP_BITS: u8 = 0b0011;
const HAS_BEFORE: u8 = 0b0100;
const HAS_META: u8 = 0b1000;

pub(super) const fn op_bits(op: Op) -> u8 {
    match op {
        Op::Upsert | Op::Create => 0,
        Op::Delete => 1,
        // Said by the server, never published, and so never kept.
        Op::Event | Op::Leave => 2,
    }
}

pub(super) const fn op_of(bits: u8) -> Option<Op> {
    match bits {
        0 => Some(Op::Upsert),
        1 => Some(Op::Delete),
        2 => Some(Op::Event),
        _ => None,
    }
}

/// The parts of topics that records make, in the order in which the topics first occur, and for each record which part it belongs to.
pub(super) fn parts_of(records: &[Record]) -> (Vec<Part>, Vec<u32>) {
    let mut parts: Vec<Part> = Vec::new();
    let mut by_name: HashMap<&str, u32, foldhash::fast::RandomState> = HashMap::default();
    let mut indices = Vec::with_capacity(records.len());
    for record in records {
        let next = u32::try_from(parts.len()).expect("a block has fewer events");
        let index = *by_name.entry(record.topic.as_str()).or_insert(next);
        if index == next {
            parts.push(Part {
                topic: record.topic.clone(),
                previous: record.previous,
                last: record.previous,
                count: 0,
                last_us: 0,
            });
        }
        let part = &mut parts[index as usize];
        assert!(
            record.previous == part.last && record.offset > part.last,
            "a topic's offsets ascend, and each knows the one before"
        );
        part.last = record.offset;
        part.last_us = record.time_us;
        part.count += 1;
        indices.push(index);
    }
    (parts, indices)
}

/// Puts parts, as a block's summary and a segment's index have them.
pub(super) fn put_parts(out: &mut Vec<u8>, parts: &[Part]) {
    put_varint(out, parts.len() as u64);
    for part in parts {
        put_run(out, part.topic.as_str().as_bytes());
        put_varint(out, part.previous);
        put_varint(out, part.last - part.previous);
        put_varint(out, part.count);
        put_varint(out, part.last_us);
    }
}

/// Takes them again.
pub(super) fn take_parts(taker: &mut Taker<'_>) -> Option<Vec<Part>> {
    let count = taker.varint()?;
    // Each takes six bytes at least.
    let mut parts = Vec::with_capacity(usize::try_from(count).ok()?.min(taker.0.len() / 6));
    for _ in 0..count {
        let topic = TopicName::new(taker.text(TOPIC_BYTES_MAX)?).ok()?;
        let previous = taker.varint()?;
        let last = previous.checked_add(taker.varint()?)?;
        let (count, last_us) = (taker.varint()?, taker.varint()?);
        parts.push(Part { topic, previous, last, count, last_us });
    }
    Some(parts)
}

/// Writes a block's body: the topics' names, and then the records.
pub(super) fn put_body(
    out: &mut Vec<u8>,
    (parts, indices): (&[Part], &[u32]),
    records: &[Record],
    first_us: u64,
) {
    put_varint(out, parts.len() as u64);
    for part in parts {
        put_run(out, part.topic.as_str().as_bytes());
        put_varint(out, part.previous);
    }
    let mut time_us = first_us;
    for (record, index) in records.iter().zip(indices) {
        put_varint(out, u64::from(*index));
        let (before, meta) = (record.before.as_deref(), record.meta.as_deref());
        let has_before = if before.is_some() { HAS_BEFORE } else { 0 };
        let has_meta = if meta.is_some() { HAS_META } else { 0 };
        out.push(op_bits(record.op) | has_before | has_meta);
        put_varint(out, record.time_us - time_us);
        time_us = record.time_us;
        put_varint(out, record.offset - record.previous);
        put_run(out, record.key.as_bytes());
        put_run(out, &record.payload);
        if let Some(before) = before {
            out.push(op_bits(before.op));
            put_varint(out, record.offset - before.offset);
            put_varint(out, record.time_us - before.time_us);
            put_run(out, &before.payload);
        }
        if let Some(meta) = meta {
            put_meta(out, meta);
        }
    }
}

/// A record in a body, not yet copied.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    pub topic: &'a TopicName,
    /// Which of the block's topics the record is about, by its index.
    pub(super) topic_index: usize,
    pub previous: u64,
    pub offset: u64,
    pub time_us: u64,
    pub op: Op,
    pub key: &'a str,
    pub payload: &'a [u8],
    /// Of a delete: offset, stamp, operation and payload of the last event of its key.
    before: Option<(u64, u64, Op, &'a [u8])>,
    meta: Option<MetaRef<'a>>,
}

impl RecordRef<'_> {
    /// The record on its own.
    #[must_use]
    pub fn to_record(&self) -> Record {
        let before = self.before.map(|(offset, time_us, op, payload)| {
            Box::new(Before { offset, time_us, op, payload: Bytes::copy_from_slice(payload) })
        });
        Record {
            topic: self.topic.clone(),
            previous: self.previous,
            offset: self.offset,
            time_us: self.time_us,
            op: self.op,
            key: Arc::from(self.key),
            payload: Bytes::copy_from_slice(self.payload),
            before,
            meta: self.meta.map(|meta| Arc::new(meta.to_meta())),
        }
    }
}

/// A body's topics, each with the offset of its newest record so far.
#[derive(Debug)]
pub(super) struct BodyTopics(Vec<(TopicName, u64)>);

impl BodyTopics {
    /// Parts without events.
    pub(super) fn to_parts(&self) -> Vec<Part> {
        let part = |(topic, previous): &(TopicName, u64)| Part {
            topic: topic.clone(),
            previous: *previous,
            last: *previous,
            count: 0,
            last_us: 0,
        };
        self.0.iter().map(part).collect()
    }

    /// Whether these parts are of the same topics, in the same order.
    pub(super) fn are_of(&self, parts: &[Part]) -> bool {
        let names = parts.iter().map(|part| &part.topic);
        self.0.iter().map(|(topic, _)| topic).eq(names)
    }
}

/// Takes the topics from the front of a body.
pub(super) fn take_topics(taker: &mut Taker<'_>) -> Option<BodyTopics> {
    let count = usize::try_from(taker.varint()?).ok()?;
    let mut topics = Vec::with_capacity(count.min(taker.0.len() / 3));
    for _ in 0..count {
        let name = TopicName::new(taker.text(TOPIC_BYTES_MAX)?).ok()?;
        topics.push((name, taker.varint()?));
    }
    Some(BodyTopics(topics))
}

/// Takes the next record; `time_us` is the stamp of the one before, and becomes this one's.
pub(super) fn take_record<'record, 'body: 'record>(
    taker: &mut Taker<'body>,
    topics: &'record mut BodyTopics,
    time_us: &mut u64,
) -> Option<RecordRef<'record>> {
    let index = usize::try_from(taker.varint()?).ok()?;
    let bits = taker.byte()?;
    *time_us = time_us.checked_add(taker.varint()?)?;
    let delta = taker.varint()?;
    let (topic, newest) = topics.0.get_mut(index)?;
    let previous = *newest;
    if delta == 0 {
        return None;
    }
    let offset = previous.checked_add(delta)?;
    *newest = offset;
    let op = op_of(bits & OP_BITS)?;
    let key = taker.text(KEY_BYTES_MAX)?;
    let payload = taker.run(PAYLOAD_BYTES_MAX)?;
    if bits & !(OP_BITS | HAS_BEFORE | HAS_META) != 0 {
        return None;
    }
    let before = match bits & HAS_BEFORE {
        0 => None,
        _ => {
            let op = op_of(taker.byte()?)?;
            let before_offset = offset.checked_sub(taker.varint()?)?;
            let before_us = time_us.checked_sub(taker.varint()?)?;
            Some((before_offset, before_us, op, taker.run(PAYLOAD_BYTES_MAX)?))
        }
    };
    let meta = match bits & HAS_META {
        0 => None,
        _ => Some(take_meta(taker)?),
    };
    Some(RecordRef {
        topic,
        topic_index: index,
        previous,
        offset,
        time_us: *time_us,
        op,
        key,
        payload,
        before,
        meta,
    })
}
