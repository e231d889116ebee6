//! The whole server in this process, over sockets of loopback: connections, TLS, tokens, proxies, a configuration that is read anew, an end in order.
//!
//! Each test starts a server of its own on port 0 and stops it. Never starts the command: `tests/command/` does.

#![cfg(test)]

mod changes;
mod drain;
#[path = "../support/issuer.rs"]
mod issuer;
mod listeners;
mod proxies;
mod relisten;
mod reload;
#[path = "../support/secure.rs"]
mod secure;
#[path = "../support/socket.rs"]
mod socket;
mod sockets;
mod sources;
mod tls;
mod tls_attacks;
mod tls_clients;
mod tls_peers;
mod tokens;
