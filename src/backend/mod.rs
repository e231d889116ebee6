//! Whoever has the tables: a thread that hears what is asked of them, and a backend that has the rows.
//!
//! Invariant: no shard ever waits for it. Never knows a dialect.

mod cache;
mod choice;
mod party;

pub mod sqlite;

pub use cache::CacheUse;
pub use cache::Cached;
pub use cache::Kept;
pub use cache::check_redis_address;
pub use choice::Backend;
pub use party::TablesParty;
pub use party::addressed;
