//! What the server holds for its clients, counted byte by byte.
//!
//! One program, whose allocator counts what each thread sets aside. Each test runs in one thread, so tests that run beside it do not count; the
//! core is pure, so the bytes of a run are the same each time. Memory that several threads share is counted in `tests/tls_memory.rs`, alone.

#![cfg(test)]

mod allocations;
#[path = "../support/heap.rs"]
mod heap;
mod input_bounds;
mod large_event;
mod mqtt_idle;
mod resuming;
#[path = "../support/scene.rs"]
mod scene;
mod shedding;
#[path = "../support/mod.rs"]
mod support;
mod worst_case;
