//! Descriptors: how many a server needs for itself, by what is configured, and how many are left for connections.
//!
//! Invariant: what a server opens besides connections never takes a connection's place. `tests/command/serve.rs` counts what is open.

use super::places;
use crate::config::BackendChoice;
use crate::config::CacheChoice;
use crate::config::Config;
use crate::limits::FDS_OUTBOUND;
use crate::limits::FDS_RESERVED;
use crate::limits::FDS_RESERVED_SHARD;
use crate::limits::FDS_SOURCE;
use crate::limits::FDS_SQLITE;
use crate::limits::FDS_STORE;
use crate::limits::FDS_STORE_CLASS;
use crate::limits::TLS_HANDSHAKES_MAX;

/// Descriptors that the server needs before anyone is connected.
pub(super) fn reserved(config: &Config, shard_count: u64) -> u64 {
    let handshakes = if config.has_handshakes() { TLS_HANDSHAKES_MAX as u64 } else { 0 };
    // Two places that are one stop the start in their own words.
    let listeners = places::places(config).map_or(1, |places| places.len() as u64);
    let of_shards = (FDS_RESERVED_SHARD + listeners + handshakes).saturating_mul(shard_count);
    let of_sources = config.sources.len() as u64 * FDS_SOURCE;
    FDS_RESERVED + of_shards + of_tables(config) + of_hooks(config) + of_store(config) + of_sources
}

/// Files and sockets of whoever has the tables.
fn of_tables(config: &Config) -> u64 {
    let set = &config.tables;
    if !set.is_on() {
        return 0;
    }
    let database = match set.backend {
        BackendChoice::Memory => 0,
        // Besides the readers one writes, and one reads by key.
        BackendChoice::Sqlite => (set.readers + 2) * FDS_SQLITE,
        BackendChoice::Postgres => (set.readers + 1) * FDS_OUTBOUND,
    };
    let servers = match set.cache.kept {
        CacheChoice::Off | CacheChoice::Memory => 0,
        CacheChoice::Redis | CacheChoice::Memcached => set.cache.servers.len() as u64,
    };
    database + servers * FDS_OUTBOUND
}

/// Sockets to whoever answers hooks over HTTP.
fn of_hooks(config: &Config) -> u64 {
    let is_on = config.tables.is_on() && config.hooks.urls().next().is_some();
    if is_on { config.hooks.concurrency * FDS_OUTBOUND } else { 0 }
}

/// Files of what is kept on disk.
fn of_store(config: &Config) -> u64 {
    if !config.has_store() {
        return 0;
    }
    FDS_STORE + config.history.durable.len() as u64 * FDS_STORE_CLASS
}

/// Connections that the limit on open files allows; `has_own`: each shard has a table of descriptors of its own.
pub(super) fn fit(config: &Config, shard_count: u64, limit: u64, has_own: bool) -> u64 {
    let per_table = limit.saturating_sub(reserved(config, shard_count));
    per_table.saturating_mul(if has_own { shard_count } else { 1 })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of(text: &str, shards: u64) -> u64 {
        reserved(&Config::parse(text, Path::new("f.toml")).unwrap(), shards)
    }

    #[test]
    fn every_listener_counts_on_every_shard() {
        let usual = of("", 2);
        assert_eq!(usual, FDS_RESERVED + 2 * (FDS_RESERVED_SHARD + 1));
        let mut text = String::new();
        for (count, (key, _)) in (1..).zip(Config::default().guests()) {
            text += &format!("{key}.listen = '127.0.0.1:0'\n");
            assert_eq!(of(&text, 2), usual + 2 * count, "{text}");
        }
    }

    #[test]
    fn databases_caches_hooks_and_the_store_count() {
        let table = "[[table]]\nname = 't'\ncolumns = ['id int key']\n";
        let usual = of("", 1);
        for (text, count) in [
            (format!("tables.backend = 'memory'\n{table}"), 0),
            (format!("tables.readers = 7\n{table}"), 9 * FDS_SQLITE),
            (
                format!("tables.backend = 'postgres'\ntables.readers = 64\n{table}"),
                65 * FDS_OUTBOUND,
            ),
            (
                format!(
                    "tables.backend = 'memory'\ntables.cache = 'redis'\ntables.cache_servers = ['redis://127.0.0.1:1', 'redis://127.0.0.1:2']\n{table}"
                ),
                2 * FDS_OUTBOUND,
            ),
            (
                format!(
                    "tables.backend = 'memory'\nhooks.concurrency = 256\nhooks.before_read = 'http://127.0.0.1:1/'\n{table}"
                ),
                256 * FDS_OUTBOUND,
            ),
            (
                "data_dir = 'd'\n[[history.durable]]\ntopics = ['a']\n".to_owned(),
                FDS_STORE + FDS_STORE_CLASS,
            ),
        ] {
            assert_eq!(of(&text, 1), usual + count, "{text}");
        }
    }
}
