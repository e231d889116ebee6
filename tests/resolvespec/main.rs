//! The ResolveSpec dialect, on the core with whoever has the tables in virtual time: its transcripts, clients that come and go, what tokens keep from whom, and attacks.

#![cfg(test)]

mod attacks;
mod hooks;
mod rights;
mod scene;
mod seeds;
#[path = "../support/mod.rs"]
mod support;
mod transcripts;
