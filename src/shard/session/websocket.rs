//! A WebSocket client: its messages become commands, and the commands are carried out.
//!
//! Invariants: what one read brought is carried out in the order in which it was said; events published in it travel as one run, and nothing
//! more is read until they have their places. Never looks inside a payload.

use std::num::NonZeroU32;
use std::ops::ControlFlow;

use super::super::Shard;
use super::super::input::ConnId;
use super::super::publish::PublishResult;
use super::super::solo::AfterSent;
use super::super::want::WHO_FIRST;
use super::Session;
use crate::auth::Bucket;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Command;
use crate::dialect::DialectId;
use crate::dialect::Malformed;
use crate::dialect::Outcome;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::SubId;
use crate::dialect::Talk;
use crate::event::Draft;
use crate::event::TopicName;
use crate::wire::decoder::Decoder;
use crate::wire::decoder::Inbound;
use crate::wire::decoder::Incoming;
use crate::wire::decoder::Violation;
use crate::wire::deflate::Agreed;
use crate::wire::deflate::Deflater;
use crate::wire::deflate::LEVEL_DEFAULT;
use crate::wire::frame;
use crate::wire::frame::Coding;
use crate::wire::frame::OpCode;

const CLOSE_NOT_TEXT: u16 = 1003;
const CLOSE_POLICY: u16 = 1008;

/// The state of a WebSocket connection beyond its subscriptions.
#[derive(Debug)]
pub(in super::super) struct WebSocket {
    decoder: Decoder,
    speaks: Speaks,
    /// When it was pinged since it was last heard, in seconds since the start.
    pinged_s: Option<NonZeroU32>,
    /// A client that has not said who it is by then, in seconds since the start, is closed.
    identify_by_s: Option<u32>,
    /// What was taken of the messages that it may send; what it publishes is counted elsewhere.
    messages: Bucket,
    /// Publishes whose results are awaited.
    publishing: Option<Box<[Awaited]>>,
}

/// A publish whose result is awaited: the id to answer to, if an answer is wanted, and the topic.
type Awaited = (Option<SubId>, TopicName);

/// What is spoken on it.
#[derive(Debug)]
pub(in super::super) enum Speaks {
    Dialect(DialectId),
    /// A dialect that remembers what was said.
    Talk(Box<dyn Talk>),
    /// Every message comes back.
    Echo {
        deflate: Option<Agreed>,
    },
}

/// One thing that a client said, its bytes copied where they outlive the read.
enum Heard {
    Said(Result<Command, Malformed>),
    /// What a conversation is to hear.
    Told(Box<str>),
    NotText,
    Echoed(Box<[u8]>),
    Ping(Box<[u8]>),
    Close {
        code: Option<u16>,
    },
}

impl WebSocket {
    pub(super) fn new(bytes_max: usize, may_deflate: bool, speaks: Speaks) -> Self {
        Self {
            decoder: Decoder::new(bytes_max, may_deflate),
            speaks,
            pinged_s: None,
            identify_by_s: None,
            messages: Bucket::default(),
            publishing: None,
        }
    }

    pub(in super::super) fn release(&mut self, inbound: &mut Inbound) {
        self.decoder.release(inbound);
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.publishing.is_some()
    }

    pub(in super::super) fn identify_by_s(&self) -> Option<u32> {
        self.identify_by_s
    }

    pub(super) fn must_identify_by(&mut self, by_s: u32) {
        self.identify_by_s = Some(by_s);
    }

    pub(in super::super) fn pinged_s(&self) -> Option<u32> {
        self.pinged_s.map(NonZeroU32::get)
    }

    pub(in super::super) fn set_pinged(&mut self, now_s: u32) {
        self.pinged_s = NonZeroU32::new(now_s.max(1));
    }
}

impl Shard {
    pub(super) fn websocket_received(
        &mut self,
        id: ConnId,
        mut websocket: WebSocket,
        bytes: &mut [u8],
        now: Now,
    ) {
        websocket.pinged_s = None;
        let mut heard = std::mem::take(&mut self.heard.0);
        let hears_binary =
            self.voice_of(id).is_some_and(|voice| voice.dialect.speaker().manners().hears_binary);
        let WebSocket { decoder, speaks, .. } = &mut websocket;
        let fed = decoder.feed(bytes, &mut self.inbound, &mut |incoming| {
            heard.extend(hear(speaks, hears_binary, incoming));
            ControlFlow::Continue(())
        });
        let messages_per_s = self.settings.access.limits.messages;
        let mut drafts = Vec::new();
        let mut publishing = Vec::new();
        for said in heard.drain(..) {
            match said {
                Heard::Said(Ok(Command::Publish { id: ack, draft }))
                    if !self.may_publish(id, &draft.topic) =>
                {
                    let refusal = self.why_not_publish(id);
                    self.say(id, &Outcome::Refused { id: ack.as_ref(), refusal: &refusal });
                }
                Heard::Said(Ok(Command::Publish { id: ack, draft })) => {
                    publishing.push((ack, draft.topic.clone()));
                    drafts.push(draft);
                }
                Heard::Said(_) | Heard::Told(_)
                    if !websocket.messages.take(1, messages_per_s, now.mono_ms) =>
                {
                    self.hear_no_more(id, now);
                }
                Heard::Said(Ok(command)) => self.carry_out(id, command, now),
                Heard::Told(text) => {
                    if let Speaks::Talk(talk) = &mut websocket.speaks {
                        self.talk_hear(id, &mut **talk, &text, now);
                    }
                }
                Heard::Said(Err(malformed)) => {
                    self.say(
                        id,
                        &Outcome::Refused {
                            id: malformed.id.as_ref(),
                            refusal: &malformed.refusal,
                        },
                    );
                }
                Heard::Echoed(frame) => self.push_item(id, Item::Raw(frame)),
                Heard::Ping(payload) => {
                    let mut pong = Vec::new();
                    frame::put_pong(&mut pong, &payload);
                    self.push_item(id, Item::Raw(pong.into()));
                }
                Heard::NotText => self.close(id, CLOSE_NOT_TEXT, "this protocol is text", now),
                Heard::Close { code } => self.answer_close(id, code, now),
            }
        }
        self.heard.0 = heard;
        if let Err(violation) = fed {
            self.end_for(id, &violation, now);
        }
        if !drafts.is_empty() {
            self.ingest.find_fields(&mut drafts);
            self.publish_all(id, &mut websocket, drafts, publishing, now);
        }
        self.put_back(id, Session::WebSocket(websocket));
    }

    /// Its bytes are no WebSocket's.
    fn end_for(&mut self, id: ConnId, violation: &Violation, now: Now) {
        self.stats.violations += 1;
        tracing::debug!(conn = id.0, %violation, "protocol violation");
        let message = format_args!("protocol violation: {violation}");
        self.tell_log_of(Some(id), "warning", "wire", message, now);
        let mut bytes = Vec::new();
        frame::put_close(&mut bytes, violation.code(), &violation.to_string());
        self.close_with(id, &bytes, AfterSent::Gone, now);
    }

    /// It said more in a second than it may.
    fn hear_no_more(&mut self, id: ConnId, now: Now) {
        if !self.is_closing(id) {
            let message = format_args!("a client said more than it may in a second");
            self.tell_log_of(Some(id), "warning", "limits", message, now);
        }
        let Some(voice) = self.voice_of(id) else { return };
        self.close(id, CLOSE_POLICY, voice.dialect.speaker().manners().flood, now);
    }

    /// The first words of a connection that has become a WebSocket.
    pub(super) fn greet(&mut self, id: ConnId, websocket: &mut WebSocket, now: Now) {
        match &mut websocket.speaks {
            Speaks::Talk(talk) => self.talk_open(id, &mut **talk, now),
            Speaks::Dialect(_) => {
                let epoch = std::sync::Arc::clone(&self.epoch);
                self.say(id, &Outcome::Welcome { epoch: &epoch });
            }
            Speaks::Echo { .. } => {}
        }
    }

    /// Whether a connection may publish to a topic.
    pub(super) fn may_publish(&self, id: ConnId, topic: &TopicName) -> bool {
        let who = self.conns.find(id).and_then(|conn| conn.who.as_ref());
        who.is_some_and(|who| who.principal.may_publish(topic))
    }

    /// Why it may not: nobody knows who it is, or what it may publish is something else.
    pub(super) fn why_not_publish(&self, id: ConnId) -> Refusal {
        match self.conns.find(id).and_then(|conn| conn.who.as_ref()) {
            None => Refusal::new(RefusalCode::Forbidden, WHO_FIRST),
            Some(_) => Refusal::of(
                RefusalCode::Forbidden,
                "topic",
                "publishing to this topic is not allowed",
            ),
        }
    }

    fn publish_all(
        &mut self,
        id: ConnId,
        websocket: &mut WebSocket,
        drafts: Vec<Draft>,
        publishing: Vec<Awaited>,
        now: Now,
    ) {
        if websocket.publishing.is_some() {
            // It was read although it was waiting; nothing of this is taken, so that the order holds.
            let results: Vec<PublishResult> =
                drafts.iter().map(|_| Err(RefusalCode::Full)).collect();
            return self.say_published(id, &publishing, &results);
        }
        match self.publish(id, drafts, now) {
            Some(results) => self.say_published(id, &publishing, &results),
            None => websocket.publishing = Some(publishing.into()),
        }
    }

    pub(super) fn websocket_published(
        &mut self,
        id: ConnId,
        mut websocket: WebSocket,
        results: &[PublishResult],
    ) {
        if let Some(publishing) = websocket.publishing.take() {
            self.say_published(id, &publishing, results);
        }
        self.put_back(id, Session::WebSocket(websocket));
    }

    fn say_published(&mut self, id: ConnId, publishing: &[Awaited], results: &[PublishResult]) {
        let epoch = std::sync::Arc::clone(&self.epoch);
        for ((ack, topic), result) in publishing.iter().zip(results) {
            match (result, ack) {
                (Ok(placed), Some(ack)) => {
                    self.say(
                        id,
                        &Outcome::Published { id: ack, topic, placed: *placed, epoch: &epoch },
                    );
                }
                (Ok(_), None) => {}
                (Err(code), ack) => {
                    let refusal = refusal_of(*code, topic);
                    self.say(id, &Outcome::Refused { id: ack.as_ref(), refusal: &refusal });
                }
            }
        }
    }

    fn carry_out(&mut self, id: ConnId, command: Command, now: Now) {
        if self.is_closing(id) {
            return;
        }
        match command {
            Command::Subscribe { subscription, since } => {
                self.subscribe(id, &subscription, &since, now);
            }
            Command::Update { id: sub, change } => self.update(id, &sub, *change, now),
            Command::Unsubscribe { id: sub } => self.unsubscribe(id, &sub),
            Command::Ping { id: ping } => self.say(id, &Outcome::Pong { id: ping.as_ref(), now }),
            Command::Authenticate { id: ack, token } => {
                self.authenticate(id, ack.as_ref(), &token, now);
            }
            Command::Publish { .. } => unreachable!("publishes are gathered before this"),
        }
    }

    //= rfc6455#5.5.1
    //# If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send a Close frame in
    //# response.
    fn answer_close(&mut self, id: ConnId, code: Option<u16>, now: Now) {
        if self.is_closing(id) {
            return self.close_after_sent(id, now);
        }
        let mut bytes = Vec::new();
        match code {
            Some(code) => frame::put_close(&mut bytes, code, ""),
            None => frame::put_close_empty(&mut bytes),
        }
        self.close_with(id, &bytes, AfterSent::Gone, now);
    }
}

/// Why an event was not taken whose publisher has reached its rate.
pub(super) const RATE_LIMITED: &str = "publish_per_s: more events than one client may publish a second; the event was not taken, try again";

/// Why an event was not taken.
pub(super) fn refusal_of(code: RefusalCode, topic: &TopicName) -> Refusal {
    match code {
        RefusalCode::Full => {
            Refusal::new(code, "the server is full; the event was not taken, try again")
        }
        RefusalCode::RateLimited => Refusal::new(code, RATE_LIMITED),
        RefusalCode::BadTopic => Refusal::of(
            code,
            "topic",
            format_args!(
                "topic_bytes_max: the topic has {} bytes, which is more than this server takes",
                topic.as_str().len()
            ),
        ),
        RefusalCode::TooManyTopics => Refusal::of(
            code,
            "topic",
            format_args!(
                "the server holds as many topics as it may, and {topic} is not one of them"
            ),
        ),
        RefusalCode::ShuttingDown => {
            Refusal::new(code, "the server is shutting down; the event was not taken")
        }
        _ => Refusal::new(code, "the event was not taken"),
    }
}

fn hear(speaks: &Speaks, hears_binary: bool, incoming: Incoming<'_>) -> Option<Heard> {
    match (incoming, speaks) {
        (Incoming::Text(text), Speaks::Talk(_)) => Some(Heard::Told(text.into())),
        (Incoming::Binary(bytes), Speaks::Talk(_)) if hears_binary => {
            // What is not even text is no JSON either, and is heard as nothing.
            Some(Heard::Told(std::str::from_utf8(bytes).unwrap_or_default().into()))
        }
        (Incoming::Binary(_), Speaks::Talk(_)) => Some(Heard::NotText),
        (Incoming::Text(text), Speaks::Dialect(dialect)) => {
            Some(Heard::Said(dialect.speaker().decode(text)))
        }
        (Incoming::Binary(_), Speaks::Dialect(_)) => Some(Heard::NotText),
        (Incoming::Text(text), Speaks::Echo { deflate }) => {
            Some(echo(OpCode::Text, text.as_bytes(), *deflate))
        }
        (Incoming::Binary(bytes), Speaks::Echo { deflate }) => {
            Some(echo(OpCode::Binary, bytes, *deflate))
        }
        (Incoming::Ping(payload), _) => Some(Heard::Ping(payload.into())),
        (Incoming::Pong(_), _) => None,
        (Incoming::Close { code, .. }, _) => Some(Heard::Close { code }),
    }
}

/// The same message back, deflated if that was agreed. Each in a fresh context: a switch for conformance suites keeps nothing per client.
fn echo(opcode: OpCode, payload: &[u8], deflate: Option<Agreed>) -> Heard {
    let mut out = Vec::new();
    match deflate {
        None => frame::put_message(&mut out, opcode, Coding::Plain, payload),
        Some(agreed) => {
            let mut deflated = Vec::new();
            Deflater::new(LEVEL_DEFAULT, agreed.server_window_bits)
                .compress(&[payload], &mut deflated);
            frame::put_message(&mut out, opcode, Coding::Deflated, &deflated);
        }
    }
    Heard::Echoed(out.into())
}

/// What one read brought; lives from read to read.
#[derive(Default)]
pub(in super::super) struct HeardBuffer(Vec<Heard>);

impl std::fmt::Debug for HeardBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeardBuffer({})", self.0.len())
    }
}
