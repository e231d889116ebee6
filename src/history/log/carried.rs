//! What outlives the segments that held it: the newest offset of each topic, and the last event of each key. One file, replaced as a whole.
//!
//! Invariants: it is the state at the end of the newest segment that was unlinked; what came after stands in the segments, and wins. It holds
//! as many bytes of events as it may at most; those unchanged the longest go first. Offsets stand in it twice, far from each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::block::BlockPlace;
use super::block::put_block;
use super::block::put_floors;
use super::class::cut;
use super::disk::Disk;
use super::disk::DiskError;
use super::disk::path;
use super::disk::replace;
use super::record::Part;
use super::record::Record;
use super::scan::Found;
use super::scan::Rotten;
use super::scan::Scan;
use crate::event::Op;
use crate::event::TopicKey;
use crate::event::TopicName;
use crate::limits::LOG_BLOCK_EVENTS_MAX;

/// The name of the file of what is carried on.
pub const CARRIED_NAME: &str = "carried";

/// What outlives its segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// The newest segment that was unlinked; 0: none.
    pub upto: u64,
    floors: BTreeMap<TopicName, (u64, u64)>,
    last: BTreeMap<TopicKey, Record>,
    bytes: usize,
    /// Last events that were stamped up to here may be missing: there was no room for them, or what held them could not be read when it went.
    pub(super) dropped_us: u64,
    /// The floors by their stamps: stamp, offset, topic.
    by_stamp: Vec<(u64, u64, TopicName)>,
    /// What of it cannot be read.
    pub rotten: Vec<Rotten>,
    /// Newest offsets of topics may be missing.
    pub is_short: bool,
}

impl Carried {
    /// The newest offset of each topic whose events were unlinked.
    #[must_use]
    pub fn floors(&self) -> Vec<Part> {
        let part = |(topic, (offset, time_us)): (&TopicName, &(u64, u64))| Part {
            topic: topic.clone(),
            previous: *offset,
            last: *offset,
            count: 0,
            last_us: *time_us,
        };
        self.floors.iter().map(part).collect()
    }

    /// The last events of keys.
    pub fn last(&self) -> impl Iterator<Item = &Record> {
        self.last.values()
    }

    /// The newest offset of a topic that was unlinked, and its stamp.
    pub(super) fn floor_of(&self, topic: &TopicName) -> Option<(u64, u64)> {
        self.floors.get(topic).copied()
    }

    /// Floors stamped after a moment, in the order of their stamps: stamp, offset, topic.
    pub(super) fn floors_after(&self, time_us: u64) -> &[(u64, u64, TopicName)] {
        let begin = self.by_stamp.partition_point(|(last_us, ..)| *last_us <= time_us);
        &self.by_stamp[begin..]
    }

    /// Puts the floors in the order of their stamps again.
    fn sort_floors(&mut self) {
        let floor = |(topic, (offset, time_us)): (&TopicName, &(u64, u64))| {
            (*time_us, *offset, topic.clone())
        };
        self.by_stamp = self.floors.iter().map(floor).collect();
        self.by_stamp.sort_unstable();
    }

    /// Offsets that are left out from here on.
    pub(super) fn raise_floors(&mut self, skipped: u64) {
        for (offset, _) in self.floors.values_mut() {
            *offset += skipped;
        }
    }

    /// Takes in what a segment held of a topic.
    pub(super) fn floor(&mut self, part: &Part) {
        let floor = self.floors.entry(part.topic.clone()).or_default();
        *floor = (floor.0.max(part.last), floor.1.max(part.last_us));
    }

    /// Takes in the next event.
    pub(super) fn take(&mut self, record: Record) {
        let key = (record.topic.clone(), Arc::clone(&record.key));
        let before = match record.op {
            Op::Delete => self.last.remove(&key),
            _ => {
                self.bytes += record.weight_bytes();
                self.last.insert(key, record)
            }
        };
        self.bytes -= before.map_or(0, |before| before.weight_bytes());
    }

    /// Keeps within its bound.
    fn shrink(&mut self, bytes_max: usize) {
        if self.bytes <= bytes_max {
            return;
        }
        let mut by_age: Vec<_> =
            self.last.iter().map(|(key, record)| (record.time_us, key.clone())).collect();
        by_age.sort_unstable();
        for (time_us, key) in by_age {
            if self.bytes <= bytes_max {
                break;
            }
            self.dropped_us = self.dropped_us.max(time_us);
            let gone = self.last.remove(&key).expect("it was listed");
            self.bytes -= gone.weight_bytes();
        }
    }
}

/// Puts it in place of the one before.
pub(super) fn write<D: Disk>(
    disk: &mut D,
    folder: &str,
    salt: u32,
    (carried, bytes_max): (&mut Carried, usize),
) -> Result<(), DiskError> {
    carried.shrink(bytes_max);
    carried.sort_floors();
    let floors = carried.floors();
    let mut out = Vec::new();
    let place = |out: &Vec<u8>| BlockPlace {
        salt,
        segment: CARRIED_SEGMENT,
        at: out.len() as u64,
        synced: carried.upto,
    };
    // Before and behind: what is lost of one stands in the other. One block at least, so that the file says up to where it holds.
    for run in floors.chunks(FLOORS_PER_BLOCK).chain(floors.is_empty().then_some(&[][..])) {
        let at = place(&out);
        put_floors(&mut out, (at, carried.dropped_us), run);
    }
    let mut records: Vec<Record> = carried.last.values().cloned().collect();
    records.sort_by_key(|record| record.time_us);
    for run in cut(&records) {
        let mut run = run.to_vec();
        chain(&mut run);
        let at = place(&out);
        put_block(&mut out, at, 0, &run);
    }
    for run in floors.chunks(FLOORS_PER_BLOCK).chain(floors.is_empty().then_some(&[][..])) {
        let at = place(&out);
        put_floors(&mut out, (at, carried.dropped_us), run);
    }
    replace(disk, (folder, CARRIED_NAME), &out)
}

/// What lies between them is not kept: each follows the one before it in its block.
fn chain(records: &mut [Record]) {
    let mut newest: BTreeMap<TopicName, u64> = BTreeMap::new();
    for record in records {
        record.previous = newest.insert(record.topic.clone(), record.offset).unwrap_or(0);
    }
}

/// What is there; nothing, if it is not.
pub(super) fn read<D: Disk>(disk: &mut D, folder: &str, salt: u32) -> Result<Carried, DiskError> {
    let mut carried = Carried::default();
    let file = match disk.open(&path(folder, CARRIED_NAME)) {
        Ok(file) => file,
        Err(DiskError::Missing) => return Ok(carried),
        Err(error) => return Err(error),
    };
    let len = disk.len(&file)?;
    let mut scan = Scan::new(salt, CARRIED_SEGMENT, 0, len);
    let mut is_behind = false;
    let mut lost = [false; 2];
    while let Some(found) = scan.next(disk, &file)? {
        let block = match found {
            Found::Block(block) => block,
            Found::Rotten(rotten) => {
                // Which of them it was may not be known; whatever it was of, the floors may be short on that side.
                lost[usize::from(is_behind)] = true;
                carried.rotten.push(rotten);
                continue;
            }
        };
        carried.upto = carried.upto.max(block.head.synced);
        if block.head.event_count > 0 {
            is_behind = true;
            block.body.each(|record| carried.take(record.to_record()));
            continue;
        }
        carried.dropped_us = carried.dropped_us.max(block.head.last_us);
        for part in &block.parts {
            carried.floor(part);
        }
    }
    carried.sort_floors();
    carried.is_short = lost == [true, true] || (len == 0);
    Ok(carried)
}

/// Floors of one block: their names fit it.
const FLOORS_PER_BLOCK: usize = LOG_BLOCK_EVENTS_MAX;
/// The segment's number that its blocks say: no segment has it.
pub(super) const CARRIED_SEGMENT: u64 = 0;
