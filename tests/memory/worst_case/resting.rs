//! What rests costs nothing, and what is due costs what it is: topics, last events of keys, batches, what waits for a shard that does not listen.
//!
//! Counted in units of work, in steps and in bytes, never in time.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use fanwire::event::Event;
use fanwire::event::Fields;
use fanwire::event::HomeId;
use fanwire::event::Op;
use fanwire::event::TopicName;
use fanwire::event::TopicPattern;
use fanwire::history::Memory;
use fanwire::history::Read;
use fanwire::history::Retention;
use fanwire::history::Start;
use fanwire::limits::EXPIRE_PER_TICK_MAX;
use fanwire::limits::FORGET_PER_TICK_MAX;
use fanwire::limits::MESH_PENDING_MAX;
use fanwire::limits::PAGE_EVENTS_MAX;
use fanwire::limits::UNITS_SEND;
use fanwire::shard::Lane;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;

use crate::heap;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::world::World;
use crate::support::world::roomy;

/// A shard on which so many topics have had a delete each, which is no last event.
fn topics_of(count: usize, age_us_max: u64) -> World {
    let retention = Retention { age_us_max, ..roomy().retention };
    let mut world = World::new(1, &Settings { retention, topics_max: 1 << 20, ..roomy() });
    let mut publisher = Client::connect(&mut world, 0, 1 << 24, false);
    for number in 0..count {
        let topic = format!("t/{number}");
        let event = json!({"type": "publish", "topic": topic, "key": "k", "op": "delete"});
        publisher.say(&mut world, &event);
        if number % 100 == 99 {
            world.settle();
            publisher.read(&mut world, usize::MAX);
            publisher.told.clear();
        }
    }
    world.settle();
    publisher.read(&mut world, usize::MAX);
    assert_eq!(world.shards[0].stats().topics, count as u64);
    world
}

/// Of eight requests, how many the turn answers that follows on a tick: that is what the tick leaves of it.
fn answered_after_tick(world: &mut World) -> u64 {
    let askers: Vec<_> = (0..8).map(|_| world.open(0, 1_024)).collect();
    world.settle();
    world.shards[0].set_units(20 * UNITS_SEND);
    world.advance(100);
    world.tick();
    for asker in &askers {
        world.say(*asker, b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    let before = world.shards[0].stats().sends;
    world.work(0);
    let sends = world.shards[0].stats().sends - before;
    askers.into_iter().for_each(|asker| world.vanish(asker));
    sends
}

#[test]
fn topics_at_rest_leave_a_turn_all_of_its_time_and_what_goes_takes_some() {
    let mut world = topics_of(20_000, 1_000_000_000);
    for _ in 0..3 {
        assert_eq!(answered_after_tick(&mut world), 8);
    }
    // The clock is set forward: all events are too old at once.
    world.now.wall_us += 3_600_000_000;
    let answered = answered_after_tick(&mut world);
    assert!(answered < 8, "letting go of 20,000 events took no time of {answered} answers");
}

#[test]
fn a_tick_lets_go_of_so_much_only_and_does_nothing_else() {
    let count = EXPIRE_PER_TICK_MAX + 3 * FORGET_PER_TICK_MAX;
    let retention = Retention { age_us_max: 1_000, topic_keys_max: 0, ..roomy().retention };
    let mut memory = Memory::new(retention);
    (0..count).for_each(|number| append(&mut memory, &format!("t/{number}"), number));
    assert_eq!(memory.expire(1_000), 0, "nothing is due");
    let due_us = count as u64 + 2_000;
    assert_eq!(memory.expire(due_us), EXPIRE_PER_TICK_MAX + FORGET_PER_TICK_MAX);
    let mut gone = EXPIRE_PER_TICK_MAX + FORGET_PER_TICK_MAX;
    assert_eq!(memory.expire(due_us), 4 * FORGET_PER_TICK_MAX);
    gone += 4 * FORGET_PER_TICK_MAX;
    while memory.topic_count() > 0 {
        let more = memory.expire(due_us);
        assert!(more > 0 && more <= FORGET_PER_TICK_MAX, "{more} have gone");
        gone += more;
    }
    assert_eq!((gone, memory.expire(due_us)), (2 * count, 0), "each event and topic once");
}

/// An event of a key of its own, stamped with its number.
fn append(memory: &mut Memory, topic: &str, number: usize) {
    let topic = TopicName::new(topic).unwrap();
    let newest = memory.newest_offset(&topic);
    let event = Event {
        topic,
        key: Arc::from(number.to_string()),
        op: Op::Upsert,
        home: HomeId(0),
        offset: newest + 1,
        previous: newest,
        time_us: number as u64 + 1,
        payload: Bytes::from_static(b"{}"),
        fields: Fields::default(),
        before: None,
        meta: None,
    };
    memory.append(&Arc::new(event));
}

/// A history of so many keys, in ten topics.
fn keys_of(count: usize) -> Memory {
    let mut memory = Memory::new(Retention { topic_events_max: 10, ..roomy().retention });
    (0..count).for_each(|number| append(&mut memory, &format!("names/{}", number % 10), number));
    memory
}

/// The steps of each page of all last events, and the most bytes that one of them set aside.
fn pages_of_last(memory: &Memory, topics: &[TopicPattern]) -> (Vec<usize>, i64) {
    let start = Start::Last { deleted_after_us: None };
    let mut read = Read {
        topics: topics.to_vec(),
        start,
        after_us: 0,
        page_bytes: 1 << 20,
        with_before: false,
    };
    let (mut steps, mut bytes) = (Vec::new(), 0);
    loop {
        let before = heap::held();
        heap::take_peak();
        let page = memory.read(&read);
        bytes = bytes.max(heap::take_peak() - before);
        steps.push(page.work);
        let Some(after_us) = page.more_after_us else { return (steps, bytes) };
        read.after_us = after_us;
    }
}

#[test]
fn a_page_of_last_events_costs_a_page_however_many_keys_there_are() {
    let patterns =
        [vec![TopicPattern::new("names/*").unwrap()], vec![TopicPattern::new("**").unwrap()]];
    for topics in patterns {
        let (_, few_bytes) = pages_of_last(&keys_of(2 * PAGE_EVENTS_MAX), &topics);
        let count = 40 * PAGE_EVENTS_MAX;
        let (steps, bytes) = pages_of_last(&keys_of(count), &topics);
        assert_eq!(steps.iter().sum::<usize>(), count, "each key is looked at once");
        assert!(steps.iter().all(|steps| *steps <= PAGE_EVENTS_MAX), "{steps:?}");
        // To put all keys in order anew is to set their list aside.
        assert!(bytes <= few_bytes + 1_024, "{bytes} bytes for a page of many, {few_bytes} of few");
    }
}

#[test]
fn batches_that_are_full_before_their_time_leave_nothing_behind() {
    let mut settings = roomy();
    (settings.retention.topic_events_max, settings.retention.topic_keys_max) = (0, 0);
    let mut world = World::new(1, &settings);
    let mut subscriber = Client::connect(&mut world, 0, 1 << 24, false);
    let batch = json!({"max_events": 2, "max_delay_ms": 10_000});
    let wish = json!({"type": "subscribe", "id": "s", "topics": ["a"], "batch": batch});
    subscriber.say(&mut world, &wish);
    let mut publisher = Client::connect(&mut world, 0, 1 << 24, false);
    let mut publish = |world: &mut World, count| {
        let mut told = 0;
        for _ in 0..count {
            publisher.say(world, &json!({"type": "publish", "topic": "a", "payload": {}}));
            world.settle();
            for client in [&mut subscriber, &mut publisher] {
                client.read(world, usize::MAX);
                told += client.told.drain(..).filter(|told| matches!(told, Told::Event(_))).count();
            }
        }
        told
    };
    publish(&mut world, 1_000);
    let held = heap::held();
    // All within the delay of the first one.
    assert_eq!(publish(&mut world, 10_000), 10_000);
    let grown = heap::held() - held;
    assert!(grown <= 4 * 1_024, "{grown} bytes are left of 5,000 batches");
}

/// Whatever clients of one shard do that another is asked about, while that takes nothing in.
#[test]
fn nothing_that_waits_for_a_shard_that_takes_nothing_grows_without_end() {
    let mut settings = roomy();
    settings.connections_max = 64;
    let mut world = World::new(2, &settings);
    let mut clients: Vec<Client> =
        (0..20).map(|_| Client::connect(&mut world, 1, 1 << 20, false)).collect();
    world.settle();
    // What is not taken in waits where it comes from.
    world.inbox_messages_max = 0;
    let mut most = 0;
    for number in 0..20_000_usize {
        let client = &mut clients[number % 20];
        let wish = match number / 20 % 4 {
            0 => {
                json!({"type": "subscribe", "id": 1, "topics": ["**"], "filter": format!("f{number} = 1"), "since": "earliest"})
            }
            1 => json!({"type": "unsubscribe", "id": 1}),
            2 => {
                json!({"type": "publish", "id": 1, "topic": format!("t/{number}"), "payload": {"x": 1}})
            }
            _ => json!({"type": "ping"}),
        };
        client.say(&mut world, &wish);
        world.work(1);
        client.read(&mut world, usize::MAX);
        client.told.clear();
        let asker = world.try_open_from(1, 1 << 16, [198, 51, 100, 7].into());
        if let Some(asker) = asker {
            let request: &[u8] = match number % 3 {
                0 => b"GET /v1/sse?topic=** HTTP/1.1\r\nHost: x\r\n\r\n",
                1 => b"GET /~websocket@1.0/info HTTP/1.1\r\nHost: x\r\n\r\n",
                _ => b"POST /v1/publish/t HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
            };
            world.say(asker, request);
            world.work(1);
            world.vanish(asker);
        }
        let pending = world.shards[1].mesh_pending(PartyId(0));
        most = most.max(Lane::ALL.map(|lane| pending.len(lane)).into_iter().max().unwrap());
    }
    let of_connections = 4 * settings.connections_max;
    assert!(most > 40, "nothing waited");
    assert!(most <= MESH_PENDING_MAX + of_connections, "{most} messages wait");
}
