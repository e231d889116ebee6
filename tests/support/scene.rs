//! One shard, one publisher, and any number of subscribers whose sockets take everything: for counting and for timing.

#![expect(
    unreachable_pub,
    reason = "a test and a benchmark each have this file as a module of their own"
)]

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::clock::Now;
use fanwire::config::Config;
use fanwire::event::ShardId;
use fanwire::server::Server;
use fanwire::shard::ConnId;
use fanwire::shard::Port;
use fanwire::shard::Sent;
use fanwire::shard::Shard;
use fanwire::shard::Sink;

/// Takes everything at once.
#[derive(Debug, Default)]
pub struct Null {
    pub sends: u64,
    pub bytes: u64,
}

impl Sink for Null {
    fn send(&mut self, _: ConnId, bytes: &[u8]) -> Sent {
        self.sends += 1;
        self.bytes += bytes.len() as u64;
        Sent::Took(bytes.len())
    }

    fn send_pieces(&mut self, _: ConnId, pieces: &[&[u8]]) -> Sent {
        let bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        self.sends += 1;
        self.bytes += bytes as u64;
        Sent::Took(bytes)
    }
}

/// One shard, a publisher and its subscribers.
#[derive(Debug)]
pub struct Scene {
    shard: Shard,
    publisher: ConnId,
    pub sink: Null,
    now: Now,
}

impl Scene {
    /// `options` are further members of each `subscribe`, with a comma in front.
    pub fn new(subscribers: usize, deflate: bool, options: &str) -> Self {
        let now = Now { mono_ms: 1000, wall_us: 1_786_600_000_000_000 };
        let config = Config { connections_max: 100_000, ..Config::default() };
        let settings = Server::shard_settings(&config, 1).expect("it is the default");
        let shard = Shard::new(ShardId(0), 1, settings, Arc::from("e1"));
        let mut scene = Self { shard, publisher: ConnId(0), sink: Null::default(), now };
        for _ in 0..subscribers {
            let id = scene.connect(deflate);
            scene.say(id, &format!(r#"{{"type":"subscribe","id":1,"topics":["t"]{options}}}"#));
        }
        scene.publisher = scene.connect(false);
        scene
    }

    fn connect(&mut self, deflate: bool) -> ConnId {
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let id = self.shard.open(Port::Shared, peer, self.now).expect("there is room").id;
        let extensions =
            if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
        );
        self.shard.received(id, &mut request.into_bytes(), self.now);
        self.work();
        id
    }

    fn say(&mut self, id: ConnId, text: &str) {
        self.shard.received(id, &mut masked(text), self.now);
        self.work();
    }

    fn work(&mut self) {
        loop {
            self.shard.work(&mut self.sink, self.now);
            if !self.shard.has_work() {
                return;
            }
        }
    }

    /// Publishes one event: from the bytes that come in to the last byte that goes out.
    pub fn publish(&mut self, frame: &mut [u8]) {
        self.now.mono_ms += 1;
        self.now.wall_us += 1000;
        self.shard.received(self.publisher, frame, self.now);
        self.work();
    }
}

/// A text message of up to 64 KiB, masked with zeros, which is a mask.
pub fn masked(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("it is short");
    let mut frame = vec![0x81];
    match u8::try_from(length) {
        Ok(length @ ..126) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}
