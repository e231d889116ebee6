//! Who orders a topic.
//!
//! A *home* gives the events of its topics their offsets and stamps. Each shard has one, and a second one for durable topics if there are any: those wait for the store, and nobody
//! else is to wait for them. Invariant: which shard a topic is at home at follows from its name and the number of shards, and from nothing else.

use std::hash::BuildHasher;
use std::sync::Arc;

use super::ShardId;
use super::TopicName;
use super::TopicPattern;

/// A home, counted from 0: first those of all shards for what is kept in memory, then those of all shards for durable topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HomeId(pub u16);

impl HomeId {
    /// The home's index in a list of all homes.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// A shard's home for topics of which memory alone is the history.
    #[must_use]
    pub const fn volatile(shard: ShardId) -> Self {
        Self(shard.0)
    }

    /// A shard's home for durable topics.
    #[must_use]
    pub const fn durable(shard: ShardId, shard_count: u16) -> Self {
        Self(shard_count + shard.0)
    }

    /// The shard that it belongs to.
    #[must_use]
    pub const fn shard(self, shard_count: u16) -> ShardId {
        ShardId(self.0 % shard_count)
    }

    /// Whether the home's topics are durable.
    #[must_use]
    pub const fn is_durable(self, shard_count: u16) -> bool {
        self.0 >= shard_count
    }
}

/// All homes of a server, and which topic is at home where.
#[derive(Clone, Debug)]
pub struct Homes {
    shard_count: u16,
    durable: Arc<[TopicPattern]>,
}

impl Homes {
    /// `durable`: the topics that are kept by a store; if there are none, no shard has a second home.
    #[must_use]
    pub const fn new(shard_count: u16, durable: Arc<[TopicPattern]>) -> Self {
        Self { shard_count, durable }
    }

    /// How many shards there are.
    #[must_use]
    pub const fn shard_count(&self) -> u16 {
        self.shard_count
    }

    /// How many homes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let of_each = if self.has_durable() { 2 } else { 1 };
        of_each * usize::from(self.shard_count)
    }

    /// All homes, in the order of their indices.
    pub fn all(&self) -> impl Iterator<Item = HomeId> + use<> {
        let count = u16::try_from(self.count()).expect("shards are far fewer");
        (0..count).map(HomeId)
    }

    /// Whether any topic is durable.
    #[must_use]
    pub fn has_durable(&self) -> bool {
        !self.durable.is_empty()
    }

    /// Whether a topic is durable.
    #[must_use]
    pub fn is_durable(&self, topic: &TopicName) -> bool {
        self.durable.iter().any(|pattern| pattern.matches(topic))
    }

    /// Where a topic is at home.
    #[must_use]
    pub fn of(&self, topic: &TopicName) -> HomeId {
        let shard = home_of(topic, self.shard_count);
        match self.is_durable(topic) {
            true => HomeId::durable(shard, self.shard_count),
            false => HomeId::volatile(shard),
        }
    }

    /// The homes that topics which some pattern matches may be at, each once and in order.
    #[must_use]
    pub fn of_patterns(&self, patterns: &[TopicPattern]) -> Vec<HomeId> {
        let mut homes = Vec::new();
        for pattern in patterns {
            match pattern {
                TopicPattern::Exact(name) => homes.push(self.of(name)),
                TopicPattern::Wild(_) => return self.all().collect(),
            }
        }
        homes.sort_unstable();
        homes.dedup();
        homes
    }

    /// The shard that a home belongs to.
    #[must_use]
    pub const fn shard(&self, home: HomeId) -> ShardId {
        home.shard(self.shard_count)
    }
}

/// The shard that a topic is at home at.
#[must_use]
pub fn home_of(topic: &TopicName, shard_count: u16) -> ShardId {
    let hash = foldhash::fast::FixedState::default().hash_one(topic.as_str());
    let index = hash % u64::from(shard_count);
    ShardId(u16::try_from(index).expect("it is below a u16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_home_belongs_to_one_shard_and_is_of_one_kind() {
        for shard in (0..4).map(ShardId) {
            let (volatile, durable) = (HomeId::volatile(shard), HomeId::durable(shard, 4));
            assert_eq!((volatile.shard(4), volatile.is_durable(4)), (shard, false));
            assert_eq!((durable.shard(4), durable.is_durable(4)), (shard, true));
        }
    }

    /// A folder of events outlives the server that wrote it: where a topic is at home is not to change with a version.
    #[test]
    fn a_topic_stays_where_it_is() {
        let homes = ["fleet/a", "fleet/b", "a", "x/y/z"].map(|name| {
            let topic = TopicName::new(name).unwrap();
            [2, 3, 64].map(|count| home_of(&topic, count).0)
        });
        assert_eq!(homes, [[0, 1, 22], [1, 2, 39], [0, 0, 60], [0, 1, 22]]);
    }
}
