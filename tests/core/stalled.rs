//! A reader that stalls: each dialect's own way of treating it. Nobody else notices.

use fanwire::shard::Settings;

use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

const EVENTS: u64 = 300;

fn open(world: &mut World, target: &str, capacity: usize) -> Wire {
    let wire = world.open(0, capacity);
    let upgrade = if target.contains("sse") {
        ""
    } else {
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    };
    let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n");
    world.say(wire, head.as_bytes());
    world.settle();
    wire
}

/// What a client that did not read while all events were published hears in the end.
fn heard(target: &str) -> (Vec<String>, Option<u16>) {
    // Room for about fifty events.
    let mut world = World::new(1, &Settings { outbox_bytes_max: 16 * 1024, ..roomy() });
    let stalled = open(&mut world, target, 400);
    for number in 1..=EVENTS {
        let body = format!(r#"{{"n":{number}}}"#);
        let request = format!(
            "POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let publisher = world.open(0, 1 << 16);
        world.say(publisher, request.as_bytes());
        world.settle();
        world.vanish(publisher);
    }
    let mut bytes = Vec::new();
    loop {
        let read = world.read(stalled, 1 << 20);
        world.settle();
        if read.is_empty() {
            break;
        }
        bytes.extend(read);
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a reply");
    let mut reader = Reader::new(false);
    reader.push(&bytes[end + 4..]);
    let (mut texts, mut closed) = (Vec::new(), None);
    while let Some(frame) = reader.next() {
        match frame {
            Frame::Text(text) => texts.push(text),
            Frame::Close(code, _) => closed = code,
            _ => {}
        }
    }
    (texts, closed)
}

//= peat-node#1.4
//# the n oldest events vanish silently, the stream
//# continues with the newest 256. No error, no close, no gap marker
#[test]
fn peat_keeps_the_newest_and_says_nothing() {
    let (texts, closed) = heard("/ws/subscribe");
    assert_eq!(closed, None);
    assert!(texts.len() < 300, "some were dropped: {}", texts.len());
    assert!(texts.iter().all(|text| text.starts_with(r#"{"collection":"a""#)), "{texts:?}");
    assert!(texts.last().is_some_and(|text| text.contains(r#"\"n\":300"#)));
}

#[test]
fn hyperbeam_keeps_the_newest_and_says_nothing() {
    let (texts, closed) = heard("/ws?topic=a");
    assert_eq!(closed, None);
    assert!(texts.len() < 301, "some were dropped: {}", texts.len());
    assert!(texts.last().is_some_and(|text| text.contains(r#""n":300"#)));
}

fn publish(world: &mut World, key: &str, payload: &str) {
    let publisher = world.open(0, 1 << 16);
    let head = format!(
        "POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nFanwire-Key: {key}\r\nContent-Length: {}\r\n\r\n",
        payload.len()
    );
    world.say(publisher, head.as_bytes());
    // A megabyte is more than one read takes.
    for part in payload.as_bytes().chunks(1 << 16) {
        world.say(publisher, part);
        world.settle();
    }
    let reply = world.read(publisher, 1 << 16);
    assert!(reply.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&reply));
    world.vanish(publisher);
}

/// Eight documents of 31 kB, one of 1.04 MB, and the same again. A reader takes a part of its snapshot, or of what is told live, and pauses for half a
/// second, in which one of them changes.
fn pauses_at_large_documents(target: &str, is_snapshot: bool) {
    let payload = |bytes: usize| format!(r#"{{"text":"{}"}}"#, "x".repeat(bytes));
    let mut world = World::new(1, &Settings { message_bytes_max: 1 << 21, ..roomy() });
    let mut reader = (!is_snapshot).then(|| open(&mut world, target, 1 << 16));
    for document in 0..18 {
        let bytes = if document % 9 == 8 { 1_040_000 } else { 31_000 };
        publish(&mut world, &format!("k{document:02}"), &payload(bytes));
    }
    let reader = *reader.get_or_insert_with(|| open(&mut world, target, 1 << 16));
    let mut bytes = world.read(reader, 200_000);
    for _ in 0..50 {
        world.advance(10);
        world.settle();
    }
    publish(&mut world, "k00", r#"{"text":"changed"}"#);
    world.tick();
    loop {
        world.settle();
        let read = world.read(reader, 1 << 16);
        if read.is_empty() {
            break;
        }
        bytes.extend(read);
    }
    assert!(world.is_open(reader), "{target}: it is never closed");
    if target.contains("sse") {
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("changed"), "{target}: the newest is heard: {text:.200}");
        assert!(!text.contains("\r\n0\r\n\r\n"), "{target}: the stream goes on");
        return;
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a reply");
    let mut frames = Reader::new(false);
    frames.push(&bytes[end + 4..]);
    let mut told = Vec::new();
    while let Some(frame) = frames.next() {
        match frame {
            Frame::Text(text) => told.push(text),
            Frame::Close(code, reason) => panic!("{target}: closed {code:?} {reason}"),
            _ => {}
        }
    }
    let documents = told.iter().filter(|text| text.contains("xxx")).count();
    let changed = told.iter().position(|text| text.contains("changed"));
    if is_snapshot {
        assert_eq!(documents, 18, "{target}: a snapshot is whole, and what changes comes besides");
        assert!(changed.is_some(), "{target}");
    } else {
        assert_eq!(changed, Some(told.len() - 1), "{target}: the newest is heard last");
    }
}

#[test]
fn large_documents_close_nobody_whose_dialect_closes_nobody() {
    for (target, is_snapshot) in [
        ("/ws/subscribe?collections=a", true),
        ("/ws/subscribe?collections=a", false),
        ("/sse/subscribe?collections=a", true),
        ("/sse/subscribe?collections=a", false),
        ("/ws?topic=a", false),
    ] {
        pauses_at_large_documents(target, is_snapshot);
    }
}

//= provisioning#5.5
//# a lagging client is **disconnected**.
#[test]
fn provisioning_closes() {
    let (texts, closed) = heard("/pv/ws");
    assert_eq!(closed, Some(1008));
    assert!(texts.len() < 300);
}

/// A client that was not read because it was owed too much is read again once it has taken that, although it says nothing new: or the answer to
/// a ping would be overlooked for ever, and whoever keeps up with a torrent would be closed as silent.
#[test]
fn who_catches_up_is_read_again() {
    const PAYLOAD_BYTES: usize = 300_000;
    let settings = Settings { outbox_bytes_max: 8 << 20, ..roomy() };
    let mut world = World::new(1, &settings);
    let stalled = open(&mut world, "/v1/ws", 4096);
    world.say(stalled, &masked(1, br#"{"type":"subscribe","id":1,"topics":["a"]}"#));
    world.settle();
    let publisher = world.open(0, 1 << 16);
    let body = format!(r#"{{"x":"{}"}}"#, "x".repeat(PAYLOAD_BYTES));
    let head =
        format!("POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    for _ in 0..6 {
        world.say(publisher, format!("{head}{body}").as_bytes());
        world.settle();
    }
    world.resumed.clear();
    assert!(!world.wants_input(stalled), "six times 300 KB wait for it");
    for _ in 0.. {
        if world.read(stalled, usize::MAX).is_empty() {
            break;
        }
        world.settle();
    }
    assert!(world.resumed.contains(&stalled), "nobody will look at what it said");
    assert!(world.wants_input(stalled));
}

/// As long as it takes what it is owed, it is not silent: its answer to a ping lies where nobody looks for it.
#[test]
fn who_is_not_read_is_heard_by_what_it_takes() {
    let settings = Settings { outbox_bytes_max: 64 << 20, ..roomy() };
    let mut world = World::new(1, &settings);
    let slow = open(&mut world, "/v1/ws", 64 * 1024);
    world.say(slow, &masked(1, br#"{"type":"subscribe","id":1,"topics":["a"]}"#));
    world.settle();
    let publisher = world.open(0, 1 << 16);
    let body = format!(r#"{{"x":"{}"}}"#, "x".repeat(300_000));
    let head =
        format!("POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    for _ in 0..40 {
        world.say(publisher, format!("{head}{body}").as_bytes());
        world.settle();
    }
    // Two minutes, in which it takes 64 KiB a second and says nothing that is read.
    for _ in 0..120 {
        assert!(!world.wants_input(slow));
        assert!(!world.read(slow, usize::MAX).is_empty());
        for _ in 0..10 {
            world.advance(100);
            world.tick();
            world.settle();
        }
        assert!(world.is_open(slow), "it was closed although it reads");
    }
    // Then it takes nothing any more.
    for _ in 0..1000 {
        world.advance(100);
        world.tick();
        world.settle();
    }
    assert!(!world.is_open(slow), "nobody is there any more");
}

/// A shard that is busy looks at its connections late; nobody is closed for not answering what they were not asked.
#[test]
fn nobody_is_closed_who_was_not_pinged() {
    let mut world = World::new(1, &roomy());
    let quiet = open(&mut world, "/v1/ws", 64 * 1024);
    let sweep = |world: &mut World, seconds: u64| {
        world.advance(seconds * 1000);
        for _ in 0..10 {
            world.tick();
            world.settle();
        }
    };
    sweep(&mut world, 100);
    let heard = world.read(quiet, usize::MAX);
    assert!(heard.ends_with(&[0x89, 0x00]), "it is pinged: {heard:?}");
    sweep(&mut world, 29);
    assert!(world.is_open(quiet) && world.read(quiet, usize::MAX).is_empty());
    sweep(&mut world, 1);
    assert!(world.read(quiet, usize::MAX).starts_with(&[0x88]), "it is closed");
}

/// Whoever stops in the middle of a large event holds on to it; beyond what outboxes may take together, whoever comes next is closed.
#[test]
fn large_events_begun_are_held_within_the_budget_of_outboxes() {
    const SUBSCRIBERS: usize = 12;
    const BUDGET_BYTES: usize = 4 << 20;
    const EVENT_BYTES: usize = 1_000_000;
    let settings = Settings { outboxes_bytes_max: BUDGET_BYTES, ..roomy() };
    let mut world = World::new(1, &settings);
    let stalled: Vec<Wire> = (0..SUBSCRIBERS)
        .map(|index| {
            let wire = open(&mut world, "/v1/ws", 4096);
            let wish = format!(r#"{{"type":"subscribe","id":1,"topics":["t{index}"]}}"#);
            world.say(wire, &masked(1, wish.as_bytes()));
            world.settle();
            world.read(wire, usize::MAX);
            wire
        })
        .collect();
    let body = format!(r#"{{"x":"{}"}}"#, "x".repeat(EVENT_BYTES));
    for index in 0..SUBSCRIBERS {
        let publisher = world.open(0, 1 << 16);
        let head = format!(
            "POST /v1/publish/t{index} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        world.say(publisher, format!("{head}{body}").as_bytes());
        world.settle();
        world.vanish(publisher);
    }
    // One large event more than the budget is always held.
    let held = BUDGET_BYTES.div_ceil(EVENT_BYTES);
    for (index, wire) in stalled.iter().enumerate() {
        assert_eq!(world.is_open(*wire), index < held, "subscriber {index}");
    }
    assert_eq!(world.shards[0].stats().slow_disconnects, (SUBSCRIBERS - held) as u64);
    for wire in &stalled[..held] {
        let mut reader = Reader::new(false);
        loop {
            let read = world.read(*wire, usize::MAX);
            world.settle();
            if read.is_empty() {
                break;
            }
            reader.push(&read);
        }
        let Some(Frame::Text(text)) = reader.next() else { panic!("no whole frame came") };
        assert!(text.ends_with(&format!("{body}}}")), "{} bytes", text.len());
    }
}
