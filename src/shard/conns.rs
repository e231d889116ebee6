//! Who is here: the shard's connections, in a slab, and which of them the loop is to be told of.
//!
//! Ids are reused lowest first, so that slab order stays allocation order.
//!
//! Invariants: a free place has no session; a place's generation changes each time it is given away. A connection that is in step owns
//! nothing beyond its place here and its number in its class.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::access::Who;
use super::addresses::Addresses;
use super::hold::Hold;
use super::input::ConnId;
use super::input::ConnRef;
use super::session::Session;
use super::shaped::Shaping;
use super::solo::Solo;
use super::transport::Voice;
use crate::auth::Named;
use crate::batch::Counted;
use crate::batch::Item;
use crate::dialect::Outcome;
use crate::dialect::Talk;
use crate::dialect::Will;
use crate::dialect::hook;
use crate::event::ShardId;

/// A class of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClassId(pub(super) u32);

impl ClassId {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// From where a connection comes, and what is known of that.
#[derive(Debug)]
pub(super) struct Caller {
    /// Where the connection comes from, as far as those who pass it on are to be believed.
    pub(super) peer: IpAddr,
    /// A proxy has said in front of everything that it speaks for somebody.
    pub(super) is_passed_on: bool,
    /// What the client says comes by TLS.
    pub(super) is_encrypted: bool,
    /// What few connections have, and is made when it is needed.
    pub(super) origin: Option<Box<Origin>>,
    /// The registrar counts the connection.
    pub(super) is_counted: bool,
    /// The client was told that its token is soon over.
    pub(super) is_warned: bool,
    /// Bytes of what the client's token says, of those that all tokens may have.
    pub(super) who_counted: Counted,
}

/// By what a caller is known besides its address.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// The name by the certificate that was shown, if that is one that the operator knows.
    pub(super) named: Option<Named>,
    /// Where the connection's far end is, if that is a proxy that is trusted to say for whom it speaks.
    pub(super) proxy: Option<IpAddr>,
    /// The connection may be anyone's who shows no token, where that is asked later than its first bytes.
    pub(super) may_be_anyone: bool,
    /// Seconds of silence after which the client is taken to be gone, where that is agreed, once it is; 0: it may be silent.
    pub(super) silent_s_max: Option<u32>,
    /// Messages that the client takes without having acknowledged them.
    pub(super) window_max: u16,
    /// Bytes of the largest packet that the client takes; 0: any.
    pub(super) packet_bytes_max: u32,
    /// The connection's hold on a name that is its own.
    pub(super) hold: Option<Box<Hold>>,
    /// What whoever answers hooks is told when the connection ends.
    pub(super) at_end: Option<Box<hook::Call>>,
    /// The will: what is published for the client when the connection is over.
    pub(super) will: Option<Box<Will>>,
}

impl Caller {
    /// A caller of whom nothing more than the address is known.
    fn new(peer: IpAddr, is_proxy: bool) -> Self {
        Self {
            peer,
            origin: is_proxy.then(|| Box::new(Origin { proxy: Some(peer), ..Origin::default() })),
            is_passed_on: false,
            is_encrypted: false,
            is_counted: false,
            is_warned: false,
            who_counted: Counted::default(),
        }
    }

    /// Bytes of the will.
    pub(super) fn will_bytes(&self) -> usize {
        let will = self.origin.as_ref().and_then(|origin| origin.will.as_ref());
        will.map_or(0, |will| will.draft.held_bytes())
    }

    /// What few connections have, to be changed.
    pub(super) fn origin_mut(&mut self) -> &mut Origin {
        self.origin.get_or_insert_with(Box::default)
    }

    /// Seconds of silence after which the client is taken to be gone; 0: it may be silent.
    pub(super) fn silent_s_max(&self) -> u32 {
        self.origin.as_deref().and_then(|origin| origin.silent_s_max).unwrap_or(0)
    }

    /// Whether it is agreed for how long it may be silent, where that is to be.
    pub(super) fn has_agreed(&self) -> bool {
        self.origin.as_deref().is_some_and(|origin| origin.silent_s_max.is_some())
    }

    /// Messages that the client takes without having acknowledged them.
    pub(super) fn window_max(&self) -> u16 {
        self.origin.as_deref().map_or(0, |origin| origin.window_max).max(1)
    }

    /// Bytes of the largest packet that the client takes; 0: any.
    pub(super) fn packet_bytes_max(&self) -> u32 {
        self.origin.as_deref().map_or(0, |origin| origin.packet_bytes_max)
    }

    /// Where the connection's far end is, if that is a proxy that is trusted to say for whom it speaks.
    pub(super) fn proxy(&self) -> Option<IpAddr> {
        self.origin.as_deref()?.proxy
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) generation: u32,
    /// The class of the connection's subscriptions, if it has any.
    pub(super) class: Option<ClassId>,
    /// Where the connection stands in its class's list: of those who are solo if it is, else of the members.
    pub(super) seat: u32,
    /// The epoch of the class's deflate stream of which the connection has seen every message; 0: none.
    pub(super) synced: u32,
    /// When the client was last heard, in seconds since the start.
    pub(super) heard_s: u32,
    pub(super) session: Session,
    /// The conversation on the connection, once that is no longer HTTP.
    pub(super) talk: Option<Box<dyn Talk>>,
    /// Bytes that the client has said and that are not carried out, as the intake counts them.
    pub(super) held_bytes: usize,
    /// The connection stands in the list of those to be gone on with.
    pub(super) is_heard_later: bool,
    /// How the connection is spoken to, once that is known.
    pub(super) voice: Option<Voice>,
    /// Who is on the connection, once that is known.
    pub(super) who: Option<Arc<Who>>,
    /// From where the connection comes, and what is known of that.
    pub(super) caller: Caller,
    /// What the connection's paced and leaving subscriptions remember.
    pub(super) shaping: Option<Box<Shaping>>,
    /// `None`: in step with its class, or idle.
    pub(super) solo: Option<Box<Solo>>,
}

impl Conn {
    /// A number that no other connection of the process has had, unless billions had its place.
    pub(super) fn serial(&self, shard: ShardId, id: ConnId) -> u64 {
        u64::from(shard.0) << 58 | u64::from(id.0) << 32 | u64::from(self.generation)
    }

    /// Whether the connection's last words have been said.
    pub(super) fn is_closing(&self) -> bool {
        self.solo.as_deref().is_some_and(|solo| solo.closing.is_some())
    }
}

/// All connections of a shard.
#[derive(Debug, Default)]
pub(super) struct Conns {
    slots: Vec<Slot>,
    free: BinaryHeap<Reverse<u32>>,
    addresses: Addresses,
    /// Connections whose input is wanted again.
    resumed: Vec<ConnId>,
    /// The buffer of what is being said, until its length is known.
    said: Vec<u8>,
    /// Connections whose sockets are to be closed.
    gone: VecDeque<ConnId>,
}

#[derive(Debug)]
enum Slot {
    Free { generation: u32 },
    Taken(Conn),
}

impl Conns {
    /// Gives away the lowest free place; `None`: the peer's address has `most` already. Without a `most` it is a trusted proxy, and not counted.
    pub(super) fn insert(
        &mut self,
        session: Session,
        (peer, most): (IpAddr, Option<u32>),
        heard_s: u32,
    ) -> Option<ConnRef> {
        if most.is_some_and(|most| !self.addresses.enter(peer, most)) {
            return None;
        }
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
            caller: Caller::new(peer, most.is_none()),
            shaping: None,
            solo: None,
        });
        Some(ConnRef { id: ConnId(id), generation })
    }

    /// Takes a connection's place back.
    fn remove(&mut self, id: ConnId) -> Option<Conn> {
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

    /// The connection that a reference names, to look at only.
    pub(super) fn see(&self, conn: ConnRef) -> Option<&Conn> {
        self.find(conn.id).filter(|found| found.generation == conn.generation)
    }

    /// What a connection that is not in step has of its own.
    pub(super) fn solo(&self, id: ConnId) -> Option<&Solo> {
        self.find(id)?.solo.as_deref()
    }

    pub(super) fn solo_mut(&mut self, id: ConnId) -> Option<&mut Solo> {
        self.find_mut(id)?.solo.as_deref_mut()
    }

    /// How a connection is told something; `None`: its dialect has no word for it.
    pub(super) fn told(&mut self, id: ConnId, outcome: &Outcome<'_>) -> Option<Item> {
        let voice = self.find(id)?.voice?;
        self.said.clear();
        let kind = voice.dialect.speaker().put_outcome(outcome, &mut self.said)?;
        Some(Item::Said { kind, text: self.said[..].into() })
    }

    /// Has the loop ask whether a connection's input is wanted again.
    pub(super) fn resume(&mut self, id: ConnId) {
        self.resumed.push(id);
    }

    pub(super) fn pop_resumed(&mut self) -> Option<ConnId> {
        self.resumed.pop()
    }

    /// Has a connection's socket closed.
    pub(super) fn close_socket(&mut self, id: ConnId) {
        self.gone.push_back(id);
    }

    /// A connection whose socket is to be closed. Its place is free from now on.
    pub(super) fn pop_gone(&mut self) -> Option<ConnId> {
        let id = self.gone.pop_front()?;
        if let Some(conn) = self.remove(id).filter(|conn| conn.caller.proxy().is_none()) {
            self.addresses.leave(conn.caller.peer);
        }
        Some(id)
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
