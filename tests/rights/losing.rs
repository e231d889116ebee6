//! Behind the end of a token comes nothing of what waited for its client, in any dialect: not what a batch gathers, what a client has not
//! acknowledged, what lies in an outbox, on a page of the past, or on a page of a table's answer.
//!
//! Where a dialect takes no token on an open connection, a revocation is all that narrows what its client may hear (`renewal.rs` has the others).
//! Clients subscribe in every way that their dialect has, read all or little, and then their token is revoked, or runs out. Who has read everything
//! so far hears no event more; who is behind is sent the rest of what had begun to be sent, and nothing else. Seeds are printed on failure.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::auth::AdminSecret;
use fanwire::auth::Algorithm;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::Rate;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::limits::SOLO_CHUNK_BYTES;
use fanwire::shard::Access;
use fanwire::shard::Port;
use fanwire::shard::Settings;

use crate::clients;
use crate::clients::ADMIN;
use crate::clients::revoke;
use crate::clients::upgrade;
use crate::support::fits::SECRET;
use crate::support::fits::with_tokens;
use crate::support::frames::masked;
use crate::support::mqtt;
use crate::support::random::Random;
use crate::support::tables;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

const SEEDS: u64 = 24;
const HERS: &str = r#"«{"sub":"eve","exp":600,"fanwire":{"subscribe":["fleet/**","tables/**"]}}»"#;
const OTHERS: &str =
    r#"«{"sub":"root","exp":3000,"fanwire":{"subscribe":["**"],"publish":["**"]}}»"#;

const TABLES: &str = r#"
[[table]]
name = "t"
columns = ["id int key generated", "word text", "pad text"]
"#;

/// How a client comes, and what it says then.
enum Opens {
    Socket(&'static str),
    Stream(&'static str),
    Call,
    /// Packets; its first one is CONNECT.
    Mqtt,
}

struct Dialect {
    name: &'static str,
    opens: Opens,
    says: &'static [&'static str],
    /// It hears rows of the table, and not events of topics.
    has_tables: bool,
}

const fn of(name: &'static str, opens: Opens, says: &'static [&'static str]) -> Dialect {
    Dialect { name, opens, says, has_tables: false }
}

const DIALECTS: [Dialect; 15] = [
    of(
        "native, held by a rate",
        Opens::Socket("/v1/ws?"),
        &[
            r#"{"type":"subscribe","id":1,"topics":["fleet/*"],"max_rate":{"per":"subscription","hz":1}}"#,
        ],
    ),
    of(
        "native, in a batch",
        Opens::Socket("/v1/ws?"),
        &[
            r#"{"type":"subscribe","id":1,"topics":["fleet/*"],"batch":{"max_events":100,"max_delay_ms":9000}}"#,
        ],
    ),
    of(
        "native, the past",
        Opens::Socket("/v1/ws?"),
        &[r#"{"type":"subscribe","id":1,"topics":["fleet/*"],"since":"earliest"}"#],
    ),
    of(
        "native, the past at a pace",
        Opens::Socket("/v1/ws?"),
        &[r#"{"type":"subscribe","id":1,"topics":["fleet/*"],"since":{"time_us":1},"speed":2}"#],
    ),
    of("an event stream", Opens::Stream("/v1/sse?topic=fleet/*&since=earliest&"), &[]),
    of("an event stream in batches", Opens::Stream("/v1/sse?topic=fleet/*&batch=100/9000&"), &[]),
    of("peat-node", Opens::Socket("/ws/subscribe?snapshot=all&"), &[r#"{"collections":[]}"#]),
    of("peat-node's stream", Opens::Stream("/sse/subscribe?snapshot=all&"), &[]),
    of("peat-node's call", Opens::Call, &[]),
    of("HyperBEAM", Opens::Socket("/hb/ws?topic=fleet/a,fleet/b&"), &[]),
    of(
        "Provisioning",
        Opens::Socket("/pv/ws?batch_size=1000&since=2020-01-01T00:00:00Z&"),
        &[r#"{"type":"subscribe","events":["fleet/b"]}"#],
    ),
    of("MQTT", Opens::Mqtt, &["subscribe 1 fleet/#=0"]),
    of("MQTT, not acknowledged", Opens::Mqtt, &["subscribe 1 fleet/a=1 fleet/b=2"]),
    Dialect {
        name: "ResolveSpec",
        opens: Opens::Socket("/rs/ws?"),
        says: &[
            r#"{"id":"s","type":"subscription","operation":"subscribe","entity":"t"}"#,
            r#"{"id":"r","type":"request","operation":"read","entity":"t"}"#,
        ],
        has_tables: true,
    },
    Dialect {
        name: "rtbdp",
        opens: Opens::Socket("/rt?"),
        says: &[r#"{"subscribe":[{"id":1,"table":"t"}],"replay":[{"id":2,"table":"t"}]}"#],
        has_tables: true,
    },
];

fn settings(shard_count: u16) -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let verifier =
        Verifier::new(KeySet::new(vec![key]).unwrap(), TokenRules::default(), Mapping::default());
    let mut access = Access { verifier: Some(Arc::new(verifier.unwrap())), ..Access::default() };
    access.admin = Some(Arc::new(AdminSecret::new(ADMIN.as_bytes()).unwrap()));
    access.limits.messages = Rate::per_second(10_000);
    let settings = Settings { access: Arc::new(access), ..roomy() };
    tables::with_tables(settings, &tables::schema(TABLES), shard_count)
}

struct Case {
    dialect: &'static Dialect,
    random: Random,
    world: World,
    published: usize,
    /// Of somebody who may write to the table.
    writer: Wire,
    wire: Wire,
    mqtt: mqtt::Client,
    heard: Vec<u8>,
}

impl Case {
    fn new(seed: u64, dialect: &'static Dialect, capacity: usize) -> Self {
        let mut random = Random::new(seed);
        let shard_count = 1 + u16::try_from(seed % 3).unwrap();
        let settings = settings(shard_count);
        let mut world = World::new(shard_count, &settings);
        tables::join(&mut world, &settings);
        let writer = world.open(0, 1 << 24);
        world.say(writer, &upgrade("/rs/ws?", OTHERS));
        world.settle();
        let shard = random.below(usize::from(shard_count));
        let port = if let Opens::Mqtt = dialect.opens { Port::Own("mqtt") } else { Port::Shared };
        let by = (port, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let wire = world.try_open_at(shard, capacity, by).expect("there is room");
        let (mqtt, heard) = (mqtt::Client::default(), Vec::new());
        Self { dialect, random, world, published: 0, writer, wire, mqtt, heard }
    }

    /// An event, or a row, with a mark in it.
    fn publish(&mut self) {
        let mark = format!("EVENT-{}.", self.published);
        let pad = "x".repeat(1_000 + self.random.below(1_000));
        self.published += 1;
        if self.dialect.has_tables {
            let create = format!(
                r#"{{"id":"c","type":"request","operation":"create","entity":"t","data":{{"word":"{mark}","pad":"{pad}"}}}}"#
            );
            self.world.say(self.writer, &masked(1, create.as_bytes()));
            self.world.settle();
            let told = self.world.read(self.writer, usize::MAX);
            assert!(String::from_utf8_lossy(&told).contains(r#""success":true"#), "it is written");
            return;
        }
        let topic = *self.random.pick(&["fleet/a", "fleet/b"]);
        let body = format!(r#"{{"word":"{mark}","pad":"{pad}"}}"#);
        let request = format!(
            "POST /v1/publish/{topic}?token={} HTTP/1.1\r\nHost: x\r\nFanwire-Key: k{}\r\nContent-Length: {}\r\n\r\n{body}",
            with_tokens(OTHERS),
            self.random.below(3),
            body.len()
        );
        let shard = self.random.below(self.world.shards.len());
        let wire = self.world.open(shard, 1 << 20);
        self.world.say(wire, request.as_bytes());
        self.world.settle();
        let told = self.world.read(wire, usize::MAX);
        assert!(told.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&told));
        self.world.vanish(wire);
    }

    fn open(&mut self) {
        let token = with_tokens(HERS);
        let request = match self.dialect.opens {
            Opens::Socket(target) => upgrade(target, HERS),
            Opens::Stream(target) => {
                format!("GET {target}token={token} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
            }
            Opens::Call => {
                let message = br#"{"collections":["fleet/a","fleet/b"]}"#;
                let head = format!(
                    "POST /peat.sidecar.v1.PeatSidecar/Subscribe HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                     Content-Type: application/connect+json\r\nContent-Length: {}\r\n\r\n\0",
                    message.len() + 5
                );
                let length = u32::try_from(message.len()).unwrap().to_be_bytes();
                [head.as_bytes(), &length, message].concat()
            }
            Opens::Mqtt => {
                self.mqtt.written(&format!("connect v5 c clean user=u password={token}"))
            }
        };
        self.world.say(self.wire, &request);
        self.world.settle();
        for said in self.dialect.says {
            let bytes = match self.dialect.opens {
                Opens::Mqtt => self.mqtt.written(said),
                _ => masked(1, said.as_bytes()),
            };
            self.world.say(self.wire, &bytes);
        }
    }

    fn read(&mut self, count: usize) -> bool {
        clients::read(&mut self.world, self.wire, count, &mut self.heard)
    }

    fn read_all(&mut self) {
        while self.read(1 << 20) {}
    }

    /// The events whose marks were heard behind so many bytes.
    fn heard_behind(&self, bytes: usize) -> BTreeSet<usize> {
        let text = String::from_utf8_lossy(&self.heard[bytes..]).into_owned();
        let marks = text.split("EVENT-").skip(1).filter_map(|rest| rest.split_once('.'));
        marks.filter_map(|(number, _)| number.parse().ok()).collect()
    }

    fn pass(&mut self, ms: u64, times: usize) {
        for _ in 0..times {
            self.world.advance(ms);
            self.world.tick();
            self.world.settle();
        }
    }

    fn revoke(&mut self) {
        let shard = self.random.below(self.world.shards.len());
        revoke(&mut self.world, shard, r#"{"user":"eve"}"#);
    }
}

/// How many events were heard before the end.
fn run(seed: u64, dialect: &'static Dialect) -> usize {
    let is_behind = seed.is_multiple_of(2);
    let capacity = if is_behind { 4_000 } else { 1 << 24 };
    let mut case = Case::new(seed, dialect, capacity);
    for _ in 0..if is_behind { 150 } else { case.random.below(12) } {
        case.publish();
    }
    case.open();
    // Some pages may be on their way just now.
    for _ in 0..case.random.below(4) {
        case.world.work(case.wire.shard);
    }
    if !is_behind {
        case.read_all();
        for _ in 0..20 {
            case.publish();
            if case.random.one_in(3) {
                case.world.advance(10);
            }
        }
        case.read_all();
    }
    assert!(case.world.is_open(case.wire), "{}", String::from_utf8_lossy(&case.heard));
    let (before, published) = (case.heard.len(), case.published);
    let heard = case.heard_behind(0).len();
    if case.random.one_in(2) {
        case.revoke();
    } else {
        case.world.advance(700_000);
        // Each connection is looked at once a second.
        (0..10).for_each(|_| case.world.tick());
        case.world.settle();
    }
    for _ in 0..5 {
        case.publish();
    }
    for _ in 0..100 {
        case.read(2_000);
        case.pass(100, 1);
    }
    case.read_all();
    let behind = case.heard_behind(before);
    assert!(behind.iter().all(|event| *event < published), "{behind:?} of {published}");
    assert!(is_behind || behind.is_empty(), "who had read everything is told of {behind:?}");
    let bytes = case.heard.len() - before;
    assert!(bytes <= 2 * SOLO_CHUNK_BYTES, "{bytes} bytes had not begun to be sent");
    assert!(!case.world.is_open(case.wire), "it is put out");
    heard
}

#[test]
fn what_waits_is_not_told_behind_the_end_of_its_token() {
    for dialect in &DIALECTS {
        let mut heard = 0;
        for seed in 0..SEEDS {
            let outcome = std::panic::catch_unwind(|| run(seed, dialect));
            heard += outcome.unwrap_or_else(|panic| {
                eprintln!("{}, seed {seed}", dialect.name);
                std::panic::resume_unwind(panic)
            });
        }
        let holds_all = dialect.name.contains("batch") || dialect.name.contains("pace");
        assert!(heard > 8 || holds_all, "{}: {heard} events were heard before", dialect.name);
    }
}
