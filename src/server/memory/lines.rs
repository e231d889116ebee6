//! The lines of the sum: everything that a client can make the server hold, each with what bounds it.
//!
//! To make the server hold something new is to add a line here; `docs/SECURITY.md` shows the same list, made from this one.
//! Invariant: the shares of all lines are a whole. Never adds up: that is `WorstCase`.

use crate::config::BackendChoice;
use crate::config::CacheChoice;
use crate::config::Config;
use crate::limits::BATCHES_SHARE;
use crate::limits::CACHE_SERVER_BYTES;
use crate::limits::CONNECTION_BYTES;
use crate::limits::DEFLATE_STREAM_BYTES;
use crate::limits::DEFLATE_STREAMS_MAX;
use crate::limits::FLUSH_BYTES_MAX;
use crate::limits::HISTORY_BYTES_DEFAULT;
use crate::limits::HOOK_ANSWER_BYTES_MAX;
use crate::limits::HOOK_CALLS_BYTES_MAX;
use crate::limits::INFLATED_KEPT_BYTES_MAX;
use crate::limits::INPUT_GROWTH_BYTES_MIN;
use crate::limits::INPUT_GROWTH_SHARE;
use crate::limits::LAST_BYTES_DEFAULT;
use crate::limits::MEMORY_SHARES;
use crate::limits::OUTBOX_SPARE_BYTES;
use crate::limits::PARTIAL_SPARE_BYTES_MAX;
use crate::limits::PARTIAL_SPARES_MAX;
use crate::limits::PLACE_BYTES;
use crate::limits::POSTGRES_MESSAGE_BYTES_MAX;
use crate::limits::PROCESS_BYTES;
use crate::limits::READ_BYTES;
use crate::limits::REPLAY_SPARE_BYTES;
use crate::limits::SESSIONS_BYTES_DEFAULT;
use crate::limits::SHARD_BYTES;
use crate::limits::SOURCE_BYTES;
use crate::limits::SQLITE_CACHE_BYTES;
use crate::limits::STORE_BYTES;
use crate::limits::STORE_SHARE;
use crate::limits::TABLE_ANSWERS_BYTES_MAX;
use crate::limits::TABLE_GROUP_BYTES_MAX;
use crate::limits::TABLE_WRITES_WAITING_BYTES_MAX;
use crate::limits::TABLES_BYTES_DEFAULT;
use crate::limits::TLS_CLIENT_BYTES;
use crate::limits::TLS_CONNECTION_BYTES;
use crate::limits::TLS_HANDSHAKE_BYTES;
use crate::limits::TLS_HANDSHAKES_MAX;
use crate::limits::TLS_RECORDS_SHARE;
use crate::limits::TOPICS_BYTES_DEFAULT;

/// A line of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(in crate::server) enum Part {
    Process,
    Shards,
    Inflating,
    Flushes,
    DeflateStreams,
    Connections,
    Secured,
    Handshakes,
    Outboxes,
    Batches,
    Records,
    History,
    Store,
    StoreBuffers,
    Last,
    Topics,
    Subscriptions,
    Shaping,
    Replays,
    Input,
    Mesh,
    Tables,
    Tokens,
    Sessions,
    Rows,
    Hooks,
    Sources,
}

/// What a line says, whatever the machine.
#[derive(Debug)]
pub(in crate::server) struct Line {
    pub(in crate::server) part: Part,
    /// What is held.
    pub(in crate::server) name: &'static str,
    pub(super) bound: Bound,
    /// The key that changes the bound.
    pub(in crate::server) key: &'static str,
    /// What happens at it.
    pub(in crate::server) at_limit: &'static str,
}

/// How much of it there may be.
#[derive(Debug)]
pub(super) enum Bound {
    /// So many bytes, whatever is configured.
    Fixed(u64),
    /// So many bytes for each shard.
    EachShard(u64),
    /// So many bytes for each shard, by what is configured.
    EachShardSet(fn(&Config) -> u64),
    /// So many bytes for each connection; `share`: what part of the memory says how many there may be, if nobody does.
    EachConnection { bytes: u64, share: u64 },
    /// So many bytes for each connection, by what is configured, if there is TLS.
    EachSecured(fn(&Config) -> u64),
    /// One such part of another line, which has so much less.
    Of { of: Part, share: u64 },
    /// One such part of another line, which has so much less, if there is TLS.
    OfSecured { of: Part, share: u64 },
    /// One such part of another line, which has so much less, if history is kept on disk.
    OfStored { of: Part, share: u64 },
    /// So many bytes, if history is kept on disk.
    Stored(u64),
    /// So many bytes, by what is configured.
    Set(fn(&Config) -> u64),
    /// As set; else so many `MEMORY_SHARES`-ths of what the lines without a share leave, and at most `most` bytes.
    Budget { set: fn(&Config) -> u64, share: u64, most: u64 },
}

/// Bytes of one connection that is idle, of its place where users are counted, and of the outbox and the pages of the past that it may have whatever
/// others do.
pub(super) const EACH_CONNECTION_BYTES: u64 =
    CONNECTION_BYTES + PLACE_BYTES + OUTBOX_SPARE_BYTES as u64 + REPLAY_SPARE_BYTES as u64;

/// Bytes of what a shard keeps to gather messages in.
const GATHERED_BYTES: usize = PARTIAL_SPARES_MAX * PARTIAL_SPARE_BYTES_MAX;

/// Bytes that the buffer of one message of the greatest length may take: such buffers grow by a part of what they hold.
pub(super) const fn message_buffer_bytes(config: &Config) -> u64 {
    let bytes = config.message_bytes_max;
    bytes + bytes / INPUT_GROWTH_SHARE as u64 + INPUT_GROWTH_BYTES_MIN as u64
}

/// Bytes of the two buffers into which a shard inflates a message.
fn inflating_bytes(config: &Config) -> u64 {
    2 * message_buffer_bytes(config).max(INFLATED_KEPT_BYTES_MAX as u64)
}

/// Bytes of what TLS keeps for one connection.
pub(super) fn secured_bytes(config: &Config) -> u64 {
    TLS_CONNECTION_BYTES + client_bytes(config)
}

/// Bytes of the handshakes of one shard.
fn handshakes_bytes(config: &Config) -> u64 {
    if !config.has_handshakes() {
        return 0;
    }
    TLS_HANDSHAKES_MAX as u64 * (TLS_HANDSHAKE_BYTES as u64 + client_bytes(config))
}

/// Bytes of what one client may show of itself.
fn client_bytes(config: &Config) -> u64 {
    if config.tls.client_ca_file.is_empty() { 0 } else { TLS_CLIENT_BYTES }
}

/// Bytes of what whoever has the tables holds.
fn rows_bytes(config: &Config) -> u64 {
    if !config.tables.is_on() {
        return 0;
    }
    let rows = match config.tables.backend {
        BackendChoice::Memory => config.tables.memory_bytes_max,
        // Besides the readers one writes, and one reads by key.
        BackendChoice::Sqlite => (config.tables.readers + 2) * SQLITE_CACHE_BYTES as u64,
        BackendChoice::Postgres => {
            let connections = (config.tables.readers + 1) * POSTGRES_MESSAGE_BYTES_MAX as u64;
            connections + (TABLE_WRITES_WAITING_BYTES_MAX + TABLE_GROUP_BYTES_MAX) as u64
        }
    };
    rows + TABLE_ANSWERS_BYTES_MAX as u64 + cache_bytes(config)
}

/// Bytes of the cache in front of them.
const fn cache_bytes(config: &Config) -> u64 {
    let set = &config.tables.cache;
    match set.kept {
        CacheChoice::Off => 0,
        CacheChoice::Memory => set.bytes_max,
        CacheChoice::Redis | CacheChoice::Memcached => {
            set.servers.len() as u64 * CACHE_SERVER_BYTES as u64
        }
    }
}

/// Bytes of calls of hooks that wait for their turn, and of the answers that may come at once.
fn hooks_bytes(config: &Config) -> u64 {
    if !config.hooks.is_on() || !config.tables.is_on() {
        return 0;
    }
    HOOK_CALLS_BYTES_MAX as u64 + config.hooks.concurrency * HOOK_ANSWER_BYTES_MAX as u64
}

/// Bytes of what sources have fetched, and what becomes of it.
const fn sources_bytes(config: &Config) -> u64 {
    config.sources.len() as u64 * SOURCE_BYTES
}

/// Every line, in the order of the parts.
pub(in crate::server) const LINES: [Line; 27] = [
    Line {
        part: Part::Process,
        name: "the process: its code, its own threads, key sets",
        bound: Bound::Fixed(PROCESS_BYTES),
        key: "memory.bytes_max",
        at_limit: "does not grow",
    },
    Line {
        part: Part::Shards,
        name: "threads, their buffers and tables",
        bound: Bound::EachShard(SHARD_BYTES + (READ_BYTES + GATHERED_BYTES) as u64),
        key: "shards",
        at_limit: "does not grow",
    },
    Line {
        part: Part::Inflating,
        name: "the one compressed message that each shard inflates at a time",
        bound: Bound::EachShardSet(inflating_bytes),
        key: "message_bytes_max",
        at_limit: "a longer one is closed with 1009",
    },
    Line {
        part: Part::Flushes,
        name: "frames on their way, and side by side for classes that differ",
        bound: Bound::EachShard(2 * FLUSH_BYTES_MAX as u64),
        key: "shards",
        at_limit: "the next event waits; what one event adds is sent in pieces",
    },
    Line {
        part: Part::DeflateStreams,
        name: "deflate streams of classes",
        bound: Bound::EachShard((DEFLATE_STREAMS_MAX * DEFLATE_STREAM_BYTES) as u64),
        key: "shards",
        at_limit: "further classes are sent plain frames",
    },
    Line {
        part: Part::Connections,
        name: "connections, each with its place among its user's, a small outbox and a small page",
        bound: Bound::EachConnection { bytes: EACH_CONNECTION_BYTES, share: 10 },
        key: "connections_max",
        at_limit: "one more is closed at once",
    },
    Line {
        part: Part::Secured,
        name: "TLS: keys of connections, and certificates that clients have shown",
        bound: Bound::EachSecured(secured_bytes),
        key: "connections_max",
        at_limit: "one more is closed at once",
    },
    Line {
        part: Part::Handshakes,
        name: "TLS: handshakes that are underway, and headers of proxies",
        bound: Bound::EachShardSet(handshakes_bytes),
        key: "shards",
        at_limit: "whoever keeps the server waiting longest goes; else nobody is accepted before one has ended",
    },
    Line {
        part: Part::Outboxes,
        name: "outboxes of those who do not keep up, what they have begun to be sent, and what they have not acknowledged",
        bound: Bound::Budget { set: |config| config.outboxes_bytes_max, share: 11, most: u64::MAX },
        key: "outboxes_bytes_max",
        at_limit: "those that hold the most meet their slow policy",
    },
    Line {
        part: Part::Batches,
        name: "batches that are being filled, and the events in them",
        bound: Bound::Of { of: Part::Outboxes, share: BATCHES_SHARE },
        key: "outboxes_bytes_max",
        at_limit: "those that are due next are sent before their time",
    },
    Line {
        part: Part::Records,
        name: "TLS: records that have come or gone in part",
        bound: Bound::OfSecured { of: Part::Outboxes, share: TLS_RECORDS_SHARE },
        key: "outboxes_bytes_max",
        at_limit: "whoever has held one for the longest is closed",
    },
    Line {
        part: Part::History,
        name: "history, and the topics that have one",
        bound: Bound::Budget {
            set: |config| config.history.bytes_max,
            share: 7,
            most: HISTORY_BYTES_DEFAULT,
        },
        key: "history.bytes_max",
        at_limit: "the oldest event of all topics goes",
    },
    Line {
        part: Part::Store,
        name: "store: which event of each key is the newest, and what was read of late",
        bound: Bound::OfStored { of: Part::History, share: STORE_SHARE },
        key: "history.bytes_max",
        at_limit: "keys that have been unchanged the longest are forgotten; blocks are read again",
    },
    Line {
        part: Part::StoreBuffers,
        name: "store: what is on its way to the disk, and from it",
        bound: Bound::Stored(STORE_BYTES as u64),
        key: "history.durable",
        at_limit: "publishes are refused with `full`; requests for pages wait",
    },
    Line {
        part: Part::Last,
        name: "last events per key",
        bound: Bound::Budget {
            set: |config| config.history.last_bytes_max,
            share: 4,
            most: LAST_BYTES_DEFAULT,
        },
        key: "history.last_bytes_max",
        at_limit: "the longest unchanged of all topics goes",
    },
    Line {
        part: Part::Topics,
        name: "where forgotten topics go on",
        bound: Bound::Budget {
            set: |config| config.memory.topics_bytes_max,
            share: 2,
            most: TOPICS_BYTES_DEFAULT,
        },
        key: "memory.topics_bytes_max",
        at_limit: "the longest forgotten goes on above the offsets of all that were forgotten",
    },
    Line {
        part: Part::Subscriptions,
        name: "subscriptions: classes, filters, what finds them",
        bound: Bound::Budget {
            set: |config| config.memory.subscriptions_bytes_max,
            share: 6,
            most: u64::MAX,
        },
        key: "memory.subscriptions_bytes_max",
        at_limit: "a subscription is refused with `too_many_subscriptions`",
    },
    Line {
        part: Part::Shaping,
        name: "what `max_rate` holds back and `leave` remembers",
        bound: Bound::Budget {
            set: |config| config.memory.shaping_bytes_max,
            share: 3,
            most: u64::MAX,
        },
        key: "memory.shaping_bytes_max",
        at_limit: "the connection is closed with 4008",
    },
    Line {
        part: Part::Replays,
        name: "pages of the past on their way, and what is known of replays",
        bound: Bound::Budget {
            set: |config| config.memory.replays_bytes_max,
            share: 4,
            most: u64::MAX,
        },
        key: "memory.replays_bytes_max",
        at_limit: "pages are smaller, large events of the past wait; who leaves a page lying is closed with 4008",
    },
    Line {
        part: Part::Input,
        name: "input that has not ended, drafts on their way, and what conversations remember and gather",
        bound: Bound::Budget {
            set: |config| config.memory.input_bytes_max,
            share: 8,
            most: u64::MAX,
        },
        key: "memory.input_bytes_max",
        at_limit: "those that hold the most are refused: 503, 413, 1009",
    },
    Line {
        part: Part::Mesh,
        name: "messages between shards, and events that have arrived",
        bound: Bound::Budget {
            set: |config| config.memory.mesh_bytes_max,
            share: 4,
            most: u64::MAX,
        },
        key: "memory.mesh_bytes_max",
        at_limit: "publishes are refused with `full`",
    },
    Line {
        part: Part::Tables,
        name: "rates, revocations, places of users and addresses",
        bound: Bound::Budget {
            set: |config| config.memory.tables_bytes_max,
            share: 2,
            most: TABLES_BYTES_DEFAULT,
        },
        key: "memory.tables_bytes_max",
        at_limit: "the newcomer is refused",
    },
    Line {
        part: Part::Tokens,
        name: "tokens of those who are connected: roles, patterns, filters",
        bound: Bound::Budget {
            set: |config| config.memory.tokens_bytes_max,
            share: 2,
            most: TABLES_BYTES_DEFAULT,
        },
        key: "memory.tokens_bytes_max",
        at_limit: "the newcomer is refused with 503, a token shown later is not taken",
    },
    Line {
        part: Part::Sessions,
        name: "sessions whose clients are gone, what was in flight to them, and what waits for those who share",
        bound: Bound::Budget {
            set: |config| config.memory.sessions_bytes_max,
            share: 1,
            most: SESSIONS_BYTES_DEFAULT,
        },
        key: "memory.sessions_bytes_max",
        at_limit: "sessions end, first of the user who has left the most; their clients hear Session Present 0",
    },
    Line {
        part: Part::Rows,
        name: "tables: rows that are kept in memory, pages of the file, the cache, and answers on their way",
        bound: Bound::Set(rows_bytes),
        key: "tables.memory_bytes_max",
        at_limit: "a write is refused with `full`, a query with `busy`",
    },
    Line {
        part: Part::Hooks,
        name: "hooks: calls that wait for their turn, and answers that come at once",
        bound: Bound::Set(hooks_bytes),
        key: "hooks.concurrency",
        at_limit: "a call has failed, which is no yes",
    },
    Line {
        part: Part::Sources,
        name: "sources: what they have fetched, and what becomes of it",
        bound: Bound::Set(sources_bytes),
        key: "source",
        at_limit: "nothing more is fetched",
    },
];

const _: () = {
    let mut shares = 0;
    let mut index = 0;
    while index < LINES.len() {
        assert!(LINES[index].part as usize == index, "lines stand in the order of their parts");
        shares += match LINES[index].bound {
            Bound::EachConnection { share, .. } | Bound::Budget { share, .. } => share,
            Bound::Fixed(_)
            | Bound::EachShard(_)
            | Bound::EachShardSet(_)
            | Bound::EachSecured(_)
            | Bound::Of { .. }
            | Bound::OfSecured { .. }
            | Bound::OfStored { .. }
            | Bound::Set(_)
            | Bound::Stored(_) => 0,
        };
        index += 1;
    }
    assert!(shares == MEMORY_SHARES, "all shares are the whole");
};
