//! A WebSocket client: its conversation hears its messages, and the steps that the conversation returns are taken.
//!
//! Invariant: what is said is carried out in its order, for `hearing` hands it over so. Never looks inside a payload.

use super::super::conns::Conns;
use std::num::NonZeroU32;

use super::super::Shard;
use super::super::input::ConnId;
use super::super::solo::AfterSent;
use super::WHO_FIRST;
use super::packets::PacketInput;
use super::patience::Patience;
use super::waits::Heard;
use super::waits::Waits;
use crate::auth::Bucket;
use crate::auth::Rate;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Wish;
use crate::event::TopicName;
use crate::tables::Schema;
use crate::wire::decoder::Decoder;
use crate::wire::decoder::Inbound;
use crate::wire::decoder::Violation;
use crate::wire::deflate::Agreed;
use crate::wire::deflate::Deflater;
use crate::wire::deflate::LEVEL_DEFAULT;
use crate::wire::frame;
use crate::wire::frame::Coding;
use crate::wire::frame::OpCode;

const CLOSE_POLICY: u16 = 1008;

/// The state of a WebSocket connection beyond its subscriptions.
#[derive(Debug)]
pub(in super::super) struct WebSocket {
    /// `None`: packets come without frames around them.
    decoder: Option<Decoder>,
    /// `Some`: what its client says are packets.
    packets: Option<Box<PacketInput>>,
    /// `Some`: every message is sent back (`/echo`), compressed as was agreed.
    echo: Option<Echo>,
    /// When the client was pinged, in seconds since the start; `None`: it has said something since.
    pinged_s: Option<NonZeroU32>,
    /// When a client that has not authenticated is closed, in seconds since the start.
    identify_by_s: Option<NonZeroU32>,
    /// The rate limit on the client's messages; publishes have one of their own.
    messages: Bucket,
    /// Messages that are not carried out yet. `None`: all are.
    waits: Option<Box<Waits>>,
    /// For how many seconds a message has been incomplete.
    coming_s: u32,
}

/// How messages are sent back.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Echo {
    pub(super) deflate: Option<Agreed>,
}

impl WebSocket {
    pub(super) fn new(bytes_max: usize, may_deflate: bool, echo: Option<Echo>) -> Self {
        Self {
            decoder: Some(Decoder::new(bytes_max, may_deflate)),
            packets: None,
            echo,
            pinged_s: None,
            identify_by_s: None,
            messages: Bucket::default(),
            waits: None,
            coming_s: 0,
        }
    }

    /// Packets without frames around them.
    pub(super) fn of_packets(packets: PacketInput) -> Self {
        Self { decoder: None, ..Self::new(0, false, None).with_packets(packets) }
    }

    /// The WebSocket, as one whose binary messages hold packets.
    pub(super) fn with_packets(self, packets: PacketInput) -> Self {
        Self { packets: Some(Box::new(packets)), ..self }
    }

    pub(in super::super) fn release(&mut self, inbound: &mut Inbound) {
        if let Some(decoder) = &mut self.decoder {
            decoder.release(inbound);
        }
        if let Some(packets) = &mut self.packets {
            packets.end();
        }
        self.waits = None;
    }

    /// Counts a message; false: its client has said more in this second than it may.
    pub(super) fn may_say(&mut self, rate: Rate, now: Now) -> bool {
        self.messages.take(1, rate, now.mono_ms)
    }

    /// Whether a message of the client waits to be carried out, or for its answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.waits.is_some()
    }

    pub(super) fn waits_mut(&mut self) -> Option<&mut Waits> {
        self.waits.as_deref_mut()
    }

    /// Steps that cannot be taken yet come before what was heard since.
    pub(super) fn put_off(&mut self, steps: Vec<Step>) {
        if let (false, Some(waits)) = (steps.is_empty(), self.waits_mut()) {
            waits.heard.push_front(Heard::Steps { steps, is_counted: true });
        }
    }

    pub(super) fn take_waits(&mut self) -> Option<Box<Waits>> {
        self.waits.take()
    }

    pub(super) fn set_waits(&mut self, waits: Box<Waits>) {
        self.waits = Some(waits);
    }

    /// What takes its frames apart, and its packets.
    pub(super) fn input_mut(&mut self) -> (Option<&mut Decoder>, Option<&mut PacketInput>) {
        (self.decoder.as_mut(), self.packets.as_deref_mut())
    }

    /// Whether a packet that has come can be heard.
    pub(super) fn has_packet(&self) -> bool {
        self.packets.as_ref().is_some_and(|packets| packets.has_next())
    }

    pub(super) fn echo(&self) -> Option<Echo> {
        self.echo
    }

    /// Notes that the client has sent something.
    pub(super) fn was_heard(&mut self) {
        self.pinged_s = None;
    }

    /// If no message is coming in part, the time for the next one begins anew.
    pub(super) fn look_whole(&mut self) {
        if self.is_between() {
            self.coming_s = 0;
        }
    }

    /// Whether nothing has come in part.
    fn is_between(&self) -> bool {
        self.decoder.as_ref().is_none_or(Decoder::is_idle)
            && self.packets.as_ref().is_none_or(|packets| packets.come_bytes() == 0)
    }

    /// Bytes of memory that the session holds of what its client has sent.
    pub(super) fn held_bytes(&self) -> usize {
        self.decoder.as_ref().map_or(0, Decoder::held_bytes)
            + self.packets.as_ref().map_or(0, |packets| packets.held_bytes())
            + self.waits.as_ref().map_or(0, |waits| waits.held_bytes())
    }

    /// Looks once a second whether a message has been coming for longer than its bytes allow.
    pub(in super::super) fn is_message_late(&mut self, patience: Patience) -> bool {
        // While something waits, nothing is read.
        if self.is_between() || self.waits.is_some() {
            return false;
        }
        self.coming_s = self.coming_s.saturating_add(1);
        let come = self.decoder.as_ref().map_or(0, Decoder::message_bytes)
            + self.packets.as_ref().map_or(0, |packets| packets.come_bytes());
        patience.is_late(self.coming_s, come as u64)
    }

    pub(in super::super) fn identify_by_s(&self) -> Option<u32> {
        self.identify_by_s.map(NonZeroU32::get)
    }

    pub(super) fn must_identify_by(&mut self, by_s: u32) {
        self.identify_by_s = NonZeroU32::new(by_s.max(1));
    }

    pub(in super::super) fn pinged_s(&self) -> Option<u32> {
        self.pinged_s.map(NonZeroU32::get)
    }

    pub(in super::super) fn set_pinged(&mut self, now_s: u32) {
        self.pinged_s = NonZeroU32::new(now_s.max(1));
    }
}

impl Shard {
    /// Carries out a frame that no conversation hears.
    pub(super) fn carry_out_frame(&mut self, id: ConnId, heard: Heard, now: Now) {
        match heard {
            Heard::Steps { .. } => {
                unreachable!("steps are taken where their conversation is heard")
            }
            Heard::Echoed(frame) => self.push_item(id, Item::Raw(frame)),
            Heard::Ping(payload) => {
                let mut pong = Vec::new();
                frame::put_pong(&mut pong, &payload);
                self.push_item(id, Item::Raw(pong.into()));
            }
            Heard::Close { code } => self.answer_close(id, code, now),
            Heard::Broken(violation) => self.end_for(id, &violation, now),
        }
    }

    /// Closes a connection whose bytes break the WebSocket protocol.
    fn end_for(&mut self, id: ConnId, violation: &Violation, now: Now) {
        self.stats.violations += 1;
        tracing::debug!(conn = id.0, %violation, "protocol violation");
        let message = format_args!("protocol violation: {violation}");
        self.tell_log_of(Some(id), "warning", "wire", message, now);
        let mut bytes = Vec::new();
        frame::put_close(&mut bytes, violation.code(), &violation.to_string());
        self.close_with(id, &bytes, AfterSent::Gone, now);
    }

    /// Closes a connection that sent more messages in a second than it may.
    pub(super) fn hear_no_more(&mut self, id: ConnId, now: Now) {
        if !self.conns.is_closing(id) {
            let message = format_args!("a client said more than it may in a second");
            self.tell_log_of(Some(id), "warning", "limits", message, now);
        }
        let Some(voice) = self.conns.voice_of(id) else { return };
        self.close(id, CLOSE_POLICY, voice.dialect.speaker().manners.flood, now);
    }

    //= rfc6455#5.5.1
    //# If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send a Close frame in
    //# response.
    fn answer_close(&mut self, id: ConnId, code: Option<u16>, now: Now) {
        if self.conns.is_closing(id) {
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

/// Says a message back, deflated if that was agreed. Each in a fresh context: a switch for conformance suites keeps nothing per client.
pub(super) fn echo(said: Said<'_>, echo: Echo) -> Heard {
    let (opcode, payload) = match said {
        Said::Text(text) => (OpCode::Text, text.as_bytes()),
        Said::Binary(bytes) | Said::Packet(bytes) => (OpCode::Binary, bytes),
        Said::NoPacket(_) => (OpCode::Binary, &[][..]),
    };
    let mut out = Vec::new();
    match echo.deflate {
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

impl Conns {
    /// Whether nothing is left of a subscription, once it is confined to what its client's token allows.
    pub(super) fn is_barred(&self, id: ConnId, wish: &Wish) -> bool {
        let who = self.find(id).and_then(|conn| conn.who.as_ref());
        who.is_none_or(|who| who.confine(&wish.subscription).is_none())
    }

    /// Whether a connection may publish to a topic: its token lets it, and no table's rows are told on it.
    pub(super) fn may_publish(&self, id: ConnId, topic: &TopicName, tables: &Schema) -> bool {
        let who = self.find(id).and_then(|conn| conn.who.as_ref());
        who.is_some_and(|who| who.principal.may_publish(topic)) && tables.of_topic(topic).is_none()
    }

    /// Why a connection may not publish to a topic: it is anonymous, or its token allows other topics.
    pub(super) fn why_not_publish(&self, id: ConnId) -> Refusal {
        match self.find(id).and_then(|conn| conn.who.as_ref()) {
            None => Refusal::new(RefusalCode::Forbidden, WHO_FIRST),
            Some(_) => Refusal::of(
                RefusalCode::Forbidden,
                "topic",
                "publishing to this topic is not allowed",
            ),
        }
    }
}
