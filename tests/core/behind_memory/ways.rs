//! Readers in other ways than a native subscription: event streams that break off and come back with their last id, snapshots of another dialect, rates, and a filter that is forced on
//! everybody. What each is told from behind memory is what one is told who reads where nothing was forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use fanwire::auth::Anonymous;
use fanwire::matcher::Filter;
use fanwire::shard::Access;
use fanwire::shard::Settings;

use super::Pair;
use super::Side;
use super::slow;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::seeds;
use crate::support::world::Wire;

/// Settings of servers where nobody is told more than a filter lets through.
pub(super) fn confined(settings: Settings) -> Settings {
    let filter = Filter::parse("n < 5").unwrap().to_json();
    let anonymous = Anonymous { filter: Some(filter.into()), ..Anonymous::default() };
    Settings { access: Arc::new(Access { anonymous, ..Access::default() }), ..settings }
}

/// An event stream, as its client has it.
struct Stream {
    wire: Wire,
    text: String,
}

/// What an event stream has told: each message with its kind, and the newest id.
#[derive(Debug, Default)]
struct Heard {
    messages: Vec<(String, Value)>,
    id: Option<String>,
}

impl Stream {
    fn open(side: &mut Side, shard: usize, path: &str, id: Option<&str>) -> Self {
        let wire = side.world.open(shard, 1 << 20);
        let id = id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\n{id}\r\n");
        side.world.say(wire, request.as_bytes());
        Self { wire, text: String::new() }
    }

    /// Reads until nothing comes any more, or so many bytes have.
    fn read(&mut self, side: &mut Side, bytes_max: usize) {
        let mut quiet_rounds = 0;
        while quiet_rounds < 60 && self.text.len() < bytes_max {
            side.rest(1);
            let bytes = side.world.read(self.wire, bytes_max - self.text.len());
            quiet_rounds = if bytes.is_empty() { quiet_rounds + 1 } else { 0 };
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// Every message that is whole. Between them stand the sizes of chunks, which are no lines of the stream.
    fn heard(&self) -> Heard {
        let (mut heard, mut kind, mut data) = (Heard::default(), String::new(), None);
        let mut id = None;
        for line in self.text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let line = line.trim_end();
            if let Some(said) = line.strip_prefix("event: ") {
                said.clone_into(&mut kind);
            } else if let Some(said) = line.strip_prefix("id: ") {
                id = Some(said.to_owned());
            } else if let Some(said) = line.strip_prefix("data: ") {
                data = serde_json::from_str(said).ok();
            } else if line.is_empty()
                && let Some(said) = data.take()
            {
                heard.messages.push((std::mem::take(&mut kind), said));
                heard.id = id.take().or(heard.id);
            }
        }
        heard
    }
}

/// Of each topic what was told of it, in order.
fn by_topic(heard: &[Heard]) -> BTreeMap<String, Vec<String>> {
    let mut topics: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (kind, said) in heard.iter().flat_map(|heard| &heard.messages) {
        assert_ne!(kind, "error", "{said}");
        if let Some(topic) = said["topic"].as_str() {
            let (offset, from) = (&said["offset"], &said["from"]);
            let (op, key, payload) = (&said["op"], &said["key"], &said["payload"]);
            let told = format!("{kind} {offset}{from} {op} {key} {payload}");
            topics.entry(topic.to_owned()).or_default().push(told);
        }
    }
    topics
}

/// Streams that break off somewhere, and come back with the last id that they have: every event once.
fn cursors(seed: u64) {
    let mut pair = Pair::new(seed, slow());
    pair.publish_many(120);
    let path = *pair.random.pick(&[
        "/v1/sse?topic=**&since=earliest",
        "/v1/sse?topic=fleet/*&topic=x/y/z&since=earliest",
        "/v1/sse?topic=**&since=earliest&filter=n+%3C+4",
    ]);
    let (shard, cut) = (pair.random.below(pair.shard_count), 500 + pair.random.below(30_000));
    let mut told = Vec::new();
    let mut cuts = pair.sides.each_mut().map(|side| {
        let mut stream = Stream::open(side, shard, path, None);
        stream.read(side, cut);
        stream.heard()
    });
    // What comes meanwhile is told to who comes back, too.
    pair.publish_many(30);
    for (side, first) in pair.sides.iter_mut().zip(&mut cuts) {
        let mut whole = Stream::open(side, shard, path, None);
        whole.read(side, usize::MAX);
        let first = std::mem::take(first);
        let mut again = Stream::open(side, shard, path, first.id.as_deref());
        again.read(side, usize::MAX);
        let wanted = by_topic(&[whole.heard()]);
        let had = first.id.is_some();
        let found = by_topic(&if had { vec![first, again.heard()] } else { vec![again.heard()] });
        assert_eq!(found, wanted, "{path}, cut at {cut}: every event once");
        told.push(wanted);
    }
    assert_eq!(told[0], told[1], "{path}");
    assert!(!told[0].is_empty());
}

/// peat-node's present state, which is a snapshot of the last events of keys.
fn snapshots(seed: u64) {
    let mut pair = Pair::perhaps_confined(seed, slow());
    pair.publish_many(150);
    let path = "/sse/subscribe?collections=fleet/a,fleet/b,other";
    let shard = pair.random.below(pair.shard_count);
    let [little, everything] = pair.sides.each_mut().map(|side| {
        let mut stream = Stream::open(side, shard, path, None);
        stream.read(side, usize::MAX);
        let heard = stream.heard();
        let mut said: Vec<String> =
            heard.messages.iter().map(|(_, said)| said.to_string()).collect();
        said.sort_unstable();
        said
    });
    assert!(!everything.is_empty());
    assert_eq!(little, everything);
}

/// At its own pace a reader is told the newest of each key in the end, whatever it was spared on the way.
fn rates(seed: u64) {
    let mut pair = Pair::new(seed, slow());
    pair.publish_many(120);
    let hz = 1 + pair.random.below(50);
    let wish = json!({
        "type": "subscribe", "id": "s", "topics": ["**"], "since": "earliest",
        "max_rate": {"per": "key", "hz": hz},
    });
    let mut readers = pair.subscribe([wish.clone(), wish]);
    pair.publish_many(20);
    let mut newest = Vec::new();
    for (side, reader) in pair.sides.iter_mut().zip(&mut readers) {
        // The last ones are told when their second is over.
        for _ in 0..12 {
            side.rest(100);
            side.world.tick();
            reader.client.read(&mut side.world, usize::MAX);
        }
        newest.push(newest_of_keys(&reader.client));
    }
    assert!(newest[0].len() > 3);
    assert_eq!(newest[0], newest[1], "{hz} a second");
}

fn newest_of_keys(client: &Client) -> BTreeMap<(String, String), String> {
    let mut newest = BTreeMap::new();
    for told in &client.told {
        if let Told::Event(event) = told
            && !event.key.is_empty()
        {
            let text = format!("{} {} {}", event.offset, event.op, event.payload);
            newest.insert((event.topic.clone(), event.key.clone()), text);
        }
    }
    newest
}

#[test]
fn an_event_stream_that_breaks_off_anywhere_is_told_each_event_once() {
    seeds::hold(1..61, cursors);
}

#[test]
fn a_snapshot_from_behind_memory_is_the_one_from_memory() {
    seeds::hold(1..61, snapshots);
}

#[test]
fn a_reader_at_its_own_pace_ends_with_the_newest_of_each_key() {
    seeds::hold(1..61, rates);
}
