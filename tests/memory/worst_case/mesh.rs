//! Messages between shards: as much as there is room for while the other shard takes nothing; publishes beyond it are refused with `full`.

use serde_json::json;

use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::home_of;
use fanwire::shard::MemoryBounds;
use fanwire::shard::Settings;

use crate::heap;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::world::World;
use crate::support::world::roomy;

/// Bytes of the budget.
const BUDGET: usize = 4 << 20;

/// A topic that a shard of two orders.
fn topic_at(home: u16) -> String {
    let mut names = (0..100).map(|number| format!("t/{number}"));
    names.find(|name| home_of(&TopicName::new(name).unwrap(), 2) == ShardId(home)).unwrap()
}

/// Has ten clients of one shard publish until all are refused, while the other shard does nothing; what that holds.
fn publish_into_the_void(home: u16, payload_bytes: usize) -> usize {
    let memory = MemoryBounds { mesh_bytes_max: BUDGET, ..MemoryBounds::default() };
    let mut settings = Settings { memory, ..roomy() };
    // Nothing else holds on to the events.
    settings.retention.topic_events_max = 0;
    settings.retention.topic_keys_max = 0;
    let mut world = World::new(2, &settings);
    let mut clients: Vec<Client> =
        (0..10).map(|_| Client::connect(&mut world, 0, 1 << 20, false)).collect();
    world.settle();
    for client in &mut clients {
        client.read(&mut world, usize::MAX);
    }
    // What is not taken in waits where it comes from.
    world.inbox_messages_max = 0;
    let topic = topic_at(home);
    let before = heap::held();
    let mut most = 0;
    let mut refused = 0;
    for number in 0..200 * BUDGET / payload_bytes {
        let text = "x".repeat(payload_bytes);
        let event = json!({"type": "publish", "id": number, "topic": topic, "op": "event", "payload": {"p": text}});
        // A client whose publish is on its way says no more until it is answered.
        let client = &mut clients[number % 10];
        if world.wants_input(client.wire) {
            client.say(&mut world, &event);
        }
        world.work(0);
        client.read(&mut world, usize::MAX);
        refused += client.told.drain(..).filter(is_full).count();
        most = most.max(heap::held() - before);
        if refused > 20 || (home == 1 && number > 2_000) {
            break;
        }
    }
    assert!(refused > 20 || home == 1, "nobody was refused");
    usize::try_from(most).unwrap()
}

fn is_full(told: &Told) -> bool {
    matches!(told, Told::Other(said) if said["code"] == "full")
}

#[test]
fn what_waits_for_a_shard_that_takes_nothing_is_what_is_counted() {
    for payload_bytes in [10, 1_000, 100_000] {
        let held = publish_into_the_void(0, payload_bytes);
        assert!(held * 4 <= BUDGET * 5, "{payload_bytes}: {held} bytes");
        // Small ones are bounded by their number first.
        let is_driven = payload_bytes < 1_000 || held * 8 > BUDGET;
        assert!(is_driven, "{payload_bytes}: {held} bytes, so little is no bound");
    }
}

/// Drafts for the other shard's topics: each client has one run on its way.
#[test]
fn drafts_for_a_shard_that_takes_nothing_are_one_run_of_each_client() {
    let held = publish_into_the_void(1, 100_000);
    assert!(held * 4 <= BUDGET * 5, "{held} bytes");
}
