//! What is done once with every payload that comes in here: checked, and the fields found that some filter of any shard reads.
//!
//! Invariant: an event that misses a field because its filter is news costs that filter's shard a parse, never a match.

use std::collections::VecDeque;

use super::Shard;
use super::input::Mesh;
use super::lanes::Lane;
use crate::dialect::FindFields;
use crate::event::Draft;
use crate::event::Fields;
use crate::event::Interest;
use crate::event::PayloadError;
use crate::event::ShardId;
use crate::event::fields;
use crate::event::fields::KeyField;
use crate::event::fields::Scratch;
use crate::limits::FORMER_INTERESTS_MAX;

#[derive(Debug)]
pub(super) struct Ingest {
    pub(super) scratch: Scratch,
    /// What each shard's filters read, and all of it together.
    interests: Vec<Interest>,
    merged: Interest,
    /// What was merged before, newest last: events on their way were looked through for it, and are not to be parsed again by every shard.
    former: VecDeque<Interest>,
    /// The version of this shard's interest that the others were told.
    told: u64,
}

impl Ingest {
    pub(super) fn new(shard_count: u16) -> Self {
        let interests = vec![Interest::default(); usize::from(shard_count)];
        Self {
            scratch: Scratch::default(),
            interests,
            merged: Interest::default(),
            former: VecDeque::new(),
            told: 0,
        }
    }

    /// Takes note of what a shard's filters read.
    pub(super) fn learn(&mut self, shard: ShardId, interest: Interest) {
        self.interests[shard.index()] = interest;
        if self.former.len() == FORMER_INTERESTS_MAX {
            self.former.pop_front();
        }
        let merged = Interest::merged(&self.interests);
        self.former.push_back(std::mem::replace(&mut self.merged, merged));
    }

    /// Finds the fields of drafts whose payloads were checked as they were read.
    pub(super) fn find_fields(&mut self, drafts: &mut [Draft]) {
        if self.merged.is_empty() {
            return;
        }
        for draft in drafts {
            draft.fields = self.find(&draft.payload).unwrap_or_default();
        }
    }
}

impl FindFields for Ingest {
    fn find(&mut self, payload: &[u8]) -> Result<Fields, PayloadError> {
        fields::extract(payload, &mut self.scratch, &self.merged)
    }

    fn find_with_key(
        &mut self,
        payload: &[u8],
        field: &str,
    ) -> Result<(Fields, KeyField), PayloadError> {
        fields::extract_with_key(payload, &mut self.scratch, &self.merged, field)
    }
}

impl Shard {
    /// Tells every shard which fields this one's filters read, if that has changed.
    pub(super) fn tell_interest(&mut self) {
        let version = self.classes.interest_version();
        // Without room it is told with the next one: what is not told yet costs a parse.
        if version == self.intake.ingest.told || !self.outgoing.has_room_everywhere(Lane::Control) {
            return;
        }
        self.intake.ingest.told = version;
        let interest = self.classes.interest();
        for shard in self.shards.others() {
            self.outgoing.to(shard).push(Mesh::Interest(self.shards.here(), interest.clone()));
        }
        self.intake.ingest.learn(self.shards.here(), interest);
    }
}
