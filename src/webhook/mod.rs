//! Whoever answers hooks: a party of the mesh, threads that wait for answers, and hooks over HTTP.
//!
//! Invariant: no shard ever waits for it. Never knows a dialect's words.

mod figures;
mod http;
mod line;
mod party;
mod sign;

pub use figures::Figures;
pub use http::HttpHooks;
pub use http::HttpHooksError;
pub use http::Target;
pub use party::HooksParty;
