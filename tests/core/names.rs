//! What clients call their subscriptions is theirs: who asks for the same is matched and kept once, whatever each calls it, and hears its own names.

use serde_json::Value;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::world::World;
use crate::support::world::roomy;

const CLIENTS: usize = 100;

fn world() -> World {
    World::new(1, &roomy())
}

fn subscriber(world: &mut World, wish: &Value) -> Client {
    let mut client = Client::connect(world, 0, 1 << 20, false);
    client.say(world, wish);
    world.settle();
    client.read(world, usize::MAX);
    client.told.clear();
    client
}

fn wish(id: &str, more: &Value) -> Value {
    let mut wish = json!({"type": "subscribe", "id": id, "topics": ["a"]});
    for (member, value) in more.as_object().into_iter().flatten() {
        wish[member] = value.clone();
    }
    wish
}

fn classes(world: &World) -> u64 {
    world.shards[0].stats().classes
}

fn publish(world: &mut World, publisher: &Client, payload: &Value) {
    publisher.say(world, &json!({"type": "publish", "topic": "a", "payload": payload}));
    world.settle();
    world.advance(2_000);
    world.settle();
}

/// The names under which a client has heard events since it was asked last, one list for each event.
fn heard(world: &mut World, client: &mut Client) -> Vec<Vec<String>> {
    client.read(world, usize::MAX);
    let told = std::mem::take(&mut client.told);
    let events = told.into_iter().filter_map(|told| match told {
        Told::Event(event) => Some(event.subs),
        _ => None,
    });
    events.collect()
}

#[test]
fn who_asks_for_the_same_is_of_one_class_whatever_they_call_it() {
    for more in [json!({}), json!({"filter": "n > 0"}), json!({"fields": ["n"]})] {
        let mut world = world();
        let mut crowd: Vec<(String, Client)> = (0..CLIENTS)
            .map(|number| format!("client {number}"))
            .map(|id| (id.clone(), subscriber(&mut world, &wish(&id, &more))))
            .collect();
        assert!(classes(&world) <= 2, "{more}: {}", classes(&world));
        let publisher = Client::connect(&mut world, 0, 1 << 20, false);
        // A small event, and one that goes out in pieces.
        for payload in [json!({"n": 1}), json!({"n": 2, "text": "x".repeat(40_000)})] {
            publish(&mut world, &publisher, &payload);
            for (id, client) in &mut crowd {
                let name = json!(id).to_string();
                assert_eq!(heard(&mut world, client), [[name]], "{more}");
            }
        }
        let before = world.shards[0].stats().filter_steps;
        publish(&mut world, &publisher, &json!({"n": 3}));
        let steps = world.shards[0].stats().filter_steps - before;
        assert!(steps < 20, "{more}: the filter is asked once, not {steps} steps for {CLIENTS}");
        for (_, client) in crowd {
            world.vanish(client.wire);
        }
        world.settle();
        assert_eq!(classes(&world), 0, "{more}: nobody is left");
    }
}

#[test]
fn a_name_that_two_have_chosen_is_a_class_in_step() {
    let mut world = world();
    let mut crowd: Vec<Client> = ["first", "x", "y", "x", "x"]
        .into_iter()
        .map(|id| subscriber(&mut world, &wish(id, &json!({}))))
        .collect();
    // The first one's, that of `y` alone, and that of all who say `x`.
    assert_eq!(classes(&world), 3);
    let publisher = Client::connect(&mut world, 0, 1 << 20, false);
    publish(&mut world, &publisher, &json!({"n": 1}));
    let names: Vec<_> = crowd.iter_mut().map(|client| heard(&mut world, client)).collect();
    let expected = ["first", "x", "y", "x", "x"].map(|name| vec![vec![format!("\"{name}\"")]]);
    assert_eq!(names, expected);
    // What one of them changes is its own.
    crowd[1].say(&mut world, &json!({"type": "update", "id": "x", "filter": "n = 7"}));
    crowd[2].say(&mut world, &json!({"type": "unsubscribe", "id": "y"}));
    crowd[2].say(&mut world, &wish("z", &json!({})));
    world.settle();
    publish(&mut world, &publisher, &json!({"n": 2}));
    let names: Vec<_> = crowd.iter_mut().map(|client| heard(&mut world, client)).collect();
    let one = |name: &str| vec![vec![format!("\"{name}\"")]];
    assert_eq!(names, [one("first"), vec![], one("z"), one("x"), one("x")]);
}

#[test]
fn several_subscriptions_are_told_by_the_names_of_each_client() {
    let mut world = world();
    let mut crowd: Vec<(usize, Client)> = (0..10)
        .map(|number| {
            let mut client = Client::connect(&mut world, 0, 1 << 20, false);
            for (place, topic) in ["a", "*", "b"].into_iter().enumerate() {
                let id = format!("{number}/{place}");
                client.say(&mut world, &json!({"type": "subscribe", "id": id, "topics": [topic]}));
            }
            world.settle();
            client.read(&mut world, usize::MAX);
            client.told.clear();
            (number, client)
        })
        .collect();
    assert!(classes(&world) <= 2, "{}", classes(&world));
    let publisher = Client::connect(&mut world, 0, 1 << 20, false);
    publish(&mut world, &publisher, &json!({"n": 1}));
    for (number, client) in &mut crowd {
        let names = [0, 1].map(|place| format!("\"{number}/{place}\""));
        assert_eq!(heard(&mut world, client), [names]);
        client.say(&mut world, &json!({"type": "unsubscribe", "id": format!("{number}/0")}));
    }
    world.settle();
    publish(&mut world, &publisher, &json!({"n": 2}));
    for (number, client) in &mut crowd {
        assert_eq!(heard(&mut world, client), [[format!("\"{number}/1\"")]]);
    }
}
