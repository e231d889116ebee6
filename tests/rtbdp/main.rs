//! The rtbdp dialect, on the core with whoever has the tables in virtual time: its transcripts, and what must hold whatever happens.

#![cfg(test)]

mod scene;
#[path = "../support/mod.rs"]
mod support;
mod transcripts;
