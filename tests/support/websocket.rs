//! A WebSocket client over a link: it opens, says what it is told to, and hands over what it hears. Pings go unanswered.

use super::frames::Frame;
use super::frames::Reader;
use super::frames::masked;
use super::link::Host;
use super::link::Link;

pub struct WebSocket {
    link: Box<dyn Link>,
    reader: Reader,
}

impl WebSocket {
    /// Opens one at the native protocol's path.
    pub fn open(host: &mut dyn Host, deflate: bool) -> Self {
        Self::open_as(host, deflate, "/v1/ws", "fanwire.v1")
    }

    /// Opens one that offers these subprotocols, of which the first is chosen.
    pub fn open_as(host: &mut dyn Host, deflate: bool, target: &str, offered: &str) -> Self {
        let chosen = offered.split(',').next().unwrap();
        let extensions =
            if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
        let mut link = host.connect();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {offered}\r\n{extensions}\r\n"
        );
        link.send(request.as_bytes());
        let mut head = Vec::new();
        let end = loop {
            let bytes = link.receive();
            assert!(
                !bytes.is_empty(),
                "closed instead of upgraded: {}",
                String::from_utf8_lossy(&head)
            );
            head.extend_from_slice(&bytes);
            if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let rest = head.split_off(end);
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert_eq!(head.contains("permessage-deflate"), deflate, "{head}");
        let answer = format!("\r\nsec-websocket-protocol: {chosen}\r\n");
        assert!(head.contains(&answer), "{head}");
        let mut reader = Reader::new(deflate);
        reader.push(&rest);
        Self { link, reader }
    }

    /// Says a text message.
    pub fn say(&mut self, text: &str) {
        self.send(1, text.as_bytes());
    }

    /// Sends one frame, whole and masked.
    pub fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.link.send(&masked(opcode, payload));
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.link.send(bytes);
    }

    /// The next frame but for pings; none: the connection is closed.
    pub fn hear(&mut self) -> Option<Frame> {
        loop {
            match self.reader.next() {
                Some(Frame::Ping(_)) => {}
                Some(frame) => return Some(frame),
                None => {
                    let bytes = self.link.receive();
                    if bytes.is_empty() {
                        return None;
                    }
                    self.reader.push(&bytes);
                }
            }
        }
    }
}
