//! What an operator asks for over HTTP: health, readiness, metrics, and orders to the process.
//!
//! Invariants: nothing here is on the hot path; a reader of the metrics never stops a shard, for each shard leaves its counts on the
//! `Board` ten times a second and readers add them up. Never says anything about a client.

mod board;
mod cache_figures;
mod certificates;
mod desk;
mod hook_figures;
pub mod jwks;
pub mod lines;
pub mod log;
mod metrics;
mod orders;
mod page;
mod party_figures;
mod source_figures;
mod store_figures;

pub use board::Board;
pub use certificates::CertificateBoard;
pub use desk::FrontDesk;
pub use orders::Order;
pub use orders::Ordered;
pub use orders::Orders;
