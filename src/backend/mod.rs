//! Whoever has the tables: a thread that hears what is asked of them, and a backend that has the rows.
//!
//! Invariant: no shard ever waits for it. Never knows a dialect.

mod cache;

mod choice;

mod figures;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod group;

mod link;

mod party;

#[cfg(feature = "postgres")]
pub mod postgres;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod purpose;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod reader;

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod reading;

mod sharing;

#[cfg(feature = "sqlite")]
pub mod sqlite;

mod taking;

pub use cache::CacheUse;
pub use cache::Cached;
pub use cache::Kept;
pub use cache::check_redis_address;
pub use choice::Backend;
pub use figures::Figures;
pub use link::Link;
pub use party::TablesParty;
pub use party::addressed;
pub use taking::FoundColumn;
pub use taking::FoundTable;
pub use taking::NamePattern;
