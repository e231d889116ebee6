//! What a client publishes, and how it is answered.
//!
//! Invariants: a message of QoS 1 or 2 is acknowledged once it has its place, and not before; one of QoS 2 is published once, however often it is sent
//! before its sender releases it; an alias is this connection's alone, and never goes on.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use super::asking::Asking;
use super::message::Message;
use super::message::NotTaken;
use super::reasons;
use crate::dialect::Context;
use crate::dialect::Published;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Ticket;
use crate::limits::MQTT_RECEIVE_MAX;
use crate::limits::MQTT_TOPIC_ALIASES_MAX;
use crate::limits::TOPIC_BYTES_MAX;
use crate::wire::mqtt::Ack;
use crate::wire::mqtt::AckKind;
use crate::wire::mqtt::Fault;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::Publish;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Reason;
use crate::wire::mqtt::Version;
use crate::wire::mqtt::put_ack;
use crate::wire::mqtt::topic;

/// What is known of a client's publications.
#[derive(Debug, Default)]
pub(super) struct Publications {
    aliases: BTreeMap<u16, Box<str>>,
    /// Bytes of them and of their names.
    alias_bytes: usize,
    /// Messages of QoS 2 that were taken and not released.
    taken: BTreeSet<u16>,
    /// A message of QoS 2 has come by this connection, or was underway before it.
    is_once: bool,
    /// Messages of QoS 2 whose places are asked for.
    once_asked: u32,
    /// Those of the messages whose places are asked for that are requests: as many as travel together at most.
    requests: VecDeque<Asking>,
}

/// Bytes of an alias in its tree, besides the name that it stands for.
const ALIAS_BYTES: usize = 64;
/// Bytes of the number of a message that was taken, in its tree.
const TAKEN_BYTES: usize = 8;

/// How a client is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) version: Version,
    /// It wants to know why something was not done.
    pub(super) wants_reasons: bool,
    /// It may share subscriptions.
    pub(super) shares: bool,
    /// What it calls itself, as a hash.
    pub(super) publisher: u64,
    /// Bytes of the largest packet that it takes; 0: any.
    pub(super) packet_bytes_max: u32,
}

/// What a question about a message is known by: its packet identifier, its quality of service above it, and above that whether it is a request.
fn number(id: u16, qos: QoS, is_request: bool) -> u32 {
    u32::from(id) | (qos as u32) << 16 | if is_request { REQUEST } else { 0 }
}

const REQUEST: u32 = 1 << 18;

impl Publications {
    /// Messages of QoS 2 that were taken and not released.
    pub(super) fn taken(&self) -> impl ExactSizeIterator<Item = u16> {
        self.taken.iter().copied()
    }

    /// Whether something is said or was heard exactly once.
    pub(super) const fn is_once(&self) -> bool {
        self.is_once
    }

    /// Whether it is not known yet if some message of QoS 2 was published.
    pub(super) const fn is_open(&self) -> bool {
        self.once_asked > 0
    }

    /// A message of QoS 2 has come; whether it is the first one.
    pub(super) const fn begins_once(&mut self) -> bool {
        !std::mem::replace(&mut self.is_once, true)
    }

    /// The client goes on with a session: of what it has said that it has, it hears again that it may forget it.
    pub(super) fn go_on(
        &mut self,
        taken: BTreeSet<u16>,
        received: &[u16],
        terms: Terms,
        steps: &mut Vec<Step>,
    ) {
        self.is_once |= !taken.is_empty() || !received.is_empty();
        self.taken = taken;
        //= mqtt-v5.0#4.4
        //# When a Client reconnects with Clean Start set to 0 and a session is present, both the Client and Server MUST resend any
        //# unacknowledged PUBLISH packets (where QoS > 0) and PUBREL packets using their original Packet Identifiers.
        let again = |id: &u16| terms.ack(AckKind::Released, *id, Reason::SUCCESS, "");
        steps.extend(received.iter().map(again));
    }

    /// A message has come.
    pub(super) fn publish(
        &mut self,
        publish: &Publish<'_>,
        context: &Context<'_>,
        terms: Terms,
        steps: &mut Vec<Step>,
    ) -> Result<(), Fault> {
        let name = self.resolve(publish)?.into_owned();
        if publish.qos == QoS::ExactlyOnce {
            if self.taken.contains(&publish.id) {
                // It was published before: only its acknowledgement did not reach the client.
                steps.push(terms.ack(AckKind::Received, publish.id, Reason::SUCCESS, ""));
                return Ok(());
            }
            if self.taken.len() >= usize::from(MQTT_RECEIVE_MAX) {
                let what = "more messages are underway than this server takes";
                return Err(Fault::of(Reason::RECEIVE_MAXIMUM_EXCEEDED, what));
            }
        }
        let (id, qos) = (publish.id, publish.qos);
        let taken = NotTaken { reason: Reason::SUCCESS, why: "" };
        if topic::is_reserved(&name) && terms.version == Version::V4 {
            // Nobody hears it, and 3.1.1 has no word for that.
            steps.extend(terms.answer(id, qos, &taken)?);
            return Ok(());
        }
        let message = Message::of(publish, &name, terms.publisher);
        match message.draft(context.view) {
            Ok(draft) => {
                let asking = Asking::of(publish, &name, context);
                let number = number(id, qos, asking.is_some());
                self.requests.extend(asking);
                if qos == QoS::ExactlyOnce {
                    self.taken.insert(id);
                    self.once_asked += 1;
                }
                let (ticket, what) = (Ticket::Number(number), Request::Publish(vec![draft]));
                steps.push(Step::Ask { ticket, what });
            }
            Err(not_taken) => steps.extend(terms.answer(id, qos, &not_taken)?),
        }
        Ok(())
    }

    /// Bytes of what is known of them.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.alias_bytes + self.taken.len() * TAKEN_BYTES
    }

    /// The name of a message's topic, by its alias if it has one.
    fn resolve<'p>(
        &'p mut self,
        publish: &Publish<'p>,
    ) -> Result<std::borrow::Cow<'p, str>, Fault> {
        let Some(alias) = publish.properties.number(PropertyId::TopicAlias) else {
            return Ok(publish.topic.into());
        };
        let alias = u16::try_from(alias).unwrap_or(u16::MAX);
        if alias > MQTT_TOPIC_ALIASES_MAX {
            let what = "a topic alias is greater than this server takes";
            return Err(Fault::of(Reason::TOPIC_ALIAS_INVALID, what));
        }
        if publish.topic.len() > TOPIC_BYTES_MAX {
            let what = "the topic that an alias is to stand for is too long";
            return Err(Fault::of(Reason::TOPIC_NAME_INVALID, what));
        }
        if !publish.topic.is_empty() {
            let before = self.aliases.insert(alias, publish.topic.into());
            let freed = before.map_or(0, |before| ALIAS_BYTES + before.len());
            self.alias_bytes = self.alias_bytes + ALIAS_BYTES + publish.topic.len() - freed;
            return Ok(publish.topic.into());
        }
        let known = self.aliases.get(&alias).map(|known| (&**known).into());
        known.ok_or(Fault::protocol("a topic alias stands for nothing"))
    }

    /// It is known what became of a message; if it is a request, and was taken, it is to be heard now.
    pub(super) fn answered(
        &mut self,
        number: u32,
        published: &Published<'_>,
        terms: Terms,
        steps: &mut Vec<Step>,
    ) -> Result<Option<Asking>, Fault> {
        let id = u16::try_from(number & 0xffff).unwrap_or_default();
        let qos =
            QoS::of(u8::try_from(number >> 16 & 0b11).unwrap_or_default()).unwrap_or_default();
        self.once_asked -= u32::from(qos == QoS::ExactlyOnce);
        let asking = if number & REQUEST != 0 { self.requests.pop_front() } else { None };
        let refusal = match published {
            Published::Answered { results: [Err(code)], topics: [topic] } => {
                Some(Refusal::of_publish(*code, topic))
            }
            Published::Answered { .. } => None,
            Published::Barred { refusal, .. } => Some((*refusal).clone()),
        };
        let Some(refusal) = refusal else {
            let taken = NotTaken { reason: Reason::SUCCESS, why: "" };
            steps.extend(terms.answer(id, qos, &taken)?);
            return Ok(asking);
        };
        self.taken.remove(&id);
        if qos == QoS::AtMostOnce && refusal.code != RefusalCode::Forbidden {
            // There was no room for it just now: at most once may be never.
            return Ok(None);
        }
        let reason = reasons::of_publish(refusal.code);
        steps.extend(terms.answer(id, qos, &NotTaken { reason, why: &refusal.message })?);
        Ok(None)
    }

    /// The client answers a message, or goes on with one of its own, if it has published any.
    pub(super) fn hear_ack(
        own: Option<&mut Self>,
        ack: &Ack<'_>,
        terms: Terms,
        steps: &mut Vec<Step>,
    ) {
        match ack.kind {
            AckKind::Released => {
                let reason = match own.is_some_and(|own| own.taken.remove(&ack.id)) {
                    true => {
                        steps.push(Step::Uncounted);
                        Reason::SUCCESS
                    }
                    false => Reason::PACKET_ID_NOT_FOUND,
                };
                steps.push(terms.ack(AckKind::Complete, ack.id, reason, ""));
            }
            AckKind::Taken | AckKind::Complete => {
                steps.push(Step::Acknowledged { number: ack.id, is_done: true });
            }
            //= mqtt-v5.0#4.3.3
            //# MUST send a PUBREL packet when it receives a PUBREC packet from the receiver with a Reason Code value less than 0x80
            AckKind::Received => {
                let is_refused = ack.reason.is_error();
                steps.push(Step::Acknowledged { number: ack.id, is_done: is_refused });
                if !is_refused {
                    steps.push(terms.ack(AckKind::Released, ack.id, Reason::SUCCESS, ""));
                }
            }
        }
    }
}

impl Terms {
    /// Whether the client takes a packet of so many bytes.
    pub(super) const fn takes(self, bytes: usize) -> bool {
        self.packet_bytes_max == 0 || bytes <= self.packet_bytes_max as usize
    }

    pub(super) fn ack(self, kind: AckKind, id: u16, reason: Reason, why: &str) -> Step {
        let (mut properties, mut out) = (Vec::new(), Vec::new());
        if !why.is_empty() && self.wants_reasons {
            Property::Text(PropertyId::ReasonString, why).put(&mut properties);
        }
        put_ack(self.version, kind, id, (reason, &properties), &mut out);
        //= mqtt-v5.0#3.4.2.2.2
        //# The sender MUST NOT send this property if it would increase the size of the PUBACK packet beyond the Maximum Packet Size
        if !self.takes(out.len()) {
            out.clear();
            put_ack(self.version, kind, id, (reason, &[]), &mut out);
        }
        Step::say(out)
    }

    /// Says what became of a message, as far as there are words for it.
    //= mqtt-v3.1.1#3.3.5
    //# If a Server implementation does not authorize a PUBLISH to be performed by a Client; it has no way of informing that Client. It MUST
    //# either make a positive acknowledgement, according to the normal QoS rules, or close the Network Connection
    fn answer(self, id: u16, qos: QoS, not_taken: &NotTaken<'_>) -> Result<Option<Step>, Fault> {
        let NotTaken { reason, why } = *not_taken;
        let kind = match qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(AckKind::Taken),
            QoS::ExactlyOnce => Some(AckKind::Received),
        };
        match kind {
            Some(kind) if !reason.is_error() || self.version == Version::V5 => {
                Ok(Some(self.ack(kind, id, reason, why)))
            }
            None if !reason.is_error() => Ok(None),
            _ => Err(Fault::of(reason, "a message was not taken")),
        }
    }
}
