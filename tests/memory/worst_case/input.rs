//! Input that does not end, or whose answers nobody reads: as much as there is room for; at the bound those are refused that hold the most.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::auth::AnonymousAccess;
use fanwire::limits::CONNECTION_BYTES;
use fanwire::limits::PARTIAL_SPARE_BYTES_MAX;
use fanwire::limits::PARTIAL_SPARES_MAX;
use fanwire::shard::Access;
use fanwire::shard::MemoryBounds;
use fanwire::shard::Settings;

use crate::heap;
use crate::support::asking::upgrade;
use crate::support::frames::masked;
use crate::support::world::World;
use crate::support::world::roomy;

/// Bytes of the budget.
const BUDGET: usize = 4 << 20;

/// What a connection at rest and the test's socket take, and the answers that every one may have: other lines.
fn each_bytes() -> usize {
    usize::try_from(CONNECTION_BYTES).unwrap() + 2 * 512 + ANSWERS_BYTES
}

/// Bytes of answers that the test's sockets do not take.
const ANSWERS_BYTES: usize = 4 << 10;

/// What is kept to gather messages in, which is the shard's line.
const SPARES_BYTES: usize = PARTIAL_SPARES_MAX * PARTIAL_SPARE_BYTES_MAX;

/// What a client says, piece by piece, without an end.
struct Kind {
    name: &'static str,
    /// A WebSocket's path, or none: what is said is HTTP.
    path: Option<&'static str>,
    begin: Vec<u8>,
    more: Vec<u8>,
    pieces: usize,
    clients: u32,
}

fn kinds() -> Vec<Kind> {
    // Text, masked with zeros, of a million bytes that do not come.
    let mut message = vec![0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, 0, 0, 0, 0];
    message.extend_from_slice(br#"{"type":"publish","topic":"a","payload":{"p":""#);
    let fragment = |first: u8| {
        let mut frame = masked(1, &[b'x'; 100]);
        frame[0] = first;
        frame
    };
    let post = |head: &str| format!("POST {head}\r\nHost: t\r\n").into_bytes();
    let body = |path: &str| post(&format!("{path} HTTP/1.1\r\nContent-Length: 1000000"));
    let line = post(
        "/v1/publish/a HTTP/1.1\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked",
    );
    let with = |mut head: Vec<u8>, rest: &[u8]| {
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(rest);
        head
    };
    let much = vec![b'x'; 16 << 10];
    let kind = |name, path, begin, more, pieces, clients| Kind {
        name,
        path,
        begin,
        more,
        pieces,
        clients,
    };
    vec![
        kind("a message", Some("/v1/ws"), message, much.clone(), 50, 40),
        kind("fragments", Some("/v1/ws"), fragment(0x01), fragment(0x00).repeat(100), 60, 60),
        kind("a body", None, with(body("/v1/publish/a"), b"{\"p\":\""), much.clone(), 50, 40),
        kind("events", None, with(body("/pv/events"), b"[{\"p\":\""), much.clone(), 50, 40),
        kind("a line", None, with(line, b"f0000\r\n{\"p\":\""), much, 50, 40),
        kind(
            "a head",
            None,
            b"GET / HTTP/1.1\r\nHost: t\r\nX: ".to_vec(),
            vec![b'x'; 1 << 10],
            14,
            1_000,
        ),
    ]
}

fn settings() -> Settings {
    let memory = MemoryBounds { input_bytes_max: BUDGET, ..MemoryBounds::default() };
    let mut access = Access::default();
    access.anonymous.access = AnonymousAccess::Anywhere;
    Settings { memory, access: Arc::new(access), message_bytes_max: 1 << 20, ..roomy() }
}

#[test]
fn what_has_come_in_part_takes_what_is_counted_and_whoever_holds_the_most_goes() {
    for Kind { name, path, begin, more, pieces, clients } in kinds() {
        let mut world = World::new(1, &settings());
        let from = |client: u32| IpAddr::V4(Ipv4Addr::from_bits(0xcb00_0000 + client * 256));
        let before = heap::held();
        let mut wires = Vec::new();
        for client in 0..clients {
            let wire = world.open_from(0, ANSWERS_BYTES, from(client));
            if let Some(path) = path {
                upgrade(&mut world, wire, path, false);
            }
            world.say(wire, &begin);
            wires.push(wire);
        }
        let mut most = 0;
        for _ in 0..pieces {
            for wire in &wires {
                world.say(*wire, &more);
            }
            world.settle();
            most = most.max(heap::held() - before);
        }
        let held = usize::try_from(most).unwrap();
        let counted = BUDGET + wires.len() * each_bytes() + SPARES_BYTES;
        assert!(held * 4 <= counted * 5, "{name}: {held} bytes, {counted} counted");
        assert!(held * 2 > BUDGET, "{name}: {held} bytes, so little is no bound");
        let refused =
            wires.iter().filter(|wire| !world.read(**wire, usize::MAX).is_empty()).count();
        assert!(refused > 0 && refused < wires.len(), "{name}: {refused} of {}", wires.len());
    }
}
