//! What a NATS server and its client say to each other: one line each, and bytes behind some of them.
//!
//! Invariants: what comes is bounded by what a line and a message may have; what is no line of the protocol is an error, never a guess. Never does I/O.

use bytes::Buf as _;
use bytes::Bytes;
use bytes::BytesMut;
use serde::Deserialize;

use crate::limits::NATS_LINE_BYTES_MAX;
use crate::limits::SOURCE_MESSAGE_BYTES_MAX;

/// The first line of headers, up to a status that may follow.
const HEADERS_VERSION: &[u8] = b"NATS/1.0";

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    pub(super) headers: bool,
    pub(super) tls_required: bool,
    pub(super) max_payload: u64,
    /// What a client with a key signs.
    pub(super) nonce: String,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: Bytes,
    pub(super) sid: u64,
    /// Where an answer is expected; empty: nowhere.
    pub(super) reply: Bytes,
    /// With their first line; empty: none.
    pub(super) headers: Bytes,
    pub(super) payload: Bytes,
}

/// One thing that a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Info(Box<Info>),
    Message(Message),
    Ping,
    Pong,
    Ok,
    Error(String),
    /// A message that is too large to be taken: without headers and payload, whose bytes, so many, still follow.
    Oversized(Message, usize),
}

/// What came is not the protocol; what it is instead, as far as it can be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Garbled(pub(super) String);

/// Leaves out the rest of a message that is too large, as far as it has come; whether all of it has.
pub(super) fn leave_out(inbox: &mut BytesMut, left: &mut usize) -> bool {
    let count = inbox.len().min(*left);
    inbox.advance(count);
    *left -= count;
    *left == 0
}

/// The next whole thing that is said; `None`: more must come first.
pub(super) fn next_said(inbox: &mut BytesMut) -> Result<Option<Said>, Garbled> {
    let Some(end) = memchr::memchr(b'\n', inbox) else {
        let is_long = inbox.len() > NATS_LINE_BYTES_MAX;
        return if is_long { Err(garbled(inbox)) } else { Ok(None) };
    };
    if end > NATS_LINE_BYTES_MAX {
        return Err(garbled(inbox));
    }
    let line = inbox.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let space = line.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(line.len());
    let (word, rest) = line.split_at(space);
    let said = match word.to_ascii_uppercase().as_slice() {
        b"MSG" => return message(inbox, end + 1, false),
        b"HMSG" => return message(inbox, end + 1, true),
        b"PING" => Said::Ping,
        b"PONG" => Said::Pong,
        b"+OK" => Said::Ok,
        b"-ERR" => {
            let text = String::from_utf8_lossy(rest.trim_ascii());
            Said::Error(text.trim_matches('\'').to_owned())
        }
        b"INFO" => {
            let info = serde_json::from_slice(rest).map_err(|_| garbled(line))?;
            Said::Info(Box::new(info))
        }
        _ => return Err(garbled(line)),
    };
    inbox.advance(end + 1);
    Ok(Some(said))
}

/// `MSG subject sid [reply] bytes`, or `HMSG subject sid [reply] header-bytes bytes`, and that many bytes behind it.
fn message(inbox: &mut BytesMut, start: usize, has_headers: bool) -> Result<Option<Said>, Garbled> {
    let line = inbox.get(..start).unwrap_or_default();
    let wrong = || garbled(line.trim_ascii_end());
    let mut words = [&b""[..]; 7];
    let mut count = 0;
    for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        *words.get_mut(count).ok_or_else(wrong)? = word;
        count += 1;
    }
    let words = words.get(..count).unwrap_or_default();
    let (subject, sid, reply, sizes): (_, _, &[u8], _) = match (words, has_headers) {
        ([_, subject, sid, size], false) => (subject, sid, b"", [&b"0"[..], size]),
        ([_, subject, sid, reply, size], false) => (subject, sid, reply, [&b"0"[..], size]),
        ([_, subject, sid, head, size], true) => (subject, sid, b"", [head, size]),
        ([_, subject, sid, reply, head, size], true) => (subject, sid, reply, [head, size]),
        _ => return Err(wrong()),
    };
    let [head, size] = sizes.map(number);
    let (head, size) = (head.ok_or_else(wrong)?, size.ok_or_else(wrong)?);
    let sid = number(sid).ok_or_else(wrong)? as u64;
    if head > size {
        return Err(wrong());
    }
    let range = |part: &[u8]| {
        let from = part.as_ptr() as usize - line.as_ptr() as usize;
        from..from + part.len()
    };
    let (subject, reply) = (range(subject), if reply.is_empty() { 0..0 } else { range(reply) });
    let is_oversized = size > SOURCE_MESSAGE_BYTES_MAX;
    match inbox.get(start + size..start + size + 2) {
        _ if is_oversized => {}
        None => return Ok(None),
        Some(b"\r\n") => {}
        Some(_) => return Err(wrong()),
    }
    let line = inbox.split_to(start).freeze();
    let mut message = Message {
        subject: line.slice(subject),
        sid,
        reply: line.slice(reply),
        ..Message::default()
    };
    if is_oversized {
        return Ok(Some(Said::Oversized(message, size + 2)));
    }
    message.headers = inbox.split_to(head).freeze();
    message.payload = inbox.split_to(size - head).freeze();
    inbox.advance(2);
    Ok(Some(Said::Message(message)))
}

/// A size or an id, of nine digits at most.
fn number(word: &[u8]) -> Option<usize> {
    if word.is_empty() || word.len() > 9 {
        return None;
    }
    word.iter().try_fold(0, |number: usize, digit| {
        digit.is_ascii_digit().then(|| number * 10 + usize::from(digit - b'0'))
    })
}

fn garbled(bytes: &[u8]) -> Garbled {
    let shown = bytes.get(..bytes.len().min(64)).unwrap_or_default();
    Garbled(shown.escape_ascii().to_string())
}

impl Message {
    /// The status that its headers begin with, and what is said of it; `None`: it is a message like any other.
    pub(super) fn status(&self) -> Option<(u16, &str)> {
        let line = self.headers.split(|byte| *byte == b'\n').next()?;
        let rest = line.strip_prefix(HEADERS_VERSION)?.trim_ascii();
        let rest = std::str::from_utf8(rest).ok()?;
        let (code, words) = rest.split_once(' ').unwrap_or((rest, ""));
        Some((code.parse().ok()?, words.trim()))
    }

    /// Its headers by name, in their order.
    pub(super) fn headers(&self) -> impl Iterator<Item = (Bytes, Bytes)> + '_ {
        let lines = self.headers.split(|byte| *byte == b'\n').skip(1);
        lines.filter_map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = memchr::memchr(b':', line)?;
            let (name, value) = line.split_at(colon);
            let value = value.strip_prefix(b":")?.trim_ascii();
            Some((self.headers.slice_ref(name), self.headers.slice_ref(value)))
        })
    }
}

/// What is to be sent.
#[derive(Debug, Default)]
pub(super) struct Outgoing(Vec<u8>);

impl Outgoing {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Says who we are: an object of JSON.
    pub(super) fn connect(&mut self, options: &serde_json::Value) {
        self.line(&["CONNECT", &options.to_string()]);
    }

    pub(super) fn ping(&mut self) {
        self.line(&["PING"]);
    }

    pub(super) fn pong(&mut self) {
        self.line(&["PONG"]);
    }

    /// Wants what is said on a subject, under a number.
    pub(super) fn subscribe(&mut self, subject: &str, sid: u64) {
        self.line(&["SUB", subject, &sid.to_string()]);
    }

    /// Says something on a subject; `reply`: where an answer is to go, or nothing.
    pub(super) fn publish(&mut self, subject: &str, reply: &str, payload: &[u8]) {
        let size = payload.len().to_string();
        match reply {
            "" => self.line(&["PUB", subject, &size]),
            reply => self.line(&["PUB", subject, reply, &size]),
        }
        self.0.extend(payload);
        self.0.extend(b"\r\n");
    }

    fn line(&mut self, words: &[&str]) {
        for (index, word) in words.iter().enumerate() {
            if index > 0 {
                self.0.push(b' ');
            }
            self.0.extend(word.as_bytes());
        }
        self.0.extend(b"\r\n");
    }
}

/// Whether something can stand in a line as a subject: no white space, no empty token.
pub(super) fn is_subject(text: &str) -> bool {
    !text.is_empty()
        && text.split('.').all(|token| !token.is_empty())
        && !text.chars().any(|letter| letter.is_whitespace() || letter.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Said>, Garbled> {
        let mut inbox = BytesMut::from(bytes);
        let mut all = Vec::new();
        while let Some(said) = next_said(&mut inbox)? {
            all.push(said);
        }
        assert!(inbox.is_empty(), "{inbox:?}");
        Ok(all)
    }

    fn text(bytes: &'static str) -> Bytes {
        Bytes::from_static(bytes.as_bytes())
    }

    const MIXED: &[u8] = b"INFO {\"headers\":true,\"max_payload\":1048576,\"x\":[1]}\r\n\
        +OK\r\nMSG a.b 7 3\r\nxyz\r\nping\r\nMSG a.b 7 r.1 0\r\n\r\n\
        HMSG a.b 7 r.1 20 22\r\nNATS/1.0\r\nA: b c\r\n\r\nhi\r\n-ERR 'Slow Consumer'\r\n";

    #[test]
    fn what_is_said_is_read_however_it_is_cut() {
        let whole = all(MIXED).unwrap();
        let info = Info { headers: true, max_payload: 1_048_576, ..Info::default() };
        let message = Message {
            subject: text("a.b"),
            sid: 7,
            reply: text("r.1"),
            headers: text("NATS/1.0\r\nA: b c\r\n\r\n"),
            payload: text("hi"),
        };
        assert_eq!(message.headers().collect::<Vec<_>>(), [(text("A"), text("b c"))]);
        assert_eq!(message.status(), None);
        let plain =
            Message { subject: text("a.b"), sid: 7, payload: text("xyz"), ..Message::default() };
        let empty = Message { reply: text("r.1"), payload: Bytes::new(), ..plain.clone() };
        assert_eq!(
            whole,
            [
                Said::Info(Box::new(info)),
                Said::Ok,
                Said::Message(plain),
                Said::Ping,
                Said::Message(empty),
                Said::Message(message),
                Said::Error("Slow Consumer".to_owned()),
            ]
        );
        for cut in 0..MIXED.len() {
            let (first, rest) = MIXED.split_at(cut);
            let (mut inbox, mut said) = (BytesMut::from(first), Vec::new());
            while let Some(one) = next_said(&mut inbox).unwrap() {
                said.push(one);
            }
            inbox.extend_from_slice(rest);
            while let Some(one) = next_said(&mut inbox).unwrap() {
                said.push(one);
            }
            assert_eq!(said, whole, "{cut}");
        }
    }

    #[test]
    fn a_status_is_no_message() {
        let status = |headers| {
            Message { headers, ..Message::default() }
                .status()
                .map(|(code, words)| (code, words.to_owned()))
        };
        assert_eq!(
            status(text("NATS/1.0 404 No Messages\r\n\r\n")),
            Some((404, "No Messages".to_owned()))
        );
        assert_eq!(status(text("NATS/1.0 100\r\n\r\n")), Some((100, String::new())));
        assert_eq!(status(text("NATS/1.0\r\nA: 1\r\n\r\n")), None);
        assert_eq!(status(Bytes::new()), None);
    }

    #[test]
    fn what_is_not_the_protocol_is_an_error_and_nothing_worse() {
        let long = vec![b'a'; NATS_LINE_BYTES_MAX + 1];
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"\r\n",
            b"INFO {]\r\n",
            b"MSG a 1\r\n",
            b"MSG a 1 -1\r\n",
            b"MSG a x 1\r\n",
            b"MSG a 1 2 3 4 5\r\n",
            b"HMSG a 1 5 4\r\n",
            b"MSG a 1 1\r\nabc",
            b"\xff\xfe\x00\n",
            &long,
        ] {
            assert!(matches!(all(bytes), Err(Garbled(_))), "{}", bytes.escape_ascii());
        }
        assert!(matches!(all(b"MSG a 1 9999999999\r\n"), Err(Garbled(_))));
    }

    #[test]
    fn what_is_too_large_is_left_out_and_the_rest_is_read() {
        let size = SOURCE_MESSAGE_BYTES_MAX + 1;
        let mut inbox = BytesMut::from(format!("MSG a 1 r {size}\r\n").as_bytes());
        let Some(Said::Oversized(message, mut left)) = next_said(&mut inbox).unwrap() else {
            panic!("it is too large");
        };
        assert_eq!((message.reply, left), (text("r"), size + 2));
        inbox.extend_from_slice(&vec![b'x'; size]);
        assert!(!leave_out(&mut inbox, &mut left));
        inbox.extend_from_slice(b"\r\nPING\r\n");
        assert!(leave_out(&mut inbox, &mut left));
        assert_eq!(next_said(&mut inbox), Ok(Some(Said::Ping)));
    }

    #[test]
    fn what_is_sent_can_be_read() {
        let mut out = Outgoing::default();
        out.subscribe("a.>", 1);
        out.publish("x", "", b"hi");
        out.publish("x", "r", b"");
        let expected = "SUB a.> 1\r\nPUB x 2\r\nhi\r\nPUB x r 0\r\n\r\n";
        assert_eq!(std::str::from_utf8(out.bytes()), Ok(expected));
        for (subject, is) in
            [("a.*.>", true), ("", false), ("a..b", false), ("a b", false), ("a\r", false)]
        {
            assert_eq!(is_subject(subject), is, "{subject:?}");
        }
    }
}
