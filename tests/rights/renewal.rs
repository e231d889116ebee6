//! What waits for a client is confined by the token that it has when it is told: held by a rate, in a batch that is still open, in its outbox, or on
//! a page of the past.
//!
//! A client subscribes in every way there is, reads as slowly as it likes, and then shows a narrower token: behind the answer stands nothing that this
//! one excludes, and subscriptions that it does not cover are said to have ended, where the dialect has a word for that. Then its token is revoked, or
//! runs out, and nothing comes behind that. So in each dialect that takes a token on an open connection, the native one and Provisioning; what happens to
//! what waits when a token is lost in the others is in `losing.rs`. Seeds are printed on failure.

use std::sync::Arc;

use fanwire::auth::AdminSecret;
use fanwire::auth::Algorithm;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::shard::Access;
use fanwire::shard::Settings;

use crate::clients;
use crate::clients::ADMIN;
use crate::clients::revoke;
use crate::clients::upgrade;
use crate::support::fits::SECRET;
use crate::support::fits::with_tokens;
use crate::support::frames::text;
use crate::support::random::Random;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

const SEEDS: u64 = 400;
const WIDE: &str =
    r#"«{"sub":"eve","jti":"wide","exp":900,"fanwire":{"subscribe":["fleet/**","other"]}}»"#;
const NARROW: &str = r#"«{"sub":"eve","jti":"narrow","exp":600,"fanwire":{"subscribe":["fleet/a"],"filter":"area = \"north\""}}»"#;

const SUBSCRIPTIONS: [&str; 8] = [
    r##"{"type":"subscribe","id":#,"topics":["fleet/*"]}"##,
    r##"{"type":"subscribe","id":#,"topics":["fleet/*"],"max_rate":{"per":"key","hz":1}}"##,
    r##"{"type":"subscribe","id":#,"topics":["fleet/**"],"max_rate":{"per":"subscription","hz":1},"leave":true,"filter":"n < 20"}"##,
    r##"{"type":"subscribe","id":#,"topics":["fleet/a","fleet/b"],"batch":{"max_events":100,"max_delay_ms":9000}}"##,
    r##"{"type":"subscribe","id":#,"topics":["fleet/*"],"since":"earliest","slow":"drop_oldest"}"##,
    r##"{"type":"subscribe","id":#,"topics":["fleet/*"],"since":"last","leave":true}"##,
    r##"{"type":"subscribe","id":#,"topics":["fleet/b"],"slow":"latest_per_key"}"##,
    r##"{"type":"subscribe","id":#,"topics":["other"],"since":{"time_us":1}}"##,
];

/// A dialect that takes tokens on an open connection.
struct Dialect {
    name: &'static str,
    /// The target of its WebSocket, without the token.
    targets: &'static [&'static str],
    /// What a client subscribes with; `#` becomes its number.
    subscribe: &'static [&'static str],
    /// How it shows a token, and what then answers it, if need be to a question behind it.
    auth: &'static [&'static str],
    answered: &'static str,
    /// What says that a subscription has ended; `None`: what is not permitted is left out in silence.
    ended: Option<&'static str>,
}

const DIALECTS: [Dialect; 2] = [
    Dialect {
        name: "native",
        targets: &["/v1/ws?"],
        subscribe: &SUBSCRIPTIONS,
        auth: &[r#"{"type":"auth","id":1,"token":"TOKEN"}"#],
        answered: r#""type":"authenticated""#,
        ended: Some(r#""reason":"token"}"#),
    },
    Dialect {
        name: "Provisioning",
        targets: &[
            "/pv/ws?since=2020-01-01T00:00:00Z&",
            "/pv/ws?batch_size=50&",
            "/pv/ws?events=fleet/a,fleet/b,other&batch_size=3&since=2020-01-01T00:00:00Z&",
        ],
        subscribe: &[
            r#"{"type":"subscribe","events":["fleet/a","fleet/b"],"filters":{"since":"2020-01-01T00:00:00Z"}}"#,
            r#"{"type":"subscribe","events":["other"]}"#,
            r#"{"type":"subscribe","events":["fleet/b"],"filters":{"area":["south"]}}"#,
            r#"{"type":"subscribe","filters":{"since":"2020-01-01T00:00:00Z"}}"#,
        ],
        auth: &[r#"{"type":"auth","token":"TOKEN"}"#, r#"{"type":"ping"}"#],
        answered: r#"{"type":"pong"}"#,
        ended: None,
    },
];

fn settings() -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let keys = KeySet::new(vec![key]).unwrap();
    let verifier = Verifier::new(keys, TokenRules::default(), Mapping::default()).unwrap();
    let mut access = Access { verifier: Some(Arc::new(verifier)), ..Access::default() };
    access.admin = Some(Arc::new(AdminSecret::new(ADMIN.as_bytes()).unwrap()));
    Settings { access: Arc::new(access), ..roomy() }
}

struct Case {
    dialect: &'static Dialect,
    random: Random,
    world: World,
    published: usize,
    wire: Wire,
    heard: Vec<u8>,
}

impl Case {
    fn new(seed: u64, dialect: &'static Dialect) -> Self {
        let mut random = Random::new(seed);
        let shard_count = 1 + u16::try_from(seed % 3).unwrap();
        let mut world = World::new(shard_count, &settings());
        let shard = random.below(usize::from(shard_count));
        let capacity = [400, 4_000, 1 << 20][random.below(3)];
        let wire = world.open(shard, capacity);
        Self { dialect, random, world, published: 0, wire, heard: Vec::new() }
    }

    /// Events say in a word whether the narrow token lets them be heard.
    fn publish(&mut self) {
        let topic = ["fleet/a", "fleet/b", "other"][self.random.below(3)];
        let area = ["north", "south"][self.random.below(2)];
        let word = if topic == "fleet/a" && area == "north" { "GRANTED" } else { "EXCLUDED" };
        let body = format!(
            r#"{{"area":"{area}","n":{},"word":"{word}","pad":"{}"}}"#,
            self.published,
            "x".repeat(self.random.below(200))
        );
        self.published += 1;
        let request = format!(
            "POST /v1/publish/{topic} HTTP/1.1\r\nHost: x\r\nFanwire-Key: k{}\r\nContent-Length: {}\r\n\r\n{body}",
            self.random.below(3),
            body.len()
        );
        let shard = self.random.below(self.world.shards.len());
        let wire = self.world.open(shard, 1 << 20);
        self.world.say(wire, request.as_bytes());
        self.world.settle();
        self.world.vanish(wire);
    }

    fn say(&mut self, message: &str) {
        self.world.say(self.wire, &text(message));
    }

    fn subscribe(&mut self, id: usize) {
        let subscribe = *self.random.pick(self.dialect.subscribe);
        self.say(&subscribe.replace('#', &id.to_string()));
    }

    fn pass(&mut self, ms: u64) {
        self.world.advance(ms);
        self.world.tick();
        self.world.settle();
    }

    fn read(&mut self, count: usize) -> bool {
        clients::read(&mut self.world, self.wire, count, &mut self.heard)
    }

    fn read_all(&mut self) {
        while self.read(1 << 20) {}
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }
}

/// What came behind these words, and how many of the words that name an event are in it.
fn behind<'t>(text: &'t str, words: &str) -> &'t str {
    text.split_once(words).unwrap_or_else(|| panic!("no {words}: {text}")).1
}

fn run(seed: u64, dialect: &'static Dialect) -> (usize, usize) {
    let mut case = Case::new(seed, dialect);
    let target = *case.random.pick(dialect.targets);
    case.world.say(case.wire, &upgrade(target, WIDE));
    for _ in 0..case.random.below(12) {
        case.publish();
    }
    for id in 0..1 + case.random.below(4) {
        case.subscribe(id);
        for _ in 0..case.random.below(12) {
            case.publish();
        }
        if case.random.below(2) == 0 {
            case.read(300);
        }
    }
    // Some pages may be on their way just now.
    if case.random.below(2) == 0 {
        case.subscribe(9);
        case.world.work(case.wire.shard);
    }
    for said in dialect.auth {
        case.say(&said.replace("TOKEN", &with_tokens(NARROW)));
    }
    let revokes = case.random.below(2) == 0;
    for _ in 0..20 {
        case.publish();
        if case.random.below(3) == 0 {
            case.read(300);
        }
    }
    // Windows and batches end.
    for _ in 0..100 {
        case.read(300);
        case.pass(100);
    }
    case.read_all();
    let text = case.text();
    let after = behind(&text, dialect.answered);
    assert!(!after.contains("EXCLUDED"), "{after}");
    let named = |name: &str| after.matches(&format!(r#""topic":"{name}""#)).count();
    assert_eq!(named("fleet/b") + named("other"), 0, "{after}");
    let ended = dialect.ended.map_or(0, |word| text.matches(word).count());
    let granted = after.matches("GRANTED").count();
    end(&mut case, revokes);
    (granted, ended)
}

/// Another end of the token: nothing comes behind it.
fn end(case: &mut Case, revokes: bool) {
    let before = case.heard.len();
    if revokes {
        let shard = case.random.below(case.world.shards.len());
        revoke(&mut case.world, shard, r#"{"jti":"narrow"}"#);
    } else {
        case.pass(700_000);
        for _ in 0..20 {
            case.pass(100);
        }
    }
    for _ in 0..5 {
        case.publish();
    }
    case.read_all();
    let last = String::from_utf8_lossy(&case.heard[before..]).into_owned();
    let words = if revokes { "token revoked" } else { "token expired" };
    assert!(
        !behind(&last, words).contains("EVENT") && !behind(&last, words).contains("word"),
        "{last}"
    );
}

/// What is granted was heard, and how many subscriptions ended, over all seeds.
fn run_all(dialect: &'static Dialect) -> (usize, usize) {
    let (mut granted, mut ended) = (0, 0);
    for seed in 0..SEEDS {
        let outcome = std::panic::catch_unwind(|| run(seed, dialect));
        let (events, ends) = outcome.unwrap_or_else(|panic| {
            eprintln!("{}, seed {seed}", dialect.name);
            std::panic::resume_unwind(panic)
        });
        granted += events;
        ended += ends;
    }
    (granted, ended)
}

#[test]
fn what_waits_is_confined_by_the_token_that_was_shown() {
    for dialect in &DIALECTS {
        let (granted, ended) = run_all(dialect);
        assert!(granted > 500, "{}: what is granted is heard: {granted}", dialect.name);
        let has_word = dialect.ended.is_some();
        assert!(ended > 100 || !has_word, "{}: subscriptions end: {ended}", dialect.name);
    }
}

/// A client of the native dialect that has said this, and of whom so many long events have been told or wait; it has read nothing of them.
fn who_waits(subscribe: &str, events: usize) -> Case {
    let mut case = Case::new(0, &DIALECTS[0]);
    case.wire = case.world.open(0, 4_000);
    case.world.say(case.wire, &upgrade("/v1/ws?", WIDE));
    case.say(subscribe);
    case.read_all();
    for number in 0..events {
        let (area, word) = [("north", "GRANTED"), ("south", "EXCLUDED")][number % 2];
        let body = format!(r#"{{"area":"{area}","word":"{word}","pad":"{}"}}"#, "x".repeat(3_000));
        let head = format!(
            "POST /v1/publish/fleet/a HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let wire = case.world.open(0, 1 << 20);
        case.world.say(wire, (head + &body).as_bytes());
        // It is told, or waits, before the token is shown.
        case.world.settle();
    }
    case.say(&DIALECTS[0].auth[0].replace("TOKEN", &with_tokens(NARROW)));
    case.pass(20_000);
    case.read_all();
    case
}

#[test]
fn what_an_outbox_holds_is_confined_before_the_token_is_answered_too() {
    let heard = who_waits(r#"{"type":"subscribe","id":1,"topics":["fleet/a"]}"#, 200).text();
    let count = |word: &str| heard.matches(word).count();
    assert!(count("GRANTED") == 100, "{}", count("GRANTED"));
    // What was bytes by then: a chunk of 64 KiB, and what the socket had taken.
    assert!(count("EXCLUDED") <= 30, "{}", count("EXCLUDED"));
}

#[test]
fn what_an_open_batch_holds_is_confined() {
    let subscribe = r#"{"type":"subscribe","id":1,"topics":["fleet/a"],"batch":{"max_events":1000,"max_delay_ms":9000}}"#;
    let heard = who_waits(subscribe, 20).text();
    assert_eq!(heard.matches("GRANTED").count(), 10, "{heard}");
    assert_eq!(heard.matches("EXCLUDED").count(), 0, "{heard}");
}
