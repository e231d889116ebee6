//! A client's words to tables and back, on two shards, with whoever has the tables in virtual time.

use std::sync::Arc;

use fanwire::config::Config;
use fanwire::dialect;
use fanwire::dialect::Views;
use fanwire::server::Server;
use fanwire::shard::Access;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;
use fanwire::shard::Tables;
use fanwire::tables::keeper::Keeper;

use crate::shelf;
use crate::support::fits::with_tokens;
use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::frames::masked;
use crate::support::keys;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::party::Manner;
use crate::support::world::party::Party;
use crate::support::world::roomy;

const SHARDS: u16 = 2;

const TABLES: &str = r#"
[[table]]
name = "users"
columns = ["id int key generated", "name text required", "team text", "age int", "worth decimal"]
relations = ["posts many posts user_id id"]

[[table]]
name = "posts"
columns = ["id int key generated", "user_id int required", "title text"]
relations = ["user one users id user_id"]

[[table]]
name = "seen"
columns = ["id text key", "at time", "n int"]
from = ["feed/*"]
writes = false
"#;

fn settings(text: &str) -> Settings {
    let config = Config::parse(text, std::path::Path::new("fanwire.toml")).unwrap();
    let schema = Server::shard_settings(&config, SHARDS).unwrap().tables.schema;
    let protocols = [dialect::PROTOCOLS, &[&shelf::PROTOCOL]].concat();
    let tables = Tables { schema, party: Some(PartyId(SHARDS)) };
    Settings { views: Arc::new(Views::new(&protocols)), tables, ..roomy() }
}

/// Whoever has the tables, whose answers take so long.
fn keeper(settings: &Settings, takes_ms: u64) -> Party {
    let homes = settings.homes(SHARDS);
    let mut keeper = Keeper::new(settings.tables.schema.clone(), 1 << 22);
    Party::new(
        Manner { takes_ms, ..Manner::default() },
        |_| 0,
        move |message| {
            let Mesh::Tables(ask) = message else { panic!("{message:?} is said to somebody else") };
            let mut out = Vec::new();
            keeper.hear(ask, &mut out);
            out.into_iter().map(|outcome| fanwire::backend::addressed(outcome, &homes)).collect()
        },
    )
}

struct Client {
    wire: Wire,
    reader: Reader,
}

struct Scene(World);

impl Scene {
    fn new(takes_ms: u64, settings: &Settings) -> Self {
        let mut world = World::new(SHARDS, settings);
        assert_eq!(world.join(keeper(settings, takes_ms)), PartyId(SHARDS));
        Self(world)
    }

    fn open(&mut self, shard: usize, path: &str, capacity: usize) -> Client {
        let wire = self.0.open(shard, capacity);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        self.0.say(wire, request.as_bytes());
        self.0.settle();
        let head = String::from_utf8(self.0.read(wire, usize::MAX)).unwrap();
        assert!(head.starts_with("HTTP/1.1 101") && head.ends_with("\r\n\r\n"), "{head}");
        Client { wire, reader: Reader::new(false) }
    }

    fn say(&mut self, client: &Client, text: &str) {
        self.0.say(client.wire, &masked(1, text.as_bytes()));
    }

    /// What a client has been told when nothing is on its way any more.
    fn told(&mut self, client: &mut Client) -> Vec<String> {
        self.0.settle();
        let bytes = self.0.read(client.wire, usize::MAX);
        client.reader.push(&bytes);
        let frames = std::iter::from_fn(|| client.reader.next());
        frames
            .map(|frame| match frame {
                Frame::Text(text) => text,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn ask(&mut self, client: &mut Client, text: &str) -> Vec<String> {
        self.say(client, text);
        self.told(client)
    }
}

#[test]
fn rows_are_written_read_and_heard() {
    let mut scene = Scene::new(0, &settings(TABLES));
    let mut ada = scene.open(0, "/shelf", 1 << 20);
    let mut bob = scene.open(1, "/shelf", 1 << 20);
    assert_eq!(scene.ask(&mut ada, "want tables/users"), ["wanted tables/users"]);
    assert_eq!(scene.ask(&mut bob, "want tables/**"), ["wanted tables/**"]);
    let row = r#"{"id":1,"name":"Ada","team":null,"age":36,"worth":9007199254740993.10}"#;
    let kept = row.replace(".10}", ".1}");
    let heard = format!("heard tables/users create 1 {kept}");
    assert_eq!(scene.ask(&mut ada, &format!("create users {row}")), ["Created", &heard]);
    assert_eq!(scene.told(&mut bob), [heard]);
    let told = scene.ask(&mut bob, r#"create users {"name":"Bob"}"#);
    assert_eq!(told[0], "Created");
    assert!(told[1].starts_with(r#"heard tables/users create 2 {"id":2,"name":"Bob""#), "{told:?}");
    scene.ask(&mut bob, r#"create posts {"user_id":1,"title":"Notes"}"#);
    scene.told(&mut ada);
    assert_eq!(
        scene.ask(&mut ada, r#"read users [["age","gt",30]] posts"#),
        [
            &format!(
                r#"row {},"posts":[{{"id":1,"user_id":1,"title":"Notes"}}]}}"#,
                kept.trim_end_matches('}')
            ),
            "end 1 of 1"
        ]
    );
    assert_eq!(
        scene.ask(&mut ada, r#"update users 2 {"age":7}"#),
        [
            "Updated",
            r#"heard tables/users upsert 2 {"id":2,"name":"Bob","team":null,"age":7,"worth":null}"#
        ]
    );
    assert_eq!(
        scene.ask(&mut ada, "delete users 2"),
        ["Deleted", r#"heard tables/users delete 2 {"id":2}"#]
    );
    assert_eq!(scene.ask(&mut ada, "delete users 2"), ["NotThere"]);
}

#[test]
fn what_is_wrong_is_said_and_changes_nothing() {
    let mut scene = Scene::new(0, &settings(TABLES));
    let mut ada = scene.open(0, "/shelf", 1 << 20);
    for (said, answer) in [
        (r#"create users {"id":1}"#, "failed bad_value: name: it has no value"),
        (r#"create users {"name":null}"#, "failed bad_value: name: it may not be null"),
        (r#"create users {"name":"a","x":1}"#, "failed unknown_column: x: there is no such column"),
        (
            r#"create users {"name":"a","age":1.5}"#,
            "failed bad_value: age: it must be a whole number, and is a number with a fraction",
        ),
        (
            r#"create users {"name":"a","age":9223372036854775808}"#,
            "failed bad_value: age: it does not fit 64 bits",
        ),
        (
            r#"create users {"name":"a\u0000"}"#,
            "failed bad_value: name: a text may not hold U+0000",
        ),
        (r#"create seen {"id":"a"}"#, "failed read_only: seen: this table is only read"),
        (r#"update users 9 {"age":1}"#, "failed not_found: there is no such row"),
        (r#"read nothing []"#, "failed unknown_table: nothing: there is no such table"),
        (
            r#"say tables/users {"id":1}"#,
            r#"Published(Barred { topic: TopicName("tables/users"), refusal: Refusal { code: Forbidden, field: Some("topic"), message: "publishing to this topic is not allowed" } })"#,
        ),
    ] {
        assert_eq!(scene.ask(&mut ada, said), [answer], "{said}");
    }
    assert_eq!(scene.ask(&mut ada, "read users []"), ["end 0 of 0"]);
}

#[test]
fn events_of_a_topic_become_rows() {
    let mut scene = Scene::new(0, &settings(TABLES));
    let mut ada = scene.open(0, "/shelf", 1 << 20);
    scene.ask(&mut ada, "want tables/seen");
    for event in [
        r#"{"id":"a","n":1,"more":[]}"#,
        r#"{"id":"b","n":"x"}"#,
        r#"{"n":3}"#,
        r#"{"id":"a","n":2}"#,
    ] {
        scene.ask(&mut ada, &format!("say feed/one {event}"));
    }
    assert_eq!(
        scene.ask(&mut ada, "read seen []"),
        [r#"row {"id":"a","at":null,"n":2}"#, "end 1 of 1"]
    );
}

/// Whoever says several things at once is answered in their order, however slow the tables are, and nothing else waits for them.
#[test]
fn answers_come_in_the_order_of_the_questions() {
    let mut scene = Scene::new(50, &settings(TABLES));
    let mut ada = scene.open(0, "/shelf", 1 << 20);
    let mut bob = scene.open(0, "/shelf", 1 << 20);
    for text in [
        r#"create users {"name":"a"}"#,
        "read users []",
        "say x {}",
        "delete users 1",
        "read users []",
    ] {
        scene.say(&ada, text);
    }
    scene.ask(&mut bob, "want x");
    assert!(scene.ask(&mut bob, r#"say x {"n":1}"#).len() == 2, "nobody else waits");
    let mut told = Vec::new();
    for _ in 0..10 {
        scene.0.advance(50);
        told.extend(scene.told(&mut ada));
    }
    let words: Vec<&str> = told.iter().map(|said| said.split(['(', '{']).next().unwrap()).collect();
    assert_eq!(
        words,
        ["Created", "row ", "end 1 of 1", "Published", "Deleted", "end 0 of 0"],
        "{told:?}"
    );
}

/// Whoever does not read is not read to: pages wait where they are, and whoever leaves is forgotten.
#[test]
fn a_long_answer_comes_as_its_client_reads() {
    let mut scene = Scene::new(0, &settings(TABLES));
    let mut ada = scene.open(0, "/shelf", 1 << 20);
    let title = "x".repeat(4_000);
    for id in 0..300 {
        scene.say(&ada, &format!(r#"create posts {{"user_id":{id},"title":"{title}"}}"#));
        assert_eq!(scene.told(&mut ada), ["Created"]);
        scene.0.advance(20);
    }
    let mut slow = scene.open(1, "/shelf", 64 * 1024);
    scene.say(&slow, "read posts []");
    scene.0.settle();
    let before = scene.0.parties[0].heard;
    scene.0.settle();
    assert_eq!(scene.0.parties[0].heard, before, "no page is asked for that is not read");
    let mut rows = 0;
    loop {
        let told = scene.told(&mut slow);
        rows += told.iter().filter(|said| said.starts_with("row ")).count();
        if told.last().is_some_and(|said| said == "end 300 of 300") {
            break;
        }
        assert!(!told.is_empty(), "it goes on while it is read");
    }
    assert_eq!(rows, 300);
    scene.say(&slow, "read posts []");
    scene.0.settle();
    let heard = scene.0.parties[0].heard;
    scene.0.vanish(slow.wire);
    scene.0.settle();
    assert_eq!(scene.0.parties[0].heard, heard + 1, "that it has gone is said once");
}

/// A token's topics and forced filters hold for rows, preloaded and counted ones, too, and for what is written.
#[test]
fn nobody_reads_or_writes_rows_that_a_token_excludes() {
    let mut access = Access { verifier: Some(Arc::new(keys::verifier(&[]))), ..Access::default() };
    access.keys = None;
    let settings = Settings { access: Arc::new(access), ..settings(TABLES) };
    let mut scene = Scene::new(0, &settings);
    let open = |scene: &mut Scene, claims: &str| {
        let token = with_tokens(&format!("«{claims}»"));
        scene.open(0, &format!("/shelf?token={token}"), 1 << 20)
    };
    let mut all = open(
        &mut scene,
        r#"{"sub":"root","exp":3000,"fanwire":{"subscribe":["**"],"publish":["**"]}}"#,
    );
    for (name, team) in [("Ada", "red"), ("Bob", "blue"), ("Cid", "red")] {
        scene.ask(&mut all, &format!(r#"create users {{"name":"{name}","team":"{team}"}}"#));
    }
    for user in 1..=3 {
        scene.ask(&mut all, &format!(r#"create posts {{"user_id":{user},"title":"t"}}"#));
    }
    let mut red = open(
        &mut scene,
        r#"{"sub":"red","exp":3000,"fanwire":{"subscribe":["tables/users"],"publish":["tables/users"],"filter":"team = \"red\""}}"#,
    );
    let told = scene.ask(&mut red, r#"read users [["id","gte",0]]"#);
    assert_eq!(told.last().unwrap(), "end 2 of 2", "{told:?}");
    assert!(told.iter().all(|said| !said.contains("Bob")), "{told:?}");
    for (said, answer) in [
        ("read posts []", "failed forbidden: posts: reading this table is not allowed"),
        ("read users [] posts", "failed forbidden: posts: reading this table is not allowed"),
        (
            r#"create posts {"user_id":1}"#,
            "failed forbidden: posts: writing to this table is not allowed",
        ),
        (
            r#"create users {"name":"Eve","team":"blue"}"#,
            "failed forbidden: this row is beyond what may be written",
        ),
        (
            r#"update users 1 {"team":"blue"}"#,
            "failed forbidden: this row is beyond what may be written",
        ),
        (r#"update users 2 {"team":"red"}"#, "failed not_found: there is no such row"),
        ("delete users 2", "NotThere"),
    ] {
        assert_eq!(scene.ask(&mut red, said), [answer], "{said}");
    }
    let told = scene.ask(&mut all, "read users []");
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(
        told[0].contains(r#""team":"red""#) && told[1].contains(r#""team":"blue""#),
        "{told:?}"
    );
}
