//! What clients can make the server hold: each line of the sum is driven to its bound, and what is counted is compared with what is allocated.
//!
//! What is counted is what a thread allocates: each test runs in one.

mod churn;
mod connections;
mod expressions;
mod history;
mod input;
mod mesh;
mod replays;
mod resting;
mod shaping;
mod streams;
mod subscriptions;
mod tables;
mod tokens;
