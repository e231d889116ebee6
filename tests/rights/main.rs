//! What a token lets its bearer hear and be told, in virtual time: nothing else, in any dialect, at any moment.
//!
//! Never opens a socket: where tokens come from and how keys change is in `tests/server/tokens.rs`.

#![cfg(test)]

mod auth_any_bytes;
mod clients;
mod confinement;
mod losing;
mod renewal;
#[path = "../support/mod.rs"]
mod support;
mod told_names;
