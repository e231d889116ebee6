//! What clients can make the server hold: each line of the sum is driven to its bound, and what is counted is compared with what is allocated.
//!
//! Alone in its binary, because it counts what a thread allocates. The core is pure, so the bytes of a run are the same each time.

#![cfg(test)]

mod churn;
mod connections;
mod expressions;
mod history;
mod input;
#[path = "../support/ledger.rs"]
mod ledger;
mod mesh;
mod replays;
mod resting;
mod shaping;
mod streams;
mod subscriptions;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod tokens;
