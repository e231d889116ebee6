//! The core under a seeded simulation: many shards, clients fast, slow and vanishing, virtual time. A failure prints its seed.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use fanwire::event::TopicPattern;
use fanwire::history::Retention;
use fanwire::limits::UNITS_SEND;
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

const TOPICS: [&str; 4] = ["fleet/a", "fleet/b", "fleet/c", "other"];
/// The topic that is durable, if there is a store.
const DURABLE: &str = "fleet/c";
const KEYS: [&str; 5] = ["", "k1", "k2", "k3", "k4"];

/// One subscriber through all of its connections: what it asked for, and what it has been told so far of each topic.
struct Subscriber {
    client: Client,
    /// What it calls its subscription.
    id: String,
    pattern: &'static str,
    slow: &'static str,
    deflate: bool,
    /// Bytes that it reads at a time.
    pace: usize,
    checked: usize,
    /// The newest offset accounted for of each topic: seen, or announced as a gap.
    position: BTreeMap<String, u64>,
    live_us: Option<u64>,
    is_live: bool,
    /// How many events had been said when it was first seen to be live: it hears of all that came after.
    live_said: Option<u64>,
    /// `latest_per_key`: events passed over so far, by what is missing and by what was announced.
    missing: u64,
    skipped: u64,
}

impl Subscriber {
    fn wants(&self, topic: &str) -> bool {
        match self.pattern {
            "**" => true,
            "fleet/*" => topic.starts_with("fleet/"),
            exact => exact == topic,
        }
    }

    fn subscribe(&self, world: &mut World, random: &mut Random) {
        let mut message = json!({"type": "subscribe", "id": self.id, "topics": [self.pattern], "slow": self.slow});
        if let Some(time_us) = self.live_us {
            message["since"] = json!({"epoch": "e1", "offsets": self.position, "time_us": time_us});
        }
        if random.one_in(3) {
            message["batch"] =
                json!({"max_events": 2 + random.below(10), "max_delay_ms": 1 + random.below(200)});
        }
        self.client.say(world, &message);
    }

    /// Notes that it is live, if it has been told so by now, when so many events have been said.
    fn note_live(&mut self, said: u64) {
        let is_live = |told: &Told| matches!(told, Told::Live { .. });
        if self.live_said.is_none() && self.client.told[self.checked..].iter().any(is_live) {
            self.live_said = Some(said);
        }
    }

    /// Whether something of this topic was said after it was seen to be live.
    fn misses(&self, topic: &str, log: &[String]) -> bool {
        let number = |payload: &String| {
            let payload: Value = serde_json::from_str(payload).unwrap();
            payload["n"].as_u64().unwrap()
        };
        let newest = log.iter().map(number).max();
        self.wants(topic) && newest > self.live_said
    }

    /// Checks what was told since the last time.
    fn check(&mut self, published: &BTreeMap<String, Vec<String>>) {
        for told in &self.client.told[self.checked..] {
            match told {
                Told::Event(event) => {
                    assert!(self.wants(&event.topic), "{} was not asked for", event.topic);
                    assert_eq!(event.subs, [json!(self.id).to_string()]);
                    let text = &published[&event.topic][usize::try_from(event.offset).unwrap() - 1];
                    assert_eq!(&event.payload, text, "the payload is as it was published");
                    if let Some(position) = self.position.get(&event.topic) {
                        assert!(
                            event.offset > *position,
                            "{} {} comes after {position}",
                            event.topic,
                            event.offset
                        );
                        let missing = event.offset - position - 1;
                        assert!(
                            missing == 0 || self.slow == "latest_per_key",
                            "{} {} after {position}: a gap in silence",
                            event.topic,
                            event.offset
                        );
                        self.missing += missing;
                    }
                    self.position.insert(event.topic.clone(), event.offset);
                }
                Told::Gap { topic, from, to, reason, .. } => {
                    assert!(
                        reason == "evicted" || (reason == "slow" && self.slow == "drop_oldest"),
                        "{reason} for {}",
                        self.slow
                    );
                    if let Some(position) = self.position.get(topic) {
                        assert!(
                            *from <= position + 1 && to > position,
                            "gap {from}..{to} of {topic} after {position}"
                        );
                        assert!(
                            *from == position + 1 || reason == "evicted",
                            "a gap begins where the last event ended"
                        );
                    }
                    self.position.insert(topic.clone(), *to);
                }
                Told::Skipped { count, .. } => {
                    assert_eq!(self.slow, "latest_per_key");
                    self.skipped += count;
                }
                Told::Live { offsets, time_us, .. } => {
                    self.is_live = true;
                    self.live_us.get_or_insert(*time_us);
                    for (topic, offset) in offsets {
                        let position = self.position.entry(topic.clone()).or_insert(*offset);
                        // What was passed over before `live` is followed by its newer event after it.
                        let is_told = *position >= *offset || self.slow == "latest_per_key";
                        assert!(
                            is_told,
                            "{topic}: live from {offset}, told up to {position} ({})",
                            self.slow
                        );
                    }
                }
                Told::Other(message) => assert_ne!(message["type"], "error", "{message}"),
                Told::Close(code) => assert!(matches!(code, Some(4008)), "closed with {code:?}"),
            }
        }
        self.checked = self.client.told.len();
    }
}

/// A store that takes its time, and refuses some of what it is to keep.
fn slow_store(random: &mut Random) -> Store {
    let ways = Ways {
        store_ms: random.below(40),
        sync_ms: random.below(40),
        page_ms: random.below(200),
        refuses_one_in: *random.pick(&[0, 5, 20]),
        page_events_max: *random.pick(&[0, 7]),
        ..Ways::default()
    };
    let mut luck = Random::new(random.below(1 << 30) as u64);
    Store::new(Rc::default(), ways, move |bound| luck.below(bound))
}

struct Simulation {
    world: World,
    random: Random,
    subscribers: Vec<Subscriber>,
    publishers: Vec<Client>,
    published: BTreeMap<String, Vec<String>>,
    acked: Vec<usize>,
    said: u64,
    /// Payloads said by each publisher and not yet acknowledged, oldest first.
    unacked: Vec<Vec<(String, String)>>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let retention = Retention { topic_events_max: 20 + random.below(500), ..roomy().retention };
        let outbox_bytes_max = 1_000 + random.below(20_000);
        let shard_count = 1 + random.below(4);
        let parties = u16::try_from(shard_count).unwrap();
        let has_store = random.one_in(3);
        let durable = has_store.then(|| Durable {
            store: PartyId(parties),
            topics: Arc::new([TopicPattern::new(DURABLE).unwrap()]),
        });
        let settings = Settings { retention, outbox_bytes_max, durable, ..roomy() };
        let mut world = World::new(parties, &settings);
        if has_store {
            let store = slow_store(&mut random);
            world.join_store(store, usize::MAX);
        }
        // A turn may end after a few sends, in the middle of a class's members.
        let units = random.below(30) as u64 * UNITS_SEND;
        world.shards.iter_mut().for_each(|shard| shard.set_units(units));
        let publishers: Vec<Client> = (0..2)
            .map(|index| Client::connect(&mut world, index % shard_count, 1 << 20, false))
            .collect();
        Self {
            world,
            random,
            subscribers: Vec::new(),
            publishers,
            published: BTreeMap::new(),
            acked: vec![0; 2],
            said: 0,
            unacked: vec![Vec::new(); 2],
        }
    }

    fn connect(&mut self) {
        let random = &mut self.random;
        let shard = random.below(self.world.shards.len());
        let deflate = random.one_in(2);
        let capacity = if random.one_in(3) { 300 + random.below(3000) } else { 1 << 20 };
        let number = self.subscribers.len();
        let subscriber = Subscriber {
            id: if random.one_in(2) { "s".to_owned() } else { format!("s{}", number % 4) },
            client: Client::connect(&mut self.world, shard, capacity, deflate),
            pattern: random.pick::<&str>(&["**", "fleet/*", "fleet/a", "other"]),
            slow: random.pick::<&str>(&["disconnect", "drop_oldest", "latest_per_key"]),
            deflate,
            pace: if random.one_in(3) { 200 } else { 1 << 20 },
            checked: 0,
            position: BTreeMap::new(),
            live_us: None,
            is_live: false,
            live_said: None,
            missing: 0,
            skipped: 0,
        };
        subscriber.subscribe(&mut self.world, random);
        self.subscribers.push(subscriber);
    }

    fn publish(&mut self) {
        let index = self.random.below(self.publishers.len());
        if !self.world.wants_input(self.publishers[index].wire) {
            return;
        }
        let mut bytes = Vec::new();
        for _ in 0..1 + self.random.below(8) {
            self.said += 1;
            let topic = *self.random.pick(&TOPICS);
            let key = *self.random.pick(&KEYS);
            let padding = "x".repeat(self.random.below(400));
            let payload = json!({"n": self.said, "padding": padding}).to_string();
            let message = format!(
                r#"{{"type":"publish","id":{},"topic":"{topic}","key":"{key}","op":"event","payload":{payload}}}"#,
                self.said
            );
            bytes.extend(crate::support::frames::text(&message));
            self.unacked[index].push((topic.to_owned(), payload));
        }
        self.world.say(self.publishers[index].wire, &bytes);
    }

    /// Acknowledgements tell which event got which offset: that is the truth that subscribers are held to.
    fn take_acks(&mut self) {
        for (index, publisher) in self.publishers.iter_mut().enumerate() {
            publisher.read(&mut self.world, usize::MAX);
            for told in &publisher.told[self.acked[index]..] {
                let Told::Other(message) = told else { continue };
                match message["type"].as_str() {
                    Some("published") => {
                        let (topic, payload) = self.unacked[index].remove(0);
                        assert_eq!(
                            message["topic"],
                            Value::from(topic.clone()),
                            "acknowledged in order"
                        );
                        let offset = usize::try_from(message["offset"].as_u64().unwrap()).unwrap();
                        let log = self.published.entry(topic).or_default();
                        if log.len() < offset {
                            log.resize(offset, String::new());
                        }
                        assert!(log[offset - 1].is_empty(), "an offset is given once");
                        log[offset - 1] = payload;
                    }
                    Some("error") => {
                        assert_eq!(message["code"], "full", "{message}");
                        self.unacked[index].remove(0);
                    }
                    _ => {}
                }
            }
            self.acked[index] = publisher.told.len();
        }
    }

    fn reconnect(&mut self, index: usize) {
        let shard = self.random.below(self.world.shards.len());
        let subscriber = &mut self.subscribers[index];
        self.world.vanish(subscriber.client.wire);
        if subscriber.slow == "latest_per_key" {
            // What was skipped and not yet announced when the connection went is no longer announced.
            subscriber.missing = 0;
            subscriber.skipped = 0;
        }
        subscriber.client = Client::connect(&mut self.world, shard, 1 << 20, subscriber.deflate);
        subscriber.checked = 0;
        subscriber.is_live = false;
        if subscriber.live_us.is_none() {
            // It never learned where the present began, so it begins anew.
            subscriber.position.clear();
        }
        subscriber.subscribe(&mut self.world, &mut self.random);
    }

    fn step(&mut self) {
        let shards = self.world.shards.len();
        match self.random.below(100) {
            0..3 if self.subscribers.len() < 12 => self.connect(),
            0..25 => self.publish(),
            25..50 => {
                let shard = self.random.below(shards);
                self.world.work(shard);
            }
            50..75 => {
                let (from, to, count) = (
                    self.random.below(shards),
                    self.random.below(shards),
                    1 + self.random.below(20),
                );
                self.world.deliver(from, to, count);
                if self.random.one_in(4) {
                    self.world.deliver_parties();
                }
            }
            75..95 if !self.subscribers.is_empty() => {
                let index = self.random.below(self.subscribers.len());
                let subscriber = &mut self.subscribers[index];
                subscriber.client.read(&mut self.world, subscriber.pace);
                subscriber.note_live(self.said);
            }
            95..96 if !self.subscribers.is_empty() => {
                let index = self.random.below(self.subscribers.len());
                self.checkpoint();
                self.reconnect(index);
            }
            _ => {
                let ms = self.random.below(60) as u64;
                self.world.advance(ms);
                if self.random.one_in(3) {
                    self.world.tick();
                }
            }
        }
    }

    /// Everything said so far is checked against what was published. Events that subscribers saw are acknowledged by then or soon.
    fn checkpoint(&mut self) {
        self.world.settle();
        self.take_acks();
        // A store tells who listens before it has synced, and who publishes after.
        for _ in 0..100 {
            if self.unacked.iter().all(Vec::is_empty) {
                break;
            }
            self.world.advance(10);
            self.world.settle();
            self.take_acks();
        }
        for subscriber in &mut self.subscribers {
            subscriber.note_live(self.said);
            subscriber.check(&self.published);
        }
    }

    /// Everyone reads everything; who was closed comes back; then all are complete.
    fn finish(&mut self) {
        for round in 0.. {
            assert!(round < 2000, "the world does not come to rest");
            self.world.advance(250);
            self.world.tick();
            self.world.settle();
            let mut is_quiet = true;
            for index in 0..self.subscribers.len() {
                is_quiet &= self.subscribers[index].client.read(&mut self.world, usize::MAX) == 0;
            }
            self.checkpoint();
            for index in 0..self.subscribers.len() {
                let client = &self.subscribers[index].client;
                if !self.world.is_open(client.wire)
                    || matches!(client.told.last(), Some(Told::Close(_)))
                {
                    self.reconnect(index);
                    is_quiet = false;
                }
            }
            if is_quiet
                && self.subscribers.iter().all(|subscriber| subscriber.is_live)
                && round > 10
            {
                return;
            }
        }
    }

    fn check_complete(&self) {
        for subscriber in &self.subscribers {
            for (topic, log) in &self.published {
                let who = format!("{topic} of {} ({})", subscriber.pattern, subscriber.slow);
                match subscriber.position.get(topic) {
                    Some(reached) => assert_eq!(*reached, log.len() as u64, "{who}"),
                    // Of a topic of its pattern it knows nothing only if nothing was said of it since it was live.
                    None => assert!(!subscriber.misses(topic, log), "{who}: it was told nothing"),
                }
            }
            // Of a pattern's topics it is not known where they began, so what was passed over before their first event is not missed.
            let is_pattern = subscriber.pattern.contains('*');
            let is_announced = subscriber.missing == subscriber.skipped
                || (is_pattern && subscriber.missing < subscriber.skipped);
            assert!(
                is_announced,
                "{} events of {} are missing, {} announced",
                subscriber.missing, subscriber.pattern, subscriber.skipped
            );
        }
    }
}

fn run(seed: u64) {
    let mut simulation = Simulation::new(seed);
    for _ in 0..600 {
        simulation.step();
    }
    simulation.finish();
    simulation.check_complete();
}

#[test]
fn no_seed_breaks_a_promise() {
    seeds::hold(1..2001, run);
}
