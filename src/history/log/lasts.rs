//! The last events of some keys, found by the stamps that the table of keys knows: for deletes whose home has forgotten what is gone.
//!
//! Invariants: what is answered is the newest event of its key, as far as anything of that can be read, and no delete; blocks that hold none of them are not read. Never says
//! that there is none: what is not answered may have been forgotten here, too.

use std::collections::HashMap;
use std::sync::Arc;

use super::disk::Disk;
use super::disk::DiskError;
use super::pages::Kept;
use super::record::Part;
use super::walk::Ahead;
use super::walk::Ground;
use super::walk::Walk;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::TopicKey;

type Map<V> = HashMap<TopicKey, V, foldhash::fast::RandomState>;

/// The last events of these keys, as many as fit so many bytes.
///
/// # Errors
/// What the disk says.
pub fn last_of_keys<D: Disk>(
    disk: &mut D,
    kept: &mut [Kept<D::File>],
    (asked, bytes_max): (&[TopicKey], usize),
) -> Result<Map<Arc<Event>>, DiskError> {
    // Of each class the keys whose newest event it has.
    let mut stamps: Vec<Map<u64>> = kept.iter().map(|_| Map::default()).collect();
    for (topic, key) in asked {
        let known = kept.iter().enumerate().filter_map(|(class, kept)| {
            let (time_us, is_delete) = kept.log.keys.newest(topic, key)?;
            Some((time_us, class, is_delete))
        });
        if let Some((time_us, class, false)) = known.max() {
            stamps[class].insert((topic.clone(), Arc::clone(key)), time_us);
        }
    }
    let mut found = Map::default();
    let mut bytes = 0;
    for (kept, stamps) in kept.iter_mut().zip(&stamps) {
        let (Some(first_us), Some(last_us)) = (stamps.values().min(), stamps.values().max()) else {
            continue;
        };
        let after_us = first_us.saturating_sub(1);
        let bound = |part: &Part, _: HomeId| {
            let is_asked = stamps.keys().any(|(topic, _)| *topic == part.topic);
            is_asked.then_some((0, after_us))
        };
        let Kept { log, shelf } = kept;
        let mut walk = Walk::new(log, 0, (after_us, *last_us));
        let mut ascending: Vec<u64> = stamps.values().copied().collect();
        ascending.sort_unstable();
        walk.only(ascending);
        walk.begin_with(shelf.carried(log), bound);
        let mut ground = Ground { disk, log, shelf };
        while let Ahead::Event(_) = walk.ahead(&mut ground, usize::MAX, &bound)? {
            let Some(event) = walk.take() else { break };
            let key = event.topic_key();
            let weight = event.weight_bytes();
            if stamps.get(&key) == Some(&event.time_us) && bytes + weight <= bytes_max {
                bytes += weight;
                found.insert(key, event);
            }
        }
    }
    Ok(found)
}
