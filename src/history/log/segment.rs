//! What is known of a segment without reading it: which topics it holds, where to begin, and what of it is lost. Also as its index file.
//!
//! Invariants: whatever lies before a place is stamped no later than the place says. An index file is drawn from the segment and nothing else:
//! without it, or if it is rotten, the segment is gone through again.

use std::collections::BTreeMap;

use super::block::Head;
use super::bytes::Taker;
use super::bytes::checksum;
use super::bytes::put_varint;
use super::keys::Keys;
use super::record::Part;
use super::record::put_parts;
use super::record::take_parts;
use super::scan::Rotten;
use crate::event::TopicName;
use crate::limits::LOG_PLACE_BYTES;

/// What an index file begins with.
const MAGIC: &[u8; 8] = b"FWINDEX\x01";

/// A stretch of the log, one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Counts the segments of a class from 1.
    pub number: u64,
    /// Bytes up to its end.
    pub bytes: u64,
    pub blocks: u64,
    pub events: u64,
    /// The earliest stamp of any home.
    pub first_us: u64,
    /// The latest stamp of any home.
    pub last_us: u64,
    /// So many bytes are known to have been synced.
    pub synced: u64,
    /// What the segment holds of each topic.
    pub parts: BTreeMap<TopicName, Part>,
    /// Where blocks begin: each with the latest stamp before it.
    pub places: Vec<Spot>,
    /// What of it cannot be read.
    pub rotten: Vec<Rotten>,
}

/// Where a block begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    pub at: u64,
    /// The latest stamp in the segment before it; 0: it is the first block.
    pub before_us: u64,
}

impl Segment {
    /// An empty one.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// The name of its file.
    #[must_use]
    pub fn file_name(number: u64) -> String {
        format!("{number:016}.log")
    }

    /// The name of its index file.
    #[must_use]
    pub fn index_name(number: u64) -> String {
        format!("{number:016}.index")
    }

    /// The number of a segment by its file's name.
    #[must_use]
    pub fn number_of(file_name: &str) -> Option<u64> {
        let digits = file_name.strip_suffix(".log")?;
        let is_number = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok())?
    }

    /// Takes a block in that follows on what there is.
    pub fn take(&mut self, head: &Head, parts: &[Part]) {
        let is_far = |spot: &Spot| head.at >= spot.at + LOG_PLACE_BYTES;
        if self.places.last().is_none_or(is_far) {
            self.places.push(Spot { at: head.at, before_us: self.last_us });
        }
        if self.blocks == 0 {
            self.first_us = head.first_us;
        }
        self.blocks += 1;
        self.events += u64::from(head.event_count);
        self.first_us = self.first_us.min(head.first_us);
        self.last_us = self.last_us.max(head.last_us);
        self.synced = self.synced.max(head.synced);
        self.bytes = head.end();
        for part in parts {
            match self.parts.get_mut(&part.topic) {
                Some(known) => {
                    known.last = part.last;
                    known.last_us = part.last_us;
                    known.count += part.count;
                }
                None => {
                    self.parts.insert(part.topic.clone(), part.clone());
                }
            }
        }
    }

    /// Where to begin to meet every event stamped after a moment.
    #[must_use]
    pub fn place_after(&self, time_us: u64) -> u64 {
        let index = self.places.partition_point(|spot| spot.before_us <= time_us);
        self.places.get(index.saturating_sub(1)).map_or(0, |spot| spot.at)
    }

    /// The segment's index file, with the keys that changed last in the segment.
    #[must_use]
    pub fn to_index(&self, salt: u32, keys: &Keys) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for number in [
            self.number,
            self.bytes,
            self.blocks,
            self.events,
            self.first_us,
            self.last_us,
            self.synced,
        ] {
            put_varint(&mut out, number);
        }
        put_varint(&mut out, self.places.len() as u64);
        let mut last = Spot { at: 0, before_us: 0 };
        for spot in &self.places {
            put_varint(&mut out, spot.at - last.at);
            put_varint(&mut out, spot.before_us - last.before_us);
            last = *spot;
        }
        let parts: Vec<Part> = self.parts.values().cloned().collect();
        put_parts(&mut out, &parts);
        put_varint(&mut out, self.rotten.len() as u64);
        for rotten in &self.rotten {
            put_varint(&mut out, rotten.from);
            put_varint(&mut out, rotten.to - rotten.from);
            put_varint(&mut out, u64::from(rotten.is_known));
            put_parts(&mut out, &rotten.lost);
        }
        keys.put(&mut out, &parts, self.first_us);
        let sum = checksum(salt, &out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// From its index file, which must be of a segment of this number and so many bytes, if that is known; takes in the keys, too. `None`: it is rotten, of another, or none.
    #[must_use]
    pub fn from_index(
        bytes: &[u8],
        salt: u32,
        of: Option<(u64, u64)>,
        keys: &mut Keys,
    ) -> Option<Self> {
        let (said, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if Taker(sum).u32()? != checksum(salt, said) {
            return None;
        }
        let mut taker = Taker(said);
        if taker.bytes(8)? != MAGIC {
            return None;
        }
        let mut segment = Self {
            number: taker.varint()?,
            bytes: taker.varint()?,
            blocks: taker.varint()?,
            events: taker.varint()?,
            first_us: taker.varint()?,
            last_us: taker.varint()?,
            synced: taker.varint()?,
            ..Self::default()
        };
        let mut last = Spot { at: 0, before_us: 0 };
        for _ in 0..taker.varint()? {
            last.at = last.at.checked_add(taker.varint()?)?;
            last.before_us = last.before_us.checked_add(taker.varint()?)?;
            segment.places.push(last);
        }
        let parts = take_parts(&mut taker)?;
        segment.parts = parts.into_iter().map(|part| (part.topic.clone(), part)).collect();
        for _ in 0..taker.varint()? {
            let from = taker.varint()?;
            let to = from.checked_add(taker.varint()?)?;
            let is_known = taker.varint()? == 1;
            let lost = take_parts(&mut taker)?;
            segment.rotten.push(Rotten { from, to, lost, is_known });
        }
        if of.is_some_and(|of| of != (segment.number, segment.bytes)) {
            return None;
        }
        let parts: Vec<Part> = segment.parts.values().cloned().collect();
        keys.take(&mut taker, &parts, segment.first_us)?;
        taker.is_empty().then_some(segment)
    }
}
