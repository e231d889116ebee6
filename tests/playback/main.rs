//! Playback: the past told at a multiple of its own time, paused, sought in, and up to the present.
//!
//! All of it in virtual time: a day passes in a moment. What is held to, is what was told and *when*, to the millisecond. The parts: the pace and what it goes together with
//! (`pace.rs`), seeking (`seek.rs`), what it may cost others and what it holds (`bounds.rs`), and any of it by seeds (`any.rs`).

#![cfg(test)]

mod any;
mod bounds;
mod pace;
mod seek;
mod stage;
#[path = "../support/mod.rs"]
mod support;
