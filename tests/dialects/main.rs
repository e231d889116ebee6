//! What is said in each dialect, message by message: transcripts, routes, errors, a dialect that is added, and a client that is not ours.
//!
//! Transcripts run against the core alone and, where they say so, against real servers on loopback.

#![cfg(test)]

mod documents;
mod every_error;
mod fastwebsockets;
mod http_transcripts;
mod native_transcripts;
mod routes;
mod standard;
#[path = "../support/mod.rs"]
mod support;
#[path = "../toy/mod.rs"]
mod toy;
mod toy_dialect;
mod transcripts;
