//! Any playback: random histories, speeds, pauses, places and readers, in memory and behind it, and what must hold whatever happens.

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

use crate::stage::Reader;
use crate::stage::Stage;
use crate::support::client::Told;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::world::World;
use crate::support::world::roomy;
use crate::support::world::store::Store;
use crate::support::world::store::Ways;

const TOPICS: [&str; 4] = ["a", "b", "c/d", "c/e"];

#[test]
fn whatever_is_played_is_told_in_order_each_once_and_not_before_its_time() {
    seeds::hold(0..40, |seed| run(seed, false));
}

#[test]
fn the_same_of_what_only_a_store_has() {
    seeds::hold(0..25, |seed| run(seed, true));
}

/// Where a reader began, and since when.
#[derive(Debug)]
struct Leg {
    /// The first event that may be told of each topic.
    from: BTreeMap<String, u64>,
    begin_ms: u64,
    /// The fastest that it was told at; `None`: as fast as can be.
    speed: Option<f64>,
    /// How much of what it was told it was told before.
    told: usize,
}

struct Case {
    random: Random,
    stage: Stage,
    /// Of each event by topic: when it was ordered, in milliseconds since the stage began.
    said: BTreeMap<String, Vec<u64>>,
    count: u64,
}

impl Case {
    fn new(seed: u64, is_stored: bool) -> Self {
        let mut random = Random::new(seed);
        let shards = 1 + random.below(3);
        let shard_count = u16::try_from(shards).unwrap();
        let stage = if is_stored {
            let ways = Ways {
                store_ms: 3,
                sync_ms: 3,
                page_ms: 20,
                page_events_max: 1 + random.below(40),
                ..Ways::default()
            };
            let topics = [TopicPattern::new("**").unwrap()];
            let bytes_max = 2 * (2_500 + random.below(5_000));
            let retention = Retention { bytes_max, ..roomy().retention };
            let durable = Durable { store: PartyId(shard_count), topics: Arc::new(topics) };
            let settings = Settings { retention, durable: Some(durable), ..roomy() };
            let mut world = World::of_epoch("d1_e1", shard_count, &settings);
            let mut luck = Random::new(seed);
            world.join_store(Store::new(Rc::default(), ways, move |bound| luck.below(bound)), 0);
            Stage::in_world(world)
        } else {
            Stage::new(shard_count)
        };
        Self { random, stage, said: BTreeMap::new(), count: 0 }
    }

    /// Something happens, now and then much, now and then nothing for long.
    fn happen(&mut self, events: usize, readers: &mut [&mut Reader]) {
        for _ in 0..events {
            let topic = *self.random.pick(&TOPICS);
            let now_ms = self.stage.ms();
            self.said.entry(topic.to_owned()).or_default().push(now_ms);
            let padding = "x".repeat(self.random.below(200));
            self.stage.publish(topic, "k", &json!({"n": self.count, "padding": padding}));
            self.count += 1;
            let ms = *self.random.pick(&[0, 1, 7, 40, 300]);
            self.stage.pass(ms, readers);
        }
        // What a store is to keep has been kept.
        self.stage.pass(50, readers);
    }

    /// A place in time: what to say, and from which event on each topic is told then.
    fn place(&mut self) -> (Value, BTreeMap<String, u64>) {
        if self.random.one_in(3) {
            return (json!("earliest"), BTreeMap::new());
        }
        let ms = self.random.next() % (self.stage.ms() + 1);
        let from = |times: &Vec<u64>| times.partition_point(|at_ms| *at_ms < ms) as u64 + 1;
        let from = self.said.iter().map(|(topic, times)| (topic.clone(), from(times))).collect();
        (json!(self.stage.at_us(ms)), from)
    }

    fn speed(&mut self) -> f64 {
        *self.random.pick(&[0.5, 1.0, 3.0, 25.0, 400.0, 10_000.0])
    }

    /// Moves a reader, or changes its pace; the leg that begins then.
    fn meddle(&mut self, reader: &mut Reader, leg: &mut Leg) {
        match self.random.below(4) {
            0 => {
                let (since, from) = self.place();
                let speed = self.speed();
                let told = reader.told.len();
                self.stage.say(reader, "update", &json!({"since": since, "speed": speed}));
                check(&reader.told[leg.told..told], leg, &self.said);
                let begin_ms = self.stage.ms();
                *leg = Leg { from, begin_ms, speed: Some(speed), told };
            }
            1 if reader.live_ms().is_empty() => {
                let speed = self.speed();
                self.stage.say(reader, "update", &json!({ "speed": speed }));
                leg.speed = leg.speed.map(|before| before.max(speed));
            }
            2 if reader.live_ms().is_empty() => {
                self.stage.say(reader, "update", &json!({"speed": 0}));
                let ms = *self.random.pick(&[0, 5, 1_000]);
                self.stage.pass(ms, &mut [&mut *reader]);
                let speed = self.speed();
                self.stage.say(reader, "update", &json!({ "speed": speed }));
                leg.speed = leg.speed.map(|before| before.max(speed));
            }
            _ => {}
        }
        let (events, ms) = (self.random.below(5), self.random.below(2_000) as u64);
        self.happen(events, &mut [&mut *reader]);
        self.stage.pass(ms, &mut [reader]);
    }
}

/// Whether what was told of one place is right: of each topic everything from there on, in order, each once, none before its time.
fn check(
    told: &[(u64, Told)],
    leg: &Leg,
    said: &BTreeMap<String, Vec<u64>>,
) -> BTreeMap<String, u64> {
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let mut first_ms = None;
    let mut is_live = false;
    for (ms, told) in told {
        match told {
            Told::Event(event) => {
                let from = leg.from.get(&event.topic).copied().unwrap_or(1);
                let expected = next.entry(event.topic.clone()).or_insert(from);
                assert_eq!(event.offset, *expected, "{} at {ms}: {leg:?}", event.topic);
                *expected += 1;
                let at_ms = said[&event.topic][usize::try_from(event.offset).unwrap() - 1];
                let first_ms = *first_ms.get_or_insert(at_ms);
                // What has only just happened is no past: where nothing else is left it is told at once.
                let is_past = at_ms + 250 < *ms;
                if let (Some(speed), false, true) = (leg.speed, is_live, is_past) {
                    let passed_ms = (ms - leg.begin_ms + 101) as f64 * speed + 1.0;
                    let ahead_ms = at_ms.saturating_sub(first_ms);
                    assert!(
                        ahead_ms as f64 <= passed_ms,
                        "{event:?} of {at_ms} is told at {ms}: {leg:?}"
                    );
                }
            }
            Told::Live { .. } => is_live = true,
            Told::Other(message) => assert_ne!(message["type"], "error", "{message}"),
            told => panic!("{told:?}"),
        }
    }
    next
}

fn run(seed: u64, is_stored: bool) {
    let mut case = Case::new(seed, is_stored);
    let events = 20 + case.random.below(150);
    case.happen(events, &mut []);
    let (since, from) = case.place();
    let speed = case.speed();
    let patterns: &[&str] = &["**"];
    let mut reader = case.stage.connect(case.random.clone().below(case.stage.world.shards.len()));
    if case.random.one_in(3) {
        // A socket that takes little at a time.
        let capacity = 1_500 + case.random.below(6_000);
        case.stage.world.sockets.get_mut(&reader.client.wire).unwrap().capacity = capacity;
        case.stage.look_ms = Some(1 + case.random.next() % 9);
    }
    let begin_ms = case.stage.ms();
    let wish = json!({"topics": patterns, "since": since, "speed": speed});
    case.stage.say(&mut reader, "subscribe", &wish);
    let mut leg = Leg { from, begin_ms, speed: Some(speed), told: 0 };
    for _ in 0..case.random.below(12) {
        case.meddle(&mut reader, &mut leg);
    }
    // In the end it is told the rest, and then what happens.
    if reader.live_ms().last().is_none_or(|_| !is_live(&reader)) {
        case.stage.say(&mut reader, "update", &json!({"speed": 10_000}));
        leg.speed = None;
    }
    case.stage.pass(3_000, &mut [&mut reader]);
    assert!(is_live(&reader), "it meets the present: {leg:?}");
    case.happen(10, &mut [&mut reader]);
    case.stage.pass(100, &mut [&mut reader]);
    let next = check(&reader.told[leg.told..], &leg, &case.said);
    for (topic, times) in &case.said {
        let from = leg.from.get(topic).copied().unwrap_or(1);
        let expected = times.len() as u64 + 1;
        assert_eq!(next.get(topic).copied().unwrap_or(from), expected, "all of {topic}: {leg:?}");
    }
}

/// Whether it was told that it is live since it was moved last.
fn is_live(reader: &Reader) -> bool {
    let is =
        |told: &Told, kind: &str| matches!(told, Told::Other(message) if message["type"] == kind);
    let live = reader.told.iter().rposition(|(_, told)| matches!(told, Told::Live { .. }));
    let moved = reader.told.iter().rposition(|(_, told)| is(told, "updated"));
    live.is_some_and(|live| moved.is_none_or(|moved| live > moved))
}
