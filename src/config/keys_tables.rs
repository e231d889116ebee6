//! The keys about tables of rows; the tables themselves are the operator's own.

use super::BackendChoice;
use super::takes::Key;
use super::takes::Takes;
use crate::limits::TABLES_READERS_MAX;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "tables.backend",
        takes: Takes::Choice {
            of: &["sqlite", "postgres", "memory"],
            set: |config, word| {
                config.tables.backend = match word {
                    "memory" => BackendChoice::Memory,
                    "postgres" => BackendChoice::Postgres,
                    _ => BackendChoice::Sqlite,
                }
            },
        },
        default: "\"sqlite\"",
        unit: "",
        doc: "Who keeps the rows of tables (`[[table]]`). `sqlite`: one file, with nothing to install. `postgres`: a database of PostgreSQL 13 or later, at `tables.url`. `memory`: the process itself; they are gone when it ends.",
    },
    Key {
        name: "tables.file",
        takes: Takes::Text { field: |config| &mut config.tables.file },
        default: "\"\"",
        unit: "",
        doc: "The file of SQLite; it is made if it is not there, and so are tables that it does not have. Empty: `tables.sqlite` in `data_dir`.",
    },
    Key {
        name: "tables.url",
        takes: Takes::Text { field: |config| &mut config.tables.url },
        default: "\"\"",
        unit: "",
        doc: "Where the database of PostgreSQL is: `postgres://ada@db.example.org:5432/house`, or `postgres:///house?host=/run/postgresql&user=ada` for a socket's folder. To anywhere but this machine it is encrypted, and the server's certificate is checked; `?sslrootcert=ca.pem` names the authority, and `?sslmode=disable` does without.",
    },
    Key {
        name: "tables.password_file",
        takes: Takes::Text { field: |config| &mut config.tables.password_file },
        default: "\"\"",
        unit: "",
        doc: "The file with the password for `tables.url`, unless it stands there (`postgres://ada:secret@…`).",
    },
    Key {
        name: "tables.readers",
        takes: Takes::Number {
            min: 1,
            max: TABLES_READERS_MAX,
            field: |config| &mut config.tables.readers,
        },
        default: "4",
        unit: "threads",
        doc: "Threads that read from SQLite or PostgreSQL, each with a connection of its own: so many slow queries are read at once before others wait for them.",
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
