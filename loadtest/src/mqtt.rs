//! As much of MQTT 3.1.1 as a subscriber and a publisher need: the packets that a client says, and whether an answer is a yes.
//!
//! Invariant: quality of service 0 or 1, so a PUBLISH is acknowledged at once or not at all. Never looks into a payload: it holds a mark, and that is
//! found by `mark`.

/// The WebSocket subprotocol.
pub(crate) const PROTOCOL: &str = "mqtt";

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

/// The only subscription that a client makes has this number.
const PACKET: u16 = 1;

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All topics are subscribed to.
    Subscribed,
    /// A code of CONNACK or SUBACK.
    Refused(u8),
}

/// A clean session without a keep-alive.
pub(crate) fn connect(client: &str) -> Vec<u8> {
    opening(client, 0x02, None)
}

/// A session that lasts, likewise.
pub(crate) fn connect_to_stay(client: &str) -> Vec<u8> {
    opening(client, 0, None)
}

/// A clean session with a will.
pub(crate) fn connect_with_will(client: &str, topic: &str, message: &[u8]) -> Vec<u8> {
    opening(client, 0x06, Some((topic, message)))
}

fn opening(client: &str, flags: u8, will: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    //= mqtt-v3.1.1#3.1.2.2
    //# The value of the Protocol Level field for the version 3.1.1 of the protocol is 4 (0x04).
    body.extend_from_slice(&[4, flags, 0, 0]);
    text(&mut body, client);
    if let Some((topic, message)) = will {
        text(&mut body, topic);
        binary(&mut body, message);
    }
    packet(CONNECT, &body)
}

/// One SUBSCRIBE for all of `topics`, with a quality of service.
pub(crate) fn subscribe(topics: &[String], qos: u8) -> Vec<u8> {
    let mut body = PACKET.to_be_bytes().to_vec();
    for topic in topics {
        text(&mut body, topic);
        body.push(qos);
    }
    packet(SUBSCRIBE, &body)
}

/// Appends a PUBLISH of quality of service 0, or, with a packet identifier, of 1.
pub(crate) fn publish(out: &mut Vec<u8>, topic: &str, id: Option<u16>, payload: &[u8]) {
    put_publish(out, 0, (topic, id), payload);
}

/// The same, to be retained.
pub(crate) fn publish_retained(out: &mut Vec<u8>, topic: &str, id: u16, payload: &[u8]) {
    put_publish(out, 1, (topic, Some(id)), payload);
}

fn put_publish(out: &mut Vec<u8>, flags: u8, (topic, id): (&str, Option<u16>), payload: &[u8]) {
    let id_bytes = if id.is_some() { 2 } else { 0 };
    out.push(PUBLISH | flags | id_bytes);
    length(out, 2 + topic.len() + usize::from(id_bytes) + payload.len());
    text(out, topic);
    if let Some(id) = id {
        out.extend_from_slice(&id.to_be_bytes());
    }
    out.extend_from_slice(payload);
}

/// DISCONNECT.
pub(crate) const DISCONNECT: [u8; 2] = [0xe0, 0];

/// A packet's payload if it is a PUBLISH, whose acknowledgement is appended if it wants one.
pub(crate) fn published<'b>(kind: u8, body: &'b [u8], out: &mut Vec<u8>) -> Option<&'b [u8]> {
    if kind & 0xf0 != PUBLISH {
        return None;
    }
    let (topic_bytes, rest) = body.split_first_chunk::<2>()?;
    let rest = rest.get(usize::from(u16::from_be_bytes(*topic_bytes))..)?;
    if kind & 0b0110 == 0 {
        return Some(rest);
    }
    let (id, payload) = rest.split_first_chunk::<2>()?;
    out.extend_from_slice(&[PUBACK, 2, id[0], id[1]]);
    Some(payload)
}

/// How many of `bytes`, which are whole packets and perhaps the beginning of one, are PUBACK; and how many bytes are whole packets.
pub(crate) fn acknowledged(bytes: &[u8]) -> (u64, usize) {
    let (mut count, mut rest) = (0, bytes);
    while let Some((kind, _, behind)) = split(rest) {
        count += u64::from(kind == PUBACK);
        rest = behind;
    }
    (count, bytes.len() - rest.len())
}

/// The first refusal in `bytes`, which are whole packets, or else that the subscription was acknowledged.
pub(crate) fn answer(mut bytes: &[u8]) -> Option<Answer> {
    let mut answer = None;
    while let Some((kind, body, rest)) = split(bytes) {
        match (kind, body) {
            (CONNACK, [_, code]) if *code != 0 => return Some(Answer::Refused(*code)),
            //= mqtt-v3.1.1#3.9.3
            //# 0x80 - Failure
            (SUBACK, [_, _, codes @ ..]) => match codes.iter().find(|it| **it >= 0x80) {
                Some(code) => return Some(Answer::Refused(*code)),
                None => answer = Some(Answer::Subscribed),
            },
            _ => {}
        }
        bytes = rest;
    }
    answer
}

/// The first packet of `bytes`, if it is whole: its first byte, what follows its length, and what follows it.
pub(crate) fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&kind, mut rest) = bytes.split_first()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        //= mqtt-v3.1.1#2.2.3
        //# The maximum number of bytes in the Remaining Length field is four.
        if byte & 0x80 == 0 || shift == 28 {
            break;
        }
    }
    let (body, rest) = rest.split_at_checked(length)?;
    Some((kind, body, rest))
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    length(&mut out, body.len());
    out.extend_from_slice(body);
    out
}

fn length(out: &mut Vec<u8>, bytes: usize) {
    let mut left = bytes;
    loop {
        let low = u8::try_from(left & 0x7f).unwrap_or(0);
        left >>= 7;
        out.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            return;
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    binary(out, text.as_bytes());
}

fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_what_the_standard_shows() {
        let said = connect("s1");
        assert_eq!(said, b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02s1");
        let said = subscribe(&["a/b".to_owned(), "c".to_owned()], 0);
        assert_eq!(said, b"\x82\x0c\x00\x01\x00\x03a/b\x00\x00\x01c\x00");
        let said = connect_with_will("s", "t", b"gone");
        assert_eq!(said, b"\x10\x16\x00\x04MQTT\x04\x06\x00\x00\x00\x01s\x00\x01t\x00\x04gone");
        assert_eq!(connect_to_stay("s"), b"\x10\x0d\x00\x04MQTT\x04\x00\x00\x00\x00\x01s");
    }

    #[test]
    fn what_is_published_with_a_number_is_acknowledged_with_it() {
        let (mut said, mut replies) = (Vec::new(), Vec::new());
        publish(&mut said, "t", None, b"x");
        publish(&mut said, "t", Some(0x0102), b"yz");
        publish_retained(&mut said, "t", 3, b"");
        let mut rest = &*said;
        let mut payloads = Vec::new();
        while let Some((kind, body, behind)) = split(rest) {
            payloads.push((kind, published(kind, body, &mut replies).unwrap()));
            rest = behind;
        }
        assert_eq!(payloads, [(0x30, &b"x"[..]), (0x32, b"yz"), (0x33, b"")]);
        assert_eq!(replies, b"\x40\x02\x01\x02\x40\x02\x00\x03");
        assert_eq!(acknowledged(&replies), (2, 8));
        assert_eq!(acknowledged(&replies[..7]), (1, 4));
        assert_eq!(published(0x20, b"\x00\x00", &mut replies), None);
    }

    #[test]
    fn a_long_packet_has_a_long_length() {
        let mut out = Vec::new();
        publish(&mut out, "t", None, &[b'x'; 321 - 3]);
        assert_eq!(out[..3], [0x30, 0xc1, 2]);
        assert_eq!(
            split(&out).map(|(kind, body, rest)| (kind, body.len(), rest.len())),
            Some((0x30, 321, 0))
        );
    }

    #[test]
    fn answers_are_told_apart() {
        assert_eq!(answer(b"\x20\x02\x00\x00"), None);
        assert_eq!(answer(b"\x20\x02\x00\x05"), Some(Answer::Refused(5)));
        assert_eq!(answer(b"\x20\x02\x00\x00\x90\x04\x00\x01\x00\x00"), Some(Answer::Subscribed));
        assert_eq!(answer(b"\x90\x04\x00\x01\x00\x80"), Some(Answer::Refused(0x80)));
        for cut in 0..6 {
            assert_eq!(answer(&b"\x90\x04\x00\x01\x00\x00"[..cut]), None);
        }
    }
}
