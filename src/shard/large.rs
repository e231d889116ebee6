//! Large events go out in pieces: what is a connection's or a class's own, and the payload, which lies in memory once for all who are sent it.
//!
//! Invariant: a piece is shared by all who are sent it, or is no longer than a few names and numbers, so an event takes no more memory for ten
//! thousand who are behind than for one. What is left of a batch is a batch of its own. Never sends anything.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::class::Audience;
use super::codec::Codec;
use super::encoded;
use super::encoded::Body;
use super::encoded::Encoded;
use super::transport::Transport;
use super::transport::Voice;
use super::voice;
use super::voice::SseId;
use crate::batch::Encoding;
use crate::batch::Kept;
use crate::batch::LargeEvent;
use crate::batch::LargeEvents;
use crate::batch::Piece;
use crate::batch::TextForm;
use crate::batch::TextOf;
use crate::dialect::BatchPart;
use crate::dialect::Form;
use crate::dialect::Run;
use crate::dialect::Told;
use crate::dialect::json;
use crate::event::Event;
use crate::event::Text;
use crate::event::text::Coding;
use crate::event::text::Run as TextRun;
use crate::wire::deflate;
use crate::wire::frame::Coding as FrameCoding;
use crate::wire::frame::Header;
use crate::wire::sse;

/// What is made from a large event.
pub(super) struct Making<'a> {
    codec: Rc<Codec>,
    events: &'a mut LargeEvents,
    large: Rc<LargeEvent>,
    /// What has been written since the last piece of someone else's.
    own: Vec<u8>,
    pieces: Vec<Piece>,
}

/// One message: its body, and what stands around it.
struct LargeMessage<'a> {
    /// What an event stream calls the message.
    kind: &'a str,
    head: &'a [u8],
    body: &'a Body,
    tail: &'a [u8],
    sse_id: Option<SseId<'a>>,
}

/// The pieces of an event's messages for these subscriptions of a class. Of a batch it is the only event.
pub(super) fn pieces(
    encoded: &mut Encoded,
    events: &mut LargeEvents,
    to: Audience<'_>,
    event: &Arc<Event>,
    (subs, told): (u64, Told),
    sse_id: Option<SseId<'_>>,
) -> Vec<Piece> {
    let voice = to.class.key.voice;
    let large = events.of(event);
    let codec = encoded.codec();
    let mut making = Making { codec, events, large, own: Vec::new(), pieces: Vec::new() };
    let is_batched = voice::batch_of(to.class, subs).is_some();
    let dialect = encoded::dialect_of(to.class, subs, Form::InBatch);
    // What is made of records is made of one as it is of an event that is a message of its own.
    if let Some(Run::Joined(put)) = dialect.speaker().run.filter(|_| is_batched) {
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        put(BatchPart::Begin, event.time_us, &mut head);
        put(BatchPart::End, 0, &mut tail);
        let (body, own_head) = encoded.parts(to, event, subs, (Form::InBatch, told));
        head.extend_from_slice(own_head);
        let sse_id = sse_id.filter(|_| voice.is_sse());
        making.put_message(
            voice,
            &LargeMessage { kind: "batch", head: &head, body, tail: &tail, sse_id },
        );
    } else {
        for subs in voice::messages(to, subs) {
            let (body, head) = encoded.parts(to, event, subs, (Form::Single, told));
            making.put_message(voice, &LargeMessage { kind: "", head, body, tail: &[], sse_id });
        }
    }
    making.end_own();
    making.pieces
}

impl Making<'_> {
    fn end_own(&mut self) {
        if !self.own.is_empty() {
            self.pieces.push(Piece::Bytes(Bytes::copy_from_slice(&self.own)));
            self.own.clear();
        }
    }

    fn put_all(&mut self, pieces: Vec<Piece>) {
        self.end_own();
        self.pieces.extend(pieces);
    }

    fn put_message(&mut self, voice: Voice, message: &LargeMessage<'_>) {
        match voice.transport {
            Transport::WebSocket { .. } => self.put_frame(voice, message),
            Transport::Sse { chunked } => self.put_sse(chunked, message),
            Transport::Messages => self.put_enveloped(voice, message),
            Transport::Bare => self.put_bare(message),
        }
    }

    fn put_frame(&mut self, voice: Voice, message: &LargeMessage<'_>) {
        if let Some(text) = self.deflated(voice, message.body) {
            return self.put_deflated(voice, text, message);
        }
        let body = self.body(message.body, TextForm::Whole);
        let bytes = message.head.len() + length(&body) + message.tail.len();
        let header = Header::whole(voice.opcode(), FrameCoding::Plain, bytes);
        self.own.extend_from_slice(header.as_bytes());
        self.own.extend_from_slice(message.head);
        self.put_all(body);
        self.own.extend_from_slice(message.tail);
    }

    fn put_bare(&mut self, message: &LargeMessage<'_>) {
        let body = self.body(message.body, TextForm::Whole);
        self.own.extend_from_slice(message.head);
        self.put_all(body);
        self.own.extend_from_slice(message.tail);
    }

    /// The head and the tail are stored, so that the body is deflated once whatever stands around it.
    fn put_deflated(&mut self, voice: Voice, text: Rc<Kept>, message: &LargeMessage<'_>) {
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        deflate::stored_head(message.head, &mut head);
        deflate::stored_tail(message.tail, &mut tail);
        let bytes = head.len() + text.bytes().len() + tail.len();
        let header = Header::whole(voice.opcode(), FrameCoding::Deflated, bytes);
        self.own.extend_from_slice(header.as_bytes());
        self.own.append(&mut head);
        self.put_all(vec![Piece::Kept { kept: text, from: 0 }]);
        self.own.append(&mut tail);
    }

    fn put_sse(&mut self, chunked: bool, message: &LargeMessage<'_>) {
        let id = message.sse_id.and_then(voice::sse_cursor);
        let event =
            sse::Event { id: id.as_deref().unwrap_or_default(), event: message.kind, data: &[] };
        let (mut before, mut after) = (Vec::new(), Vec::new());
        event.put_before_data(&mut before);
        sse::put_data(&mut before, message.head);
        sse::put_data(&mut after, message.tail);
        event.put_after_data(&mut after);
        let body = self.body(message.body, TextForm::Lines);
        if chunked {
            let bytes = before.len() + length(&body) + after.len();
            sse::put_chunk_head(&mut self.own, bytes);
            after.extend_from_slice(sse::CHUNK_END);
        }
        self.own.append(&mut before);
        self.put_all(body);
        self.own.append(&mut after);
    }

    fn put_enveloped(&mut self, voice: Voice, message: &LargeMessage<'_>) {
        let body = self.body(message.body, TextForm::Whole);
        let bytes = message.head.len() + length(&body) + message.tail.len();
        let mut envelope = Vec::new();
        voice::put_envelope(voice, bytes, &mut envelope);
        sse::put_chunk_head(&mut self.own, envelope.len() + bytes);
        self.own.append(&mut envelope);
        self.own.extend_from_slice(message.head);
        self.put_all(body);
        self.own.extend_from_slice(message.tail);
        self.own.extend_from_slice(sse::CHUNK_END);
    }

    /// A body as it is sent: parts of the payload where they can be sent as they are, else a text that all share.
    fn body(&mut self, body: &Body, form: TextForm) -> Vec<Piece> {
        let breaks = |bytes: &[u8]| form == TextForm::Lines && sse::has_lines(bytes);
        let is_as_it_is = body.text.runs().all(|run| match run {
            TextRun::Written(bytes) => !breaks(bytes),
            TextRun::Part(part) => part.coding == Coding::Plain && !breaks(&part.bytes),
        });
        if !is_as_it_is {
            let text = self.text(body, form, |out| match form {
                TextForm::Lines => sse::put_data(out, &written(&body.text)),
                _ => *out = written(&body.text),
            });
            return vec![Piece::Kept { kept: text, from: 0 }];
        }
        let runs = body.text.runs().map(|run| match run {
            TextRun::Written(bytes) => Piece::Bytes(Bytes::copy_from_slice(bytes)),
            TextRun::Part(part) => {
                Piece::Part { bytes: part.bytes.clone(), of: Rc::clone(&self.large) }
            }
        });
        runs.collect()
    }

    /// The deflated body for those who can inflate it, if there is room to keep it for those who are behind.
    fn deflated(&mut self, voice: Voice, body: &Body) -> Option<Rc<Kept>> {
        let window_bits = voice::window_bits(voice)?;
        let bytes = body.text.runs().map(|run| match run {
            TextRun::Written(bytes) => bytes.len(),
            TextRun::Part(part) => part.bytes.len(),
        });
        let form = TextForm::Deflated(window_bits);
        if !self.events.has_room(bytes.sum())
            && self.events.find(&self.text_of(body, form)).is_none()
        {
            return None;
        }
        let codec = Rc::clone(&self.codec);
        let text = self.text(body, form, |out| {
            let is_plain =
                |run| !matches!(run, TextRun::Part(part) if part.coding != Coding::Plain);
            if body.text.runs().all(is_plain) {
                let parts: Vec<&[u8]> = body
                    .text
                    .runs()
                    .map(|run| match run {
                        TextRun::Written(bytes) => bytes,
                        TextRun::Part(part) => &part.bytes,
                    })
                    .collect();
                codec.deflaters.deflate(window_bits, &parts, out);
            } else {
                codec.deflaters.deflate(window_bits, &[&written(&body.text)], out);
            }
        });
        Some(text)
    }

    fn text_of(&self, body: &Body, form: TextForm) -> TextOf {
        let Event { home, time_us, op, .. } = *self.large.event();
        let encoding = Encoding(body.dialect.speaker().name);
        TextOf { home, time_us, op, encoding, fields: body.fields.clone(), form }
    }

    /// What a body is made into, once.
    fn text(&mut self, body: &Body, form: TextForm, write: impl FnOnce(&mut Vec<u8>)) -> Rc<Kept> {
        let of = self.text_of(body, form);
        if let Some(text) = self.events.find(&of) {
            return text;
        }
        let mut text = Vec::new();
        write(&mut text);
        self.events.keep(of, text)
    }
}

fn length(pieces: &[Piece]) -> usize {
    pieces.iter().map(Piece::len).sum()
}

/// A text in one run.
fn written(text: &Text) -> Vec<u8> {
    let mut out = Vec::new();
    for run in text.runs() {
        match run {
            TextRun::Written(bytes) => out.extend_from_slice(bytes),
            TextRun::Part(part) => match (part.coding, std::str::from_utf8(&part.bytes)) {
                (Coding::JsonString, Ok(text)) => json::string(text, &mut out),
                _ => out.extend_from_slice(&part.bytes),
            },
        }
    }
    out
}
