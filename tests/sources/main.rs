//! Sources: where events come from besides publishers.

#![cfg(test)]

mod brokers;
#[path = "../support/daemon.rs"]
mod daemon;
#[cfg(feature = "postgres")]
#[path = "../support/postgres.rs"]
mod postgres_cluster;
