//! The rtbdp dialect, on the core with whoever has the tables in virtual time: its transcripts, dashboards that come and go, and attacks.

#![cfg(test)]

mod attacks;
mod dashboard;
mod scene;
mod secret;
mod seeds;
#[path = "../support/mod.rs"]
mod support;
mod transcripts;
