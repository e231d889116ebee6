//! What the server says, written by hand: the texts are short, fixed, and on the hot path.
//!
//! Invariant: every text written is one valid JSON object; whatever came from a client is escaped, or is JSON text that was checked.

use crate::clock::Now;
use crate::dialect::Form;
use crate::dialect::Heading;
use crate::dialect::Outcome;
use crate::dialect::Placed;
use crate::dialect::Refusal;
use crate::dialect::SubId;
use crate::dialect::Subs;
use crate::dialect::View;
use crate::dialect::json::number;
use crate::dialect::json::string;
use crate::dialect::json::strings;
use crate::event::Event;
use crate::event::Payload;
use crate::event::Text;
use crate::event::TopicName;
use crate::position::Gap;
use crate::position::GapReason;
use crate::position::Live;
use crate::position::Skipped;

const SERVER: &str = concat!("fanwire/", env!("CARGO_PKG_VERSION"));

/// `"topic":…,"payload":…}`: everything of an event that no subscriber's ids change.
pub(super) fn encode(event: &Event, payload: Payload<'_>, _view: &View, text: &mut Text) {
    text.reserve(payload.len() + event.topic.as_str().len() + event.key.len() + 96);
    let out = &mut text.bytes;
    out.extend_from_slice(br#""topic":"#);
    string(event.topic.as_str(), out);
    if !event.key.is_empty() {
        out.extend_from_slice(br#","key":"#);
        string(&event.key, out);
    }
    out.extend_from_slice(br#","op":""#);
    out.extend_from_slice(event.op.name().as_bytes());
    out.extend_from_slice(br#"","offset":"#);
    number(event.offset, out);
    out.extend_from_slice(br#","time_us":"#);
    number(event.time_us, out);
    out.extend_from_slice(br#","payload":"#);
    payload.put_into(text);
    text.bytes.push(b'}');
}

/// `{"type":"event","subs":[…],`: what names the subscriptions, and what they ask for besides.
pub(super) fn event_head(heading: &Heading<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(match heading.form {
        Form::Single => br#"{"type":"event","subs":["#,
        Form::InBatch => br#"{"subs":["#,
    });
    ids(heading.subs, out);
    out.extend_from_slice(b"],");
    put_trace(heading, out);
}

/// The same over SSE, where nothing is named.
pub(super) fn event_head_sse(heading: &Heading<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    put_trace(heading, out);
}

/// `"traceparent":…,` if it is known and one of the subscriptions asks for it.
fn put_trace(heading: &Heading<'_>, out: &mut Vec<u8>) {
    let Some(trace) = heading.event.trace() else { return };
    if heading.subs.want_trace() {
        out.extend_from_slice(br#""traceparent":""#);
        trace.put_into(out);
        out.extend_from_slice(br#"","#);
    }
}

/// The first words, in the subprotocol of this name.
pub(super) fn welcome(subprotocol: &str, epoch: &str) -> Vec<u8> {
    let head = br#"{"type":"welcome","protocol":""#;
    let bytes = head.len() + subprotocol.len() + SERVER.len() + epoch.len() + 32;
    let mut out = Vec::with_capacity(bytes);
    out.extend_from_slice(head);
    out.extend_from_slice(subprotocol.as_bytes());
    out.extend_from_slice(br#"","server":""#);
    out.extend_from_slice(SERVER.as_bytes());
    out.extend_from_slice(br#"","epoch":"#);
    string(epoch, &mut out);
    out.push(b'}');
    out
}

/// An event has its place.
pub(super) fn published(id: &SubId, topic: &TopicName, placed: Placed, epoch: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + topic.as_str().len());
    out.extend_from_slice(br#"{"type":"published","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(br#","topic":"#);
    string(topic.as_str(), &mut out);
    if placed != Placed::NOT_SAID {
        out.extend_from_slice(br#","epoch":"#);
        string(epoch, &mut out);
        out.extend_from_slice(br#","offset":"#);
        number(placed.offset, &mut out);
        out.extend_from_slice(br#","time_us":"#);
        number(placed.time_us, &mut out);
    }
    out.push(b'}');
    out
}

/// The answer to a ping.
pub(super) fn pong(id: Option<&SubId>, now: Now) -> Vec<u8> {
    let mut out = br#"{"type":"pong","#.to_vec();
    if let Some(id) = id {
        out.extend_from_slice(br#""id":"#);
        out.extend_from_slice(id.as_bytes());
        out.push(b',');
    }
    out.extend_from_slice(br#""time_us":"#);
    number(now.wall_us, &mut out);
    out.push(b'}');
    out
}

/// The client is who its token says.
pub(super) fn authenticated(id: Option<&SubId>, expires_at_s: Option<u64>) -> Vec<u8> {
    let mut out = br#"{"type":"authenticated""#.to_vec();
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        out.extend_from_slice(id.as_bytes());
    }
    if let Some(expires_at_s) = expires_at_s {
        out.extend_from_slice(br#","expires_at_s":"#);
        number(expires_at_s, &mut out);
    }
    out.push(b'}');
    out
}

/// One message for what became of what was wanted, or for a notice; and the word for it.
pub(super) fn outcome(outcome: &Outcome<'_>, out: &mut Vec<u8>) -> Option<&'static str> {
    let kind = kind_of(outcome);
    match outcome {
        Outcome::Subscribed { id, numbered } => {
            named(kind, id, out);
            if !numbered.is_empty() {
                out.pop();
                out.extend_from_slice(br#","topics":"#);
                strings(numbered.iter().map(TopicName::as_str), out);
                out.push(b'}');
            }
        }
        Outcome::Updated { id } => named(kind, id, out),
        Outcome::Unsubscribed { id, reason } => {
            named(kind, id, out);
            if let Some(reason) = reason {
                out.pop();
                out.extend_from_slice(br#","reason":"#);
                string(reason, out);
                out.push(b'}');
            }
        }
        Outcome::Live { id, live } => {
            out.extend_from_slice(br#"{"type":"live","id":"#);
            out.extend_from_slice(id.as_bytes());
            out.push(b',');
            live_members(live, out);
        }
        Outcome::Expiring { expires_at_s } => {
            out.extend_from_slice(br#"{"type":"token_expiring","expires_at_s":"#);
            number(*expires_at_s, out);
            out.push(b'}');
        }
        Outcome::Reconnect { after_ms } => {
            out.extend_from_slice(br#"{"type":"reconnect","after_ms":"#);
            number(*after_ms, out);
            out.push(b'}');
        }
        Outcome::Gap { subs, gap } => {
            out.extend_from_slice(br#"{"type":"gap","subs":["#);
            ids(*subs, out);
            out.extend_from_slice(b"],");
            gap_members(gap, out);
        }
        Outcome::Skipped { subs, skipped } => {
            out.extend_from_slice(br#"{"type":"skipped","subs":["#);
            ids(*subs, out);
            out.extend_from_slice(b"],");
            skipped_members(*skipped, out);
        }
        Outcome::Refused { id, refusal } => refused(*id, refusal, out),
    }
    Some(kind)
}

/// The word for what is told.
const fn kind_of(outcome: &Outcome<'_>) -> &'static str {
    match outcome {
        Outcome::Subscribed { .. } => "subscribed",
        Outcome::Live { .. } => "live",
        Outcome::Updated { .. } => "updated",
        Outcome::Unsubscribed { .. } => "unsubscribed",
        Outcome::Expiring { .. } => "token_expiring",
        Outcome::Reconnect { .. } => "reconnect",
        Outcome::Gap { .. } => "gap",
        Outcome::Skipped { .. } => "skipped",
        Outcome::Refused { .. } => "error",
    }
}

/// Writes an outcome over SSE, where there is one subscription and no command: only what concerns the stream of events is said.
pub(super) fn outcome_sse(outcome: &Outcome<'_>, out: &mut Vec<u8>) -> Option<&'static str> {
    match outcome {
        Outcome::Live { live, .. } => {
            out.push(b'{');
            live_members(live, out);
        }
        Outcome::Gap { gap, .. } => {
            out.push(b'{');
            gap_members(gap, out);
        }
        Outcome::Skipped { skipped, .. } => {
            out.push(b'{');
            skipped_members(*skipped, out);
        }
        Outcome::Refused { id, refusal } => refused(*id, refusal, out),
        Outcome::Subscribed { .. }
        | Outcome::Updated { .. }
        | Outcome::Unsubscribed { .. }
        | Outcome::Expiring { .. }
        | Outcome::Reconnect { .. } => return None,
    }
    Some(kind_of(outcome))
}

fn named(kind: &str, id: &SubId, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"type":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(br#"","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.push(b'}');
}

fn live_members(live: &Live, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""epoch":"#);
    string(&live.epoch, out);
    out.extend_from_slice(br#","offsets":{"#);
    for (index, (topic, offset)) in live.offsets.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(topic.as_str(), out);
        out.push(b':');
        number(*offset, out);
    }
    out.extend_from_slice(br#"},"time_us":"#);
    number(live.time_us, out);
    out.extend_from_slice(br#","replayed":"#);
    number(live.replayed, out);
    out.push(b'}');
}

fn gap_members(gap: &Gap, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""topic":"#);
    string(gap.topic.as_str(), out);
    out.extend_from_slice(br#","from":"#);
    number(gap.from, out);
    out.extend_from_slice(br#","to":"#);
    number(gap.to, out);
    out.extend_from_slice(br#","reason":""#);
    out.extend_from_slice(match gap.reason {
        GapReason::Evicted => b"evicted",
        GapReason::Epoch => b"epoch",
        GapReason::Slow => b"slow",
        GapReason::Corrupt => b"corrupt",
        GapReason::Unavailable => b"unavailable",
    });
    out.extend_from_slice(br#""}"#);
}

fn skipped_members(skipped: Skipped, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""count":"#);
    number(skipped.count, out);
    out.extend_from_slice(br#","from_us":"#);
    number(skipped.from_us, out);
    out.extend_from_slice(br#","to_us":"#);
    number(skipped.to_us, out);
    out.push(b'}');
}

pub(super) fn refused(id: Option<&SubId>, refusal: &Refusal, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"type":"error","code":""#);
    out.extend_from_slice(refusal.code.name().as_bytes());
    out.push(b'"');
    if let Some(field) = &refusal.field {
        out.extend_from_slice(br#","field":"#);
        string(field, out);
    }
    out.extend_from_slice(br#","message":"#);
    string(&refusal.message, out);
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        out.extend_from_slice(id.as_bytes());
    }
    out.push(b'}');
}

pub(super) fn ids(subs: Subs<'_>, out: &mut Vec<u8>) {
    for (index, id) in subs.ids().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(id.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::dialect::RefusalCode;
    use crate::dialect::Subscription;
    use crate::dialect::Told;
    use crate::event::Fields;
    use crate::event::HomeId;
    use crate::event::Op;
    use crate::event::TopicPattern;

    fn said(outcome_: &Outcome<'_>) -> String {
        let mut out = Vec::new();
        assert!(outcome(outcome_, &mut out).is_some());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_is_head_and_body_with_the_payload_as_it_was() {
        let event = Event {
            topic: TopicName::new("adsb/ch").unwrap(),
            key: Arc::from("4067f2"),
            op: Op::Upsert,
            home: HomeId(0),
            offset: 42,
            previous: 41,
            time_us: 1_786_600_000_000_456,
            payload: Bytes::from_static(b"{ \"altitude\": 38000.0 }"),
            fields: Fields::default(),
            before: None,
            meta: None,
        };
        let subscription = |id: &str| {
            let topics = vec![TopicPattern::new("adsb/*").unwrap()];
            Arc::new(Subscription { id: Arc::from(id), topics, ..Subscription::default() })
        };
        let of = ["\"map\"", "\"other\"", "7"].map(subscription);
        let subs = Subs { of: &of, names: None, set: 0b101 };
        let view = View::default();
        let told = Told::default();
        let heading =
            Heading { form: Form::Single, event: &event, view: &view, subs, body_bytes: 0, told };
        let mut out = Vec::new();
        event_head(&heading, &mut out);
        let mut body = Text::default();
        encode(&event, Payload::Whole(&event.payload), &View::default(), &mut body);
        out.extend_from_slice(&body.bytes);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"type":"event","subs":["map",7],"topic":"adsb/ch","key":"4067f2","op":"upsert","offset":42,"time_us":1786600000000456,"payload":{ "altitude": 38000.0 }}"#
        );
    }

    #[test]
    fn what_a_client_chose_is_escaped() {
        let id: SubId = Arc::from("\"a\"");
        let refusal = Refusal::of(RefusalCode::BadTopic, "topics[1]", "no \"such\"\n");
        assert_eq!(
            said(&Outcome::Refused { id: Some(&id), refusal: &refusal }),
            r#"{"type":"error","code":"bad_topic","field":"topics[1]","message":"no \"such\"\n","id":"a"}"#
        );
    }

    #[test]
    fn live_says_the_position() {
        let id: SubId = Arc::from("1");
        let live = Live {
            epoch: "e".into(),
            offsets: vec![(TopicName::new("a").unwrap(), 3), (TopicName::new("b").unwrap(), 0)],
            time_us: 9,
            replayed: 2,
        };
        assert_eq!(
            said(&Outcome::Live { id: &id, live: &live }),
            r#"{"type":"live","id":1,"epoch":"e","offsets":{"a":3,"b":0},"time_us":9,"replayed":2}"#
        );
    }
}
