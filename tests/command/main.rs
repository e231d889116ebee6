//! The command `fanwire` as a process: its signals, exit codes, messages, files, and the memory that it takes at rest.
//!
//! Each test starts processes of its own, and ends them by their ids.

#![cfg(test)]

mod conformance;
mod data_folder;
mod demo;
mod doctor;
mod history_tool;
mod idle_memory;
mod pages;
#[path = "../support/secure.rs"]
mod secure;
mod serve;
mod sources;
mod start_errors;
mod supervised;
mod words;
