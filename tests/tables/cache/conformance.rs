//! What is kept in memory, on Redis and on memcached answers what tables without a cache answer; and it is kept.

use std::time::Duration;

use fanwire::backend::Backend;
use fanwire::backend::CacheUse;
use fanwire::backend::Cached;
use fanwire::backend::Kept;
use fanwire::backend::sqlite::Sqlite;
use fanwire::backend::sqlite::Use;
use fanwire::clock::Clock;
use fanwire::conn::Doorbell;
use fanwire::tables::Change;
use fanwire::tables::Column;
use fanwire::tables::ColumnId;
use fanwire::tables::Comparison;
use fanwire::tables::Filter;
use fanwire::tables::Query;
use fanwire::tables::Schema;
use fanwire::tables::Table;
use fanwire::tables::TableId;
use fanwire::tables::Type;
use fanwire::tables::Value;
use fanwire::tables::Write;
use fanwire::tables::asks::Ask;
use rusqlite::Connection;

use super::ASKER;
use super::Folder;
use super::ask;
use super::cached;
use super::daemon::Daemon;
use super::daemon::Kind;
use super::hits;
use super::how;
use super::memory;
use super::on;
use super::query;
use super::wait;
use super::wait_for_servers;
use crate::chance::Chance;
use crate::conformance::schema;
use crate::support::random::Random;

const SEEDS: u64 = 4;
const STEPS: u64 = 400;
const QUERIES: usize = 24;

/// Runs a case with what is kept in each of the ways there are.
fn each(run: impl Fn(&str, Kept, u64)) {
    run("memory", Kept::Memory { bytes_max: 1 << 24 }, 0);
    for kind in [Kind::Redis, Kind::Memcached] {
        let folder = Folder::new();
        let daemon = Daemon::start(kind, &folder.0);
        run(&format!("{kind:?}"), on(kind, daemon.address), 1);
    }
    // Each has its share.
    let folder = Folder::new();
    let daemons = [(); 3].map(|()| Daemon::start(Kind::Memcached, &folder.0));
    let servers = daemons.iter().map(|daemon| daemon.address.to_string()).collect();
    run("three of memcached", Kept::Memcached { servers }, 3);
}

#[test]
fn whatever_keeps_answers_they_are_those_of_tables_without_a_cache() {
    let schema = schema();
    each(|name, kept, servers| {
        let (mut all_hits, mut kept_count) = (0, 0);
        for seed in 0..SEEDS {
            let mut plain = Cached::without(memory(&schema));
            let mut how = how(kept.clone(), &schema);
            // Without preloads of the second table, too: then totals of the first are kept alone.
            how.whole = vec![seed % 2 == 0, true];
            let mut cached = cached(memory(&schema), &schema, &how);
            wait_for_servers(&mut cached, servers);
            let mut chance = Chance { random: Random::new(seed), schema: &schema };
            let queries: Vec<Query> = (0..QUERIES).map(|_| chance.query()).collect();
            for step in 0..STEPS {
                let context = format!("{name}, seed {seed}, step {step}");
                if chance.below(8) == 0 {
                    let table = TableId(u16::try_from(chance.below(2)).unwrap());
                    let write = Write::new(table, chance.change(table));
                    if write.check(&schema).is_err() {
                        continue;
                    }
                    let [one, other] = [&mut plain, &mut cached].map(|tables| {
                        ask(tables, Ask::Write { asker: ASKER, write: Box::new(write.clone()) })
                    });
                    assert_eq!(one, other, "{context}: {write:?}");
                } else {
                    let asked = &queries[chance.below(QUERIES)];
                    let [one, other] = [&mut plain, &mut cached].map(|tables| query(tables, asked));
                    assert_eq!(one, other, "{context}: {asked:?}");
                }
            }
            let figures = cached.figures().unwrap();
            assert_eq!((figures.unanswered, figures.failures), (0, 0), "{name}: {figures:?}");
            all_hits += figures.hits;
            kept_count += figures.kept;
        }
        assert!(all_hits > 200 && kept_count > 100, "{name}: {all_hits} hits of {kept_count} kept");
    });
}

/// Numbers, in one table whose rows others may write, too.
pub(super) fn numbers() -> Schema {
    let columns = vec![Column::key("id", Type::Int), Column::new("n", Type::Int)];
    Schema::new(vec![Table::new("numbers", columns).unwrap()]).unwrap()
}

pub(super) fn sqlite(folder: &Folder, schema: &Schema) -> Backend {
    let bell = (std::sync::Arc::new(Doorbell::new().unwrap()), Clock::start());
    let how = Use { readers: 2, query_us_max: 60_000_000 };
    let path = folder.0.join("tables.sqlite");
    Backend::Sqlite(Box::new(Sqlite::open(&path, schema.clone(), how, bell).unwrap()))
}

pub(super) fn put(cached: &mut Cached, id: i64, n: i64) {
    let row = vec![(ColumnId(0), Value::Int(id)), (ColumnId(1), Value::Int(n))];
    let write = Write::new(TableId(0), Change::Upsert(row));
    let (_, said) = ask(cached, Ask::Write { asker: ASKER, write: Box::new(write) });
    assert!(said.starts_with("Told"), "{said}");
}

/// Somebody else puts a row into the file.
pub(super) fn put_by_another(folder: &Folder, id: i64, n: i64) {
    let other = Connection::open(folder.0.join("tables.sqlite")).unwrap();
    other.busy_timeout(Duration::from_secs(20)).unwrap();
    let sql = "INSERT OR REPLACE INTO \"numbers\" (\"id\", \"n\") VALUES (?1, ?2)";
    other.execute(sql, [id, n]).unwrap();
}

/// The numbers that are answered, and how many rows there are said to be.
pub(super) fn read(cached: &mut Cached, asked: &Query) -> (Vec<i64>, u64) {
    let (rows, said) = query(cached, asked);
    let number = |value: &Value| match value {
        Value::Int(number) => *number,
        other => panic!("{other:?}"),
    };
    let total = said.split("total: Some(").nth(1).and_then(|rest| rest.split(')').next());
    let total = total.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
    (rows.iter().map(|row| number(&row.values[1])).collect(), total)
}

/// The first two rows of those above zero, and how many there are.
pub(super) fn some() -> Query {
    let filter = Filter::compare(ColumnId(1), Comparison::Greater, Value::Int(0));
    Query { filter, limit: Some(2), wants_total: true, ..Query::all(TableId(0)) }
}

#[test]
fn writes_through_us_are_seen_at_once_and_those_of_others_are_not() {
    let schema = numbers();
    each(|name, kept, servers| {
        for whole in [true, false] {
            let folder = Folder::new();
            let how = CacheUse { whole: vec![whole], ..how(kept.clone(), &schema) };
            let mut cached = cached(sqlite(&folder, &schema), &schema, &how);
            wait_for_servers(&mut cached, servers);
            put(&mut cached, 1, 10);
            assert_eq!(read(&mut cached, &some()), (vec![10], 1), "{name}");
            // It is kept soon.
            wait(&mut cached, name, |cached| {
                read(cached, &some());
                hits(cached) > 0
            });
            put_by_another(&folder, 2, 20);
            let expected = if whole { (vec![10], 1) } else { (vec![10, 20], 1) };
            assert_eq!(read(&mut cached, &some()), expected, "{name}, {whole}");
            // Another filter is another matter.
            let filter = Filter::compare(ColumnId(1), Comparison::Greater, Value::Int(1));
            let other = Query { filter, ..some() };
            assert_eq!(read(&mut cached, &other), (vec![10, 20], 2), "{name}, {whole}");
            for n in 11..30 {
                put(&mut cached, 1, n);
                assert_eq!(read(&mut cached, &some()), (vec![n, 20], 2), "{name}, {whole}");
                assert_eq!(read(&mut cached, &some()), (vec![n, 20], 2), "{name}, {whole}");
            }
        }
    });
}

#[test]
fn what_others_write_is_seen_when_what_was_kept_is_too_old() {
    let schema = numbers();
    each(|name, kept, servers| {
        let folder = Folder::new();
        let how = CacheUse { ttl_s: 1, ..how(kept, &schema) };
        let mut cached = cached(sqlite(&folder, &schema), &schema, &how);
        wait_for_servers(&mut cached, servers);
        put(&mut cached, 1, 10);
        assert_eq!(read(&mut cached, &some()), (vec![10], 1), "{name}");
        put_by_another(&folder, 1, 30);
        wait(&mut cached, name, |cached| read(cached, &some()) == (vec![30], 1));
    });
}

#[test]
fn an_answer_that_is_large_or_of_several_pages_is_not_kept_and_its_total_is() {
    let schema = numbers();
    each(|name, kept, servers| {
        let mut cached = cached(memory(&schema), &schema, &how(kept.clone(), &schema));
        wait_for_servers(&mut cached, servers);
        for id in 1..=2_000 {
            put(&mut cached, id, id);
        }
        let all = Query { limit: Some(1_900), ..some() };
        for _ in 0..3 {
            let (rows, total) = read(&mut cached, &all);
            assert_eq!((rows.len(), total, hits(&cached)), (1_900, 2_000, 0), "{name}");
        }
        let fewer = Query { limit: Some(900), ..some() };
        wait(&mut cached, name, |cached| {
            assert_eq!(read(cached, &fewer).0.len(), 900, "{name}");
            hits(cached) > 0
        });
        let how = CacheUse { whole: vec![false], ..how(kept, &schema) };
        let mut cached = super::cached(memory(&schema), &schema, &how);
        wait_for_servers(&mut cached, servers);
        for id in 1..=2_000 {
            put(&mut cached, id, id);
        }
        wait(&mut cached, name, |cached| {
            let (rows, total) = read(cached, &all);
            assert_eq!((rows.len(), total), (1_900, 2_000), "{name}");
            hits(cached) > 0
        });
    });
}
