//! What can be typed.

mod serve;

pub use serve::ServeArgs;
pub use serve::serve;
