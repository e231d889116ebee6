//! Requests for pages of the history kept here: carried out at once, or when there is room for the page and time to read it.
//!
//! Invariants: a page is read only when the lane that it takes has room, so pages that wait for slow readers are not held; between two rounds
//! of fanning out at most `PAGES_PER_TURN_MAX` are read, so that nothing else waits long for them; the requests of one shard are
//! carried out in their order, and shards take turns. There is at most one request for each subscription and home.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Shard;
use super::input::Began;
use super::input::Mesh;
use super::input::PageAnswer;
use super::input::ReadRequest;
use super::past::LAST;
use crate::clock::Now;
use crate::event::ShardId;
use crate::history::Page;
use crate::history::Read;
use crate::history::Start;
use crate::limits::PAGES_PER_TURN_MAX;
use crate::limits::UNITS_QUEUED;

/// Requests for pages that wait, by the shard that asks.
#[derive(Debug)]
pub(super) struct Reads {
    waiting: Vec<VecDeque<Box<ReadRequest>>>,
    /// The shard whose turn is next.
    next: usize,
    /// Pages that may still be read before the next round.
    left: usize,
}

impl Reads {
    pub(super) fn new(shard_count: u16) -> Self {
        let waiting = (0..shard_count).map(|_| VecDeque::new()).collect();
        Self { waiting, next: 0, left: PAGES_PER_TURN_MAX }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.iter().all(VecDeque::is_empty)
    }

    /// The next request of a shard for which there is room.
    fn pop(&mut self, has_room: impl Fn(ShardId) -> bool) -> Option<Box<ReadRequest>> {
        let count = self.waiting.len();
        for turn in 0..count {
            let index = (self.next + turn) % count;
            let shard = ShardId(u16::try_from(index).expect("shards are counted in a u16"));
            if !self.waiting[index].is_empty() && has_room(shard) {
                self.next = (index + 1) % count;
                return self.waiting[index].pop_front();
            }
        }
        None
    }
}

impl Shard {
    /// Answers a request to read what this shard keeps, as soon as there is room and time. Where the present begins costs no time.
    pub(super) fn read_here(&mut self, request: Box<ReadRequest>, now: Now) {
        let reader = request.reader.shard;
        let costs = usize::from(!matches!(request.read.start, Start::Now));
        let goes_now = self.reads.waiting[reader.index()].is_empty()
            && self.reads.left >= costs
            && self.has_room_for_page(reader);
        if goes_now {
            self.reads.left -= costs;
            self.read(request, now);
        } else {
            self.reads.waiting[reader.index()].push_back(request);
        }
    }

    /// Carries out requests that had to wait, and gives those that come next their share of the time again.
    pub(super) fn read_on(&mut self, now: Now) {
        self.reads.left = PAGES_PER_TURN_MAX;
        let mut reads = std::mem::replace(&mut self.reads, Reads::new(0));
        while reads.left > 0
            && let Some(request) = reads.pop(|reader| self.has_room_for_page(reader))
        {
            reads.left -= 1;
            self.read(request, now);
        }
        self.reads = reads;
        self.read_on_durably(now);
    }

    /// Whether one of those that wait could be carried out.
    pub(super) fn can_read_on(&self) -> bool {
        let waiting = (0..self.shards.count()).map(ShardId).zip(&self.reads.waiting);
        let can_read = waiting
            .into_iter()
            .any(|(reader, requests)| !requests.is_empty() && self.has_room_for_page(reader));
        can_read || self.can_read_on_durably()
    }

    /// The past can wait, and has room of its own: where it filled a queue, a home would refuse publishes.
    pub(super) fn has_room_for_page(&self, reader: ShardId) -> bool {
        if reader == self.shards.here() {
            self.arrived.has_room_for_page()
        } else {
            self.outgoing.has_room_for_past(reader)
        }
    }

    fn read(&mut self, request: Box<ReadRequest>, now: Now) {
        if request.home.is_durable(self.shards.count()) {
            return self.read_durable(request, now);
        }
        let read = Read {
            after_us: request.after_us,
            page_bytes: request.page_bytes,
            ..Read::clone(&request.read)
        };
        let settled_us = self.home.stamped_us();
        let (page, began) = self.home.read(&read, settled_us, now);
        self.answer_read(&request, page, began, self.home.stamped_us());
    }

    /// Sends a page that was read here to whoever asked for it.
    pub(super) fn answer_read(
        &mut self,
        request: &ReadRequest,
        page: Page,
        began: Option<Began>,
        settled_us: u64,
    ) {
        let answer = request.answered(page, began, settled_us);
        self.send_page(request.reader.shard, answer);
    }

    pub(super) fn send_page(&mut self, reader: ShardId, answer: Box<PageAnswer>) {
        self.telling.turn.spend(UNITS_QUEUED * answer.page.events.len() as u64);
        if reader == self.shards.here() {
            self.arrived.push_page(answer);
        } else {
            self.outgoing.to(reader).push(Mesh::Page(answer));
        }
    }
}

impl ReadRequest {
    /// A page as the message that answers the request. `settled_us`: what was told up to here when it was read.
    pub(super) fn answered(
        &self,
        page: Page,
        began: Option<Began>,
        settled_us: u64,
    ) -> Box<PageAnswer> {
        let read = match self.read.start {
            LAST if page.more_after_us.is_some() => {
                let deleted_after_us = Some(settled_us);
                Arc::new(Read {
                    start: Start::Last { deleted_after_us },
                    ..Read::clone(&self.read)
                })
            }
            Start::Tail { count, counted_us: 0 } if page.more_after_us.is_some() => {
                let counted_us = settled_us;
                Arc::new(Read {
                    start: Start::Tail { count, counted_us },
                    ..Read::clone(&self.read)
                })
            }
            _ => Arc::clone(&self.read),
        };
        Box::new(PageAnswer {
            reader: self.reader.conn,
            replay: self.replay,
            home: self.home,
            read,
            page,
            began,
        })
    }
}
