//! Whoever answers hooks is slow, out of order, or dead: that costs who asked, in its own order, and nobody else.

use std::cell::RefCell;
use std::rc::Rc;

use fanwire::dialect::Hook;
use fanwire::dialect::HookTerms;
use fanwire::dialect::hook::Chain;
use fanwire::dialect::hook::Verdict;
use serde_json::Value;
use serde_json::json;

use crate::hooks::SHARDS;
use crate::hooks::create;
use crate::hooks::open;
use crate::hooks::read;
use crate::hooks::subscribe;
use crate::hooks::world;
use crate::hooks::world_of;
use crate::scene;
use crate::scene::Client;
use crate::support::hooks;
use crate::support::tables;
use crate::support::world::World;
use crate::support::world::party::Manner;
use crate::support::world::roomy;

/// What is told is told in this order.
fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter().map(|told| told["type"].as_str().unwrap()).collect()
}

#[test]
fn a_slow_hook_costs_who_asked_and_nobody_else_and_whoever_writes_is_answered_first() {
    let chain = Chain::default().on(Hook::AfterCreate, |_| Ok(Verdict::default()));
    let slow = Manner { takes_ms: 700, ..Manner::default() };
    let mut world = world_of(chain, slow, |_| {});
    let (mut writer, mut hearer) = (open(&mut world, 0), open(&mut world, 0));
    subscribe(&mut writer, &mut world, "{}");
    subscribe(&mut hearer, &mut world, "{}");
    writer.say(
        &mut world,
        r#"{"id":"w","type":"request","operation":"create","entity":"users","data":{"name":"Ada"}}"#,
    );
    writer.say(&mut world, r#"{"id":"p","type":"ping"}"#);
    world.settle();
    // The row is there, and others hear of it and are answered; the writer is told nothing before its answer.
    assert_eq!(kinds(&hearer.told(&mut world)), ["notification"]);
    assert_eq!(read(&mut hearer, &mut world, "{}")["metadata"]["count"], 1);
    assert!(writer.told(&mut world).is_empty());
    world.advance(699);
    world.settle();
    assert!(writer.told(&mut world).is_empty());
    world.advance(1);
    world.settle();
    assert_eq!(kinds(&writer.told(&mut world)), ["response", "notification", "pong"]);
}

#[test]
fn a_hook_that_never_answers_holds_one_client_and_lets_it_go() {
    let chain = Chain::default().on(Hook::BeforeRead, |_| Ok(Verdict::default()));
    let dead = Manner { dies_after: Some(0), ..Manner::default() };
    let mut world = world_of(chain, dead, |_| {});
    let (mut asker, mut other) = (open(&mut world, 0), open(&mut world, 0));
    let said = r#"{"id":"r","type":"request","operation":"read","entity":"users"}"#;
    asker.say(&mut world, said);
    asker.say(&mut world, r#"{"id":"p","type":"ping"}"#);
    world.settle();
    assert!(asker.told(&mut world).is_empty(), "its own message waits, and what it said behind it");
    assert_eq!(create(&mut other, &mut world, &json!({"name": "Ada"}))["success"], true);
    world.vanish(asker.wire);
    world.settle();
    assert_eq!(other.ask(&mut world, r#"{"id":"p","type":"ping"}"#)[0]["type"], "pong");
}

#[test]
fn answers_stay_in_the_order_of_the_requests_however_hooks_dawdle() {
    let dawdling = Rc::new(RefCell::new(0_u64));
    let chain = Hook::ALL
        .into_iter()
        .fold(Chain::default(), |chain, hook| chain.on(hook, |_| Ok(Verdict::default())));
    let manner = Manner { takes_ms: 3, reorders: true, ..Manner::default() };
    let settings = tables::with_tables(roomy(), &tables::schema(scene::TABLES), SHARDS);
    let settings = hooks::with_hooks(settings, &chain, SHARDS + 1);
    let mut world = World::new(SHARDS, &settings);
    tables::join(&mut world, &settings);
    let count = Rc::clone(&dawdling);
    world.join(hooks::answerer(chain, manner, move |below| {
        *count.borrow_mut() += 1;
        usize::try_from(*count.borrow() * 7 % below.max(1) as u64).unwrap()
    }));
    let mut clients: Vec<Client> =
        (0..4).map(|index| open(&mut world, index % usize::from(SHARDS))).collect();
    for _ in 0..20 {
        world.advance(5);
        world.settle();
    }
    for client in &mut clients {
        for id in 0..12 {
            let what = match id % 3 {
                0 => r#""operation":"create","entity":"users","data":{"name":"n"}"#,
                1 => r#""operation":"read","entity":"users","options":{"limit":1}"#,
                _ => r#""operation":"meta","entity":"users""#,
            };
            client.say(&mut world, &format!(r#"{{"id":"{id}","type":"request",{what}}}"#));
        }
    }
    for _ in 0..600 {
        world.advance(1);
        world.settle();
    }
    for client in &mut clients {
        let told = client.told(&mut world);
        let ids: Vec<&str> = told.iter().map(|told| told["id"].as_str().unwrap()).collect();
        let expected: Vec<String> = (0..12).map(|id| id.to_string()).collect();
        assert_eq!(ids, expected);
        assert!(told.iter().all(|told| told["success"] == true), "{told:?}");
    }
}

#[test]
fn terms_ask_nothing_that_nobody_answers() {
    assert!(HookTerms::default().asked.is_empty());
    let mut world = world(Chain::default());
    let mut client = open(&mut world, 0);
    assert_eq!(read(&mut client, &mut world, "{}")["success"], true);
}

#[test]
fn whoever_writes_is_answered_first_over_mqtt_too() {
    let chain = Chain::default()
        .on(Hook::AfterCreate, |_| Ok(Verdict::default()))
        .on(Hook::AfterSubscribe, |_| Ok(Verdict::default()));
    let slow = Manner { takes_ms: 70, ..Manner::default() };
    let mut world = world_of(chain, slow, |_| {});
    let mut writer = Client::publishing(&mut world, 0, ("v5", 1), "", 1 << 20);
    subscribe(&mut writer, &mut world, "{}");
    world.advance(70);
    world.settle();
    let said = r#"{"id":"w","type":"request","operation":"create","entity":"users","data":{"name":"Ada"}}"#;
    assert!(writer.ask(&mut world, said).is_empty(), "its answer is first, and is not known");
    world.advance(70);
    world.settle();
    assert_eq!(kinds(&writer.told(&mut world)), ["response", "notification"]);
    assert_eq!(read(&mut writer, &mut world, "{}")["metadata"]["count"], 1, "and it goes on");
}
