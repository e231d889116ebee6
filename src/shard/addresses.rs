//! How many connections each address has open here, from the moment they are accepted: before anyone has said who they are, or anything.
//!
//! Invariant: there is one entry for each address with a connection, and none else; this machine's own are not counted. The exact limit over all
//! shards is the registrar's, who is asked when a connection is to last; this one only keeps what has said nothing yet from being without limit.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::auth::AddressKey;

#[derive(Debug, Default)]
pub(super) struct Addresses(HashMap<AddressKey, u32, foldhash::fast::RandomState>);

impl Addresses {
    /// Counts a connection; false: its address has `most` already.
    pub(super) fn enter(&mut self, peer: IpAddr, most: u32) -> bool {
        let Some(address) = AddressKey::of(peer) else { return true };
        let count = self.0.entry(address).or_default();
        let has_room = *count < most;
        *count += u32::from(has_room);
        has_room
    }

    /// A connection has gone.
    pub(super) fn leave(&mut self, peer: IpAddr) {
        let Some(address) = AddressKey::of(peer) else { return };
        let Some(count) = self.0.get_mut(&address) else { return };
        *count -= 1;
        if *count == 0 {
            self.0.remove(&address);
        }
    }
}
