//! What the tests of the core share: a world of shards without sockets, threads or a clock, and clients that check what they are sent.

#![expect(
    dead_code,
    unreachable_pub,
    reason = "each test is a crate of its own and uses a part of it"
)]
#![expect(clippy::cast_possible_truncation, reason = "numbers here are small")]

pub mod asking;
pub mod client;
pub mod fits;
pub mod forms;
pub mod frames;
pub mod hooks;
pub mod http;
pub mod keys;
pub mod link;
pub mod mqtt;
pub mod random;
pub mod script;
pub mod secure;
pub mod seeds;
pub mod tables;
pub mod transcript;
pub mod websocket;
pub mod world;
