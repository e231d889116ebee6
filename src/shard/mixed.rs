//! What connections call their subscriptions that ask for the same as others and call it otherwise: each such crowd is one mixed class.
//!
//! The first to ask for something has a class of its own names, and so has every name that two or more have chosen: those are sent the same
//! bytes. Whoever else asks for it enters the mixed class, whose connections are never in step: each has an outbox of the shared events, and its
//! head is put before the shared body when that is sent. Invariants: in a mixed class no two connections call their subscriptions alike; what a
//! connection calls them is known as long as it is in the class, and no longer. Never matches, encodes or sends anything.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use foldhash::fast::RandomState;

use super::class::ClassKey;
use super::class::SubNames;
use super::conns::ClassId;
use super::input::ConnId;
use super::solo::Solo;
use crate::dialect::SubId;

/// Bytes of a connection of a mixed class, with the room that its outbox keeps, and of one name, without the name's text.
const MEMBER_BYTES: usize = 576 + size_of::<Solo>();
const NAME_BYTES: usize = 48;

/// The mixed classes of a shard, and of which wishes there are classes at all.
#[derive(Debug, Default)]
pub(super) struct Mixed {
    /// How many classes ask for the same, by a hash of that. Two that have one by chance share nothing but their right to a mixed class.
    alike: HashMap<u64, u32, RandomState>,
    crowds: HashMap<ClassId, Crowd, RandomState>,
}

/// The connections of one mixed class.
#[derive(Debug, Default)]
struct Crowd {
    names: HashMap<ConnId, SubNames, RandomState>,
    conns: HashMap<SubNames, ConnId, RandomState>,
}

/// Bytes that a connection with these names takes in a mixed class.
pub(super) fn weight_of(names: &[SubId]) -> usize {
    MEMBER_BYTES + names.iter().map(|name| NAME_BYTES + name.len()).sum::<usize>()
}

/// What connections ask for whose classes may have a mixed one beside them, as a hash; `None`: these may not, since they share a stream or what they wait
/// for together, as batches are filled for all who are in step.
pub(super) fn alike(key: &ClassKey) -> Option<u64> {
    let ClassKey { voice, subs, alone, is_asleep, is_mixed: _ } = key;
    let is_batched = subs.iter().any(|sub| sub.batch.is_some());
    if alone.is_some() || voice.shares_stream() || is_batched {
        return None;
    }
    let mut hasher = FixedState::default().build_hasher();
    (voice, is_asleep, subs.len()).hash(&mut hasher);
    for sub in subs {
        sub.hash_but_id(&mut hasher);
    }
    Some(hasher.finish())
}

impl Mixed {
    /// A class was made.
    pub(super) fn class_made(&mut self, key: &ClassKey) {
        if let Some(alike) = alike(key) {
            *self.alike.entry(alike).or_default() += 1;
        }
    }

    /// A class without connections is gone.
    pub(super) fn class_gone(&mut self, id: ClassId, key: &ClassKey) {
        self.crowds.remove(&id);
        let Some(alike) = alike(key) else { return };
        if let Some(count) = self.alike.get_mut(&alike) {
            *count -= 1;
            if *count == 0 {
                self.alike.remove(&alike);
            }
        }
    }

    /// Whether some class asks for the same as this key, and connections that call it otherwise may share one.
    pub(super) fn is_known(&self, key: &ClassKey) -> bool {
        alike(key).is_some_and(|alike| self.alike.contains_key(&alike))
    }

    /// The connection of a mixed class that calls its subscriptions so.
    pub(super) fn conn_of(&self, class: ClassId, names: &[SubId]) -> Option<ConnId> {
        self.crowds.get(&class)?.conns.get(names).copied()
    }

    /// A connection enters a mixed class in which nobody calls subscriptions so; bytes that it takes.
    pub(super) fn enter(&mut self, class: ClassId, conn: ConnId, names: SubNames) -> usize {
        let weight = weight_of(&names);
        let crowd = self.crowds.entry(class).or_default();
        let before = crowd.conns.insert(Arc::clone(&names), conn);
        debug_assert!(before.is_none(), "two that call it alike have a class of their own");
        crowd.names.insert(conn, names);
        weight
    }

    /// A connection leaves its class; bytes that it took there besides the class.
    pub(super) fn leave(&mut self, class: ClassId, conn: ConnId) -> usize {
        let Some(crowd) = self.crowds.get_mut(&class) else { return 0 };
        let Some(names) = crowd.names.remove(&conn) else { return 0 };
        crowd.conns.remove(&names);
        weight_of(&names)
    }

    /// What a connection calls the subscriptions of its class; `None`: what stands in them.
    pub(super) fn names_of(&self, class: ClassId, conn: ConnId) -> Option<&[SubId]> {
        if self.crowds.is_empty() {
            return None;
        }
        self.crowds.get(&class)?.names.get(&conn).map(|names| &**names)
    }
}
