//! Pages of the past: as many as there is room for, however many ask and do not read; who reads is told of the past all the same.

use serde_json::json;

use fanwire::shard::MemoryBounds;
use fanwire::shard::Settings;

use crate::heap;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::world::World;
use crate::support::world::roomy;

/// Bytes of the budget.
const BUDGET: usize = 1 << 20;

/// What each connection may hold besides.
const SPARE: usize = 8 << 10;

/// Bytes of the history: it has turned over before the next one asks, so nobody's pages are another's.
const HISTORY: usize = 64 << 10;

/// Publishes as much as history holds, in events of so many bytes.
fn turn_over(world: &mut World, publisher: &mut Client, event_bytes: usize) {
    for _ in 0..HISTORY / event_bytes + 1 {
        let payload = json!({"p": "x".repeat(event_bytes)});
        publisher.say(
            world,
            &json!({"type": "publish", "topic": "a", "op": "event", "payload": payload}),
        );
        world.settle();
        publisher.read(world, usize::MAX);
        publisher.told.clear();
    }
}

fn world() -> World {
    let memory = MemoryBounds { replays_bytes_max: BUDGET, ..MemoryBounds::default() };
    let mut settings = Settings { memory, ..roomy() };
    settings.retention.bytes_max = HISTORY;
    settings.retention.topic_keys_max = 0;
    World::new(1, &settings)
}

fn ask(world: &mut World, client: &Client) {
    let wish = json!({"type": "subscribe", "id": "s", "topics": ["a"], "since": "earliest"});
    client.say(world, &wish);
    world.settle();
}

/// Has so many ask who do not read; says what they hold at most.
fn do_not_read(
    world: &mut World,
    publisher: &mut Client,
    count: usize,
    bytes: usize,
) -> Vec<Client> {
    // Sockets that take nothing hold nothing of what is asked about.
    let silent: Vec<Client> = (0..count).map(|_| Client::connect(world, 0, 256, false)).collect();
    // Buffers that live as long as the server, and a history that is full, are other lines.
    turn_over(world, publisher, bytes);
    let before = heap::held();
    for client in &silent {
        turn_over(world, publisher, bytes);
        ask(world, client);
        let held = usize::try_from(heap::held() - before).unwrap();
        let most = BUDGET + count * SPARE;
        assert!(held * 4 <= most * 5, "{held} bytes held, {most} allowed");
    }
    silent
}

/// Whether a client that reads is told of all the past, in so many seconds at most.
fn is_told(world: &mut World, client: &mut Client, seconds: usize) -> bool {
    for _ in 0..seconds * 10 {
        world.advance(100);
        world.tick();
        world.settle();
        client.read(world, usize::MAX);
        world.settle();
        if client.told.iter().any(|told| matches!(told, Told::Live { .. })) {
            return true;
        }
    }
    false
}

#[test]
fn five_hundred_who_do_not_read_hold_no_more_than_there_is_room_for() {
    let mut world = world();
    let mut publisher = Client::connect(&mut world, 0, 1 << 20, false);
    let silent = do_not_read(&mut world, &mut publisher, 500, 1 << 10);
    let mut reader = Client::connect(&mut world, 0, 64 << 20, false);
    ask(&mut world, &reader);
    // Within its spare it is told without a wait, and nobody has to go for it.
    assert!(is_told(&mut world, &mut reader, 1), "{:?}", reader.told.last());
    let events = reader.told.iter().filter(|told| matches!(told, Told::Event(_))).count();
    assert!(events * (1 << 10) > HISTORY / 2, "{events} events");
    assert!(silent.iter().all(|client| world.is_open(client.wire)));
}

#[test]
fn what_is_larger_than_the_spare_waits_until_those_who_do_not_read_have_gone() {
    let mut world = world();
    let mut publisher = Client::connect(&mut world, 0, 1 << 20, false);
    let silent = do_not_read(&mut world, &mut publisher, 100, 40 << 10);
    let mut readers: Vec<Client> =
        (0..4).map(|_| Client::connect(&mut world, 0, 64 << 20, false)).collect();
    for reader in &readers {
        ask(&mut world, reader);
    }
    for reader in &mut readers {
        assert!(is_told(&mut world, reader, 60), "{:?}", reader.told.last());
        assert!(world.is_open(reader.wire));
    }
    let gone = silent.iter().filter(|client| !world.is_open(client.wire)).count();
    assert!(gone > 0, "nobody had to go");
}
