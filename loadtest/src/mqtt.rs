//! As much of MQTT 3.1.1 as a subscriber and a publisher need: the packets that a client says, and whether an answer is a yes.
//!
//! Invariant: quality of service 0 throughout, so nothing is ever acknowledged but joining. Never looks into a PUBLISH: its
//! payload holds a mark, and that is found by `mark`.

/// The WebSocket subprotocol.
pub(crate) const PROTOCOL: &str = "mqtt";

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
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
    let mut body = Vec::new();
    text(&mut body, "MQTT");
    //= mqtt-v3.1.1#3.1.2.2
    //# The value of the Protocol Level field for the version 3.1.1 of the protocol is 4 (0x04).
    body.extend_from_slice(&[4, 0x02, 0, 0]);
    text(&mut body, client);
    packet(CONNECT, &body)
}

/// One SUBSCRIBE for all of `topics`.
pub(crate) fn subscribe(topics: &[String]) -> Vec<u8> {
    let mut body = PACKET.to_be_bytes().to_vec();
    for topic in topics {
        text(&mut body, topic);
        body.push(0);
    }
    packet(SUBSCRIBE, &body)
}

/// Appends a PUBLISH.
pub(crate) fn publish(out: &mut Vec<u8>, topic: &str, payload: &[u8]) {
    out.push(PUBLISH);
    length(out, 2 + topic.len() + payload.len());
    text(out, topic);
    out.extend_from_slice(payload);
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

fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
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
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_says_what_the_standard_shows() {
        let said = connect("s1");
        assert_eq!(said, b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02s1");
        let said = subscribe(&["a/b".to_owned(), "c".to_owned()]);
        assert_eq!(said, b"\x82\x0c\x00\x01\x00\x03a/b\x00\x00\x01c\x00");
    }

    #[test]
    fn a_long_packet_has_a_long_length() {
        let mut out = Vec::new();
        publish(&mut out, "t", &[b'x'; 321 - 3]);
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
