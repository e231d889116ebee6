//! What a shard holds of what clients have sent: what is not carried out (half messages, heads, bodies, what waits for its turn), and what their
//! conversations remember.
//!
//! Invariant: after each read all of it together is at most `bytes_max`. When it would be more, those pay that hold the most: of the address that
//! holds the most the connection that holds the most, and so on until a part of the budget is free. So whoever sends little loses nothing,
//! however many send much. Never looks at what it counts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::net::IpAddr;

use super::Shard;
use super::deadlines::Deadlines;
use super::ingest::Ingest;
use super::input::ConnId;
use super::input::ConnRef;
use super::tickets::Tickets;
use super::untold::Untold;
use crate::auth::AddressKey;
use crate::clock::Now;
use crate::limits::HEARD_BYTES_MAX;
use crate::limits::INPUT_FREED_SHARE;
use crate::limits::SUBSCRIBED_MAX;
use crate::wire::decoder::Inbound;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What has been said and is not carried out: its budget, who holds what of it, and who is gone on with when.
#[derive(Debug)]
pub(super) struct Intake {
    bytes_max: usize,
    held: usize,
    holders: Map<ConnId, Holder>,
    /// What WebSockets' decoders share.
    inbound: Inbound,
    /// Connections that have said more than could be carried out at once, and go on in the next turn.
    unheard: VecDeque<(ConnRef, Lack)>,
    /// Bytes of drafts that were carried out in this turn.
    heard_bytes: usize,
    /// Subscriptions that were looked at in this turn.
    subscribed: usize,
    /// Uploads that found everything full, and when they try again.
    retries: Deadlines<ConnRef>,
    /// What finds the fields of every payload.
    pub(super) ingest: Ingest,
    /// Questions to others that are not answered.
    pub(super) tickets: Tickets,
    /// Rows that have changed, of which nobody has been told yet.
    pub(super) untold: Untold,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    bytes: usize,
    /// `None`: this machine.
    address: Option<AddressKey>,
}

/// Bytes, and which connection holds them.
type BytesHeld = (usize, Reverse<u32>);

/// What a turn had no more of for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// Time for subscriptions: there is no need to look at the connection before there is some.
    Subscriptions,
    /// Something else, of which the connection itself knows.
    Other,
}

impl Intake {
    pub(super) fn new(bytes_max: usize, shard_count: u16) -> Self {
        Self {
            bytes_max,
            held: 0,
            holders: Map::default(),
            inbound: Inbound::default(),
            unheard: VecDeque::new(),
            heard_bytes: 0,
            subscribed: 0,
            retries: Deadlines::default(),
            ingest: Ingest::new(shard_count),
            tickets: Tickets::default(),
            untold: Untold::default(),
        }
    }

    /// What WebSockets' decoders share.
    pub(super) const fn inbound(&mut self) -> &mut Inbound {
        &mut self.inbound
    }

    /// Whether a turn in which drafts were carried out takes so many bytes more.
    pub(super) const fn has_time_for(&self, bytes: usize) -> bool {
        self.heard_bytes + bytes < HEARD_BYTES_MAX
    }

    /// Notes that so many bytes of drafts are carried out in this turn.
    pub(super) const fn heard(&mut self, bytes: usize) {
        self.heard_bytes += bytes;
    }

    /// Whether a turn in which subscriptions were looked at has time for more.
    pub(super) const fn has_time_to_subscribe(&self) -> bool {
        self.subscribed < SUBSCRIBED_MAX
    }

    /// What this turn has no time for any more: of drafts with so many bytes if there are some, and of subscriptions.
    pub(super) const fn lack(&self, drafts_bytes: Option<usize>, subscribes: bool) -> Option<Lack> {
        match drafts_bytes {
            Some(bytes) if !self.has_time_for(bytes) => Some(Lack::Other),
            _ if subscribes && !self.has_time_to_subscribe() => Some(Lack::Subscriptions),
            _ => None,
        }
    }

    /// Notes that so many subscriptions are looked at in this turn.
    pub(super) const fn subscribed(&mut self, count: usize) {
        self.subscribed += count;
    }

    /// Has a connection gone on with at the end of this turn, or the next; nobody stands in that line twice.
    pub(super) fn hear_later(&mut self, conn: ConnRef, lack: Lack) {
        self.unheard.push_back((conn, lack));
    }

    /// Whether somebody has said more than was carried out.
    pub(super) fn has_unheard(&self) -> bool {
        !self.unheard.is_empty()
    }

    /// A new turn begins for drafts; how many connections are to be gone on with in it.
    pub(super) fn begin_hearing(&mut self) -> usize {
        (self.heard_bytes, self.subscribed) = (0, 0);
        self.unheard.len()
    }

    /// What was carried out in this turn: bytes of drafts, and subscriptions.
    pub(super) const fn carried_out(&self) -> (usize, usize) {
        (self.heard_bytes, self.subscribed)
    }

    /// The first so many in the line published in this turn, and are last in the next one.
    pub(super) fn end_hearing(&mut self, served: usize) {
        self.unheard.rotate_left(served.min(self.unheard.len()));
    }

    pub(super) fn pop_unheard(&mut self) -> Option<(ConnRef, Lack)> {
        self.unheard.pop_front()
    }

    /// An upload found everything full.
    pub(super) fn retry_at(&mut self, due_ms: u64, conn: ConnRef) {
        self.retries.push(due_ms, conn);
    }

    pub(super) fn pop_retry(&mut self, now: Now) -> Option<ConnRef> {
        self.retries.pop_due(now.mono_ms)
    }

    /// When an upload tries again.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.retries.next_ms()
    }

    /// Bytes of input that all connections hold.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Takes note of what a connection holds now.
    fn set(&mut self, id: ConnId, peer: IpAddr, bytes: usize) {
        let before = match bytes {
            0 => self.holders.remove(&id),
            _ => self.holders.insert(id, Holder { bytes, address: AddressKey::of(peer) }),
        };
        self.held = self.held + bytes - before.map_or(0, |holder| holder.bytes);
    }

    /// Who is to let go of what they hold, if all hold too much.
    fn payers(&self) -> Vec<ConnId> {
        if self.held <= self.bytes_max {
            return Vec::new();
        }
        let mut by_address: Map<Option<AddressKey>, (usize, Vec<BytesHeld>)> = Map::default();
        for (id, holder) in &self.holders {
            let (sum, of) = by_address.entry(holder.address).or_default();
            *sum += holder.bytes;
            of.push((holder.bytes, Reverse(id.0)));
        }
        for (_, of) in by_address.values_mut() {
            of.sort_unstable();
        }
        let mut addresses: BinaryHeap<_> = by_address.into_values().collect();
        let mut left = self.held;
        let mut payers = Vec::new();
        while left > self.bytes_max - self.bytes_max / INPUT_FREED_SHARE {
            let Some((sum, mut of)) = addresses.pop() else { break };
            let Some((bytes, Reverse(id))) = of.pop() else { continue };
            left -= bytes;
            payers.push(ConnId(id));
            addresses.push((sum - bytes, of));
        }
        payers
    }
}

impl Shard {
    /// Takes note of what a connection holds now.
    pub(super) fn count_held(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let of_talk = conn.talk.as_ref().map_or(0, |talk| talk.held_bytes());
        let bytes = conn.session.held_bytes() + of_talk + conn.caller.will_bytes();
        if bytes == conn.held_bytes {
            return;
        }
        conn.held_bytes = bytes;
        self.intake.set(id, conn.caller.peer, bytes);
    }

    /// Takes note that another address holds what a connection holds.
    pub(super) fn recount_held(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else { return };
        self.intake.set(id, conn.caller.peer, conn.held_bytes);
    }

    /// If all hold too much of what came in part, those pay that hold the most.
    pub(super) fn make_room(&mut self, now: Now) {
        if self.intake.held <= self.intake.bytes_max {
            return;
        }
        for payer in self.intake.payers() {
            self.stats.input_refused += 1;
            tracing::debug!(conn = payer.0, "no room for what has come in part");
            self.let_go(payer, now);
        }
        let message = format_args!(
            "clients send too much in part at once: those that hold the most are refused"
        );
        self.tell_log_of(None, "warning", "limits", message, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_address_that_holds_the_most_pays_with_what_holds_the_most() {
        let mut intake = Intake::new(1000, 1);
        for id in 0..8 {
            intake.set(ConnId(id), ip("10.0.0.1"), 100 + id as usize);
        }
        intake.set(ConnId(8), ip("10.0.0.2"), 160);
        assert_eq!(intake.payers(), []);
        intake.set(ConnId(9), ip("10.0.0.3"), 30);
        // 1,018 bytes: the largest of ten small ones from one address, and not the one large one from another.
        assert_eq!(intake.payers(), [ConnId(7), ConnId(6)]);
        for id in [7, 6] {
            intake.set(ConnId(id), ip("10.0.0.1"), 0);
        }
        assert_eq!((intake.held(), intake.payers()), (805, vec![]));
    }

    #[test]
    fn of_equals_the_one_that_came_first_pays_and_all_is_given_back() {
        let mut intake = Intake::new(100, 1);
        for id in 0..4 {
            intake.set(ConnId(id), ip("127.0.0.1"), 40);
        }
        assert_eq!(intake.payers(), [ConnId(0), ConnId(1)]);
        for id in 0..4 {
            intake.set(ConnId(id), ip("127.0.0.1"), 0);
        }
        assert_eq!((intake.held(), intake.holders.len()), (0, 0));
    }
}
