//! The primitives by which threads meet in the mesh: atomics, fences and bounded channels.
//!
//! One place for all of them, so that `tests/model` can put its own in their stead and try every order in which two threads may take their
//! steps. Invariant: `doorbell`, `mesh` and `party` take what threads share from here and from `eventfd`, and from nowhere else.

pub(super) use std::sync::atomic::AtomicBool;
pub(super) use std::sync::atomic::AtomicUsize;
pub(super) use std::sync::atomic::Ordering;
pub(super) use std::sync::atomic::fence;

pub(super) use flume::Receiver;
pub(super) use flume::Sender;
pub(super) use flume::TrySendError;
pub(super) use flume::bounded;
