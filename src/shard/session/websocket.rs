//! A WebSocket client: its messages become commands, and the commands are carried out.
//!
//! Invariant: what is said is carried out in its order, for `hearing` hands it over so. Never looks inside a payload.

use std::num::NonZeroU32;

use super::super::Shard;
use super::super::input::ConnId;
use super::super::publish::PublishResult;
use super::super::publish::draft_bytes;
use super::super::solo::AfterSent;
use super::super::want::WHO_FIRST;
use super::hearing::Awaited;
use super::hearing::Waits;
use super::pace::Pace;
use crate::auth::Bucket;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Command;
use crate::dialect::DialectId;
use crate::dialect::Malformed;
use crate::dialect::Outcome;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Talk;
use crate::event::TopicName;
use crate::limits::FILTER_REFUSED_STEPS;
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
    /// What had to wait of what it said.
    waits: Option<Box<Waits>>,
    /// For how many looks at it, one a second, a message has been coming in part.
    coming_s: u32,
}

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
#[derive(Debug)]
pub(super) enum Heard {
    Said(Result<Command, Malformed>),
    /// What a conversation is to hear.
    Told(Box<str>),
    NotText,
    Echoed(Box<[u8]>),
    Ping(Box<[u8]>),
    Close {
        code: Option<u16>,
    },
    /// Its bytes are no WebSocket's from here on.
    Broken(Violation),
}

impl Heard {
    pub(super) const fn is_publish(&self) -> bool {
        matches!(self, Self::Said(Ok(Command::Publish { .. })))
    }

    /// Bytes that it holds of what was said.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Said(Ok(Command::Publish { draft, .. })) => draft_bytes(draft),
            Self::Told(text) => text.len(),
            Self::Echoed(bytes) | Self::Ping(bytes) => bytes.len(),
            Self::Said(_) | Self::NotText | Self::Close { .. } | Self::Broken(_) => 0,
        }
    }
}

impl WebSocket {
    pub(super) fn new(bytes_max: usize, may_deflate: bool, speaks: Speaks) -> Self {
        Self {
            decoder: Decoder::new(bytes_max, may_deflate),
            speaks,
            pinged_s: None,
            identify_by_s: None,
            messages: Bucket::default(),
            waits: None,
            coming_s: 0,
        }
    }

    pub(in super::super) fn release(&mut self, inbound: &mut Inbound) {
        self.decoder.release(inbound);
        self.waits = None;
    }

    /// Whether something that it said waits to be carried out, or for its answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.waits.is_some()
    }

    pub(super) fn waits_mut(&mut self) -> Option<&mut Waits> {
        self.waits.as_deref_mut()
    }

    pub(super) fn take_waits(&mut self) -> Option<Box<Waits>> {
        self.waits.take()
    }

    pub(super) fn set_waits(&mut self, waits: Box<Waits>) {
        self.waits = Some(waits);
    }

    pub(super) fn decoder_and_speaks(&mut self) -> (&mut Decoder, &Speaks) {
        (&mut self.decoder, &self.speaks)
    }

    /// Its client has said something.
    pub(super) fn was_heard(&mut self) {
        self.pinged_s = None;
    }

    /// No message is coming in part any more.
    pub(super) fn message_is_whole(&mut self) {
        self.coming_s = 0;
    }

    /// Bytes that it holds of what its client has said.
    pub(super) fn held_bytes(&self) -> usize {
        self.decoder.held_bytes() + self.waits.as_ref().map_or(0, |waits| waits.held_bytes())
    }

    /// Once a second: whether a message has been coming for longer than it may at this pace.
    pub(in super::super) fn is_message_late(&mut self, pace: Pace) -> bool {
        // While something waits, nothing is read.
        if self.decoder.is_idle() || self.waits.is_some() {
            return false;
        }
        self.coming_s = self.coming_s.saturating_add(1);
        pace.is_late(self.coming_s, self.decoder.message_bytes() as u64)
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
    /// Carries out one thing that a client said.
    pub(super) fn carry_out_heard(
        &mut self,
        id: ConnId,
        websocket: &mut WebSocket,
        said: Heard,
        now: Now,
    ) {
        let messages_per_s = self.settings.access.limits.messages;
        match said {
            Heard::Said(Ok(Command::Publish { id: ack, draft: _ })) => {
                let refusal = self.why_not_publish(id);
                self.say(id, &Outcome::Refused { id: ack.as_ref(), refusal: &refusal });
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
            Heard::Said(Err(malformed)) => self.refuse_malformed(id, &malformed, now),
            Heard::Echoed(frame) => self.push_item(id, Item::Raw(frame)),
            Heard::Ping(payload) => {
                let mut pong = Vec::new();
                frame::put_pong(&mut pong, &payload);
                self.push_item(id, Item::Raw(pong.into()));
            }
            Heard::NotText => self.close(id, CLOSE_NOT_TEXT, "this protocol is text", now),
            Heard::Close { code } => self.answer_close(id, code, now),
            Heard::Broken(violation) => self.end_for(id, &violation, now),
        }
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

    /// It said something that cannot be read. A filter was read as far as it goes, which is paid for.
    fn refuse_malformed(&mut self, id: ConnId, malformed: &Malformed, now: Now) {
        let Malformed { id: of, refusal } = malformed;
        if refusal.code != RefusalCode::BadFilter || self.charge(id, FILTER_REFUSED_STEPS, now) {
            self.say(id, &Outcome::Refused { id: of.as_ref(), refusal });
        }
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

    pub(super) fn say_published(
        &mut self,
        id: ConnId,
        publishing: &[Awaited],
        results: &[PublishResult],
    ) {
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
        let filter = match &command {
            Command::Subscribe { subscription, .. } => subscription.filter.as_ref(),
            Command::Update { change, .. } => change.filter.as_ref().and_then(Option::as_ref),
            _ => None,
        };
        if !self.charge_making(id, filter, now) {
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
            Command::Publish { .. } => unreachable!("publishes are told apart before this"),
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

/// What is to be carried out of something that came in.
pub(super) fn hear(speaks: &Speaks, hears_binary: bool, incoming: Incoming<'_>) -> Option<Heard> {
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
