//! An allocator that counts what each thread has set aside: the bytes it holds, the most it held, and what setting aside took.
//!
//! A test program that has this file as a module counts, each of its tests by itself: the allocator is the whole program's, the counters are a
//! thread's, and a test runs in one thread.

#![expect(unsafe_code, reason = "an allocator is unsafe by nature; this one counts and hands on")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test is a crate of its own and uses a part of it"
)]

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;

pub const KIB: i64 = 1024;
pub const MIB: i64 = 1024 * KIB;

thread_local! {
    /// Bytes that this thread has set aside, and the most that it had.
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
    /// How often it has set something aside, and all bytes of that.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
    /// What is set aside or given back now is the test's own and is not counted.
    static IS_UNCOUNTED: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn note(bytes: i64) {
    if IS_UNCOUNTED.get() {
        return;
    }
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

fn note_new(bytes: usize) {
    if IS_UNCOUNTED.get() {
        return;
    }
    COUNT.set(COUNT.get() + 1);
    BYTES.set(BYTES.get() + bytes as u64);
}

#[expect(clippy::cast_possible_wrap, reason = "a layout is never larger than an `isize`")]
const fn signed(bytes: usize) -> i64 {
    bytes as i64
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(signed(layout.size()));
        note_new(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-signed(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // For a moment both may be there.
        note(signed(bytes));
        note(-signed(layout.size()));
        note_new(bytes);
        // SAFETY: the caller's promise, handed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

/// Bytes that this thread holds.
pub fn held() -> i64 {
    HELD.get()
}

/// The most bytes that it has held since this was last asked.
pub fn take_peak() -> i64 {
    PEAK.replace(HELD.get())
}

/// How often it has set something aside, and all bytes of that.
pub fn set_aside() -> (u64, u64) {
    (COUNT.get(), BYTES.get())
}

/// By how much the most that was held grew while something was done, and what is held in the end.
pub fn grown(work: impl FnOnce()) -> (i64, i64) {
    let before = held();
    take_peak();
    work();
    (PEAK.get() - before, held() - before)
}

/// Runs what is the test's own and not the server's; what it sets aside it also gives back in here.
pub fn uncounted<T>(run: impl FnOnce() -> T) -> T {
    let before = IS_UNCOUNTED.replace(true);
    let done = run();
    IS_UNCOUNTED.set(before);
    done
}
