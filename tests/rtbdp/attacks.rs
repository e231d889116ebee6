//! What one client can do to the others: nothing.

use fanwire::limits::RTBDP_SUBSCRIPTIONS_MAX;
use fanwire::limits::RTBDP_TESTS_MAX;
use fanwire::shard::Settings;

use crate::dashboard::Dashboard;
use crate::dashboard::Source;
use crate::scene;
use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

fn world(settings: Settings) -> World {
    let settings = scene::with_tables(settings, &scene::schema(scene::EXAMPLE), 2);
    let mut world = World::new(2, &settings);
    scene::join(&mut world, &settings);
    world
}

fn open(world: &mut World, capacity: usize) -> Wire {
    let wire = world.open(0, capacity);
    let head = "GET /api HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    world.say(wire, head.as_bytes());
    world.settle();
    assert!(world.read(wire, usize::MAX).starts_with(b"HTTP/1.1 101"));
    wire
}

fn say(world: &mut World, wire: Wire, text: &str) {
    world.say(wire, &masked(1, text.as_bytes()));
    world.settle();
}

fn publish(world: &mut World, table: &str, rows: &[String]) {
    let body = rows.join("\n");
    let head = format!(
        "POST /v1/publish/github/{table} HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let wire = world.open(1, 1 << 16);
    world.say(wire, &[head.as_bytes(), body.as_bytes()].concat());
    world.settle();
    let answer = String::from_utf8_lossy(&world.read(wire, usize::MAX)).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    world.vanish(wire);
}

fn pass(world: &mut World) {
    world.advance(50);
    world.tick();
    world.settle();
}

/// The messages that a client has been told.
fn told(world: &mut World, wire: Wire) -> Vec<String> {
    let mut reader = crate::support::frames::Reader::new(false);
    reader.push(&world.read(wire, usize::MAX));
    std::iter::from_fn(|| reader.next())
        .map(|frame| match frame {
            crate::support::frames::Frame::Text(text) => text,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn ten_thousand_subscriptions_are_as_many_as_there_may_be() {
    let mut world = world(roomy());
    let wire = open(&mut world, 1 << 20);
    let mut victim = Dashboard::open(&mut world, 1, 1 << 20);
    world.settle();
    // Each asks for a row of its own; those beyond what one filter may test are passed over.
    for first in (0..10_000).step_by(500) {
        let all: Vec<String> = (first..first + 500)
            .map(|id| format!(r#"{{"id":{id},"table":"repos_live","filters":[{{"repo_id":{{"opt":[{id}]}}}}]}}"#))
            .collect();
        say(&mut world, wire, &format!(r#"{{"subscribe":[{}]}}"#, all.join(",")));
    }
    let rows: Vec<String> = (0..10_000)
        .step_by(10)
        .map(|id| format!(r#"{{"window_size":"5m","repo_id":{id},"num_events":1,"seq_num":{id}}}"#))
        .collect();
    publish(&mut world, "repos_live", &rows);
    pass(&mut world);
    let told = told(&mut world, wire).join("");
    assert!(told.contains(r#""repo_id":[0,10,20"#), "the first ones hold: {told}");
    assert!(!told.contains("9990") && !told.contains(&RTBDP_TESTS_MAX.to_string()), "{told}");
    // Without filters there are as many as the bound says, and all of them are one.
    let wire = open(&mut world, 1 << 20);
    let all: Vec<String> =
        (0..10_000).map(|id| format!(r#"{{"id":{id},"table":"users_live"}}"#)).collect();
    say(&mut world, wire, &format!(r#"{{"subscribe":[{}]}}"#, all.join(",")));
    let none: Vec<String> = (0..RTBDP_SUBSCRIPTIONS_MAX - 1).map(|id| id.to_string()).collect();
    say(&mut world, wire, &format!(r#"{{"unsubscribe":[{}]}}"#, none.join(",")));
    let row =
        |seq: u32| format!(r#"{{"window_size":"5m","user_id":1,"num_events":1,"seq_num":{seq}}}"#);
    publish(&mut world, "users_live", &[row(1)]);
    pass(&mut world);
    assert_eq!(self::told(&mut world, wire).len(), 1, "one is left, and a row is told once");
    say(&mut world, wire, &format!(r#"{{"unsubscribe":[{}]}}"#, RTBDP_SUBSCRIPTIONS_MAX - 1));
    publish(&mut world, "users_live", &[row(2)]);
    pass(&mut world);
    assert_eq!(self::told(&mut world, wire).len(), 0, "it was the last of those that were taken");
    assert!(victim.hear(&mut world) && victim.is_replayed);
}

#[test]
fn who_does_not_read_is_dropped_without_a_word_and_a_storm_of_replays_waits() {
    let mut world = world(Settings { outbox_bytes_max: 1 << 16, ..roomy() });
    let mut source = Source::default();
    let mut victim = Dashboard::open(&mut world, 1, 1 << 24);
    let slow = open(&mut world, 512);
    let stormer = open(&mut world, 512);
    say(&mut world, slow, r#"{"subscribe":[{"id":1,"table":"counts_ranking"}]}"#);
    let replays = vec![r#"{"id":1,"table":"counts_ranking"}"#; 200].join(",");
    for _ in 0..20 {
        say(&mut world, stormer, &format!(r#"{{"replay":[{replays}]}}"#));
    }
    for round in 0..200_usize {
        let rows = (0..10).map(|at| {
            source.set(
                ["push", "fork", "wiki"][(round + at) % 3],
                i64::try_from((at * 7 + round) % 11).unwrap(),
            )
        });
        let (live, ranked): (Vec<_>, Vec<_>) = rows.map(|[live, ranked]| (live, ranked)).unzip();
        publish(&mut world, "counts_ranking", &ranked);
        publish(&mut world, "counts_live", &live);
        pass(&mut world);
        assert!(victim.hear(&mut world));
    }
    assert!(!world.is_open(slow), "it was dropped");
    let heard = world.read(slow, usize::MAX);
    assert!(heard.len() <= 512, "it was sent what it had room for");
    assert!(world.is_open(stormer), "whoever only waits for answers loses nothing");
    assert!(world.read(stormer, usize::MAX).len() <= 512);
    let ranking: Vec<&str> = source.ranking.iter().map(|(_, kind)| &**kind).collect();
    assert_eq!(victim.ranking, ranking);
}
