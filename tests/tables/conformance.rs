//! SQLite and PostgreSQL are held to memory: whatever is written and asked, all answer the same.
//!
//! Each seed makes a table of every type, writes at random, and asks at random: filters of all tests within one another, sorts, limits, numbers of rows, preloads. Values are few and
//! nasty, so that equal ones meet: nulls, numbers beyond 2^53 and beyond doubles, texts that differ in case, in their last byte or beyond the basic plane, wildcards and quotes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fanwire::backend::Backend;
use fanwire::backend::postgres::Address;
use fanwire::backend::postgres::Postgres;
use fanwire::backend::sqlite::Sqlite;
use fanwire::backend::sqlite::Use;
use fanwire::clock::Clock;
use fanwire::conn::Doorbell;
use fanwire::event::ShardId;
use fanwire::tables::Change;
use fanwire::tables::Column;
use fanwire::tables::ColumnId;
use fanwire::tables::ErrorCode;
use fanwire::tables::Filter;
use fanwire::tables::Query;
use fanwire::tables::Relation;
use fanwire::tables::Row;
use fanwire::tables::Schema;
use fanwire::tables::Table;
use fanwire::tables::TableId;
use fanwire::tables::Test;
use fanwire::tables::Type;
use fanwire::tables::Value;
use fanwire::tables::Write;
use fanwire::tables::asks::Answer;
use fanwire::tables::asks::Ask;
use fanwire::tables::asks::Asker;
use fanwire::tables::keeper::Keeper;
use fanwire::tables::keeper::Outcome;

use crate::chance::Chance;
use crate::chance::VALUES;
use crate::postgres_cluster::Cluster;
use crate::support::random::Random;

const SEEDS: u64 = 16;
const STEPS: u64 = 120;

pub(crate) fn schema() -> Schema {
    let mut columns = vec![Column::key("id", Type::Int)];
    columns[0].generated = true;
    for (kind, _) in VALUES {
        columns.push(Column { indexed: kind != Type::Json, ..Column::new(kind.name(), kind) });
    }
    let id = ColumnId(0);
    let relation = |name: &str, table: &str, there: &str, is_many| Relation {
        name: name.into(),
        table: table.into(),
        here: id,
        there: there.into(),
        is_many,
    };
    let all = Table {
        relations: vec![
            relation("parts", "parts", "of", true),
            relation("part", "parts", "of", false),
        ],
        ..Table::new("all", columns).unwrap()
    };
    let columns = vec![
        Column::key("name", Type::Text),
        Column::key("number", Type::Int),
        Column::new("of", Type::Int),
    ];
    let parts = Table {
        key: vec![ColumnId(0), ColumnId(1)],
        relations: vec![Relation { here: ColumnId(2), ..relation("whole", "all", "id", false) }],
        ..Table::new("parts", columns).unwrap()
    };
    Schema::new(vec![all, parts]).unwrap()
}

/// A file of its own, which goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("fanwire-tables-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn sqlite(folder: &Folder, schema: &Schema, query_us_max: u64) -> Backend {
    let bell = (Arc::new(Doorbell::new().unwrap()), Clock::start());
    let how = Use { readers: 2, query_us_max };
    let path = folder.0.join("tables.sqlite");
    Backend::Sqlite(Box::new(Sqlite::open(&path, schema.clone(), how, bell).unwrap()))
}

fn postgres(cluster: &Cluster, database: &str, schema: &Schema, query_us_max: u64) -> Backend {
    let bell = (Arc::new(Doorbell::new().unwrap()), Clock::start());
    let how = Use { readers: 2, query_us_max };
    let address = Address::parse(&cluster.address(database)).unwrap();
    Backend::Postgres(Box::new(Postgres::open(&address, schema.clone(), how, bell).unwrap()))
}

fn memory(schema: &Schema) -> Backend {
    Backend::Memory(Box::new(Keeper::new(schema.clone(), usize::MAX)))
}

pub(crate) const ASKER: Asker = Asker { shard: ShardId(0), conn: 7 };

/// All that one ask is answered: pages put together, or what else was said.
pub(crate) fn ask(backend: &mut Backend, what: Ask) -> (Vec<Row>, String) {
    let mut out = Vec::new();
    let mut rows = Vec::new();
    backend.hear(what, &mut out);
    loop {
        backend.settle(&mut out);
        for outcome in std::mem::take(&mut out) {
            match outcome {
                Outcome::Answer(_, Answer::Page(page)) => {
                    rows.extend(page.rows);
                    match page.end {
                        Some(end) => return (rows, format!("{end:?}")),
                        None => backend.hear(Ask::More { asker: ASKER }, &mut out),
                    }
                }
                Outcome::Answer(_, Answer::Failed(error)) => {
                    return (rows, format!("{:?} {error}", error.code));
                }
                Outcome::Answer(_, answer) => return (rows, format!("{answer:?}")),
                Outcome::Told(told) => return (rows, format!("{told:?}")),
            }
        }
        std::thread::park_timeout(Duration::from_micros(20));
    }
}

#[test]
fn every_backend_answers_what_memory_answers() {
    let cluster = Cluster::start("same", &[]);
    let schema = schema();
    let (mut rows, mut changed) = (0, 0);
    for seed in 0..SEEDS {
        let folder = Folder::new(&format!("same-{seed}"));
        let database = format!("seed_{seed}");
        cluster.sql("postgres", &format!("CREATE DATABASE {database}"));
        let mut backends = [
            memory(&schema),
            sqlite(&folder, &schema, 60_000_000),
            postgres(&cluster, &database, &schema, 60_000_000),
        ];
        let mut chance = Chance { random: Random::new(seed), schema: &schema };
        for step in 0..STEPS {
            if chance.below(2) == 0 {
                let table = TableId(chance.below(2) as u16);
                let within = match chance.below(4) {
                    0 => chance.filter(table, 1),
                    _ => Filter::all(),
                };
                let write = Write { within, ..Write::new(table, chance.change(table)) };
                if write.check(&schema).is_err() {
                    continue;
                }
                let [one, sqlite, postgres] = backends.each_mut().map(|backend| {
                    ask(backend, Ask::Write { asker: ASKER, write: Box::new(write.clone()) }).1
                });
                assert_eq!(one, sqlite, "SQLite, seed {seed}, step {step}: {write:?}");
                assert_eq!(one, postgres, "PostgreSQL, seed {seed}, step {step}: {write:?}");
                changed += u64::from(one.contains("Told"));
            } else {
                let query = chance.query();
                query.check(&schema).unwrap();
                let [one, sqlite, postgres] = backends.each_mut().map(|backend| {
                    ask(backend, Ask::Query { asker: ASKER, query: Box::new(query.clone()) })
                });
                assert_eq!(one, sqlite, "SQLite, seed {seed}, step {step}: {query:?}");
                assert_eq!(one, postgres, "PostgreSQL, seed {seed}, step {step}: {query:?}");
                rows += one.0.len();
            }
        }
    }
    assert!(rows > 500 && changed > 250, "{rows} rows, {changed} changes");
}

/// What was written is there after a restart, and a table that was declared otherwise is refused.
#[test]
fn what_was_written_outlasts_the_process() {
    let schema = schema();
    let folder = Folder::new("lasts");
    let mut chance = Chance { random: Random::new(1), schema: &schema };
    let all = || Ask::Query { asker: ASKER, query: Box::new(Query::all(TableId(0))) };
    let mut backend = sqlite(&folder, &schema, 60_000_000);
    for _ in 0..50 {
        let write = Write::new(TableId(0), Change::Upsert(chance.row(TableId(0))));
        ask(&mut backend, Ask::Write { asker: ASKER, write: Box::new(write) });
    }
    let before = ask(&mut backend, all());
    assert!(!before.0.is_empty());
    drop(backend);
    let mut backend = sqlite(&folder, &schema, 60_000_000);
    assert_eq!(ask(&mut backend, all()), before);
    drop(backend);
    let columns = vec![Column::key("id", Type::Text), Column::new("more", Type::Int)];
    let other = Schema::new(vec![Table::new("all", columns).unwrap()]).unwrap();
    let bell = (Arc::new(Doorbell::new().unwrap()), Clock::start());
    let how = Use { readers: 1, query_us_max: 1 };
    let error = Sqlite::open(&folder.0.join("tables.sqlite"), other, how, bell).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column `id` of table `all` is INTEGER, which holds no text; table `all` has no column `more`"
    );
}

/// A query that would take for ever ends in time, and others are answered meanwhile.
#[test]
fn a_slow_query_is_ended_and_harms_nobody() {
    let schema = schema();
    let folder = Folder::new("slow");
    let mut backend = sqlite(&folder, &schema, 60_000_000);
    for number in 0..3_000 {
        let row = vec![
            (ColumnId(0), Value::Text("x".into())),
            (ColumnId(1), Value::Int(number)),
            (ColumnId(2), Value::Int(number % 7)),
        ];
        let write = Write::new(TableId(1), Change::Create(row));
        let mut out = Vec::new();
        backend.hear(Ask::Write { asker: ASKER, write: Box::new(write) }, &mut out);
        assert!(out.iter().all(|outcome| matches!(outcome, Outcome::Told(_))), "{out:?}");
    }
    drop(backend);
    let mut backend = sqlite(&folder, &schema, 1);
    let pattern: Arc<str> = "%a%b%c%d%".into();
    let like =
        Filter::Test { column: ColumnId(0), test: Test::Like { pattern, ignore_case: true } };
    let filter = Filter::Or(vec![like; 200]);
    let query = Query { filter, wants_total: true, ..Query::all(TableId(1)) };
    let (rows, said) = ask(&mut backend, Ask::Query { asker: ASKER, query: Box::new(query) });
    assert!(rows.is_empty());
    assert_eq!(said, format!("{:?} it takes longer than it may", ErrorCode::TooSlow));
}

/// A long answer comes in pages, as they are asked for, and one that nobody takes is given up.
#[test]
fn a_long_answer_waits_for_its_client_and_not_for_ever() {
    let schema = schema();
    let folder = Folder::new("long");
    let mut backend = sqlite(&folder, &schema, 60_000_000);
    let text: Arc<str> = "x".repeat(100_000).into();
    let mut out = Vec::new();
    for _ in 0..40 {
        let row = vec![(ColumnId(5), Value::Text(Arc::clone(&text)))];
        let write = Write::new(TableId(0), Change::Create(row));
        backend.hear(Ask::Write { asker: ASKER, write: Box::new(write) }, &mut out);
    }
    backend.settle(&mut out);
    assert_eq!(out.len(), 40);
    let (rows, end) = ask(
        &mut backend,
        Ask::Query {
            asker: ASKER,
            query: Box::new(Query { wants_total: true, ..Query::all(TableId(0)) }),
        },
    );
    assert_eq!(
        (rows.len(), end),
        (40, "End { count: 40, total: Some(40), number: None }".to_owned())
    );
    // Several that nobody takes hold readers, and are let go of when their clients leave.
    for conn in 0..2 {
        let asker = Asker { shard: ShardId(0), conn };
        backend.hear(Ask::Query { asker, query: Box::new(Query::all(TableId(0))) }, &mut out);
    }
    for conn in 0..2 {
        let asker = Asker { shard: ShardId(0), conn };
        backend.hear(Ask::Leave { asker }, &mut out);
    }
    let (rows, _) =
        ask(&mut backend, Ask::Query { asker: ASKER, query: Box::new(Query::all(TableId(0))) });
    assert_eq!(rows.len(), 40);
}
