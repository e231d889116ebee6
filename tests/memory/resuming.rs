//! Those who come back all at once for what only the store holds: what a page costs does not grow with those who wait for one.

use std::rc::Rc;
use std::sync::Arc;

use serde_json::json;

use fanwire::event::TopicPattern;
use fanwire::history::Retention;
use fanwire::shard::Durable;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;

use crate::heap;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::random::Random;
use crate::support::world::World;
use crate::support::world::roomy;
use crate::support::world::store::Store;
use crate::support::world::store::Ways;

const EVENTS: usize = 40;

/// A server of one shard with a store behind it, which remembers almost nothing of its durable topics.
fn forgetful() -> World {
    let topics = [TopicPattern::new("**").unwrap()];
    let durable = Durable { store: PartyId(1), topics: Arc::new(topics) };
    let retention = Retention { bytes_max: 1_000, last_bytes_max: 500, ..roomy().retention };
    let settings = Settings { retention, durable: Some(durable), ..roomy() };
    let mut world = World::of_epoch("d1_e1", 1, &settings);
    let ways = Ways { store_ms: 1, sync_ms: 1, page_ms: 1, page_events_max: 8, ..Ways::default() };
    let mut luck = Random::new(1);
    world.join_store(Store::new(Rc::default(), ways, move |bound| luck.below(bound)), 0);
    world
}

fn pass(world: &mut World, ms: u64) {
    for _ in 0..ms {
        world.settle();
        world.advance(1);
    }
    world.settle();
}

/// What the allocator is asked for each of so many readers who want all of the past at the same moment.
fn set_aside_by_each(readers: usize) -> u64 {
    let mut world = forgetful();
    let mut publisher = Client::connect(&mut world, 0, 1 << 20, false);
    for number in 0..EVENTS {
        let payload = json!({"n": number, "padding": "x".repeat(200)});
        publisher.say(&mut world, &json!({"type": "publish", "topic": "t", "payload": payload}));
        pass(&mut world, 2);
    }
    publisher.read(&mut world, usize::MAX);
    let mut clients: Vec<_> =
        (0..readers).map(|_| Client::connect(&mut world, 0, 1 << 20, false)).collect();
    let wish = json!({"type": "subscribe", "id": "s", "topics": ["t"], "since": "earliest"});
    let (before, _) = heap::set_aside();
    for client in &mut clients {
        client.say(&mut world, &wish);
    }
    pass(&mut world, 20 + 2 * readers as u64);
    let (after, _) = heap::set_aside();
    for client in &mut clients {
        client.read(&mut world, usize::MAX);
        let events = client.told.iter().filter(|told| matches!(told, Told::Event(_))).count();
        assert_eq!(events, EVENTS, "each is told all of it");
    }
    (after - before) / readers as u64
}

#[test]
fn a_page_costs_the_same_however_many_wait_for_one() {
    let (few, many) = (set_aside_by_each(50), set_aside_by_each(800));
    println!("{few} allocations for each of 50, {many} for each of 800");
    assert!(many < 2 * few, "{few} allocations for each of 50, {many} for each of 800");
}
