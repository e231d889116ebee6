//! What counts as work of a turn: everything that takes time, whoever causes it and whenever it is due.

use serde_json::json;

use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::home_of;
use fanwire::limits::SUBSCRIBED_MAX;
use fanwire::limits::UNITS_EVENT;
use fanwire::limits::UNITS_SEND;
use fanwire::limits::UPLOAD_HELD_MS_MAX;
use fanwire::limits::UPLOAD_RETRY_MS;
use fanwire::shard::MemoryBounds;
use fanwire::shard::Settings;

use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::world::World;
use crate::support::world::roomy;

fn subscriber(world: &mut World, wish: &serde_json::Value) -> Client {
    let mut client = Client::connect(world, 0, 1 << 24, false);
    client.say(world, wish);
    world.settle();
    client.read(world, usize::MAX);
    client.told.clear();
    client
}

fn publish(world: &mut World, publisher: &Client, key: usize) {
    let key = format!("k{key}");
    let event = json!({"type": "publish", "id": 1, "topic": "t", "key": key, "payload": {"n": 1}});
    publisher.say(world, &event);
    world.settle();
}

/// Units that all turns do until nothing is left to do, and the most that one of them did.
fn units(world: &mut World) -> (u64, u64) {
    let (mut sum, mut most) = (0, 0);
    for _ in 0..10_000 {
        world.work(0);
        let done = world.shards[0].done().units;
        (sum, most) = (sum + done, most.max(done));
        let is_due =
            world.shards[0].next_due_ms().is_some_and(|due_ms| due_ms <= world.now.mono_ms);
        if !world.shards[0].has_work() && !is_due {
            return (sum, most);
        }
    }
    panic!("there is no end to it");
}

#[test]
fn looking_at_every_connection_counts_for_the_turn_that_follows() {
    let mut world = World::new(1, &roomy());
    let wires: Vec<_> = (0..3_000).map(|_| world.open(0, 1024)).collect();
    world.settle();
    world.shards[0].set_units(20 * UNITS_SEND);
    let sends_after = |world: &mut World, ticks: usize| {
        for _ in 0..ticks {
            world.advance(100);
            world.tick();
        }
        for wire in &wires[..8] {
            world.say(*wire, b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n");
        }
        let before = world.shards[0].stats().sends;
        world.work(0);
        let sends = world.shards[0].stats().sends - before;
        world.settle();
        sends
    };
    assert_eq!(sends_after(&mut world, 0), 8);
    assert_eq!(sends_after(&mut world, 10), 1, "a look at 3,000 connections took all of a turn");
}

#[test]
fn windows_that_end_at_the_same_moment_end_over_several_turns() {
    let mut world = World::new(1, &roomy());
    let publisher = Client::connect(&mut world, 0, 1 << 24, false);
    let wish = json!({"type": "subscribe", "id": 1, "topics": ["t"], "max_rate": {"per": "subscription", "hz": 1}});
    let mut paced: Vec<Client> = (0..40).map(|_| subscriber(&mut world, &wish)).collect();
    (0..2).for_each(|key| publish(&mut world, &publisher, key));
    world.shards[0].set_units(0);
    world.advance(2_000);
    let (sum, most) = units(&mut world);
    let least = 40 * (UNITS_EVENT + UNITS_SEND);
    assert!(sum >= least, "{sum} units for the end of 40 windows");
    assert!(most <= 6 * UNITS_SEND, "a turn of {most} units, though it may do {}", 4 * UNITS_SEND);
    for client in &mut paced {
        client.read(&mut world, usize::MAX);
        let events = client.told.iter().filter(|told| matches!(told, Told::Event(_))).count();
        assert_eq!(events, 2, "{:?}", client.told);
    }
}

#[test]
fn batches_that_are_due_at_the_same_moment_end_over_several_turns() {
    let mut world = World::new(1, &roomy());
    let publisher = Client::connect(&mut world, 0, 1 << 24, false);
    // An id of its own each, so that each is a batch of its own.
    let mut batched: Vec<Client> = (0..40)
        .map(|id| {
            let batch = json!({"max_events": 100, "max_delay_ms": 1_000});
            let wish = json!({"type": "subscribe", "id": id, "topics": ["t"], "batch": batch});
            subscriber(&mut world, &wish)
        })
        .collect();
    publish(&mut world, &publisher, 1);
    world.shards[0].set_units(0);
    world.advance(2_000);
    let (sum, most) = units(&mut world);
    let least = 40 * (UNITS_EVENT + UNITS_SEND);
    assert!(sum >= least, "{sum} units for the end of 40 batches, and not {least}");
    assert!(most <= 6 * UNITS_SEND, "a turn of {most} units, though it may do {}", 4 * UNITS_SEND);
    for client in &mut batched {
        client.read(&mut world, usize::MAX);
        assert!(matches!(client.told[..], [Told::Event(_)]), "{:?}", client.told);
    }
}

#[test]
fn uploads_that_try_again_at_the_same_moment_do_so_over_several_turns() {
    let memory = MemoryBounds { mesh_bytes_max: 1 << 20, ..MemoryBounds::default() };
    let mut world = World::new(2, &Settings { memory, ..roomy() });
    let mut names = (0..).map(|number| format!("t/{number}"));
    let is_here = |name: &String| home_of(&TopicName::new(name).unwrap(), 2) == ShardId(0);
    let topic = names.find(is_here).unwrap();
    world.inbox_messages_max = 0;
    let upload = |payload: &str| {
        format!(
            "POST /v1/publish/{topic} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{payload}\n",
            payload.len() + 1
        )
    };
    // The other shard takes nothing, so that there is no room after some of these.
    let large = json!({"p": "x".repeat(200_000)}).to_string();
    for _ in 0..8 {
        let filler = world.open(0, 1 << 20);
        world.say(filler, upload(&large).as_bytes());
        world.work(0);
    }
    let uploads: Vec<_> = (0..400).map(|_| world.open(0, 1 << 20)).collect();
    for wire in &uploads {
        world.say(*wire, upload("{}").as_bytes());
    }
    units(&mut world);
    let answers = |world: &mut World| -> usize {
        uploads.iter().filter(|wire| !world.read(**wire, usize::MAX).is_empty()).count()
    };
    assert_eq!(answers(&mut world), 0, "all of them wait for room");
    world.shards[0].set_units(0);
    world.advance(UPLOAD_RETRY_MS);
    let (sum, most) = units(&mut world);
    let least = 400 * UNITS_EVENT;
    assert!(sum >= least, "{sum} units for 400 attempts, and not {least}");
    assert!(most <= 6 * UNITS_SEND, "a turn of {most} units, though it may do {}", 4 * UNITS_SEND);
    assert_eq!(answers(&mut world), 0, "there is no room yet");
    world.advance(UPLOAD_HELD_MS_MAX);
    units(&mut world);
    assert_eq!(answers(&mut world), 400, "who has waited long enough is told so");
}

/// Says more publishes at once than a few turns take, and leaves the answers to be read.
fn says_much(world: &mut World, publisher: &Client) {
    for number in 0..12 {
        let payload = json!({"p": "x".repeat(300_000)});
        let event = json!({"type": "publish", "id": number, "topic": "t", "payload": payload});
        publisher.say(world, &event);
    }
}

#[test]
fn publishers_that_say_more_than_a_turn_takes_take_turns() {
    let mut world = World::new(1, &roomy());
    let mut publishers: Vec<Client> =
        (0..6).map(|_| Client::connect(&mut world, 0, 1 << 24, false)).collect();
    world.settle();
    publishers.iter().for_each(|publisher| says_much(&mut world, publisher));
    let mut answered = vec![0; publishers.len()];
    // A turn takes a MiB, which is four of them.
    for turn in 1..=12 {
        world.work(0);
        for (publisher, answered) in publishers.iter_mut().zip(&mut answered) {
            publisher.read(&mut world, usize::MAX);
            let is_answer =
                |told: &Told| matches!(told, Told::Other(said) if said["type"] == "published");
            *answered = publisher.told.iter().filter(|told| is_answer(told)).count();
        }
        let (least, most) = (answered.iter().min(), answered.iter().max());
        assert!(turn <= 6 || *least.unwrap() > 0, "after {turn} turns: {answered:?}");
        assert!(*most.unwrap() <= least.unwrap() + 8, "after {turn} turns: {answered:?}");
    }
}

#[test]
fn those_who_subscribe_at_the_same_moment_do_so_over_several_turns() {
    let mut world = World::new(1, &roomy());
    let clients: Vec<_> =
        (0..2_500).map(|_| Client::connect(&mut world, 0, 1 << 16, false)).collect();
    let wish = json!({"type": "subscribe", "id": 1, "topics": ["t"]});
    let mut witness = subscriber(&mut world, &wish);
    let before = world.shards[0].stats().subscriptions;
    for (number, client) in clients.iter().enumerate() {
        let topic = format!("orders/{number}");
        client.say(&mut world, &json!({"type": "subscribe", "id": 1, "topics": [topic]}));
    }
    // Those who publish do not wait for those who subscribe.
    let publisher = Client::connect(&mut world, 0, 1 << 16, false);
    publisher.say(&mut world, &json!({"type": "publish", "id": 1, "topic": "t", "payload": {}}));
    let mut made = Vec::new();
    while made.iter().sum::<u64>() < 2_500 {
        made.push(world.shards[0].stats().subscriptions - before - made.iter().sum::<u64>());
        assert!(made.len() < 100, "there is no end to it: {made:?}");
        world.work(0);
        witness.read(&mut world, usize::MAX);
        assert!(!witness.told.is_empty(), "an event was not told in the first turn");
    }
    let most = made.iter().max().copied();
    assert!(most <= Some(SUBSCRIBED_MAX as u64), "so many in a turn: {made:?}");
}
