//! A class: the connections to whom the same events go as the same bytes.
//!
//! Invariants: a connection with subscriptions is in exactly one class, there either in step (`members`) or alone (`solos`), and knows its
//! seat in that list, so that coming and going takes the same time in a class of two and of two hundred thousand; a class without connections
//! does not exist; frames wait only for members.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::batches::OpenBatch;
use super::conns::Conns;
use super::input::ConnId;
use super::input::ConnRef;
use super::sight::Unmatched;
use super::transport::Voice;
use crate::batch::FrameId;
use crate::batch::Frames;
use crate::batch::Item;
use crate::batch::Piece;
use crate::batch::Policy;
use crate::clock::Now;
use crate::dialect::SubId;
use crate::dialect::Subs;
use crate::dialect::Subscription;
use crate::event::Draft;
use crate::event::Event;
use crate::event::HomeId;
use crate::limits::DEFLATE_EPOCH_MESSAGES;
use crate::matcher::SubscriptionIndex;
use crate::wire::deflate::Deflater;
use crate::wire::deflate::LEVEL_BATCHES;
use crate::wire::deflate::LEVEL_DEFAULT;

/// What one connection calls its subscriptions, in the order in which it made them.
pub(super) type SubNames = Arc<[SubId]>;

/// Everything that decides which bytes a connection gets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClassKey {
    pub(super) voice: Voice,
    pub(super) subs: Vec<Arc<Subscription>>,
    /// A connection whose messages depend on what it was sent before is like no other.
    pub(super) alone: Option<ConnRef>,
    /// All that is asked for lies in the past still: the matcher does not know it.
    pub(super) is_asleep: bool,
    /// Each connection calls the subscriptions something of its own, and what stands in them is empty.
    pub(super) is_mixed: bool,
}

impl ClassKey {
    /// The key of the mixed class of those who ask for the same.
    pub(super) fn mixed(&self) -> Self {
        let nameless = SubId::from("");
        let subs = self.subs.iter().map(|sub| Arc::new(sub.called(&nameless))).collect();
        Self { subs, is_mixed: true, ..*self }
    }

    /// What the class's subscriptions are called.
    pub(super) fn names(&self) -> SubNames {
        self.subs.iter().map(|sub| Arc::clone(&sub.id)).collect()
    }
}

/// Whom messages are for: those of a class who are in step, or one of its connections that is not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Audience<'a> {
    pub(super) class: &'a Class,
    /// What the connection calls its subscriptions, in a mixed class.
    pub(super) names: Option<&'a [SubId]>,
}

impl<'a> Audience<'a> {
    /// The members of a class that are in step, as an audience.
    pub(super) const fn in_step(class: &'a Class) -> Self {
        Self { class, names: None }
    }

    /// Some of the audience's subscriptions, one bit each.
    pub(super) fn subs(self, set: u64) -> Subs<'a> {
        Subs { of: &self.class.key.subs, names: self.names, set }
    }
}

/// One deflate stream in use, for as long as this lives.
#[derive(Debug)]
pub(super) struct StreamLease(Rc<Cell<usize>>);

impl StreamLease {
    /// One more deflate stream of those that are counted there.
    pub(super) fn of(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for StreamLease {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A deflate stream shared by all members.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) _lease: StreamLease,
    pub(super) deflater: Box<Deflater>,
    /// Counts the restarts, from 1; a member is in sync if it has seen every message since the last one.
    pub(super) epoch: u32,
    /// Messages since the last restart.
    pub(super) messages: u32,
    /// Whether the frames that wait begin with a restart.
    pub(super) restarted: bool,
}

/// Messages that wait for a class's members as pieces.
#[derive(Debug, Default)]
pub(super) struct InPieces {
    /// Frames that go before the pieces.
    before: usize,
    pub(super) pieces: Vec<Piece>,
}

/// What waited for a class when a member joined, which is not for that member.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missed {
    pub(super) frames: usize,
    pub(super) events: usize,
}

/// What waits for a class's members until the next flight.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Members that joined since frames began to wait.
    pub(super) late: HashMap<ConnId, Missed, foldhash::fast::RandomState>,
    /// Events that the frames and pieces tell of; a frame may tell of many, and an event be told in several.
    pub(super) events: usize,
    /// The frames, as anyone can read them.
    pub(super) plain: Vec<FrameId>,
    /// Bytes of the frames in `plain`.
    pub(super) bytes: usize,
    /// The frames of `plain` as members in sync with the deflate stream read them; empty without a stream.
    pub(super) deflated: Vec<FrameId>,
    /// What waits in pieces, behind the frames that waited before it.
    pub(super) large: Option<Box<InPieces>>,
}

#[derive(Debug)]
pub(super) struct Class {
    pub(super) key: Arc<ClassKey>,
    pub(super) indices: Vec<SubscriptionIndex>,
    pub(super) policy: Policy,
    pub(super) members: Vec<ConnId>,
    pub(super) solos: Vec<ConnId>,
    /// What waits for the members.
    pub(super) waiting: Waiting,
    pub(super) stream: Option<Stream>,
    pub(super) open: Option<Box<OpenBatch>>,
    /// While one event is fanned out: which subscriptions it matches.
    pub(super) matched: u64,
    /// Which subscriptions have more forced on them than the matcher looks at.
    pub(super) unmatched: Unmatched,
    /// The class stands in the list of those that were told something in this round.
    pub(super) is_told: bool,
    /// The class stands in the list of those that the next flush looks at.
    pub(super) is_dirty: bool,
    /// While the class is flushed: its index among the classes of that flight.
    pub(super) due: u32,
    /// Bytes of the class's subscriptions, and of what finds them.
    pub(super) weight_bytes: usize,
}

/// Bytes of a class without subscriptions.
const CLASS_BYTES: usize = 1024;

/// Bytes of a class with these subscriptions.
pub(super) fn weight_of(subs: &[Arc<Subscription>]) -> usize {
    CLASS_BYTES + subs.iter().map(|sub| sub.weight_bytes()).sum::<usize>()
}

impl Class {
    /// A class without connections, with its subscriptions' indices.
    pub(super) fn new(key: Arc<ClassKey>, indices: Vec<SubscriptionIndex>) -> Self {
        Self {
            unmatched: Unmatched::of(&key.subs),
            policy: Policy::of(key.subs.iter().map(|sub| sub.slow)),
            weight_bytes: weight_of(&key.subs),
            key,
            indices,
            members: Vec::new(),
            solos: Vec::new(),
            waiting: Waiting::default(),
            stream: None,
            open: None,
            matched: 0,
            is_told: false,
            is_dirty: false,
            due: 0,
        }
    }

    /// What is left of subscriptions that match an event, without those that are not for it because of who published it.
    pub(super) fn without_own(&self, event: &Event, subs: u64) -> u64 {
        let excluded = self.key.subs.iter().enumerate().filter(|(_, sub)| sub.excludes(event));
        excluded.fold(subs, |subs, (index, _)| subs & !(1 << index))
    }

    /// What a connection of it is told alone, by those of its subscriptions that are to such a topic; `None`: by none.
    pub(super) fn own_item(&self, draft: Draft, now: Now) -> Option<Item> {
        let is_to = |sub: &Subscription| {
            sub.told_in.is_none() && sub.topics.iter().any(|topic| topic.matches(&draft.topic))
        };
        let each = self.key.subs.iter().enumerate().filter(|(_, sub)| is_to(sub));
        let subs = each.fold(0, |subs, (index, _)| subs | 1 << index);
        (subs != 0).then(|| {
            let event = Arc::new(draft.without_place(HomeId(0), now.wall_us));
            Item::Own { event, subs }
        })
    }

    /// Whether a message of so many bytes is more than its connections take.
    pub(super) fn is_too_large(&self, bytes: usize) -> bool {
        let takes = |sub: &Arc<Subscription>| sub.delivery.bytes_max;
        let most = self.key.subs.iter().map(takes).max().unwrap_or(0) as usize;
        most > 0 && bytes > most
    }

    /// The level of its deflate stream.
    pub(super) fn deflate_level(&self) -> u32 {
        let is_batched = self.key.subs.iter().all(|sub| sub.batch.is_some());
        if is_batched { LEVEL_BATCHES } else { LEVEL_DEFAULT }
    }

    /// Whether some of its events are to be acknowledged.
    pub(super) fn is_numbered(&self) -> bool {
        self.key.subs.iter().any(|sub| sub.delivery.qos > 0)
    }

    /// Whether none of its connections is ever in step, since each is told something of its own with every event.
    pub(super) fn is_told_apart(&self) -> bool {
        self.key.is_mixed || self.is_numbered()
    }

    /// Whether the class has no connection left.
    pub(super) const fn is_empty(&self) -> bool {
        self.members.is_empty() && self.solos.is_empty()
    }

    /// All connections of the class, members and solos.
    pub(super) fn conns(&self) -> impl Iterator<Item = ConnId> {
        self.members.iter().chain(&self.solos).copied()
    }

    /// What waits and is not for this member.
    pub(super) fn missed(&self, conn: ConnId) -> Missed {
        if self.waiting.late.is_empty() {
            return Missed::default();
        }
        self.waiting.late.get(&conn).copied().unwrap_or_default()
    }

    /// Adds an event's messages in pieces to what waits.
    pub(super) fn push_pieces(&mut self, pieces: Vec<Piece>, frames: &Frames) {
        self.end_frames(frames);
        let before = self.waiting.plain.len();
        let large = self
            .waiting
            .large
            .get_or_insert_with(|| Box::new(InPieces { before, ..InPieces::default() }));
        large.pieces.extend(pieces);
        self.waiting.events += 1;
        self.begin_stream_anew();
    }

    /// Makes pieces of the frames that wait behind others: from then on all frames go before all pieces.
    pub(super) fn end_frames(&mut self, frames: &Frames) {
        let Some(large) = &mut self.waiting.large else { return };
        if self.waiting.plain.len() == large.before {
            return;
        }
        for frame in self.waiting.plain.drain(large.before..) {
            large.pieces.push(Piece::Bytes(Bytes::copy_from_slice(frames.bytes(frame))));
        }
        self.waiting.deflated.truncate(large.before);
        self.begin_stream_anew();
    }

    /// Has the shared stream begin anew from the next frame on: what members were sent since is not what the stream knows.
    fn begin_stream_anew(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.messages = DEFLATE_EPOCH_MESSAGES;
        }
    }

    /// Takes a member out.
    pub(super) fn remove_member(&mut self, conn: ConnId, conns: &mut Conns) {
        stand_up(&mut self.members, conn, conns);
        if !self.waiting.late.is_empty() {
            self.waiting.late.remove(&conn);
        }
        if self.members.is_empty() {
            // Nobody is left to read it: the buffers go, and with them the stream's 315 KB.
            self.stream = None;
            self.waiting = Waiting::default();
            self.open = None;
            self.members = Vec::new();
        }
    }

    /// Makes a connection a member; what waits already is not for it.
    pub(super) fn insert_member(&mut self, conn: ConnId, conns: &mut Conns) {
        debug_assert!(self.open.is_none(), "an open batch is closed before someone joins");
        debug_assert!(!self.is_told_apart(), "each is told something of its own");
        sit_down(&mut self.members, conn, conns);
        if !self.waiting.plain.is_empty() {
            let Waiting { plain, events, .. } = &self.waiting;
            let missed = Missed { frames: plain.len(), events: *events };
            self.waiting.late.insert(conn, missed);
        }
    }

    pub(super) fn remove_solo(&mut self, conn: ConnId, conns: &mut Conns) {
        stand_up(&mut self.solos, conn, conns);
    }

    pub(super) fn insert_solo(&mut self, conn: ConnId, conns: &mut Conns) {
        sit_down(&mut self.solos, conn, conns);
    }
}

fn sit_down(list: &mut Vec<ConnId>, conn: ConnId, conns: &mut Conns) {
    if let Some(found) = conns.find_mut(conn) {
        found.seat = u32::try_from(list.len()).expect("connections are bounded far below");
        list.push(conn);
    }
}

/// Takes a connection out of its seat; whoever sat last takes it.
fn stand_up(list: &mut Vec<ConnId>, conn: ConnId, conns: &mut Conns) {
    let Some(seat) = conns.find(conn).map(|found| found.seat) else { return };
    let index = seat as usize;
    assert_eq!(list.get(index), Some(&conn), "a connection sits where it says");
    list.swap_remove(index);
    if let Some(moved) = list.get(index).and_then(|moved| conns.find_mut(*moved)) {
        moved.seat = seat;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::net::Ipv4Addr;

    use super::super::session::Session;
    use super::*;
    use crate::dialect::Port;

    /// Whoever leaves a crowd moves at most one other, wherever it sat: a crowd that falls back in step, or loses its connection, in whatever order,
    /// takes as many steps as it has members.
    #[test]
    fn who_stands_up_moves_at_most_one() {
        let mut conns = Conns::default();
        let mut list = Vec::new();
        for _ in 0..1_000 {
            let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let conn = conns.insert(Session::new(Port::Shared), (peer, None), 0).unwrap();
            sit_down(&mut list, conn.id, &mut conns);
        }
        // In the order in which they came, from the end, and from the middle.
        for place in [0, usize::MAX, 500].into_iter().cycle().take(1_000) {
            let before = list.clone();
            let leaver = before[place.min(before.len() - 1)];
            let seats: Vec<_> = before.iter().map(|id| conns.find(*id).unwrap().seat).collect();
            stand_up(&mut list, leaver, &mut conns);
            let mut moved = 0;
            for (id, seat) in before.iter().zip(seats) {
                let now = conns.find(*id).unwrap().seat;
                moved += usize::from(*id != leaver && now != seat);
                assert!(*id == leaver || list[now as usize] == *id, "everyone sits where it says");
            }
            assert!(moved <= 1, "{moved} were moved");
            assert_eq!(list.len(), before.len() - 1);
        }
    }
}
