//! A shard takes any bytes from a socket, whole or in pieces, whatever they begin as: requests, uploads, event streams, every dialect's messages. What it
//! answers begins as HTTP.

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

/// What was sent to the one connection.
#[derive(Default)]
struct Answer(Vec<u8>);

impl Sink for Answer {
    fn send(&mut self, _: ConnId, bytes: &[u8]) -> Sent {
        self.0.extend_from_slice(bytes);
        Sent::Took(bytes.len())
    }

    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent {
        self.send(conn, &pieces.concat())
    }
}

fn answer(input: &[u8], piece_bytes: usize) -> Vec<u8> {
    let config = Config { connections_max: 4, echo: true, ..Config::default() };
    let settings = Server::shard_settings(&config, 1).expect("the defaults are possible");
    let mut shard = Shard::new(ShardId(0), 1, settings, Arc::from("e1"));
    let mut now = Now { mono_ms: 1000, wall_us: 1_786_600_000_000_000 };
    let conn =
        shard.open(Port::Shared, IpAddr::V4(Ipv4Addr::LOCALHOST), now).expect("there is room").id;
    let mut answer = Answer::default();
    for piece in input.chunks(piece_bytes) {
        for _ in 0..4 {
            shard.work(&mut answer, now);
        }
        if shard.poll_gone().is_some() {
            break;
        }
        if shard.wants_input(conn) {
            shard.received(conn, &mut piece.to_vec(), now);
        }
    }
    for _ in 0..20 {
        now = Now { mono_ms: now.mono_ms + 100, wall_us: now.wall_us + 100_000 };
        shard.tick(now);
        shard.work(&mut answer, now);
        while shard.poll_admin().is_some() {}
        while shard.poll_gone().is_some() {}
    }
    answer.0
}

/// Holds a shard to it for the bytes of one connection.
pub(crate) fn hold(input: &[u8]) {
    for piece_bytes in [usize::MAX, 7] {
        let said = answer(input, piece_bytes);
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 "), "{said:?}");
    }
}
