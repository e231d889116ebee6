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
use super::input::EntryRequest;
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

    /// Whoever comes from now on is held to these.
    pub(super) fn set_limits(&mut self, limits: AccessLimits) {
        self.admission.set_limits(limits);
    }

    fn enter(&mut self, request: &EntryRequest, now: Now) -> Result<(), LimitError> {
        if let Some(admitted) = self.here.get_mut(&request.address) {
            return match &request.user {
                Some(user) => self.admission.identify(admitted, user),
                None => Ok(()),
            };
        }
        self.admission.handshake(request.peer, now.mono_ms)?;
        let admitted = self.admission.connect(request.user.clone(), request.peer)?;
        self.here.insert(request.address, admitted);
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
        let request =
            EntryRequest { address: Address { shard: self.shards.here(), conn }, user, peer };
        if self.shards.here() != REGISTRAR {
            if !self.outgoing.has_room(REGISTRAR, Lane::Control) {
                return Some(Err(LimitError::Busy));
            }
            self.outgoing.to(REGISTRAR).push(Mesh::Enter(Box::new(request)));
            return None;
        }
        let result = self.rights.registrar.enter(&request, now);
        self.conns.count(id, result);
        Some(result)
    }

    /// Another shard's connection wants in.
    pub(super) fn enter_here(&mut self, request: &EntryRequest, now: Now) {
        let result = self.rights.registrar.enter(request, now);
        let Address { shard, conn } = request.address;
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
