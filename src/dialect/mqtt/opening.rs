//! CONNECT, until it is answered: who the client is, and what both sides may send.

use super::PROTOCOL;
use super::SHARED;
use super::V4;
use super::V5;
use super::message::Message;
use super::message::NotTaken;
use super::message::publisher_of;
use super::publishing::Terms;
use super::reasons::close_code;
use crate::dialect::Context;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Ticket;
use crate::dialect::Will;
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
use crate::wire::mqtt::Will as Said;
use crate::wire::mqtt::put_connack;

/// What CONNECT has said, as far as it is needed until it is answered.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) version: Version,
    keep_alive_s: u16,
    wants_reasons: bool,
    /// A token was shown.
    has_token: bool,
    /// Seconds for which the session is to outlast the connection.
    asked_s: u32,
    /// Seconds for which it does.
    lasts_s: u32,
    is_clean: bool,
    /// Messages that the client takes without having acknowledged them.
    window: u16,
    /// Bytes of the largest packet that the client takes; 0: any.
    packet_bytes_max: u32,
    /// What the client calls itself, as a hash.
    publisher: u64,
    /// What is said for it if it goes without a word.
    will: Option<Box<Will>>,
    client: Box<str>,
    /// The server has named the client, which has not named itself.
    is_assigned: bool,
}

impl Opened {
    /// CONNECT has come: asks whether its client is let in, or refuses it.
    pub(super) fn new(
        connect: &Connect<'_>,
        (context, session_s_max): (&Context<'_>, u32),
        steps: &mut Vec<Step>,
    ) -> Option<Self> {
        let Connect { version, properties, client_id, .. } = *connect;
        let number = |id| properties.number(id).unwrap_or(0);
        let packet_bytes_max = number(PropertyId::MaximumPacketSize);
        let refuse = |reason: Reason, what: &'static str, steps: &mut Vec<Step>| {
            say_refused((version, packet_bytes_max), reason, what, steps);
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
        let is_assigned = client_id.is_empty();
        let client = if is_assigned { assigned_id(context) } else { client_id.into() };
        let publisher = publisher_of(&client);
        let will_bytes = |will: &Said<'_>| will.payload.len() + will.properties.as_bytes().len();
        if connect.will.as_ref().map_or(0, will_bytes) > MQTT_WILL_BYTES_MAX {
            return refuse(Reason::QUOTA_EXCEEDED, "the will is too large", steps);
        }
        let will = connect.will.map(|will| will_of(&will, publisher, context));
        let will = match will.transpose() {
            Ok(will) => will.map(Box::new),
            Err(not_taken) => return refuse(not_taken.reason, not_taken.why, steps),
        };
        //= mqtt-v3.1.1#3.1.2.4
        //# If CleanSession is set to 0, the Server MUST resume communications with the Client based on state from the current Session
        let asked_s = match version {
            Version::V5 => properties.number(PropertyId::SessionExpiry).unwrap_or(0),
            Version::V4 if connect.is_clean => 0,
            Version::V4 => u32::MAX,
        };
        let opened = Self {
            version,
            keep_alive_s: connect.keep_alive_s,
            wants_reasons: properties.number(PropertyId::RequestProblem) != Some(0),
            has_token: token.is_some(),
            asked_s,
            lasts_s: asked_s.min(session_s_max),
            is_clean: connect.is_clean,
            window: u16::try_from(number(PropertyId::ReceiveMaximum)).unwrap_or(u16::MAX),
            packet_bytes_max,
            publisher,
            will,
            client,
            is_assigned,
        };
        //= mqtt-v5.0#3.1.2.11.4
        //# The Server MUST NOT send packets exceeding Maximum Packet Size to the Client.
        if packet_bytes_max > 0
            && opened.connack((0, shares(context)), false).len() > packet_bytes_max as usize
        {
            let what = "the client takes no packet as large as CONNACK";
            return refuse(Reason::PACKET_TOO_LARGE, what, steps);
        }
        let token = token.filter(|token| !token.is_empty()).map(Into::into);
        steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Enter { token } });
        Some(opened)
    }

    /// The client may come in: asks for its name.
    //= mqtt-v5.0#3.1.4
    //# If the ClientID represents a Client already connected to the Server, the Server sends a DISCONNECT packet to the existing
    //# Client with Reason Code of 0x8E (Session taken over)
    pub(super) fn claim(&self, steps: &mut Vec<Step>) {
        let what = Request::Claim { client: self.client.clone(), is_clean: self.is_clean };
        steps.push(Step::Ask { ticket: Ticket::Only, what });
    }

    /// What is said for the client if it goes without a word, from here on.
    pub(super) fn will(&mut self) -> Option<Step> {
        self.will.take().map(|will| Step::Will(Some(will)))
    }

    /// Seconds for which the session outlasts the connection.
    pub(super) const fn lasts_s(&self) -> u32 {
        self.lasts_s
    }

    /// The client is let in, and goes on with a session if there is one; a packet of its may have so many bytes.
    pub(super) fn let_in(
        &self,
        (packet_bytes_max, shares): (usize, bool),
        is_resumed: bool,
        steps: &mut Vec<Step>,
    ) -> Terms {
        let Self { version, wants_reasons, keep_alive_s, .. } = *self;
        let dialect = if version == Version::V5 { V5 } else { V4 };
        steps.push(Step::Speak(dialect));
        //= mqtt-v5.0#3.1.2.10
        //# If the Keep Alive value is non-zero and the Server does not receive an MQTT Control Packet from the Client within one and
        //# a half times the Keep Alive time period, it MUST close the Network Connection to the Client
        let after_s = (u32::from(keep_alive_s) * 3).div_ceil(2);
        steps.push(Step::Silence { after_s });
        let most = if self.window == 0 { u16::MAX } else { self.window };
        let bytes_max = self.packet_bytes_max;
        steps.push(Step::Window { most: most.min(MQTT_SEND_MAX), bytes_max });
        steps.push(Step::say(self.connack((packet_bytes_max, shares), is_resumed)));
        let Self { publisher, packet_bytes_max, .. } = *self;
        Terms { version, wants_reasons, shares, publisher, packet_bytes_max }
    }

    /// CONNACK, to a client that is let in; a packet of its may have so many bytes.
    fn connack(&self, (packet_bytes_max, shares): (usize, bool), is_resumed: bool) -> Vec<u8> {
        let mut properties = Vec::new();
        let mut put = |id, number| Property::Number(id, number).put(&mut properties);
        put(PropertyId::ReceiveMaximum, u32::from(MQTT_RECEIVE_MAX));
        put(PropertyId::TopicAliasMaximum, u32::from(MQTT_TOPIC_ALIASES_MAX));
        put(PropertyId::MaximumPacketSize, u32::try_from(packet_bytes_max).unwrap_or(u32::MAX));
        if !shares {
            put(PropertyId::SharedAvailable, 0);
        }
        //= mqtt-v5.0#3.2.2.3.2
        //# If the Session Expiry Interval is absent the value in the CONNECT packet is used. The server uses this property to inform the
        //# Client that it is using a value other than that sent by the Client in the CONNECT.
        if self.lasts_s != self.asked_s {
            put(PropertyId::SessionExpiry, self.lasts_s);
        }
        if self.is_assigned {
            Property::Text(PropertyId::AssignedClientId, &self.client).put(&mut properties);
        }
        let mut out = Vec::new();
        put_connack(self.version, is_resumed, Reason::SUCCESS, &properties, &mut out);
        out
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        let will = self.will.as_ref().map_or(0, |will| will.draft.held_bytes());
        size_of::<Self>() + self.client.len() + will
    }

    /// The client is not let in.
    pub(super) fn not_let_in(&self, why: &str, steps: &mut Vec<Step>) {
        let reason = match self.has_token {
            true => Reason::BAD_USER_NAME_OR_PASSWORD,
            false => Reason::NOT_AUTHORIZED,
        };
        say_refused((self.version, self.packet_bytes_max), reason, why, steps);
    }
}

/// Whether clients may share subscriptions.
pub(super) fn shares(context: &Context<'_>) -> bool {
    context.views.is_on(&PROTOCOL, SHARED)
}

/// A will, and how long it waits.
fn will_of(
    will: &Said<'_>,
    publisher: u64,
    context: &Context<'_>,
) -> Result<Will, NotTaken<'static>> {
    let draft = Message::of_will(will, publisher).draft(context.view)?;
    let delay_s = will.properties.number(PropertyId::WillDelay).unwrap_or(0);
    Ok(Will { draft, delay_s })
}

/// A name that no other client has: of the process and of the connection.
fn assigned_id(context: &Context<'_>) -> Box<str> {
    format!("fanwire-{}-{:x}", context.epoch, context.serial).into()
}

/// Says CONNACK, and ends the connection of a client that takes packets of so many bytes; 0: any.
pub(super) fn say_refused(
    (version, packet_bytes_max): (Version, u32),
    reason: Reason,
    why: &str,
    steps: &mut Vec<Step>,
) {
    let mut properties = Vec::new();
    Property::Text(PropertyId::ReasonString, why).put(&mut properties);
    let mut out = Vec::new();
    if put_connack(version, false, reason, &properties, &mut out) {
        //= mqtt-v5.0#3.2.2.3.9
        //# The Server MUST NOT send this property if it would increase the size of the CONNACK packet beyond the Maximum Packet Size
        if packet_bytes_max > 0 && out.len() > packet_bytes_max as usize {
            out.clear();
            put_connack(version, false, reason, &[], &mut out);
        }
        steps.push(Step::say(out));
    }
    // What there is to say was said.
    steps.push(Step::Close { code: close_code(Reason::SUCCESS), reason: "" });
}
