//! Fanwire: a fan-out server.
//!
//! Events come in, each is told to everyone who asked for it. The modules below are listed in the order in which the data flows.

pub mod limits;

pub mod clock;

pub mod event;

pub mod position;

pub mod tables;

pub mod matcher;

pub mod dialect;

pub mod batch;

pub mod history;

pub mod wire;

pub mod shard;

pub mod auth;

pub mod conn;

pub mod dashboard;

pub mod outbound;

pub mod acme;

pub mod admin;

pub mod store;

pub mod backend;

pub mod webhook;

pub mod source;

pub mod config;

pub mod server;

pub mod client;

pub mod cli;
