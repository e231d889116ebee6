//! How many connections each user and address has, and how fast each publishes: counted in one place, shard 0, because counting on each core would multiply the limits.
//!
//! Invariants: a connection is counted before it becomes a WebSocket or a stream, and until its place is given away; one that vanished while
//! it was asked for is not. Whoever has no name and comes from this machine is not counted, and nobody is asked about them.

use super::conns::Conns;
use std::collections::HashMap;

use super::Shard;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Entry;
use super::input::Mesh;
use super::lanes::Lane;
use crate::auth::AccessLimits;
use crate::auth::AddressKey;
use crate::auth::Admission;
use crate::auth::Admitted;
use crate::auth::LimitError;
use crate::auth::Publisher;
use crate::clock::Now;
use crate::event::ShardId;

/// The shard that counts.
pub(super) const REGISTRAR: ShardId = ShardId(0);

/// Everyone who is counted.
#[derive(Debug)]
pub(super) struct Registrar {
    admission: Admission,
    here: HashMap<Address, Admitted, foldhash::fast::RandomState>,
}

impl Registrar {
    pub(super) fn new(limits: AccessLimits, rates_max: usize) -> Self {
        Self { admission: Admission::within(limits, rates_max), here: HashMap::default() }
    }

    fn enter(&mut self, entry: &Entry, now: Now) -> Result<(), LimitError> {
        if let Some(admitted) = self.here.get_mut(&entry.address) {
            return match &entry.user {
                Some(user) => self.admission.identify(admitted, user),
                None => Ok(()),
            };
        }
        self.admission.handshake(entry.peer, now.mono_ms)?;
        let admitted = self.admission.connect(entry.user.clone(), entry.peer)?;
        self.here.insert(entry.address, admitted);
        Ok(())
    }

    /// Of so many events that somebody wants to publish: how many they may.
    pub(super) fn allow(&mut self, publisher: &Publisher, events: u32, now: Now) -> u32 {
        self.admission.publish(publisher, events, now.mono_ms)
    }

    fn leave(&mut self, address: Address) {
        if let Some(admitted) = self.here.remove(&address) {
            self.admission.leave(admitted);
        }
    }
}

impl Shard {
    /// Has a connection counted. The answer, if it is there at once; else it comes to `entered`.
    pub(super) fn ask_registrar(&mut self, id: ConnId, now: Now) -> Option<Result<(), LimitError>> {
        let conn = self.conns.conn_ref(id)?;
        let found = self.conns.find(id)?;
        let user = found.who.as_ref().and_then(|who| who.principal.user.clone());
        let peer = found.caller.peer;
        if user.is_none() && AddressKey::of(peer).is_none() {
            return Some(Ok(()));
        }
        let entry = Entry { address: Address { shard: self.shards.here(), conn }, user, peer };
        if self.shards.here() != REGISTRAR {
            if !self.outgoing.has_room(REGISTRAR, Lane::Control) {
                return Some(Err(LimitError::Busy));
            }
            self.outgoing.to(REGISTRAR).push(Mesh::Enter(Box::new(entry)));
            return None;
        }
        let result = self.rights.registrar.enter(&entry, now);
        self.conns.count(id, result);
        Some(result)
    }

    /// Another shard's connection wants in.
    pub(super) fn enter_here(&mut self, entry: &Entry, now: Now) {
        let result = self.rights.registrar.enter(entry, now);
        let Address { shard, conn } = entry.address;
        self.outgoing.to(shard).push(Mesh::Entered { conn, result });
    }

    /// The registrar has answered.
    pub(super) fn entered(&mut self, conn: ConnRef, result: Result<(), LimitError>, now: Now) {
        if self.conns.find_ref(conn).is_none() {
            if result.is_ok() {
                self.leave(Address { shard: self.shards.here(), conn });
            }
            return;
        }
        self.conns.count(conn.id, result);
        self.session_entered(conn.id, result, now);
    }

    /// A connection that was counted has ended.
    pub(super) fn leave(&mut self, address: Address) {
        if self.shards.here() == REGISTRAR {
            self.rights.registrar.leave(address);
        } else {
            self.outgoing.to(REGISTRAR).push(Mesh::Leave(address));
        }
    }
}

impl Conns {
    fn count(&mut self, id: ConnId, result: Result<(), LimitError>) {
        if let (Ok(()), Some(conn)) = (result, self.find_mut(id)) {
            conn.caller.is_counted = true;
        }
    }
}
