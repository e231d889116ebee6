//! What parties say to one another, and what waits to be said.

#[path = "../../../src/shard/lanes.rs"]
mod lanes;

pub use self::lanes::Lane;
pub use self::lanes::Message;
pub use self::lanes::Parcel;
pub use self::lanes::PartyId;
pub use self::lanes::Pending;
