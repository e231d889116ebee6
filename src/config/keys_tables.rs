//! The keys about tables of rows; the tables themselves are the operator's own.

use super::BackendChoice;
use super::takes::Key;
use super::takes::Takes;
use crate::limits::SQLITE_READERS_MAX;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "tables.backend",
        takes: Takes::Choice {
            of: &["sqlite", "memory"],
            set: |config, word| {
                config.tables.backend = match word {
                    "memory" => BackendChoice::Memory,
                    _ => BackendChoice::Sqlite,
                }
            },
        },
        default: "\"sqlite\"",
        unit: "",
        doc: "Who keeps the rows of tables (`[[table]]`). `sqlite`: one file, with nothing to install. `memory`: the process itself; they are gone when it ends.",
    },
    Key {
        name: "tables.file",
        takes: Takes::Text { field: |config| &mut config.tables.file },
        default: "\"\"",
        unit: "",
        doc: "The file of SQLite; it is made if it is not there, and so are tables that it does not have. Empty: `tables.sqlite` in `data_dir`.",
    },
    Key {
        name: "tables.readers",
        takes: Takes::Number {
            min: 1,
            max: SQLITE_READERS_MAX,
            field: |config| &mut config.tables.readers,
        },
        default: "4",
        unit: "threads",
        doc: "Threads that read from SQLite: so many slow queries are read at once before others wait for them.",
    },
    Key {
        name: "tables.query_ms_max",
        takes: Takes::Number {
            min: 1,
            max: 3_600_000,
            field: |config| &mut config.tables.query_ms_max,
        },
        default: "5000",
        unit: "milliseconds",
        doc: "How long one query may take; a slower one fails with `too_slow`.",
    },
    Key {
        name: "tables.memory_bytes_max",
        takes: Takes::Number {
            min: 1 << 20,
            max: 1 << 40,
            field: |config| &mut config.tables.memory_bytes_max,
        },
        default: "67108864",
        unit: "bytes",
        doc: "Rows of all tables together, if they are kept in memory; a write beyond it is refused with `full`.",
    },
];
