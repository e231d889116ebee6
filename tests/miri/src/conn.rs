//! The server's files, and the model's `world` and an `eventfd` of this crate's in the place of its own.

#[path = "../../../src/conn/doorbell.rs"]
mod doorbell;
mod eventfd;
#[path = "../../../src/conn/mesh.rs"]
mod mesh;
#[path = "../../../src/conn/party.rs"]
mod party;
#[path = "../../../src/conn/sync.rs"]
mod sync;
#[path = "../../model/src/conn/world.rs"]
mod world;

pub use self::doorbell::Doorbell;
pub use self::mesh::Inbox;
pub use self::mesh::Links;
pub use self::mesh::Peer;
pub use self::mesh::take_in;
pub use self::mesh::weave;
pub use self::party::Heard;
pub use self::party::Party;
pub use self::world::World;
