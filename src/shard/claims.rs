//! Who is who: where a name may be one connection's at a time, the one that claims it last has it, and the one before is sent away.
//!
//! Invariants: a claim is kept at one shard, which the name's hash says; it goes with its connection, so there are no more of them than connections.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::Shard;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use crate::clock::Now;
use crate::event::ShardId;

/// The claims that are kept here.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<u64, Address, foldhash::fast::RandomState>);

impl Claims {
    /// A connection has the name from now on; the one that had it before.
    fn claim(&mut self, name: u64, address: Address) -> Option<Address> {
        self.0.insert(name, address).filter(|before| *before != address)
    }

    /// A connection has gone; its name may have become another's.
    fn leave(&mut self, name: u64, address: Address) {
        if self.0.get(&name) == Some(&address) {
            self.0.remove(&name);
        }
    }
}

impl Shard {
    /// A client claims a name among those of its user: so nobody sends another user's clients away by calling itself like them.
    pub(super) fn claim_for(&mut self, id: ConnId, name: u64) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let user = conn.who.as_ref().and_then(|who| who.principal.user.as_deref());
        let name = FixedState::with_seed(name).hash_one(user).max(1);
        conn.caller.origin_mut().name = name;
        if let Some(conn) = self.conns.conn_ref(id) {
            self.claim(conn, name, true);
        }
    }

    /// A connection claims a name, or gives it up when it goes.
    pub(super) fn claim(&mut self, conn: ConnRef, name: u64, is_claimed: bool) {
        let address = Address { shard: self.shards.here(), conn };
        let shard = u64::from(self.shards.count());
        let keeper = ShardId(u16::try_from(name % shard).expect("it is a shard's number"));
        match keeper == self.shards.here() {
            true => self.claimed(address, name, is_claimed),
            false => self.outgoing.to(keeper).push(Mesh::Claim { address, name, is_claimed }),
        }
    }

    /// A connection of some shard does, and its claim is kept here.
    pub(super) fn claimed(&mut self, address: Address, name: u64, is_claimed: bool) {
        if !is_claimed {
            return self.rights.claims.leave(name, address);
        }
        let Some(before) = self.rights.claims.claim(name, address) else { return };
        match before.shard == self.shards.here() {
            true => self.rights.taken_over.push(before.conn),
            false => self.outgoing.to(before.shard).push(Mesh::TakenOver(before.conn)),
        }
    }

    /// Sends those away whose names others have.
    pub(super) fn close_taken_over(&mut self, now: Now) {
        for conn in std::mem::take(&mut self.rights.taken_over) {
            if self.conns.find_ref(conn).is_some() {
                self.close(conn.id, CLOSE_TAKEN_OVER, "another client has this one's name", now);
            }
        }
    }
}

/// The close code for it.
const CLOSE_TAKEN_OVER: u16 = 4009;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_has_the_name_and_the_one_before_takes_nothing_along() {
        let at = |id: u32| Address {
            shard: ShardId(0),
            conn: ConnRef { id: ConnId(id), generation: 1 },
        };
        let mut claims = Claims::default();
        assert_eq!(claims.claim(7, at(1)), None);
        assert_eq!(claims.claim(7, at(1)), None, "it is its own");
        assert_eq!(claims.claim(7, at(2)), Some(at(1)));
        claims.leave(7, at(1));
        assert_eq!(claims.claim(7, at(3)), Some(at(2)));
        claims.leave(7, at(3));
        assert!(claims.0.is_empty());
    }
}
