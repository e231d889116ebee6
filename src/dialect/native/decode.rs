//! What a client says: one JSON object, every member checked, the first fault named with its member.
//!
//! Never guesses: a member that is not known is refused, because a misspelt option must not be ignored in silence.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

use crate::dialect::Batch;
use crate::dialect::Change;
use crate::dialect::Command;
use crate::dialect::Malformed;
use crate::dialect::MaxRate;
use crate::dialect::Position;
use crate::dialect::RatePer;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Since;
use crate::dialect::Slow;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::event::Draft;
use crate::event::Fields;
use crate::event::Op;
use crate::event::Projection;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::limits::BATCH_DELAY_MS_MAX;
use crate::limits::BATCH_EVENTS_MAX;
use crate::limits::ID_BYTES_MAX;
use crate::limits::KEY_BYTES_MAX;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::limits::SUBSCRIPTION_TOPICS_MAX;
use crate::matcher::Filter;

const BATCH_DELAY_MS_DEFAULT: u32 = 50;
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Reads one message.
pub(super) fn command(text: &str) -> Result<Command, Malformed> {
    let mut members = match Members::parse(text) {
        Ok(members) => members,
        Err(refusal) => return Err(Malformed { id: None, refusal }),
    };
    let id = match members.take("id").map(id_of).transpose() {
        Ok(id) => id,
        Err(refusal) => return Err(Malformed { id: None, refusal }),
    };
    typed(&mut members, id.clone()).map_err(|refusal| Malformed { id, refusal })
}

fn typed(members: &mut Members<'_>, id: Option<SubId>) -> Result<Command, Refusal> {
    let kind: String = match members.take("type") {
        Some(raw) => read(raw, "type", "a string")?,
        None => {
            return Err(Refusal::of(RefusalCode::UnknownType, "type", "the message has no `type`"));
        }
    };
    let command = match kind.as_str() {
        "subscribe" => subscribe(members, required(id)?)?,
        "update" => update(members, required(id)?)?,
        "unsubscribe" => Command::Unsubscribe { id: required(id)? },
        "publish" => publish(members, id)?,
        "ping" => Command::Ping { id },
        "auth" => {
            let raw = members.take("token").ok_or_else(|| missing("token"))?;
            let token: String = read(raw, "token", "a string")?;
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

fn missing(field: &str) -> Refusal {
    Refusal::of(RefusalCode::MissingField, field, format_args!("`{field}` is required"))
}

fn bad(field: impl fmt::Display, message: impl fmt::Display) -> Refusal {
    Refusal::of(RefusalCode::BadField, field, message)
}

fn subscribe(members: &mut Members<'_>, id: SubId) -> Result<Command, Refusal> {
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
    };
    subscription.check()?;
    Ok(Command::Subscribe { subscription: Arc::new(subscription), since })
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
    };
    Ok(Command::Update { id, change: Box::new(change) })
}

/// `null` takes an option away.
fn optional<T>(
    raw: &RawValue,
    read: impl FnOnce(&RawValue) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    if raw.get() == "null" { Ok(None) } else { read(raw).map(Some) }
}

/// A filter in the text notation, as a string, or in the JSON notation, as an object.
fn filter(raw: &RawValue) -> Result<Filter, Refusal> {
    Filter::parse_value(raw.get()).map_err(|e| Refusal::of(RefusalCode::BadFilter, "filter", e))
}

fn max_rate(raw: &RawValue) -> Result<MaxRate, Refusal> {
    let mut members =
        Members::parse(raw.get()).map_err(|_| bad("max_rate", "max_rate must be an object"))?;
    let per: String = members.take("per").map_or_else(
        || Ok("subscription".to_owned()),
        |raw| read(raw, "max_rate.per", "a string"),
    )?;
    let per = match per.as_str() {
        "key" => RatePer::Key,
        "subscription" => RatePer::Subscription,
        _ => {
            return Err(bad(
                "max_rate.per",
                format_args!("per is `key` or `subscription`, not {per:?}"),
            ));
        }
    };
    let hz: f64 =
        read(members.take("hz").ok_or_else(|| missing("max_rate.hz"))?, "max_rate.hz", "a number")?;
    members.none_left("max_rate")?;
    if !(0.01..=1000.0).contains(&hz) {
        return Err(bad("max_rate.hz", format_args!("hz is {hz}; 0.01 to 1000 are allowed")));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is 1 to 100,000"
    )]
    Ok(MaxRate { per, every_ms: (1000.0 / hz).ceil() as u32 })
}

fn fields(raw: &RawValue) -> Result<Arc<Projection>, Refusal> {
    let paths: Vec<String> = read(raw, "fields", "a list of strings")?;
    Projection::new(&paths).map(Arc::new).map_err(|e| bad("fields", e))
}

fn leave(raw: &RawValue) -> Result<bool, Refusal> {
    read(raw, "leave", "true or false")
}

fn publish(members: &mut Members<'_>, id: Option<SubId>) -> Result<Command, Refusal> {
    let raw = members.take("topic").ok_or_else(|| missing("topic"))?;
    let name: String = read(raw, "topic", "a string")?;
    let topic =
        TopicName::new(&name).map_err(|e| Refusal::of(RefusalCode::BadTopic, "topic", e))?;
    let key: String = members
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
            let word: String = read(raw, "op", "a string")?;
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
    Ok(Command::Publish {
        id,
        draft: Draft { topic, key: Arc::from(key), op, payload, fields: Fields::default() },
    })
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
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

fn topics(raw: &RawValue) -> Result<Vec<TopicPattern>, Refusal> {
    let texts: Vec<String> = read(raw, "topics", "a list of strings")?;
    if texts.is_empty() || texts.len() > SUBSCRIPTION_TOPICS_MAX {
        let message = format_args!(
            "topics has {} members; 1 to {SUBSCRIPTION_TOPICS_MAX} are allowed",
            texts.len()
        );
        return Err(bad("topics", message));
    }
    let mut topics = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
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

fn batch(raw: &RawValue) -> Result<Batch, Refusal> {
    let mut members =
        Members::parse(raw.get()).map_err(|_| bad("batch", "batch must be an object"))?;
    let events_max = members.take("max_events").ok_or_else(|| missing("batch.max_events"))?;
    let events_max: u16 = read(events_max, "batch.max_events", "an integer")?;
    if !(2..=BATCH_EVENTS_MAX).contains(&events_max) {
        return Err(bad(
            "batch.max_events",
            format_args!("max_events is {events_max}; 2 to {BATCH_EVENTS_MAX} are allowed"),
        ));
    }
    let delay_ms = match members.take("max_delay_ms") {
        Some(raw) => read(raw, "batch.max_delay_ms", "an integer")?,
        None => BATCH_DELAY_MS_DEFAULT,
    };
    if !(1..=BATCH_DELAY_MS_MAX).contains(&delay_ms) {
        return Err(bad(
            "batch.max_delay_ms",
            format_args!("max_delay_ms is {delay_ms}; 1 to {BATCH_DELAY_MS_MAX} are allowed"),
        ));
    }
    members.none_left("batch")?;
    Ok(Batch { events_max, delay_ms })
}

fn slow(raw: &RawValue) -> Result<Slow, Refusal> {
    let word: String = read(raw, "slow", "a string")?;
    match word.as_str() {
        "disconnect" => Ok(Slow::Disconnect),
        "drop_oldest" => Ok(Slow::DropOldest),
        "latest_per_key" => Ok(Slow::LatestPerKey),
        _ => Err(bad(
            "slow",
            format_args!("slow is `disconnect`, `drop_oldest` or `latest_per_key`, not {word:?}"),
        )),
    }
}

/// Reads a `since`: `"earliest"`, `"last"`, `{"time_us":T}` or a position.
///
/// # Errors
/// Which of its members is wrong.
pub fn parse_since(text: &str) -> Result<Since, Refusal> {
    if text.starts_with('"') {
        return match serde_json::from_str::<String>(text).as_deref() {
            Ok("earliest") => Ok(Since::Earliest),
            Ok("last") => Ok(Since::Last),
            _ => Err(bad(
                "since",
                format_args!("since is `earliest`, `last`, a time or a position, not {text}"),
            )),
        };
    }
    let mut members =
        Members::parse(text).map_err(|_| bad("since", "since is a string or an object"))?;
    let time_us: Option<u64> =
        members.take("time_us").map(|raw| read(raw, "since.time_us", "an integer")).transpose()?;
    let Some(epoch) = members.take("epoch") else {
        members.none_left("since")?;
        return time_us.map(Since::Time).ok_or_else(|| missing("since.time_us"));
    };
    let epoch: String = read(epoch, "since.epoch", "a string")?;
    let mut offsets = Vec::new();
    if let Some(raw) = members.take("offsets") {
        let named = Members::parse(raw.get())
            .map_err(|_| bad("since.offsets", "offsets must be an object"))?;
        for (topic, raw) in named.0 {
            let field = format!("since.offsets.{topic}");
            let name = TopicName::new(&topic)
                .map_err(|e| Refusal::of(RefusalCode::BadTopic, &field, e))?;
            offsets.push((name, read(raw, &field, "an integer")?));
        }
    }
    members.none_left("since")?;
    Ok(Since::Position(Position { epoch: Some(epoch.into()), offsets, time_us }))
}

/// The JSON text of an id, written one way: `"a"` or `7`.
fn id_of(raw: &RawValue) -> Result<SubId, Refusal> {
    let text = raw.get();
    if text.starts_with('"') {
        let id: String = read(raw, "id", "a string or an integer")?;
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
    Ok(Arc::from(id.to_string()))
}

fn read<'a, T: serde::Deserialize<'a>>(
    raw: &'a RawValue,
    field: &str,
    wanted: &str,
) -> Result<T, Refusal> {
    serde_json::from_str(raw.get())
        .map_err(|_| bad(field, format_args!("`{field}` must be {wanted}")))
}

/// An object's members in the order written, each taken at most once.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn parse(text: &'a str) -> Result<Self, Refusal> {
        let mut json = serde_json::Deserializer::from_str(text);
        let members =
            json.deserialize_map(MembersVisitor).and_then(|members| json.end().map(|()| members));
        members.map_err(|e| {
            let refusal = format_args!("{} at byte {}", Reason(&e), e.column().saturating_sub(1));
            Refusal::new(RefusalCode::BadJson, refusal)
        })
    }

    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let index = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.swap_remove(index).1)
    }

    fn none_left(&self, of: &str) -> Result<(), Refusal> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(Refusal::of(
                RefusalCode::UnknownField,
                name,
                format_args!("`{of}` has no member `{name}`, or it stands twice"),
            )),
        }
    }
}

/// `serde_json`'s reason without its line and column, which say less than the byte does.
struct Reason<'a>(&'a serde_json::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split(" at line ").next().unwrap_or(&text))
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
            members.push((key, value));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (&'static str, String, String) {
        let refusal = command(text).unwrap_err().refusal;
        (refusal.code.name(), refusal.field.unwrap_or_default().into(), refusal.message.into())
    }

    #[test]
    fn a_subscription_is_read_whole() {
        let text = r#"{"type":"subscribe","id":"m","topics":["b/*","a","a"],"since":"last","batch":{"max_events":10},"slow":"drop_oldest"}"#;
        let Ok(Command::Subscribe { subscription, since }) = command(text) else {
            panic!("refused")
        };
        assert_eq!(&*subscription.id, "\"m\"");
        let topics: Vec<_> = subscription.topics.iter().map(TopicPattern::as_str).collect();
        assert_eq!(topics, ["a", "b/*"]);
        assert_eq!(subscription.batch, Some(Batch { events_max: 10, delay_ms: 50 }));
        assert_eq!(subscription.slow, Slow::DropOldest);
        assert_eq!(since, Since::Last);
    }

    #[test]
    fn a_payload_survives_byte_for_byte() {
        let text = r#"{"type":"publish","topic":"a","payload":{ "x" : 1.50e0, "é":"\u00e9" }}"#;
        let Ok(Command::Publish { id, draft }) = command(text) else { panic!("refused") };
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
