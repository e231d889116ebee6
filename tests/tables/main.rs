//! Tables, from a client's words to the rows and back: on the core with whoever has the tables in virtual time, and over sockets.

#![cfg(test)]
#![expect(clippy::cast_possible_truncation, reason = "numbers here are small")]

mod attacks;
mod cache;
mod chance;
mod conformance;
mod conversation;
#[cfg(feature = "postgres")]
mod postgres;
#[path = "../support/postgres.rs"]
mod postgres_cluster;
#[cfg(feature = "postgres")]
mod postgres_tls;
#[cfg(feature = "postgres")]
mod postgres_writes;
mod served;
mod shelf;
#[path = "../support/socket.rs"]
mod socket;
#[path = "../support/mod.rs"]
mod support;
mod taken;
