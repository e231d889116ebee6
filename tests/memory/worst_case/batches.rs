//! Batches that are being filled, of as many classes as there are: at the bound those that are due next go out before their time, and nobody misses
//! anything.

use serde_json::Value;
use serde_json::json;

use fanwire::shard::MemoryBounds;
use fanwire::shard::Settings;

use super::held_beside_sockets;
use crate::heap;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::world::World;
use crate::support::world::roomy;

/// Bytes of the budget.
const BUDGET: usize = 1 << 20;

const CLIENTS: usize = 100;
const EVENTS: usize = 300;

/// The most bytes that are held while each client has a class of its own, and as large a batch as there may be. In the end everybody has been told
/// everything.
fn most_held(budget: usize, payload_bytes: usize, wish: impl Fn(usize) -> Value) -> usize {
    let memory = MemoryBounds { batches_bytes_max: budget, ..MemoryBounds::default() };
    let mut settings = Settings { memory, ..roomy() };
    // Nothing else holds on to the events.
    settings.retention.topic_events_max = 0;
    settings.retention.topic_keys_max = 0;
    let mut world = World::new(1, &settings);
    let mut publisher = Client::connect(&mut world, 0, 1 << 20, false);
    let mut clients: Vec<Client> =
        (0..CLIENTS).map(|_| Client::connect(&mut world, 0, 64 << 20, false)).collect();
    for (number, client) in clients.iter().enumerate() {
        let mut wish = wish(number);
        wish["type"] = "subscribe".into();
        wish["topics"] = json!(["a"]);
        wish["batch"] = json!({"max_events": 1024, "max_delay_ms": 10_000});
        client.say(&mut world, &wish);
    }
    let mut told = vec![0; CLIENTS];
    let mut hear = |world: &mut World, clients: &mut Vec<Client>| {
        for (client, count) in clients.iter_mut().zip(&mut told) {
            client.read(world, usize::MAX);
            *count += client.told.iter().filter(|told| matches!(told, Told::Event(_))).count();
            client.told = Vec::new();
        }
    };
    world.settle();
    hear(&mut world, &mut clients);
    let (before, mut most) = (held_beside_sockets(&world), 0);
    for number in 0..EVENTS {
        let payload = json!({"n": number, "p": "x".repeat(payload_bytes)});
        let event = json!({"type": "publish", "topic": "a", "op": "event", "payload": payload});
        publisher.say(&mut world, &event);
        world.advance(10);
        world.settle();
        heap::uncounted(|| hear(&mut world, &mut clients));
        world.settle();
        publisher.read(&mut world, usize::MAX);
        publisher.told = Vec::new();
        most = most.max(held_beside_sockets(&world) - before);
    }
    world.advance(10_000);
    world.settle();
    hear(&mut world, &mut clients);
    assert_eq!(told, [EVENTS; CLIENTS]);
    usize::try_from(most).unwrap()
}

/// What is held is at most a quarter more than what is counted. What the same takes without any room for batches is other lines': frames on their way.
fn check(name: &str, payload_bytes: usize, wish: impl Fn(usize) -> Value) {
    let without = most_held(0, payload_bytes, &wish);
    let most = most_held(BUDGET, payload_bytes, &wish);
    let held = most.saturating_sub(without);
    assert!(held * 4 <= BUDGET * 5, "{name}: {most} bytes held, {without} without batches");
    assert!(held * 2 > BUDGET, "{name}: {most} bytes and {without}, so little is no bound");
}

#[test]
fn batches_take_what_is_counted_and_go_out_early() {
    check("texts", 200, |number| json!({"id": format!("class {number}")}));
    // Their texts are short: it is the events that are held, once for all of them.
    check("events", 20_000, |number| json!({"id": number, "fields": ["n"]}));
}
