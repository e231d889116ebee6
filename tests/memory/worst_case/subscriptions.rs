//! Subscriptions: as many as the memory for them allows, of whatever they are made; one more is refused, and nobody else notices.

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
const BUDGET: usize = 4 << 20;

const CLIENTS: usize = 80;

/// What a client asks for: whatever is in the messages is its own.
/// What is asked for, and how it is said with a number that makes it another.
type AskedFor = (&'static str, fn(usize) -> Value);

const KINDS: [AskedFor; 6] = [
    ("topics", |number| json!({"topics": [format!("a/{number}/b")]})),
    ("many topics", |number| {
        let topics: Vec<String> = (0..64).map(|topic| format!("{number}/{topic}/*")).collect();
        json!({"topics": topics})
    }),
    ("small filters", |number| json!({"topics": ["a"], "filter": format!("x{number} = {number}")})),
    ("wide filters", |number| {
        let terms: Vec<String> = (0..100)
            .map(|term| format!("f{number}.x{term} = 'v{number}' and g{term} > {number}"))
            .collect();
        json!({"topics": ["a"], "filter": terms.join(" or ")})
    }),
    ("lists", |number| {
        let values: Vec<String> = (0..500).map(|value| format!("'{number}x{value}'")).collect();
        json!({"topics": ["a"], "filter": format!("callsign in ({})", values.join(", "))})
    }),
    (
        "regular expressions",
        |number| json!({"topics": ["a"], "filter": format!("callsign =~ '^[a-z]{{40}}{number}.*(x|y)+$'")}),
    ),
];

/// Has clients subscribe until one is refused; says how many subscriptions there were.
fn fill(world: &mut World, clients: &mut [Client], kind: fn(usize) -> Value) -> usize {
    let mut count = 0;
    for client in clients {
        for id in 0..64 {
            let mut wish = kind(count);
            wish["type"] = "subscribe".into();
            wish["id"] = id.into();
            client.say(world, &wish);
            world.settle();
            client.read(world, usize::MAX);
            let told = std::mem::take(&mut client.told);
            if let Some(Told::Other(error)) = told
                .iter()
                .find(|told| matches!(told, Told::Other(said) if said["type"] == "error"))
            {
                assert_eq!(error["code"], "too_many_subscriptions", "{error}");
                return count;
            }
            count += 1;
        }
    }
    panic!("nobody was refused after {count} subscriptions");
}

#[test]
fn names_of_their_own_take_what_is_counted() {
    const NAMES_BUDGET: usize = 256 << 10;
    let memory = MemoryBounds { subscriptions_bytes_max: NAMES_BUDGET, ..MemoryBounds::default() };
    let mut world = World::new(1, &Settings { memory, ..roomy() });
    let mut clients: Vec<Client> =
        (0..2_000).map(|_| Client::connect(&mut world, 0, 1 << 20, false)).collect();
    world.settle();
    let before = heap::held();
    let mut count = 0;
    for (number, client) in clients.iter_mut().enumerate() {
        let id = format!("a name of its own {number}");
        client.say(&mut world, &json!({"type": "subscribe", "id": id, "topics": ["a"]}));
        world.settle();
        client.read(&mut world, usize::MAX);
        let is_refused = |told: &Told| matches!(told, Told::Other(said) if said["code"] == "too_many_subscriptions");
        if std::mem::take(&mut client.told).iter().any(is_refused) {
            break;
        }
        count += 1;
    }
    let held = usize::try_from(heap::held() - before).unwrap();
    assert!((200..2_000).contains(&count), "{count} were let in");
    assert!(held * 4 <= NAMES_BUDGET * 5, "{count} take {held} bytes");
    clients.truncate(count);
    // What they give up others may have, to the last byte.
    for client in clients {
        world.vanish(client.wire);
    }
    world.settle();
    let wish = json!({"type": "subscribe", "id": 1, "topics": ["a"], "filter": "x = 1"});
    let mut last = Client::connect(&mut world, 0, 1 << 20, false);
    last.say(&mut world, &wish);
    world.settle();
    last.read(&mut world, usize::MAX);
    assert!(last.told.iter().any(|told| matches!(told, Told::Live { .. })), "{:?}", last.told);
}

#[test]
fn subscriptions_take_what_is_counted_and_one_more_is_refused() {
    for (name, kind) in KINDS {
        let memory = MemoryBounds { subscriptions_bytes_max: BUDGET, ..MemoryBounds::default() };
        let mut world = World::new(1, &Settings { memory, ..roomy() });
        let mut clients: Vec<Client> =
            (0..CLIENTS).map(|_| Client::connect(&mut world, 0, 1 << 20, false)).collect();
        world.settle();
        let before = heap::held();
        let count = fill(&mut world, &mut clients, kind);
        let held = usize::try_from(heap::held() - before).unwrap();
        assert!(held * 4 <= BUDGET * 5, "{name}: {count} take {held} bytes");
        // Whoever was let in is told as before, and what one gives up another may have.
        let mut last = Client::connect(&mut world, 0, 1 << 20, false);
        clients[0].say(&mut world, &json!({"type": "unsubscribe", "id": 0}));
        clients[0].say(&mut world, &json!({"type": "unsubscribe", "id": 1}));
        last.say(&mut world, &json!({"type": "subscribe", "id": "last", "topics": ["zz"]}));
        last.say(&mut world, &json!({"type": "publish", "topic": "zz", "payload": {"n": 1}}));
        world.settle();
        last.read(&mut world, usize::MAX);
        assert!(
            last.told.iter().any(|told| matches!(told, Told::Event(_))),
            "{name}: {:?}",
            last.told
        );
    }
}
