//! What one client can do to the others: nothing.

use fanwire::limits::RESOLVESPEC_ANSWER_BYTES_MAX;
use fanwire::limits::SUBSCRIPTIONS_MAX;
use fanwire::shard::Settings;

use crate::scene;
use crate::scene::Client;
use crate::support::tables;
use crate::support::world::World;
use crate::support::world::roomy;

fn world(settings: Settings) -> World {
    let settings = tables::with_tables(settings, &tables::schema(scene::TABLES), 2);
    let mut world = World::new(2, &settings);
    tables::join(&mut world, &settings);
    world
}

const SUBSCRIBE: &str =
    r#"{"id":"s","type":"subscription","operation":"subscribe","entity":"users"}"#;

#[test]
fn a_thousand_subscriptions_are_as_many_as_there_may_be() {
    let mut world = world(roomy());
    let mut greedy = Client::open(&mut world, 0, "", 1 << 22);
    let mut victim = Client::open(&mut world, 1, "", 1 << 22);
    victim.ask(&mut world, SUBSCRIBE);
    let mut ids = std::collections::BTreeSet::new();
    for index in 0..1_000 {
        if index % 50 == 0 {
            world.advance(1_000);
        }
        let told = greedy.ask(&mut world, SUBSCRIBE);
        if told[0]["success"] == true {
            ids.insert(told[0]["data"]["subscription_id"].as_str().unwrap().to_owned());
        } else {
            assert_eq!(told[0]["error"]["code"], "invalid_subscription", "{told:?}");
        }
    }
    assert_eq!(ids.len(), SUBSCRIPTIONS_MAX, "each has an id of its own");
    victim.request(&mut world, r#""operation":"create","entity":"users","data":{"name":"Ada"}"#);
    assert_eq!(greedy.told(&mut world).len(), SUBSCRIPTIONS_MAX, "each is told");
}

#[test]
fn an_answer_that_is_too_large_is_refused_and_what_follows_is_answered() {
    let mut world = world(roomy());
    let mut client = Client::open(&mut world, 0, "", 1 << 24);
    let name = "x".repeat(100 * 1024);
    let count = RESOLVESPEC_ANSWER_BYTES_MAX / name.len() + 2;
    for _ in 0..count {
        let create = format!(r#""operation":"create","entity":"users","data":{{"name":"{name}"}}"#);
        assert_eq!(client.request(&mut world, &create)["success"], true);
        world.tick();
    }
    let read = client.request(&mut world, r#""operation":"read","entity":"users""#);
    let message = read["error"]["message"].as_str().unwrap();
    assert!(message.contains("ask for fewer rows with `limit`"), "{message}");
    let read = r#""operation":"read","entity":"users","options":{"limit":5}"#;
    let read = client.request(&mut world, read);
    assert_eq!(read["data"].as_array().unwrap().len(), 5, "several pages are one answer");
    assert_eq!(read["metadata"]["total"], count);
    assert_eq!(read["metadata"]["count"], 5);
}

#[test]
fn who_does_not_read_loses_notifications_and_no_answer_and_harms_nobody() {
    let mut world = world(Settings { outbox_bytes_max: 1 << 16, ..roomy() });
    let mut slow = Client::open(&mut world, 0, "", 512);
    let mut victim = Client::open(&mut world, 1, "", 1 << 24);
    slow.say(&mut world, SUBSCRIBE);
    world.settle();
    let mut heard = slow.told(&mut world);
    victim.ask(&mut world, SUBSCRIBE);
    for index in 0..2_000 {
        if index == 1_000 {
            slow.say(&mut world, r#"{"id":"late","type":"ping"}"#);
        }
        let create = format!(
            r#"{{"id":"c","type":"request","operation":"create","entity":"users","data":{{"name":"{index}"}}}}"#
        );
        assert_eq!(victim.ask(&mut world, &create).len(), 2, "an answer and a notification");
        world.advance(10);
        world.tick();
    }
    assert!(world.is_open(slow.wire), "it is not let go of");
    for _ in 0..2_000 {
        let told = slow.told(&mut world);
        let is_over = told.is_empty();
        heard.extend(told);
        world.settle();
        if is_over && heard.iter().any(|told| told["type"] == "pong") {
            break;
        }
    }
    assert!(heard.iter().any(|told| told["id"] == "late"), "it is answered");
    let notifications = heard.iter().filter(|told| told["type"] == "notification").count();
    assert!((1..2_000).contains(&notifications), "the oldest were lost: {notifications}");
}
