//! Documents that change while they are told: nobody ends up with a stale one, whatever the moment.

use std::collections::BTreeMap;

use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::random::Random;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

const DOCUMENTS: usize = 900;

fn publish(world: &mut World, shard: usize, key: &str, version: Option<u64>) {
    let body = version
        .map_or_else(|| "{}".to_owned(), |n| format!(r#"{{"n":{n},"pad":"{}"}}"#, "x".repeat(300)));
    let op = if version.is_some() { "" } else { "?op=delete" };
    let request = format!(
        "POST /v1/publish/docs{op} HTTP/1.1\r\nHost: x\r\nFanwire-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    world.advance(1);
    let wire = world.open(shard, 1 << 16);
    world.say(wire, request.as_bytes());
    world.settle();
    assert!(world.read(wire, 1 << 16).starts_with(b"HTTP/1.1 200"));
    world.vanish(wire);
}

/// What a subscriber knows of each document, in the order in which it was told: a version, or that it is gone.
#[derive(Default)]
struct Known {
    bytes: Vec<u8>,
    reader: Option<Reader>,
    documents: BTreeMap<String, Option<u64>>,
    told: usize,
}

impl Known {
    fn read(&mut self, world: &mut World, wire: Wire, count: usize) -> usize {
        let bytes = world.read(wire, count);
        let taken = bytes.len();
        match &mut self.reader {
            Some(reader) => reader.push(&bytes),
            None => {
                self.bytes.extend(bytes);
                let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                    return taken;
                };
                let mut reader = Reader::new(false);
                reader.push(&self.bytes[end + 4..]);
                self.reader = Some(reader);
            }
        }
        while let Some(Frame::Text(text)) = self.reader.as_mut().and_then(Reader::next) {
            self.learn(&text);
        }
        taken
    }

    fn learn(&mut self, text: &str) {
        self.told += 1;
        let change: serde_json::Value = serde_json::from_str(text).unwrap();
        let key = change["docId"].as_str().unwrap().to_owned();
        let version = change["jsonData"].as_str().map(|data| {
            let data: serde_json::Value = serde_json::from_str(data).unwrap();
            data["n"].as_u64().unwrap()
        });
        if let (Some(Some(before)), Some(now)) = (self.documents.get(&key), version) {
            assert!(*before <= now, "{key} was told as {now} after {before}");
        }
        self.documents.insert(key, version);
    }
}

fn play(seed: u64, shards: u16) {
    let mut random = Random::new(seed);
    let mut world = World::new(shards, &roomy());
    let mut truth: BTreeMap<String, Option<u64>> = BTreeMap::new();
    let mut version = 0;
    for index in 0..DOCUMENTS {
        version += 1;
        let key = format!("d{index:04}");
        publish(&mut world, usize::from(shards - 1), &key, Some(version));
        truth.insert(key, Some(version));
    }
    let wire = world.open(0, 4000);
    world.say(
        wire,
        b"GET /ws/subscribe?collections=docs HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let mut known = Known::default();
    for _ in 0..400 {
        world.work(0);
        if random.below(2) == 0 {
            world.settle();
        }
        known.read(&mut world, wire, 1 + random.below(1200));
        let key = format!("d{:04}", random.below(DOCUMENTS + 20));
        version += 1;
        let change = if random.below(4) == 0 { None } else { Some(version) };
        publish(&mut world, usize::from(shards - 1), &key, change);
        truth.insert(key, change);
    }
    assert!(known.told < DOCUMENTS, "it was not all told before the changes ended: {}", known.told);
    loop {
        world.settle();
        if known.read(&mut world, wire, 1 << 20) == 0 {
            break;
        }
    }
    assert!(world.is_open(wire));
    for (key, expected) in truth {
        let found = known.documents.get(&key).copied().flatten();
        assert_eq!(found, expected, "seed {seed}, {shards} shards: {key}");
    }
}

//= peat-node#1.3
//# Hence at-least-once across the boundary: an event between the two steps is
//# delivered twice (both as UPSERT); clients must treat upserts idempotently.
#[test]
fn nobody_ends_up_with_a_stale_document() {
    for seed in 1..=3 {
        for shards in [1, 3] {
            play(seed, shards);
        }
    }
}
