//! Packets of MQTT that a client says, and those of a server that only clients hear.
//!
//! What both sides say alike (messages, and what acknowledges them) is read and written by `wire::mqtt`. Invariant: any bytes give a packet or say what is wrong with it. Never does I/O.

use bytes::Buf as _;
use bytes::Bytes;
use bytes::BytesMut;

use crate::limits::MQTT_HEADER_BYTES_MAX;
use crate::limits::SOURCE_MESSAGE_BYTES_MAX;
use crate::limits::TOPIC_OF_MQTT_BYTES_MAX;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Version;
use crate::wire::mqtt::kind;
use crate::wire::mqtt::packet_bytes;
use crate::wire::mqtt::put_header;
use crate::wire::mqtt::put_properties;

/// Bytes that any packet may say it has: four bytes of seven bits each.
const PACKET_BYTES_MAX: usize = (1 << 28) - 1 + MQTT_HEADER_BYTES_MAX;
/// Bytes of a message besides its payload, its properties included, that are taken.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// A whole packet, header and all.
    Packet(Bytes),
    /// A message that is too large to be taken: its topic, its QoS and its identifier; so many bytes of it still follow.
    Oversized { topic: String, qos: QoS, id: u16, left: usize, bytes: usize },
}

/// The next packet; `None`: more must come first.
pub(super) fn next(inbox: &mut BytesMut) -> Result<Option<Came>, String> {
    let whole = packet_bytes(inbox, PACKET_BYTES_MAX).map_err(|fault| fault.to_string())?;
    let Some(whole) = whole else { return Ok(None) };
    let kind = inbox.first().map_or(0, |first| first >> 4);
    if whole <= SOURCE_MESSAGE_BYTES_MAX + HEAD_BYTES_MAX {
        return Ok((inbox.len() >= whole).then(|| Came::Packet(inbox.split_to(whole).freeze())));
    }
    if kind != kind::PUBLISH {
        return Err(format!("a packet of type {kind} has {whole} bytes"));
    }
    if inbox.len() < MQTT_HEADER_BYTES_MAX + 2 + TOPIC_OF_MQTT_BYTES_MAX + 2 {
        return Ok(None);
    }
    let flags = inbox.first().copied().unwrap_or_default();
    let qos = QoS::of(flags >> 1 & 0b11).ok_or("a message has QoS 3")?;
    let mut head = &inbox[..];
    // A packet of that size has a header of five bytes.
    head.advance(MQTT_HEADER_BYTES_MAX);
    let topic_bytes = usize::from(head.get_u16());
    let topic = head.get(..topic_bytes).ok_or("a message is shorter than its topic")?;
    let topic = String::from_utf8_lossy(topic).into_owned();
    head.advance(topic_bytes);
    let id = if qos == QoS::AtMostOnce { 0 } else { head.get_u16() };
    let there = inbox.len().min(whole);
    inbox.advance(there);
    Ok(Some(Came::Oversized { topic, qos, id, left: whole - there, bytes: whole }))
}

/// Leaves out the rest of a message that is too large, as far as it has come; whether all of it has.
pub(super) fn leave_out(inbox: &mut BytesMut, left: &mut usize) -> bool {
    let count = inbox.len().min(*left);
    inbox.advance(count);
    *left -= count;
    *left == 0
}

/// A client, as it says CONNECT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hello<'a> {
    pub(super) version: Version,
    pub(super) client_id: &'a str,
    pub(super) user: &'a str,
    pub(super) password: Option<&'a str>,
    pub(super) keep_alive_s: u16,
    /// For how long its session outlives it: in 3.1.1 for ever.
    pub(super) session_s: u32,
    /// Messages that it was sent and has not acknowledged, at most; 3.1.1 does not say.
    pub(super) receive_max: u16,
}

impl Hello<'_> {
    /// Appends CONNECT (MQTT 5, section 3.1).
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let mut rest = Vec::new();
        put_text("MQTT", &mut rest);
        rest.push(if self.version == Version::V4 { 4 } else { 5 });
        let has_user = !self.user.is_empty() || self.password.is_some();
        let is_clean = self.session_s == 0;
        let flags = u8::from(has_user) << 7
            | u8::from(self.password.is_some()) << 6
            | u8::from(is_clean) << 1;
        rest.push(flags);
        rest.extend(self.keep_alive_s.to_be_bytes());
        if self.version == Version::V5 {
            let mut properties = Vec::new();
            Property::Number(PropertyId::SessionExpiry, self.session_s).put(&mut properties);
            let most = u32::from(self.receive_max);
            Property::Number(PropertyId::ReceiveMaximum, most).put(&mut properties);
            put_properties(&properties, &mut rest);
        }
        put_text(self.client_id, &mut rest);
        if has_user {
            put_text(self.user, &mut rest);
        }
        if let Some(password) = self.password {
            put_text(password, &mut rest);
        }
        put_header(kind::CONNECT << 4, rest.len(), out);
        out.extend(rest);
    }
}

/// Appends SUBSCRIBE for some filters (MQTT 5, section 3.8); what is retained is wanted once, when the subscription is new.
pub(super) fn put_subscribe(
    version: Version,
    id: u16,
    filters: &[String],
    qos: QoS,
    out: &mut Vec<u8>,
) {
    const IF_NEW: u8 = 1 << 4;
    const RETAIN_AS_PUBLISHED: u8 = 1 << 3;
    let mut rest = Vec::from(id.to_be_bytes());
    let mut options = qos as u8;
    if version == Version::V5 {
        put_properties(&[], &mut rest);
        options |= IF_NEW | RETAIN_AS_PUBLISHED;
    }
    for filter in filters {
        put_text(filter, &mut rest);
        rest.push(options);
    }
    put_header(kind::SUBSCRIBE << 4 | 0b0010, rest.len(), out);
    out.extend(rest);
}

/// Appends PINGREQ.
pub(super) fn put_ping(out: &mut Vec<u8>) {
    put_header(kind::PINGREQ << 4, 0, out);
}

/// Appends DISCONNECT: the session is left as it is.
pub(super) fn put_disconnect(out: &mut Vec<u8>) {
    put_header(kind::DISCONNECT << 4, 0, out);
}

/// What follows a packet's header.
pub(super) fn body(packet: &Bytes) -> Bytes {
    let length = packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    packet.slice((1 + length).min(packet.len())..)
}

/// What CONNACK says: whether there was a session, and a reason or return code.
pub(super) fn connack(body: &Bytes) -> Option<(bool, u8)> {
    match body.get(..2) {
        Some([flags @ 0..=1, code]) => Some((*flags == 1, *code)),
        _ => None,
    }
}

/// The reasons that SUBACK says, in the order of the filters.
pub(super) fn suback(version: Version, body: &Bytes) -> Option<Bytes> {
    let mut rest = body.clone();
    if rest.len() < 3 {
        return None;
    }
    rest.advance(2);
    if version == Version::V5 {
        let (mut bytes, mut shift) = (0_usize, 0);
        loop {
            let byte = rest.try_get_u8().ok()?;
            bytes |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
            if shift > 21 {
                return None;
            }
        }
        if rest.len() < bytes {
            return None;
        }
        rest.advance(bytes);
    }
    Some(rest)
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let count = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(count.to_be_bytes());
    out.extend(bytes.iter().take(usize::from(count)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::mqtt::Packet;
    use crate::wire::mqtt::read;

    const HELLO: Hello<'_> = Hello {
        version: Version::V5,
        client_id: "c",
        user: "ada",
        password: Some("pw"),
        keep_alive_s: 30,
        session_s: 60,
        receive_max: 7,
    };

    #[test]
    fn a_server_reads_what_a_client_says() {
        for version in [Version::V4, Version::V5] {
            let mut out = Vec::new();
            Hello { version, ..HELLO }.put(&mut out);
            let Ok(Packet::Connect(connect)) = read(&out, None) else { panic!("{out:?}") };
            assert_eq!(
                (connect.version, connect.is_clean, connect.client_id),
                (version, false, "c")
            );
            assert_eq!((connect.user, connect.password), (Some("ada"), Some(&b"pw"[..])));
            let most = connect.properties.number(PropertyId::ReceiveMaximum);
            assert_eq!(most, (version == Version::V5).then_some(7));
            let mut out = Vec::new();
            let filters = ["a/+".to_owned(), "b/#".to_owned()];
            put_subscribe(version, 9, &filters, QoS::AtLeastOnce, &mut out);
            let Ok(Packet::Subscribe(subscribe)) = read(&out, Some(version)) else {
                panic!("{out:?}")
            };
            let found: Vec<_> = subscribe.filters.iter().map(|(filter, _)| filter).collect();
            assert_eq!((subscribe.id, found), (9, vec!["a/+", "b/#"]));
        }
        let mut out = Vec::new();
        Hello { user: "", password: None, session_s: 0, ..HELLO }.put(&mut out);
        let Ok(Packet::Connect(connect)) = read(&out, None) else { panic!("{out:?}") };
        assert!(connect.is_clean && connect.user.is_none());
    }

    #[test]
    fn answers_are_read_and_garbage_is_not() {
        let bytes = |bytes: &'static [u8]| Bytes::from_static(bytes);
        assert_eq!(connack(&bytes(&[1, 0, 0])), Some((true, 0)));
        assert_eq!(connack(&bytes(&[2, 0])), None);
        assert_eq!(connack(&bytes(&[0])), None);
        assert_eq!(suback(Version::V4, &bytes(&[0, 1, 1, 0x80])), Some(bytes(&[1, 0x80])));
        assert_eq!(suback(Version::V5, &bytes(&[0, 1, 2, 9, 9, 1])), Some(bytes(&[1])));
        assert_eq!(suback(Version::V5, &bytes(&[0, 1, 9, 1])), None);
        assert_eq!(suback(Version::V5, &bytes(&[0, 1, 0xff, 0xff, 0xff, 0xff, 1])), None);
        assert!(next(&mut BytesMut::from(&b"HTTP/1.1 400"[..])).is_ok());
        assert!(next(&mut BytesMut::from(&[0x00, 0][..])).is_err());
        assert!(next(&mut BytesMut::from(&[0x20, 0xff, 0xff, 0xff, 0x7f][..])).is_err());
        assert_eq!(next(&mut BytesMut::from(&[0xd0][..])), Ok(None));
    }

    #[test]
    fn a_message_that_is_too_large_is_left_out() {
        let whole = SOURCE_MESSAGE_BYTES_MAX + HEAD_BYTES_MAX + 1;
        let mut packet = Vec::new();
        put_header(kind::PUBLISH << 4 | 0b0010, whole - MQTT_HEADER_BYTES_MAX, &mut packet);
        put_text("a/b", &mut packet);
        packet.extend(7_u16.to_be_bytes());
        packet.resize(whole, b'x');
        packet.extend([0xd0, 0]);
        let (first, rest) = packet.split_at(100_000);
        let mut inbox = BytesMut::from(first);
        let Ok(Some(Came::Oversized { topic, qos, id, mut left, bytes })) = next(&mut inbox) else {
            panic!("it is too large")
        };
        assert_eq!((&*topic, qos, id, bytes), ("a/b", QoS::AtLeastOnce, 7, whole));
        inbox.extend_from_slice(rest);
        assert!(leave_out(&mut inbox, &mut left));
        assert_eq!(next(&mut inbox), Ok(Some(Came::Packet(Bytes::from_static(&[0xd0, 0])))));
    }
}
