//! Whoever has the tables: a thread that hears what is asked of them, and a backend that has the rows.
//!
//! Invariant: no shard ever waits for it. Never knows a dialect.

mod backoff;

mod group;

mod party;

pub mod postgres;

mod reader;

mod reading;

pub mod sqlite;

pub use party::Backend;
pub use party::TablesParty;
pub use party::addressed;
