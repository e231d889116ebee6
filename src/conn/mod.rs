//! Bytes in and out of sockets: the loop around one shard, on one core.
//!
//! Invariants: one epoll instance, one read buffer and one task per core, whatever the number of connections; a connection that is idle
//! costs a few bytes here and no task; nothing of the shard is borrowed while the core sleeps. Never looks at what the bytes mean.

mod core;
mod defer;
mod doorbell;
#[cfg(test)]
pub(crate) mod echo;
mod eventfd;
mod gauge;
mod linger;
mod listener;
mod measure;
mod mesh;
mod party;
mod poll;
mod rush;
mod share;
mod shared_histogram;
mod sockets;
mod sync;
mod timer;
mod tls;
mod world;

pub use self::core::Core;
pub use self::core::Desk;
pub use self::core::Entrance;
pub use self::core::Left;
pub use self::core::Open;
pub use self::core::Pace;
pub use self::core::run;
pub use self::doorbell::Doorbell;
pub use self::gauge::Gauge;
pub use self::listener::Listener;
pub use self::listener::ListenerOptions;
pub use self::mesh::HandedOn;
pub use self::mesh::Inbox;
pub use self::mesh::Links;
pub use self::mesh::Peer;
pub use self::mesh::take_in;
pub use self::mesh::weave;
pub use self::party::Heard;
pub use self::party::Party;
pub use self::tls::Tls;
pub use self::world::World;
pub use core::Told;
pub use share::SHARED_LAST;
pub use share::Share;
pub use shared_histogram::SharedHistogram;
