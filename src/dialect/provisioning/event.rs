//! Events as this dialect writes them, and as they are posted to it.
//!
//! A payload that is itself such an event, with this type's name and data, is sent as it is; any other is the data of one. Invariant: the
//! texts of `data` and `metadata` are copied, never rewritten.

use std::fmt;

use serde_json::value::RawValue;

use super::types;
use crate::dialect::json;
use crate::dialect::json::NotText;
use crate::event::Event;
use crate::event::Op;
use crate::event::Payload;
use crate::event::Text;
use crate::event::moment;
use crate::limits::KEY_BYTES_MAX;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::limits::PROVISIONING_POST_EVENTS_MAX;

/// Appends an event's frame.
///
/// A payload that is an event of this type is told as it was published, every member of it, and what it lacks stands behind its own members.
pub(super) fn encode(event: &Event, payload: Payload<'_>, event_type: &str, out: &mut Text) {
    let payload = &*payload.contiguous();
    let text = std::str::from_utf8(payload).unwrap_or_default();
    let members = json::members(text).unwrap_or_default();
    let member = |name: &str| json::member(&members, name);
    let own_type = member("event_type").and_then(json::text_of);
    let is_event = own_type.is_some_and(|own| own == event_type) && member("data").is_some();
    out.reserve(payload.len() + event_type.len() + event.key.len() + 96);
    if is_event {
        let metadata = member("metadata");
        let is_whole = member("timestamp").is_some() && metadata.is_some();
        let end = if is_whole { payload.len() } else { payload.trim_ascii_end().len() - 1 };
        // That a key is gone is nowhere but in its mark, so an event that does not say it itself is marked.
        let unmarked = metadata.filter(|own| event.op == Op::Delete && !is_marked(own));
        match unmarked {
            Some(metadata) => put_replaced(&payload[..end], metadata, &marked(metadata), out),
            None => out.put(&payload[..end]),
        }
        if is_whole {
            return;
        }
        if member("timestamp").is_none() {
            put_timestamp(event, &mut out.bytes);
        }
        if metadata.is_none() {
            put_metadata(event, &mut out.bytes);
        }
    } else {
        out.bytes.extend_from_slice(br#"{"event_type":"#);
        json::string(event_type, &mut out.bytes);
        put_timestamp(event, &mut out.bytes);
        out.bytes.extend_from_slice(br#","data":"#);
        out.put(payload);
        put_metadata(event, &mut out.bytes);
    }
    out.bytes.push(b'}');
}

fn is_marked(metadata: &RawValue) -> bool {
    let members = json::members(metadata.get()).unwrap_or_default();
    json::member(&members, "op").and_then(json::text_of).as_deref() == Some(Op::Delete.name())
}

/// `metadata` with the mark of a delete: what is no object cannot bear one, so the mark takes its place.
fn marked(metadata: &RawValue) -> String {
    let mut text = String::from("{");
    for (name, value) in json::members(metadata.get()).unwrap_or_default() {
        if name != "op" {
            let mut quoted = Vec::new();
            json::string(&name, &mut quoted);
            text.push_str(&String::from_utf8_lossy(&quoted));
            text.push(':');
            text.push_str(value.get());
            text.push(',');
        }
    }
    text.push_str(r#""op":"delete"}"#);
    text
}

/// A text in which one of its values is said otherwise.
fn put_replaced(text: &[u8], value: &RawValue, other: &str, out: &mut Text) {
    // The value is a part of the text, so it stands as far behind its beginning as the two addresses differ.
    let at = value.get().as_ptr() as usize - text.as_ptr() as usize;
    let (before, rest) = text.split_at(at);
    out.put(before);
    out.bytes.extend_from_slice(other.as_bytes());
    out.put(&rest[value.get().len()..]);
}

fn put_timestamp(event: &Event, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","timestamp":""#);
    moment::put_seconds(event.time_us, out);
    out.push(b'"');
}

/// What the event says of itself besides its payload.
fn put_metadata(event: &Event, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","metadata":{"#);
    if !event.key.is_empty() {
        out.extend_from_slice(br#""key":"#);
        json::string(&event.key, out);
    }
    if event.op == Op::Delete {
        out.extend_from_slice(if event.key.is_empty() {
            br#""op":"delete""#
        } else {
            br#","op":"delete""#
        });
    }
    out.push(b'}');
}

/// An event that someone posts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    pub event_type: String,
    pub key: String,
    /// The event's text, as it was posted.
    pub text: String,
}

/// Why what was posted is not taken; `index` counts the events of one request from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostedError {
    NotJson {
        reason: Box<str>,
    },
    NotAnObject {
        index: usize,
    },
    TypeMissing {
        index: usize,
    },
    DataMissing {
        index: usize,
    },
    /// The event's id holds half of a surrogate pair, so it names nothing.
    KeyNotText {
        index: usize,
    },
    KeyTooLong {
        index: usize,
    },
    TooLarge {
        index: usize,
    },
    EventsNotAList,
    TooMany,
    Empty,
}

impl fmt::Display for PostedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { reason } => write!(f, "the body is not JSON: {reason}"),
            Self::NotAnObject { index } => write!(f, "event {index} is not an object"),
            Self::TypeMissing { index } => write!(f, "event {index} has no event_type"),
            Self::DataMissing { index } => write!(f, "event {index} has no data"),
            Self::KeyNotText { index } => {
                write!(f, "event {index} has an id that is no text: half of a surrogate pair")
            }
            Self::KeyTooLong { index } => {
                write!(f, "event {index} has an id of more than {KEY_BYTES_MAX} bytes")
            }
            Self::TooLarge { index } => {
                write!(f, "event {index} has more than {PAYLOAD_BYTES_MAX} bytes")
            }
            Self::EventsNotAList => write!(f, "events is not a list"),
            Self::TooMany => write!(f, "more than {PROVISIONING_POST_EVENTS_MAX} events"),
            Self::Empty => write!(f, "there is no event"),
        }
    }
}

impl std::error::Error for PostedError {}

/// Reads what was posted: one event, a list of them, or a batch as the server itself writes it.
///
/// # Errors
/// Which event is wrong, and how. None is taken then.
pub fn posted(body: &str) -> Result<Vec<Posted>, PostedError> {
    let not_json = |e: serde_json::Error| PostedError::NotJson { reason: e.to_string().into() };
    let raw: &RawValue = serde_json::from_str(body).map_err(not_json)?;
    let list = |text| serde_json::from_str::<Vec<&RawValue>>(text).map_err(not_json);
    let events = if raw.get().starts_with('[') {
        list(raw.get())?
    } else {
        let members =
            json::members(raw.get()).map_err(|_| PostedError::NotAnObject { index: 0 })?;
        match (json::member(&members, "event_type"), json::member(&members, "events")) {
            (None, Some(events)) => list(events.get()).map_err(|_| PostedError::EventsNotAList)?,
            _ => vec![raw],
        }
    };
    match events.len() {
        0 => Err(PostedError::Empty),
        count if count > PROVISIONING_POST_EVENTS_MAX => Err(PostedError::TooMany),
        _ => events.into_iter().enumerate().map(|(index, raw)| one(index, raw)).collect(),
    }
}

fn one(index: usize, raw: &RawValue) -> Result<Posted, PostedError> {
    if raw.get().len() > PAYLOAD_BYTES_MAX {
        return Err(PostedError::TooLarge { index });
    }
    let members = json::members(raw.get()).map_err(|_| PostedError::NotAnObject { index })?;
    let event_type = json::member(&members, "event_type").and_then(json::text_of);
    let event_type =
        event_type.filter(|name| !name.is_empty()).ok_or(PostedError::TypeMissing { index })?;
    let data = json::member(&members, "data").ok_or(PostedError::DataMissing { index })?;
    let metadata = json::member(&members, "metadata");
    let within = [Some(data), metadata].into_iter().flatten();
    let key = within
        .filter_map(|part| json::members(part.get()).ok())
        .find_map(|part| key_of(&event_type, &part))
        .unwrap_or_else(|| Ok(String::new()))
        .map_err(|_| PostedError::KeyNotText { index })?;
    if key.len() > KEY_BYTES_MAX {
        return Err(PostedError::KeyTooLong { index });
    }
    Ok(Posted { event_type, key, text: raw.get().to_owned() })
}

fn key_of(event_type: &str, part: &json::Members<'_>) -> Option<Result<String, NotText>> {
    types::key_members(event_type).iter().find_map(|name| {
        let value = json::member(part, name)?;
        let is_number = value.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
        if is_number { Some(Ok(value.get().to_owned())) } else { json::key_text_of(value) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::testing::event;

    fn said(event_type: &str, key: &str, payload: &'static str) -> String {
        let mut out = Text::default();
        let event = event(event_type, key, Op::Upsert, payload);
        encode(&event, Payload::Whole(&event.payload), event_type, &mut out);
        String::from_utf8(out.bytes).unwrap()
    }

    #[test]
    fn an_event_of_ours_becomes_the_data_of_one() {
        assert_eq!(
            said("aircraft", "4067f2", r#"{"altitude":38000.0}"#),
            r#"{"event_type":"aircraft","timestamp":"2025-09-26T10:00:00Z","data":{"altitude":38000.0},"metadata":{"key":"4067f2"}}"#
        );
    }

    #[test]
    fn one_that_is_an_event_already_is_passed_on_as_it_is() {
        let whole = r#"{ "event_type":"X", "timestamp":"t", "data":{"a":1.0}, "metadata":{"n":1}, "more":true }"#;
        assert_eq!(said("X", "", whole), whole);
        assert_eq!(
            said("X", "k", r#"{"event_type":"X","data":[1]}"#),
            r#"{"event_type":"X","data":[1],"timestamp":"2025-09-26T10:00:00Z","metadata":{"key":"k"}}"#
        );
        assert_eq!(
            said("Custom", "", r#"{"event_type":"Custom","data":{"a":1},"trace_id":"t1" } "#),
            r#"{"event_type":"Custom","data":{"a":1},"trace_id":"t1" ,"timestamp":"2025-09-26T10:00:00Z","metadata":{}}"#
        );
        assert_eq!(
            said("X", "k", r#"{"event_type":"X","metadata":{},"n":1,"data":null}"#),
            r#"{"event_type":"X","metadata":{},"n":1,"data":null,"timestamp":"2025-09-26T10:00:00Z"}"#
        );
        assert_eq!(
            said("Y", "", r#"{"event_type":"X","data":1}"#),
            r#"{"event_type":"Y","timestamp":"2025-09-26T10:00:00Z","data":{"event_type":"X","data":1},"metadata":{}}"#
        );
    }

    #[test]
    fn a_delete_is_marked_whatever_its_payload_is() {
        let deleted = |payload: &'static str| {
            let mut out = Text::default();
            let event = event("X", "k", Op::Delete, payload);
            encode(&event, Payload::Whole(&event.payload), "X", &mut out);
            String::from_utf8(out.bytes).unwrap()
        };
        assert_eq!(
            deleted("{}"),
            r#"{"event_type":"X","timestamp":"2025-09-26T10:00:00Z","data":{},"metadata":{"key":"k","op":"delete"}}"#
        );
        for (metadata, marked) in [
            ("{}", r#"{"op":"delete"}"#),
            (r#"{ "n":1.0, "m":{} }"#, r#"{"n":1.0,"m":{},"op":"delete"}"#),
            (r#"{ "op":"delete" }"#, r#"{ "op":"delete" }"#),
            (r#"{"op":"upsert","n":1}"#, r#"{"n":1,"op":"delete"}"#),
            ("null", r#"{"op":"delete"}"#),
        ] {
            let whole = |metadata: &str| {
                format!(r#"{{"event_type":"X","metadata":{metadata}, "timestamp":"t","data":1}}"#)
            };
            assert_eq!(deleted(whole(metadata).leak()), whole(marked));
        }
        assert_eq!(
            deleted(r#"{"event_type":"X","data":1}"#),
            r#"{"event_type":"X","data":1,"timestamp":"2025-09-26T10:00:00Z","metadata":{"key":"k","op":"delete"}}"#
        );
    }

    #[test]
    fn what_is_posted_is_one_many_or_a_batch() {
        let one = r#"{"event_type":"TaskStatusChanged","data":{"task_id":7}}"#;
        let posted_one =
            Posted { event_type: "TaskStatusChanged".into(), key: "7".into(), text: one.into() };
        assert_eq!(posted(one), Ok(vec![posted_one.clone()]));
        assert_eq!(
            posted(&format!("[{one},{one}]")),
            Ok(vec![posted_one.clone(), posted_one.clone()])
        );
        assert_eq!(
            posted(&format!(r#"{{"type":"batch","events":[{one}]}}"#)),
            Ok(vec![posted_one])
        );
        assert_eq!(posted("[]"), Err(PostedError::Empty));
        assert_eq!(posted("[1]"), Err(PostedError::NotAnObject { index: 0 }));
        assert_eq!(posted(r#"{"data":1}"#), Err(PostedError::TypeMissing { index: 0 }));
        assert_eq!(posted(r#"{"event_type":"X"}"#), Err(PostedError::DataMissing { index: 0 }));
        assert_eq!(posted(r#"{"type":"batch","events":5}"#), Err(PostedError::EventsNotAList));
        let half = r#"{"event_type":"TaskStatusChanged","data":{"task_id":"\ud800"}}"#;
        assert_eq!(posted(half), Err(PostedError::KeyNotText { index: 0 }));
        assert!(matches!(posted("{"), Err(PostedError::NotJson { .. })));
    }
}
