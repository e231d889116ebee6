//! What was decided holds within 50 ms, however much there is to tell: revocations, keys, admissions, answers.
//!
//! Time is virtual, and work takes some of it: a core whose data lane never runs empty goes through its turns, and something is decided
//! elsewhere at the worst moment, right after the core has looked at its inbox. On a core with one lane each of these takes seconds.

use std::sync::Arc;

use bytes::Bytes;
use fanwire::auth::AdminSecret;
use fanwire::event::Event;
use fanwire::event::Fields;
use fanwire::event::Op;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::home_of;
use fanwire::shard::Access;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;

use crate::support::fits::with_tokens;
use crate::support::keys;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// Microseconds within which what was decided holds.
const SOON_US: u64 = 50_000;
/// Runs that are on their way to the busy core at any time, and events in each.
const RUNS: usize = 1_000;
const RUN_EVENTS: u64 = 256;
/// Subscribers of the busy core that hear everything.
const SUBSCRIBERS: usize = 20;
const ADMIN: &str = "0123456789abcdef0123456789abcdef";

fn settings() -> Settings {
    let mut access = Access { verifier: Some(Arc::new(keys::verifier(&[]))), ..Access::default() };
    access.admin = Some(Arc::new(AdminSecret::new(ADMIN.as_bytes()).unwrap()));
    access.keys = Some(PartyId(2));
    access.limits.user_connections = 10_000;
    Settings { access: Arc::new(access), ..roomy() }
}

/// A topic whose home is that shard.
fn topic_of(home: u16) -> TopicName {
    let names = (0..).map(|n| TopicName::new(&format!("t{n}")).unwrap());
    names.into_iter().find(|name| home_of(name, 2) == ShardId(home)).unwrap()
}

/// A core that has more to tell than it can, and one that has nothing to do.
struct Busy {
    world: World,
    busy: usize,
    /// A topic of the idle core, and a run of its events.
    topic: TopicName,
    run: Vec<Arc<Event>>,
    readers: Vec<Wire>,
}

impl Busy {
    fn new(busy: usize) -> Self {
        let idle = u16::try_from(1 - busy).unwrap();
        let world = World::new(2, &settings());
        let topic = topic_of(idle);
        let event = |offset| Event {
            topic: topic.clone(),
            key: Arc::from("k"),
            op: Op::Event,
            home: fanwire::event::HomeId(idle),
            offset,
            previous: offset - 1,
            time_us: offset,
            payload: Bytes::from_static(br#"{"altitude":31000,"callsign":"SWR86"}"#),
            fields: Fields::default(),
            before: None,
            meta: None,
        };
        let run = (1..=RUN_EVENTS).map(|offset| Arc::new(event(offset))).collect();
        let mut this = Self { world, busy, topic, run, readers: Vec::new() };
        for _ in 0..SUBSCRIBERS {
            let wire = this.connect(busy, r#"«{"sub":"ada","jti":"other","exp":3000}»"#);
            this.readers.push(wire);
        }
        this.world.settle();
        // So that some turns have gone by, and every queue is as full as it gets.
        for _ in 0..3 {
            this.turn(|_| {});
        }
        this
    }

    /// A subscriber of everything.
    fn connect(&mut self, shard: usize, token: &str) -> Wire {
        let wire = self.world.open(shard, usize::MAX);
        let token = with_tokens(token);
        let request = format!(
            "GET /v1/ws?topic=**&token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.world.say(wire, request.as_bytes());
        wire
    }

    fn fill(&mut self) {
        let idle = 1 - self.busy;
        while self.world.underway(idle, self.busy) < RUNS {
            let run = self.run.iter().map(Arc::clone).collect();
            self.world.tell(idle, self.busy, Mesh::Events(run));
        }
    }

    /// One turn of the busy core: it looks at its inbox, something is decided elsewhere, and it tells what has arrived.
    fn turn(&mut self, decided: impl FnOnce(&mut World)) {
        self.fill();
        self.world.take_in(self.busy);
        decided(&mut self.world);
        self.settle_idle();
        let took_us = self.world.work(self.busy);
        self.world.advance_us(took_us.max(1));
        self.world.deliver_parties();
        self.settle_idle();
        for reader in &self.readers {
            self.world.read(*reader, usize::MAX);
        }
    }

    /// The idle core does what it is told as soon as it is.
    fn settle_idle(&mut self) {
        let idle = 1 - self.busy;
        while self.world.take_in(idle) {
            self.world.work(idle);
        }
        self.world.work(idle);
    }

    /// Turns until that is so; how long it takes from the first one on, in microseconds.
    fn until(
        &mut self,
        decided: impl FnOnce(&mut World),
        mut holds: impl FnMut(&mut World) -> bool,
    ) -> u64 {
        let began_us = self.world.now.wall_us;
        self.turn(decided);
        while !holds(&mut self.world) {
            let took_us = self.world.now.wall_us - began_us;
            assert!(took_us < 60_000_000, "it does not hold after a minute");
            self.turn(|_| {});
        }
        self.world.now.wall_us - began_us
    }
}

fn says(world: &mut World, wire: Wire, words: &str) -> bool {
    let text = world.read(wire, usize::MAX);
    text.windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn a_revocation() {
    let mut busy = Busy::new(1);
    let victim = busy.connect(1, r#"«{"sub":"eve","jti":"t1","exp":3000}»"#);
    busy.until(|_| {}, |world| says(world, victim, r#""type":"event""#));
    let admin = busy.world.open(0, 1 << 20);
    let took_us = busy.until(
        |world| world.say(admin, &revocation("t1")),
        |world| says(world, victim, "token revoked"),
    );
    assert!(took_us <= SOON_US, "{took_us} us");
    assert!(says(&mut busy.world, admin, r#"{"revoked":true}"#));
    busy.turn(|_| {});
    assert!(!says(&mut busy.world, victim, "event"), "it hears nothing after that");
}

/// The request that has a token revoked.
fn revocation(jti: &str) -> Vec<u8> {
    let body = format!(r#"{{"jti":"{jti}"}}"#);
    let head = format!(
        "POST /v1/admin/revoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

#[test]
fn a_revocation_does_not_wait_behind_what_others_publish() {
    let mut world = World::new(1, &settings());
    let token = with_tokens(r#"«{"sub":"eve","exp":3000,"fanwire":{"publish":["**"]}}»"#);
    let publishers: Vec<Wire> = (0..6).map(|_| world.open(0, 1 << 24)).collect();
    for publisher in publishers {
        let head = format!(
            "GET /v1/ws?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        world.say(publisher, head.as_bytes());
        for number in 0..12 {
            let payload = serde_json::json!({"p": "x".repeat(300_000)});
            let message = serde_json::json!({"type": "publish", "id": number, "topic": "t", "payload": payload});
            world.say(publisher, &crate::support::frames::text(&message.to_string()));
        }
    }
    let admin = world.open(0, 1 << 20);
    world.say(admin, &revocation("t1"));
    world.work(0);
    assert!(says(&mut world, admin, r#"{"revoked":true}"#), "it was not carried out in this turn");
}

/// How many events were published by a client whose token is revoked after the first turn, and how many of them after that.
fn published_around_a_revocation(shards: u16, publisher_at: usize, said: &[u8]) -> (u64, u64) {
    let mut settings = settings();
    let mut access = Access::clone(&settings.access);
    access.limits.publish = fanwire::auth::Rate::per_second(1_000_000);
    settings.access = Arc::new(access);
    let mut world = World::new(shards, &settings);
    let publisher = world.open(publisher_at, 1 << 24);
    world.say(publisher, said);
    let published =
        |world: &World| -> u64 { world.shards.iter().map(|shard| shard.stats().published).sum() };
    world.work(publisher_at);
    let admin = world.open(publisher_at, 1 << 20);
    world.say(admin, &revocation("t1"));
    let before = published(&world);
    for _ in 0..20 {
        world.advance(100);
        world.tick();
        world.settle();
    }
    assert!(says(&mut world, admin, r#"{"revoked":true}"#));
    assert!(!world.is_open(publisher) || says(&mut world, publisher, "revoked"));
    (before, published(&world) - before)
}

const REVOKED: &str = r#"«{"sub":"eve","jti":"t1","exp":3000,"fanwire":{"publish":["**"]}}»"#;

/// Messages that wait for their turn, for there are more than one takes.
#[test]
fn what_a_revoked_client_said_and_was_not_published_yet_is_not_published() {
    let token = with_tokens(REVOKED);
    let mut said = format!(
        "GET /v1/ws?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    for number in 0..12 {
        let payload = serde_json::json!({"p": "x".repeat(300_000)});
        let message =
            serde_json::json!({"type": "publish", "id": number, "topic": "t", "payload": payload});
        said.extend(crate::support::frames::text(&message.to_string()));
    }
    let (before, after) = published_around_a_revocation(1, 0, &said);
    assert!(before > 0 && before < 12, "{before} were published in the first turn");
    assert_eq!(after, 0, "published after it was revoked");
}

/// Lines of an upload that wait, likewise.
#[test]
fn what_a_revoked_client_uploads_and_was_not_published_yet_is_not_published() {
    let token = with_tokens(REVOKED);
    let line = format!("{{\"p\":\"{}\"}}\n", "x".repeat(300_000));
    let body = line.repeat(12);
    let said = format!(
        "POST /v1/publish/t HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (before, after) = published_around_a_revocation(1, 0, said.as_bytes());
    assert!(before > 0 && before < 12, "{before} were published in the first turn");
    assert_eq!(after, 0, "published after it was revoked");
}

/// Drafts for which another shard has been asked how much their publisher may publish.
#[test]
fn what_a_revoked_client_may_publish_only_once_another_shard_says_so_is_not_published() {
    let token = with_tokens(REVOKED);
    let mut said = format!(
        "GET /v1/ws?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes();
    let message = serde_json::json!({"type": "publish", "id": 1, "topic": topic_of(1).as_str(), "payload": {}});
    said.extend(crate::support::frames::text(&message.to_string()));
    let (before, after) = published_around_a_revocation(2, 1, &said);
    assert_eq!((before, after), (0, 0), "published though it was revoked meanwhile");
}

#[test]
fn a_thousand_revocations() {
    let mut busy = Busy::new(1);
    let victim = busy.connect(1, r#"«{"sub":"eve","jti":"t999","exp":3000}»"#);
    busy.until(|_| {}, |world| says(world, victim, r#""type":"event""#));
    let revoke = |world: &mut World| {
        for number in 0..1_000 {
            let what = fanwire::auth::Revoke::Token { jti: format!("t{number}").into() };
            world.tell(0, 1, Mesh::Revoke(Box::new(what)));
        }
    };
    let took_us = busy.until(revoke, |world| says(world, victim, "token revoked"));
    assert!(took_us <= SOON_US, "{took_us} us");
}

#[test]
fn a_new_key() {
    let mut busy = Busy::new(1);
    let keeper = keys::keeper(2);
    assert_eq!(busy.world.join(keeper), PartyId(2));
    let token = keys::token_of_second(&busy.world);
    let first = busy.connect(1, &token);
    busy.until(|_| {}, |world| says(world, first, "HTTP/1.1 401 "));
    // It comes again, as it was asked to, and is known.
    let began_us = busy.world.now.wall_us;
    loop {
        let again = busy.connect(1, &token);
        let mut text = Vec::new();
        while text.is_empty() {
            busy.turn(|_| {});
            text = busy.world.read(again, usize::MAX);
        }
        if text.starts_with(b"HTTP/1.1 101 ") {
            break;
        }
        let took_us = busy.world.now.wall_us - began_us;
        assert!(took_us <= SOON_US, "{took_us} us");
    }
}

#[test]
fn an_admission() {
    // The core that counts connections is the busy one.
    let mut busy = Busy::new(0);
    let newcomer = busy.world.open(1, 1 << 20);
    let token = with_tokens(r#"«{"sub":"eve","exp":3000}»"#);
    let request = format!("GET /v1/sse?topic=other&token={token} HTTP/1.1\r\nHost: x\r\n\r\n");
    let took_us = busy.until(
        |world| world.say(newcomer, request.as_bytes()),
        |world| says(world, newcomer, "HTTP/1.1 200 "),
    );
    assert!(took_us <= SOON_US, "{took_us} us");
}

#[test]
fn an_answer_to_a_publisher() {
    let mut busy = Busy::new(1);
    // The publisher is on the busy core, and the idle one is the home of its topic.
    let publisher = busy.world.open(1, 1 << 20);
    let token = with_tokens(r#"«{"sub":"eve","exp":3000,"fanwire":{"publish":["**"]}}»"#);
    let request = format!(
        "POST /v1/publish/{} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 7\r\n\r\n{{\"x\":1}}",
        busy.topic
    );
    let took_us = busy.until(
        |world| world.say(publisher, request.as_bytes()),
        |world| says(world, publisher, "HTTP/1.1 200 "),
    );
    assert!(took_us <= SOON_US, "{took_us} us");
}

#[test]
fn a_publisher_is_answered_before_it_hears_its_event() {
    let mut world = World::new(2, &roomy());
    let wire = world.open(0, 1 << 20);
    world.say(wire, b"GET /v1/ws?topic=** HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    world.settle();
    world.read(wire, usize::MAX);
    let message = serde_json::json!({"type": "publish", "id": 7, "topic": topic_of(1).as_str(), "payload": {"x": 1}});
    world.say(wire, &crate::support::frames::text(&message.to_string()));
    world.work(0);
    // Whatever is taken first of what has come.
    world.take_in(1);
    world.work(1);
    world.take_in(0);
    world.work(0);
    let text = String::from_utf8_lossy(&world.read(wire, usize::MAX)).into_owned();
    let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("no {words}: {text}"));
    assert!(at(r#""type":"published""#) < at(r#""type":"event""#), "{text}");
}
