//! Batches in columns: one message of many events, member by member.
//!
//! `docs/dialects/native.md` says what stands where. Invariants: a message says what its events say one by one, but for the order of a payload's members and the blanks between
//! them; each value's text, a number's included, is as it was published. Never grows faster than its events: what not all of them have stands apart.

use std::collections::BTreeMap;

use super::encode::ids;
use crate::dialect::Heading;
use crate::dialect::View;
use crate::dialect::json::number;
use crate::dialect::json::string;
use crate::dialect::records::Columns;
use crate::dialect::records::RowMembers;
use crate::dialect::records::put_text;
use crate::dialect::records::take_text;
use crate::event::Event;
use crate::event::Payload;
use crate::event::Text;

/// Appends what a record begins with: the subscriptions, and the trace if it is known and one of them asks for it, each as JSON.
pub(super) fn head(heading: &Heading<'_>, out: &mut Vec<u8>) {
    put_text(out, |out| {
        out.push(b'[');
        ids(heading.subs, out);
        out.push(b']');
    });
    head_sse(heading, out);
}

/// The same over SSE, where nothing is named.
pub(super) fn head_sse(heading: &Heading<'_>, out: &mut Vec<u8>) {
    put_text(out, |out| {
        if let Some(trace) = heading.event.trace().filter(|_| heading.subs.want_trace()) {
            out.push(b'"');
            trace.put_into(out);
            out.push(b'"');
        }
    });
}

/// Appends the rest of a record.
pub(super) fn encode(event: &Event, payload: Payload<'_>, _view: &View, text: &mut Text) {
    let out = &mut text.bytes;
    put_text(out, |out| string(event.topic.as_str(), out));
    put_text(out, |out| string(&event.key, out));
    put_text(out, |out| string(event.op.name(), out));
    out.extend_from_slice(&event.offset.to_le_bytes());
    out.extend_from_slice(&event.time_us.to_le_bytes());
    Columns::of(&payload.contiguous()).put(out);
}

/// A record, taken apart. What is text is JSON.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    /// Nothing over SSE.
    subs: &'a [u8],
    /// Nothing if it is not told.
    trace: &'a [u8],
    topic: &'a [u8],
    key: &'a [u8],
    op: &'a [u8],
    offset: u64,
    time_us: u64,
    payload: RowMembers<'a>,
}

/// The JSON of no key.
const NO_KEY: &[u8] = br#""""#;

impl<'a> Record<'a> {
    fn take(from: &mut &'a [u8], names_subs: bool) -> Self {
        Self {
            subs: if names_subs { take_text(from) } else { &[] },
            trace: take_text(from),
            topic: take_text(from),
            key: take_text(from),
            op: take_text(from),
            offset: take_u64(from),
            time_us: take_u64(from),
            payload: RowMembers::take(from),
        }
    }
}

fn take_u64(from: &mut &[u8]) -> u64 {
    let Some((bytes, rest)) = from.split_first_chunk::<8>() else { return 0 };
    *from = rest;
    u64::from_le_bytes(*bytes)
}

/// Whether an event may be in one message with those before it: if it is for the same subscriptions.
pub(super) fn goes_with(before: &[u8], record: &[u8]) -> bool {
    take_text(&mut &*before) == take_text(&mut &*record)
}

/// Over SSE there is one subscription.
pub(super) const fn goes_with_sse(_before: &[u8], _record: &[u8]) -> bool {
    true
}

/// Appends the message of records.
pub(super) fn put_message(text: &[u8], out: &mut Vec<u8>) {
    let records = records(text, true);
    let Some(first) = records.first() else { return };
    out.extend_from_slice(br#"{"type":"columns","subs":"#);
    out.extend_from_slice(first.subs);
    out.push(b',');
    put_members(&records, out);
}

/// The same over SSE, where the stream's own line says what kind it is.
pub(super) fn put_message_sse(text: &[u8], out: &mut Vec<u8>) {
    let records = records(text, false);
    if !records.is_empty() {
        out.push(b'{');
        put_members(&records, out);
    }
}

fn records(mut text: &[u8], names_subs: bool) -> Vec<Record<'_>> {
    let mut records = Vec::new();
    while !text.is_empty() {
        records.push(Record::take(&mut text, names_subs));
    }
    records
}

fn put_members(records: &[Record<'_>], out: &mut Vec<u8>) {
    out.extend_from_slice(br#""count":"#);
    number(records.len() as u64, out);
    put_topics(records, out);
    put_ops(records, out);
    if records.iter().any(|record| record.key != NO_KEY) {
        put_list("key", records, out, |record, out| out.extend_from_slice(record.key));
    }
    put_steps("offset", records, |record| record.offset, out);
    put_steps("time_us", records, |record| record.time_us, out);
    if records.iter().any(|record| !record.trace.is_empty()) {
        put_list("traceparent", records, out, |record, out| {
            out.extend_from_slice(if record.trace.is_empty() { b"null" } else { record.trace });
        });
    }
    put_payloads(records, out);
    out.push(b'}');
}

/// `,"name":`.
fn put_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(br#",""#);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(br#"":"#);
}

/// `[…]`, of each of these what is written of it.
fn put_each<T>(all: impl Iterator<Item = T>, out: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (place, one) in all.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(one, out);
    }
    out.push(b']');
}

/// `,"name":[…]`, of each event what is written of it.
fn put_list<'r>(
    name: &str,
    records: &[Record<'r>],
    out: &mut Vec<u8>,
    write: impl Fn(&Record<'r>, &mut Vec<u8>),
) {
    put_name(name, out);
    put_each(records.iter(), out, write);
}

/// The topic, if there is one; else each topic once, and of each event its place among them.
fn put_topics(records: &[Record<'_>], out: &mut Vec<u8>) {
    let (mut places, mut topics) = (BTreeMap::new(), Vec::new());
    for record in records {
        places.entry(record.topic).or_insert_with(|| {
            topics.push(record.topic);
            topics.len() - 1
        });
    }
    if let [only] = topics[..] {
        put_name("topic", out);
        return out.extend_from_slice(only);
    }
    put_name("topics", out);
    put_each(topics.iter(), out, |topic, out| out.extend_from_slice(topic));
    put_list("topic", records, out, |record, out| {
        number(places.get(record.topic).map_or(0, |place| *place as u64), out);
    });
}

/// The operation, if all have the same; else that of each.
fn put_ops(records: &[Record<'_>], out: &mut Vec<u8>) {
    match records {
        [first, rest @ ..] if rest.iter().all(|record| record.op == first.op) => {
            put_name("op", out);
            out.extend_from_slice(first.op);
        }
        _ => put_list("op", records, out, |record, out| out.extend_from_slice(record.op)),
    }
}

/// Of each event how far a number lies above that of the event before it, of the first one how far above 0.
fn put_steps(
    name: &str,
    records: &[Record<'_>],
    of: impl Fn(&Record<'_>) -> u64,
    out: &mut Vec<u8>,
) {
    let before = std::iter::once(0).chain(records.iter().map(&of));
    put_name(name, out);
    put_each(before.zip(records), out, |(before, record), out| {
        let now = of(record);
        if now < before {
            out.push(b'-');
        }
        number(now.abs_diff(before), out);
    });
}

/// The members that all payloads have as columns, and what else there is of each payload.
fn put_payloads(records: &[Record<'_>], out: &mut Vec<u8>) {
    let is_bare = |record: &Record<'_>| record.payload.names.is_empty();
    let mut filled = records.iter().filter(|record| !is_bare(record));
    let Some(first) = filled.next() else { return };
    let shared = shared_names(first, filled);
    if !shared.is_empty() && records.iter().any(is_bare) {
        let bare = records.iter().enumerate().filter(|(_, record)| is_bare(record));
        put_name("bare", out);
        put_each(bare, out, |(place, _), out| number(place as u64, out));
    }
    let filled: Vec<&Record<'_>> = records.iter().filter(|record| !is_bare(record)).collect();
    let is_whole = |record: &&Record<'_>| record.payload.names().count() == shared.len();
    if filled.iter().all(is_whole) {
        // Names and their order may differ from event to event all the same.
        put_columns(first, &shared, &filled, out);
        return;
    }
    if !shared.is_empty() {
        put_columns(first, &shared, &filled, out);
    }
    put_list("rest", records, out, |record, out| put_rest(record, &shared, out));
}

/// The names that stand once in every one of these payloads, sorted.
fn shared_names<'a: 'r, 'r>(
    first: &'r Record<'a>,
    others: impl Iterator<Item = &'r Record<'a>>,
) -> Vec<&'a [u8]> {
    let mut shared = single_names(&first.payload);
    let mut looked_at = first.payload.names;
    for other in others {
        if other.payload.names != looked_at {
            let names = single_names(&other.payload);
            shared.retain(|name| names.binary_search(name).is_ok());
            looked_at = other.payload.names;
        }
    }
    shared
}

/// The names that stand once in a payload, sorted.
fn single_names<'a>(payload: &RowMembers<'a>) -> Vec<&'a [u8]> {
    let mut names: Vec<&[u8]> = payload.names().collect();
    names.sort_unstable();
    let stands_once = |name: &&[u8]| {
        let before = names.partition_point(|other| other < name);
        names.get(before + 1) != Some(name)
    };
    names.iter().copied().filter(stands_once).collect()
}

/// `,"payload":{"name":[…],…}`, in the order of the first payload.
fn put_columns(first: &Record<'_>, shared: &[&[u8]], filled: &[&Record<'_>], out: &mut Vec<u8>) {
    // Of each payload its shared members, in the order of `shared`.
    let values: Vec<Vec<&[u8]>> = filled.iter().map(|of| shared_values(of, shared)).collect();
    put_name("payload", out);
    out.push(b'{');
    let mut is_first = true;
    for name in first.payload.names() {
        let Ok(place) = shared.binary_search(&name) else { continue };
        if !std::mem::replace(&mut is_first, false) {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.push(b':');
        put_each(values.iter(), out, |of, out| {
            out.extend_from_slice(of.get(place).copied().unwrap_or_default());
        });
    }
    out.push(b'}');
}

fn shared_values<'a>(record: &Record<'a>, shared: &[&[u8]]) -> Vec<&'a [u8]> {
    let mut values: Vec<&[u8]> = vec![&[]; shared.len()];
    for (name, value) in record.payload.names().zip(record.payload.values()) {
        if let Some(of) = shared.binary_search(&name).ok().and_then(|place| values.get_mut(place)) {
            *of = value;
        }
    }
    values
}

/// What of a payload is in no column, as an object; `null`: nothing.
fn put_rest(record: &Record<'_>, shared: &[&[u8]], out: &mut Vec<u8>) {
    let members = record.payload.names().zip(record.payload.values());
    let mut rest = members.filter(|(name, _)| shared.binary_search(name).is_err()).peekable();
    if rest.peek().is_none() {
        return out.extend_from_slice(b"null");
    }
    for (place, (name, value)) in rest.enumerate() {
        out.push(if place == 0 { b'{' } else { b',' });
        out.extend_from_slice(name);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
}
