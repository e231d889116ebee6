//! What is let go of: whole segments, oldest first, once none of what they hold has to be kept.
//!
//! Invariants: a segment goes only after what must outlive it lasts elsewhere: the newest offset of each topic, and the last event of each key. The segment that is written
//! never goes. It costs the unlinking, and writing the last events anew.

use super::block::Body;
use super::carried;
use super::class::Log;
use super::class::unlink;
use super::disk::Disk;
use super::disk::DiskError;
use super::disk::path;
use super::manifest::Skip;
use super::scan::Found;
use super::scan::Scan;
use super::segment::Segment;
use crate::limits::LOG_SEGMENT_BYTES;

/// How much of a class is kept. `u64::MAX`: without bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes at which a segment is sealed.
    pub segment_bytes: u64,
    /// Bytes of all segments together; the oldest goes first.
    pub bytes_max: u64,
    /// Microseconds after which an event need not be kept.
    pub age_us_max: u64,
    /// Events of each topic beyond which older ones need not be kept.
    pub topic_events_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            segment_bytes: LOG_SEGMENT_BYTES,
            bytes_max: u64::MAX,
            age_us_max: u64::MAX,
            topic_events_max: u64::MAX,
        }
    }
}

impl<F: std::fmt::Debug> Log<F> {
    /// Unlinks the oldest segment if it need not be kept; false: it stays. Call it again.
    ///
    /// # Errors
    /// What the disk says; `Full`: the segment stays for now.
    pub fn let_go<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        now_us: u64,
    ) -> Result<bool, DiskError> {
        self.alive()?;
        let Some(oldest) = self.sealed.first().filter(|oldest| self.may_go(oldest, now_us)) else {
            return Ok(false);
        };
        let number = oldest.number;
        self.carry(disk, number)?;
        self.sealed.remove(0);
        self.lost.forget(number);
        self.keys.raise(self.carried.dropped_us);
        unlink(disk, &self.folder, number)?;
        disk.sync_folder(&self.folder)?;
        Ok(true)
    }

    fn may_go(&self, oldest: &Segment, now_us: u64) -> bool {
        let is_old = now_us.saturating_sub(oldest.last_us) > self.limits.age_us_max;
        let is_much = self.bytes() > self.limits.bytes_max;
        is_old || is_much || (oldest.events > 0 && self.are_many(oldest))
    }

    /// Whether of each of its topics enough events lie behind it.
    fn are_many(&self, oldest: &Segment) -> bool {
        let enough = self.limits.topic_events_max;
        enough < u64::MAX
            && oldest.parts.keys().all(|topic| {
                let newer = self.sealed[1..].iter().chain([self.active()]);
                let counts = newer.filter_map(|segment| segment.parts.get(topic));
                counts.map(|part| part.count).sum::<u64>() >= enough
            })
    }

    /// Takes over what must outlive a segment.
    fn carry<D: Disk<File = F>>(&mut self, disk: &mut D, number: u64) -> Result<(), DiskError> {
        let mut carried = self.carried.clone();
        let mut is_whole = true;
        match disk.open(&path(&self.folder, &Segment::file_name(number))) {
            Ok(file) => {
                let len = disk.len(&file)?;
                let mut scan = Scan::new(self.salt, number, 0, len);
                while let Some(found) = scan.next(disk, &file)? {
                    match found {
                        Found::Block(block) => take_last(&mut carried, &block.body),
                        Found::Rotten(_) => is_whole = false,
                    }
                }
            }
            Err(DiskError::Missing) => is_whole = false,
            Err(error) => return Err(error),
        }
        // What is newer may be lost with the power yet: only what goes now counts.
        let new = |skip: &&Skip| carried.upto < skip.segment && skip.segment <= number;
        let skipped = self.skips.iter().filter(new).map(|skip| skip.offsets).sum();
        carried.raise_floors(skipped);
        let segment = self.sealed.first().expect("it is the oldest");
        let lost = segment.rotten.iter().flat_map(|rotten| &rotten.lost);
        for part in segment.parts.values().chain(lost) {
            carried.floor(part);
            if !is_whole {
                // What could not be read may have been the last of its key, and with the segment goes what says that it is lost.
                carried.dropped_us = carried.dropped_us.max(part.last_us);
            }
        }
        carried.upto = number;
        let bytes_max = self.carried_bytes_max;
        carried::write(disk, &self.folder, self.salt, (&mut carried, bytes_max))?;
        self.carried = carried;
        Ok(())
    }
}

fn take_last(carried: &mut carried::Carried, body: &Body) {
    let is_whole = body.each(|record| carried.take(record.to_record()));
    debug_assert!(is_whole, "the scan has read it");
}
