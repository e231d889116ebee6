//! The keys about answers of tables that are kept, and where.

use super::rows::CacheChoice;
use super::takes::Key;
use super::takes::Takes;
use crate::limits::CACHE_NAMESPACE_BYTES_MAX;
use crate::limits::CACHE_TTL_S_MAX;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "tables.cache",
        takes: Takes::Choice {
            of: &["off", "memory", "redis", "memcached"],
            set: |config, word| {
                config.tables.cache.kept = match word {
                    "memory" => CacheChoice::Memory,
                    "redis" => CacheChoice::Redis,
                    "memcached" => CacheChoice::Memcached,
                    _ => CacheChoice::Off,
                }
            },
        },
        default: "\"off\"",
        unit: "",
        doc: "Who keeps what was read from tables, so that it need not be read again ([TABLES](TABLES.md#the-cache)): numbers of rows, and whole answers of tables with `cached = true`. Writes through this server are always seen; what others write into the database is seen after `tables.cache_ttl_s`.",
    },
    Key {
        name: "tables.cache_servers",
        takes: Takes::List(|config| &mut config.tables.cache.servers),
        default: "[]",
        unit: "",
        doc: "Servers that keep it, each a share: of Redis as `redis://127.0.0.1:6379/0` (with TLS `rediss://…`, with a user `redis://user@…`), of memcached as `127.0.0.1:11211`. One that is gone or slow is done without.",
    },
    Key {
        name: "tables.cache_password_file",
        takes: Takes::Text { field: |config| &mut config.tables.cache.password_file },
        default: "\"\"",
        unit: "",
        doc: "A file with the password for servers of Redis. Empty: none.",
    },
    Key {
        name: "tables.cache_namespace",
        takes: Takes::Checked {
            values: "a name of letters, digits, `-`, `_` and `.`",
            check: check_namespace,
            field: |config| &mut config.tables.cache.namespace,
        },
        default: "\"\"",
        unit: "",
        doc: "Servers of one database that say the same name here share what is kept; servers of different databases must not. Empty: this process keeps it for itself.",
    },
    Key {
        name: "tables.cache_bytes_max",
        takes: Takes::Number {
            min: 1 << 20,
            max: 1 << 40,
            field: |config| &mut config.tables.cache.bytes_max,
        },
        default: "67108864",
        unit: "bytes",
        doc: "What is kept in memory; beyond it what was unused the longest goes.",
    },
    Key {
        name: "tables.cache_ttl_s",
        takes: Takes::Number {
            min: 1,
            max: CACHE_TTL_S_MAX,
            field: |config| &mut config.tables.cache.ttl_s,
        },
        default: "120",
        unit: "seconds",
        doc: "How long it is kept.",
    },
    Key {
        name: "tables.cache_timeout_ms",
        takes: Takes::Number {
            min: 1,
            max: 10_000,
            field: |config| &mut config.tables.cache.timeout_ms,
        },
        default: "100",
        unit: "milliseconds",
        doc: "How long a server that keeps answers is waited for; then the tables are asked.",
    },
];

/// A name that can stand in a key of any server.
fn check_namespace(name: &str) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.bytes().all(is_plain) {
        return Err("it may have letters, digits, `-`, `_` and `.` only".to_owned());
    }
    if name.len() > CACHE_NAMESPACE_BYTES_MAX {
        return Err(format!("it has more than {CACHE_NAMESPACE_BYTES_MAX} bytes"));
    }
    Ok(())
}
