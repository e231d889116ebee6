//! What waits to be handed to another party: two lanes, control before data, counted in messages and in bytes.
//!
//! Invariants: a lane is handed on in the order in which it was filled; a parcel is weighed once, when it is put in. Never waits: who finds no
//! room refuses at the source, or keeps what there is at most one of for each connection.

use std::collections::VecDeque;

use crate::event::ShardId;
use crate::limits::MESH_PAGES_MAX;
use crate::limits::MESH_PAST_SHARE;
use crate::limits::MESH_PENDING_BYTES_MAX;
use crate::limits::MESH_PENDING_MAX;

/// A party of the mesh: a thread that owns its state, has an inbox and speaks in messages. The first so many are the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(pub u16);

impl PartyId {
    /// The party's index in the list of all parties.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl From<ShardId> for PartyId {
    fn from(shard: ShardId) -> Self {
        Self(shard.0)
    }
}

/// Which of a party's two lanes a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Messages that are small, and carried out when they are taken: nothing may wait behind one for long.
    Control,
    /// As much as there is to tell; taken while the receiver has room for it.
    Data,
}

impl Lane {
    pub const ALL: [Self; 2] = [Self::Control, Self::Data];
}

/// What parties say to one another.
pub trait Message: Send + 'static {
    /// Which lane the message takes. Two messages whose order matters take the same one.
    fn lane(&self) -> Lane;

    /// Bytes of memory that the message keeps alive, about.
    fn weight_bytes(&self) -> usize;

    /// Whether the message is of the past, which can wait: it has room of its own, and takes none from what is new.
    fn is_past(&self) -> bool;
}

/// A message and what it weighs.
#[derive(Debug)]
pub struct Parcel<M> {
    pub message: M,
    pub weight_bytes: usize,
}

/// What waits for one other party.
#[derive(Debug)]
pub struct Pending<M> {
    control: Queue<M>,
    data: Queue<M>,
}

#[derive(Debug)]
struct Queue<M> {
    parcels: VecDeque<Parcel<M>>,
    bytes: usize,
    past: PastShare,
}

/// How much of a queue is of the past.
#[derive(Clone, Copy, Debug, Default)]
struct PastShare {
    parcels: usize,
    bytes: usize,
}

impl<M: Message> Queue<M> {
    /// A parcel has come.
    fn note(&mut self, parcel: &Parcel<M>) {
        self.bytes += parcel.weight_bytes;
        if parcel.message.is_past() {
            self.past.parcels += 1;
            self.past.bytes += parcel.weight_bytes;
        }
    }
}

impl<M> Queue<M> {
    /// Messages, and bytes, of what is new.
    fn new_ones(&self) -> (usize, usize) {
        (self.parcels.len() - self.past.parcels, self.bytes - self.past.bytes)
    }
}

impl<M> Default for Pending<M> {
    fn default() -> Self {
        let queue = || Queue { parcels: VecDeque::new(), bytes: 0, past: PastShare::default() };
        Self { control: queue(), data: queue() }
    }
}

impl<M: Message> Pending<M> {
    /// Puts a message behind all others of its lane.
    pub fn push(&mut self, message: M) {
        let weight_bytes = message.weight_bytes();
        self.push_weighed(message, weight_bytes);
    }

    /// As `push`, for a sender who knows what the message weighs.
    pub fn push_weighed(&mut self, message: M, weight_bytes: usize) {
        let queue = self.queue(message.lane());
        let parcel = Parcel { message, weight_bytes };
        queue.note(&parcel);
        queue.parcels.push_back(parcel);
    }

    /// Takes the oldest parcel of a lane.
    pub fn pop(&mut self, lane: Lane) -> Option<Parcel<M>> {
        let queue = self.queue(lane);
        let parcel = queue.parcels.pop_front()?;
        queue.bytes -= parcel.weight_bytes;
        if parcel.message.is_past() {
            queue.past.parcels -= 1;
            queue.past.bytes -= parcel.weight_bytes;
        }
        Some(parcel)
    }

    /// Puts a parcel back that was popped and found no room: it is the oldest again.
    pub fn put_back(&mut self, parcel: Parcel<M>) {
        let queue = self.queue(parcel.message.lane());
        queue.note(&parcel);
        queue.parcels.push_front(parcel);
    }

    fn queue(&mut self, lane: Lane) -> &mut Queue<M> {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Data => &mut self.data,
        }
    }
}

impl<M> Pending<M> {
    const fn lane(&self, lane: Lane) -> &Queue<M> {
        match lane {
            Lane::Control => &self.control,
            Lane::Data => &self.data,
        }
    }

    /// Whether a lane takes one more of what can be refused.
    #[must_use]
    pub fn has_room(&self, lane: Lane) -> bool {
        let (messages, bytes) = self.lane(lane).new_ones();
        messages < MESH_PENDING_MAX && bytes < MESH_PENDING_BYTES_MAX
    }

    /// Messages of a lane.
    #[must_use]
    pub fn len(&self, lane: Lane) -> usize {
        self.lane(lane).parcels.len()
    }

    /// Bytes of a lane.
    #[cfg(test)]
    const fn bytes(&self, lane: Lane) -> usize {
        self.lane(lane).bytes
    }

    /// Whether nothing waits in either lane.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.control.parcels.is_empty() && self.data.parcels.is_empty()
    }
}

/// What waits for every other party. Parties are found by their ids, however many there are.
#[derive(Debug)]
pub(super) struct Outgoing<M> {
    parties: Vec<Pending<M>>,
    /// The first so many are shards: what waits for them counts together, and what waits for another party by itself.
    shard_count: usize,
    /// Bytes that may wait for all shards together, and for each other party.
    bytes_max: usize,
}

impl<M> Outgoing<M> {
    pub(super) fn new(shard_count: u16, bytes_max: usize) -> Self {
        Self { parties: Vec::new(), shard_count: usize::from(shard_count), bytes_max }
    }

    /// What waits for one party.
    pub(super) fn to(&mut self, party: impl Into<PartyId>) -> &mut Pending<M> {
        let index = party.into().index();
        if self.parties.len() <= index {
            self.parties.resize_with(index + 1, Pending::default);
        }
        &mut self.parties[index]
    }

    /// Whether nothing waits for one of them.
    pub(super) fn is_empty_to(&self, party: impl Into<PartyId>) -> bool {
        self.parties.get(party.into().index()).is_none_or(Pending::is_empty)
    }

    /// Whether a lane to that party has room.
    pub(super) fn has_room(&self, party: impl Into<PartyId>, lane: Lane) -> bool {
        let party = party.into();
        let pending = self.parties.get(party.index());
        pending.is_none_or(|pending| pending.has_room(lane))
            && self.bytes_beside(party, lane) < self.new_bytes_max()
    }

    /// Whether that party may be told more of the past.
    pub(super) fn has_room_for_past(&self, party: impl Into<PartyId>) -> bool {
        let past = |pending: &Pending<M>| pending.lane(Lane::Data).past;
        let to_it = self.parties.get(party.into().index()).map(past).unwrap_or_default();
        let to_all: usize = self.to_shards().map(|pending| past(pending).bytes).sum();
        to_it.parcels < MESH_PAGES_MAX && to_all < self.bytes_max / MESH_PAST_SHARE
    }

    /// Bytes of what is new that may wait for all together.
    const fn new_bytes_max(&self) -> usize {
        self.bytes_max - self.bytes_max / MESH_PAST_SHARE
    }

    /// Whether that lane has room to every shard.
    pub(super) fn has_room_everywhere(&self, lane: Lane) -> bool {
        self.to_shards().all(|pending| pending.has_room(lane))
            && self.bytes_to_shards(lane) < self.new_bytes_max()
    }

    fn to_shards(&self) -> impl Iterator<Item = &Pending<M>> {
        self.parties.iter().take(self.shard_count)
    }

    /// Bytes of what is new in that lane to all shards.
    fn bytes_to_shards(&self, lane: Lane) -> usize {
        self.to_shards().map(|pending| pending.lane(lane).new_ones().1).sum()
    }

    /// Bytes of that lane that count where that party is concerned.
    fn bytes_beside(&self, party: PartyId, lane: Lane) -> usize {
        if party.index() < self.shard_count {
            return self.bytes_to_shards(lane);
        }
        self.parties.get(party.index()).map_or(0, |pending| pending.lane(lane).new_ones().1)
    }

    /// Whether nothing waits for any shard.
    pub(super) fn is_empty(&self) -> bool {
        self.to_shards().all(Pending::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which lane, which number, and how many bytes.
    #[derive(Debug, PartialEq, Eq)]
    struct Note(Lane, u32, usize);

    /// The number of what is of the past.
    const PAST: u32 = 1_000;

    impl Message for Note {
        fn lane(&self) -> Lane {
            self.0
        }

        fn weight_bytes(&self) -> usize {
            self.2
        }

        fn is_past(&self) -> bool {
            self.1 == PAST
        }
    }

    #[test]
    fn each_lane_keeps_its_order_also_of_what_found_no_room() {
        let mut pending = Pending::default();
        for number in 0..3 {
            pending.push(Note(Lane::Data, number, 10));
            pending.push(Note(Lane::Control, number, 1));
        }
        let first = pending.pop(Lane::Data).unwrap();
        assert_eq!(first.message, Note(Lane::Data, 0, 10));
        pending.put_back(first);
        assert_eq!((pending.bytes(Lane::Data), pending.bytes(Lane::Control)), (30, 3));
        for lane in Lane::ALL {
            let taken = std::iter::from_fn(|| pending.pop(lane)).map(|parcel| parcel.message.1);
            assert_eq!(taken.collect::<Vec<_>>(), [0, 1, 2], "{lane:?}");
        }
        assert!(pending.is_empty());
        assert_eq!((pending.bytes(Lane::Data), pending.bytes(Lane::Control)), (0, 0));
    }

    #[test]
    fn a_lane_is_full_by_messages_or_by_bytes_and_the_other_is_not() {
        let mut outgoing = Outgoing::new(8, 2 * MESH_PENDING_BYTES_MAX);
        let party = PartyId(7);
        assert!(outgoing.has_room(party, Lane::Data), "nobody has sent anything yet");
        outgoing.to(party).push(Note(Lane::Data, 0, MESH_PENDING_BYTES_MAX));
        assert!(!outgoing.has_room(party, Lane::Data));
        assert!(outgoing.has_room(party, Lane::Control));
        assert!(!outgoing.has_room_everywhere(Lane::Data));
        assert!(outgoing.to(party).pop(Lane::Data).is_some());
        assert!(outgoing.has_room_everywhere(Lane::Data));
        for number in 0..MESH_PENDING_MAX {
            assert!(outgoing.has_room(party, Lane::Control), "{number}");
            outgoing.to(party).push(Note(Lane::Control, 0, 1));
        }
        assert!(!outgoing.has_room(party, Lane::Control));
        assert!(outgoing.has_room(PartyId(6), Lane::Control));
    }

    #[test]
    fn the_past_has_room_of_its_own() {
        let mut outgoing = Outgoing::new(8, 400);
        let (party, other) = (PartyId(7), PartyId(6));
        assert!(outgoing.has_room_for_past(party));
        outgoing.to(party).push(Note(Lane::Data, PAST, 100));
        assert!(!outgoing.has_room_for_past(party) && !outgoing.has_room_for_past(other));
        // Pages may be larger than they were thought to be.
        outgoing.to(party).push(Note(Lane::Data, PAST, 500));
        assert!(outgoing.has_room_everywhere(Lane::Data), "what is new is not refused for it");
        outgoing.to(party).push(Note(Lane::Data, 0, 300));
        assert!(!outgoing.has_room(other, Lane::Data));
        let first = outgoing.to(party).pop(Lane::Data).unwrap();
        outgoing.to(party).put_back(first);
        for _ in 0..2 {
            assert!(!outgoing.has_room_for_past(party));
            assert!(outgoing.to(party).pop(Lane::Data).is_some());
        }
        assert!(outgoing.has_room_for_past(party) && !outgoing.has_room(party, Lane::Data));
        for _ in 0..MESH_PAGES_MAX {
            assert!(outgoing.has_room_for_past(party));
            outgoing.to(party).push(Note(Lane::Data, PAST, 0));
        }
        assert!(!outgoing.has_room_for_past(party) && outgoing.has_room_for_past(other));
    }

    #[test]
    fn a_party_that_does_not_listen_is_no_concern_of_the_shards() {
        let mut outgoing = Outgoing::new(2, 2 * MESH_PENDING_BYTES_MAX);
        let store = PartyId(2);
        outgoing.to(PartyId(1)).push(Note(Lane::Data, 0, 1));
        outgoing.to(store).push(Note(Lane::Data, 0, 2 * MESH_PENDING_BYTES_MAX));
        assert!(!outgoing.has_room(store, Lane::Data));
        assert!(
            outgoing.has_room_everywhere(Lane::Data) && outgoing.has_room(PartyId(1), Lane::Data)
        );
        assert!(outgoing.to(PartyId(1)).pop(Lane::Data).is_some());
        assert!(outgoing.is_empty(), "shards need not wait for it to stop");
    }

    #[test]
    fn what_waits_for_all_together_is_bounded_too() {
        let mut outgoing = Outgoing::new(10, 400);
        for party in 0..4 {
            assert!(outgoing.has_room(PartyId(9), Lane::Data));
            outgoing.to(PartyId(party)).push(Note(Lane::Data, 0, 75));
        }
        assert!(!outgoing.has_room(PartyId(9), Lane::Data));
        assert!(!outgoing.has_room_everywhere(Lane::Data));
        assert!(outgoing.has_room(PartyId(0), Lane::Control));
    }
}
