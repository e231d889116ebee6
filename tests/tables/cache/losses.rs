//! Servers that are gone, slow, back with old memories or full of somebody else's bytes: nobody notices but by how long it takes, and nothing old is told.

use std::net::TcpListener;
use std::time::Duration;

use fanwire::backend::CacheUse;
use fanwire::backend::Cached;
use fanwire::backend::Kept;
use fanwire::tables::Query;
use fanwire::tables::TableId;
use fanwire::tables::Write;
use fanwire::tables::asks::Ask;

use super::ASKER;
use super::Folder;
use super::ask;
use super::cached;
use super::conformance::numbers;
use super::conformance::put;
use super::conformance::put_by_another;
use super::conformance::read;
use super::conformance::some;
use super::conformance::sqlite;
use super::daemon::Daemon;
use super::daemon::Kind;
use super::daemon::between::Between;
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

const KINDS: [Kind; 2] = [Kind::Redis, Kind::Memcached];

#[test]
fn a_server_that_is_not_there_is_done_without_and_used_once_it_is() {
    let schema = numbers();
    for kind in KINDS {
        let folder = Folder::new();
        let mut daemon = Daemon::start(kind, &folder.0);
        daemon.kill();
        let how = how(on(kind, daemon.address), &schema);
        let mut cached = cached(memory(&schema), &schema, &how);
        wait(&mut cached, "it is missed", |cached| cached.figures().unwrap().failures > 0);
        put(&mut cached, 1, 10);
        for _ in 0..5 {
            assert_eq!(read(&mut cached, &some()), (vec![10], 1), "{kind:?}");
        }
        let figures = cached.figures().unwrap();
        assert_eq!((figures.hits, figures.unanswered), (0, 5), "{kind:?}");
        daemon.restart(&folder.0);
        wait_for_servers(&mut cached, 1);
        wait(&mut cached, "a hit", |cached| {
            assert_eq!(read(cached, &some()), (vec![10], 1), "{kind:?}");
            hits(cached) > 0
        });
    }
}

#[test]
fn a_server_that_is_silent_is_waited_for_as_long_as_it_may_be_and_no_longer() {
    let schema = numbers();
    for kind in KINDS {
        // It takes connections, and never says anything.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let how = CacheUse {
            timeout: Duration::from_millis(50),
            ..how(on(kind, silent.local_addr().unwrap()), &schema)
        };
        let mut cached = cached(memory(&schema), &schema, &how);
        put(&mut cached, 1, 10);
        assert_eq!(read(&mut cached, &some()), (vec![10], 1), "{kind:?}");
        wait(&mut cached, "it is given up", |cached| cached.figures().unwrap().failures > 0);
    }
}

#[test]
fn a_server_that_falls_silent_is_a_miss_and_is_used_again() {
    let schema = numbers();
    for kind in KINDS {
        let folder = Folder::new();
        let daemon = Daemon::start(kind, &folder.0);
        let between = Between::start(daemon.address);
        let how = CacheUse {
            timeout: Duration::from_millis(200),
            ..how(on(kind, between.address), &schema)
        };
        let mut cached = cached(memory(&schema), &schema, &how);
        wait_for_servers(&mut cached, 1);
        put(&mut cached, 1, 10);
        wait(&mut cached, "a hit", |cached| {
            assert_eq!(read(cached, &some()), (vec![10], 1), "{kind:?}");
            hits(cached) > 0
        });
        let before = cached.figures().unwrap();
        between.hold(true);
        for n in 20..23 {
            put(&mut cached, 1, n);
            assert_eq!(read(&mut cached, &some()), (vec![n], 1), "{kind:?}");
        }
        let held = cached.figures().unwrap();
        assert_eq!((held.hits, held.unanswered), (before.hits, before.unanswered + 3), "{kind:?}");
        wait(&mut cached, "it is missed", |cached| cached.figures().unwrap().failures > 0);
        between.hold(false);
        wait(&mut cached, "another hit", |cached| {
            assert_eq!(read(cached, &some()), (vec![22], 1), "{kind:?}");
            hits(cached) > held.hits
        });
    }
}

#[test]
fn servers_that_die_and_come_back_change_no_answer() {
    let schema = schema();
    for kind in KINDS {
        let folder = Folder::new();
        let mut daemon = Daemon::start(kind, &folder.0);
        let how = how(on(kind, daemon.address), &schema);
        let mut plain = Cached::without(memory(&schema));
        let mut cached = cached(memory(&schema), &schema, &how);
        let mut chance = Chance { random: Random::new(3), schema: &schema };
        let queries: Vec<Query> = (0..12).map(|_| chance.query()).collect();
        for step in 0..600 {
            match chance.below(60) {
                0 => daemon.restart(&folder.0),
                // Now and then it is back, and kept on again.
                1 => wait_for_servers(&mut cached, 1),
                2..10 => {
                    let table = TableId(u16::try_from(chance.below(2)).unwrap());
                    let write = Write::new(table, chance.change(table));
                    if write.check(&schema).is_err() {
                        continue;
                    }
                    let [one, other] = [&mut plain, &mut cached].map(|tables| {
                        ask(tables, Ask::Write { asker: ASKER, write: Box::new(write.clone()) })
                    });
                    assert_eq!(one, other, "{kind:?}, step {step}: {write:?}");
                }
                _ => {
                    let asked = &queries[chance.below(queries.len())];
                    let [one, other] = [&mut plain, &mut cached].map(|tables| query(tables, asked));
                    assert_eq!(one, other, "{kind:?}, step {step}: {asked:?}");
                }
            }
        }
        let figures = cached.figures().unwrap();
        assert!(figures.hits > 20 && figures.failures > 2, "{kind:?}: {figures:?}");
    }
}

/// What Redis has saved and comes back with is of before writes that it was told of since.
#[test]
fn a_server_that_comes_back_with_old_memories_has_none_that_count() {
    let schema = numbers();
    let folder = Folder::new();
    let mut daemon = Daemon::start(Kind::Redis, &folder.0);
    let mut cached =
        cached(memory(&schema), &schema, &how(on(Kind::Redis, daemon.address), &schema));
    wait_for_servers(&mut cached, 1);
    put(&mut cached, 1, 10);
    wait(&mut cached, "a hit", |cached| {
        assert_eq!(read(cached, &some()), (vec![10], 1));
        hits(cached) > 0
    });
    let client = redis::Client::open(format!("redis://{}/", daemon.address)).unwrap();
    let mut connection = client.get_connection().unwrap();
    redis::cmd("SAVE").exec(&mut connection).unwrap();
    let before: u64 = redis::cmd("DBSIZE").query(&mut connection).unwrap();
    assert_eq!(before, 2, "an answer, and the generation of its table");
    put(&mut cached, 1, 11);
    assert_eq!(read(&mut cached, &some()), (vec![11], 1));
    daemon.restart(&folder.0);
    let mut connection = client.get_connection().unwrap();
    let after: u64 = redis::cmd("DBSIZE").query(&mut connection).unwrap();
    assert!(after >= before, "it has come back with what it had saved");
    let hits_before = hits(&cached);
    wait(&mut cached, "a hit after its return", |cached| {
        assert_eq!(read(cached, &some()), (vec![11], 1));
        hits(cached) > hits_before
    });
    assert!(cached.figures().unwrap().failures > 0, "it was gone");
}

#[test]
fn what_somebody_else_has_put_there_is_no_answer() {
    let schema = numbers();
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Redis, &folder.0);
    let mut cached =
        cached(memory(&schema), &schema, &how(on(Kind::Redis, daemon.address), &schema));
    wait_for_servers(&mut cached, 1);
    put(&mut cached, 1, 10);
    let client = redis::Client::open(format!("redis://{}/", daemon.address)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut seen = 0;
    for round in 0..40 {
        assert_eq!(read(&mut cached, &some()), (vec![10], 1), "round {round}");
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        seen = seen.max(keys.len());
        for key in keys {
            assert!(key.starts_with("fanwire:") && key.len() <= 250, "{key}");
            let mut spoil = redis::pipe();
            spoil.cmd("DEL").arg(&key);
            match round % 4 {
                0 => spoil.cmd("SET").arg(&key).arg("no answer of ours"),
                1 => spoil.cmd("RPUSH").arg(&key).arg("a list"),
                2 => spoil.cmd("SET").arg(&key).arg(&vec![0_u8; 1 << 21][..]),
                _ => spoil.cmd("SET").arg(&key).arg(&[0_u8; 17][..]),
            };
            spoil.exec(&mut connection).unwrap();
        }
    }
    assert!(seen >= 2, "an answer and a generation were there");
    assert_eq!(cached.figures().unwrap().failures, 0);
    wait(&mut cached, "a hit", |cached| {
        assert_eq!(read(cached, &some()), (vec![10], 1));
        hits(cached) > 0
    });
}

#[test]
fn servers_of_one_database_share_what_is_kept_if_they_call_it_the_same() {
    let schema = numbers();
    for kind in KINDS {
        let folder = Folder::new();
        let daemon = Daemon::start(kind, &folder.0);
        let named = |name: &str| CacheUse {
            namespace: name.to_owned(),
            ..how(on(kind, daemon.address), &schema)
        };
        let mut one = cached(sqlite(&folder, &schema), &schema, &named("ours"));
        let mut other = cached(sqlite(&folder, &schema), &schema, &named("ours"));
        let mut stranger = cached(sqlite(&folder, &schema), &schema, &named(""));
        for cached in [&mut one, &mut other, &mut stranger] {
            wait_for_servers(cached, 1);
        }
        put(&mut one, 1, 10);
        wait(&mut one, "a hit", |one| {
            assert_eq!(read(one, &some()), (vec![10], 1), "{kind:?}");
            hits(one) > 0
        });
        // What no server was told of, so that it is seen who reads what is kept.
        put_by_another(&folder, 1, 20);
        assert_eq!(read(&mut other, &some()), (vec![10], 1), "{kind:?}");
        assert_eq!((hits(&other), hits(&stranger)), (1, 0), "{kind:?}");
        assert_eq!(read(&mut stranger, &some()), (vec![20], 1), "{kind:?}");
        // What one writes the other sees, once the server was told.
        put(&mut other, 1, 30);
        assert_eq!(read(&mut other, &some()), (vec![30], 1), "{kind:?}");
        wait(&mut one, "the other's write", |one| read(one, &some()) == (vec![30], 1));
    }
}

#[test]
fn a_password_is_shown_and_a_wrong_one_is_a_server_that_is_gone() {
    let schema = numbers();
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Redis, &folder.0);
    let client = redis::Client::open(format!("redis://{}/", daemon.address)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let set = redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("s3cret").clone();
    set.exec(&mut connection).unwrap();
    for (password, is_right) in [(None, false), (Some("wrong"), false), (Some("s3cret"), true)] {
        let password = password.map(str::to_owned);
        let how = CacheUse { password, ..how(on(Kind::Redis, daemon.address), &schema) };
        let mut cached = cached(memory(&schema), &schema, &how);
        wait(&mut cached, "it is let in, or is not", |cached| {
            let figures = cached.figures().unwrap();
            if is_right { figures.servers_up == 1 } else { figures.failures > 0 }
        });
        assert_eq!(cached.figures().unwrap().servers_up, u64::from(is_right));
    }
}

/// Never a server: what is kept in memory has an end.
#[test]
fn memory_holds_no_more_than_it_may() {
    let schema = numbers();
    let bytes_max = 64 * 1024;
    let how = how(Kept::Memory { bytes_max }, &schema);
    let mut cached = cached(memory(&schema), &schema, &how);
    for id in 1..=100 {
        put(&mut cached, id, id);
    }
    for offset in 0..2_000 {
        read(&mut cached, &Query { offset, ..some() });
        let figures = cached.figures().unwrap();
        assert!(figures.bytes <= bytes_max as u64, "{figures:?}");
    }
    let figures = cached.figures().unwrap();
    assert!(figures.evicted > 1_000 && figures.entries > 50, "{figures:?}");
    assert_eq!(figures.kept, figures.evicted + figures.entries);
}
