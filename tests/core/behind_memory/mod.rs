//! The past behind memory: a home that remembers little, with a store behind it, tells every reader what a home tells that has forgotten nothing.
//!
//! Two servers are told the same and asked the same, in virtual time. The store is slow, answers pages out of order and short ones; where it fails, exactly what it did not tell is a gap.

mod faults;
mod ways;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use fanwire::event::TopicPattern;
use fanwire::history::Retention;
use fanwire::shard::Durable;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;

use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::world::World;
use crate::support::world::roomy;
use crate::support::world::store::Store;
use crate::support::world::store::Ways;

const TOPICS: [&str; 5] = ["fleet/a", "fleet/b", "fleet/c", "other", "x/y/z"];
const KEYS: [&str; 6] = ["", "k1", "k2", "k3", "k4", "k5"];
const EPOCH: &str = "d1_e1";

/// Settings of a server whose topics are durable and that remembers little of them.
fn forgetful(random: &mut Random, shard_count: usize) -> Settings {
    let topics = [TopicPattern::new("**").unwrap()];
    let store = PartyId(u16::try_from(shard_count).unwrap());
    let retention = Retention {
        // Enough for what the store may not have looked at when it answers.
        bytes_max: 2 * (2_500 + random.below(20_000)),
        last_bytes_max: 2 * (500 + random.below(8_000)),
        ..roomy().retention
    };
    Settings { retention, durable: Some(Durable { store, topics: Arc::new(topics) }), ..roomy() }
}

/// A server, and who publishes to it.
struct Side {
    world: World,
    publisher: Client,
    epoch: &'static str,
}

impl Side {
    fn new(mut world: World, epoch: &'static str) -> Self {
        let publisher = Client::connect(&mut world, 0, 64 << 20, false);
        Self { world, publisher, epoch }
    }

    /// Everything that is on its way arrives, also what the store takes its time for.
    fn rest(&mut self, ms: u64) {
        for _ in 0..ms {
            self.world.settle();
            self.world.advance(1);
        }
        self.world.settle();
        self.publisher.read(&mut self.world, usize::MAX);
    }
}

/// One reader on one of the servers.
struct Reader {
    client: Client,
}

/// What a reader was told, so that two can be compared: of each topic its events and gaps in order, and where it went live.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    topics: BTreeMap<String, Vec<String>>,
    live: Option<(BTreeMap<String, u64>, usize)>,
}

impl Heard {
    /// Whom a filter is forced on is told that a key has left its sight only if the event before is still held where that event is read: one that remembers little may not have it.
    fn forget_what_left(&mut self) {
        for lines in self.topics.values_mut() {
            lines.retain(|line| !line.contains(" leave "));
        }
        self.topics.retain(|_, lines| !lines.is_empty());
        if let Some((_, count)) = &mut self.live {
            *count = self.topics.values().map(Vec::len).sum();
        }
    }
}

fn heard(told: &[Told]) -> Heard {
    let mut heard = Heard::default();
    for told in told {
        match told {
            Told::Event(event) => {
                let text = format!("{} {} {} {}", event.offset, event.op, event.key, event.payload);
                heard.topics.entry(event.topic.clone()).or_default().push(text);
            }
            Told::Gap { topic, from, to, reason, .. } => {
                let text = format!("gap {from}..{to} {reason}");
                heard.topics.entry(topic.clone()).or_default().push(text);
            }
            Told::Live { offsets, .. } => {
                let count = heard.topics.values().map(Vec::len).sum();
                assert!(heard.live.is_none(), "live once");
                heard.live = Some((offsets.clone(), count));
            }
            Told::Other(message) => assert_ne!(message["type"], "error", "{message}"),
            Told::Skipped { .. } | Told::Close(_) => panic!("{told:?}"),
        }
    }
    heard
}

/// The first thing in which two readers were told something else.
fn difference(one: &Heard, other: &Heard) -> Option<String> {
    if one.live != other.live {
        return Some(format!("live {:?} and {:?}", one.live, other.live));
    }
    let names: Vec<_> = one.topics.keys().chain(other.topics.keys()).collect();
    names.into_iter().find_map(|name| {
        let empty = Vec::new();
        let of = |heard: &Heard| {
            let lines = heard.topics.get(name).unwrap_or(&empty).iter();
            lines.map(|line| line.replace("xxxxxxxxxx", "")).collect::<Vec<_>>()
        };
        let (one, other) = (of(one), of(other));
        let at = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))?;
        let counts = (one.len(), other.len());
        Some(format!("{name}, line {at} of {counts:?}: {:?} and {:?}", one.get(at), other.get(at)))
    })
}

/// Where a reader may have stood: offsets of topics, and a moment.
#[derive(Clone, Debug)]
struct Place {
    offsets: BTreeMap<String, u64>,
    time_us: u64,
}

struct Pair {
    random: Random,
    is_confined: bool,
    sides: [Side; 2],
    shard_count: usize,
    said: u64,
    offsets: BTreeMap<String, u64>,
    places: Vec<Place>,
}

impl Pair {
    fn new(seed: u64, ways: Ways) -> Self {
        Self::of(Random::new(seed), seed, (ways, false))
    }

    /// On some pairs a filter is forced on everybody.
    fn perhaps_confined(seed: u64, ways: Ways) -> Self {
        let mut random = Random::new(seed);
        let is_confined = random.one_in(3);
        Self::of(random, seed, (ways, is_confined))
    }

    fn of(mut random: Random, seed: u64, (ways, is_confined): (Ways, bool)) -> Self {
        let shard_count = 1 + random.below(3);
        let count = u16::try_from(shard_count).unwrap();
        let confine = |settings| if is_confined { ways::confined(settings) } else { settings };
        let mut little =
            World::of_epoch(EPOCH, count, &confine(forgetful(&mut random, shard_count)));
        let mut luck = Random::new(seed);
        let store = Store::new(Rc::default(), ways, move |bound| luck.below(bound));
        little.join_store(store, 0);
        let everything = World::new(count, &confine(roomy()));
        let sides = [Side::new(little, EPOCH), Side::new(everything, "e1")];
        Self {
            random,
            is_confined,
            sides,
            shard_count,
            said: 0,
            offsets: BTreeMap::new(),
            places: Vec::new(),
        }
    }

    fn publish(&mut self) {
        self.said += 1;
        let topic = *self.random.pick(&TOPICS);
        let key = *self.random.pick(&KEYS);
        let op = *self.random.pick(&["upsert", "upsert", "upsert", "event", "delete"]);
        let op = if key.is_empty() { "event" } else { op };
        let padding = "x".repeat(self.random.below(300));
        let payload = json!({"n": self.said % 7, "said": self.said, "padding": padding});
        let message =
            json!({"type": "publish", "topic": topic, "key": key, "op": op, "payload": payload});
        *self.offsets.entry(topic.to_owned()).or_default() += 1;
        for side in &mut self.sides {
            side.publisher.say(&mut side.world, &message);
        }
    }

    fn publish_many(&mut self, count: usize) {
        for _ in 0..count {
            self.publish();
            if self.random.one_in(3) {
                let ms = self.random.below(4) as u64;
                self.sides.iter_mut().for_each(|side| side.rest(ms));
                if self.random.one_in(4) {
                    self.sides.iter_mut().for_each(|side| side.rest(30));
                    let time_us = self.sides[0].world.now.wall_us;
                    self.places.push(Place { offsets: self.offsets.clone(), time_us });
                    // What comes next is stamped later on both.
                    self.sides.iter_mut().for_each(|side| side.rest(1));
                }
            }
        }
        self.sides.iter_mut().for_each(|side| side.rest(30));
    }

    /// A wish, as each server is to be told it.
    fn wish(&mut self, since: &Since) -> [Value; 2] {
        let topics: &[&str] = self.random.pick::<&[&str]>(&[
            &["**"],
            &["fleet/*"],
            &["fleet/a"],
            &["fleet/b", "other", "never"],
            &["fleet/*", "x/y/z"],
        ]);
        let mut wish = json!({"type": "subscribe", "id": "s", "topics": topics});
        if self.random.one_in(2) {
            wish["filter"] = json!("n < 4");
            if self.random.one_in(2) {
                wish["leave"] = json!(true);
            }
        }
        if self.random.one_in(3) {
            wish["fields"] = json!(["n", "said"]);
        }
        if self.random.one_in(3) {
            wish["batch"] = json!({"max_events": 2 + self.random.below(10), "max_delay_ms": 50});
        }
        self.sides.each_ref().map(|side| {
            let mut wish = wish.clone();
            wish["since"] = since.said_to(side.epoch);
            wish
        })
    }

    fn subscribe(&mut self, wish: [Value; 2]) -> [Reader; 2] {
        let shard = self.random.below(self.shard_count);
        let mut wishes = wish.into_iter();
        self.sides.each_mut().map(|side| {
            let client = Client::connect(&mut side.world, shard, 1 << 20, false);
            client.say(&mut side.world, &wishes.next().unwrap());
            Reader { client }
        })
    }

    /// Both servers tell both readers all there is.
    fn tell(&mut self, readers: &mut [Reader; 2]) {
        for (side, reader) in self.sides.iter_mut().zip(readers) {
            let mut quiet_rounds = 0;
            while quiet_rounds < 60 {
                side.rest(1);
                let count = reader.client.read(&mut side.world, usize::MAX);
                quiet_rounds = if count == 0 { quiet_rounds + 1 } else { 0 };
            }
        }
    }
}

/// Where a reader begins, in words that do not name an epoch.
#[derive(Clone, Debug)]
enum Since {
    Said(Value),
    At(Place, bool),
    OtherEpoch(Place),
}

impl Since {
    fn said_to(&self, epoch: &str) -> Value {
        match self {
            Self::Said(value) => value.clone(),
            Self::At(place, true) => {
                json!({"epoch": epoch, "offsets": place.offsets, "time_us": place.time_us})
            }
            Self::At(place, false) => json!({"epoch": epoch, "offsets": place.offsets}),
            Self::OtherEpoch(place) => json!({"epoch": "d0_e0", "offsets": place.offsets}),
        }
    }

    fn any(pair: &mut Pair) -> Self {
        let place = pair.random.pick(&pair.places).clone();
        match pair.random.below(8) {
            0 => Self::Said(json!("earliest")),
            1 => Self::Said(json!(place.time_us)),
            2 | 3 => Self::At(place, true),
            4 => Self::At(place, false),
            5 => Self::OtherEpoch(place),
            6 => Self::Said(json!("last")),
            // A position that was reached beyond all there is: of another numbering.
            _ => Self::At(
                Place {
                    offsets: place
                        .offsets
                        .into_iter()
                        .map(|(name, at)| (name, at + 1000))
                        .collect(),
                    ..place
                },
                true,
            ),
        }
    }
}

fn slow() -> Ways {
    Ways { store_ms: 3, sync_ms: 3, page_ms: 9, page_events_max: 12, lags: 2, ..Ways::default() }
}

/// At rest, every reader is told the same.
fn at_rest(seed: u64) {
    let mut pair = Pair::perhaps_confined(seed, slow());
    pair.publish_many(150);
    pair.places.push(Place { offsets: BTreeMap::new(), time_us: 1 });
    for _ in 0..6 {
        let since = Since::any(&mut pair);
        let wish = pair.wish(&since);
        let what = wish[0].to_string();
        let mut readers = pair.subscribe(wish);
        pair.tell(&mut readers);
        let [mut little, mut everything] = readers.map(|reader| heard(&reader.client.told));
        assert!(little.live.is_some(), "{what}: it goes live");
        if pair.is_confined {
            little.forget_what_left();
            everything.forget_what_left();
        }
        let differ = difference(&little, &everything);
        assert!(differ.is_none(), "{what}: {}", differ.unwrap_or_default());
    }
    let asked = pair.sides[0].world.store.as_ref().unwrap().page_count;
    assert!(asked > 0, "the store was asked");
}

/// While events go on being published, every reader is told the same in the end, whatever it began with.
fn while_it_goes_on(seed: u64) {
    let mut pair = Pair::new(seed, slow());
    pair.publish_many(80);
    pair.places.push(Place { offsets: BTreeMap::new(), time_us: 1 });
    let mut readers = Vec::new();
    for _ in 0..6 {
        let place = pair.random.pick(&pair.places).clone();
        let since = match pair.random.below(3) {
            0 => Since::Said(json!("earliest")),
            1 => Since::Said(json!(place.time_us)),
            _ => Since::At(place, true),
        };
        // What leaves depends on where the past ends, and that is another place on each.
        let wish = pair.wish(&since).map(|mut wish| {
            wish.as_object_mut().unwrap().remove("leave");
            wish
        });
        let what = wish[0].to_string();
        readers.push((what, pair.subscribe(wish)));
        pair.publish_many(15);
    }
    for (what, mut readers) in readers {
        pair.tell(&mut readers);
        let [little, everything] = readers.map(|reader| heard(&reader.client.told));
        let of_topics = |heard: Heard| Heard { live: None, ..heard };
        let differ = difference(&of_topics(little), &of_topics(everything));
        assert!(differ.is_none(), "{what}: {}", differ.unwrap_or_default());
    }
}

#[test]
fn a_reader_of_a_running_server_is_told_the_same_to_the_end() {
    seeds::hold(1..101, while_it_goes_on);
}

#[test]
fn a_store_that_fails_costs_its_readers_an_exact_gap_and_nobody_else() {
    seeds::hold(1..101, faults::with_faults);
}

#[test]
fn a_reader_is_told_what_memory_without_bounds_would_tell() {
    seeds::hold(1..201, at_rest);
}
