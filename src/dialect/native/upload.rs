//! `POST /v1/publish/{topic}`: one JSON object, or one a line for as long as the client likes.
//!
//! Invariant: of an upload of lines every answer says how many events were taken and the offset of the last; of one that ended early also which line
//! was the first that was not.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::dialect::Ended;
use crate::dialect::FindFields;
use crate::dialect::LINES;
use crate::dialect::Lines;
use crate::dialect::MediaType;
use crate::dialect::NotOpened;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Response;
use crate::dialect::Uploaded;
use crate::dialect::Uploading;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Meta;
use crate::event::Op;
use crate::event::PayloadError;
use crate::event::TRACEPARENT;
use crate::event::TopicName;
use crate::event::TraceContext;
use crate::event::fields::KeyField;
use crate::limits::KEY_BYTES_MAX;
use crate::wire::http::Head;
use crate::wire::http::Name;

/// What the topic stands behind.
pub(super) const PATH: &str = "/v1/publish/";

/// Begins an upload.
pub(super) fn open(head: &Head, media: Option<&'static MediaType>) -> Result<Uploading, NotOpened> {
    let has_lines = media == Some(&LINES);
    let terms = Terms::read(head, has_lines).map_err(NotOpened::Refused)?;
    Ok(Uploading { topic: terms.topic.clone(), has_lines, lines: Box::new(terms) })
}

/// What the request's head says.
#[derive(Debug)]
struct Terms {
    topic: TopicName,
    key: Key,
    op: Option<Op>,
    ack: Ack,
    /// Of all its events.
    meta: Option<Arc<Meta>>,
    ndjson: bool,
}

#[derive(Debug)]
enum Key {
    None,
    Given(Arc<str>),
    Field(Box<str>),
}

impl Terms {
    fn read(head: &Head, has_lines: bool) -> Result<Self, Refusal> {
        let bad = |field: &str, message: &dyn std::fmt::Display| {
            Refusal::of(RefusalCode::BadField, field, message)
        };
        let text = head.path_after(PATH).unwrap_or_default();
        let topic =
            TopicName::new(&text).map_err(|e| Refusal::of(RefusalCode::BadTopic, "topic", e))?;
        let (mut key, mut op, mut ack) = (Key::None, None, Ack::default());
        for (name, value) in head.query_pairs() {
            match (&*name, &*value) {
                ("key_field", "") => return Err(bad("key_field", &"`key_field` is empty")),
                ("key_field", field) => key = Key::Field(field.into()),
                ("op", word) => {
                    let message = format_args!("op is `upsert`, `delete` or `event`, not {word:?}");
                    op = Some(Op::from_name(word).ok_or_else(|| bad("op", &message))?);
                }
                // Whose request it is has been found out before this.
                ("token", _) => {}
                ("ack", word) => {
                    let message = format_args!(
                        "ack is `none`, `ordered`, `stored` or `durable`, not {word:?}"
                    );
                    ack = Ack::from_name(word).ok_or_else(|| bad("ack", &message))?;
                }
                (name, _) => {
                    let message = format_args!("publishing has no parameter `{name}`");
                    return Err(Refusal::of(RefusalCode::UnknownField, name, message));
                }
            }
        }
        if let Some(given) = head.value(Name::FanwireKey) {
            if given.len() > KEY_BYTES_MAX {
                return Err(bad(
                    "Fanwire-Key",
                    &format_args!(
                        "the key has {} bytes; at most {KEY_BYTES_MAX} are allowed",
                        given.len()
                    ),
                ));
            }
            if matches!(key, Key::Field(_)) {
                return Err(bad(
                    "Fanwire-Key",
                    &"a key is given by this field or by `key_field`, not by both",
                ));
            }
            key = Key::Given(Arc::from(given));
        }
        // One that is none says nothing (W3C Trace Context section 3.2): the request is as good without it.
        let meta = Meta::of_trace(TraceContext::parse_only(head.headers(TRACEPARENT)));
        Ok(Self { topic, key, op, ack, meta, ndjson: has_lines })
    }
}

impl Lines for Terms {
    fn draft(&self, bytes: &[u8], find: &mut dyn FindFields) -> Result<Draft, Refusal> {
        let bad_json = |error: PayloadError| Refusal::new(RefusalCode::BadJson, error);
        let (key, fields) = match &self.key {
            Key::None => (Arc::from(""), find.find(bytes).map_err(bad_json)?),
            Key::Given(key) => (Arc::clone(key), find.find(bytes).map_err(bad_json)?),
            Key::Field(field) => {
                let (fields, key) = find.find_with_key(bytes, field).map_err(bad_json)?;
                (key_in(field, key)?, fields)
            }
        };
        let op = self.op.unwrap_or(if key.is_empty() { Op::Event } else { Op::Upsert });
        let payload = Bytes::copy_from_slice(bytes);
        let (topic, ack, meta) = (self.topic.clone(), self.ack, self.meta.clone());
        Ok(Draft { topic, key, op, payload, fields, ack, meta })
    }

    fn answer(&self, uploaded: &Uploaded<'_>) -> Response {
        match uploaded.ended {
            Some(Ended::Refused(code)) => {
                let status = match code {
                    RefusalCode::ShuttingDown | RefusalCode::Unavailable => 503,
                    RefusalCode::DiskFull => 507,
                    _ => 429,
                };
                let message = Refusal::of_publish(code, &self.topic).message;
                Response::json(status, self.counts_with(uploaded, code.name(), &message))
            }
            Some(Ended::Cut { status, code, message }) if self.ndjson => {
                Response::json(status, self.counts_with(uploaded, code, message))
            }
            Some(Ended::Cut { status, code, message }) => Response::error(status, code, message),
            None => self.answer_whole(uploaded),
        }
    }
}

impl Terms {
    /// What is answered to a body that came to its end.
    fn answer_whole(&self, uploaded: &Uploaded<'_>) -> Response {
        if let (false, Some((_, refusal))) = (self.ndjson, uploaded.errors.first()) {
            let status = match refusal.code {
                RefusalCode::TooLarge => 413,
                RefusalCode::TooManyTopics => 429,
                _ => 400,
            };
            return Response::refusal(status, refusal);
        }
        let status = match (uploaded.accepted, uploaded.rejected, self.ack) {
            (0, 1.., _) => 400,
            (_, _, Ack::None) => 202,
            (_, _, Ack::Ordered | Ack::Stored | Ack::Durable) => 200,
        };
        Response::json(status, Value::from(self.counts(uploaded)).to_string())
    }

    /// What was taken, up to where, and why it was no more.
    fn counts_with(&self, uploaded: &Uploaded<'_>, code: &str, message: &str) -> String {
        let mut body = if self.ndjson { self.counts(uploaded) } else { Map::new() };
        body.insert("accepted".into(), uploaded.accepted.into());
        body.insert("error".into(), json!({ "code": code, "message": message }));
        if let (true, Some(line)) = (self.ndjson, uploaded.next_line) {
            body.insert("line".into(), line.into());
        }
        Value::from(body).to_string()
    }

    /// `{"accepted":…,"topic":…,"epoch":…,"offset":…,"rejected":…,"errors":[…]}`
    fn counts(&self, uploaded: &Uploaded<'_>) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("accepted".into(), uploaded.accepted.into());
        body.insert("topic".into(), self.topic.as_str().into());
        if self.ack > Ack::None {
            body.insert("epoch".into(), uploaded.epoch.into());
            body.insert("offset".into(), uploaded.offset.into());
        }
        if self.ndjson {
            body.insert("rejected".into(), uploaded.rejected.into());
            let errors = uploaded.errors.iter().map(|(line, refusal)| {
                let mut error = json!({ "line": line, "code": refusal.code.name(), "message": refusal.message });
                if let Some(field) = &refusal.field {
                    error["field"] = (**field).into();
                }
                error
            });
            body.insert("errors".into(), errors.collect::<Vec<_>>().into());
            let omitted = uploaded.rejected - uploaded.errors.len() as u64;
            if omitted > 0 {
                body.insert("errors_omitted".into(), omitted.into());
            }
        }
        body
    }
}

/// The key that was to be taken from a member of the payload.
fn key_in(field: &str, found: KeyField) -> Result<Arc<str>, Refusal> {
    let bad = |message: String| Err(Refusal::of(RefusalCode::BadField, field, message));
    match found {
        KeyField::Missing => {
            bad(format!("the payload has no member `{field}` to take the key from"))
        }
        KeyField::NotScalar => {
            bad(format!("member `{field}`, the key, is neither a string nor a number"))
        }
        KeyField::NotText => {
            bad(format!("member `{field}`, the key, is no text: it has half of a surrogate pair"))
        }
        KeyField::Text(key) if key.len() > KEY_BYTES_MAX => {
            let bytes = key.len();
            bad(format!(
                "member `{field}`, the key, has {bytes} bytes; at most {KEY_BYTES_MAX} are allowed"
            ))
        }
        KeyField::Text(key) => Ok(key),
    }
}
