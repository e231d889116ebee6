//! Bytes that all threads but this one have allocated and not given back.

#![expect(unsafe_code, reason = "an allocator is unsafe by nature; this one counts and hands on")]

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering;

static ALL: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// Of this thread alone, so that tests that run beside it do not count. Below 0: it gave back what another had taken.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: isize) {
    ALL.fetch_add(bytes, Ordering::Relaxed);
    // A thread that ends gives back what it has after its counter is gone.
    let is_counted = HELD.try_with(|held| held.set(held.get() + bytes)).is_ok();
    debug_assert!(is_counted || bytes < 0, "who allocates has a counter");
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn size(bytes: usize) -> isize {
    isize::try_from(bytes).expect("an allocation is no larger than that")
}

// SAFETY: every call is handed on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(size(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-size(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        add(size(bytes) - size(layout.size()));
        // SAFETY: the caller's promise, handed on.
        unsafe { System.realloc(pointer, layout, bytes) }
    }
}

/// Bytes that all other threads hold now.
pub(crate) fn held_by_others() -> isize {
    ALL.load(Ordering::Relaxed) - HELD.get()
}
