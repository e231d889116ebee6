//! Whatever clients of ResolveSpec and rtbdp say, byte by byte, of tables in a real SQLite with a cache in front of it: they are told what tables in memory would have told them, and nothing beyond
//! the filter that a token forces.
//!
//! Each line is said by somebody: `r` and a message by a client of ResolveSpec that may see and change all rows but the forbidden one, `f` by one that is confined, `d` by a dashboard, `!` and a JSON object is an event that becomes a
//! row. `~` is a tenth of a second.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::world::START_US;
use crate::world::Wire;
use crate::world::World;
use crate::world::party::Manner;
use crate::world::party::Party;
use crate::world::roomy;
use fanwire::auth::Algorithm;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::NewClaims;
use fanwire::auth::NewGrants;
use fanwire::auth::SigningKey;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::backend::Backend;
use fanwire::backend::CacheUse;
use fanwire::backend::Cached;
use fanwire::backend::Kept;
use fanwire::backend::addressed;
use fanwire::backend::sqlite::Sqlite;
use fanwire::backend::sqlite::Use;
use fanwire::clock::Clock;
use fanwire::config::Config;
use fanwire::conn::Doorbell;
use fanwire::server::Server;
use fanwire::shard::Access;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;
use fanwire::shard::Tables;
use fanwire::tables::Schema;
use fanwire::tables::asks::Answer;
use fanwire::tables::asks::Ask;
use fanwire::tables::keeper::Keeper;
use fanwire::tables::keeper::Outcome;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
/// Stands in a row that one of the clients may not see, and nowhere else.
pub(crate) const WORD: &str = "FORBIDDEN-FRUIT";
/// The filter that a token forces: all rows but that one.
pub(crate) const BUT_ONE: &str = r#"{"not":{"eq":["name","FORBIDDEN-FRUIT"]}}"#;
/// Lines beyond this say nothing new.
const LINES_MAX: usize = 48;
/// How long SQLite is waited for, in looks of `LOOK`; together what only one that hangs takes.
const LOOKS: usize = 200_000;
const LOOK: Duration = Duration::from_micros(50);

const TABLES: &str = r#"
[[table]]
name = "public.users"
columns = ["id int key generated", "name text", "team text indexed", "age int", "exact decimal", "score float", "ok bool", "at time", "raw bytes", "about json"]
relations = ["posts many public.posts user_id id"]
cached = true

[[table]]
name = "public.posts"
columns = ["code text key", "lang text key", "user_id int indexed", "team text"]
relations = ["user one public.users id user_id"]

[[table]]
name = "counts"
columns = ["name text key", "n int", "kind text indexed cardinality=3", "seq_num int sorted"]
from = ["feed/counts"]
writes = false
"#;

fn schema() -> Schema {
    let config = Config::parse(TABLES, Path::new("fuzz.toml")).expect("it is one");
    Server::shard_settings(&config, 1).expect("it can be").tables.schema
}

/// What each client is told of tables in memory: whether an input says anything at all.
#[cfg(test)]
pub(crate) fn told_in_memory(input: &[u8]) -> [String; 3] {
    let schema = schema();
    told(input, &schema, memory(&schema))
}

/// Holds both to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let schema = schema();
    let folder = Folder::new();
    let in_memory = told(input, &schema, memory(&schema));
    let on_disk = told(input, &schema, sqlite(&folder, &schema));
    for (one, other) in in_memory.iter().zip(&on_disk) {
        assert_eq!(one, other, "{:?}", String::from_utf8_lossy(input));
    }
    assert_eq!(in_memory.len(), on_disk.len());
    for said in in_memory.iter().take(2) {
        // What a client says itself is told back in some refusals.
        let is_said = input.windows(WORD.len()).any(|part| part == WORD.as_bytes());
        assert!(is_said || !said.contains(WORD), "{said}");
    }
}

/// A folder of one input's own.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // In memory, where there is such a folder: nothing of it is to last.
        let shared = Path::new("/dev/shm");
        let base = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let path = base.join(format!("fanwire-fuzz-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn memory(schema: &Schema) -> Cached {
    Cached::without(Backend::Memory(Box::new(Keeper::new(schema.clone(), 1 << 26))))
}

fn sqlite(folder: &Folder, schema: &Schema) -> Cached {
    let bell = || (Arc::new(Doorbell::new().expect("there are descriptors")), Clock::start());
    let how = Use { readers: 1, query_us_max: 60_000_000 };
    let path = folder.0.join("tables.sqlite");
    let sqlite = Sqlite::open(&path, schema.clone(), how, bell()).expect("it can be made");
    let how = CacheUse {
        kept: Kept::Memory { bytes_max: 1 << 16 },
        password: None,
        namespace: String::new(),
        ttl_s: 3600,
        timeout: Duration::from_secs(1),
        whole: vec![true, false, true],
    };
    Cached::new(Backend::Sqlite(Box::new(sqlite)), schema, &how, bell(), |_| {})
        .expect("there are no servers to be started")
}

/// What each of the three clients is told.
fn told(input: &[u8], schema: &Schema, cached: Cached) -> [String; 3] {
    let mut settings = roomy();
    settings.access = Arc::new(Access { verifier: Some(verifier()), ..Access::default() });
    settings.tables = Tables { schema: schema.clone(), party: Some(PartyId(1)) };
    let mut world = World::new(1, &settings);
    assert_eq!(world.join(party(cached, &settings)), PartyId(1));
    let resolvespec = |filter: Option<&str>| format!("/rs/ws?token={}", token(filter));
    let maker = open(&mut world, &resolvespec(None));
    let all = open(&mut world, &resolvespec(Some(BUT_ONE)));
    let confined = open(&mut world, &resolvespec(Some(r#"{"eq":["team","red"]}"#)));
    let dashboard = open(&mut world, &format!("/api?token={}", token(None)));
    let first = [
        format!(r#"{{"id":"1","type":"request","operation":"create","entity":"users","data":{{"name":"{WORD}","team":"blue"}}}}"#),
        r#"{"id":"2","type":"request","operation":"create","entity":"users","data":{"name":"ada","team":"red"}}"#.to_owned(),
    ];
    for said in &first {
        world.say(maker, &frame(said.as_bytes()));
        world.settle();
    }
    for line in input.split(|byte| *byte == b'\n').take(LINES_MAX) {
        let Some((who, said)) = line.split_first() else { continue };
        match who {
            b'r' => world.say(all, &frame(said)),
            b'f' => world.say(confined, &frame(said)),
            b'd' => world.say(dashboard, &frame(said)),
            b'!' => publish(&mut world, said),
            _ => {
                world.advance(100);
                world.tick();
            }
        }
        world.settle();
        world.advance(20);
    }
    for _ in 0..3 {
        world.advance(100);
        world.tick();
        world.settle();
    }
    [all, confined, dashboard].map(|wire| {
        let told = world.read(wire, usize::MAX);
        without_sql(&String::from_utf8_lossy(&told))
    })
}

/// Who looks at tokens.
pub(crate) fn verifier() -> Arc<Verifier> {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).expect("it is long enough");
    let keys = KeySet::new(vec![key]).expect("it is one");
    let verifier = Verifier::new(keys, TokenRules::default(), Mapping::default());
    Arc::new(verifier.expect("the rules are the default ones"))
}

/// What only a database says of itself is left out.
fn without_sql(told: &str) -> String {
    let mut parts = told.split(r#","sql":"#);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
    }
    out
}

pub(crate) fn party(mut cached: Cached, settings: &Settings) -> Party {
    let homes = settings.homes(1);
    Party::new(
        Manner::default(),
        |_| 0,
        move |message| {
            let Mesh::Tables(ask) = message else { panic!("{message:?} is said to somebody else") };
            let asker = match &ask {
                Ask::Query { asker, .. } | Ask::More { asker } | Ask::Write { asker, .. } => {
                    Some(*asker)
                }
                Ask::Leave { .. } | Ask::Rows { .. } => None,
            };
            let mut out = Vec::new();
            cached.hear(ask, &mut out);
            for _ in 0..LOOKS {
                cached.settle(&mut out);
                let is_answered = |asker| {
                    out.iter().any(|outcome| match outcome {
                        Outcome::Answer(of, _) => *of == asker,
                        Outcome::Told(told) => told.answer.as_ref().is_some_and(|of| of.0 == asker),
                    })
                };
                if asker.is_none_or(is_answered) {
                    return out.drain(..).map(|outcome| addressed(said(outcome), &homes)).collect();
                }
                std::thread::park_timeout(LOOK);
            }
            panic!("SQLite does not answer");
        },
    )
}

/// What is said, without the statement that a database was told.
fn said(mut outcome: Outcome) -> Outcome {
    if let Outcome::Answer(_, Answer::Failed(error)) = &mut outcome {
        error.database = None;
    }
    outcome
}

pub(crate) fn open(world: &mut World, target: &str) -> Wire {
    let wire = world.open(0, 1 << 24);
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    world.say(wire, head.as_bytes());
    world.settle();
    let answer = world.read(wire, usize::MAX);
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    wire
}

fn publish(world: &mut World, body: &[u8]) {
    let wire = world.open(0, 1 << 16);
    let (length, token) = (body.len(), token(None));
    let head = format!(
        "POST /v1/publish/feed/counts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
    );
    world.say(wire, &[head.as_bytes(), body].concat());
    world.settle();
    world.vanish(wire);
}

/// A masked text frame; the mask is of zeros.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend(length.to_be_bytes());
    if length < 126 {
        frame = vec![0x81, 0x80 | length.to_be_bytes()[1]];
    }
    frame.extend([0; 4]);
    frame.extend(&message[..usize::from(length)]);
    frame
}

pub(crate) fn token(filter: Option<&str>) -> String {
    let filter = filter.map(|text| serde_json::value::RawValue::from_string(text.to_owned()));
    let filter = filter.map(|filter| filter.expect("it is JSON"));
    let every = ["**".to_owned()];
    let now_s = START_US / 1_000_000;
    let claims = NewClaims {
        user: if filter.is_some() { "red" } else { "root" },
        roles: &[],
        id: None,
        issuer: None,
        audience: None,
        issued_at_s: now_s,
        expires_at_s: Some(now_s + 3600),
        grants: Some(NewGrants {
            subscribe: Some(&every),
            publish: Some(&every),
            filter: filter.as_deref(),
        }),
    };
    let key = SigningKey::from_secret(Algorithm::Hs256, SECRET).expect("it is long enough");
    key.mint(None, &claims).expect("it is signed")
}
