//! Bounds of tables: of what is asked of them, of what is written, and of what waits for them.

/// Bytes of the name of a table, a column or a relation, which is what PostgreSQL takes; a longer one stops the start.
pub const TABLE_NAME_BYTES_MAX: usize = 63;
/// Digits of a decimal number, before the point and behind it each: enough for every double. A longer number is refused with `bad_value`.
pub const DECIMAL_DIGITS_MAX: usize = 400;
/// Tests of one filter; more are refused with `too_large`.
pub const TABLE_FILTER_TESTS_MAX: usize = 256;
/// Values of one filter, which are as many parameters of a statement; more are refused with `too_large`.
pub const TABLE_FILTER_VALUES_MAX: usize = 4096;
/// Bytes of a pattern of LIKE; a longer one is refused with `too_large`. Looking for it in a text takes steps of one times the other, at worst.
pub const TABLE_PATTERN_BYTES_MAX: usize = 256;
/// Steps that one query of tables in memory takes at most, of a nanosecond or two each; one that takes more fails with `too_slow`. Others wait meanwhile.
pub const TABLE_MEMORY_STEPS_MAX: u64 = 200_000_000;
/// Levels of a filter, one within the other; more are refused with `too_large`.
pub const TABLE_FILTER_DEPTH_MAX: usize = 32;
/// Columns that rows are sorted by; more are refused with `too_large`.
pub const TABLE_SORTS_MAX: usize = 16;
/// Relations that one query preloads; more are refused with `too_large`.
pub const TABLE_PRELOADS_MAX: usize = 16;
/// Levels of preloads, one within the other; more are refused with `too_large`.
pub const TABLE_PRELOAD_DEPTH_MAX: usize = 4;
/// Rows that come with the rows of one page; a query for more fails with `too_large`.
pub const TABLE_PRELOADED_ROWS_MAX: usize = 16 * 1024;
/// Bytes of one row as it is written; a larger one is refused with `too_large`. Its event has to fit a payload.
pub const TABLE_ROW_BYTES_MAX: usize = 512 * 1024;
/// Rows of one page of an answer; a longer answer has several.
pub const TABLE_PAGE_ROWS_MAX: usize = 1024;
/// Bytes of one page of an answer, but for a single larger row; a longer answer has several.
pub const TABLE_PAGE_BYTES: usize = 256 * 1024;
/// Bytes of rows that have been read and wait until their askers have room, of all askers together; a query that finds no room fails with `busy`.
pub const TABLE_ANSWERS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a row in memory beyond its values: its places in the tree, and the lists of its key and of its columns.
pub const TABLE_MEMORY_ROW_BYTES: usize = 128;
/// Pages of one answer that a reader has read and its asker has not taken; at the limit the reader waits.
pub const TABLE_PAGES_AHEAD: usize = 4;
/// Bytes of pages that are kept for those who ask for what is read already, of all reads together; beyond that nobody joins a read, and whoever is ahead of others waits for them.
pub const TABLE_SHARED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a reader waits for its asker to take a page, in milliseconds; after that the query fails with `too_slow`.
pub const TABLE_STALLED_MS: u64 = 5_000;
/// Queries that wait for a reader; one more fails with `busy`.
pub const TABLE_QUERIES_MAX: usize = 4096;
/// Answers of which some pages have not been taken; one more query fails with `busy`.
pub const TABLE_ANSWERS_MAX: usize = 4096;
/// Writes that one transaction carries out; more are carried out in the next one.
pub const TABLE_GROUP_WRITES_MAX: usize = 512;
/// Tables that a database may have in which some are looked for by name; one with more stops the start.
pub const TABLES_LISTED_MAX: usize = 16 * 1024;
/// Tables that are taken from a database by name; more stop the start.
pub const TABLES_TAKEN_MAX: usize = 1024;
/// Threads that read from a database; an operator may set from 1 to so many.
pub const TABLES_READERS_MAX: u64 = 64;
/// Milliseconds that a statement waits while somebody else writes to the file; after that it fails with `busy`.
pub const SQLITE_BUSY_MS: u64 = 1_000;
/// Bytes of pages of the file that each connection keeps in memory.
pub const SQLITE_CACHE_BYTES: usize = 4 * 1024 * 1024;
/// Statements that each connection keeps prepared; the longest unused goes.
pub const SQLITE_STATEMENTS_MAX: usize = 128;
/// Instructions of SQLite's machine between two looks at how long a query has taken: those of some rows, for one of them may hold a pattern that is looked
/// for in half a megabyte.
pub const SQLITE_OPS_PER_LOOK: i32 = 64;
/// Milliseconds before a database that is lost is looked for again, the first time.
pub const TABLES_BACKOFF_MS_MIN: u64 = 100;
/// Milliseconds before a database that is lost is looked for again, at most; each time it is twice as long as before.
pub const TABLES_BACKOFF_MS_MAX: u64 = 30_000;
/// Writes that wait for PostgreSQL. Beyond them nothing more is taken in while it is there; while it is lost an event's row is dropped, and counted.
pub const TABLE_WRITES_WAITING_MAX: usize = 16 * 1024;
/// Bytes of writes that wait for PostgreSQL, with the same at the limit.
pub const TABLE_WRITES_WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of writes that one transaction of PostgreSQL carries out, but for a single larger one and those of events that came together; more are carried out in the next one.
pub const TABLE_GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of writes that are sent to PostgreSQL before any of its answers is read, but for a single larger one: they must fit on the way, for it takes no more while its answers are not read. More are sent after these were answered.
pub const POSTGRES_PIPELINE_BYTES_MAX: usize = 32 * 1024;
/// Bytes of one message of PostgreSQL, which is as large as a row; a query or write that meets a longer one fails with `too_large`.
pub const POSTGRES_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that are read from PostgreSQL at once.
pub const POSTGRES_READ_BYTES: usize = 64 * 1024;
/// Statements that each connection to PostgreSQL keeps prepared; beyond them the oldest goes.
pub const POSTGRES_STATEMENTS_MAX: usize = 128;
/// Parameters of a statement that is kept prepared; one with more is prepared each time.
pub const POSTGRES_PREPARED_PARAMS_MAX: usize = 64;
/// Rows that are fetched from PostgreSQL at once while something else is read in between; the bytes of them are `TABLE_PAGE_BYTES` at most, or one row.
pub const POSTGRES_FETCH_ROWS_MAX: usize = 1024;
/// Milliseconds that connecting to PostgreSQL may take, logging in included; after that it is lost.
pub const POSTGRES_CONNECT_MS_MAX: u64 = 5_000;
/// Milliseconds between two looks at whether a connection to PostgreSQL that nothing is asked of is still there.
pub const POSTGRES_HEARTBEAT_MS: u64 = 1_000;
/// Milliseconds that PostgreSQL may take to answer that it is there; after that it is lost.
pub const POSTGRES_PULSE_MS_MAX: u64 = 3_000;
/// Rounds of hashing that a server of PostgreSQL may ask for to log in; one that asks for more is not logged in to.
pub const POSTGRES_SCRAM_ROUNDS_MAX: u32 = 1_000_000;
/// Milliseconds that writes that were taken in may take when the server stops, while the database is there; what is not written then is not, and the log says how many.
pub const TABLES_STOP_MS_MAX: u64 = 30_000;
/// Tests and values of a read by key that needs no reader; one with more is left to the readers.
pub const SQLITE_POINT_TESTS_MAX: usize = 64;
