//! What filters may take: an event's work is bounded whoever asks for what, and whoever asks for too much is told so and pays alone.
//!
//! Work is counted in steps, so nothing here depends on how fast the machine is.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use fanwire::auth::Algorithm;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::limits::FILTER_COST_MAX;
use fanwire::limits::FILTER_EVENT_STEPS_MAX;
use fanwire::limits::FILTER_REFUSED_STEPS;
use fanwire::limits::FILTER_SECOND_STEPS_MAX;
use fanwire::limits::SUBSCRIPTIONS_MAX;
use fanwire::shard::Access;
use fanwire::shard::Settings;

use crate::support::asking;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::fits::SECRET;
use crate::support::fits::with_tokens;
use crate::support::frames;
use crate::support::tables;
use crate::support::world::World;
use crate::support::world::roomy;

/// A pattern that takes four steps a character of a text of `a`s, and finds nothing in it; no two are alike.
fn dear(number: usize) -> String {
    format!("a ilike '%{}b{number}%'", "_a".repeat(100))
}

/// As dear as a filter may be.
fn dearest(number: usize) -> String {
    let filter = (0..14).map(|part| dear(number * 14 + part)).collect::<Vec<_>>().join(" or ");
    let cost = fanwire::matcher::Filter::parse_text(&filter).unwrap().cost();
    assert!(FILTER_COST_MAX * 9 / 10 < cost, "{cost}");
    filter
}

struct Scene {
    world: World,
    publisher: Client,
    attacker: Client,
    /// Has a plain filter on the same topic.
    other: Client,
}

impl Scene {
    fn new() -> Self {
        let mut world = World::new(1, &roomy());
        let mut connect = || Client::connect(&mut world, 0, 1 << 30, false);
        let (publisher, attacker, other) = (connect(), connect(), connect());
        let mut scene = Self { world, publisher, attacker, other };
        let wish = json!({"type": "subscribe", "id": "o", "topics": ["t"], "filter": "n > 0"});
        scene.other.say(&mut scene.world, &wish);
        scene.settle();
        scene
    }

    fn subscribe(&mut self, id: usize, filter: &str) {
        let wish = json!({"type": "subscribe", "id": id, "topics": ["t"], "filter": filter});
        self.attacker.say(&mut self.world, &wish);
    }

    fn publish(&mut self, payload: &Value) {
        let event = json!({"type": "publish", "id": 1, "topic": "t", "payload": payload});
        self.publisher.say(&mut self.world, &event);
        self.settle();
    }

    fn settle(&mut self) {
        self.world.settle();
        for client in [&mut self.publisher, &mut self.attacker, &mut self.other] {
            client.read(&mut self.world, usize::MAX);
        }
        self.world.settle();
    }

    fn steps(&self) -> u64 {
        self.world.shards[0].stats().filter_steps
    }

    fn is_attacker_closed(&self) -> bool {
        self.attacker.told.contains(&Told::Close(Some(1008)))
    }

    /// Events that the other subscriber has been told of.
    fn heard(&self) -> usize {
        self.other.told.iter().filter(|told| matches!(told, Told::Event(_))).count()
    }

    fn refusals(&self) -> Vec<&str> {
        let errors = self.attacker.told.iter().filter_map(|told| match told {
            Told::Other(message) if message["type"] == "error" => message["message"].as_str(),
            _ => None,
        });
        errors.collect()
    }
}

/// One connection with 64 subscriptions, each with 60 such patterns, and one event: every subscriber of the core once waited 22 s.
#[test]
fn filters_that_cost_too_much_are_refused() {
    let mut scene = Scene::new();
    let filter = (0..60).map(dear).collect::<Vec<_>>().join(" or ");
    for id in 0..16 {
        scene.subscribe(id, &filter);
    }
    scene.settle();
    assert_eq!(scene.refusals().len(), 16);
    assert!(scene.refusals()[0].starts_with("filter costs 6"), "{}", scene.refusals()[0]);
    scene.publish(&json!({"a": "a".repeat(1000), "n": 1}));
    assert!(scene.steps() <= 10, "{} steps", scene.steps());
    assert_eq!(scene.heard(), 1);
}

/// The same as dear as they may be: the event that is too much is the last one.
#[test]
fn who_asks_for_too_much_of_one_event_is_told_and_pays_alone() {
    let mut scene = Scene::new();
    for id in 0..SUBSCRIPTIONS_MAX {
        scene.subscribe(id, &dearest(id));
        scene.world.advance(100);
    }
    scene.settle();
    assert_eq!(scene.refusals(), Vec::<&str>::new());
    scene.publish(&json!({"a": "a".repeat(1000), "n": 1}));
    assert!(!scene.is_attacker_closed(), "an event of usual size is within what it may");
    let usual = scene.steps();
    assert!(usual <= FILTER_EVENT_STEPS_MAX, "{usual} steps");
    scene.world.advance(1000);
    scene.publish(&json!({"a": "a".repeat(100_000), "n": 2}));
    assert!(scene.is_attacker_closed(), "{:?}", scene.attacker.told.last());
    let most = FILTER_EVENT_STEPS_MAX + 15 * 4 * 100_000;
    assert!(scene.steps() - usual <= most, "{} steps", scene.steps() - usual);
    assert_eq!(scene.heard(), 2, "the other subscriber is told, and stays");
    let before = scene.steps();
    scene.publish(&json!({"a": "a".repeat(100_000), "n": 3}));
    assert!(scene.steps() - before <= 10, "nothing is left of it");
    assert_eq!(scene.heard(), 3);
    assert_eq!(scene.world.shards[0].stats().filter_work_disconnects, 1);
}

#[test]
fn who_asks_for_too_much_in_a_second_is_told_and_pays_alone() {
    let mut scene = Scene::new();
    for id in 0..8 {
        scene.subscribe(id, &dearest(id));
        scene.world.advance(1000);
    }
    scene.settle();
    let payload = |n: usize| json!({"a": "a".repeat(5000), "n": n + 1});
    scene.publish(&payload(0));
    let each = scene.steps();
    let fitting = usize::try_from(FILTER_SECOND_STEPS_MAX / each).unwrap();
    // At that rate it may go on for ever.
    for second in 0..2 {
        scene.world.advance(1000);
        for n in 0..fitting - 1 {
            scene.publish(&payload(n));
        }
        assert!(!scene.is_attacker_closed(), "second {second}");
    }
    let before = scene.steps();
    scene.world.advance(1000);
    for n in 0..fitting + 3 {
        scene.publish(&payload(n));
    }
    assert!(scene.is_attacker_closed());
    let taken = scene.steps() - before;
    assert!(taken <= FILTER_SECOND_STEPS_MAX + 2 * each, "{taken} steps");
    assert_eq!(
        scene.heard(),
        1 + 2 * (fitting - 1) + fitting + 3,
        "the other is told of everything"
    );
}

/// An event stream has no close code, so it is told before it ends.
#[test]
fn an_event_stream_is_told_why_it_ends() {
    let mut scene = Scene::new();
    let stream = scene.world.open(0, 1 << 30);
    let filter = dearest(0).replace('%', "%25").replace(' ', "%20");
    let request = format!("GET /v1/sse?topic=t&filter={filter} HTTP/1.1\r\nHost: t\r\n\r\n");
    scene.world.say(stream, request.as_bytes());
    scene.settle();
    scene.publish(&json!({"a": "a".repeat(100_000), "n": 1}));
    let told = String::from_utf8(scene.world.read(stream, usize::MAX)).unwrap();
    let end = told.split_once("event: error").map(|(_, end)| end);
    assert!(
        end.is_some_and(|end| end.contains("rate_limited") && end.contains("filter_work")),
        "{told}"
    );
    scene.settle();
    assert!(!scene.world.is_open(stream));
    assert_eq!(scene.heard(), 1);
}

/// Changing its subscriptions gives a connection nothing.
#[test]
fn what_was_spent_stays_spent_when_subscriptions_change() {
    let mut scene = Scene::new();
    scene.subscribe(0, &dearest(0));
    scene.settle();
    let mut published = 0;
    scene.publish(&json!({"a": "a".repeat(10_000), "n": 1}));
    let each = scene.steps();
    for id in 1.. {
        scene.attacker.say(&mut scene.world, &json!({"type": "unsubscribe", "id": id - 1}));
        scene.subscribe(id, &dearest(id % 3));
        scene.settle();
        if scene.is_attacker_closed() {
            break;
        }
        scene.publish(&json!({"a": "a".repeat(10_000), "n": 1}));
        published += 1;
        assert!(published * each <= FILTER_SECOND_STEPS_MAX + 2 * each, "{published} events");
    }
    assert!(published * each > FILTER_SECOND_STEPS_MAX / 2, "{published} events of {each} steps");
}

/// Who has a popular filter pays a share of it, and who has another none.
#[test]
fn those_who_have_the_same_filter_share_its_cost() {
    let mut scene = Scene::new();
    let mut alike: Vec<Client> = (0..100)
        .map(|n| {
            let client = Client::connect(&mut scene.world, 0, 1 << 30, false);
            for (id, filter) in [(0, dearest(0)), (1, format!("n = {n}"))] {
                let wish =
                    json!({"type": "subscribe", "id": id, "topics": ["t"], "filter": filter});
                client.say(&mut scene.world, &wish);
            }
            client
        })
        .collect();
    scene.settle();
    let each = {
        scene.publish(&json!({"a": "a".repeat(10_000), "n": 1}));
        scene.steps()
    };
    // Twice as often as one could afford alone.
    for _ in 0..2 * FILTER_SECOND_STEPS_MAX / each {
        scene.publish(&json!({"a": "a".repeat(10_000), "n": 1}));
    }
    for client in &mut alike {
        client.read(&mut scene.world, usize::MAX);
        assert!(!client.told.contains(&Told::Close(Some(1008))));
    }
}

/// Refused filters take from the same budget, so a client that says little else is closed.
#[test]
fn refused_filters_are_paid_for() {
    let mut scene = Scene::new();
    let dear_to_read = format!("a =~ '{}' and", "a?".repeat(1000));
    let most = usize::try_from(FILTER_SECOND_STEPS_MAX / FILTER_REFUSED_STEPS).unwrap();
    for id in 0..most {
        scene.subscribe(id, &dear_to_read);
    }
    scene.settle();
    assert_eq!(scene.refusals().len(), most);
    assert!(!scene.is_attacker_closed());
    scene.subscribe(most, &dear_to_read);
    scene.settle();
    assert!(scene.is_attacker_closed());
}

/// A replay's filter may take long: it waits, and is told all of the past in the end.
#[test]
fn a_replay_waits_for_its_filters_and_loses_nothing() {
    let mut scene = Scene::new();
    // Many pages, for the last two of them are told before they are paid for.
    let events = 3000;
    for n in 0..events {
        let text = if n % 10 == 0 { "b0" } else { "a" };
        scene.publish(&json!({"a": format!("{}{text}", "a".repeat(1000)), "n": 1}));
    }
    let filter = dearest(0);
    let wish = json!({"type": "subscribe", "id": 0, "topics": ["t"], "filter": filter, "since": "earliest"});
    scene.attacker.say(&mut scene.world, &wish);
    scene.settle();
    let is_live =
        |scene: &Scene| scene.attacker.told.iter().any(|told| matches!(told, Told::Live { .. }));
    let mut waited_ms = 0;
    while !is_live(&scene) {
        assert!(waited_ms < 10_000, "it goes on");
        scene.world.advance(10);
        scene.settle();
        waited_ms += 10;
    }
    let told = scene.attacker.told.iter().filter(|told| matches!(told, Told::Event(_))).count();
    assert_eq!(told, events / 10);
    let steps = events as u64 * 14 * 4 * 1000;
    let least_ms = (steps * 1000 / FILTER_SECOND_STEPS_MAX) as usize;
    assert!(waited_ms * 10 > least_ms * 8, "it waited for {waited_ms} ms, not {least_ms}");
    assert!(!scene.is_attacker_closed());
}

/// What a token forces on a client is looked at apart if it does not fit into one filter with the client's own: that work is the client's, too.
#[test]
fn what_a_token_forces_is_paid_for_when_it_is_looked_at_apart() {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let keys = KeySet::new(vec![key]).unwrap();
    let verifier = Verifier::new(keys, TokenRules::default(), Mapping::default()).unwrap();
    let access = Access { verifier: Some(Arc::new(verifier)), ..Access::default() };
    let mut world = World::new(1, &Settings { access: Arc::new(access), ..roomy() });
    let mut join = |claims: &Value| {
        let wire = world.open(0, 1 << 30);
        let token = with_tokens(&format!("«{claims}»"));
        asking::upgrade(&mut world, wire, &format!("/v1/ws?token={token}"), false);
        wire
    };
    let forced = dearest(0);
    let viewer = join(
        &json!({"sub": "eve", "exp": 3000, "fanwire": {"subscribe": ["t"], "filter": forced}}),
    );
    let publisher = join(&json!({"sub": "ada", "exp": 3000, "fanwire": {"publish": ["t"]}}));
    // So many tests that both together are more than a filter may have.
    let own = (0..250).map(|n| format!("n >= {n}")).collect::<Vec<_>>().join(" or ");
    let wish = json!({"type": "subscribe", "id": 1, "topics": ["t"], "filter": own});
    world.say(viewer, &frames::text(&wish.to_string()));
    world.settle();
    let before = world.shards[0].stats().filter_steps;
    let event = json!({"type": "publish", "id": 1, "topic": "t", "payload": {"n": 1, "a": "a".repeat(60_000)}});
    let mut events = 0;
    while world.is_open(viewer) && events < 100 {
        events += 1;
        world.say(publisher, &frames::text(&event.to_string()));
        world.settle();
        if String::from_utf8_lossy(&world.read(viewer, usize::MAX)).contains("filter_work") {
            break;
        }
    }
    let steps = world.shards[0].stats().filter_steps - before;
    assert!(steps > FILTER_SECOND_STEPS_MAX, "{events} events, {steps} steps");
    assert!(steps < FILTER_SECOND_STEPS_MAX + 2 * FILTER_EVENT_STEPS_MAX, "{steps} steps");
    assert!(events < 100, "it is closed");
}

/// The same in the other dialects: what was read and made of a filter that is then refused, or passed over, is paid for by its client.
#[test]
fn refused_filters_are_paid_for_in_every_dialect() {
    let texts: Vec<String> = (0..100).map(|n| format!("\"{n}{}\"", "x".repeat(1000))).collect();
    let branches: Vec<String> = (0..200).map(|n| format!(r#"{{"id":{{"opt":[{n}]}}}}"#)).collect();
    let entry =
        |id: usize| format!(r#"{{"id":{id},"table":"t","filters":[{}]}}"#, branches.join(","));
    let entries: Vec<String> = (0..100).map(entry).collect();
    let cases = [
        (
            "/pv/ws",
            format!(r#"{{"type":"subscribe","events":["a"],"filters":{{"n":[{}]}}}}"#, texts.join(",")),
        ),
        ("/hb/ws", r#"{"type":"subscribe","topics":["re:a","re:("]}"#.to_owned()),
        (
            "/rs/ws",
            r#"{"id":"s","type":"subscription","operation":"subscribe","entity":"t","options":{"filters":[{"column":"nope","operator":"eq","value":1}]}}"#.to_owned(),
        ),
        ("/rt", format!(r#"{{"subscribe":[{}]}}"#, entries.join(","))),
    ];
    let mut settings = tables::with_tables(roomy(), &tables::schema(TABLE), 1);
    assert!(Arc::make_mut(&mut settings.views).set("hyperbeam", "regex_topics", 1));
    for (path, message) in cases {
        let mut world = World::new(1, &settings);
        tables::join(&mut world, &settings);
        let wire = world.open(0, 1 << 22);
        asking::upgrade(&mut world, wire, path, false);
        let mut said = 0;
        while world.is_open(wire) && said < 50 {
            world.say(wire, &frames::text(&message));
            world.settle();
            said += 1;
            if String::from_utf8_lossy(&world.read(wire, usize::MAX)).contains("filter_work") {
                break;
            }
        }
        assert!((2..50).contains(&said), "{path}: {said} messages");
    }
}

const TABLE: &str = r#"
[[table]]
name = "t"
columns = ["id int key"]
"#;
