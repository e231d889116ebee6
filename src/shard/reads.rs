//! Requests for pages of the history kept here: carried out at once, or when there is room for the page and time to read it.
//!
//! Invariants: a page is read only when the lane that it takes has room, so pages that wait for slow readers are not held; between two rounds
//! of fanning out at most `PAGES_PER_TURN_MAX` are read, so that nothing else waits long for them; the requests of one shard are
//! carried out in their order, and shards take turns. There is at most one request for each subscription and home.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Shard;
use super::input::Mesh;
use super::input::PageAnswer;
use super::input::ReadWish;
use super::replay::LAST;
use crate::clock::Now;
use crate::event::ShardId;
use crate::history::Read;
use crate::history::Start;
use crate::limits::PAGES_PER_TURN_MAX;
use crate::limits::UNITS_QUEUED;

/// Those that wait, by the shard that asks.
#[derive(Debug)]
pub(super) struct Reads {
    waiting: Vec<VecDeque<Box<ReadWish>>>,
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
    fn pop(&mut self, has_room: impl Fn(ShardId) -> bool) -> Option<Box<ReadWish>> {
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
    pub(super) fn read_here(&mut self, wish: Box<ReadWish>, now: Now) {
        let reader = wish.reader.shard;
        let costs = usize::from(!matches!(wish.read.start, Start::Now));
        let goes_now = self.reads.waiting[reader.index()].is_empty()
            && self.reads.left >= costs
            && self.has_room_for_page(reader);
        if goes_now {
            self.reads.left -= costs;
            self.read(&wish, now);
        } else {
            self.reads.waiting[reader.index()].push_back(wish);
        }
    }

    /// Carries out requests that had to wait, and gives those that come next their share of the time again.
    pub(super) fn read_on(&mut self, now: Now) {
        self.reads.left = PAGES_PER_TURN_MAX;
        let mut reads = std::mem::replace(&mut self.reads, Reads::new(0));
        while reads.left > 0
            && let Some(wish) = reads.pop(|reader| self.has_room_for_page(reader))
        {
            reads.left -= 1;
            self.read(&wish, now);
        }
        self.reads = reads;
    }

    /// Whether one of those that wait could be carried out.
    pub(super) fn can_read_on(&self) -> bool {
        let waiting = self.shards.all().zip(&self.reads.waiting);
        waiting
            .into_iter()
            .any(|(reader, wishes)| !wishes.is_empty() && self.has_room_for_page(reader))
    }

    /// The past can wait, and has room of its own: where it filled a queue, a home would refuse publishes.
    fn has_room_for_page(&self, reader: ShardId) -> bool {
        if reader == self.shards.here() {
            self.arrived.has_room_for_page()
        } else {
            self.outgoing.has_room_for_past(reader)
        }
    }

    fn read(&mut self, wish: &ReadWish, now: Now) {
        let Some((page, began)) = self.home.read(&wish.read, (wish.after_us, wish.page_bytes), now)
        else {
            return;
        };
        self.telling.turn.spend(UNITS_QUEUED * page.events.len() as u64);
        let read = match wish.read.start {
            LAST if page.more_after_us.is_some() => {
                let deleted_after_us = Some(self.home.stamped_us());
                Arc::new(Read {
                    start: Start::Last { deleted_after_us },
                    ..Read::clone(&wish.read)
                })
            }
            Start::Tail { count, counted_us: 0 } if page.more_after_us.is_some() => {
                let counted_us = self.home.stamped_us();
                Arc::new(Read {
                    start: Start::Tail { count, counted_us },
                    ..Read::clone(&wish.read)
                })
            }
            _ => Arc::clone(&wish.read),
        };
        let answer = Box::new(PageAnswer {
            reader: wish.reader.conn,
            replay: wish.replay,
            home: wish.home,
            read,
            page,
            began,
        });
        if wish.reader.shard == self.shards.here() {
            self.arrived.push_page(answer);
        } else {
            self.outgoing.to(wish.reader.shard).push(Mesh::Page(answer));
        }
    }
}
