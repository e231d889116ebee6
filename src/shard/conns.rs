//! The shard's connections, in a slab: ids are reused lowest first, so that slab order stays allocation order.
//!
//! Invariants: a free place has no session; a place's generation changes each time it is given away. A connection that is in step owns
//! nothing beyond its place here and its number in its class.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;

use super::access::Who;
use super::class::ClassId;
use super::class::Voice;
use super::input::ConnId;
use super::input::ConnRef;
use super::session::Session;
use super::shape::Shaping;
use super::solo::Solo;
use crate::auth::Named;
use crate::dialect::Talk;

/// One connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) generation: u32,
    /// Its subscriptions, if it has any.
    pub(super) class: Option<ClassId>,
    /// Where it stands in its class's list: of those who are solo if it is, else of the members.
    pub(super) seat: u32,
    /// The epoch of its class's deflate stream that it has seen every message of; 0: none.
    pub(super) synced: u32,
    /// When its client was last heard, in seconds since the start.
    pub(super) heard_s: u32,
    pub(super) session: Session,
    /// What is said on it, once it is no longer HTTP.
    pub(super) talk: Option<Box<dyn Talk>>,
    /// Bytes of what it has said, and that are not carried out, as the intake counts them.
    pub(super) held_bytes: usize,
    /// It stands in the list of those to be gone on with.
    pub(super) is_heard_later: bool,
    /// How it is spoken to, once that is known.
    pub(super) voice: Option<Voice>,
    /// Who is on it, once that is known.
    pub(super) who: Option<Arc<Who>>,
    /// The certificate that it has shown, if that is one that the operator knows.
    pub(super) named: Option<Box<Named>>,
    /// The registrar counts it.
    pub(super) is_counted: bool,
    /// Where it comes from.
    pub(super) peer: IpAddr,
    /// They were told that their token is soon over.
    pub(super) is_warned: bool,
    /// What its paced and leaving subscriptions remember.
    pub(super) shaping: Option<Box<Shaping>>,
    /// `None`: in step with its class, or idle.
    pub(super) solo: Option<Box<Solo>>,
}

impl Conn {
    /// Whether its last words have been said.
    pub(super) fn is_closing(&self) -> bool {
        self.solo.as_deref().is_some_and(|solo| solo.closing.is_some())
    }
}

/// All connections of a shard.
#[derive(Debug, Default)]
pub(super) struct Conns {
    slots: Vec<Slot>,
    free: BinaryHeap<Reverse<u32>>,
}

#[derive(Debug)]
enum Slot {
    Free { generation: u32 },
    Taken(Conn),
}

impl Conns {
    /// Gives away the lowest free place.
    pub(super) fn insert(&mut self, session: Session, peer: IpAddr, heard_s: u32) -> ConnRef {
        let id = match self.free.pop() {
            Some(Reverse(id)) => id,
            None => {
                self.slots.push(Slot::Free { generation: 0 });
                u32::try_from(self.slots.len() - 1).expect("connections are bounded far below")
            }
        };
        let slot = &mut self.slots[id as usize];
        let Slot::Free { generation } = *slot else { unreachable!("it came from the free list") };
        let generation = generation.wrapping_add(1);
        *slot = Slot::Taken(Conn {
            generation,
            class: None,
            seat: 0,
            synced: 0,
            heard_s,
            session,
            talk: None,
            held_bytes: 0,
            is_heard_later: false,
            voice: None,
            who: None,
            named: None,
            is_counted: false,
            peer,
            is_warned: false,
            shaping: None,
            solo: None,
        });
        ConnRef { id: ConnId(id), generation }
    }

    /// Takes a place back.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Conn> {
        let slot = self.slots.get_mut(id.index())?;
        let Slot::Taken(Conn { generation, .. }) = *slot else { return None };
        let Slot::Taken(conn) = std::mem::replace(slot, Slot::Free { generation }) else {
            return None;
        };
        self.free.push(Reverse(id.0));
        Some(conn)
    }

    pub(super) fn find(&self, id: ConnId) -> Option<&Conn> {
        match self.slots.get(id.index()) {
            Some(Slot::Taken(conn)) => Some(conn),
            _ => None,
        }
    }

    pub(super) fn find_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        match self.slots.get_mut(id.index()) {
            Some(Slot::Taken(conn)) => Some(conn),
            _ => None,
        }
    }

    /// The connection, unless it has gone since.
    pub(super) fn find_ref(&mut self, conn: ConnRef) -> Option<&mut Conn> {
        self.find_mut(conn.id).filter(|found| found.generation == conn.generation)
    }

    /// The same, to look at only.
    pub(super) fn see(&self, conn: ConnRef) -> Option<&Conn> {
        self.find(conn.id).filter(|found| found.generation == conn.generation)
    }

    pub(super) fn conn_ref(&self, id: ConnId) -> Option<ConnRef> {
        self.find(id).map(|conn| ConnRef { id, generation: conn.generation })
    }

    /// Whether a member has seen every message of its class's stream since the epoch began; `begins`: it begins with what is sent now.
    pub(super) fn is_synced(&mut self, id: ConnId, epoch: u32, begins: bool) -> bool {
        let Some(conn) = self.find_mut(id) else { return false };
        if begins {
            conn.synced = epoch;
        }
        conn.synced == epoch
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Places given away or free: ids are below it.
    pub(super) fn places(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("connections are bounded far below")
    }
}
