//! A filter that comes and goes beside a publisher: history keeps the events, and nothing of what was once looked for in them.

use serde_json::json;

use crate::heap;
use crate::support::client::Client;
use crate::support::world::World;
use crate::support::world::roomy;

/// Fields of each filter: what makes an interest large.
const FIELDS: usize = 64;

/// Adds a filter on fields of its own, publishes one event, and takes the filter back.
fn turn(world: &mut World, subscriber: &mut Client, publisher: &mut Client, turn: usize) {
    let terms: Vec<String> = (0..FIELDS).map(|field| format!("f{turn}x{field} = 1")).collect();
    let filter = terms.join(" or ");
    let wish = json!({"type": "subscribe", "id": "s", "topics": ["a"], "filter": filter});
    subscriber.say(world, &wish);
    world.settle();
    publisher
        .say(world, &json!({"type": "publish", "topic": "a", "key": "k", "payload": {"n": 1}}));
    world.settle();
    subscriber.say(world, &json!({"type": "unsubscribe", "id": "s"}));
    world.settle();
    for client in [subscriber, publisher] {
        client.read(world, usize::MAX);
        client.told.clear();
    }
    world.advance(25);
}

#[test]
fn history_keeps_no_interest_alive() {
    let mut world = World::new(2, &roomy());
    let mut subscriber = Client::connect(&mut world, 0, 1 << 20, false);
    let mut publisher = Client::connect(&mut world, 1, 1 << 20, false);
    (0..40).for_each(|at| turn(&mut world, &mut subscriber, &mut publisher, at));
    let counted = |world: &World| -> u64 {
        world.shards.iter().map(|shard| shard.stats().history_bytes).sum()
    };
    let (held, history) = (heap::held(), counted(&world));
    (40..240).for_each(|at| turn(&mut world, &mut subscriber, &mut publisher, at));
    let grown = heap::held() - held;
    let counted = i64::try_from(counted(&world) - history).unwrap();
    assert!(grown * 4 <= counted * 5, "{grown} bytes more, of which {counted} are counted");
}
