//! What clients can make a shard hold by what they send and do not read, counted by the allocator.
//!
//! Alone in its binary, because it counts what this thread holds.

use std::net::IpAddr;

use fanwire::shard::Settings;

use crate::heap::KIB;
use crate::heap::MIB;
use crate::heap::grown;
use crate::support::asking::pipeline;
use crate::support::asking::settle;
use crate::support::asking::statuses;
use crate::support::asking::upgrade;
use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::frames::deflated;
use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

#[test]
fn a_pipeline_whose_client_does_not_read_holds_little_and_loses_nothing() {
    for request in [
        "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/publish/a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /~websocket@1.0/info HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        "POST /~websocket@1.0/cast HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
        "POST /pv/events HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\n\r\n{\"event_type\":\"No\"}",
    ] {
        let mut world = World::new(2, &roomy());
        let wire = world.open(1, 4096);
        let said = pipeline(request);
        let (peak, held) = grown(|| {
            world.say(wire, &said);
            settle(&mut world);
        });
        assert!(
            peak < 400 * KIB && held < 320 * KIB,
            "{peak} bytes at most, {held} held: {request}"
        );
        assert!(!world.wants_input(wire), "it has said enough: {request}");
        let mut heard = Vec::new();
        loop {
            let bytes = world.read(wire, usize::MAX);
            settle(&mut world);
            if bytes.is_empty() {
                break;
            }
            heard.extend(bytes);
        }
        let told = statuses(&heard);
        assert_eq!(told.len(), said.len() / request.len(), "each is answered: {request}");
        assert!(world.wants_input(wire), "it is heard again: {request}");
    }
}

/// Messages that a client pipelines on a WebSocket; answers to them wait for it to read, too.
#[test]
fn messages_whose_client_does_not_read_hold_little_and_are_all_answered() {
    for (path, message) in [
        ("/v1/ws", r#"{"type":"ping","id":"0123456789"}"#),
        ("/v1/ws", r#"{"type":"x"}"#),
        ("/v1/ws", r#"{"type":"subscribe","id":1,"topics":["a//b"]}"#),
        ("/v1/ws", r#"{"type":"publish","id":"p","topic":"a","payload":{}}"#),
        ("/pv/ws", r#"{"type":"nonsense"}"#),
        ("/echo", "hello"),
    ] {
        let settings = Settings { access: free(), ..roomy() };
        let mut world = World::new(2, &settings);
        let wire = world.open(1, 4096);
        upgrade(&mut world, wire, path, false);
        let frame = masked(1, message.as_bytes());
        let count = 64 * 1024 / frame.len();
        let said = frame.repeat(count);
        let (peak, held) = grown(|| {
            world.say(wire, &said);
            world.settle();
        });
        // Drafts on their way take a multiple of what they are, and events are kept.
        assert!(peak < 1200 * KIB && held < 800 * KIB, "{peak} at most, {held} held: {message}");
        let mut reader = Reader::new(false);
        let mut heard = 0;
        for _ in 0..100_000 {
            let bytes = world.read(wire, usize::MAX);
            world.settle();
            if bytes.is_empty() {
                break;
            }
            reader.push(&bytes);
            while let Some(frame) = reader.next() {
                assert!(!matches!(frame, Frame::Close(..)), "{path} {message}: {frame:?}");
                heard += 1;
            }
        }
        assert_eq!(heard, count, "{path} {message}");
        assert!(world.wants_input(wire));
    }
}

/// Everyone may come in, and say as much in a second as they like: those are bounds of their own.
fn free() -> std::sync::Arc<fanwire::shard::Access> {
    let mut access = fanwire::shard::Access::default();
    let many = fanwire::auth::Rate::per_second(1_000_000);
    access.limits.messages = many;
    access.limits.handshakes = many;
    access.anonymous.access = fanwire::auth::AnonymousAccess::Anywhere;
    access.into()
}

/// 64 KiB that inflate to sixty messages of a megabyte: they are inflated and published one after the other.
#[test]
fn deflated_publishes_are_inflated_as_they_are_carried_out() {
    let mut settings = Settings { message_bytes_max: 1 << 20, ..roomy() };
    settings.retention.bytes_max = 1 << 20;
    settings.retention.topic_bytes_max = 1 << 20;
    settings.retention.last_bytes_max = 1 << 20;
    let body = "x".repeat((1 << 20) - 200);
    let message =
        format!(r#"{{"type":"publish","id":"p","topic":"a","payload":{{"x":"{body}"}}}}"#);
    let frame = deflated(message.as_bytes());
    let count = 64 * 1024 / frame.len();
    assert!(count > 50, "{count}");
    let said = frame.repeat(count);
    for shard_count in [1, 2, 3] {
        let mut world = World::new(shard_count, &settings);
        let wire = world.open(0, 1 << 20);
        upgrade(&mut world, wire, "/v1/ws", true);
        let (peak, held) = grown(|| {
            world.say(wire, &said);
            world.settle();
        });
        assert!(peak < 12 * MIB, "{peak} bytes at most, {shard_count} shards");
        assert!(held < 8 * MIB, "{held} bytes held, {shard_count} shards");
        let mut reader = Reader::new(true);
        let mut published = 0;
        while let bytes = world.read(wire, usize::MAX)
            && !bytes.is_empty()
        {
            reader.push(&bytes);
            while let Some(Frame::Text(text)) = reader.next() {
                published += usize::from(text.contains(r#""published""#));
            }
            world.settle();
        }
        assert_eq!(published, count, "{shard_count} shards");
    }
}

/// An upload of lines as short as can be: what is published at once is counted in bytes of drafts, of which each line is hundreds.
#[test]
fn an_upload_of_short_lines_is_published_piece_by_piece() {
    for shard_count in [1, 3] {
        let mut settings = roomy();
        settings.retention.topic_events_max = 10;
        let mut world = World::new(shard_count, &settings);
        let wire = world.open(0, 1 << 20);
        world.say(wire, b"POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 65535\r\n\r\n");
        world.settle();
        let said = "{}\n".repeat(21_845);
        let (peak, _) = grown(|| {
            world.say(wire, said.as_bytes());
            // What finds everything full tries again a moment later.
            for _ in 0..100 {
                world.settle();
                world.advance(5);
            }
        });
        // Each line is an event, and all of them are on their way to being told.
        assert!(peak < 10 * MIB, "{peak} bytes at most, {shard_count} shards");
        let told = String::from_utf8(world.read(wire, usize::MAX)).unwrap();
        assert!(told.contains(r#""accepted":21845"#), "{told}");
    }
}

/// Whether this is what is told to one that holds the most of what has come in part.
fn is_refused(what: &str, told: &str) -> bool {
    match what {
        "message" => {
            told.ends_with("no room for what clients have said, and this one holds the most")
        }
        "upload" => told.starts_with("HTTP/1.1 503 ")
            && told.contains(r#""accepted":0"#)
            && told.contains(
                "there is no room for unfinished requests, and this one holds the most; try again",
            ),
        _ => told.starts_with("HTTP/1.1 413 ") && told.contains(r#""full""#),
    }
}

/// Three hundred connections that each hold a megabyte of something that never ends, from one address, and one honest client from another.
#[test]
fn halves_of_many_share_a_budget_and_the_others_notice_nothing() {
    const BUDGET: usize = 16 << 20;
    let mut settings = Settings { message_bytes_max: 1 << 20, access: free(), ..roomy() };
    settings.memory.input_bytes_max = BUDGET;
    let begin: [(&str, &[u8]); 4] = [
        ("message", b"\x01\xff\x00\x00\x00\x00\x00\x0f\xff\x00mask"),
        ("upload", b"POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 9999999\r\n\r\n"),
        ("post", b"POST /pv/events HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n"),
        ("cast", b"POST /~websocket@1.0/cast HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"),
    ];
    for (what, begin) in begin {
        let mut world = World::new(1, &settings);
        let honest = world.open_from(0, 1 << 20, ip("203.0.113.9"));
        upgrade(&mut world, honest, "/v1/ws", false);
        let payload = "y".repeat(700_000);
        let message = masked(
            1,
            format!(r#"{{"type":"publish","id":"p","topic":"a","payload":{{"y":"{payload}"}}}}"#)
                .as_bytes(),
        );
        let mut pieces = message.chunks(64 * 1024);
        // Text that no mask makes anything but text.
        let text = vec![b'A'; 64 * 1024];
        let mut refused = 0;
        let (peak, held) = grown(|| {
            let mut attackers = Vec::new();
            for number in 0..300 {
                let wire = world.open_from(0, 64 * 1024, ip("198.51.100.7"));
                if what == "message" {
                    upgrade(&mut world, wire, "/v1/ws", false);
                }
                world.say(wire, begin);
                for _ in 0..14 {
                    world.say(wire, &text);
                }
                world.settle();
                if number % 20 == 10
                    && let Some(piece) = pieces.next()
                {
                    world.say(honest, piece);
                }
                attackers.push(wire);
            }
            for piece in pieces {
                world.say(honest, piece);
            }
            world.settle();
            for wire in attackers {
                let told = world.read(wire, usize::MAX);
                let text = String::from_utf8_lossy(&told);
                let is_refused = is_refused(what, &text);
                refused += usize::from(is_refused);
                assert!(is_refused || told.is_empty(), "{what}: {text}");
            }
        });
        let budget = i64::try_from(BUDGET).unwrap();
        assert!(
            peak < budget + 4 * MIB && held < budget + 4 * MIB,
            "{what}: {peak} at most, {held} held"
        );
        assert!(refused >= 280, "{what}: {refused} were refused");
        let told = world.read(honest, usize::MAX);
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains(r#""type":"published""#), "{what}: {told}");
        assert!(world.is_open(honest));
    }
}

/// Whoever is refused or goes gives back what they held.
#[test]
fn what_is_held_in_part_is_given_back() {
    let mut world = World::new(1, &roomy());
    let mut wires = Vec::new();
    for number in 0..8 {
        let wire = world.open(0, 1 << 20);
        if number % 2 == 0 {
            upgrade(&mut world, wire, "/v1/ws", false);
            world.say(wire, &masked(1, &vec![b'x'; 60_000])[..50_000]);
        } else {
            world.say(wire, b"GET / HTTP/1.1\r\nHost: x\r\nX: ");
            world.say(wire, &[b'x'; 4_000]);
        }
        wires.push(wire);
    }
    let held = world.shards[0].stats().input_bytes;
    assert!((4 * 50_000 + 4 * 4_000..4 * 70_000 + 4 * 10_000).contains(&held), "{held}");
    // One message ends, one client vanishes, one closes, one head ends.
    world.say(wires[0], &masked(1, &vec![b'x'; 60_000])[50_000..]);
    world.vanish(wires[1]);
    world.vanish(wires[2]);
    world.say(wires[3], b"\r\n\r\n");
    settle(&mut world);
    let left = world.shards[0].stats().input_bytes;
    assert!(left < held / 2 + 5_000, "{left} of {held}");
    for wire in wires {
        world.vanish(wire);
    }
    assert_eq!(world.shards[0].stats().input_bytes, 0);
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Who does not say who they are is counted from the moment they are accepted.
#[test]
fn connections_of_an_address_are_counted_from_the_first_byte_on() {
    let mut access = fanwire::shard::Access::default();
    access.limits.address_connections = 10;
    let mut world = World::new(1, &Settings { access: access.into(), ..roomy() });
    let most = 10 + fanwire::limits::ADDRESS_CONNECTIONS_SPARE as usize;
    let open = |world: &mut World| world.try_open_from(0, 1 << 20, ip("198.51.100.7"));
    let wires: Vec<Wire> = (0..most).map(|_| open(&mut world).expect("there is room")).collect();
    assert_eq!(open(&mut world), None, "one more is closed at once");
    assert!(world.try_open_from(0, 4096, ip("198.51.100.8")).is_some(), "others are let in");
    assert!(world.try_open_from(0, 4096, ip("127.0.0.1")).is_some(), "this machine is not counted");
    world.vanish(wires[0]);
    let again = open(&mut world);
    assert!(again.is_some() && open(&mut world).is_none(), "who goes makes room for one");
    for wire in wires.into_iter().skip(1).chain(again) {
        world.vanish(wire);
    }
    assert!((0..most).all(|_| open(&mut world).is_some()), "all have gone");
}
