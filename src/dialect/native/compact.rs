//! The compact form of an event: a list in which what repeats is not said.
//!
//! `[subs, topic, key, offset, time_us, payload]`, each as short as it can be; what may be left out of each stands in `docs/dialects/native.md`. Invariant: it says
//! what the long form says, so whoever reads both is told the same. Never says anything that depends on the events before it: who missed some reads on.

use std::sync::Arc;

use super::COMPACT;
use super::COMPACT_SSE;
use super::encode::ids;
use crate::dialect::DialectId;
use crate::dialect::Heading;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::dialect::json::number;
use crate::dialect::json::string;
use crate::event::Event;
use crate::event::Op;
use crate::event::Payload;
use crate::event::Text;
use crate::event::TopicName;
use crate::event::TopicPattern;

/// How a client is told events, and whether it says so of each subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wording {
    /// Over a WebSocket, in the compact form unless a subscription says otherwise.
    Compact,
    /// Over a WebSocket, in the long form unless a subscription says otherwise.
    Long,
    /// Over SSE, in the long form unless the stream says otherwise. Nothing is agreed there, so topics have no numbers.
    OverSse,
}

impl Wording {
    /// A subscription, told as it asks to be, or else as its connection is.
    pub(super) fn of(self, subscription: Subscription, compact: Option<bool>) -> Subscription {
        if !compact.unwrap_or(self == Self::Compact) {
            return subscription;
        }
        let told_in: Option<DialectId> = match self {
            Self::Compact | Self::Long => Some(COMPACT),
            Self::OverSse => Some(COMPACT_SSE),
        };
        let numbered = match self {
            Self::Compact | Self::Long => numbered(&subscription.topics),
            Self::OverSse => Arc::default(),
        };
        Subscription { told_in, numbered, ..subscription }
    }
}

/// The topics that a subscription asks for by their names, in the order in which it has them.
fn numbered(topics: &[TopicPattern]) -> Arc<[TopicName]> {
    let names = topics.iter().filter_map(|topic| match topic {
        TopicPattern::Exact(name) => Some(name.clone()),
        TopicPattern::Wild(_) => None,
    });
    names.collect()
}

/// `subs,topic,`, in a list that begins here.
pub(super) fn head(heading: &Heading<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    put_trace(heading, out);
    let is_one = heading.subs.set.count_ones() == 1;
    if is_one {
        ids(heading.subs, out);
    } else {
        out.push(b'[');
        ids(heading.subs, out);
        out.push(b']');
    }
    out.push(b',');
    put_topic(heading, out);
}

/// The same over SSE, where there is one subscription: `topic,`.
pub(super) fn head_sse(heading: &Heading<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    put_trace(heading, out);
    put_topic(heading, out);
}

/// `{"traceparent":…},` if it is known and one of the subscriptions asks for it.
fn put_trace(heading: &Heading<'_>, out: &mut Vec<u8>) {
    let Some(trace) = heading.event.trace() else { return };
    if heading.subs.want_trace() {
        out.extend_from_slice(br#"{"traceparent":""#);
        trace.put_into(out);
        out.extend_from_slice(br#""},"#);
    }
}

/// Where the topic stands among those of the first of the subscriptions that have numbers, or its name.
fn put_topic(heading: &Heading<'_>, out: &mut Vec<u8>) {
    let first = heading.subs.of.get(heading.subs.set.trailing_zeros() as usize);
    let numbered = first.map_or(&[][..], |sub| &sub.numbered);
    match numbered.iter().position(|topic| *topic == heading.event.topic) {
        Some(place) => number(place as u64, out),
        None => string(heading.event.topic.as_str(), out),
    }
    out.push(b',');
}

/// `key,offset,time_us,payload]`: everything of an event that no subscriber's ids change.
pub(super) fn encode(event: &Event, payload: Payload<'_>, _view: &View, text: &mut Text) {
    text.reserve(payload.len() + event.key.len() + 64);
    put_key(event, &mut text.bytes);
    text.bytes.push(b',');
    number(event.offset, &mut text.bytes);
    text.bytes.push(b',');
    number(event.time_us, &mut text.bytes);
    text.bytes.push(b',');
    payload.put_into(text);
    text.bytes.push(b']');
}

/// `"k"`: the new state of a key; 0: something happened to nothing in particular; a list of operation and key, if there is one: all else.
fn put_key(event: &Event, out: &mut Vec<u8>) {
    match event.op {
        Op::Upsert if !event.key.is_empty() => string(&event.key, out),
        Op::Event if event.key.is_empty() => out.push(b'0'),
        op => {
            out.push(b'[');
            string(op.name(), out);
            if !event.key.is_empty() {
                out.push(b',');
                string(&event.key, out);
            }
            out.push(b']');
        }
    }
}
