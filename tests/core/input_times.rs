//! How long clients may take for what they send, in virtual time, and what they are told when it ends too soon.

use fanwire::shard::Settings;
use serde_json::Value;

use crate::support::asking::pipeline;
use crate::support::asking::settle;
use crate::support::asking::statuses;
use crate::support::asking::upgrade;
use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

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
    (head.chars().skip(9).take(3).collect(), serde_json::from_str(body).unwrap())
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
            if code == "cut_off" {
                assert_eq!(told["error"]["message"], "the request ended before it was complete");
            }
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
