//! The mesh of `src/conn/`, with loom's primitives in the place of the system's.
//!
//! Invariant: `doorbell`, `mesh`, `party` and `lanes` are the server's own files. What they lean on and what no thread shares
//! (the time, a shard's id, the world that is told) is here in its smallest form.

pub mod conn;
#[path = "../../../src/limits.rs"]
pub mod limits;
pub mod shard;

pub mod clock {
    /// A moment; in the model all are the same.
    #[derive(Clone, Copy, Debug)]
    pub struct Now;
}

pub mod event {
    /// Which shard, as `src/event` has it.
    #[derive(Clone, Copy, Debug)]
    pub struct ShardId(pub u16);
}
