//! What other servers got wrong about the first bytes and about compression, each pinned from the socket's side of the core.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use fanwire::shard::Settings;

use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

const REQUEST: &str = "GET /echo HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

struct Peer {
    world: World,
    wire: Wire,
    head: String,
    reader: Reader,
}

impl Peer {
    /// Says all of it in one piece, and reads the reply's head.
    fn saying(bytes: &[u8]) -> Self {
        let mut world = World::new(1, &Settings { message_bytes_max: 1 << 24, ..roomy() });
        let wire = world.open(0, 64 << 20);
        world.say(wire, bytes);
        world.settle();
        let heard = world.read(wire, usize::MAX);
        let end = heard.windows(4).position(|four| four == b"\r\n\r\n").expect("a reply") + 4;
        let mut reader = Reader::new(true);
        reader.push(&heard[end..]);
        Self { world, wire, head: String::from_utf8(heard[..end].to_vec()).unwrap(), reader }
    }

    fn say(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(64 * 1024) {
            self.world.say(self.wire, piece);
            self.world.settle();
        }
        let heard = self.world.read(self.wire, usize::MAX);
        self.reader.push(&heard);
    }
}

/// A compressed text in one frame, masked with zeros.
fn deflated_frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = masked(1, payload);
    frame[0] |= 0x40;
    frame
}

#[test]
fn frames_glued_to_the_upgrade_request_are_heard() {
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend(masked(1, b"first"));
    bytes.extend(masked(9, b"ping"));
    // The rest of a frame comes later.
    let last = masked(2, b"second");
    bytes.extend(&last[..3]);
    let mut peer = Peer::saying(&bytes);
    assert!(peer.head.starts_with("HTTP/1.1 101 "), "{}", peer.head);
    assert!(matches!(peer.reader.next(), Some(Frame::Text(text)) if text == "first"));
    assert!(matches!(peer.reader.next(), Some(Frame::Pong(payload)) if payload == b"ping"));
    peer.say(&last[3..]);
    assert!(matches!(peer.reader.next(), Some(Frame::Binary(payload)) if payload == b"second"));
}

#[test]
fn an_echo_is_anyones_whatever_their_origin() {
    for origin in ["http://localhost/", "https://elsewhere.example", "null"] {
        let request = REQUEST.replace("Host: t\r\n", &format!("Host: t\r\nOrigin: {origin}\r\n"));
        let peer = Peer::saying(request.as_bytes());
        assert!(peer.head.starts_with("HTTP/1.1 101 "), "{origin}: {}", peer.head);
        let request = request.replace("/echo", "/v1/ws");
        let peer = Peer::saying(request.as_bytes());
        assert!(peer.head.starts_with("HTTP/1.1 403 "), "{origin}: {}", peer.head);
    }
}

#[test]
fn a_client_is_never_told_that_its_context_is_kept() {
    let peer = Peer::saying(REQUEST.as_bytes());
    assert!(peer.head.contains("client_no_context_takeover"), "{}", peer.head);
}

#[test]
fn empty_and_final_compressed_messages_are_messages() {
    let mut peer = Peer::saying(REQUEST.as_bytes());
    // An empty block alone; an empty stored block; nothing at all; and "Hello" in a block with the final bit set (RFC 7692 section 7.2.3.5).
    let hello_final: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    for (payload, text) in [
        (&[0x00][..], ""),
        (&[0x00, 0x00, 0x00, 0xff, 0xff, 0x00][..], ""),
        (hello_final, "Hello"),
        (&[0x00][..], ""),
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..], "Hello"),
    ] {
        peer.say(&deflated_frame(payload));
        let heard = peer.reader.next();
        assert!(
            matches!(&heard, Some(Frame::Text(heard)) if heard == text),
            "{payload:02x?}: {heard:?}"
        );
    }
}

#[test]
fn a_quarter_of_a_gigabyte_in_a_quarter_of_a_megabyte_is_refused() {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![b'0'; 1 << 20];
    (0..256).for_each(|_| encoder.write_all(&zeros).unwrap());
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 300_000, "{} bytes", bomb.len());
    let mut peer = Peer::saying(REQUEST.as_bytes());
    peer.say(&deflated_frame(&bomb));
    let heard = peer.reader.next();
    assert!(matches!(heard, Some(Frame::Close(Some(1009), _))), "{heard:?}");
}
