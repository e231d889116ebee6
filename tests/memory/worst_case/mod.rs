//! What clients can make the server hold: each line of the sum is driven to its bound, and what is counted is compared with what is allocated.
//!
//! What is counted is what a thread allocates: each test runs in one.

mod batches;
mod churn;
mod connections;
mod conversations;
mod expressions;
mod fleet;
mod history;
mod input;
mod mesh;
mod replays;
mod resting;
mod shaping;
mod streams;
mod subscriptions;
mod tables;
mod tokens;
mod windows;

use crate::heap;
use crate::support::world::World;

/// Bytes that a test holds without what its sockets hold, which is the kernel's.
fn held_beside_sockets(world: &World) -> i64 {
    let buffers: usize = world.sockets.values().map(|socket| socket.buffer.capacity()).sum();
    heap::held() - i64::try_from(buffers).expect("they are small")
}
