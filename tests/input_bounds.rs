//! What clients can make a shard hold by what they send and do not read: in bytes, counted by the allocator, and in virtual time.
//!
//! Alone in its binary, because it counts what this thread holds.

#![cfg(test)]
#![expect(unsafe_code, reason = "an allocator is unsafe by nature; this one counts and hands on")]

mod support;

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;
use std::net::IpAddr;

use fanwire::shard::Response;
use fanwire::shard::Settings;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::Value;
use std::io::Write as _;

use support::frames::Frame;
use support::frames::Reader;
use support::frames::masked;
use support::world::Wire;
use support::world::World;
use support::world::roomy;

thread_local! {
    /// Bytes that this thread has set aside, and the most that it had.
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn note(bytes: i64) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

#[expect(clippy::cast_possible_wrap, reason = "a layout is never larger than an `isize`")]
const fn signed(bytes: usize) -> i64 {
    bytes as i64
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(signed(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-signed(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(signed(bytes) - signed(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

const KIB: i64 = 1024;
const MIB: i64 = 1024 * KIB;

/// By how much the most that was held grew while something was done, and what is held in the end.
fn grown(work: impl FnOnce()) -> (i64, i64) {
    let before = HELD.get();
    PEAK.set(before);
    work();
    (PEAK.get() - before, HELD.get() - before)
}

fn upgrade(world: &mut World, wire: Wire, path: &str, deflate: bool) {
    let extensions = if deflate {
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
    } else {
        ""
    };
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extensions}\r\n"
    );
    world.say(wire, head.as_bytes());
    world.settle();
    world.read(wire, usize::MAX);
}

/// A read's worth of one request after the other.
fn pipeline(request: &str) -> Vec<u8> {
    request.repeat(64 * 1024 / request.len()).into_bytes()
}

/// What a client that reads all of it is answered: how many times each status.
fn statuses(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.split("HTTP/1.1 ").skip(1).map(|reply| reply[..3].to_owned()).collect()
}

/// Requests that are answered outside of the core get large answers.
fn answer_admin(world: &mut World) -> bool {
    let now = world.now;
    let mut any = false;
    for shard in &mut world.shards {
        while let Some((conn, _)) = shard.poll_admin() {
            let body = vec![b'm'; 9_000].into();
            let response =
                Response { status: 200, content_type: "text/plain", headers: Vec::new(), body };
            shard.answer(conn, &response, now);
            any = true;
        }
    }
    any
}

fn settle(world: &mut World) {
    loop {
        world.settle();
        if !answer_admin(world) {
            return;
        }
    }
}

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
        ("/v1/ws", r#"{"type":"subscribe","id":1,"topics":["a"],"filter":"x >"}"#),
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

fn deflated(message: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).unwrap();
    encoder.flush().unwrap();
    let mut bytes = encoder.get_ref().clone();
    assert!(bytes.ends_with(&[0, 0, 0xff, 0xff]));
    bytes.truncate(bytes.len() - 4);
    let mut frame = masked(1, &bytes);
    frame[0] |= 0x40;
    frame
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
            world.settle();
        });
        // Each line is an event, and all of them are on their way to being told.
        assert!(peak < 10 * MIB, "{peak} bytes at most, {shard_count} shards");
        let told = String::from_utf8(world.read(wire, usize::MAX)).unwrap();
        assert!(told.contains(r#""accepted":21845"#), "{told}");
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
                    // Text that no mask makes anything but text.
                    world.say(wire, &[b'A'; 64 * 1024]);
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
                let is_refused = match what {
                    "message" => {
                        told.ends_with(b"no room for messages in part, and this one holds the most")
                    }
                    "upload" => {
                        text.starts_with("HTTP/1.1 503 ") && text.contains(r#""accepted":0"#)
                    }
                    _ => text.starts_with("HTTP/1.1 413 ") && text.contains(r#""full""#),
                };
                refused += usize::from(is_refused);
                assert!(is_refused || told.is_empty(), "{what}: {text}");
            }
        });
        let budget = BUDGET as i64;
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
            world.say(wire, &masked(1, &[b'x'; 60_000])[..50_000]);
        } else {
            world.say(wire, b"GET / HTTP/1.1\r\nHost: x\r\nX: ");
            world.say(wire, &[b'x'; 4_000]);
        }
        wires.push(wire);
    }
    let held = world.shards[0].stats().input_bytes;
    assert!((4 * 50_000 + 4 * 4_000..4 * 70_000 + 4 * 10_000).contains(&held), "{held}");
    // One message ends, one client vanishes, one closes, one head ends.
    world.say(wires[0], &masked(1, &[b'x'; 60_000])[50_000..]);
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

/// Lets a second pass, in which a client says this at the beginning, if it still may.
fn second(world: &mut World, wire: Wire, said: &[u8]) {
    if !said.is_empty() && world.wants_input(wire) {
        world.say(wire, said);
    }
    for _ in 0..10 {
        world.advance(100);
        world.tick();
        settle(world);
    }
}

/// For how many seconds a connection is kept that begins like this and then says this, again and again, one piece a second; and what it is told.
fn kept_s(path: Option<&str>, begin: &[u8], piece: &[u8], most_s: u64) -> (u64, Vec<u8>) {
    let settings = Settings { request_timeout_s: 10, upload_bytes_per_s_min: 100, ..roomy() };
    let mut world = World::new(1, &settings);
    let wire = world.open(0, 1 << 20);
    if let Some(path) = path {
        upgrade(&mut world, wire, path, false);
    }
    world.say(wire, begin);
    settle(&mut world);
    for passed_s in 1..=most_s {
        second(&mut world, wire, piece);
        let told = world.read(wire, usize::MAX);
        settle(&mut world);
        if !told.is_empty() && told != b"HTTP/1.1 100 Continue\r\n\r\n" {
            return (passed_s, told);
        }
    }
    (most_s + 1, Vec::new())
}

/// A byte a second, on every call with a body, on a head, on a message: none of them lasts.
#[test]
fn nothing_may_drip_for_ever() {
    let head = |line: &str, fields: &str| {
        format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").into_bytes()
    };
    let long = "Content-Length: 60000\r\n";
    let ndjson = "Content-Type: application/x-ndjson\r\nContent-Length: 60000\r\n";
    let connect = "Content-Type: application/connect+json\r\nConnect-Protocol-Version: 1\r\nContent-Length: 60000\r\n";
    for (begin, piece) in [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: ".to_vec(), &b"x"[..]),
        (b"\r\n".to_vec(), b"\r\n"),
        (head("POST /v1/publish/a", long), b" "),
        (head("POST /v1/publish/a", ndjson), b"x"),
        (head("POST /v1/publish/a", ndjson), b"\n"),
        (
            head(
                "POST /v1/publish/a",
                "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n",
            ),
            b"1\r\n{\r\n",
        ),
        (
            head(
                "POST /v1/publish/a",
                "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n",
            ),
            b"0",
        ),
        (head("POST /pv/events", long), b"x"),
        (head("POST /~websocket@1.0/cast", long), b"x"),
        (head("POST /peat.sidecar.v1.PeatSidecar/Subscribe", connect), b"x"),
    ] {
        let (kept_s, told) = kept_s(None, &begin, piece, 100);
        let text = String::from_utf8_lossy(&told);
        let name = String::from_utf8_lossy(&begin);
        assert!(text.starts_with("HTTP/1.1 408 "), "{kept_s} s, {text}: {name}");
        assert!((10..=12).contains(&kept_s), "{kept_s} s: {name} and {piece:?}");
    }
    for (path, begin) in [
        ("/v1/ws", &b"\x01\xfe\xff\x00mask"[..]),
        ("/pv/ws", b"\x01\xfe\xff\x00mask"),
        ("/ws/subscribe", b"\x01\xfe\xff\x00mask"),
        ("/hb/ws", b"\x01\xfe\xff\x00mask"),
        ("/echo", b"\x02\xfe\xff\x00mask"),
    ] {
        let (kept_s, told) = kept_s(Some(path), begin, b"A", 100);
        assert!(
            told.ends_with(b"a message did not arrive in time"),
            "{path}: {kept_s} s, {told:?}"
        );
        assert!((10..=12).contains(&kept_s), "{kept_s} s: {path}");
    }
    // Empty fragments, and a header that is never whole.
    let (fragments_s, told) = kept_s(Some("/v1/ws"), b"\x01\x80mask", b"\x00\x80mask", 100);
    assert!((10..=12).contains(&fragments_s) && told.starts_with(&[0x88]), "{fragments_s} s");
    let (header_s, _) = kept_s(Some("/v1/ws"), b"\x81", b"", 100);
    assert!((10..=12).contains(&header_s), "{header_s} s");
}

/// A ping in the midst of a message is answered, and buys the message no time.
#[test]
fn pings_do_not_keep_a_message_open() {
    let settings = Settings { request_timeout_s: 10, ..roomy() };
    let mut world = World::new(1, &settings);
    let wire = world.open(0, 1 << 20);
    upgrade(&mut world, wire, "/v1/ws", false);
    let mut fragment = masked(0, b"x");
    fragment[0] = 0;
    let mut told = Vec::new();
    let mut passed_s = 0;
    let mut begin = masked(1, b"x");
    begin[0] = 1;
    world.say(wire, &begin);
    while !told.ends_with(b"a message did not arrive in time") {
        passed_s += 1;
        assert!(passed_s < 20, "it is kept open: {told:?}");
        second(&mut world, wire, &[fragment.clone(), masked(9, b"ping")].concat());
        told.extend(world.read(wire, usize::MAX));
    }
    assert!(passed_s >= 10, "{passed_s} s");
    assert_eq!(
        told.windows(4).filter(|four| four == b"ping").count(),
        passed_s,
        "each is answered"
    );
}

/// Whoever sends at the least rate, or says a whole event now and then, is waited for.
#[test]
fn who_sends_at_the_least_rate_is_waited_for() {
    let ndjson = b"POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 9999999\r\n\r\n";
    let (kept, _) = kept_s(None, ndjson, &[b'x'; 100], 300);
    assert_eq!(kept, 301, "a line at the least rate");
    let (kept, told) = kept_s(None, ndjson, b"{}\n", 300);
    assert_eq!(kept, 301, "an event a second: {}", String::from_utf8_lossy(&told));
    let (kept, told) = kept_s(None, ndjson, &[b'x'; 50], 300);
    let text = String::from_utf8_lossy(&told);
    // Ten seconds, and half a second for each.
    assert!((19..=22).contains(&kept) && text.starts_with("HTTP/1.1 408"), "{kept} s: {text}");
    let (kept, _) =
        kept_s(Some("/v1/ws"), b"\x01\xff\x00\x00\x00\x00\x00\x0f\xff\x00mask", &[b'A'; 100], 300);
    assert_eq!(kept, 301, "a message at the least rate");
    let gathered =
        b"POST /~websocket@1.0/cast HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n";
    let (kept, _) = kept_s(None, gathered, &[b'x'; 100], 300);
    assert_eq!(kept, 301, "a body at the least rate");
}

/// Who asks and does not take the answers is let go, and so is what they hold.
#[test]
fn who_does_not_take_answers_is_let_go() {
    let settings = Settings { request_timeout_s: 10, ping_after_s: 10, ..roomy() };
    let mut world = World::new(1, &settings);
    let (http, websocket) = (world.open(0, 1000), world.open(0, 1000));
    world.say(http, &pipeline("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
    upgrade(&mut world, websocket, "/v1/ws", false);
    let pings = masked(9, b"0123456789").repeat(3000);
    world.say(websocket, &pings);
    settle(&mut world);
    assert!(world.shards[0].stats().input_bytes > 20_000);
    for _ in 0..40 {
        second(&mut world, http, b"");
    }
    assert!(!world.is_open(http) && !world.is_open(websocket));
    assert_eq!(world.shards[0].stats().input_bytes, 0);
}

/// A shard that is stalled is late itself: what lies in the kernel meanwhile is not held against who sent it.
#[test]
fn nobody_is_late_because_the_server_was() {
    let settings = Settings { request_timeout_s: 10, ..roomy() };
    let mut world = World::new(1, &settings);
    let (head, message) = (world.open(0, 1 << 20), world.open(0, 1 << 20));
    world.say(head, b"GET /metrics HTTP/1.1\r\nHost");
    upgrade(&mut world, message, "/v1/ws", false);
    let ping = masked(1, br#"{"type":"ping","id":1}"#);
    world.say(message, &ping[..9]);
    world.advance(60_000);
    // What came meanwhile is read before the time is looked at.
    world.say(head, b": ");
    world.say(message, &ping[9..12]);
    for _ in 0..10 {
        world.tick();
        settle(&mut world);
    }
    world.say(head, b"x\r\n\r\n");
    world.say(message, &ping[12..]);
    settle(&mut world);
    assert_eq!(statuses(&world.read(head, usize::MAX)), ["200"]);
    let told = world.read(message, usize::MAX);
    assert!(String::from_utf8_lossy(&told).contains("pong"), "{told:?}");
}

/// What the body of the only reply says.
fn answer(told: &[u8]) -> (String, Value) {
    let text = String::from_utf8(told.to_vec()).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    (head[9..12].to_owned(), serde_json::from_str(body).unwrap())
}

/// Every end of an upload that can still be answered says what was taken, up to where, and why it was no more.
#[test]
fn an_upload_that_ends_early_is_told_what_was_taken() {
    const LINES: &str = "{\"n\":1}\n{\"n\":2}\nnonsense\n{\"n\":3}\n{\"n\":";
    let chunk = format!("{:x}\r\n{LINES}\r\n", LINES.len());
    for (end, status, code) in [
        ("silence", "408", "timeout"),
        ("drip", "408", "timeout"),
        ("stop", "503", "shutting_down"),
        ("broken", "400", "bad_request"),
        ("broken with it", "400", "bad_request"),
        ("half close", "400", "cut_off"),
    ] {
        for shard_count in [1, 2, 3] {
            let settings = Settings { request_timeout_s: 5, ..roomy() };
            let mut world = World::new(shard_count, &settings);
            let wire = world.open(0, 1 << 20);
            world.say(wire, b"POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
            if end == "broken with it" {
                world.say(wire, format!("{chunk}zz\r\n").as_bytes());
            } else {
                world.say(wire, chunk.as_bytes());
            }
            settle(&mut world);
            match end {
                "silence" | "drip" => {
                    for _ in 0..8 {
                        second(&mut world, wire, if end == "drip" { b"1\r\n1\r\n" } else { b"" });
                    }
                }
                "stop" => {
                    let now = world.now;
                    for shard in &mut world.shards {
                        shard.stop(now);
                    }
                    second(&mut world, wire, b"");
                }
                "half close" => world.end(wire),
                "broken" => world.say(wire, b"zz\r\n"),
                _ => {}
            }
            settle(&mut world);
            let (told_status, told) = answer(&world.read(wire, usize::MAX));
            settle(&mut world);
            assert_eq!(told_status, status, "{end}: {told}");
            assert_eq!(told["error"]["code"], code, "{end}: {told}");
            assert_eq!(told["accepted"], 3, "{end}: {told}");
            assert_eq!(
                (&told["offset"], &told["epoch"], &told["topic"]),
                (&3.into(), &"e1".into(), &"a".into()),
                "{end}: {told}"
            );
            assert_eq!(told["errors"][0]["line"], 3, "{end}: {told}");
            assert!(!world.is_open(wire), "{end}: it ends with its answer");
        }
    }
}

/// What a client said before it ended is carried out, although it had to wait.
#[test]
fn what_was_said_before_the_end_is_carried_out() {
    for shard_count in [1, 2, 3] {
        let mut world = World::new(shard_count, &roomy());
        let wire = world.open(usize::from(shard_count) - 1, 1 << 20);
        upgrade(&mut world, wire, "/v1/ws", false);
        let mut said = Vec::new();
        for number in 0..60 {
            said.extend(masked(
                1,
                format!(
                    r#"{{"type":"publish","id":{number},"topic":"t/{}","payload":{{}}}}"#,
                    number % 7
                )
                .as_bytes(),
            ));
            said.extend(masked(9, b"p"));
        }
        world.say(wire, &said);
        world.end(wire);
        settle(&mut world);
        let published: u64 = world.shards.iter().map(|shard| shard.stats().published).sum();
        assert_eq!(published, 60, "{shard_count} shards");
        world.read(wire, usize::MAX);
        settle(&mut world);
        assert!(!world.is_open(wire), "it goes when it has been answered");
    }
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
