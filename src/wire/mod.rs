//! Wire formats, without a socket: HTTP/1.1 heads and bodies, the WebSocket upgrade, RFC 6455 frames, RFC 7692 deflate, SSE, MQTT.
//!
//! Invariants: every parser takes any bytes at any split and gives the same answer; what a peer can make us hold is bounded in
//! `limits`; nothing above this module knows what a frame header looks like. Never does I/O, never reads the clock, never logs.

pub mod decoder;

pub mod deflate;

pub mod frame;

pub mod grow;

pub mod http;

pub mod mqtt;

pub mod proxy;

pub mod sse;

pub mod upgrade;

pub mod utf8;

#[cfg(test)]
mod testing;
