//! What an operator sees of a server and does with it: figures, examples for the tools that read them, and the words that change a server that runs.

#![cfg(test)]

#[path = "../support/socket.rs"]
mod socket;

mod admin;
mod commands;
mod figures;
mod guide;
mod handover;
mod scene;
mod verdicts;
