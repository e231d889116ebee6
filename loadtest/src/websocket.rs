//! As much of RFC 6455 as a subscriber and the floor need: the handshake, frame headers, and writing a frame.
//!
//! Invariant: a header is read from any bytes without a panic, and a payload is never looked at.
//! Every client of the tool offers the same key, so that the answer to it is a constant and no SHA-1 is needed: what is
//! tested here is the subject's fan-out, not its entropy.

use crate::limits::FRAME_BYTES_MAX;
use crate::limits::HEAD_BYTES_MAX;

use std::fmt;

/// The key of the example in the standard, and the accept value that belongs to it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// Any mask will do: it protects proxies from scripts, and here is neither.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x96, 0x0f];

/// What stands before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) compressed: bool,
    pub(crate) opcode: u8,
    pub(crate) header_bytes: usize,
    pub(crate) payload_bytes: usize,
}

/// How a subject broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    ReservedBits(u8),
    UnknownOpcode(u8),
    MaskedByServer,
    FrameTooLong(u64),
    HeadTooLong,
    BadHead(httparse::Error),
    Refused(u16),
    WrongAccept,
    NotUpgraded,
    BadDeflate,
    InflatesTooLarge,
    ClosedByServer(u16),
    JoinRefused(Box<str>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits(byte) => {
                write!(f, "frame header has reserved bits set: first byte {byte:#04x}")
            }
            Self::UnknownOpcode(opcode) => write!(f, "frame has unknown opcode {opcode:#x}"),
            Self::MaskedByServer => write!(f, "frame of the server is masked"),
            Self::FrameTooLong(bytes) => {
                write!(f, "frame of {bytes} bytes is longer than {FRAME_BYTES_MAX}")
            }
            Self::HeadTooLong => write!(f, "response head is longer than {HEAD_BYTES_MAX} bytes"),
            Self::BadHead(why) => write!(f, "response head is not HTTP: {why}"),
            Self::Refused(status) => write!(f, "handshake was answered with status {status}"),
            Self::WrongAccept => write!(f, "Sec-WebSocket-Accept does not belong to the key"),
            Self::NotUpgraded => write!(f, "handshake has no Sec-WebSocket-Accept"),
            Self::BadDeflate => write!(f, "compressed message does not inflate"),
            Self::InflatesTooLarge => {
                write!(f, "compressed message inflates to more than its limit")
            }
            Self::JoinRefused(text) => write!(f, "the server refused the subscriber: {text}"),
            Self::ClosedByServer(code) => {
                write!(f, "server closed the connection with code {code}")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// The header at the beginning of `bytes`; `None` if there is not yet enough of it.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    //= rfc6455#5.2
    //# If a nonzero value is received and none of the negotiated extensions defines the meaning of such a nonzero
    //# value, the receiving endpoint MUST _Fail the WebSocket Connection_.
    if first & 0x30 != 0 {
        return Err(Fault::ReservedBits(first));
    }
    //= rfc6455#5.1
    //# A server MUST NOT mask any frames that it sends to the client.
    if second & 0x80 != 0 {
        return Err(Fault::MaskedByServer);
    }
    let opcode = first & 0x0f;
    if !matches!(opcode, 0..=2 | 8..=10) {
        return Err(Fault::UnknownOpcode(opcode));
    }
    let (header_bytes, length) = match (second, bytes) {
        (126, &[_, _, a, b, ..]) => (4, u64::from(u16::from_be_bytes([a, b]))),
        (127, &[_, _, a, b, c, d, e, f, g, h, ..]) => {
            (10, u64::from_be_bytes([a, b, c, d, e, f, g, h]))
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (2, u64::from(short)),
    };
    let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if payload_bytes > FRAME_BYTES_MAX {
        return Err(Fault::FrameTooLong(length));
    }
    Ok(Some(Header {
        fin: first & 0x80 != 0,
        compressed: first & 0x40 != 0,
        opcode,
        header_bytes,
        payload_bytes,
    }))
}

/// A whole unmasked frame, as a server says it.
pub(crate) fn server_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    length(out, payload.len(), 0);
    out.extend_from_slice(payload);
}

/// A whole masked frame, as a client says it.
pub(crate) fn client_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    length(out, payload.len(), 0x80);
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

fn length(out: &mut Vec<u8>, bytes: usize, mask_bit: u8) {
    if let Ok(short) = u8::try_from(bytes)
        && short < 126
    {
        out.push(mask_bit | short);
    } else if let Ok(middle) = u16::try_from(bytes) {
        out.push(mask_bit | 126);
        out.extend_from_slice(&middle.to_be_bytes());
    } else {
        out.push(mask_bit | 127);
        out.extend_from_slice(&u64::try_from(bytes).unwrap_or(u64::MAX).to_be_bytes());
    }
}

/// What a subject answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) head_bytes: usize,
    pub(crate) deflate: bool,
    /// The server resets its compressor for each message.
    pub(crate) reset: bool,
    accept: Option<bool>,
}

impl Head {
    /// Whether this is the answer that a WebSocket handshake wants.
    pub(crate) fn upgraded(&self) -> Result<(), Fault> {
        match (self.status, self.accept) {
            (101, Some(true)) => Ok(()),
            (101, Some(false)) => Err(Fault::WrongAccept),
            (101, None) => Err(Fault::NotUpgraded),
            (status, _) => Err(Fault::Refused(status)),
        }
    }
}

/// The response head at the beginning of `bytes`; `None` if it has not all come.
pub(crate) fn head(bytes: &[u8]) -> Result<Option<Head>, Fault> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head_bytes = match response.parse(bytes).map_err(Fault::BadHead)? {
        httparse::Status::Complete(head_bytes) => head_bytes,
        httparse::Status::Partial if bytes.len() > HEAD_BYTES_MAX => {
            return Err(Fault::HeadTooLong);
        }
        httparse::Status::Partial => return Ok(None),
    };
    let value = |name: &str| {
        response.headers.iter().find(|it| it.name.eq_ignore_ascii_case(name)).map(|it| it.value)
    };
    let extensions = value("Sec-WebSocket-Extensions").unwrap_or_default();
    let says = |needle: &[u8]| memchr::memmem::find(extensions, needle).is_some();
    Ok(Some(Head {
        status: response.code.unwrap_or(0),
        head_bytes,
        deflate: says(b"permessage-deflate"),
        reset: says(b"server_no_context_takeover"),
        accept: value("Sec-WebSocket-Accept").map(|it| it.trim_ascii() == ACCEPT.as_bytes()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_three_lengths_are_read_back() {
        for bytes in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            let mut frame = Vec::new();
            server_frame(&mut frame, TEXT, &vec![b'x'; bytes]);
            let header = header(&frame).unwrap().unwrap();
            assert_eq!((header.opcode, header.fin, header.payload_bytes), (TEXT, true, bytes));
            assert_eq!(header.header_bytes + bytes, frame.len());
        }
    }

    #[test]
    fn half_a_header_is_no_header() {
        let mut frame = Vec::new();
        server_frame(&mut frame, TEXT, &vec![b'x'; 70_000]);
        for cut in 0..10 {
            assert_eq!(header(&frame[..cut]), Ok(None), "cut at {cut}");
        }
    }

    #[test]
    fn each_way_to_be_wrong_is_named() {
        assert_eq!(header(&[0xa1, 0]), Err(Fault::ReservedBits(0xa1)));
        assert_eq!(header(&[0x83, 0]), Err(Fault::UnknownOpcode(3)));
        assert_eq!(header(&[0x81, 0x81]), Err(Fault::MaskedByServer));
        assert_eq!(header(&[0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]), Err(Fault::FrameTooLong(1 << 40)));
    }

    #[test]
    fn a_masked_frame_unmasks_to_what_went_in() {
        let mut frame = Vec::new();
        client_frame(&mut frame, TEXT, b"hello there");
        assert_eq!(frame[1], 0x80 | 11);
        let mask = [frame[2], frame[3], frame[4], frame[5]];
        let plain: Vec<u8> =
            frame[6..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(plain, b"hello there");
    }

    #[test]
    fn the_answer_to_a_handshake_is_checked() {
        let good = format!(
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\nrest"
        );
        let it = head(good.as_bytes()).unwrap().unwrap();
        assert_eq!((it.head_bytes, it.deflate, it.reset), (good.len() - 4, true, true));
        assert_eq!(it.upgraded(), Ok(()));
        let refused = head(b"HTTP/1.1 404 Not Found\r\n\r\n").unwrap().unwrap();
        assert_eq!(refused.upgraded(), Err(Fault::Refused(404)));
        assert_eq!(head(b"HTTP/1.1 101 Sw"), Ok(None));
    }
}
