//! Room for the past: how much of it is on its way at once, and who waits until there is room for the next page.
//!
//! A page is counted from the moment it is asked for until it has been sent; what a replay remembers is counted as long as it lasts. Pages are
//! the smaller the less room is left, and each connection may hold `REPLAY_SPARE_BYTES` whatever others do: so whoever reads is told of
//! the past however many do not. What is larger than that waits in line. Invariants: all of it together is at most the budget, and the spare of each
//! connection; whoever waits has nothing of its own that would still be sent, and stands in the line once; if the line does not move,
//! those are closed that do not take what they hold. Live events are none of its business.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::Shard;
use super::deadlines::Deadlines;
use super::input::Address;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::input::PageAnswer;
use super::input::ReadRequest;
use super::past::PastHeld;
use super::past::Wanted;
use super::solo::Replay;
use super::solo::Solo;
use crate::batch::Budget;
use crate::batch::Counted;
use crate::batch::ITEM_BYTES;
use crate::clock::Now;
use crate::event::HomeId;
use crate::limits::PAGE_BYTES_MIN;
use crate::limits::PAGE_MS_MAX;
use crate::limits::PAGE_ROOM_SHARE;
use crate::limits::REPLAY_SPARE_BYTES;
use crate::limits::REPLAY_STALLED_MS;

/// The budget of a shard's replays, and the line of those who wait for room.
#[derive(Debug)]
pub(super) struct PastRoom {
    budget: Rc<Budget>,
    line: VecDeque<ConnRef>,
    /// When the line last moved, in milliseconds since the start.
    moved_ms: u64,
    /// Connections whose replays rest, since their filters have worked enough for a while.
    rests: Deadlines<ConnRef>,
    /// The serial number of the replay that began last.
    serial: u32,
}

impl PastRoom {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            budget: Budget::new(bytes_max),
            line: VecDeque::new(),
            moved_ms: 0,
            rests: Deadlines::default(),
            serial: 0,
        }
    }

    /// The serial number of the next replay.
    pub(super) const fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    /// The replays of a connection rest until then, in milliseconds since the start.
    pub(super) fn rest(&mut self, until_ms: u64, conn: ConnRef) {
        self.rests.push(until_ms, conn);
    }

    /// The next connection whose replays have rested.
    pub(super) fn pop_rested(&mut self, now: Now) -> Option<ConnRef> {
        self.rests.pop_due(now.mono_ms)
    }

    /// When the first replays have rested, in milliseconds since the start.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.rests.next_ms()
    }

    /// What one connection holds of the budget: nothing yet.
    pub(super) fn begin(&self) -> PastHeld {
        PastHeld { counted: Counted::of(&self.budget), ..PastHeld::default() }
    }

    /// Bytes beyond what it holds now that a connection may hold; all of them, if nobody else holds any.
    fn room(&self, held: &PastHeld) -> usize {
        let is_alone = self.budget.held() == held.counted.bytes();
        if is_alone { usize::MAX } else { self.budget.free() }
    }

    /// Bytes that a connection's next page may have; `None`: there is no room for one.
    fn page_bytes(&self, solo: &Solo, wanted: &Wanted, is_its_turn: bool) -> Option<usize> {
        if wanted.is_free() {
            return Some(0);
        }
        let may_take = is_its_turn || self.line.is_empty();
        let share = if may_take { self.budget.free() / PAGE_ROOM_SHARE } else { 0 };
        let bytes = share.clamp(PAGE_BYTES_MIN, wanted.bytes_max).max(wanted.bytes);
        let more = beyond_spare(solo.past_bytes() + bytes) - beyond_spare(solo.past_bytes());
        (more == 0 || may_take && more <= self.room(&solo.past)).then_some(bytes)
    }
}

/// What is counted of what one connection holds.
const fn beyond_spare(bytes: usize) -> usize {
    bytes.saturating_sub(REPLAY_SPARE_BYTES)
}

impl Solo {
    /// Bytes of the past that are held for this connection, and that its replays remember.
    fn past_bytes(&self) -> usize {
        let begun = if self.is_begun_with_past() { self.owed.len() } else { 0 };
        let replays = self.replays.iter().map(Replay::held_bytes).sum::<usize>();
        self.outbox.past_bytes() + begun + replays
    }

    /// Takes note of what the connection holds now.
    pub(super) fn count_past(&mut self) {
        let is_told = self.outbox.past_bytes() > 0 || !self.replays.is_empty();
        self.past.is_begun = is_told || self.past.is_begun && !self.owed.is_empty();
        self.past.counted.set(beyond_spare(self.past_bytes()));
    }

    /// Whether what the connection has begun to be sent is of the past.
    pub(super) fn is_begun_with_past(&self) -> bool {
        self.past.is_begun && !self.owed.is_empty()
    }

    /// Whether pages of it are on their way, or wait to be sent: when they have gone, it asks for more by itself.
    fn has_pages(&self) -> bool {
        self.outbox.past_bytes() > 0
            || !self.owed.is_empty()
            || self.replays.iter().any(|replay| !replay.asked.is_empty() || replay.holds())
    }

    /// Whether nothing that the connection holds is due yet: its client has nothing to take.
    fn holds_ahead(&self) -> bool {
        let is_asking = self.replays.iter().any(|replay| !replay.asked.is_empty());
        self.outbox.past_bytes() == 0 && self.owed.is_empty() && !is_asking
    }

    /// Whether the client leaves a page lying: it has taken nothing for a while, or not all of one for long.
    fn leaves_pages(&self, now: Now) -> bool {
        let moved_ms = self.moved_ms.max(self.past.asked_ms);
        !self.past.in_line
            && !self.holds_ahead()
            && (now.mono_ms.saturating_sub(moved_ms) >= REPLAY_STALLED_MS
                || now.mono_ms.saturating_sub(self.past.asked_ms) >= PAGE_MS_MAX)
    }
}

impl Shard {
    fn ask(&mut self, home: HomeId, request: ReadRequest, now: Now) {
        let shard = self.shards.homes().shard(home);
        if shard == self.shards.here() {
            self.read_here(Box::new(request), now);
        } else {
            self.outgoing.to(shard).push(Mesh::Read(Box::new(request)));
        }
    }

    /// Asks for further pages, as far as the connection has taken what it was told and there is room for them.
    pub(super) fn ask_for_next_pages(&mut self, id: ConnId, now: Now) {
        self.play(id, now);
        let Some(reader) = self.conns.conn_ref(id) else { return };
        while self.ask_for_a_page(reader, false, now) {}
        let Some(solo) = self.conns.solo_mut(id) else {
            return;
        };
        let is_resting = now.mono_ms < solo.rests_until_ms;
        let wants = solo.replays.iter().any(|replay| !replay.next.is_empty());
        let may_wait = wants && !solo.past.in_line && solo.closing.is_none();
        if may_wait && !solo.has_pages() && !is_resting && solo.has_room_for_pages() {
            solo.past.in_line = true;
            if self.telling.past_room.line.is_empty() {
                self.telling.past_room.moved_ms = now.mono_ms;
            }
            self.telling.past_room.line.push_back(reader);
        }
    }

    /// Asks for one page; false if there is none to ask for, or no room for any.
    fn ask_for_a_page(&mut self, reader: ConnRef, is_its_turn: bool, now: Now) -> bool {
        let Some((at, index, bytes)) = self.next_page(reader, is_its_turn, now) else {
            return false;
        };
        let conn = self.conns.find_mut(reader.id).expect("it has a page to ask for");
        let solo = conn.solo.as_deref_mut().expect("it has a page to ask for");
        let replay = &mut solo.replays[at];
        let wanted = replay.next.remove(index);
        let (home, read, after_us) = (wanted.home, Arc::clone(&wanted.read), wanted.after_us);
        // Of one that was too large it is known what its events take, and as few of them as may be are asked for.
        let page_bytes = if wanted.bytes > 0 { PAGE_BYTES_MIN } else { bytes };
        replay.asked.push(Wanted { bytes, ..wanted });
        let reader = Address { shard: self.shards.here(), conn: reader };
        let request =
            ReadRequest { reader, replay: replay.serial, home, read, after_us, page_bytes };
        solo.past.asked_ms = now.mono_ms;
        solo.count_past();
        self.ask(home, request, now);
        true
    }

    /// Which page of which replay a connection is to ask for next, and how large it may be.
    fn next_page(
        &self,
        reader: ConnRef,
        is_its_turn: bool,
        now: Now,
    ) -> Option<(usize, usize, usize)> {
        let solo = self.conns.see(reader)?.solo.as_deref()?;
        let is_ready = now.mono_ms >= solo.rests_until_ms && solo.has_room_for_pages();
        solo.replays.iter().enumerate().find_map(|(at, replay)| {
            replay.next.iter().enumerate().find_map(|(index, wanted)| {
                let bytes = self.telling.past_room.page_bytes(solo, wanted, is_its_turn)?;
                (is_ready || wanted.is_free()).then_some((at, index, bytes))
            })
        })
    }

    /// Whether whoever is first in line need wait no longer.
    pub(super) fn can_go_on_with_past(&self) -> bool {
        let Some(first) = self.telling.past_room.line.front() else { return false };
        let solo = self.conns.see(*first).and_then(|conn| conn.solo.as_deref());
        let wanted = solo.and_then(|solo| {
            let next = solo.replays.iter().find_map(|replay| replay.next.first())?;
            Some((solo, next))
        });
        wanted.is_none_or(|(solo, next)| {
            self.telling.past_room.page_bytes(solo, next, true).is_some()
        })
    }

    /// Lets those who wait go on, in their order, as far as there is room.
    pub(super) fn go_on_with_past(&mut self, now: Now) {
        while self.can_go_on_with_past()
            && let Some(first) = self.telling.past_room.line.pop_front()
        {
            self.telling.past_room.moved_ms = now.mono_ms;
            let conn = self.conns.find_ref(first).map(|_| first.id);
            let solo = conn.and_then(|id| self.conns.solo_mut(id));
            if let Some(solo) = solo {
                solo.past.in_line = false;
                self.ask_for_a_page(first, true, now);
                self.ask_for_next_pages(first.id, now);
            }
        }
    }

    /// What a page that has come was asked for with; `None`: nobody waits for it, or there is no room for it yet, since it is larger than what
    /// was set aside. It is asked for again when there is.
    pub(super) fn admit_page(&mut self, answer: &PageAnswer) -> Option<Wanted> {
        let solo = self.conns.find_mut(answer.reader.id)?.solo.as_deref_mut()?;
        let at = solo.replays.iter().position(|replay| replay.serial == answer.replay)?;
        let replay = &mut solo.replays[at];
        let index = replay.asked.iter().position(|asked| asked.home == answer.home)?;
        let asked = replay.asked.swap_remove(index);
        solo.count_past();
        let events = answer.page.events.iter();
        let bytes: usize = events.map(|event| ITEM_BYTES + event.weight_bytes()).sum();
        let held = solo.past_bytes();
        let more = beyond_spare(held + bytes) - beyond_spare(held);
        if bytes <= asked.bytes || more <= self.telling.past_room.room(&solo.past) {
            return Some(asked);
        }
        solo.replays[at].next.push(Wanted { bytes, ..asked });
        None
    }

    /// Closes connections that leave their pages lying while others wait for room, those that hold the most first. To be called once a second.
    pub(super) fn end_stalled_replays(&mut self, now: Now) {
        let waited_ms = now.mono_ms.saturating_sub(self.telling.past_room.moved_ms);
        if self.telling.past_room.line.is_empty() || waited_ms < REPLAY_STALLED_MS {
            return;
        }
        self.telling.turn.spend(u64::from(self.conns.places()));
        let places = (0..self.conns.places()).map(ConnId);
        let holders = places.filter_map(|id| {
            let solo = self.conns.solo(id)?;
            let bytes = solo.past.counted.bytes();
            let holds = bytes > 0 && solo.closing.is_none();
            holds.then(|| (bytes, Reverse(id), solo.past.in_line, solo.leaves_pages(now)))
        });
        let holders: Vec<_> = holders.collect();
        // If all who hold something wait for one another, the one that holds the most gives way.
        let all_wait = holders.iter().all(|(.., in_line, _)| *in_line);
        let mut payers: Vec<_> =
            holders.into_iter().filter(|(.., leaves)| *leaves || all_wait).collect();
        payers.sort_unstable();
        while !self.can_go_on_with_past()
            && let Some((_, Reverse(id), ..)) = payers.pop()
        {
            tracing::debug!(
                shard = self.shards.here().0,
                conn = id.0,
                "its pages lie while others wait"
            );
            self.outbox_full(id, now);
        }
    }
}
