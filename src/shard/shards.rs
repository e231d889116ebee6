//! Which shard of the process this one is, how many there are, and which of them a topic is at home on.
//!
//! Invariant: it never changes while the shard lives. Never knows a party that is no shard.

use std::sync::Arc;

use super::home::home_of;
use crate::event::ShardId;
use crate::event::TopicName;

/// The shards of a process, as one of them sees them.
#[derive(Debug)]
pub(super) struct Shards {
    here: ShardId,
    count: u16,
    epoch: Arc<str>,
}

impl Shards {
    pub(super) const fn new(here: ShardId, count: u16, epoch: Arc<str>) -> Self {
        Self { here, count, epoch }
    }

    /// This shard.
    pub(super) const fn here(&self) -> ShardId {
        self.here
    }

    pub(super) const fn count(&self) -> u16 {
        self.count
    }

    /// What all of them call the time since the process began: an offset means nothing in another epoch.
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(super) fn all(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.count).map(ShardId)
    }

    /// All but this one.
    pub(super) fn others(&self) -> impl Iterator<Item = ShardId> + use<> {
        let here = self.here;
        self.all().filter(move |shard| *shard != here)
    }

    /// The shard that orders a topic.
    pub(super) fn home_of(&self, topic: &TopicName) -> ShardId {
        home_of(topic, self.count)
    }
}
