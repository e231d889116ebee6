//! Numbers that the pages promise: each is the constant's of `src/limits.rs` that keeps it.
//!
//! A constant that changes fails here with the page that still says the former number, and so does a page whose sentence is gone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use super::source::assert_none;
use super::source::root;
use super::source::sources;

/// A page, a part of a sentence of it that says a number, and the constant that is to be so much.
const PROMISED: [(&str, &str, &str, u64); 62] = [
    ("docs/SECURITY.md", "at most 8 KiB, three parts", "TOKEN_BYTES_MAX", 8192),
    ("docs/SECURITY.md", "with 30 s leeway (at most 300)", "TOKEN_LEEWAY_S_MAX", 300),
    ("docs/SECURITY.md", "more than 400 days from `iat`", "TOKEN_LIFETIME_S", 34_560_000),
    ("docs/SECURITY.md", "At most 4 are\ntried", "KEYS_TRIED_MAX", 4),
    ("docs/SECURITY.md", "a list of at most 32;", "TOKEN_ROLES_MAX", 32),
    ("docs/SECURITY.md", "topics and patterns, at most 64", "TOKEN_PATTERNS_MAX", 64),
    ("docs/SECURITY.md", "required, 1 to 255 bytes", "USER_BYTES_MAX", 255),
    ("docs/SECURITY.md", "`auth.jwks_wish_s_min` (30 s)", "JWKS_WISH_S_MIN", 30),
    ("docs/SECURITY.md", "(at most 10 s; if that fails", "JWKS_FETCH_S_MAX", 10),
    ("docs/SECURITY.md", "or more than 16 trusted ones", "PROXY_HOPS_MAX", 16),
    ("docs/SECURITY.md", "A header has at most 2 KiB and 10 s", "PROXY_HEADER_BYTES_MAX", 2048),
    ("docs/SECURITY.md", "256 a core at a time, 10 s each", "TLS_HANDSHAKES_MAX", 256),
    ("docs/SECURITY.md", "256 a core at a time, 10 s each", "TLS_HANDSHAKE_MS_MAX", 10000),
    (
        "docs/SECURITY.md",
        "There is room for 100,000; then revoking fails",
        "REVOCATIONS_MAX",
        100_000,
    ),
    (
        "docs/SECURITY.md",
        "A client may show 8 KiB of certificates",
        "TLS_CLIENT_CHAIN_BYTES_MAX",
        8192,
    ),
    ("docs/SECURITY.md", "its own with at most 64 names", "CERTIFICATE_NAMES_MAX", 64),
    (
        "docs/SECURITY.md",
        "64 KiB of answers, and what one read brought",
        "ANSWERS_BYTES_MAX",
        65536,
    ),
    ("docs/SECURITY.md", "`user_connections` | 10 |", "USER_CONNECTIONS", 10),
    ("docs/SECURITY.md", "`address_connections` | 1000 |", "ADDRESS_CONNECTIONS", 1000),
    ("docs/SECURITY.md", "beyond 64 more on one shard", "ADDRESS_CONNECTIONS_SPARE", 64),
    ("docs/SECURITY.md", "`handshakes_per_s` | 100 |", "HANDSHAKES_PER_S", 100),
    ("docs/SECURITY.md", "`messages_per_s` | 100 |", "MESSAGES_PER_S", 100),
    ("docs/SECURITY.md", "`publish_per_s` | 10000 |", "PUBLISH_PER_S", 10000),
    ("docs/SECURITY.md", "65,536 steps | filter", "FILTER_COST_MAX", 65536),
    ("docs/SECURITY.md", "4 million steps an event", "FILTER_EVENT_STEPS_MAX", 4_000_000),
    ("docs/SECURITY.md", "40 million a second", "FILTER_SECOND_STEPS_MAX", 40_000_000),
    (
        "docs/SECURITY.md",
        "64 KiB of each home shard and 4 s are read ahead",
        "PLAYBACK_PAGE_BYTES",
        65536,
    ),
    (
        "docs/SECURITY.md",
        "64 KiB of each home shard and 4 s are read ahead",
        "PLAYBACK_AHEAD_MS",
        4000,
    ),
    ("docs/SECURITY.md", "`limit` rows (100; 500 at most)", "ADMIN_ROWS_DEFAULT", 100),
    ("docs/SECURITY.md", "`limit` rows (100; 500 at most)", "ADMIN_ROWS_MAX", 500),
    (
        "docs/dialects/native.md",
        "1 to 255 bytes of UTF-8, 1 to 16 segments",
        "TOPIC_SEGMENTS_MAX",
        16,
    ),
    ("docs/dialects/native.md", "a string of 1 to 64 bytes", "ID_BYTES_MAX", 64),
    (
        "docs/dialects/native.md",
        "at most N (2 to 1024), none waits longer than M (1 to 10000, default 50)",
        "BATCH_EVENTS_MAX",
        1024,
    ),
    (
        "docs/dialects/native.md",
        "at most N (2 to 1024), none waits longer than M (1 to 10000, default 50)",
        "BATCH_DELAY_MS_MAX",
        10000,
    ),
    (
        "docs/dialects/native.md",
        "more than 64 KiB of them unread, or 1 MiB of anything",
        "OUTBOX_INPUT_BYTES_MAX",
        1_048_576,
    ),
    (
        "docs/dialects/native.md",
        "An event of 32 KiB or more is alone in its batch",
        "LARGE_BYTES",
        32768,
    ),
    ("docs/dialects/native.md", "gaps in more than 1,024 topics", "GAP_TOPICS_MAX", 1024),
    (
        "docs/FILTERS.md",
        "levels of `and`, `or`, `not` and parentheses | 32 |",
        "FILTER_DEPTH_MAX",
        32,
    ),
    ("docs/FILTERS.md", "| tests | 256 |", "FILTER_TERMS_MAX", 256),
    ("docs/FILTERS.md", "values in a list | 1024 |", "FILTER_LIST_MAX", 1024),
    ("docs/FILTERS.md", "alternatives in one `first(…)` | 8 |", "FILTER_FIRST_MAX", 8),
    (
        "docs/FILTERS.md",
        "8 of 2,048 bytes each; in size 4,096 together, 256 KiB each",
        "REGEX_TEXT_BYTES_MAX",
        2048,
    ),
    (
        "docs/FILTERS.md",
        "8 of 2,048 bytes each; in size 4,096 together, 256 KiB each",
        "REGEX_SIZE_MAX",
        4096,
    ),
    ("docs/FILTERS.md", "points of a polygon | 256 |", "POLYGON_POINTS_MAX", 256),
    ("docs/HOOKS.md", "up to 4,096 calls or 16 MiB wait", "HOOK_CALLS_MAX", 4096),
    ("docs/HOOKS.md", "up to 4,096 calls or 16 MiB wait", "HOOK_CALLS_BYTES_MAX", 16_777_216),
    ("docs/HOOKS.md", "An answer has at most 2 MiB", "HOOK_ANSWER_BYTES_MAX", 2_097_152),
    (
        "docs/MQTT.md",
        "user properties of one message together | 16,384 bytes",
        "MQTT_PROPERTIES_BYTES_MAX",
        16384,
    ),
    ("docs/MQTT.md", "| a topic alias | 32 |", "MQTT_TOPIC_ALIASES_MAX", 32),
    ("docs/HISTORY.md", "let go of in segments of 16 MiB", "LOG_SEGMENT_BYTES", 16_777_216),
    ("docs/HISTORY.md", "at most 256 KiB or 4,096 of them", "LOG_BLOCK_EVENTS_MAX", 4096),
    (
        "docs/HISTORY.md",
        "no more than 1,000,000 events of a class ever lie unsynced",
        "LOG_UNSYNCED_EVENTS_MAX",
        1_000_000,
    ),
    ("docs/HISTORY.md", "that does not answer for 30 s", "STORE_RUN_MS_MAX", 30000),
    ("docs/HISTORY.md", "told of a gap after 10 s", "STORE_PAGE_MS_MAX", 10000),
    ("docs/TABLES.md", "A pattern has at most 256 bytes", "TABLE_PATTERN_BYTES_MAX", 256),
    ("docs/TABLES.md", "it is one page of at most 256 KiB", "CACHE_VALUE_BYTES_MAX", 262_144),
    ("docs/TABLES.md", "for 30 s at most; the log says", "TABLES_STOP_MS_MAX", 30000),
    (
        "docs/dialects/rtbdp.md",
        "a connection has 1,024 subscriptions with filters of 1 MiB together",
        "RTBDP_SUBSCRIPTIONS_MAX",
        1024,
    ),
    ("docs/dialects/rtbdp.md", "have 240 tests together", "RTBDP_TESTS_MAX", 240),
    (
        "docs/dialects/resolvespec.md",
        "have at most 1 MiB together",
        "RESOLVESPEC_ANSWER_BYTES_MAX",
        1_048_576,
    ),
    ("docs/dialects/provisioning.md", "`more than 16 filters`", "PROVISIONING_FILTERS_MAX", 16),
    (
        "docs/dialects/hyperbeam.md",
        "A client has at most 1024 topics",
        "HYPERBEAM_TOPICS_MAX",
        1024,
    ),
];

/// What a product of integers comes to; `None`: it is something else.
fn product(text: &str) -> Option<u64> {
    text.split('*').map(|factor| factor.trim().replace('_', "").parse::<u64>().ok()).product()
}

/// The constants of limits that are products of integers.
fn limits() -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let all = sources(&["src"]);
    for source in all.iter().filter(|source| source.path.starts_with("src/limits")) {
        for text in source.text.split("pub const ").skip(1) {
            let Some((head, text)) = text.split_once(" = ") else { continue };
            let name = head.split(':').next().unwrap_or_default().to_owned();
            let value = text.split(';').next().and_then(product);
            found.extend(value.map(|value| (name, value)));
        }
    }
    found
}

#[test]
fn numbers_that_pages_promise_are_those_of_the_limits() {
    let limits = limits();
    assert!(limits.len() > 250, "{}", limits.len());
    let mut faults = String::new();
    for (page, phrase, constant, promised) in PROMISED {
        let text = fs::read_to_string(root().join(page)).unwrap();
        if !text.contains(phrase) {
            writeln!(faults, "{page} does not say any more: {phrase:?}").unwrap();
        }
        if limits.get(constant) != Some(&promised) {
            let is = limits.get(constant);
            writeln!(faults, "{page} promises {phrase:?}, and {constant} is {is:?}").unwrap();
        }
    }
    assert_none(&faults);
}

#[test]
fn products_are_worked_out() {
    assert_eq!(product("8 * 1024"), Some(8192));
    assert_eq!(product("1_000"), Some(1000));
    assert_eq!(product("A + 1"), None);
}
