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
    /// Where to go on from: everything before it is stored.
    pub(super) resume: Option<Resume>,
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
    pub(super) fn from(resume: Option<Resume>) -> Self {
        Self { resume, ..Self::default() }
    }

    /// Whether the position was handed on so long ago that it should be again.
    pub(super) fn is_old(&self, now_ms: u64) -> bool {
        self.resume.is_some() && now_ms.saturating_sub(self.noted_ms) >= SOURCE_NOTED_MS
    }

    /// Hands the position of a source to the store, if there are both; false: it is too long to be kept.
    pub(super) fn ask(&mut self, seat: &mut Seat, source: &str) -> bool {
        let now = seat.clock.now();
        self.noted_ms = now.mono_ms;
        let (Some(store), Some(resume)) = (seat.store, &self.resume) else { return true };
        let after_us = now.wall_us.saturating_sub(SOURCE_CLOCK_US);
        let position = Position { after_us, resume: resume.clone() };
        let Some(bytes) = position.to_bytes() else {
            tracing::debug!(source, "a position is too long to be kept");
            return false;
        };
        self.ticket += 1;
        self.is_awaited = true;
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
