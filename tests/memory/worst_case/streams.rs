//! Deflate streams of classes: as many as there may be, whatever their windows hold; the messages of further classes are compressed each by itself, or not.

use serde_json::json;

use fanwire::limits::DEFLATE_STREAM_BYTES;
use fanwire::limits::DEFLATE_STREAMS_MAX;
use fanwire::shard::Settings;

use crate::heap;
use crate::support::client::Client;
use crate::support::world::World;
use crate::support::world::roomy;

/// Bytes that as many classes hold, with streams or without, once much was told.
fn held(deflate: bool) -> (usize, u64) {
    let mut settings: Settings = roomy();
    // Nothing else holds on to the events.
    settings.retention.topic_events_max = 0;
    settings.retention.topic_keys_max = 0;
    let mut world = World::new(1, &settings);
    let mut publisher = Client::connect(&mut world, 0, 1 << 20, false);
    let mut clients: Vec<Client> = (0..4 * DEFLATE_STREAMS_MAX)
        .map(|_| Client::connect(&mut world, 0, 1 << 20, deflate))
        .collect();
    world.settle();
    let before = heap::held();
    for (number, client) in clients.iter().enumerate() {
        // Two are of each, compressed or not: whoever has a name that nobody else has shares a class with others like it.
        let id = format!("class {}", number / 2);
        client.say(&mut world, &json!({"type": "subscribe", "id": id, "topics": ["a"]}));
    }
    world.settle();
    for number in 0..100 {
        // Text that is told apart, so that the windows fill.
        let text: String =
            (0..400).map(|at| format!("{:x}", (number * 400 + at) * 7_919)).collect();
        let event = json!({"type": "publish", "topic": "a", "op": "event", "payload": {"p": text}});
        publisher.say(&mut world, &event);
        world.settle();
        for client in clients.iter_mut().chain([&mut publisher]) {
            client.read(&mut world, usize::MAX);
            client.told.clear();
        }
        world.settle();
    }
    let held = usize::try_from(heap::held() - before).unwrap();
    (held, world.shards[0].stats().deflate_streams)
}

#[test]
fn streams_take_what_is_counted_however_many_classes_there_are() {
    let (plain, _) = held(false);
    let (all, streams) = held(true);
    assert_eq!(streams, DEFLATE_STREAMS_MAX as u64);
    let held = all - plain;
    let counted = DEFLATE_STREAMS_MAX * DEFLATE_STREAM_BYTES;
    assert!(held * 4 <= counted * 5, "{held} bytes held, {counted} counted");
}
