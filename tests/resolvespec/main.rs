//! The ResolveSpec dialect, on the core with whoever has the tables, or answers hooks, in virtual time, and over sockets: its transcripts, clients that come and go, what tokens keep from whom, and attacks.

#![cfg(test)]

mod attacks;
mod cached;
mod hooks;
mod hooks_slow;
mod rights;
mod scene;
mod seeds;
mod served;
#[path = "../support/socket.rs"]
mod socket;
#[path = "../support/mod.rs"]
mod support;
mod transcripts;
