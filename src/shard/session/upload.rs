//! `POST /v1/publish/{topic}`: one JSON object, or one a line for as long as the client likes.
//!
//! Invariants: lines are published in their order, a run at a time; a faulty line costs itself only; what was refused because the server is
//! full was not taken, nor was any later line, and the answer says which line that was. Holds one unfinished line, never the body.

use std::sync::Arc;

use bytes::Bytes;

use super::super::Shard;
use super::super::ingest::Ingest;
use super::super::input::ConnId;
use super::PublishResult;
use super::http::UploadState;
use super::http::refusal_body;
use super::websocket::refusal_of;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::event::Draft;
use crate::event::Op;
use crate::event::TopicName;
use crate::event::fields::KeyField;
use crate::limits::KEY_BYTES_MAX;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::limits::RETRY_AFTER_S;
use crate::limits::UPLOAD_ERRORS_MAX;
use crate::limits::UPLOAD_HELD_MS_MAX;
use crate::limits::UPLOAD_RATE_EMPTY_RETRY_MS;
use crate::limits::UPLOAD_RATE_RETRY_MS;
use crate::limits::UPLOAD_RETRY_MS;
use crate::wire::http::Answering;
use crate::wire::http::BodyDecoder;
use crate::wire::http::Framing;
use crate::wire::http::Head;
use crate::wire::http::HttpError;
use crate::wire::http::Name;
use crate::wire::http::Reply;

/// An upload on its way.
#[derive(Debug)]
pub(super) struct Upload {
    terms: Terms,
    body: BodyDecoder,
    /// The line, or the object, that has not ended yet.
    line: Vec<u8>,
    line_bytes_max: usize,
    /// The rest of the line is passed over: it is too long.
    is_skipping: bool,
    /// Lines ended so far.
    lines: u64,
    /// What is being published, and the line of each.
    drafts: Vec<Draft>,
    draft_lines: Vec<u64>,
    /// Home shards have not answered yet.
    is_underway: bool,
    /// Since when the server has been full, in milliseconds since the start.
    held_ms: Option<u64>,
    /// How long it waits before it tries again.
    retry_ms: u64,
    accepted: u64,
    rejected: u64,
    errors: Vec<(u64, Refusal)>,
    offset: Option<u64>,
    /// Nothing more is taken, and this is why.
    refused: Option<RefusalCode>,
}

/// What the request's head says.
#[derive(Debug)]
struct Terms {
    topic: TopicName,
    key: Key,
    op: Option<Op>,
    ordered: bool,
    ndjson: bool,
}

#[derive(Debug)]
enum Key {
    None,
    Given(Arc<str>),
    Field(Box<str>),
}

impl Upload {
    /// Reads a request's head.
    ///
    /// # Errors
    /// The status, and what is wrong.
    pub(super) fn read(head: &Head, message_bytes_max: usize) -> Result<Self, (u16, Refusal)> {
        let terms = Terms::read(head)?;
        let line_bytes_max = message_bytes_max.min(PAYLOAD_BYTES_MAX);
        let limit = if terms.ndjson { u64::MAX } else { line_bytes_max as u64 };
        let body = BodyDecoder::new(head.framing, limit)
            .map_err(|error| (error.status(), too_large(&error)))?;
        if head.framing == Framing::None {
            return Err((400, Refusal::new(RefusalCode::BadJson, "the request has no body")));
        }
        Ok(Self {
            terms,
            body,
            line: Vec::new(),
            line_bytes_max,
            is_skipping: false,
            lines: 0,
            drafts: Vec::new(),
            draft_lines: Vec::new(),
            is_underway: false,
            held_ms: None,
            retry_ms: UPLOAD_RETRY_MS,
            accepted: 0,
            rejected: 0,
            errors: Vec::new(),
            offset: None,
            refused: None,
        })
    }

    /// Where its events go.
    pub(super) fn topic(&self) -> &TopicName {
        &self.terms.topic
    }

    /// Whether it takes no more of its body for now.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_underway || self.is_held()
    }

    pub(super) fn is_held(&self) -> bool {
        self.held_ms.is_some() && self.refused.is_none()
    }

    /// Takes a piece of the body in.
    fn feed(&mut self, piece: &[u8], ingest: &mut Ingest) {
        if !self.terms.ndjson {
            self.line.extend_from_slice(piece);
            return;
        }
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            rest = after;
            if self.line.is_empty() && !self.is_skipping {
                self.end_line(line, ingest);
            } else {
                self.grow_line(line);
                let line = std::mem::take(&mut self.line);
                self.end_line(&line, ingest);
            }
        }
        self.grow_line(rest);
    }

    fn grow_line(&mut self, piece: &[u8]) {
        if self.line.len() + piece.len() > self.line_bytes_max {
            self.is_skipping = true;
            self.line = Vec::new();
        }
        if !self.is_skipping {
            self.line.extend_from_slice(piece);
        }
    }

    /// A line, or the whole object, is complete.
    fn end_line(&mut self, line: &[u8], ingest: &mut Ingest) {
        self.lines += 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if std::mem::take(&mut self.is_skipping) || line.len() > self.line_bytes_max {
            let message = format_args!("the line is longer than {} bytes", self.line_bytes_max);
            return self.reject(self.lines, Refusal::new(RefusalCode::TooLarge, message));
        }
        if self.terms.ndjson && line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        match self.terms.draft(line, ingest) {
            Ok(draft) => {
                self.drafts.push(draft);
                self.draft_lines.push(self.lines);
            }
            Err(refusal) => self.reject(self.lines, refusal),
        }
    }

    fn reject(&mut self, line: u64, refusal: Refusal) {
        self.rejected += 1;
        if self.errors.len() < UPLOAD_ERRORS_MAX {
            self.errors.push((line, refusal));
        }
    }

    /// Notes what became of the drafts.
    pub(super) fn take_results(&mut self, results: &[PublishResult], now: Now) {
        self.is_underway = false;
        for (index, result) in results.iter().enumerate() {
            match result {
                Ok(placed) => {
                    self.accepted += 1;
                    self.offset = Some(placed.offset);
                }
                Err(code @ (RefusalCode::Full | RefusalCode::RateLimited)) => {
                    self.drafts.drain(..index);
                    self.draft_lines.drain(..index);
                    self.retry_ms = UPLOAD_RETRY_MS;
                    if *code == RefusalCode::RateLimited {
                        self.retry_ms = match index {
                            0 => UPLOAD_RATE_EMPTY_RETRY_MS,
                            _ => UPLOAD_RATE_RETRY_MS,
                        };
                        // Slowly is as it should be: it goes on for as long as something is taken.
                        self.held_ms = self.held_ms.filter(|_| index == 0);
                    }
                    let since_ms = *self.held_ms.get_or_insert(now.mono_ms);
                    let gives_up = !self.terms.ndjson
                        || now.mono_ms.saturating_sub(since_ms) >= UPLOAD_HELD_MS_MAX;
                    if gives_up {
                        self.refused = Some(*code);
                    }
                    return;
                }
                Err(RefusalCode::ShuttingDown) => {
                    self.draft_lines.drain(..index);
                    self.refused = Some(RefusalCode::ShuttingDown);
                    return;
                }
                Err(code) => {
                    self.reject(self.draft_lines[index], refusal_of(*code, &self.terms.topic));
                }
            }
        }
        self.held_ms = None;
        self.drafts.clear();
        self.draft_lines.clear();
    }

    pub(super) fn retry_ms(&self) -> u64 {
        self.retry_ms
    }

    /// What is to be tried again.
    pub(super) fn retry(&mut self) -> Option<Vec<Draft>> {
        if !self.is_held() || self.is_underway {
            return None;
        }
        self.is_underway = true;
        Some(self.drafts.clone())
    }

    /// The answer's status and body.
    fn answer(&self) -> (u16, Vec<u8>) {
        if let Some(code) = self.refused {
            let refusal = refusal_of(code, &self.terms.topic);
            let line = self.draft_lines.first();
            let mut body = serde_json::json!({
                "error": { "code": code.name(), "message": refusal.message },
                "accepted": self.accepted,
            });
            if let (true, Some(line)) = (self.terms.ndjson, line) {
                body["line"] = (*line).into();
            }
            let status = if code == RefusalCode::ShuttingDown { 503 } else { 429 };
            return (status, body.to_string().into_bytes());
        }
        if let (false, Some((_, refusal))) = (self.terms.ndjson, self.errors.first()) {
            let status = match refusal.code {
                RefusalCode::TooLarge => 413,
                RefusalCode::TooManyTopics => 429,
                _ => 400,
            };
            return (status, refusal_body(refusal));
        }
        let status = match (self.accepted, self.rejected, self.terms.ordered) {
            (0, 1.., _) => 400,
            (_, _, true) => 200,
            (_, _, false) => 202,
        };
        (status, Vec::new())
    }

    /// `{"accepted":…,"topic":…,"epoch":…,"offset":…,"rejected":…,"errors":[…]}`
    fn count(&self, epoch: &str) -> Vec<u8> {
        let mut body = serde_json::Map::new();
        body.insert("accepted".into(), self.accepted.into());
        body.insert("topic".into(), self.terms.topic.as_str().into());
        if self.terms.ordered {
            body.insert("epoch".into(), epoch.into());
            body.insert("offset".into(), self.offset.into());
        }
        if self.terms.ndjson {
            body.insert("rejected".into(), self.rejected.into());
            let errors = self.errors.iter().map(|(line, refusal)| {
                let mut error = serde_json::json!({ "line": line, "code": refusal.code.name(), "message": refusal.message });
                if let Some(field) = &refusal.field {
                    error["field"] = (**field).into();
                }
                error
            });
            body.insert("errors".into(), errors.collect::<Vec<_>>().into());
            let omitted = self.rejected - self.errors.len() as u64;
            if omitted > 0 {
                body.insert("errors_omitted".into(), omitted.into());
            }
        }
        serde_json::Value::from(body).to_string().into_bytes()
    }
}

impl Terms {
    fn read(head: &Head) -> Result<Self, (u16, Refusal)> {
        let bad = |field: &str, message: &dyn std::fmt::Display| {
            (400, Refusal::of(RefusalCode::BadField, field, message))
        };
        let text = head.path_after("/v1/publish/").unwrap_or_default();
        let topic = TopicName::new(&text)
            .map_err(|e| (400, Refusal::of(RefusalCode::BadTopic, "topic", e)))?;
        let (mut key, mut op, mut ordered) = (Key::None, None, true);
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
                ("ack", "ordered") => ordered = true,
                ("ack", "none") => ordered = false,
                ("ack", word) => {
                    return Err(bad(
                        "ack",
                        &format_args!("ack is `ordered` or `none`, not {word:?}"),
                    ));
                }
                (name, _) => {
                    let message = format_args!("publishing has no parameter `{name}`");
                    return Err((400, Refusal::of(RefusalCode::UnknownField, name, message)));
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
        Ok(Self { topic, key, op, ordered, ndjson: is_ndjson(head)? })
    }

    fn draft(&self, bytes: &[u8], ingest: &mut Ingest) -> Result<Draft, Refusal> {
        let bad_json =
            |error: crate::event::PayloadError| Refusal::new(RefusalCode::BadJson, error);
        let (key, fields) = match &self.key {
            Key::None => (Arc::from(""), ingest.take(bytes).map_err(bad_json)?),
            Key::Given(key) => (Arc::clone(key), ingest.take(bytes).map_err(bad_json)?),
            Key::Field(field) => {
                let (fields, key) = ingest.take_with_key(bytes, field).map_err(bad_json)?;
                (key_in(field, key)?, fields)
            }
        };
        let op = self.op.unwrap_or(if key.is_empty() { Op::Event } else { Op::Upsert });
        let payload = Bytes::copy_from_slice(bytes);
        Ok(Draft { topic: self.topic.clone(), key, op, payload, fields })
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

fn too_large(error: &HttpError) -> Refusal {
    Refusal::new(RefusalCode::TooLarge, error)
}

/// Whether a body has an object a line. `curl -d` says that it sends a form unless it is told otherwise, and is taken for JSON.
fn is_ndjson(head: &Head) -> Result<bool, (u16, Refusal)> {
    if head
        .value(Name::ContentEncoding)
        .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
    {
        let message = "a body is not to be encoded (Content-Encoding)";
        return Err((415, Refusal::of(RefusalCode::BadField, "Content-Encoding", message)));
    }
    let Some(content_type) = head.value(Name::ContentType) else { return Ok(false) };
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media_type.as_str() {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines" => Ok(true),
        "" | "application/json" | "text/json" | "application/x-www-form-urlencoded" => Ok(false),
        other => {
            let message =
                format_args!("a body is application/json or application/x-ndjson, not {other}");
            Err((415, Refusal::of(RefusalCode::BadField, "Content-Type", message)))
        }
    }
}

impl Shard {
    /// Takes in what was read of an upload's body, publishes it, and answers when all is done. What is left of the input is the next request's.
    pub(super) fn upload_go_on(
        &mut self,
        id: ConnId,
        mut upload: Box<Upload>,
        mut input: Vec<u8>,
        answering: &Answering,
        now: Now,
    ) -> (UploadState, Vec<u8>) {
        let mut consumed = 0;
        while upload.refused.is_none() && !upload.body.is_done() && consumed < input.len() {
            match upload.body.decode(&input[consumed..]) {
                Ok(decoded) => {
                    upload.feed(&input[consumed..][decoded.data], &mut self.ingest);
                    consumed += decoded.consumed;
                }
                Err(error) => {
                    self.refuse_body(id, error, answering, now);
                    return (UploadState::Ended, Vec::new());
                }
            }
        }
        input.drain(..consumed);
        let ends = upload.body.is_done() && upload.refused.is_none();
        if ends
            && (!upload.line.is_empty() || upload.is_skipping || !upload.terms.ndjson)
            && upload.lines_open()
        {
            let line = std::mem::take(&mut upload.line);
            upload.end_line(&line, &mut self.ingest);
        }
        if upload.refused.is_none() && !upload.drafts.is_empty() {
            upload.is_underway = true;
            if let Some(results) = self.publish(id, upload.drafts.clone(), now) {
                upload.take_results(&results, now);
            }
        }
        if upload.is_held()
            && !upload.is_underway
            && let Some(conn) = self.conns.conn_ref(id)
        {
            self.held.push(now.mono_ms + upload.retry_ms, conn);
        }
        let is_over = upload.refused.is_some() || upload.body.is_done();
        if upload.is_waiting() || !is_over {
            return (UploadState::More(upload), input);
        }
        (self.answer_upload(id, &upload, answering, now), input)
    }

    fn answer_upload(
        &mut self,
        id: ConnId,
        upload: &Upload,
        answering: &Answering,
        now: Now,
    ) -> UploadState {
        let (status, body) = upload.answer();
        let body = if body.is_empty() { upload.count(&self.epoch) } else { body };
        let stays = answering.stays() && upload.body.is_done();
        let answering = if stays { answering.clone() } else { answering.last() };
        let mut out = Vec::new();
        let mut reply = Reply::begin(&mut out, status, &answering);
        if matches!(status, 429 | 503) {
            reply = reply.header("retry-after", &RETRY_AFTER_S.to_string());
        }
        reply.body("application/json", &body);
        self.push_item(id, Item::Raw(out.into()));
        if stays {
            return UploadState::Answered;
        }
        self.close_after_sent(id, now);
        UploadState::Ended
    }

    fn refuse_body(&mut self, id: ConnId, error: HttpError, answering: &Answering, now: Now) {
        let mut out = Vec::new();
        error.write_reply(&mut out, answering);
        self.push_item(id, Item::Raw(out.into()));
        self.close_after_sent(id, now);
    }
}

impl Upload {
    /// Whether the object of a single-object upload has still to be taken, or a last line has no line break.
    fn lines_open(&self) -> bool {
        self.terms.ndjson || self.lines == 0
    }
}
