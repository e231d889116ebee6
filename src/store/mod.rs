//! The log's disk as it is: real files in a real folder, and whose they are.
//!
//! What stands in them, and why nothing of it is lost, is `history::log`'s affair; here is only what the kernel is asked to do.

mod files;
mod lock;
mod party;

pub use files::Files;
pub use files::boot_id;
pub use lock::Lock;
pub use lock::LockError;
pub use party::StoreParty;
pub use party::Watcher;
