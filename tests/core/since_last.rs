//! `since: last` told over several pages while keys change, are deleted and are let go: a subscriber ends with what there is.

use std::collections::BTreeMap;

use serde_json::json;

use fanwire::history::Retention;
use fanwire::shard::Settings;

use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::random::Random;
use crate::support::world::World;
use crate::support::world::roomy;

/// More than two pages of them.
const KEYS: usize = 2500;

struct Fleet {
    world: World,
    publisher: Client,
    /// What there is of each key, by the offset of its last event.
    state: BTreeMap<String, u64>,
    published: u64,
}

impl Fleet {
    fn new(retention: Retention) -> Self {
        let mut world = World::new(2, &Settings { retention, ..roomy() });
        let publisher = Client::connect(&mut world, 0, 64 << 20, false);
        let mut fleet = Self { world, publisher, state: BTreeMap::new(), published: 0 };
        (0..KEYS).for_each(|key| fleet.publish(key, "upsert"));
        fleet
    }

    fn publish(&mut self, key: usize, op: &str) {
        let key = format!("k{key:05}");
        self.published += 1;
        match op {
            "delete" => self.state.remove(&key),
            _ => self.state.insert(key.clone(), self.published),
        };
        let message =
            json!({"type": "publish", "topic": "a", "key": key, "op": op, "payload": {"n": 1}});
        self.publisher.say(&mut self.world, &message);
        self.world.settle();
    }

    fn subscribe(&mut self) -> Client {
        let mut client = Client::connect(&mut self.world, 1, 2_000, false);
        let wish = json!({"type": "subscribe", "id": "s", "topics": ["a"], "since": "last"});
        client.say(&mut self.world, &wish);
        self.world.settle();
        // The first page has been read from history now, and most of it waits.
        client.read(&mut self.world, usize::MAX);
        client
    }

    fn read_to_the_end(&mut self, client: &mut Client) {
        loop {
            self.world.settle();
            if client.read(&mut self.world, usize::MAX) == 0 {
                return;
            }
        }
    }
}

/// What a client that was told all this holds, and what it was told is missing.
fn held(client: &Client) -> (BTreeMap<String, u64>, Vec<(u64, u64)>) {
    let (mut state, mut gaps, mut newest) = (BTreeMap::new(), Vec::new(), 0);
    for told in &client.told {
        match told {
            Told::Event(event) => {
                assert!(event.offset > newest, "offsets ascend: {} after {newest}", event.offset);
                newest = event.offset;
                match event.op.as_str() {
                    "delete" => state.remove(&event.key),
                    _ => state.insert(event.key.clone(), event.offset),
                };
            }
            Told::Gap { from, to, .. } => {
                assert!(from <= to && *from > newest, "gap {from}..{to} after {newest}");
                newest = *to;
                gaps.push((*from, *to));
            }
            _ => {}
        }
    }
    (state, gaps)
}

#[test]
fn what_is_deleted_meanwhile_is_told() {
    let mut fleet = Fleet::new(roomy().retention);
    let mut client = fleet.subscribe();
    fleet.publish(3, "delete");
    fleet.publish(KEYS - 1, "delete");
    fleet.publish(4, "upsert");
    fleet.publish(5, "delete");
    fleet.publish(5, "upsert");
    fleet.read_to_the_end(&mut client);
    assert_eq!(held(&client), (fleet.state, Vec::new()));
}

#[test]
fn what_was_deleted_before_is_not_told() {
    let mut fleet = Fleet::new(roomy().retention);
    (0..10).for_each(|key| fleet.publish(key, "delete"));
    (10..20).for_each(|key| fleet.publish(key, "upsert"));
    let mut client = fleet.subscribe();
    fleet.read_to_the_end(&mut client);
    assert_eq!(held(&client), (fleet.state, Vec::new()));
    let is_delete = |told: &&Told| matches!(told, Told::Event(event) if event.op == "delete");
    assert_eq!(client.told.iter().filter(is_delete).count(), 0);
}

#[test]
fn what_nobody_can_tell_any_more_is_a_gap() {
    let tiny = Retention { topic_events_max: 2, topic_keys_max: KEYS, ..roomy().retention };
    let mut fleet = Fleet::new(tiny);
    let mut client = fleet.subscribe();
    fleet.publish(3, "delete");
    let deleted = fleet.published;
    // These push the delete out of the ring, and then keys that were not told yet out of what is kept of each.
    (0..20).for_each(|key| fleet.publish(KEYS + key, "upsert"));
    fleet.read_to_the_end(&mut client);
    let (state, gaps) = held(&client);
    assert!(gaps.iter().any(|(from, to)| (*from..=*to).contains(&deleted)), "{gaps:?}");
    let is_held = |(key, offset): (&String, &u64)| state.get(key) == Some(offset);
    assert!(fleet.state.iter().skip(100).all(is_held), "and everything else is there");
}

#[test]
fn no_seed_leaves_a_subscriber_with_another_state() {
    for seed in 1..=8 {
        let mut random = Random::new(seed);
        let mut fleet = Fleet::new(roomy().retention);
        let mut client = fleet.subscribe();
        for _ in 0..200 {
            let key = random.below(KEYS + 50);
            let op = if random.one_in(2) { "delete" } else { "upsert" };
            fleet.publish(key, op);
            if random.one_in(4) {
                fleet.world.settle();
                client.read(&mut fleet.world, 20_000);
            }
        }
        fleet.read_to_the_end(&mut client);
        assert_eq!(held(&client), (fleet.state, Vec::new()), "seed {seed}");
    }
}
