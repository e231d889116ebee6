//! Pages of the past that the store was asked for, and those who wait until it can be asked.
//!
//! Invariants: at most `STORE_PAGES_MAX` pages are asked for or wait for room on their way to their readers, so that is what they hold; whoever waits is
//! asked for in order. An answer that nobody waits for changes nothing. Never sends anything.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::super::input::Address;
use super::super::input::PageAnswer;
use super::super::input::ReadRequest;
use crate::event::ShardId;
use crate::history::Read;
use crate::limits::STORE_PAGES_MAX;

/// A page that the store was asked for and has not answered.
#[derive(Debug)]
pub(super) struct PageAwaited {
    pub(super) request: Box<ReadRequest>,
    /// What the store was asked, with the moment after which the page begins.
    pub(super) read: Read,
    pub(super) until_us: u64,
    /// What was told up to here when it was asked for.
    pub(super) settled_us: u64,
    /// When, in milliseconds since the start.
    pub(super) asked_ms: u64,
    /// How often the page was asked for before.
    pub(super) retries: u8,
}

/// The pages that are asked for, wait to be asked for, or wait to be handed on.
#[derive(Debug, Default)]
pub(super) struct Pages {
    asked: BTreeMap<u64, PageAwaited>,
    newest_ticket: u64,
    waiting: VecDeque<Box<ReadRequest>>,
    ready: VecDeque<(ShardId, Box<PageAnswer>)>,
}

impl Pages {
    /// Whether nothing is awaited.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.waiting.is_empty() && self.ready.is_empty()
    }

    /// Whether one more may be asked for.
    pub(super) fn has_room(&self) -> bool {
        self.asked.len() + self.ready.len() < STORE_PAGES_MAX
    }

    /// One is asked for; by which ticket.
    pub(super) fn ask(&mut self, asked: PageAwaited) -> u64 {
        self.newest_ticket += 1;
        self.asked.insert(self.newest_ticket, asked);
        self.newest_ticket
    }

    /// The one that an answer names.
    pub(super) fn answered(&mut self, ticket: u64) -> Option<PageAwaited> {
        self.asked.remove(&ticket)
    }

    /// Takes the pages that were asked for before a moment, and are not answered.
    pub(super) fn take_late(&mut self, before_ms: u64) -> Vec<PageAwaited> {
        let late = self.asked.extract_if(.., |_, asked| asked.asked_ms < before_ms);
        late.map(|(_, asked)| asked).collect()
    }

    /// There is no room to ask for it yet.
    pub(super) fn wait(&mut self, request: Box<ReadRequest>) {
        self.waiting.push_back(request);
    }

    /// The next to be asked for, if there is room.
    pub(super) fn next_waiting(&mut self) -> Option<Box<ReadRequest>> {
        if self.has_room() { self.waiting.pop_front() } else { None }
    }

    /// Keeps a page that has come, while there is no room on its way to its reader.
    pub(super) fn keep(&mut self, reader: &Address, answer: Box<PageAnswer>) {
        self.ready.push_back((reader.shard, answer));
    }

    /// One that has come, and for which there is room now.
    pub(super) fn next_ready(
        &mut self,
        has_room: impl Fn(ShardId) -> bool,
    ) -> Option<(ShardId, Box<PageAnswer>)> {
        let at = self.ready.iter().position(|(reader, _)| has_room(*reader))?;
        self.ready.remove(at)
    }

    /// Whether there is something to do without anything new coming in.
    pub(super) fn can_go_on(&self, has_room: impl Fn(ShardId) -> bool) -> bool {
        self.ready.iter().any(|(reader, _)| has_room(*reader))
            || (!self.waiting.is_empty() && self.has_room())
    }
}
