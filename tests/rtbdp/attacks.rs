//! What one client can do to the others: nothing.

use fanwire::limits::RTBDP_SUBSCRIPTIONS_MAX;
use fanwire::limits::RTBDP_TESTS_MAX;
use fanwire::shard::Settings;

use crate::dashboard::Dashboard;
use crate::dashboard::Source;
use crate::scene;
use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::frames::masked;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

fn world(settings: Settings) -> World {
    world_of(scene::EXAMPLE, settings)
}

fn world_of(tables: &str, settings: Settings) -> World {
    let settings = scene::with_tables(settings, &scene::schema(tables), 2);
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
    let mut reader = Reader::new(false);
    reader.push(&world.read(wire, usize::MAX));
    std::iter::from_fn(|| reader.next())
        .map(|frame| match frame {
            Frame::Text(text) => text,
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

/// A message as a client might have meant it, and then some of it is something else.
fn any_message(random: &mut Random) -> Vec<u8> {
    const PARTS: [&str; 24] = [
        r#"{"subscribe":["#,
        r#"{"replay":["#,
        r#"],"replay":["#,
        r#"],"unsubscribe":[1,2]}"#,
        r#"{"id":1,"table":"counts_live"}"#,
        r#"{"id":2,"table":"events","filters":[{"kind":{"opt":["push"]}}],"limit":3}"#,
        r#","#,
        r#"]}"#,
        "null",
        r#"{"id":-9223372036854775808}"#,
        r#"{"table":"counts_ranking","filters":[{"row_number":{"start":0,"end":9223372036854775807}}]}"#,
        r#""\ud800""#,
        r#"{"opt":[1,null]}"#,
        r#"{"id":3,"table":"repos","filters":[{"reponame":{"substr":"\u0000%_\\"}}]}"#,
        "[",
        "{",
        "}",
        "\u{0}",
        "1e999",
        r#""filters":"#,
        r#"{"id":4,"table":"repos","filters":[{"reponame":{"start":"\u0000","end":"z"},"id":{"opt":[1]}}],"limit":0}"#,
        "true",
        "-0",
        r#"{"id":0,"table":"trending_ranking"}"#,
    ];
    let mut text: Vec<u8> =
        (0..1 + random.below(8)).flat_map(|_| random.pick(&PARTS).bytes()).collect();
    if random.one_in(3) {
        let at = random.below(text.len());
        text[at] = u8::try_from(random.below(128)).unwrap();
    }
    text
}

#[test]
fn whatever_is_said_the_connection_lives_on_and_hears_what_it_may() {
    seeds::hold(0..20, |seed| {
        let mut random = Random::new(seed);
        let mut world = world(roomy());
        let wire = open(&mut world, 1 << 24);
        for row in 0..20 {
            let row = format!(
                r#"{{"window_size":"5m","kind":"k{row}","num_events":{row},"seq_num":{row}}}"#
            );
            publish(&mut world, "counts_live", &[row]);
        }
        for _ in 0..300 {
            let text = any_message(&mut random);
            world.say(wire, &masked(if random.one_in(5) { 2 } else { 1 }, &text));
            pass(&mut world);
            for message in told(&mut world, wire) {
                let message: serde_json::Value = serde_json::from_str(&message).expect("JSON");
                assert!(message.get("replayed").is_some() || message.get("table").is_some());
            }
            assert!(world.is_open(wire), "{}", String::from_utf8_lossy(&text));
        }
        say(&mut world, wire, r#"{"replay":[{"id":77,"table":"counts_live"}]}"#);
        let said = told(&mut world, wire);
        assert_eq!(said.last().map(String::as_str), Some(r#"{"replayed":77}"#), "{said:?}");
    });
}

//= rtbdp#4.1
//= type=test
//# messages **< 64 bytes are sent uncompressed**
#[test]
fn what_is_small_is_sent_as_it_is_and_what_is_not_is_deflated() {
    let table = "[[table]]\nname = \"t\"\ncolumns = [\"id int key\", \"seq_num int\", \"s text\"]\nfrom = [\"github/t\"]\n";
    let mut world = world_of(table, roomy());
    let wire = world.open(0, 1 << 20);
    let head = "GET /api HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10, permessage-deflate\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    world.say(wire, head.as_bytes());
    world.settle();
    let answer = String::from_utf8(world.read(wire, usize::MAX)).unwrap();
    let agreed = "sec-websocket-extensions: permessage-deflate; client_no_context_takeover\r\n";
    assert!(answer.contains(agreed), "the second offer is taken: {answer}");
    say(&mut world, wire, r#"{"subscribe":[{"id":1,"table":"t"}]}"#);
    let mut reader = Reader::new(true);
    for (bytes, deflated) in [(63, 0), (64, 1), (63, 1), (65, 2)] {
        let text = "x".repeat(bytes - r#"{"table":"t","row":{"id":1,"seq_num":1,"s":""}}"#.len());
        let row = format!(r#"{{"id":1,"seq_num":1,"s":"{text}"}}"#);
        publish(&mut world, "t", std::slice::from_ref(&row));
        pass(&mut world);
        reader.push(&world.read(wire, usize::MAX));
        let said = format!(r#"{{"table":"t","row":{row}}}"#);
        assert_eq!(said.len(), bytes);
        assert_eq!(reader.next(), Some(Frame::Text(said)));
        assert_eq!(reader.deflated, deflated, "{bytes} bytes");
    }
    // One that is sent in pieces is a message like any other.
    let row = format!(r#"{{"id":1,"seq_num":1,"s":"{}"}}"#, "x".repeat(40_000));
    publish(&mut world, "t", std::slice::from_ref(&row));
    pass(&mut world);
    reader.push(&world.read(wire, usize::MAX));
    let said = format!(r#"{{"table":"t","row":{row}}}"#);
    assert_eq!(reader.next(), Some(Frame::Text(said)));
}
