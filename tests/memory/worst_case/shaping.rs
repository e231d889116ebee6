//! What a `max_rate` holds back and `leave` remembers: as much as there is memory for; who asks for more is closed, and others are not.

use serde_json::Value;
use serde_json::json;

use fanwire::shard::MemoryBounds;
use fanwire::shard::Settings;

use crate::heap;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::world::World;
use crate::support::world::roomy;

/// Bytes of the budget.
const BUDGET: usize = 2 << 20;

fn check(name: &str, wish: &Value) {
    let memory = MemoryBounds { shaping_bytes_max: BUDGET, ..MemoryBounds::default() };
    let mut settings = Settings { memory, ..roomy() };
    // Nothing else holds on to the events.
    settings.retention.topic_events_max = 0;
    settings.retention.topic_keys_max = 0;
    let mut world = World::new(1, &settings);
    let mut publisher = Client::connect(&mut world, 0, 1 << 20, false);
    let mut greedy: Vec<Client> =
        (0..4).map(|_| Client::connect(&mut world, 0, 64 << 20, false)).collect();
    for client in &greedy {
        client.say(&mut world, wish);
    }
    let mut other = Client::connect(&mut world, 0, 64 << 20, false);
    other.say(&mut world, &json!({"type": "subscribe", "id": "o", "topics": ["b"]}));
    world.settle();
    let before = heap::held();
    let mut most = 0;
    for number in 0..6_000 {
        let key = format!("{number}{}", "k".repeat(100));
        let event = json!({"type": "publish", "topic": "a", "key": key, "payload": {"n": number}});
        publisher.say(&mut world, &event);
        world.settle();
        for client in greedy.iter_mut().chain([&mut publisher, &mut other]) {
            client.read(&mut world, usize::MAX);
            client.told.retain(|told| matches!(told, Told::Close(_)));
        }
        most = most.max(heap::held() - before);
    }
    assert!(greedy.iter().any(|client| client.told == [Told::Close(Some(4008))]), "{name}");
    assert!(other.told.is_empty() && world.is_open(other.wire), "{name}");
    assert!(most * 4 <= i64::try_from(BUDGET * 5).unwrap(), "{name}: {most} bytes");
}

#[test]
fn who_holds_too_much_back_is_closed() {
    let rate = json!({"hz": 0.01, "per": "key"});
    let wish = |name: &str, value: Value| {
        let mut wish = json!({"type": "subscribe", "id": "s", "topics": ["a"]});
        wish[name] = value;
        wish
    };
    check("max_rate", &wish("max_rate", rate));
    let mut leaving = wish("leave", json!(true));
    leaving["filter"] = "n >= 0".into();
    check("leave", &leaving);
}
