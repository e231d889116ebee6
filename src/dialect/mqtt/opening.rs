//! CONNECT, until it is answered: who the client is, and what both sides may send.

use super::V4;
use super::V5;
use super::message::Message;
use super::message::publisher_of;
use super::publishing::Terms;
use super::reasons::close_code;
use crate::dialect::Context;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Ticket;
use crate::event::Draft;
use crate::limits::MQTT_CLIENT_ID_BYTES_MAX;
use crate::limits::MQTT_RECEIVE_MAX;
use crate::limits::MQTT_SEND_MAX;
use crate::limits::MQTT_TOPIC_ALIASES_MAX;
use crate::limits::MQTT_WILL_BYTES_MAX;
use crate::wire::mqtt::Connect;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::Reason;
use crate::wire::mqtt::Version;
use crate::wire::mqtt::Will;
use crate::wire::mqtt::put_connack;

/// What CONNECT has said, as far as it is needed until it is answered.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) version: Version,
    keep_alive_s: u16,
    wants_reasons: bool,
    /// A token was shown.
    has_token: bool,
    /// The session is to outlive the connection.
    is_to_last: bool,
    /// Messages that the client takes without having acknowledged them.
    window: u16,
    /// Bytes of the largest packet that the client takes; 0: any.
    packet_bytes_max: u32,
    /// What the client calls itself, as a hash.
    publisher: u64,
    /// What is said for it if it goes without a word.
    will: Option<Box<Draft>>,
    /// The server names the client, which has not named itself.
    assigned: Option<Box<str>>,
}

impl Opened {
    /// CONNECT has come: asks whether its client is let in, or refuses it.
    pub(super) fn new(
        connect: &Connect<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) -> Option<Self> {
        let Connect { version, properties, client_id, .. } = *connect;
        let refuse = |reason: Reason, what: &'static str, steps: &mut Vec<Step>| {
            say_refused(version, reason, what, steps);
            None
        };
        if client_id.len() > MQTT_CLIENT_ID_BYTES_MAX {
            return refuse(Reason::CLIENT_ID_NOT_VALID, "the client identifier is too long", steps);
        }
        //= mqtt-v3.1.1#3.1.3.1
        //# If the Client supplies a zero-byte ClientId with CleanSession set to 0, the Server MUST respond to the CONNECT Packet with
        //# a CONNACK return code 0x02 (Identifier rejected)
        if client_id.is_empty() && version == Version::V4 && !connect.is_clean {
            let what = "a session without a client identifier cannot be found again";
            return refuse(Reason::CLIENT_ID_NOT_VALID, what, steps);
        }
        if properties.text(PropertyId::AuthMethod).is_some() {
            let what = "enhanced authentication is not spoken here; a token is the password";
            return refuse(Reason::BAD_AUTHENTICATION_METHOD, what, steps);
        }
        let Ok(token) = connect.password.map(std::str::from_utf8).transpose() else {
            let what = "the password is no token";
            return refuse(Reason::BAD_USER_NAME_OR_PASSWORD, what, steps);
        };
        let assigned = client_id.is_empty().then(|| assigned_id(context));
        let publisher = publisher_of(assigned.as_deref().unwrap_or(client_id));
        let will_bytes = |will: &Will<'_>| will.payload.len() + will.properties.as_bytes().len();
        if connect.will.as_ref().map_or(0, will_bytes) > MQTT_WILL_BYTES_MAX {
            return refuse(Reason::QUOTA_EXCEEDED, "the will is too large", steps);
        }
        let will = connect.will.map(|will| Message::of_will(&will, publisher).draft(context.view));
        let will = match will.transpose() {
            Ok(will) => will.map(Box::new),
            Err(not_taken) => return refuse(not_taken.reason, not_taken.why, steps),
        };
        let number = |id| properties.number(id).unwrap_or(0);
        let lasts_s = properties.number(PropertyId::SessionExpiry).unwrap_or(0);
        let opened = Self {
            version,
            keep_alive_s: connect.keep_alive_s,
            wants_reasons: properties.number(PropertyId::RequestProblem) != Some(0),
            has_token: token.is_some(),
            is_to_last: lasts_s > 0,
            window: u16::try_from(number(PropertyId::ReceiveMaximum)).unwrap_or(u16::MAX),
            packet_bytes_max: number(PropertyId::MaximumPacketSize),
            publisher,
            will,
            assigned,
        };
        let token = token.filter(|token| !token.is_empty()).map(Into::into);
        steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Enter { token } });
        Some(opened)
    }

    /// The client is let in; a packet of its may have so many bytes.
    pub(super) fn let_in(&mut self, packet_bytes_max: usize, steps: &mut Vec<Step>) -> Terms {
        if let Some(will) = self.will.take() {
            steps.push(Step::Will(Some(will)));
        }
        let Self { version, wants_reasons, keep_alive_s, .. } = *self;
        let dialect = if version == Version::V5 { V5 } else { V4 };
        steps.push(Step::Speak(dialect));
        //= mqtt-v5.0#3.1.2.10
        //# If the Keep Alive value is non-zero and the Server does not receive an MQTT Control Packet from the Client within one and
        //# a half times the Keep Alive time period, it MUST close the Network Connection to the Client
        let after_s = (u32::from(keep_alive_s) * 3).div_ceil(2);
        steps.push(Step::Silence { after_s });
        //= mqtt-v5.0#3.1.4
        //# If the ClientID represents a Client already connected to the Server, the Server sends a DISCONNECT packet to the existing
        //# Client with Reason Code of 0x8E (Session taken over)
        steps.push(Step::Claim { name: self.publisher });
        let most = if self.window == 0 { u16::MAX } else { self.window };
        steps.push(Step::Window { most: most.min(MQTT_SEND_MAX) });
        let mut properties = Vec::new();
        let mut put = |id, number| Property::Number(id, number).put(&mut properties);
        put(PropertyId::ReceiveMaximum, u32::from(MQTT_RECEIVE_MAX));
        put(PropertyId::TopicAliasMaximum, u32::from(MQTT_TOPIC_ALIASES_MAX));
        put(PropertyId::MaximumPacketSize, u32::try_from(packet_bytes_max).unwrap_or(u32::MAX));
        put(PropertyId::SharedAvailable, 0);
        if self.is_to_last {
            // A session ends with its connection.
            put(PropertyId::SessionExpiry, 0);
        }
        if let Some(assigned) = &self.assigned {
            Property::Text(PropertyId::AssignedClientId, assigned).put(&mut properties);
        }
        let mut out = Vec::new();
        put_connack(version, false, Reason::SUCCESS, &properties, &mut out);
        steps.push(Step::say(out));
        let Self { publisher, packet_bytes_max, .. } = *self;
        Terms { version, wants_reasons, publisher, packet_bytes_max }
    }

    /// The client is not let in.
    pub(super) fn not_let_in(&self, why: &str, steps: &mut Vec<Step>) {
        let reason = match self.has_token {
            true => Reason::BAD_USER_NAME_OR_PASSWORD,
            false => Reason::NOT_AUTHORIZED,
        };
        say_refused(self.version, reason, why, steps);
    }
}

/// A name that no other client has: of the process and of the connection.
fn assigned_id(context: &Context<'_>) -> Box<str> {
    format!("fanwire-{}-{:x}", context.epoch, context.serial).into()
}

/// Says CONNACK, and ends the connection.
fn say_refused(version: Version, reason: Reason, why: &str, steps: &mut Vec<Step>) {
    let mut properties = Vec::new();
    Property::Text(PropertyId::ReasonString, why).put(&mut properties);
    let mut out = Vec::new();
    if put_connack(version, false, reason, &properties, &mut out) {
        steps.push(Step::say(out));
    }
    // What there is to say was said.
    steps.push(Step::Close { code: close_code(Reason::SUCCESS), reason: "" });
}
