//! The server's files, and the model's `sync`, `eventfd` and `world` in the place of its own.

#[path = "../../../src/conn/doorbell.rs"]
mod doorbell;
mod eventfd;
#[path = "../../../src/conn/mesh.rs"]
mod mesh;
#[path = "../../../src/conn/party.rs"]
mod party;
mod sleeper;
mod sync;
mod world;

pub use self::doorbell::Doorbell;
pub use self::mesh::Inbox;
pub use self::mesh::Links;
pub use self::mesh::Peer;
pub use self::mesh::take_in;
pub use self::mesh::weave;
pub use self::party::Heard;
pub use self::party::Party;
pub use self::sleeper::sleep_unless;
pub use self::world::World;
