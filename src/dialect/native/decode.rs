//! What a client says: one JSON object, every member checked, the first fault named with its member.
//!
//! Never guesses: a member that is not known is refused, because a misspelt option must not be ignored in silence.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::command::Command;
use super::command::Malformed;
use super::compact::Wording;
use super::members::Members;
use super::members::read;
use super::options::bad;
use super::options::batch;
use super::options::compact;
use super::options::fields;
use super::options::filter;
use super::options::leave;
use super::options::max_rate;
use super::options::missing;
use super::options::optional;
use super::options::parse_since;
use super::options::slow;
use super::options::trace;
use super::playback::PlaybackOptions;
use super::playback::seek;
use crate::dialect::Change;
use crate::dialect::Delivery;
use crate::dialect::Forced;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::dialect::json::Word;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Fields;
use crate::event::Meta;
use crate::event::Op;
use crate::event::TRACEPARENT;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::event::TraceContext;
use crate::event::fields::check_depth;
use crate::limits::ID_BYTES_MAX;
use crate::limits::KEY_BYTES_MAX;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::limits::SUBSCRIPTION_TOPICS_MAX;
use crate::position::Since;

const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Reads one message. `is_compact`: its subscription is told events in the compact form unless it says otherwise.
///
/// # Errors
/// What is wrong with it, and in which member.
pub fn command(text: &str, is_compact: bool) -> Result<Command, Malformed> {
    let mut members = match Members::parse(text) {
        Ok(members) => members,
        Err(refusal) => return Err(Malformed { id: None, refusal }),
    };
    let id = match members.take("id").map(id_of).transpose() {
        Ok(id) => id,
        Err(refusal) => return Err(Malformed { id: None, refusal }),
    };
    typed(&mut members, id.clone(), is_compact).map_err(|refusal| Malformed { id, refusal })
}

fn typed(
    members: &mut Members<'_>,
    id: Option<SubId>,
    is_compact: bool,
) -> Result<Command, Refusal> {
    let Word(kind) = match members.take("type") {
        Some(raw) => read(raw, "type", "a string")?,
        None => {
            return Err(Refusal::of(RefusalCode::UnknownType, "type", "the message has no `type`"));
        }
    };
    let command = match &*kind {
        "subscribe" => subscribe(members, required(id)?, is_compact)?,
        "update" => update(members, required(id)?)?,
        "unsubscribe" => Command::Unsubscribe { id: required(id)? },
        "publish" => publish(members, id)?,
        "ping" => Command::Ping { id },
        "auth" => {
            let raw = members.take("token").ok_or_else(|| missing("token"))?;
            let Word(token) = read(raw, "token", "a string")?;
            Command::Authenticate { id, token: token.into() }
        }
        _ => {
            let message = format!(
                "no message has the type {kind:?}; there are subscribe, update, unsubscribe, publish, ping and auth"
            );
            return Err(Refusal::of(RefusalCode::UnknownType, "type", message));
        }
    };
    members.none_left(&kind)?;
    Ok(command)
}

fn required(id: Option<SubId>) -> Result<SubId, Refusal> {
    id.ok_or_else(|| missing("id"))
}

fn subscribe(members: &mut Members<'_>, id: SubId, is_compact: bool) -> Result<Command, Refusal> {
    let topics = topics(members.take("topics").ok_or_else(|| missing("topics"))?)?;
    let since = members.take("since").map_or(Ok(Since::Now), |raw| parse_since(raw.get()))?;
    let subscription = Subscription {
        id,
        topics,
        filter: members.take("filter").map(filter).transpose()?,
        batch: members.take("batch").map(batch).transpose()?,
        slow: members.take("slow").map(slow).transpose()?.unwrap_or_default(),
        max_rate: members.take("max_rate").map(max_rate).transpose()?,
        fields: members.take("fields").map(fields).transpose()?,
        leave: members.take("leave").map(leave).transpose()?.unwrap_or_default(),
        trace: members.take("trace").map(trace).transpose()?.unwrap_or_default(),
        delivery: Delivery::default(),
        told_in: None,
        numbered: Arc::default(),
        forced: Forced::default(),
        share: None,
    };
    let told = if is_compact { Wording::Compact } else { Wording::Long };
    let subscription = told.of(subscription, members.take("compact").map(compact).transpose()?);
    subscription.check()?;
    let playback = PlaybackOptions::of_members(members)?.playback(&since)?;
    Ok(Command::Subscribe { subscription: Arc::new(subscription), since, playback })
}

fn update(members: &mut Members<'_>, id: SubId) -> Result<Command, Refusal> {
    let change = Change {
        filter: members.take("filter").map(|raw| optional(raw, filter)).transpose()?,
        batch: members.take("batch").map(|raw| optional(raw, batch)).transpose()?,
        slow: members
            .take("slow")
            .map(|raw| optional(raw, slow))
            .transpose()?
            .map(Option::unwrap_or_default),
        max_rate: members.take("max_rate").map(|raw| optional(raw, max_rate)).transpose()?,
        fields: members.take("fields").map(|raw| optional(raw, fields)).transpose()?,
        leave: members
            .take("leave")
            .map(|raw| optional(raw, leave))
            .transpose()?
            .map(Option::unwrap_or_default),
        trace: members
            .take("trace")
            .map(|raw| optional(raw, trace))
            .transpose()?
            .map(Option::unwrap_or_default),
    };
    let seek = Box::new(seek(members)?);
    Ok(Command::Update { id, change: Box::new(change), seek })
}

/// Reads an event as `publish` has it, without `type` and `id`.
///
/// # Errors
/// What is wrong with it, and in which member.
pub fn event_of(text: &str) -> Result<Draft, Refusal> {
    let mut members = Members::parse(text)?;
    let draft = draft(&mut members)?;
    members.none_left("event")?;
    Ok(draft)
}

fn publish(members: &mut Members<'_>, id: Option<SubId>) -> Result<Command, Refusal> {
    Ok(Command::Publish { id, draft: draft(members)? })
}

fn draft(members: &mut Members<'_>) -> Result<Draft, Refusal> {
    let raw = members.take("topic").ok_or_else(|| missing("topic"))?;
    let Word(name) = read(raw, "topic", "a string")?;
    let topic =
        TopicName::new(&name).map_err(|e| Refusal::of(RefusalCode::BadTopic, "topic", e))?;
    let Word(key) = members
        .take("key")
        .map(|raw| read(raw, "key", "a string"))
        .transpose()?
        .unwrap_or_default();
    if key.len() > KEY_BYTES_MAX {
        let message =
            format_args!("key has {} bytes; at most {KEY_BYTES_MAX} are allowed", key.len());
        return Err(Refusal::of(RefusalCode::TooLarge, "key", message));
    }
    let op = match members.take("op") {
        None if key.is_empty() => Op::Event,
        None => Op::Upsert,
        Some(raw) => {
            let Word(word) = read(raw, "op", "a string")?;
            Op::from_name(&word).ok_or_else(|| {
                bad("op", format_args!("op is `upsert`, `delete` or `event`, not {word:?}"))
            })?
        }
    };
    let payload = match members.take("payload") {
        Some(raw) => payload(raw)?,
        None if op == Op::Delete => Bytes::from_static(b"{}"),
        None => return Err(missing("payload")),
    };
    let ack = match members.take("ack") {
        None => Ack::default(),
        Some(raw) => {
            let Word(word) = read(raw, "ack", "a string")?;
            Ack::from_name(&word).ok_or_else(|| {
                let message =
                    format_args!("ack is `none`, `ordered`, `stored` or `durable`, not {word:?}");
                bad("ack", message)
            })?
        }
    };
    let trace = match members.take(TRACEPARENT) {
        None => None,
        // One that is none says nothing, as the standard has it; but it is a text.
        Some(raw) => {
            let Word(text) = read(raw, TRACEPARENT, "a string")?;
            TraceContext::parse(text.as_bytes())
        }
    };
    let (key, fields, meta) = (Arc::from(key), Fields::default(), Meta::of_trace(trace));
    Ok(Draft { topic, key, op, payload, fields, ack, meta })
}

fn payload(raw: &RawValue) -> Result<Bytes, Refusal> {
    let text = raw.get();
    if !text.starts_with('{') {
        return Err(bad("payload", "payload must be a JSON object"));
    }
    if text.len() > PAYLOAD_BYTES_MAX {
        let message = format_args!(
            "payload has {} bytes; at most {PAYLOAD_BYTES_MAX} are allowed",
            text.len()
        );
        return Err(Refusal::of(RefusalCode::TooLarge, "payload", message));
    }
    check_depth(text).map_err(|e| Refusal::of(RefusalCode::BadJson, "payload", e))?;
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

fn topics(raw: &RawValue) -> Result<Vec<TopicPattern>, Refusal> {
    let texts: Vec<Word<'_>> = read(raw, "topics", "a list of strings")?;
    if texts.is_empty() || texts.len() > SUBSCRIPTION_TOPICS_MAX {
        let message = format_args!(
            "topics has {} members; 1 to {SUBSCRIPTION_TOPICS_MAX} are allowed",
            texts.len()
        );
        return Err(bad("topics", message));
    }
    let mut topics = Vec::with_capacity(texts.len());
    for (index, Word(text)) in texts.iter().enumerate() {
        let pattern = TopicPattern::new(text)
            .map_err(|e| Refusal::of(RefusalCode::BadTopic, format_args!("topics[{index}]"), e))?;
        if !topics.contains(&pattern) {
            topics.push(pattern);
        }
    }
    // In one order, so that the same wishes make the same class.
    topics.sort_unstable();
    Ok(topics)
}

/// The JSON text of an id, written one way: `"a"` or `7`.
fn id_of(raw: &RawValue) -> Result<SubId, Refusal> {
    let text = raw.get();
    if text.starts_with('"') {
        let Word(id) = read(raw, "id", "a string or an integer")?;
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(bad(
                "id",
                format_args!("id has {} bytes; 1 to {ID_BYTES_MAX} are allowed", id.len()),
            ));
        }
        let text = serde_json::to_string(&id).map_err(|e| bad("id", e))?;
        return Ok(Arc::from(text));
    }
    let id: u64 = read(raw, "id", "a string or an integer")?;
    if id > INTEGER_MAX {
        return Err(bad("id", format_args!("id is {id}; at most {INTEGER_MAX} is allowed")));
    }
    Ok(Arc::from(itoa::Buffer::new().format(id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Slow;
    use crate::dialect::Batch;
    use crate::dialect::BatchForm;

    fn refused(text: &str) -> (&'static str, String, String) {
        let refusal = command(text, false).unwrap_err().refusal;
        (refusal.code.name(), refusal.field.unwrap_or_default().into(), refusal.message.into())
    }

    #[test]
    fn a_subscription_is_read_whole() {
        let text = r#"{"type":"subscribe","id":"m","topics":["b/*","a","a"],"since":"last","batch":{"max_events":10},"slow":"drop_oldest"}"#;
        let Ok(Command::Subscribe { subscription, since, .. }) = command(text, false) else {
            panic!("refused")
        };
        assert_eq!(&*subscription.id, "\"m\"");
        let topics: Vec<_> = subscription.topics.iter().map(TopicPattern::as_str).collect();
        assert_eq!(topics, ["a", "b/*"]);
        assert_eq!(
            subscription.batch,
            Some(Batch { events_max: 10, delay_ms: 50, form: BatchForm::Rows })
        );
        assert_eq!(subscription.slow, Slow::DropOldest);
        assert_eq!(since, Since::Last);
    }

    #[test]
    fn a_payload_survives_byte_for_byte() {
        let text = r#"{"type":"publish","topic":"a","payload":{ "x" : 1.50e0, "é":"\u00e9" }}"#;
        let Ok(Command::Publish { id, draft }) = command(text, false) else { panic!("refused") };
        assert_eq!(id, None);
        assert_eq!(draft.op, Op::Event);
        assert_eq!(&draft.payload[..], r#"{ "x" : 1.50e0, "é":"\u00e9" }"#.as_bytes());
    }

    #[test]
    fn each_fault_is_named() {
        for (text, code, field) in [
            ("", "bad_json", ""),
            ("[]", "bad_json", ""),
            ("{\"type\":\"ping\"} x", "bad_json", ""),
            ("{}", "unknown_type", "type"),
            (r#"{"type":"shout"}"#, "unknown_type", "type"),
            (r#"{"type":7}"#, "bad_field", "type"),
            (r#"{"type":"ping","id":-1}"#, "bad_field", "id"),
            (r#"{"type":"ping","id":""}"#, "bad_field", "id"),
            (r#"{"type":"ping","extra":1}"#, "unknown_field", "extra"),
            (r#"{"type":"subscribe","topics":["a"]}"#, "missing_field", "id"),
            (r#"{"type":"subscribe","id":1}"#, "missing_field", "topics"),
            (r#"{"type":"subscribe","id":1,"topics":[]}"#, "bad_field", "topics"),
            (r#"{"type":"subscribe","id":1,"topics":["a","b//c"]}"#, "bad_topic", "topics[1]"),
            (r#"{"type":"subscribe","id":1,"topics":["a"],"slow":"no"}"#, "bad_field", "slow"),
            (
                r#"{"type":"subscribe","id":1,"topics":["a"],"batch":{"max_events":1}}"#,
                "bad_field",
                "batch.max_events",
            ),
            (r#"{"type":"subscribe","id":1,"topics":["a"],"since":"then"}"#, "bad_field", "since"),
            (
                r#"{"type":"subscribe","id":1,"topics":["a"],"since":{"epoch":"e","offsets":{"a":"x"}}}"#,
                "bad_field",
                "since.offsets.a",
            ),
            (r#"{"type":"publish","topic":"a*","payload":{}}"#, "bad_topic", "topic"),
            (r#"{"type":"publish","topic":"a","payload":[]}"#, "bad_field", "payload"),
            (r#"{"type":"publish","topic":"a"}"#, "missing_field", "payload"),
        ] {
            let (got_code, got_field, message) = refused(text);
            assert_eq!((got_code, got_field.as_str()), (code, field), "{text}: {message}");
        }
    }

    #[test]
    fn bad_json_names_the_byte() {
        assert_eq!(refused("{\"type\": nope}").2, "expected ident at byte 10");
    }
}
