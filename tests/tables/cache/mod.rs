//! The cache in front of tables: in memory, on Redis and on memcached alike, whatever becomes of the servers.

mod conformance;
#[path = "../../support/daemon.rs"]
mod daemon;
mod losses;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanwire::backend::Backend;
use fanwire::backend::CacheUse;
use fanwire::backend::Cached;
use fanwire::backend::Kept;
use fanwire::clock::Clock;
use fanwire::conn::Doorbell;
use fanwire::event::ShardId;
use fanwire::tables::Page;
use fanwire::tables::Query;
use fanwire::tables::Row;
use fanwire::tables::Schema;
use fanwire::tables::asks::Answer;
use fanwire::tables::asks::Ask;
use fanwire::tables::asks::Asker;
use fanwire::tables::keeper::Keeper;
use fanwire::tables::keeper::Outcome;

use daemon::Kind;

/// How often something is looked for, and how long is waited each time; together what only a broken one takes.
const LOOKS: usize = 200_000;
const LOOK: Duration = Duration::from_micros(100);

const ASKER: Asker = Asker { shard: ShardId(0), conn: 7 };

/// A folder of a test's own, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fanwire-cache-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Answers of all tables, kept so.
fn how(kept: Kept, schema: &Schema) -> CacheUse {
    CacheUse {
        kept,
        password: None,
        namespace: String::new(),
        ttl_s: 3600,
        timeout: Duration::from_secs(20),
        whole: vec![true; schema.tables().count()],
    }
}

fn on(kind: Kind, address: std::net::SocketAddr) -> Kept {
    match kind {
        Kind::Redis => Kept::Redis { servers: vec![format!("redis://{address}/0")] },
        Kind::Memcached => Kept::Memcached { servers: vec![address.to_string()] },
        Kind::Nats | Kind::Mosquitto => panic!("{kind:?} keeps no answers"),
    }
}

fn memory(schema: &Schema) -> Backend {
    Backend::Memory(Box::new(Keeper::new(schema.clone(), usize::MAX)))
}

fn cached(backend: Backend, schema: &Schema, how: &CacheUse) -> Cached {
    let bell = (Arc::new(Doorbell::new().unwrap()), Clock::start());
    Cached::new(backend, schema, how, bell, |_| {}).unwrap()
}

/// Waits until something holds.
fn wait(cached: &mut Cached, what: &str, mut holds: impl FnMut(&mut Cached) -> bool) {
    for _ in 0..LOOKS {
        if holds(cached) {
            return;
        }
        std::thread::park_timeout(LOOK);
    }
    panic!("{what}: {:?}", cached.figures());
}

fn wait_for_servers(cached: &mut Cached, count: u64) {
    wait(cached, "servers that answer", |cached| cached.figures().unwrap().servers_up == count);
}

/// All that one ask is answered: pages put together, or what else was said.
fn ask(cached: &mut Cached, what: Ask) -> (Vec<Row>, String) {
    let mut out = Vec::new();
    let mut rows = Vec::new();
    cached.hear(what, &mut out);
    for _ in 0..LOOKS {
        cached.settle(&mut out);
        for outcome in std::mem::take(&mut out) {
            match outcome {
                Outcome::Answer(_, Answer::Page(Page { rows: more, end })) => {
                    rows.extend(more.iter().cloned());
                    match end {
                        Some(end) => return (rows, format!("{end:?}")),
                        None => cached.hear(Ask::More { asker: ASKER }, &mut out),
                    }
                }
                Outcome::Answer(_, Answer::Failed(error)) => {
                    return (rows, format!("{:?} {error}", error.code));
                }
                Outcome::Answer(_, answer) => return (rows, format!("{answer:?}")),
                Outcome::Told(told) => return (rows, format!("{told:?}")),
            }
        }
        std::thread::park_timeout(LOOK);
    }
    panic!("it is not answered");
}

fn query(cached: &mut Cached, query: &Query) -> (Vec<Row>, String) {
    ask(cached, Ask::Query { asker: ASKER, query: Box::new(query.clone()) })
}

fn hits(cached: &Cached) -> u64 {
    cached.figures().unwrap().hits
}
