//! Publishing to one subscriber and to ten thousand allocates the same: what is done per subscriber needs no memory.
//!
//! Alone in its binary, because it counts what the whole process allocates while it looks. Nobody here is slow: a subscriber whose socket is
//! full has an outbox, and that is memory of its own, bounded elsewhere.

#![cfg(test)]
#![expect(unsafe_code, reason = "an allocator is unsafe by nature; this one counts and hands on")]

#[path = "support/scene.rs"]
mod scene;

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;

use scene::Scene;
use scene::masked;

thread_local! {
    /// Allocations of this thread, so that the test runner's own do not count.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

/// Publishes one event; returns what that allocated and how often it was sent.
fn publish(scene: &mut Scene) -> (u64, u64) {
    let mut frame = masked(
        r#"{"type":"publish","id":1,"topic":"t","key":"k","payload":{"altitude":38000.0,"callsign":"SWR7KL"}}"#,
    );
    let (sends, before) = (scene.sink.sends, COUNT.get());
    scene.publish(&mut frame);
    (COUNT.get() - before, scene.sink.sends - sends)
}

/// What one publish allocates once everything has grown to its size: the least of many, for lists grow now and then.
fn steady(subscribers: usize, deflate: bool, options: &str) -> u64 {
    let mut scene = Scene::new(subscribers, deflate, options);
    let mut least = u64::MAX;
    for _ in 0..300 {
        let (allocated, sends) = publish(&mut scene);
        assert_eq!(
            sends,
            subscribers as u64 + 1,
            "each is sent to once, and the publisher answered"
        );
        least = least.min(allocated);
    }
    least
}

#[test]
fn ten_thousand_subscribers_allocate_what_one_does() {
    for (deflate, options) in [
        (false, ""),
        (true, ""),
        (false, r#","filter":"altitude > 10000""#),
        (false, r#","fields":["altitude"]"#),
        (false, r#","slow":"latest_per_key""#),
    ] {
        let one = steady(1, deflate, options);
        let many = steady(10_000, deflate, options);
        assert_eq!(one, many, "allocations per event, deflate {deflate}, options {options:?}");
        println!("{one} allocations per event, deflate {deflate}, options {options:?}");
    }
}
