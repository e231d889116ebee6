//! The keys about tables of rows; the tables themselves are the operator's own.

use super::BackendChoice;
use super::takes::Key;
use super::takes::Takes;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "tables.backend",
        takes: Takes::Choice {
            of: &["memory"],
            set: |config, _| config.tables.backend = BackendChoice::Memory,
        },
        default: "\"memory\"",
        unit: "",
        doc: "Who keeps the rows of tables (`[[table]]`). `memory`: the process itself; they are gone when it ends.",
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
