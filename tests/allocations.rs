//! Publishing to one subscriber and to ten thousand allocates the same: what is done per subscriber needs no memory.
//!
//! Alone in its binary, because it counts what the whole process allocates while it looks. Nobody here is slow: a subscriber whose socket is
//! full has an outbox, and that is memory of its own, bounded elsewhere.

#![cfg(test)]
#![expect(unsafe_code, reason = "an allocator is unsafe by nature; this one counts and hands on")]

mod support;

use std::alloc::GlobalAlloc;
use std::alloc::Layout;
use std::alloc::System;
use std::cell::Cell;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::clock::Now;
use fanwire::event::ShardId;
use fanwire::shard::ConnId;
use fanwire::shard::Sent;
use fanwire::shard::Shard;
use fanwire::shard::Sink;

use support::frames;
use support::world::roomy;

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

/// Takes everything at once.
#[derive(Default)]
struct Null {
    sends: u64,
    bytes: u64,
}

impl Sink for Null {
    fn send(&mut self, _: ConnId, bytes: &[u8]) -> Sent {
        self.sends += 1;
        self.bytes += bytes.len() as u64;
        Sent::Took(bytes.len())
    }
}

/// One shard, a publisher and its subscribers.
struct Scene {
    shard: Shard,
    publisher: ConnId,
    sink: Null,
    now: Now,
}

impl Scene {
    fn new(subscribers: usize, deflate: bool, options: &str) -> Self {
        let now = Now { mono_ms: 1000, wall_us: 1_786_600_000_000_000 };
        let shard = Shard::new(ShardId(0), 1, roomy(), Arc::from("e1"));
        let mut scene = Self { shard, publisher: ConnId(0), sink: Null::default(), now };
        for _ in 0..subscribers {
            let id = scene.connect(deflate);
            scene.say(id, &format!(r#"{{"type":"subscribe","id":1,"topics":["t"]{options}}}"#));
        }
        scene.publisher = scene.connect(false);
        scene
    }

    fn connect(&mut self, deflate: bool) -> ConnId {
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let id = self.shard.open(peer, self.now).expect("there is room").id;
        let extensions =
            if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
        );
        self.shard.received(id, &mut request.into_bytes(), self.now);
        self.work();
        id
    }

    fn say(&mut self, id: ConnId, text: &str) {
        self.shard.received(id, &mut frames::text(text), self.now);
        self.work();
    }

    fn work(&mut self) {
        loop {
            self.shard.work(&mut self.sink, self.now);
            if !self.shard.has_work() {
                return;
            }
        }
    }

    /// Publishes one event, and counts what that allocates from the bytes that come in to the last byte that goes out.
    fn publish(&mut self) -> (u64, u64) {
        self.now.mono_ms += 1;
        self.now.wall_us += 1000;
        let mut bytes = frames::text(
            r#"{"type":"publish","id":1,"topic":"t","key":"k","payload":{"altitude":38000.0,"callsign":"SWR7KL"}}"#,
        );
        let (sends, before) = (self.sink.sends, COUNT.get());
        self.shard.received(self.publisher, &mut bytes, self.now);
        self.work();
        (COUNT.get() - before, self.sink.sends - sends)
    }

    /// What one publish allocates once everything has grown to its size: the least of many, for lists grow now and then.
    fn steady(&mut self, subscribers: usize) -> u64 {
        let mut least = u64::MAX;
        for _ in 0..300 {
            let (allocated, sends) = self.publish();
            assert_eq!(
                sends,
                subscribers as u64 + 1,
                "each subscriber is sent to once, and the publisher answered"
            );
            least = least.min(allocated);
        }
        least
    }
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
        let one = Scene::new(1, deflate, options).steady(1);
        let many = Scene::new(10_000, deflate, options).steady(10_000);
        assert_eq!(one, many, "allocations per event, deflate {deflate}, options {options:?}");
        println!("{one} allocations per event, deflate {deflate}, options {options:?}");
    }
}
