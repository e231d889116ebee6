//! The keys about how much memory may be taken, and for what.

use super::takes::Key;
use super::takes::Takes;

const TIB: u64 = 1 << 40;

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "memory.bytes_max",
        takes: Takes::Number {
            min: 0,
            max: 64 * TIB,
            field: |config| &mut config.memory.bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "All the memory that the server may take; the start is refused if what is configured does not fit it. 0: what the machine has, or the control group allows. What is not set below is a share of it: see [SECURITY](SECURITY.md).",
    },
    Key {
        name: "memory.topics_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.memory.topics_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "What is remembered of topics that nothing is kept of: where their offsets go on. Beyond it the longest forgotten ones go on above the offsets of all that were forgotten. 0: a share of the memory.",
    },
    Key {
        name: "memory.subscriptions_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.memory.subscriptions_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "Subscriptions with their filters, an equal share for each shard; one more is refused with `too_many_subscriptions`. 0: a share of the memory.",
    },
    Key {
        name: "memory.shaping_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.memory.shaping_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "What `max_rate` holds back and `leave` remembers, an equal share for each shard; who asks for more is closed with 4008. 0: a share of the memory.",
    },
    Key {
        name: "memory.replays_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.memory.replays_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "Pages of the past that are on their way to subscribers, and what is remembered of those who are told of it, an equal share for each shard. The less is left, the smaller pages are; 4 KiB are every connection's; a larger event waits, and if it waits for 5 s those are closed with 4008 that have taken nothing for as long. 0: a share of the memory.",
    },
    Key {
        name: "memory.input_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.memory.input_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "What clients have begun to send and not ended, and what they publish on its way, an equal share for each shard. Beyond it those are refused that hold the most, of the address that holds the most: 503 or 413, or closed with 1009. A shard's share must have room for one message of `message_bytes_max` and a quarter more, or the server does not start. 0: a share of the memory.",
    },
    Key {
        name: "memory.mesh_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.memory.mesh_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "Messages from shard to shard, an equal share for each shard; beyond it publishes are refused with `full`. 0: a share of the memory.",
    },
    Key {
        name: "memory.tables_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.memory.tables_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "Rates, revocations, places of users and addresses, an equal share for each shard; beyond it the newcomer is refused. 0: a share of the memory.",
    },
    Key {
        name: "memory.tokens_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.memory.tokens_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "What tokens of those who are connected say, beyond 512 bytes each: names, roles, patterns and filters, an equal share for each shard; the newcomer is refused with 503. 0: a share of the memory.",
    },
    Key {
        name: "memory.sessions_bytes_max",
        takes: Takes::Number {
            min: 0,
            max: TIB,
            field: |config| &mut config.memory.sessions_bytes_max,
        },
        default: "0",
        unit: "bytes",
        doc: "Sessions of MQTT clients that are gone, some 400 bytes each and what was in flight, an equal share for each shard; beyond it those end first that would end first, of the user who has left the most. 0: a share of the memory, and 64 MiB at most.",
    },
];
