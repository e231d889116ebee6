//! Where a source is to go on from, and how that is handed to the store.
//!
//! Invariant: what is handed on is a position before which everything is stored. Never waits.

use super::connector::Resume;
use super::position::Position;
use super::spec::Seat;
use crate::event::ShardId;
use crate::history::asks;
use crate::history::log::SessionRecord;
use crate::limits::SOURCE_CLOCK_US;
use crate::limits::SOURCE_NOTED_MS;
use crate::limits::SOURCE_SYNCED_MS;
use crate::shard::Mesh;

/// What is kept of where a source is.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// Where to go on from: everything before it is stored. `None`: the far end is not asked to.
    pub(super) resume: Option<Resume>,
    /// Messages have ids, so it is worth knowing when all that had come was stored, whether the far end has positions or not.
    pub(super) has_ids: bool,
    /// The store was handed a position in this life or one before: what is stored from then on is recognised.
    pub(super) is_begun: bool,
    /// What the store's answer names.
    pub(super) ticket: u64,
    /// The store has not answered.
    pub(super) is_awaited: bool,
    /// When the position was handed to it the last time.
    noted_ms: u64,
    /// When it was to outlast the loss of power the last time.
    synced_ms: u64,
}

impl Keeping {
    /// Of a source that goes on from there.
    pub(super) fn from(position: Option<Position>) -> Self {
        let (has_ids, is_begun) = (position.is_some(), position.is_some());
        let resume = position.map(|position| position.resume);
        let resume = resume.filter(|resume| !resume.0.is_empty());
        Self { resume, has_ids, is_begun, ..Self::default() }
    }

    const fn is_worth_it(&self) -> bool {
        self.resume.is_some() || self.has_ids
    }

    /// Whether the position was handed on so long ago that it should be again.
    pub(super) fn is_old(&self, now_ms: u64) -> bool {
        self.is_worth_it() && now_ms.saturating_sub(self.noted_ms) >= SOURCE_NOTED_MS
    }

    /// Hands the position of a source to the store, if there are both; false: it is too long to be kept.
    pub(super) fn ask(&mut self, seat: &mut Seat, source: &str) -> bool {
        let now = seat.clock.now();
        self.noted_ms = now.mono_ms;
        let Some(store) = seat.store.filter(|_| self.is_worth_it()) else { return true };
        let after_us = now.wall_us.saturating_sub(SOURCE_CLOCK_US);
        let resume = self.resume.clone().unwrap_or_default();
        let position = Position { after_us, resume };
        let Some(bytes) = position.to_bytes() else {
            tracing::debug!(source, "a position is too long to be kept");
            return false;
        };
        self.ticket += 1;
        (self.is_begun, self.is_awaited) = (true, true);
        let record = SessionRecord { name: Position::name_of(source), bytes: Some(bytes) };
        let (shard, ticket) = (ShardId(seat.id.0), self.ticket);
        // One that is lost with the power makes more to be recognised, and nothing else.
        let wants_sync = now.mono_ms.saturating_sub(self.synced_ms) >= SOURCE_SYNCED_MS;
        if wants_sync {
            self.synced_ms = now.mono_ms;
        }
        let ask = asks::SessionAsk { shard, ticket, record, wants_sync };
        seat.party.pending(store).push(Mesh::Store(asks::Ask::Session(Box::new(ask))));
        seat.party.hand_on();
        true
    }
}
