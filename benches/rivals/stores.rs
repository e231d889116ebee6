//! The log of a data folder against SQLite, on the same events, in interleaved rounds; and what a start and a filtered replay of it cost.
//!
//! One thread, so that its own run time is what an event costs. `FANWIRE_STORES_EVENTS` says how many events the start and the replay have (usual: 5,000,000), `FANWIRE_STORES_GROUPS` how many groups of a
//! thousand are written in each round (usual: 200), `FANWIRE_STORES_DIR` where (usual: the folder for temporary files, which must be on a device: in memory no bytes are handed to any). Bytes are those that this process
//! has handed to the device (`/proc/self/io`): without the file system's own journal. The last lines are a table of goals for `docs/PERFORMANCE.md`.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rusqlite::Connection;

use fanwire::event::HomeId;
use fanwire::event::Homes;
use fanwire::event::Op;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::TopicPattern;
use fanwire::event::fields::Scratch;
use fanwire::history::Read;
use fanwire::history::Start;
use fanwire::history::asks::Answer;
use fanwire::history::asks::PageAsk;
use fanwire::history::keeper::Keeper;
use fanwire::history::keeper::Setup;
use fanwire::history::keeper::Stepped;
use fanwire::history::keeper::StoredClass;
use fanwire::history::keeper::SyncPolicy;
use fanwire::history::log::Folder;
use fanwire::history::log::LedgerBounds;
use fanwire::history::log::Limits;
use fanwire::history::log::Log;
use fanwire::history::log::Made;
use fanwire::history::log::Record;
use fanwire::limits::PAGE_BYTES_MAX;
use fanwire::matcher::Filter;
use fanwire::store::Files;

use wishes::Report;

/// The allocator of the program that users run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../support/wishes.rs"]
#[allow(dead_code, reason = "the matcher's bench uses the rest")]
mod wishes;

const GROUP: usize = 1000;
const ROUNDS: usize = 5;
const TOPICS: u64 = 10;
/// Payloads that are told in turn: more of them than lz4 looks back over.
const PAYLOADS: usize = 20_000;

/// The thread's run time, in nanoseconds.
fn cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Bytes after a name in a file of the kernel's.
fn figure(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

fn written_bytes() -> u64 {
    figure("/proc/self/io", "write_bytes:")
}

struct Source {
    topics: Vec<TopicName>,
    payloads: Vec<Bytes>,
    newest: Vec<u64>,
    number: u64,
    bytes: u64,
}

impl Source {
    fn new() -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let payload = |number: usize| {
            let mut text = Report::random(&mut random).to_json();
            assert_eq!(text.pop(), Some('}'));
            let lane = number % 100;
            text += &format!(r#","lane":{lane},"squawk":"{:04o}","seen_s":{}"#, random.u16(..0o7777), random.u32(..));
            text += &format!(r#","pad":"{}"}}"#, "x".repeat(170_usize.saturating_sub(text.len())));
            Bytes::from(text)
        };
        Self {
            topics: (0..TOPICS).map(|n| TopicName::new(&format!("adsb/{n}")).unwrap()).collect(),
            payloads: (0..PAYLOADS).map(payload).collect(),
            newest: vec![0; TOPICS as usize],
            number: 0,
            bytes: 0,
        }
    }

    fn group(&mut self, count: usize) -> Vec<Record> {
        let record = |_| {
            self.number += 1;
            let place = (self.number % TOPICS) as usize;
            let previous = self.newest[place];
            self.newest[place] += 1;
            let payload = self.payloads[self.number as usize % PAYLOADS].clone();
            self.bytes += payload.len() as u64;
            Record {
                topic: self.topics[place].clone(),
                previous,
                offset: previous + 1,
                time_us: 1_786_600_000_000_000 + self.number * 100,
                op: Op::Upsert,
                key: Arc::from(format!("{:06x}", 0x4b_1800 + self.number % 3_000)),
                payload,
                before: None,
                meta: None,
            }
        };
        (0..count).map(record).collect()
    }
}

fn made() -> Made {
    let (keys_bytes_max, carried_bytes_max) = (64 << 20, 64 << 20);
    Made { boot: "bench".to_owned(), shards: 1, random: 7, keys_bytes_max, carried_bytes_max }
}

const PATTERN: &str = "**";

fn open_log(place: &Path) -> (Files, Folder<fs::File>) {
    fs::create_dir_all(place).unwrap();
    let mut files = Files::at(place);
    let classes = [(vec![PATTERN.to_owned()], Limits::default())];
    let folder = Folder::open(&mut files, &made(), &classes).unwrap();
    (files, folder)
}

/// What one way to keep events cost.
#[derive(Clone, Copy)]
struct Cost {
    cpu_us: f64,
    bytes: f64,
    per_s: f64,
}

/// A number that the environment may say otherwise.
fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// A goal, and what came of it.
struct Goal {
    what: &'static str,
    /// The most that it may be, or else the least.
    is_most: bool,
    limit: f64,
    measured: f64,
    unit: &'static str,
}

const fn most(what: &'static str, limit: f64, measured: f64, unit: &'static str) -> Goal {
    Goal { what, is_most: true, limit, measured, unit }
}

const fn least(what: &'static str, limit: f64, measured: f64, unit: &'static str) -> Goal {
    Goal { is_most: false, ..most(what, limit, measured, unit) }
}

fn table(goals: &[Goal]) {
    println!("\n| goal | limit | measured | |\n|---|---:|---:|---|");
    for Goal { what, is_most, limit, measured, unit } in goals {
        let is_met = if *is_most { measured <= limit } else { measured >= limit };
        let (bound, verdict) = (if *is_most { "≤" } else { "≥" }, if is_met { "met" } else { "**missed**" });
        println!("| {what} | {bound} {limit} {unit} | {measured:.2} {unit} | {verdict} |");
    }
}

/// Keeps groups; `keep` is handed each, made before the time counts.
fn cost(mut keep: impl FnMut(Vec<Record>), finish: impl FnOnce()) -> Cost {
    let mut source = Source::new();
    let count = number("FANWIRE_STORES_GROUPS", 200);
    let groups: Vec<_> = (0..count).map(|_| source.group(GROUP)).collect();
    let (began, cpu, written) = (Instant::now(), cpu_ns(), written_bytes());
    for group in groups {
        keep(group);
    }
    finish();
    let events = (GROUP * count) as f64;
    Cost {
        cpu_us: (cpu_ns() - cpu) as f64 / 1000.0 / events,
        bytes: (written_bytes() - written) as f64 / source.bytes as f64,
        per_s: events / began.elapsed().as_secs_f64(),
    }
}

fn of_log(place: &Path) -> Cost {
    let (mut files, mut folder) = open_log(place);
    let log: &mut Log<fs::File> = &mut folder.logs[0];
    cost(
        |group| {
            log.write(&mut files, &[(ShardId(0), group)]).unwrap();
            log.sync(&mut files).unwrap();
        },
        || {},
    )
}

/// WAL and FULL, a transaction for each group, one prepared statement.
fn of_sqlite(place: &Path, schema: &str) -> Cost {
    fs::create_dir_all(place).unwrap();
    let mut base = Connection::open(place.join("events.db")).unwrap();
    base.pragma_update(None, "journal_mode", "WAL").unwrap();
    base.pragma_update(None, "synchronous", "FULL").unwrap();
    base.execute_batch(schema).unwrap();
    cost(
        |group| {
            let all = base.transaction().unwrap();
            let mut insert = all.prepare_cached("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)").unwrap();
            for record in &group {
                let row = rusqlite::params![
                    record.topic.as_str(),
                    record.offset as i64,
                    record.previous as i64,
                    record.time_us as i64,
                    record.op as u8,
                    &*record.key,
                    &*record.payload
                ];
                insert.execute(row).unwrap();
            }
            drop(insert);
            all.commit().unwrap();
        },
        || {},
    )
}

const COLUMNS: &str = "topic TEXT, offset INTEGER, previous INTEGER, time_us INTEGER, op INTEGER, key TEXT, payload BLOB";

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn told(name: &str, costs: &[Cost]) -> (f64, f64) {
    let of = |value: fn(&Cost) -> f64| median(costs.iter().map(value).collect());
    let (cpu_us, bytes) = (of(|cost| cost.cpu_us), of(|cost| cost.bytes));
    println!("{name:40} {cpu_us:6.2} us of CPU an event, {bytes:5.2} bytes for each of payload, {:7.0} events/s", of(|cost| cost.per_s));
    (cpu_us, bytes)
}

fn groups(place: &Path) -> Vec<Goal> {
    let plain = format!("CREATE TABLE events ({COLUMNS})");
    let keyed = format!("CREATE TABLE events ({COLUMNS}, PRIMARY KEY (topic, offset)) WITHOUT ROWID");
    let mut costs: [Vec<Cost>; 3] = Default::default();
    for round in 0..ROUNDS {
        let at = |name: &str| place.join(format!("{name}-{round}"));
        costs[0].push(of_log(&at("log")));
        costs[1].push(of_sqlite(&at("plain"), &plain));
        costs[2].push(of_sqlite(&at("keyed"), &keyed));
        for name in ["log", "plain", "keyed"] {
            fs::remove_dir_all(at(name)).unwrap();
        }
    }
    let names = ["log, lz4, always", "SQLite, WAL, FULL, no index", "SQLite, WAL, FULL, by topic and offset"];
    let found: Vec<_> = names.iter().zip(&costs).map(|(name, costs)| told(name, costs)).collect();
    for (name, (cpu_us, bytes)) in names.iter().zip(&found).skip(1) {
        println!("{name:40} {:6.1} x the CPU, {:.1} x the bytes of the log", cpu_us / found[0].0, bytes / found[0].1);
    }
    let [log, plain, _] = found[..] else { unreachable!("three were tried") };
    vec![
        most("CPU of an event in the log, lz4, groups of 1,000, `always`", 0.8, log.0, "us"),
        most("bytes to the device for each of payload", 0.4, log.1, ""),
        least("SQLite, the same without an index: CPU", 3.0, plain.0 / log.0, "×"),
        least("SQLite, the same without an index: bytes", 8.0, plain.1 / log.1, "×"),
    ]
}

fn open_keeper(place: &Path) -> Keeper<Files> {
    let pattern = TopicPattern::new(PATTERN).unwrap();
    let class = StoredClass {
        topics: vec![PATTERN.to_owned()],
        patterns: vec![pattern.clone()],
        limits: Limits::default(),
        sync: SyncPolicy::Always,
    };
    let setup = Setup {
        classes: vec![class],
        homes: Homes::new(1, [pattern].into()),
        boot: "bench".to_owned(),
        random: 7,
        shelves_bytes_max: 8 << 20,
        keys_bytes_max: 64 << 20,
        carried_bytes_max: 16 << 20,
        last_bytes_max: 1 << 20,
        ledger: LedgerBounds { bytes_max: 1 << 20, kept_s: None },
        sessions_bytes_max: (1 << 20, 1 << 20),
        now_s: 0,
    };
    Keeper::open(Files::at(place), setup).unwrap().0
}

fn start_and_replay(place: &Path, events: usize) -> Vec<Goal> {
    let (mut files, mut folder) = open_log(place);
    let mut source = Source::new();
    for _ in 0..events / GROUP {
        let group = source.group(GROUP);
        folder.logs[0].write(&mut files, &[(ShardId(0), group)]).unwrap();
    }
    folder.close(&mut files).unwrap();
    drop(source);
    let resident = || figure("/proc/self/status", "VmRSS:") * 1024;
    let (mut ms, mut bytes, mut cpu_ms) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (before, began, cpu) = (resident(), Instant::now(), cpu_ns());
        let keeper = open_keeper(place);
        ms.push(began.elapsed().as_secs_f64() * 1000.0);
        cpu_ms.push((cpu_ns() - cpu) as f64 / 1e6);
        bytes.push(resident().saturating_sub(before) as f64 / 1e6);
        keeper.close(0, &mut Vec::new()).unwrap();
    }
    let held = bytes.iter().copied().fold(0.0, f64::max);
    let ready = median(ms);
    println!("start on {events} events: {ready:.0} ms, {:.0} ms of CPU, {held:.1} MB more resident at most", median(cpu_ms));
    let mut keeper = open_keeper(place);
    let rate = median((0..ROUNDS).map(|_| replay(&mut keeper, events)).collect());
    println!("replay, filtered 1 in 100: {rate:.2} million events scanned a second of CPU");
    vec![
        most("start on five million events, ready", 250.0, ready, "ms"),
        most("memory of a start on five million events", 20.0, held, "MB"),
        least("events scanned a second and core, filtered 1 in 100, millions", 1.5, rate, ""),
    ]
}

fn replay(keeper: &mut Keeper<Files>, events: usize) -> f64 {
    let filter = Filter::parse_text("lane = 7").unwrap();
    let mut scratch = Scratch::default();
    let read = Arc::new(Read {
        topics: vec![TopicPattern::new(PATTERN).unwrap()],
        start: Start::Earliest,
        after_us: 0,
        page_bytes: 0,
        with_before: false,
    });
    let (mut after_us, mut out, mut passed, mut scanned) = (0, Vec::new(), 0, 0);
    let cpu = cpu_ns();
    loop {
        let ask = PageAsk {
            shard: ShardId(0),
            ticket: 0,
            home: HomeId::durable(ShardId(0), 1),
            shard_count: 1,
            read: Arc::clone(&read),
            after_us,
            until_us: u64::MAX,
            page_bytes: PAGE_BYTES_MAX,
        };
        keeper.ask(ask, &mut out);
        while let Stepped::Did = keeper.step((0, 0), |_| true, &mut out).unwrap() {}
        let Some((_, Answer::Page(page))) = out.pop() else { unreachable!("it was asked") };
        let stretch = page.result.unwrap();
        scanned += stretch.events.len();
        passed += stretch.events.iter().filter(|event| filter.evaluate_with(event, &mut scratch)).count();
        match stretch.more_after_us {
            Some(more_us) => after_us = more_us,
            None => break,
        }
    }
    assert_eq!((scanned, passed), (events, events / 100), "one in a hundred of all");
    scanned as f64 / ((cpu_ns() - cpu) as f64 / 1e9) / 1e6
}

fn main() {
    let events = number("FANWIRE_STORES_EVENTS", 5_000_000);
    let root = std::env::var("FANWIRE_STORES_DIR").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    let place = root.join(format!("fanwire-stores-{}", std::process::id()));
    let mut goals = groups(&place);
    goals.extend(start_and_replay(&place.join("folder"), events));
    fs::remove_dir_all(&place).unwrap();
    table(&goals);
}
