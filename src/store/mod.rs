//! The log's disk as it is: real files in a real folder, and whose they are.
//!
//! What stands in them, and why nothing of it is lost, is `history::log`'s affair; here is only what the kernel is asked to do.

mod files;
mod lock;

pub use files::Files;
pub use files::boot_id;
pub use lock::Lock;
pub use lock::LockError;
