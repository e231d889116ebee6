//! The mesh of `src/conn/`, with the primitives that serve, for Miri to run.
//!
//! Invariant: `doorbell`, `mesh`, `party`, `sync` and `lanes` are the server's own files, and so are the tests in them. What they lean on
//! is here in its smallest form, as it is in `tests/model`.

pub mod conn;
#[path = "../../../src/limits.rs"]
pub mod limits;
#[path = "../../model/src/shard.rs"]
pub mod shard;

pub mod clock {
    /// A moment; here all are the same.
    #[derive(Clone, Copy, Debug)]
    pub struct Now;
}

pub mod event {
    /// Which shard, as `src/event` has it.
    #[derive(Clone, Copy, Debug)]
    pub struct ShardId(pub u16);
}
