//! What each connection is sent next: frames that exist once, and outboxes of those who could not keep up.
//!
//! Knows frames and how many bytes wait, never who matched what. An idle connection owns no buffer.

mod budget;
mod frames;
mod kept;
mod large;
mod outbox;
mod owed;
mod policy;

pub use budget::Budget;
pub use budget::Counted;
pub use frames::FrameId;
pub use frames::Frames;
pub use kept::Kept;
pub use large::Encoding;
pub use large::LargeEvent;
pub use large::LargeEvents;
pub use large::TextForm;
pub use large::TextOf;
pub(crate) use outbox::ITEM_BYTES;
pub use outbox::Item;
pub use outbox::Outbox;
pub use outbox::Pushed;
pub use owed::Owed;
pub use owed::Piece;
pub use policy::Policy;
pub use policy::Slow;
