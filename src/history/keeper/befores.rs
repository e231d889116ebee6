//! Deletes whose home has forgotten the last event of their key: it is looked up before they are written, so that whoever could see the key may know that it is gone.
//!
//! Invariants: a group holds at most `STORE_BEFORES_MAX` of them, or one run, and as much of what is found as `STORE_BEFORES_BYTES_MAX`; a key that occurs in the group before is not looked up, since its home
//! knew it better. What cannot be read is not known, and no reason to stop.

use std::collections::HashSet;
use std::sync::Arc;

use crate::event::Event;
use crate::event::Op;
use crate::event::ShardId;
use crate::event::TopicKey;
use crate::history::asks::Append;
use crate::history::log::Disk;
use crate::history::log::DiskError;
use crate::history::log::Kept;
use crate::history::log::last_of_keys;
use crate::limits::STORE_BEFORES_BYTES_MAX;

/// Of a shard's delete, named by its stamp, the last event of its key.
pub(super) type FoundBefore = (ShardId, (u64, Arc<Event>));

/// Whether it is a delete of a key whose last event its home does not know.
pub(super) fn lacks_before(event: &Event) -> bool {
    event.op == Op::Delete && event.before.is_none() && !event.key.is_empty()
}

/// Puts the last events of their keys into those deletes of a group that lack them; answers which, in the order of each shard's stamps.
///
/// # Errors
/// What the disk says; then none of them has one.
pub(super) fn find_befores<D: Disk>(
    disk: &mut D,
    kept: &mut [Kept<D::File>],
    group: &mut [Append],
) -> Result<Vec<FoundBefore>, DiskError> {
    let mut told = Vec::new();
    let asked = asked_of(group);
    if asked.is_empty() {
        return Ok(told);
    }
    let keys: Vec<TopicKey> = asked.iter().map(|(_, key)| key.clone()).collect();
    let found = last_of_keys(disk, kept, (&keys, STORE_BEFORES_BYTES_MAX))?;
    for ((run, index), key) in asked {
        let Some(before) = found.get(&key) else { continue };
        let Append { shard, events, .. } = &mut group[run];
        let event = &mut events[index];
        *event = with_before(event, before);
        told.push((*shard, (event.time_us, Arc::clone(before))));
    }
    Ok(told)
}

/// The twin of a delete that says what its key had.
fn with_before(event: &Event, before: &Arc<Event>) -> Arc<Event> {
    Arc::new(Event { before: Some(Arc::clone(before)), ..event.clone() })
}

/// Where in a group the deletes are that lack the last event of their key, and the keys; none that something before them in the group is about.
fn asked_of(group: &[Append]) -> Vec<((usize, usize), TopicKey)> {
    let mut asked = Vec::new();
    if !group.iter().any(|append| append.events.iter().any(|event| lacks_before(event))) {
        return asked;
    }
    let mut met: HashSet<TopicKey, foldhash::fast::RandomState> = HashSet::default();
    for (run, append) in group.iter().enumerate() {
        for (index, event) in append.events.iter().enumerate() {
            let key = event.topic_key();
            if met.insert(key.clone()) && lacks_before(event) {
                asked.push(((run, index), key));
            }
        }
    }
    asked
}
