//! A session at a broker of MQTT, in which messages wait for us while we are away.
//!
//! Invariants: a message is acknowledged once it is stored here, not before; of those that are not acknowledged the broker sends no more than it was told; a session that the broker has forgotten is told as a gap.

use std::time::Duration;

use bytes::Bytes;

use super::packets;
use super::packets::Came;
use super::packets::Hello;
use crate::limits::BROKER_SILENCE_MS_MAX;
use crate::limits::MQTT_SOURCE_RECEIVE_MAX;
use crate::limits::SOURCE_MESSAGE_BYTES_MAX;
use crate::source::Batch;
use crate::source::Connected;
use crate::source::Connector;
use crate::source::Fault;
use crate::source::FaultKind;
use crate::source::Gap;
use crate::source::Message;
use crate::source::Resume;
use crate::source::broker::Deadline;
use crate::source::broker::Name;
use crate::source::broker::Pipe;
use crate::source::broker::Target;
use crate::source::broker::garbled;
use crate::source::broker::lost;
use crate::wire::mqtt::AckKind;
use crate::wire::mqtt::Packet;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Reason;
use crate::wire::mqtt::Version;
use crate::wire::mqtt::kind;
use crate::wire::mqtt::put_ack;
use crate::wire::mqtt::read;

/// The only thing that can be said of where to go on: that there was a session.
const HEARD: &[u8] = b"1";
/// A sign of life is given, and asked for, so often.
const KEEP_ALIVE: Duration = Duration::from_millis(BROKER_SILENCE_MS_MAX / 2);
const SILENCE: Duration = Duration::from_millis(BROKER_SILENCE_MS_MAX);
/// The identifier of our one SUBSCRIBE.
const SUBSCRIBE_ID: u16 = 1;

/// What is wanted of the broker.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) version: Version,
    pub(super) client_id: String,
    pub(super) filters: Vec<String>,
    pub(super) qos: QoS,
    pub(super) session_s: u32,
}

struct Connection {
    pipe: Pipe,
    version: Version,
    out: Vec<u8>,
    /// Bytes of a message that is too large, still to come.
    left_out: usize,
    /// What is to be acknowledged once it is stored.
    unacknowledged: Vec<(QoS, u16)>,
    /// When we have to say something.
    ping_due: Deadline,
    target: Target,
}

pub(super) struct Session {
    target: Target,
    wanted: Wanted,
    first: usize,
    connection: Option<Connection>,
    was_connected: bool,
    is_new: bool,
    name: Name,
}

impl Session {
    pub(super) fn new(target: Target, wanted: Wanted) -> Self {
        let (connection, name) = (None, Name::default());
        Self { target, wanted, first: 0, connection, was_connected: false, is_new: true, name }
    }

    /// Says who we are and what we want; whether there was a session.
    fn open(&mut self, until: &Deadline) -> Result<(Connection, bool), Fault> {
        let Self { target, wanted, .. } = self;
        let pipe = Pipe::open(target, (&mut self.first, target.address.is_encrypted), until)?;
        if target.secret.is_some() {
            target.may_say_secret(pipe.is_encrypted)?;
        }
        let mut connection = Connection {
            pipe,
            version: wanted.version,
            out: Vec::new(),
            left_out: 0,
            unacknowledged: Vec::new(),
            ping_due: Deadline::new(target.clock, KEEP_ALIVE),
            target: target.clone(),
        };
        let hello = Hello {
            version: wanted.version,
            client_id: &wanted.client_id,
            user: &target.address.user,
            password: target.secret.as_deref(),
            keep_alive_s: u16::try_from(KEEP_ALIVE.as_secs() * 2).unwrap_or(u16::MAX),
            session_s: wanted.session_s,
            receive_max: MQTT_SOURCE_RECEIVE_MAX,
        };
        hello.put(&mut connection.out);
        connection.flush()?;
        let late = |what: &str| {
            Fault::new(FaultKind::Unreachable, format_args!("it takes too long until it {what}"))
        };
        let answer = connection.next(until)?.ok_or_else(|| late("lets us in"))?;
        let Came::Packet(answer) = answer else { return Err(garbled("it begins with a message")) };
        let first = answer.first().copied().unwrap_or_default() >> 4;
        let said = packets::connack(&packets::body(&answer)).filter(|_| first == kind::CONNACK);
        let (was_there, code) =
            said.ok_or_else(|| garbled("it does not answer as a broker does"))?;
        if code != 0 {
            return Err(refused(wanted.version, code));
        }
        packets::put_subscribe(
            wanted.version,
            SUBSCRIBE_ID,
            &wanted.filters,
            wanted.qos,
            &mut connection.out,
        );
        connection.flush()?;
        Ok((connection, was_there))
    }
}

impl Connector for Session {
    fn connect(&mut self, from: Option<&Resume>, within: Duration) -> Result<Connected, Fault> {
        self.connection = None;
        let until = Deadline::new(self.target.clock, within);
        let (connection, was_there) = self.open(&until)?;
        self.connection = Some(connection);
        let was_away = from.is_some() || std::mem::replace(&mut self.was_connected, true);
        self.is_new = from.is_none();
        let why = match self.wanted.session_s {
            0 => "the broker keeps no session for us: what was said meanwhile is not known",
            _ => "the broker has forgotten our session: what was said meanwhile is not known",
        };
        let gap = (was_away && !was_there).then(|| Gap { messages: 0, why: why.into() });
        Ok(Connected { gap })
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        let until = Deadline::new(self.target.clock, within);
        let Some(connection) = &mut self.connection else { return Err(not_connected()) };
        if std::mem::take(&mut self.is_new) {
            batch.goes_on_from(Resume(HEARD.into()));
        }
        let mut came = connection.next(&until)?;
        while let Some(one) = came {
            connection.hear(one, (batch, &mut self.name))?;
            came = if batch.has_room() { connection.next_ready()? } else { None };
        }
        connection.give_sign_of_life()
    }

    fn stored(&mut self, _within: Duration) -> Result<(), Fault> {
        let Some(connection) = &mut self.connection else { return Err(not_connected()) };
        connection.acknowledge()
    }

    fn lag(&self) -> Option<u64> {
        None
    }

    fn close(&mut self, _within: Duration) {
        let Some(mut connection) = self.connection.take() else { return };
        packets::put_disconnect(&mut connection.out);
        if let Err(fault) = connection.flush() {
            tracing::debug!(%fault, "a broker is left without a goodbye");
        }
    }
}

impl Connection {
    /// The next packet; `None`: none came in time.
    fn next(&mut self, until: &Deadline) -> Result<Option<Came>, Fault> {
        loop {
            if let Some(came) = self.held()? {
                return Ok(Some(came));
            }
            if !self.pipe.fill(until)? {
                return Ok(None);
            }
        }
    }

    /// The next packet of those that are there already.
    fn next_ready(&mut self) -> Result<Option<Came>, Fault> {
        loop {
            if let Some(came) = self.held()? {
                return Ok(Some(came));
            }
            if !self.pipe.fill_ready()? {
                return Ok(None);
            }
        }
    }

    fn held(&mut self) -> Result<Option<Came>, Fault> {
        if self.left_out > 0 && !packets::leave_out(&mut self.pipe.inbox, &mut self.left_out) {
            return Ok(None);
        }
        packets::next(&mut self.pipe.inbox).map_err(garbled)
    }

    /// Takes a message, or whatever else is said.
    fn hear(&mut self, came: Came, (batch, name): (&mut Batch, &mut Name)) -> Result<(), Fault> {
        let packet = match came {
            Came::Packet(packet) => packet,
            Came::Oversized { topic, qos, id, left, bytes } => {
                self.left_out = left;
                let why = format!("it has {bytes} bytes, and {SOURCE_MESSAGE_BYTES_MAX} are taken");
                batch.push_unusable(format!("`{topic}`"), why);
                self.note(qos, id);
                return Ok(());
            }
        };
        match packet.first().copied().unwrap_or_default() >> 4 {
            kind::PUBLISH => {
                let read = read(&packet, Some(self.version));
                let Ok(Packet::Publish(message)) = read else {
                    return Err(garbled("a message of it cannot be read"));
                };
                let payload = packet.slice_ref(message.payload);
                let headers = headers(&message);
                let subject = Some(name.of(message.topic.as_bytes()));
                batch.push(Message { subject, headers, payload, ..Message::default() });
                self.note(message.qos, message.id);
                Ok(())
            }
            // It has heard that its message of QoS 2 is stored here.
            kind::PUBREL => {
                let Ok(Packet::Ack(released)) = read(&packet, Some(self.version)) else {
                    return Err(garbled("PUBREL cannot be read"));
                };
                let said = (Reason::SUCCESS, &[][..]);
                put_ack(self.version, AckKind::Complete, released.id, said, &mut self.out);
                self.flush()
            }
            kind::SUBACK => {
                let reasons = packets::suback(self.version, &packets::body(&packet));
                let reasons = reasons.ok_or_else(|| garbled("SUBACK cannot be read"))?;
                match reasons.iter().find(|reason| Reason(**reason).is_error()) {
                    Some(reason) => {
                        let why = format_args!("it does not let us subscribe (0x{reason:02X})");
                        Err(Fault::new(FaultKind::Denied, why))
                    }
                    None => Ok(()),
                }
            }
            kind::PINGRESP => Ok(()),
            kind::DISCONNECT => {
                let reason = packets::body(&packet).first().copied().unwrap_or_default();
                Err(ended(reason))
            }
            other => {
                Err(garbled(format_args!("it says a packet of type {other}, which clients say")))
            }
        }
    }

    fn note(&mut self, qos: QoS, id: u16) {
        if qos != QoS::AtMostOnce {
            self.unacknowledged.push((qos, id));
        }
    }

    fn acknowledge(&mut self) -> Result<(), Fault> {
        for (qos, id) in self.unacknowledged.drain(..) {
            let kind = if qos == QoS::ExactlyOnce { AckKind::Received } else { AckKind::Taken };
            put_ack(self.version, kind, id, (Reason::SUCCESS, &[]), &mut self.out);
        }
        self.flush()
    }

    /// Says something if nothing was said for a while, and looks whether anything is heard.
    fn give_sign_of_life(&mut self) -> Result<(), Fault> {
        let silence = self.pipe.silence();
        if silence > SILENCE {
            return Err(lost(&format_args!("it has said nothing for {} s", silence.as_secs())));
        }
        if self.ping_due.is_over() {
            packets::put_ping(&mut self.out);
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = self.pipe.send(&self.out);
        self.out.clear();
        self.ping_due = Deadline::new(self.target.clock, KEEP_ALIVE);
        sent
    }
}

/// What a message says of itself: its user properties, the type of its payload, and whether it was retained.
fn headers(message: &crate::wire::mqtt::Publish<'_>) -> Vec<(std::sync::Arc<str>, Bytes)> {
    let said = message.properties.iter().filter_map(|property| match property {
        Property::User(name, value) => {
            Some((name.into(), Bytes::copy_from_slice(value.as_bytes())))
        }
        Property::Text(PropertyId::ContentType, value) => {
            Some(("content-type".into(), Bytes::copy_from_slice(value.as_bytes())))
        }
        _ => None,
    });
    let retained = message.is_retained.then(|| ("retained".into(), Bytes::from_static(b"true")));
    said.chain(retained).collect()
}

/// Why a broker does not let us in (MQTT 5, section 3.2.2.2; 3.1.1, section 3.2.2.3).
fn refused(version: Version, code: u8) -> Fault {
    let kind = match (version, code) {
        (Version::V4, 4 | 5) => FaultKind::Denied,
        (Version::V4, 1 | 2) => FaultKind::Wrong,
        (Version::V4, _) => FaultKind::Unreachable,
        (Version::V5, 0x86 | 0x87 | 0x8A | 0x8C) => FaultKind::Denied,
        (Version::V5, 0x84 | 0x85 | 0x90 | 0x95 | 0x9A | 0x9B) => FaultKind::Wrong,
        (Version::V5, _) => FaultKind::Unreachable,
    };
    Fault::new(kind, format_args!("it does not let us in (0x{code:02X})"))
}

fn ended(reason: u8) -> Fault {
    match Reason(reason) {
        Reason::SESSION_TAKEN_OVER => {
            let why =
                "another client is called as we are: each source needs a `client_id` of its own";
            Fault::new(FaultKind::Wrong, why)
        }
        Reason::NOT_AUTHORIZED => Fault::new(FaultKind::Denied, "it says goodbye (0x87)"),
        Reason(reason) => lost(&format_args!("it says goodbye (0x{reason:02X})")),
    }
}

fn not_connected() -> Fault {
    Fault::new(FaultKind::Lost, "there is no connection")
}
