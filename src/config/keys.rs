//! The list of keys: each once, with everything there is to say about it.

use super::DriverChoice;
use super::FdTables;
use super::levels::Levels;
use super::takes::Key;
use super::takes::Takes;
use crate::limits::FILTER_BYTES_MAX;
use crate::limits::MESSAGE_BYTES_MAX;
use crate::limits::OUTBOX_BYTES_MAX;
use crate::limits::PAGE_BYTES_MAX;
use crate::limits::PEER_TIMEOUT_S_MIN;
use crate::limits::SHARDS_MAX;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::limits::TOPIC_BYTES_MAX;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const TIB: u64 = 1024 * 1024 * MIB;
const DAY_S: u64 = 24 * 60 * 60;

/// The smallest outbox: one page of replayed events must fit.
const OUTBOX_BYTES_MIN: u64 = PAGE_BYTES_MAX as u64;

const _: () = assert!(OUTBOX_BYTES_MAX == 1024 * 1024, "the default below says so");
const _: () = assert!(SUBSCRIPTIONS_MAX == 64 && TOPIC_BYTES_MAX == 255, "the defaults say so");
const _: () = assert!(FILTER_BYTES_MAX == 16384, "the default below says so");

/// Every key of the server's own, in the order in which the page lists them: those of no table stand before all tables, as they must in a file.
pub(super) fn every() -> impl Iterator<Item = &'static Key> {
    let is_of_table = |key: &&Key| key.name.contains('.');
    all().filter(move |key| !is_of_table(key)).chain(all().filter(is_of_table))
}

fn all() -> impl Iterator<Item = &'static Key> {
    let about_others = KEYS
        .iter()
        .chain(super::keys_proxy::KEYS)
        .chain(super::keys_memory::KEYS)
        .chain(super::keys_tables::KEYS)
        .chain(super::keys_cache::KEYS)
        .chain(super::keys_hooks::KEYS);
    let about_tls = super::keys_tls::KEYS.iter().chain(super::keys_acme::KEYS);
    about_others.chain(about_tls).chain(super::keys_auth::KEYS)
}

/// The keys about the server itself.
const KEYS: &[Key] = &[
    Key {
        name: "listen",
        takes: Takes::Address(|config| &mut config.listen),
        default: "\"127.0.0.1:8080\"",
        unit: "address:port",
        doc: "Where the server listens. `0.0.0.0` or `[::]` to be reached from other machines; port 0 takes any free one.",
    },
    Key {
        name: "shards",
        takes: Takes::Number { min: 0, max: SHARDS_MAX as u64, field: |config| &mut config.shards },
        default: "0",
        unit: "threads",
        doc: "Threads that serve connections; 0: one per core that the process may use.",
    },
    Key {
        name: "driver",
        takes: Takes::Choice {
            of: &["auto", "io_uring", "epoll"],
            set: |config, word| {
                config.driver = match word {
                    "io_uring" => DriverChoice::IoUring,
                    "epoll" => DriverChoice::Epoll,
                    _ => DriverChoice::Auto,
                }
            },
        },
        default: "\"auto\"",
        unit: "",
        doc: "How threads wait for the kernel. `auto`: io_uring where the kernel allows it, else epoll. The start-up line says which, and why.",
    },
    Key {
        name: "pin",
        takes: Takes::Switch(|config| &mut config.pin),
        default: "true",
        unit: "",
        doc: "Whether each shard stays on a core of its own. Switch it off if the cores are shared with something as busy.",
    },
    Key {
        name: "fd_tables",
        takes: Takes::Choice {
            of: &["auto", "own", "shared"],
            set: |config, word| {
                config.fd_tables = match word {
                    "own" => FdTables::Own,
                    "shared" => FdTables::Shared,
                    _ => FdTables::Auto,
                }
            },
        },
        default: "\"auto\"",
        unit: "",
        doc: "`own`: each shard has its own table of descriptors, so that the limit on open files holds per shard and not for all together. `auto`: if the connections would not fit one table.",
    },
    Key {
        name: "connections_max",
        takes: Takes::Number {
            min: 0,
            max: 16_000_000,
            field: |config| &mut config.connections_max,
        },
        default: "0",
        unit: "connections",
        doc: "Connections at a time, an equal share for each shard; one more is closed at once. 0: as many as the limit on open files and the memory allow, at most 100000. The start is refused if they cannot be held.",
    },
    Key {
        name: "topics_max",
        takes: Takes::Number { min: 1, max: 100_000_000, field: |config| &mut config.topics_max },
        default: "1000000",
        unit: "topics",
        doc: "Topics that the server knows, an equal share for each shard; an event of one more is refused with `too_many_topics`.",
    },
    Key {
        name: "message_bytes_max",
        takes: Takes::Number {
            min: KIB,
            max: MESSAGE_BYTES_MAX as u64,
            field: |config| &mut config.message_bytes_max,
        },
        default: "1048576",
        unit: "bytes",
        doc: "One message of a client, also after inflating. A larger one closes the connection with 1009; over HTTP it is answered 413.",
    },
    Key {
        name: "subscriptions_max",
        takes: Takes::Number {
            min: 1,
            max: SUBSCRIPTIONS_MAX as u64,
            field: |config| &mut config.subscriptions_max,
        },
        default: "64",
        unit: "subscriptions",
        doc: "Subscriptions of one connection of the native protocol; one more is refused with `too_many_subscriptions`. Other dialects have limits of their own.",
    },
    Key {
        name: "topic_bytes_max",
        takes: Takes::Number {
            min: 1,
            max: TOPIC_BYTES_MAX as u64,
            field: |config| &mut config.topic_bytes_max,
        },
        default: "255",
        unit: "bytes",
        doc: "A topic's name; a longer one is refused with `bad_topic`.",
    },
    Key {
        name: "filter_bytes_max",
        takes: Takes::Number {
            min: 16,
            max: FILTER_BYTES_MAX as u64,
            field: |config| &mut config.filter_bytes_max,
        },
        default: "16384",
        unit: "bytes",
        doc: "A filter of the native protocol, written as short as can be; a longer one is refused with `bad_filter`.",
    },
    Key {
        name: "outbox_bytes_max",
        takes: Takes::Number {
            min: OUTBOX_BYTES_MIN,
            max: 1024 * MIB,
            field: |config| &mut config.outbox_bytes_max,
        },
        default: "1048576",
        unit: "bytes",
        doc: "What may wait for one subscriber that does not keep up; at the limit its subscriptions' `slow` policy applies. Those that keep up have no outbox.",
    },
    Key {
        name: "outboxes_bytes_max",
        takes: Takes::Number { min: 0, max: TIB, field: |config| &mut config.outboxes_bytes_max },
        default: "0",
        unit: "bytes",
        doc: "What may wait for all subscribers that do not keep up together, an equal share for each shard. The more of them there are, the less each may have, and those that have the most meet their `slow` policy first. 0: a share of the memory.",
    },
    Key {
        name: "send_buffer_bytes",
        takes: Takes::Number {
            min: 0,
            max: 64 * MIB,
            field: |config| &mut config.send_buffer_bytes,
        },
        default: "131072",
        unit: "bytes",
        doc: "What the kernel holds for one peer that does not read, before its outbox does; the kernel doubles it for its own bookkeeping. 0: as much as the kernel likes, which is megabytes.",
    },
    Key {
        name: "peer_timeout_s",
        takes: Takes::Number {
            min: PEER_TIMEOUT_S_MIN,
            max: 3600,
            field: |config| &mut config.peer_timeout_s,
        },
        default: "60",
        unit: "seconds",
        doc: "A peer that acknowledges nothing of what it was sent, or reads nothing while something waits for it, is given up after so long (`TCP_USER_TIMEOUT`); one to which nothing is sent is probed (`SO_KEEPALIVE`), so that who is gone without a word is noticed as soon.",
    },
    Key {
        name: "deflate",
        takes: Takes::Switch(|config| &mut config.deflate),
        default: "true",
        unit: "",
        doc: "Whether permessage-deflate is agreed to with clients that offer it.",
    },
    Key {
        name: "echo",
        takes: Takes::Switch(|config| &mut config.echo),
        default: "false",
        unit: "",
        doc: "Whether `/echo` exists: it sends back what it gets. For conformance suites; not for the open.",
    },
    Key {
        name: "log",
        takes: Takes::Checked {
            values: "a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), and levels of modules: `\"info,conn=debug\"`",
            check: |text| Levels::parse(text).map(drop),
            field: |config| &mut config.log,
        },
        default: "\"info\"",
        unit: "",
        doc: "How much is said in the log, on standard error, and by which modules (folders of the source). `--log` on the command line wins; `fanwire admin log` changes it until the next reload.",
    },
    Key {
        name: "log_format",
        takes: Takes::Choice {
            of: &["text", "json"],
            set: |config, word| word.clone_into(&mut config.log_format),
        },
        default: "\"text\"",
        unit: "",
        doc: "How lines of the log are written: for people, or as an object of JSON each.",
    },
    Key {
        name: "ping_after_s",
        takes: Takes::Number { min: 1, max: 3600, field: |config| &mut config.ping_after_s },
        default: "30",
        unit: "seconds",
        doc: "A WebSocket client that has been silent for so long is pinged; after twice as long it is closed with 1011.",
    },
    Key {
        name: "request_timeout_s",
        takes: Takes::Number { min: 1, max: 3600, field: |config| &mut config.request_timeout_s },
        default: "10",
        unit: "seconds",
        doc: "A request that has not arrived by then is answered 408; also how long an idle HTTP connection is kept.",
    },
    Key {
        name: "upload_bytes_per_s_min",
        takes: Takes::Number {
            min: 1,
            max: 1024 * MIB,
            field: |config| &mut config.upload_bytes_per_s_min,
        },
        default: "512",
        unit: "bytes",
        doc: "What is longer than a moment may take `request_timeout_s` and a second more for each so many bytes that have come: a body, a line of an upload, a WebSocket message. What is slower is answered 408, or closed with 1008. An upload may last for as long as each of its lines is in time.",
    },
    Key {
        name: "close_timeout_s",
        takes: Takes::Number { min: 1, max: 600, field: |config| &mut config.close_timeout_s },
        default: "5",
        unit: "seconds",
        doc: "How long a connection that is being closed may take to read what it is still sent.",
    },
    Key {
        name: "drain_timeout_s",
        takes: Takes::Number { min: 0, max: 3600, field: |config| &mut config.drain_timeout_s },
        default: "10",
        unit: "seconds",
        doc: "How long stopping may take as a whole; connections that are left by then are cut off.",
    },
    Key {
        name: "return_spread_s",
        takes: Takes::Number { min: 0, max: 3600, field: |config| &mut config.return_spread_s },
        default: "10",
        unit: "seconds",
        doc: "Over how long clients come back that are sent away because the server stops: as many a second as there are divided by this, but at least 1000. Clients of the native protocol and of event streams are told when; those of dialects that have no word for it are closed one after the other, within half of `drain_timeout_s`.",
    },
    Key {
        name: "server_reference",
        takes: Takes::Text { field: |config| &mut config.elsewhere.server },
        default: "\"\"",
        unit: "",
        doc: "Where clients of MQTT 5 are sent when the server stops, as they know it: DISCONNECT 0x9C with this Server Reference, instead of 0x8B. Empty: nowhere.",
    },
    Key {
        name: "server_moved",
        takes: Takes::Switch(|config| &mut config.elsewhere.is_for_good),
        default: "false",
        unit: "",
        doc: "Whether they are to stay there: 0x9D instead of 0x9C.",
    },
    Key {
        name: "data_dir",
        takes: Takes::Text { field: |config| &mut config.data_dir },
        default: "\"fanwire-data\"",
        unit: "",
        doc: "The folder of what outlasts a restart, made if it is not there: durable topics, what was revoked, the tables' file. One server has it at a time. Without `[[history.durable]]` it is only for those tables, and, if this key and `auth.admin_secret_file` are set, for what is revoked, which is forgotten with the process otherwise.",
    },
    Key {
        name: "history.topic_events_max",
        takes: Takes::Number {
            min: 0,
            max: 1_000_000_000,
            field: |config| &mut config.history.topic_events_max,
        },
        default: "100000",
        unit: "events",
        doc: "Events kept of one topic; the oldest go first.",
    },
    Key {
        name: "history.topic_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.history.topic_bytes_max,
        },
        default: "67108864",
        unit: "bytes",
        doc: "Bytes of events kept of one topic; the oldest go first.",
    },
    Key {
        name: "history.topic_keys_max",
        takes: Takes::Number {
            min: 0,
            max: 1_000_000_000,
            field: |config| &mut config.history.topic_keys_max,
        },
        default: "100000",
        unit: "keys",
        doc: "Keys of one topic whose last event is kept for `since: last`, even after history has let go of it; the longest unchanged go first.",
    },
    Key {
        name: "history.age_s_max",
        takes: Takes::Number {
            min: 1,
            max: 3650 * DAY_S,
            field: |config| &mut config.history.age_s_max,
        },
        default: "3600",
        unit: "seconds",
        doc: "How long an event is kept.",
    },
    Key {
        name: "history.bytes_max",
        takes: Takes::Number { min: 0, max: TIB, field: |config| &mut config.history.bytes_max },
        default: "0",
        unit: "bytes",
        doc: "Bytes of events kept of all topics together, and of the topics themselves, an equal share for each shard; the oldest go first. 0: a share of the memory, and 512 MiB at most.",
    },
    Key {
        name: "history.last_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.history.last_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "Bytes of the last events per key of all topics together, an equal share for each shard; the longest unchanged go first. 0: a share of the memory, and 256 MiB at most.",
    },
    Key {
        name: "own.figures_s",
        takes: Takes::Number { min: 0, max: DAY_S, field: |config| &mut config.own.figures_s },
        default: "0",
        unit: "seconds",
        doc: "How often each shard publishes its figures as `MetricUpdate` events; 0: never.",
    },
    Key {
        name: "own.logs",
        takes: Takes::Switch(|config| &mut config.own.logs),
        default: "false",
        unit: "",
        doc: "Whether what an operator would look for (the begin and the end, refused tokens and connections, protocol violations, slow subscribers, a full server) is published as `LogEntry` events, at most 10 a second and shard.",
    },
];
