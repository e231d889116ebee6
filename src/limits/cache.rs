//! Bounds of the cache in front of tables: of what is kept, of what is on its way to servers that keep it, and of how long anybody waits for them.

use super::TABLE_PRELOADS_MAX;

/// Bytes of one answer that the cache keeps, written down; a larger one, or one of several pages, is not kept.
pub const CACHE_VALUE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an answer in memory beyond its own: its places in both maps, and their room to grow.
pub const CACHE_ENTRY_BYTES: usize = 256;
/// Tables whose generations one kept answer depends on: its own, and those that are preloaded. Preloads have a bound, so there are never more.
pub const CACHE_TABLES_MAX: usize = 1 + TABLE_PRELOADS_MAX;
/// Servers that an answer may be kept on; more stop the start.
pub const CACHE_SERVERS_MAX: usize = 16;
/// Queries that one server is asked for at a time; at the limit a query is read from the tables without asking it, and what is read is not kept.
pub const CACHE_LOOKUPS_MAX: usize = 64;
/// Bytes of answers that wait to be kept by one server; at the limit further ones are not kept.
pub const CACHE_STORES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Jobs that wait for the thread of one server; at the limit answers are not kept, and queries are read from the tables.
pub const CACHE_JOBS_MAX: usize = 1024;
/// Bytes of what one server's thread holds at most: answers that wait and that are sent, their copy as it is said, and all that it may be asked for and has answered.
pub const CACHE_SERVER_BYTES: usize =
    3 * CACHE_STORES_BYTES_MAX + 2 * CACHE_LOOKUPS_MAX * CACHE_VALUE_BYTES_MAX;
/// Milliseconds that pass before a server that is gone is connected to again; each time twice as many, up to the next.
pub const CACHE_RETRY_MS: u64 = 100;
/// Milliseconds that pass at most.
pub const CACHE_RETRY_MS_MAX: u64 = 10_000;
/// Seconds after which a server forgets the generation of a table that is not written; then the table has a new one, and what was kept of it is read anew.
pub const CACHE_GENERATION_S: u64 = 24 * 3600;
/// Seconds that an answer may be kept; a longer time cannot be set. It is less than the thirty days from which memcached takes a number for a date.
pub const CACHE_TTL_S_MAX: u64 = 24 * 3600;
/// Bytes of the name under which servers share what they keep; a longer one stops the start.
pub const CACHE_NAMESPACE_BYTES_MAX: usize = 64;
/// Bytes of a key of memcached; ours are a name and a hash in hexadecimal.
pub const MEMCACHED_KEY_BYTES_MAX: usize = 250;
/// Bytes of a line that memcached answers with; a longer one ends the connection.
pub const MEMCACHED_LINE_BYTES_MAX: usize = 512;

const _: () = assert!(
    "fanwire::x:".len() + CACHE_NAMESPACE_BYTES_MAX + 64 <= MEMCACHED_KEY_BYTES_MAX,
    "every key of ours is one of memcached's"
);
const _: () = assert!(CACHE_TTL_S_MAX < 30 * 24 * 3600 && CACHE_GENERATION_S < 30 * 24 * 3600);
const _: () = assert!(CACHE_VALUE_BYTES_MAX <= CACHE_STORES_BYTES_MAX);
const _: () = assert!(
    CACHE_VALUE_BYTES_MAX < 1024 * 1024,
    "memcached keeps no item that is larger, unless it is told to"
);
