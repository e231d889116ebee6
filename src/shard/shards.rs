//! Which shard of the process this one is, how many there are, and where topics are at home.
//!
//! Invariant: it never changes while the shard lives. Never knows a party that is no shard.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::bookmark::ClientName;
use crate::event::Homes;
use crate::event::ShardId;

/// The shards of a process, as one of them sees them.
#[derive(Debug)]
pub(super) struct Shards {
    here: ShardId,
    homes: Homes,
    epoch: Arc<str>,
}

impl Shards {
    pub(super) const fn new(here: ShardId, homes: Homes, epoch: Arc<str>) -> Self {
        Self { here, homes, epoch }
    }

    /// This shard.
    pub(super) const fn here(&self) -> ShardId {
        self.here
    }

    pub(super) const fn count(&self) -> u16 {
        self.homes.shard_count()
    }

    /// The epoch, as all shards of the process call it: an offset means nothing in another one.
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(super) fn all(&self) -> impl Iterator<Item = ShardId> + use<> {
        (0..self.count()).map(ShardId)
    }

    /// All but this one.
    pub(super) fn others(&self) -> impl Iterator<Item = ShardId> + use<> {
        let here = self.here;
        self.all().filter(move |shard| *shard != here)
    }

    /// The shard that keeps a name, or a group that shares a subscription.
    pub(super) fn keeper(&self, name: &ClientName) -> ShardId {
        let hash = FixedState::default().hash_one(name);
        ShardId(u16::try_from(hash % u64::from(self.count())).expect("it is a shard's number"))
    }

    /// Which shard orders which topic.
    pub(super) const fn homes(&self) -> &Homes {
        &self.homes
    }
}
