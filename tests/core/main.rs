//! The core in virtual time: shards without sockets, threads or a clock, and what is promised of order, bounds and times whatever clients do.
//!
//! Each module holds a promise of its own. Never measures memory (`tests/memory/` does) and never opens a socket.

#![cfg(test)]

mod behind_memory;
mod composition;
mod control;
mod durable_topics;
mod filter_work;
mod forms;
mod input_order;
mod input_times;
mod names;
mod overload;
mod publish_rate;
mod retained;
mod sends;
mod sessions;
mod shared;
mod simulation;
mod since_last;
mod snapshot;
mod stalled;
mod stream_ids;
#[path = "../support/mod.rs"]
mod support;
mod toy_party;
mod turns;
mod wire_faults;
