//! A block: what one home shard ordered of one group, with its own checksums, readable whatever lies around it.
//!
//! ```text
//! head 80 | summary | body | head again, with another magic
//! ```
//!
//! Invariants: a head is good only at its own place in its own segment of its own folder, so neither a stray copy nor a payload that looks like one is
//! taken for a block. Either head leads to the block; summary and body each say alone which events it holds. So what one flipped bit can cost
//! is the events of one body, and the summary says which those are. Takes any bytes, and never allocates more than `LOG_BLOCK_BYTES_MAX`.

use super::bytes::Taker;
use super::bytes::checksum;
use super::record::Part;
use super::record::Record;
use super::record::RecordRef;
use super::record::parts_of;
use super::record::put_body;
use super::record::put_parts;
use super::record::take_parts;
use super::record::take_record;
use super::record::take_topics;
use crate::limits::LOG_BLOCK_BYTES_MAX;
use crate::limits::LOG_BLOCK_EVENTS_MAX;

/// Bytes of a head.
pub const HEAD_BYTES: usize = 80;
/// What a block begins with.
pub const FRONT: [u8; 4] = *b"FwB\x01";
/// What its second head begins with.
pub const BACK: [u8; 4] = *b"FwE\x01";
/// Bytes of a summary or body below which lz4 is not tried.
const LZ4_BYTES_MIN: usize = 64;

const SUMMARY_LZ4: u8 = 0b01;
const BODY_LZ4: u8 = 0b10;

/// What is said of a block before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The shard that ordered its events.
    pub home: u16,
    /// The segment that it lies in.
    pub segment: u64,
    /// Where in it, in bytes.
    pub at: u64,
    /// So many bytes of the segment were known to be synced when it was written.
    pub synced: u64,
    pub first_us: u64,
    pub last_us: u64,
    pub event_count: u32,
    flags: u8,
    summary_bytes: u32,
    summary_raw_bytes: u32,
    body_bytes: u32,
    body_raw_bytes: u32,
    summary_checksum: u32,
    body_checksum: u32,
}

/// Where a block is written.
#[derive(Clone, Copy, Debug)]
pub struct BlockPlace {
    pub salt: u32,
    pub segment: u64,
    pub at: u64,
    pub synced: u64,
}

impl Head {
    /// A head at the front of `bytes`, of a block that begins at this place; of a back head, which ends there. `None`: there is none.
    #[must_use]
    pub fn parse(bytes: &[u8], magic: [u8; 4], salt: u32, segment: u64) -> Option<Self> {
        let head = bytes.get(..HEAD_BYTES)?;
        let mut taker = Taker(head);
        if taker.bytes(4)? != magic {
            return None;
        }
        let (said, sum) = head.split_at(HEAD_BYTES - 4);
        if Taker(sum).u32()? != checksum(salt, said) {
            return None;
        }
        let (home, flags, zero) = (taker.u16()?, taker.byte()?, taker.byte()?);
        let parsed = Self {
            home,
            flags,
            segment: taker.u64()?,
            at: taker.u64()?,
            synced: taker.u64()?,
            first_us: taker.u64()?,
            last_us: taker.u64()?,
            event_count: taker.u32()?,
            summary_bytes: taker.u32()?,
            summary_raw_bytes: taker.u32()?,
            body_bytes: taker.u32()?,
            body_raw_bytes: taker.u32()?,
            summary_checksum: taker.u32()?,
            body_checksum: taker.u32()?,
        };
        let sizes = [
            (parsed.summary_bytes, parsed.summary_raw_bytes),
            (parsed.body_bytes, parsed.body_raw_bytes),
        ];
        let is_sane = zero == 0
            && flags & !(SUMMARY_LZ4 | BODY_LZ4) == 0
            && parsed.segment == segment
            && parsed.at.checked_add(LOG_BLOCK_BYTES_MAX as u64 * 3).is_some()
            && parsed.first_us <= parsed.last_us
            && parsed.event_count as usize <= LOG_BLOCK_EVENTS_MAX
            && sizes
                .iter()
                .all(|(stored, raw)| stored <= raw && *raw as usize <= LOG_BLOCK_BYTES_MAX);
        is_sane.then_some(parsed)
    }

    fn put(&self, out: &mut Vec<u8>, magic: [u8; 4], salt: u32) {
        let begin = out.len();
        out.extend_from_slice(&magic);
        out.extend_from_slice(&self.home.to_le_bytes());
        out.extend_from_slice(&[self.flags, 0]);
        for number in [self.segment, self.at, self.synced, self.first_us, self.last_us] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [
            self.event_count,
            self.summary_bytes,
            self.summary_raw_bytes,
            self.body_bytes,
            self.body_raw_bytes,
            self.summary_checksum,
            self.body_checksum,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let sum = checksum(salt, &out[begin..]);
        out.extend_from_slice(&sum.to_le_bytes());
    }

    /// Bytes of the whole block, both heads included.
    #[must_use]
    pub const fn block_bytes(&self) -> usize {
        2 * HEAD_BYTES + self.summary_bytes as usize + self.body_bytes as usize
    }

    /// Where the next block begins.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.at + self.block_bytes() as u64
    }

    /// What the block holds of each topic, as its summary says; `None`: the summary is rotten. `block` is the whole block.
    #[must_use]
    pub fn summary(&self, block: &[u8], salt: u32) -> Option<Vec<Part>> {
        let stored = block.get(HEAD_BYTES..)?.get(..self.summary_bytes as usize)?;
        if checksum(salt, stored) != self.summary_checksum {
            return None;
        }
        let raw = unpacked(stored, self.summary_raw_bytes, self.flags & SUMMARY_LZ4 != 0)?;
        let mut taker = Taker(&raw);
        let parts = take_parts(&mut taker)?;
        taker.is_empty().then_some(parts)
    }

    /// The block's body, unpacked; `None`: it is rotten.
    #[must_use]
    pub fn body(&self, block: &[u8], salt: u32) -> Option<Body> {
        let begin = HEAD_BYTES + self.summary_bytes as usize;
        let stored = block.get(begin..)?.get(..self.body_bytes as usize)?;
        if checksum(salt, stored) != self.body_checksum {
            return None;
        }
        let raw = unpacked(stored, self.body_raw_bytes, self.flags & BODY_LZ4 != 0)?;
        Some(Body { first_us: self.first_us, event_count: self.event_count, raw })
    }
}

fn packed(raw: &[u8], out: &mut Vec<u8>) -> bool {
    if raw.len() >= LZ4_BYTES_MIN {
        let begin = out.len();
        out.resize(begin + lz4_flex::block::get_maximum_output_size(raw.len()), 0);
        let written = lz4_flex::block::compress_into(raw, &mut out[begin..]);
        if let Ok(bytes) = written
            && bytes < raw.len()
        {
            out.truncate(begin + bytes);
            return true;
        }
        out.truncate(begin);
    }
    out.extend_from_slice(raw);
    false
}

fn unpacked(stored: &[u8], raw_bytes: u32, is_packed: bool) -> Option<Vec<u8>> {
    let raw_bytes = raw_bytes as usize;
    if !is_packed {
        return (stored.len() == raw_bytes).then(|| stored.to_vec());
    }
    let mut raw = vec![0; raw_bytes];
    let bytes = lz4_flex::block::decompress_into(stored, &mut raw).ok()?;
    (bytes == raw_bytes).then_some(raw)
}

/// The records of a block, to be gone through one by one.
#[derive(Debug)]
pub struct Body {
    first_us: u64,
    event_count: u32,
    raw: Vec<u8>,
}

impl Body {
    /// Hands each record to `take`, in the order of their stamps; false: what is there is no body, though its checksum is good.
    pub fn each(&self, mut take: impl FnMut(&RecordRef<'_>)) -> bool {
        let mut taker = Taker(&self.raw);
        let Some(mut topics) = take_topics(&mut taker) else { return false };
        let mut time_us = self.first_us;
        for _ in 0..self.event_count {
            match take_record(&mut taker, &mut topics, &mut time_us) {
                Some(record) => take(&record),
                None => return false,
            }
        }
        taker.is_empty()
    }

    /// Whether the block's topics are those of these parts, in their order.
    #[must_use]
    pub fn has_topics_of(&self, parts: &[Part]) -> bool {
        take_topics(&mut Taker(&self.raw)).is_some_and(|topics| topics.are_of(parts))
    }

    /// What the block holds of each topic.
    #[must_use]
    pub fn parts(&self) -> Option<Vec<Part>> {
        let topics = take_topics(&mut Taker(&self.raw))?;
        let mut parts = topics.to_parts();
        self.each(|record| {
            let part = &mut parts[record.topic_index];
            part.last = record.offset;
            part.last_us = record.time_us;
            part.count += 1;
        })
        .then_some(parts)
    }

    /// Bytes that it takes, for budgets.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.raw.capacity() + size_of::<Self>()
    }

    /// The records of the body, with bytes of their own.
    #[must_use]
    pub fn to_records(&self) -> Option<Vec<Record>> {
        let mut records = Vec::with_capacity((self.event_count as usize).min(self.raw.len() / 6));
        self.each(|record| records.push(record.to_record())).then_some(records)
    }
}

/// Appends a block of these records, which one home ordered, to `out`; answers its head and what it holds of each topic.
///
/// # Panics
/// If stamps do not ascend, or offsets of a topic.
pub fn put_block(
    out: &mut Vec<u8>,
    place: BlockPlace,
    home: u16,
    records: &[Record],
) -> (Head, Vec<Part>) {
    let (parts, indices) = parts_of(records);
    let first_us = records.first().map_or(0, |record| record.time_us);
    let mut raw_body = Vec::new();
    put_body(&mut raw_body, (&parts, &indices), records, first_us);
    let last_us = records.last().map_or(0, |record| record.time_us);
    let head =
        put_parts_block(out, place, (home, first_us, last_us), &parts, &raw_body, records.len());
    (head, parts)
}

/// Appends a block without events: of each topic only the newest offset, in summary and body alike. `time_us` stands in its head.
pub fn put_floors(out: &mut Vec<u8>, (place, time_us): (BlockPlace, u64), floors: &[Part]) {
    let mut raw_body = Vec::new();
    put_body(&mut raw_body, (floors, &[]), &[], 0);
    put_parts_block(out, place, (0, time_us, time_us), floors, &raw_body, 0);
}

fn put_parts_block(
    out: &mut Vec<u8>,
    place: BlockPlace,
    (home, first_us, last_us): (u16, u64, u64),
    parts: &[Part],
    raw_body: &[u8],
    event_count: usize,
) -> Head {
    let small = |bytes: usize| u32::try_from(bytes).expect("a block is bounded");
    let mut raw_summary = Vec::new();
    put_parts(&mut raw_summary, parts);
    let mut stored = Vec::new();
    let mut flags = 0;
    if packed(&raw_summary, &mut stored) {
        flags |= SUMMARY_LZ4;
    }
    let summary_bytes = stored.len();
    if packed(raw_body, &mut stored) {
        flags |= BODY_LZ4;
    }
    let (summary, body) = stored.split_at(summary_bytes);
    let head = Head {
        home,
        segment: place.segment,
        at: place.at,
        synced: place.synced,
        first_us,
        last_us,
        event_count: small(event_count),
        flags,
        summary_bytes: small(summary.len()),
        summary_raw_bytes: small(raw_summary.len()),
        body_bytes: small(body.len()),
        body_raw_bytes: small(raw_body.len()),
        summary_checksum: checksum(place.salt, summary),
        body_checksum: checksum(place.salt, body),
    };
    head.put(out, FRONT, place.salt);
    out.extend_from_slice(&stored);
    head.put(out, BACK, place.salt);
    head
}
