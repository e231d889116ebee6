//! The client's side of RFC 6455 and RFC 7692, written apart from the server's: masking frames, reading them, inflating with the context kept.

use std::io::Write as _;

use flate2::Compression;
use flate2::Decompress;
use flate2::FlushDecompress;
use flate2::write::DeflateEncoder;

/// A masked client frame.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let mask = [0x12, 0x34, 0x56, 0x78];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
    frame
}

/// A masked text frame.
pub fn text(text: &str) -> Vec<u8> {
    masked(1, text.as_bytes())
}

/// A masked text frame, deflated in a window of its own.
pub fn deflated(message: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).expect("a list takes what it is given");
    encoder.flush().expect("a list takes what it is given");
    let mut bytes = encoder.get_ref().clone();
    assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]), "a flush ends with an empty block");
    bytes.truncate(bytes.len() - 4);
    let mut frame = masked(1, &bytes);
    frame[0] |= 0x40;
    frame
}

/// One frame of the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

/// Reads the server's frames.
#[derive(Debug)]
pub struct Reader {
    bytes: Vec<u8>,
    inflater: Option<Decompress>,
    /// Messages that came deflated.
    pub deflated: u64,
}

impl Reader {
    #[expect(
        clippy::disallowed_methods,
        reason = "the client's side is written apart from the server's"
    )]
    pub fn new(deflate: bool) -> Self {
        Self { bytes: Vec::new(), inflater: deflate.then(|| Decompress::new(false)), deflated: 0 }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub fn next(&mut self) -> Option<Frame> {
        let (first, second) = (*self.bytes.first()?, *self.bytes.get(1)?);
        assert_eq!(second & 0x80, 0, "a server's frames are not masked");
        assert_eq!(first & 0x80, 0x80, "this server does not fragment");
        let (header, length) = match second {
            126 => (4, u16::from_be_bytes(self.bytes.get(2..4)?.try_into().unwrap()) as usize),
            127 => (10, u64::from_be_bytes(self.bytes.get(2..10)?.try_into().unwrap()) as usize),
            length => (2, length as usize),
        };
        let payload = self.bytes.get(header..header + length)?.to_vec();
        self.bytes.drain(..header + length);
        let payload = if first & 0x40 == 0 { payload } else { self.inflate(&payload) };
        Some(match first & 0x0f {
            1 => Frame::Text(String::from_utf8(payload).expect("text is UTF-8")),
            2 => Frame::Binary(payload),
            9 => Frame::Ping(payload),
            10 => Frame::Pong(payload),
            8 if payload.is_empty() => Frame::Close(None, String::new()),
            8 => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                Frame::Close(
                    Some(code),
                    String::from_utf8(payload[2..].to_vec()).expect("a reason is UTF-8"),
                )
            }
            opcode => panic!("opcode {opcode}"),
        })
    }

    fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        self.deflated += 1;
        let inflater = self.inflater.as_mut().expect("deflated only if that was agreed");
        let mut input = payload.to_vec();
        input.extend_from_slice(&[0, 0, 0xff, 0xff]);
        let (mut out, before) = (Vec::with_capacity(64 * 1024), inflater.total_in());
        loop {
            let taken = (inflater.total_in() - before) as usize;
            if taken == input.len() && out.len() < out.capacity() {
                return out;
            }
            out.reserve(64 * 1024);
            inflater
                .decompress_vec(&input[taken..], &mut out, FlushDecompress::Sync)
                .expect("it inflates");
        }
    }
}

/// One chunk of a chunked body.
pub fn take_chunk(bytes: &mut Vec<u8>) -> Option<String> {
    let line_end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line_end]).ok()?, 16).ok()?;
    let (start, end) = (line_end + 2, line_end + 2 + size);
    if bytes.len() < end + 2 {
        return None;
    }
    let chunk = String::from_utf8_lossy(&bytes[start..end]).into_owned();
    bytes.drain(..end + 2);
    Some(chunk)
}
