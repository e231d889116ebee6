//! WebSocket frames as a server sends them: a header before bytes that are already there, and the control frames.
//!
//! Invariants: lengths are minimal, control frames fit in 125 bytes, nothing is masked. Opcodes and close codes are
//! `fastwebsockets`'. Never copies a payload that the caller could place itself: see [`Header`].

pub use fastwebsockets::CloseCode;
pub use fastwebsockets::OpCode;

/// Bytes of the longest header that a server sends: 2, and 8 of length.
pub const HEADER_BYTES_MAX: usize = 10;

/// Bytes of payload that a control frame may carry.
//= rfc6455#5.5
//# All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented.
pub const CONTROL_BYTES_MAX: usize = 125;

pub(super) const FIN: u8 = 0x80;
pub(super) const RSV1: u8 = 0x40;
pub(super) const LENGTH_16: u8 = 126;
pub(super) const LENGTH_64: u8 = 127;

/// A frame's header, to stand before `payload_bytes` of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; HEADER_BYTES_MAX],
    length: u8,
}

/// Whether a message's payload is deflated, which its first frame says in RSV1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Plain,
    Deflated,
}

impl Header {
    /// The header of a whole message in one frame.
    #[must_use]
    pub const fn whole(opcode: OpCode, coding: Coding, payload_bytes: usize) -> Self {
        Self::new(opcode, coding, true, payload_bytes)
    }

    /// The header of any frame; `fin`: the frame is the last of its message.
    #[must_use]
    pub const fn new(opcode: OpCode, coding: Coding, fin: bool, payload_bytes: usize) -> Self {
        let fin = if fin { FIN } else { 0 };
        let rsv1 = match coding {
            Coding::Plain => 0,
            Coding::Deflated => RSV1,
        };
        let first = fin | rsv1 | opcode as u8;
        let [a, b, c, d, e, f, g, h] = (payload_bytes as u64).to_be_bytes();
        //= rfc6455#5.2
        //# the minimal number of bytes MUST be used to encode the length
        match payload_bytes {
            0..126 => Self { bytes: [first, h, 0, 0, 0, 0, 0, 0, 0, 0], length: 2 },
            126..0x1_0000 => Self { bytes: [first, LENGTH_16, g, h, 0, 0, 0, 0, 0, 0], length: 4 },
            _ => Self { bytes: [first, LENGTH_64, a, b, c, d, e, f, g, h], length: 10 },
        }
    }

    /// The header's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Appends a whole message in one frame.
pub fn put_message(out: &mut Vec<u8>, opcode: OpCode, coding: Coding, payload: &[u8]) {
    out.extend_from_slice(Header::whole(opcode, coding, payload.len()).as_bytes());
    out.extend_from_slice(payload);
}

/// Appends a ping of at most [`CONTROL_BYTES_MAX`] bytes.
pub fn put_ping(out: &mut Vec<u8>, payload: &[u8]) {
    put_control(out, OpCode::Ping, payload);
}

/// Appends a pong, which repeats the payload of the ping that it answers.
pub fn put_pong(out: &mut Vec<u8>, payload: &[u8]) {
    put_control(out, OpCode::Pong, payload);
}

/// Appends a close frame. A reason that does not fit is cut where a character ends.
pub fn put_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let reason = &reason.as_bytes()[..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
    let header = Header::whole(OpCode::Close, Coding::Plain, 2 + reason.len());
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason);
}

/// Appends a close frame without a code, which answers a close frame without one.
pub fn put_close_empty(out: &mut Vec<u8>) {
    put_control(out, OpCode::Close, &[]);
}

fn put_control(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    assert!(payload.len() <= CONTROL_BYTES_MAX, "a control frame carries at most 125 bytes");
    put_message(out, opcode, Coding::Plain, payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastwebsockets::Frame;
    use fastwebsockets::Payload;

    #[test]
    fn headers_are_those_of_an_independent_encoder() {
        for bytes in [0, 1, 125, 126, 127, 128, 255, 256, 65_535, 65_536, 100_000] {
            for (opcode, fin) in
                [(OpCode::Text, true), (OpCode::Binary, false), (OpCode::Continuation, true)]
            {
                let payload = vec![0; bytes];
                let mut expected = [0; 16];
                let mut frame = Frame::new(fin, opcode, None, Payload::Borrowed(&payload));
                let length = frame.fmt_head(&mut expected);
                let header = Header::new(opcode, Coding::Plain, fin, bytes);
                assert_eq!(header.as_bytes(), &expected[..length], "{bytes}");
            }
        }
        let deflated = Header::whole(OpCode::Text, Coding::Deflated, 7);
        assert_eq!(deflated.as_bytes(), [0xc1, 7]);
    }

    #[test]
    fn messages_and_control_frames() {
        let mut out = Vec::new();
        put_message(&mut out, OpCode::Text, Coding::Plain, "hé".as_bytes());
        put_ping(&mut out, b"p");
        put_pong(&mut out, b"");
        put_close(&mut out, 1001, "bye");
        put_close_empty(&mut out);
        assert_eq!(out, b"\x81\x03h\xc3\xa9\x89\x01p\x8a\x00\x88\x05\x03\xe9bye\x88\x00");
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        put_close(&mut out, 1008, &"ü".repeat(100));
        assert_eq!(out[..4], [0x88, 124, 0x03, 0xf0]);
        assert_eq!(out.len(), 2 + 124);
        assert!(std::str::from_utf8(&out[4..]).is_ok());
    }
}
