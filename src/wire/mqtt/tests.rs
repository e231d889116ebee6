//! The codec by itself: what the standard's pages show, what it refuses and with which reason code, round trips, and any bytes.

use super::*;
use crate::wire::testing::Random;

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_header(first, body.len(), &mut out);
    out.extend_from_slice(body);
    out
}

fn connect(version: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    packet(0x10, &[&[0, 4, b'M', b'Q', b'T', b'T', version, flags, 0, 10], rest].concat())
}

#[test]
fn a_length_is_known_as_soon_as_its_header_is() {
    for remaining in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
        let mut header = Vec::new();
        put_header(0x30, remaining, &mut header);
        for cut in 0..header.len() {
            assert_eq!(packet_bytes(&header[..cut], usize::MAX), Ok(None), "{remaining} {cut}");
        }
        let whole = header.len() + remaining;
        assert_eq!(packet_bytes(&header, whole), Ok(Some(whole)));
        let fault = packet_bytes(&header, whole - 1).unwrap_err();
        assert_eq!(fault.reason, Reason::PACKET_TOO_LARGE);
    }
    let fault = packet_bytes(&[0x30, 0x80, 0x80, 0x80, 0x80], usize::MAX).unwrap_err();
    assert_eq!(fault.reason, Reason::MALFORMED_PACKET);
    assert_eq!(packet_bytes(&[0x30, 0x80, 0x80, 0x80], usize::MAX), Ok(None));
    assert_eq!(packet_bytes(&[0x0f], usize::MAX).unwrap_err().reason, Reason::MALFORMED_PACKET);
}

#[test]
fn connect_says_who_and_what_is_to_be_said_at_the_end() {
    let body = [
        &[5, 0x11, 0, 0, 0, 10][..],
        &[0, 1, b'c'],
        &[5, 0x18, 0, 0, 0, 3, 0, 1, b'w', 0, 2, b'{', b'}'],
        &[0, 1, b'u', 0, 1, 0xff],
    ]
    .concat();
    let said = connect(5, 0b1110_1110, &body);
    let Ok(Packet::Connect(connect)) = read(&said, None) else { panic!("{said:?}") };
    assert_eq!((connect.version, connect.is_clean, connect.keep_alive_s), (Version::V5, true, 10));
    assert_eq!(connect.properties.number(PropertyId::SessionExpiry), Some(10));
    assert_eq!((connect.client_id, connect.user), ("c", Some("u")));
    assert_eq!(connect.password, Some(&[0xff][..]));
    let will = connect.will.unwrap();
    assert_eq!((will.topic, will.payload, will.qos), ("w", &b"{}"[..], QoS::AtLeastOnce));
    assert!(will.is_retained);
    assert_eq!(will.properties.number(PropertyId::WillDelay), Some(3));
}

#[test]
fn what_may_be_short_is() {
    let ending = |packet: &[u8]| match read(packet, Some(Version::V5)).unwrap() {
        Packet::Disconnect { reason, .. } => reason,
        Packet::Ack(ack) => ack.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(ending(&[0xe0, 0]), Reason::SUCCESS);
    assert_eq!(ending(&[0xe0, 1, 0x8e]), Reason::SESSION_TAKEN_OVER);
    assert_eq!(ending(&[0xe0, 2, 0x04, 0]), Reason::DISCONNECT_WITH_WILL);
    assert_eq!(ending(&[0x40, 2, 0, 7]), Reason::SUCCESS);
    assert_eq!(ending(&[0x40, 3, 0, 7, 0x10]), Reason::NO_MATCHING_SUBSCRIBERS);
    assert_eq!(ending(&[0x62, 4, 0, 7, 0x92, 0]), Reason::PACKET_ID_NOT_FOUND);
}

#[test]
fn what_is_wrong_has_the_reason_code_of_the_standard() {
    use Reason as R;
    let v4 = Some(Version::V4);
    let v5 = Some(Version::V5);
    let publish = |flags: u8, body: &[u8]| packet(0x30 | flags, body);
    for (what, packet, version, reason) in [
        ("the first is no CONNECT", packet(0xc0, &[]), None, R::PROTOCOL_ERROR),
        ("CONNECT again", connect(5, 2, &[0, 0, 0]), v5, R::PROTOCOL_ERROR),
        ("version 3", connect(3, 2, &[0, 0]), None, R::UNSUPPORTED_VERSION),
        ("version 6", connect(6, 2, &[0, 0, 0]), None, R::UNSUPPORTED_VERSION),
        ("a reserved flag", connect(4, 3, &[0, 0]), None, R::MALFORMED_PACKET),
        ("a will's flags alone", connect(4, 0b1010, &[0, 0]), None, R::MALFORMED_PACKET),
        ("password alone", connect(4, 0x42, &[0, 0, 0, 0]), None, R::MALFORMED_PACKET),
        ("a tail", connect(4, 2, &[0, 0, 9]), None, R::MALFORMED_PACKET),
        ("unknown property", connect(5, 2, &[2, 0x7e, 0, 0, 0]), None, R::MALFORMED_PACKET),
        ("misplaced", connect(5, 2, &[3, 0x23, 0, 1, 0, 0]), None, R::PROTOCOL_ERROR),
        ("twice", connect(5, 2, &[6, 0x21, 0, 1, 0x21, 0, 1, 0, 0]), None, R::PROTOCOL_ERROR),
        ("receive maximum 0", connect(5, 2, &[3, 0x21, 0, 0, 0, 0]), None, R::PROTOCOL_ERROR),
        ("QoS 3", publish(6, &[0, 1, b'a', 0, 1, 0]), v5, R::MALFORMED_PACKET),
        ("DUP of QoS 0", publish(8, &[0, 1, b'a', 0]), v5, R::MALFORMED_PACKET),
        ("wildcard in a name", publish(0, &[0, 1, b'#', 0]), v5, R::TOPIC_NAME_INVALID),
        ("no topic", publish(0, &[0, 0, 0]), v5, R::PROTOCOL_ERROR),
        ("alias 0", publish(0, &[0, 0, 3, 0x23, 0, 0]), v5, R::TOPIC_ALIAS_INVALID),
        ("a client's id", publish(0, &[0, 1, b'a', 2, 0x0b, 1]), v5, R::PROTOCOL_ERROR),
        ("id 0", publish(2, &[0, 1, b'a', 0, 0, 0]), v5, R::PROTOCOL_ERROR),
        ("U+0000", publish(0, &[0, 1, 0, 0]), v5, R::MALFORMED_PACKET),
        ("no UTF-8", publish(0, &[0, 1, 0xff, 0]), v5, R::MALFORMED_PACKET),
        ("half a pair", publish(0, &[0, 3, 0xed, 0xa0, 0x80, 0]), v5, R::MALFORMED_PACKET),
        ("length of 2 in 1", publish(0, &[0, 1, b'a', 0x80, 0]), v5, R::MALFORMED_PACKET),
        ("nothing asked", packet(0x82, &[0, 1, 0]), v5, R::PROTOCOL_ERROR),
        ("flags", packet(0x80, &[0, 1, 0, 0, 1, b'a', 0]), v5, R::MALFORMED_PACKET),
        ("own and shared", sub("$share/g/a", 0b100), v5, R::PROTOCOL_ERROR),
        ("reserved option", sub("a", 0x40), v5, R::MALFORMED_PACKET),
        ("retain handling 3", sub("a", 0x30), v5, R::PROTOCOL_ERROR),
        ("options of 5", packet(0x82, &[0, 1, 0, 1, b'a', 4]), v4, R::MALFORMED_PACKET),
        ("a server's", packet(0xd0, &[]), v5, R::PROTOCOL_ERROR),
        ("AUTH in 3.1.1", packet(0xf0, &[]), v4, R::MALFORMED_PACKET),
        ("DISCONNECT of 3.1.1", packet(0xe0, &[0]), v4, R::MALFORMED_PACKET),
        ("PINGREQ with a tail", packet(0xc0, &[0]), v5, R::MALFORMED_PACKET),
    ] {
        let read = read(&packet, version);
        assert_eq!(read.map_err(|fault| fault.reason), Err(reason), "{what}");
    }
}

/// SUBSCRIBE of 5 with one filter.
fn sub(filter: &str, options: u8) -> Vec<u8> {
    let length = u8::try_from(filter.len()).unwrap();
    packet(0x82, &[&[0, 1, 0, 0, length], filter.as_bytes(), &[options]].concat())
}

#[test]
fn filters_and_names_are_what_the_standard_says() {
    for filter in ["#", "+", "a/#", "+/a/+", "/", "//#", "a//b", "$SYS/#", "a b/é"] {
        assert!(topic::is_filter(filter), "{filter}");
    }
    for filter in ["", "#/a", "a#", "a+/b", "a/#/b", "a/b#"] {
        assert!(!topic::is_filter(filter), "{filter}");
    }
    assert!(topic::is_name("/a//b/") && !topic::is_name("a/+") && !topic::is_name(""));
    assert_eq!(topic::shared("$share/g/a/#"), Some(("g", "a/#")));
    assert_eq!(topic::shared("$shared/g"), None);
}

#[test]
fn a_message_comes_back_as_it_was_written() {
    let mut random = Random(7);
    for round in 0..2000_u32 {
        let version = if random.below(2) == 0 { Version::V4 } else { Version::V5 };
        let qos = QoS::of(u8::try_from(random.below(3)).unwrap()).unwrap();
        let topic = "t/é/".repeat(1 + random.below(40));
        let payload = vec![b'x'; random.below(300)];
        let mut properties = Vec::new();
        Property::Number(PropertyId::MessageExpiry, round).put(&mut properties);
        Property::Number(PropertyId::PayloadFormat, round % 2).put(&mut properties);
        Property::Number(PropertyId::TopicAlias, 1 + round % 9).put(&mut properties);
        Property::Text(PropertyId::ContentType, "text/plain").put(&mut properties);
        Property::Binary(PropertyId::CorrelationData, &[0, 255]).put(&mut properties);
        Property::User("a", "1").put(&mut properties);
        Property::User("a", "2").put(&mut properties);
        let id =
            if qos == QoS::AtMostOnce { 0 } else { 1 + u16::try_from(round % 60_000).unwrap() };
        let is_again = qos != QoS::AtMostOnce && random.below(2) == 0;
        let is_retained = random.below(2) == 0;
        let head =
            PublishHead { is_again, qos, is_retained, topic: &topic, id, properties: &properties };
        let mut said = Vec::new();
        head.put(version, payload.len(), &mut said);
        said.extend_from_slice(&payload);
        let Ok(Packet::Publish(read)) = read(&said, Some(version)) else { panic!("{said:?}") };
        let carried = if version == Version::V4 { &[][..] } else { &properties };
        assert_eq!((read.topic, read.payload, read.id), (&*topic, &*payload, id));
        assert_eq!((read.qos, read.is_again, read.is_retained), (qos, is_again, is_retained));
        assert_eq!(read.properties.as_bytes(), carried);
        if version == Version::V5 {
            let mut again = Vec::new();
            read.properties.iter().for_each(|property| property.put(&mut again));
            assert_eq!(again, properties);
        }
    }
}

#[test]
fn answers_come_back_as_they_were_written() {
    let kinds = [AckKind::Taken, AckKind::Received, AckKind::Released, AckKind::Complete];
    for kind in kinds {
        let reasons = match kind {
            AckKind::Taken | AckKind::Received => {
                &[Reason::SUCCESS, Reason::NO_MATCHING_SUBSCRIBERS, Reason::QUOTA_EXCEEDED][..]
            }
            AckKind::Released | AckKind::Complete => {
                &[Reason::SUCCESS, Reason::PACKET_ID_NOT_FOUND]
            }
        };
        for &reason in reasons {
            let mut said = Vec::new();
            put_ack(Version::V5, kind, 513, (reason, &[]), &mut said);
            let ack = read_ack(&said, Version::V5).unwrap();
            assert_eq!((ack.kind, ack.id, ack.reason), (kind, 513, reason));
            let mut properties = Vec::new();
            Property::Text(PropertyId::ReasonString, "why").put(&mut properties);
            said.clear();
            put_ack(Version::V5, kind, 513, (reason, &properties), &mut said);
            let ack = read_ack(&said, Version::V5).unwrap();
            assert_eq!(ack.properties.text(PropertyId::ReasonString), Some("why"));
            said.clear();
            put_ack(Version::V4, kind, 513, (reason, &[]), &mut said);
            assert_eq!(said.len(), 4);
        }
    }
}

#[test]
fn any_bytes_are_a_packet_or_a_fault() {
    let mut random = Random(11);
    let good = [
        connect(4, 2, &[0, 1, b'c']),
        connect(5, 0xee, &[0, 0, 1, b'c', 0, 0, 1, b'w', 0, 0, 0, 1, b'u', 0, 0]),
        packet(0x32, &[0, 1, b'a', 0, 9, 2, 0x01, 1, b'{', b'}']),
        sub("a/+/#", 1),
        packet(0xa2, &[0, 1, 0, 0, 1, b'a']),
        packet(0x62, &[0, 1, 0x92, 0]),
        packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 1]),
    ];
    for _ in 0..20_000 {
        let mut bytes = good[random.below(good.len())].clone();
        for _ in 0..random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = u8::try_from(random.below(256)).unwrap();
        }
        bytes.truncate(random.below(bytes.len() + 1));
        for version in [None, Some(Version::V4), Some(Version::V5)] {
            if let Err(fault) = read(&bytes, version) {
                assert!(fault.reason.is_error() && !fault.what.is_empty());
            }
        }
    }
}

#[test]
fn connack_has_no_flag_but_session_present() {
    for (is_resumed, reason) in
        [(false, Reason::SUCCESS), (true, Reason::SUCCESS), (false, Reason(0x87))]
    {
        let mut out = Vec::new();
        assert!(put_connack(Version::V5, is_resumed, reason, &[], &mut out));
        assert_eq!(out, [0x20, 3, u8::from(is_resumed), reason.0, 0]);
    }
}

#[test]
fn a_connect_that_cannot_be_read_is_answered_in_its_version() {
    let said = |name: &[u8], level: u8| {
        let length = u8::try_from(name.len()).unwrap();
        packet(0x11, &[&[0, length], name, &[level]].concat())
    };
    for (name, level, version) in [
        (&b"MQTT"[..], 3, Some(Version::V4)),
        (b"MQTT", 4, Some(Version::V4)),
        (b"MQTT", 5, Some(Version::V5)),
        (b"MQTT", 99, Some(Version::V5)),
        (b"MQIsdp", 3, Some(Version::V4)),
        (b"MQTX", 5, None),
    ] {
        assert_eq!(answered_in(&said(name, level)), version, "{level}");
    }
    assert_eq!(answered_in(&packet(0x30, b"\0\x04MQTT\x05")), None);
    assert_eq!(answered_in(&packet(0x10, b"\0\x04MQT")), None);
}
