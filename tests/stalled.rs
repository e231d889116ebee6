//! A reader that stalls: each dialect's own way of treating it. Nobody else notices.

#![cfg(test)]

mod support;

use fanwire::shard::Settings;

use support::frames::Frame;
use support::frames::Reader;
use support::world::Wire;
use support::world::World;
use support::world::roomy;

const EVENTS: u64 = 300;

fn open(world: &mut World, target: &str, capacity: usize) -> Wire {
    let wire = world.open(0, capacity);
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
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

//= provisioning#5.5
//# a lagging client is **disconnected**.
#[test]
fn provisioning_closes() {
    let (texts, closed) = heard("/pv/ws");
    assert_eq!(closed, Some(1008));
    assert!(texts.len() < 300);
}
