//! What lies in a class's folder, found without changing anything: its segments, what of them is lost, and where a torn end begins.
//!
//! Invariants: a bad end is torn only if nothing good stands behind it and none of it was known to be synced; anything else that cannot be read is rotten, and
//! what it held is said: by its own summary, or by the next event of the topic, which knows the one before it. Never writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bytes::Taker;
use super::bytes::checksum;
use super::carried::Carried;
use super::disk::Disk;
use super::disk::DiskError;
use super::disk::path;
use super::disk::read_small;
use super::keys::Keys;
use super::record::Part;
use super::scan::Block;
use super::scan::Found;
use super::scan::Rotten;
use super::scan::Scan;
use super::segment::Segment;
use crate::event::TopicName;

/// The file that says how much of the newest segment is synced.
pub(super) const MARK_NAME: &str = "synced";
const MARK_MAGIC: &[u8; 8] = b"FWSYNC\x01\0";
const MARK_BYTES: usize = 28;
/// Bytes of an index file; a larger one is none.
const INDEX_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A topic, as far as the log knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The newest offset given; what was lost counts, too.
    pub newest: u64,
    /// The newest event's stamp, in microseconds since 1970, where that is known.
    pub newest_us: u64,
    /// The segment that it lies in.
    pub segment: u64,
}

/// What was found in a class's folder.
#[derive(Debug, Default)]
pub struct Recovered {
    pub segments: Vec<Segment>,
    pub topics: BTreeMap<TopicName, Known>,
    /// The newest segment ends before its file does: the rest was never acknowledged as durable.
    pub torn: Option<Torn>,
    /// Segments that were about to be unlinked: what must outlive them is carried already.
    pub leftover: Vec<u64>,
    /// Segments whose index file was good, so that their blocks were not looked at.
    pub indexed: u64,
    /// Blocks with a rotten head or summary; nothing is lost.
    pub mended: u64,
    /// Which event of each key is its newest, if that was asked for.
    pub(super) keys: Keys,
    /// Segments without an index file that is good.
    pub(super) unindexed: Vec<u64>,
}

/// The end of a write that was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    pub segment: u64,
    /// Where the last good block ends.
    pub from: u64,
    /// Where the file does.
    pub to: u64,
}

impl Recovered {
    /// Stretches that cannot be read, each with its segment.
    pub fn rotten(&self) -> impl Iterator<Item = (u64, &Rotten)> {
        self.segments
            .iter()
            .flat_map(|segment| segment.rotten.iter().map(move |rotten| (segment.number, rotten)))
    }

    /// Whether a segment has no index file that is good.
    #[must_use]
    pub fn is_unindexed(&self, number: u64) -> bool {
        self.unindexed.contains(&number)
    }

    /// The latest stamp in it.
    #[must_use]
    pub fn newest_us(&self) -> u64 {
        let segments = self.segments.iter().map(|segment| segment.last_us);
        segments.chain(self.topics.values().map(|topic| topic.newest_us)).max().unwrap_or(0)
    }

    pub(super) fn note(&mut self, part: &Part, segment: u64) {
        let known = self.topics.entry(part.topic.clone()).or_default();
        if part.last >= known.newest {
            let newest_us = known.newest_us.max(part.last_us);
            *known = Known { newest: part.last, newest_us, segment };
        }
    }
}

/// Goes through a class's folder.
#[derive(Debug)]
pub(super) struct Recovery<'a, D> {
    pub(super) disk: &'a mut D,
    pub(super) folder: &'a str,
    pub(super) salt: u32,
    /// Index files are believed; else every block is looked at.
    pub(super) by_index: bool,
    /// Bytes of keys whose newest events are to be known; 0: none.
    pub(super) keys_bytes_max: usize,
}

impl<D: Disk> Recovery<'_, D> {
    /// What lies there. `carried`: what outlived segments that were unlinked, or were about to be.
    ///
    /// # Errors
    /// What the disk says.
    pub(super) fn run(mut self, carried: &Carried) -> Result<Recovered, DiskError> {
        let mut found = Recovered { keys: Keys::new(self.keys_bytes_max), ..Recovered::default() };
        for record in carried.last() {
            let (key, own) = (&*record.key, || Arc::clone(&record.key));
            found.keys.note((&record.topic, key), (record.op, record.time_us), own);
        }
        found.keys.raise(carried.dropped_us);
        for floor in &carried.floors() {
            found.note(floor, carried.upto);
        }
        let mut numbers: Vec<u64> = self
            .disk
            .list(self.folder)?
            .iter()
            .filter_map(|name| Segment::number_of(name))
            .collect();
        numbers.sort_unstable();
        let unlinked = numbers.partition_point(|number| *number <= carried.upto);
        found.leftover = numbers.drain(..unlinked).collect();
        let mark = self.mark()?;
        let newest = numbers.last().copied();
        for number in numbers {
            if let Some(before) = found.segments.last_mut()
                && before.number + 1 != number
            {
                // The segments between are gone: as if their events stood at this one's end.
                before.rotten.push(Rotten::unknown(before.bytes, before.bytes));
            }
            let synced = mark.filter(|mark| mark.0 == number).map_or(0, |mark| mark.1);
            self.segment(&mut found, number, (newest == Some(number)).then_some(synced))?;
        }
        if let Some((number, 1..)) = mark
            && number > carried.upto
            && newest.is_none_or(|newest| newest < number)
        {
            // There was a newer one, and it was synced.
            found.segments.push(Segment::new(number));
            found.lose(&Rotten::unknown(0, 0));
        }
        Ok(found)
    }

    /// The newest segment that was synced, and how much of it.
    fn mark(&mut self) -> Result<Option<(u64, u64)>, DiskError> {
        let bytes = read_small(self.disk, (self.folder, MARK_NAME), MARK_BYTES)?;
        Ok(bytes.and_then(|bytes| parse_mark(&bytes, self.salt)))
    }

    /// `synced`: it is the newest one, and so much of it is known to be synced.
    pub(super) fn segment(
        &mut self,
        found: &mut Recovered,
        number: u64,
        synced: Option<u64>,
    ) -> Result<(), DiskError> {
        let file = self.disk.open(&path(self.folder, &Segment::file_name(number)))?;
        let len = self.disk.len(&file)?;
        if self.by_index {
            let name = Segment::index_name(number);
            let index = read_small(self.disk, (self.folder, &name), INDEX_BYTES_MAX)?;
            let segment = index.and_then(|bytes| {
                Segment::from_index(&bytes, self.salt, Some((number, len)), &mut found.keys)
            });
            if let Some(segment) = segment {
                found.take_indexed(&segment);
                return Ok(());
            }
        }
        found.unindexed.push(number);
        let mut scan = Scan::new(self.salt, number, 0, len);
        found.segments.push(Segment::new(number));
        while let Some(item) = scan.next(self.disk, &file)? {
            let rotten = match item {
                Found::Block(block) => {
                    found.take(&block);
                    continue;
                }
                Found::Rotten(rotten) => rotten,
            };
            let known = found.segments.last().map_or(0, |segment| segment.synced);
            let is_torn =
                rotten.to == len && synced.is_some_and(|synced| rotten.from >= synced.max(known));
            if is_torn {
                found.torn = Some(Torn { segment: number, from: rotten.from, to: len });
            } else {
                found.lose(&rotten);
            }
        }
        if let Some(synced) = synced
            && len < synced
        {
            found.lose(&Rotten::unknown(len, len));
        }
        Ok(())
    }
}

impl Recovered {
    fn take(&mut self, block: &Block) {
        let number = block.head.segment;
        self.mended += u64::from(block.is_mended);
        for part in &block.parts {
            self.follow(part, block.head.at);
            self.note(part, number);
        }
        let keys = &mut self.keys;
        let is_whole = block.body.each(|record| {
            let own = || Arc::from(record.key);
            keys.note((record.topic, record.key), (record.op, record.time_us), own);
        });
        debug_assert!(is_whole, "the scan has read it");
        self.segments.last_mut().expect("one is gone through").take(&block.head, &block.parts);
    }

    pub(super) fn take_indexed(&mut self, segment: &Segment) {
        let number = segment.number;
        self.indexed += 1;
        self.segments.push(Segment::new(number));
        for part in segment.parts.values() {
            self.follow(part, 0);
        }
        let rotten = std::mem::take(&mut self.segments.last_mut().expect("just put there").rotten);
        *self.segments.last_mut().expect("just put there") = segment.clone();
        self.segments.last_mut().expect("just put there").rotten.extend(rotten);
        for part in segment.parts.values() {
            self.note(part, number);
        }
        for part in segment.rotten.iter().flat_map(|rotten| &rotten.lost) {
            self.note(part, number);
        }
    }

    /// What a part says of what came before it.
    fn follow(&mut self, part: &Part, at: u64) {
        let known = self.topics.get(&part.topic).copied();
        let is_unknown = self.rotten().any(|(_, rotten)| !rotten.is_known);
        let newest = known.map_or(if is_unknown { 0 } else { part.previous }, |known| known.newest);
        if newest < part.previous {
            let lost = Part {
                topic: part.topic.clone(),
                previous: newest,
                last: part.previous,
                count: 0,
                // Not known; that of the event before is not too late.
                last_us: known.map_or(1, |known| known.newest_us.max(1)),
            };
            self.attribute(lost, at);
        }
    }

    /// What a topic's next event says was there before it, and is not: of the last stretch of which not all is known.
    fn attribute(&mut self, lost: Part, at: u64) {
        let mut stretches = self.segments.iter_mut().flat_map(|segment| &mut segment.rotten);
        match stretches.rfind(|rotten| !rotten.is_known) {
            Some(rotten) => rotten.lost.push(lost),
            None => {
                let rotten = Rotten { from: at, to: at, lost: vec![lost], is_known: true };
                self.segments.last_mut().expect("one is gone through").rotten.push(rotten);
            }
        }
    }

    fn lose(&mut self, rotten: &Rotten) {
        let segment = self.segments.last_mut().expect("one is gone through");
        let number = segment.number;
        segment.bytes = segment.bytes.max(rotten.to);
        segment.rotten.push(rotten.clone());
        for part in &rotten.lost {
            self.note(part, number);
        }
    }
}

/// What is written when so many bytes of a segment are synced.
pub(super) fn mark_bytes(segment: u64, bytes: u64, salt: u32) -> Vec<u8> {
    let mut out = MARK_MAGIC.to_vec();
    out.extend_from_slice(&segment.to_le_bytes());
    out.extend_from_slice(&bytes.to_le_bytes());
    let sum = checksum(salt, &out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn parse_mark(bytes: &[u8], salt: u32) -> Option<(u64, u64)> {
    let (said, sum) = bytes.split_at_checked(MARK_BYTES - 4)?;
    if Taker(sum).u32()? != checksum(salt, said) {
        return None;
    }
    let mut taker = Taker(said);
    (taker.bytes(8)? == MARK_MAGIC).then_some(())?;
    Some((taker.u64()?, taker.u64()?))
}
