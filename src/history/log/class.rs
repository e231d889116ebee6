//! The log of one class of topics, as its one writer has it: groups of events go in, segments follow one another.
//!
//! Invariants: a group is one write at the known end of the newest segment; nothing is ever written before that end or into an older segment. What was written and not synced
//! holds at most `LOG_UNSYNCED_EVENTS_MAX` events. After a sync that failed, or a write that failed for another reason than want of room, it does nothing any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::block::BlockPlace;
use super::block::Head;
use super::block::put_block;
use super::carried;
use super::carried::CARRIED_NAME;
use super::carried::Carried;
use super::disk::Disk;
use super::disk::DiskError;
use super::disk::path;
use super::disk::replace;
use super::keys::Keys;
use super::lost::LostParts;
use super::manifest::Skip;
use super::record::Part;
use super::record::Record;
use super::recover::Known;
use super::recover::MARK_NAME;
use super::recover::Recovered;
use super::recover::Recovery;
use super::recover::mark_bytes;
use super::retention::Limits;
use super::segment::Segment;
use crate::event::ShardId;
use crate::event::TopicName;
use crate::limits::LOG_BLOCK_BYTES;
use crate::limits::LOG_BLOCK_EVENTS_MAX;
use crate::limits::LOG_BUFFER_KEPT_BYTES_MAX;
use crate::limits::LOG_SKIP_PER_BYTE;
use crate::limits::LOG_UNSYNCED_EVENTS_MAX;

/// The log of one class.
#[derive(Debug)]
pub struct Log<F> {
    pub(super) folder: String,
    pub(super) salt: u32,
    pub(super) limits: Limits,
    pub(super) sealed: Vec<Segment>,
    pub(super) active: Active<F>,
    mark: F,
    pub(super) topics: BTreeMap<TopicName, Known>,
    pub(super) skips: Vec<Skip>,
    pub(super) carried: Carried,
    pub(super) carried_bytes_max: usize,
    /// Which event of each key is its newest.
    pub(super) keys: Keys,
    /// What cannot be read any more.
    pub(super) lost: LostParts,
    unsynced_events: u64,
    newest_us: u64,
    buffer: Vec<u8>,
    is_dead: bool,
}

/// The segment that is written.
#[derive(Debug)]
pub(super) struct Active<F> {
    pub(super) segment: Segment,
    file: F,
    synced: u64,
}

/// A group that was written and of which nothing is known yet.
#[derive(Debug)]
#[must_use]
pub struct Put {
    at: u64,
    bytes: u64,
    events: u64,
    blocks: Vec<(Head, Vec<Part>)>,
}

impl Put {
    /// Bytes of it.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// What a class is opened with.
#[derive(Clone, Debug)]
pub struct Opening {
    pub folder: String,
    pub salt: u32,
    pub limits: Limits,
    pub skips: Vec<Skip>,
    /// The machine lost power since, as far as one can tell: what was not synced is gone, and may have been seen.
    pub lost_power: bool,
    /// Bytes that may be taken to know which event of each key is its newest; 0: nobody asks for that.
    pub keys_bytes_max: usize,
    /// Bytes of last events that outlive their segments; those unchanged the longest go.
    pub carried_bytes_max: usize,
}

impl<F: std::fmt::Debug> Log<F> {
    /// Opens a class to go on writing behind what is there; a torn end is cut. Answers also what was found.
    ///
    /// What of `skips` is new must last before anything is written: the caller sees to that.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open<D: Disk<File = F>>(
        disk: &mut D,
        opening: Opening,
    ) -> Result<(Self, Recovered), DiskError> {
        let Opening { folder, salt, limits, mut skips, lost_power, .. } = opening;
        let (keys_bytes_max, carried_bytes_max) =
            (opening.keys_bytes_max, opening.carried_bytes_max);
        disk.make_folder(&folder)?;
        let carried = carried::read(disk, &folder, salt)?;
        if carried.is_short {
            let text = format!(
                "{folder}/{CARRIED_NAME} is rotten: the newest offsets of some topics are lost. `fanwire history repair` begins a new epoch"
            );
            return Err(DiskError::Failed(std::io::Error::other(text)));
        }
        let recovery = Recovery { disk, folder: &folder, salt, by_index: true, keys_bytes_max };
        let mut found = recovery.run(&carried)?;
        let is_used = |segment: &&Segment| segment.bytes > 0 || !segment.rotten.is_empty();
        let newest = found.segments.iter().rfind(is_used).map_or(carried.upto, |last| last.number);
        let number = newest + 1;
        skips.extend(skip_of(&found, &skips, lost_power, number));
        secure(disk, &folder, &found)?;
        for number in &found.leftover {
            unlink(disk, &folder, *number)?;
        }
        let mut sealed = found.segments.clone();
        let mut keys = std::mem::take(&mut found.keys);
        for segment in sealed.iter().filter(|segment| found.unindexed.contains(&segment.number)) {
            settle(disk, &folder, salt, (segment, &keys))?;
        }
        keys.forget_deletes();
        sealed.retain(|segment| is_used(&segment));
        let lost = LostParts::of(sealed.iter());
        let file = disk.create(&path(&folder, &Segment::file_name(number)))?;
        let mark = match disk.open(&path(&folder, MARK_NAME)) {
            Err(DiskError::Missing) => disk.create(&path(&folder, MARK_NAME))?,
            opened => opened?,
        };
        // From now on it is written over, for which a full disk has room.
        disk.write_at(&mark, 0, &mark_bytes(number, 0, salt))?;
        disk.sync_folder(&folder)?;
        let log = Self {
            folder,
            salt,
            limits,
            sealed,
            active: Active { segment: Segment::new(number), file, synced: 0 },
            mark,
            topics: found.topics.clone(),
            skips,
            carried,
            carried_bytes_max,
            keys,
            lost,
            unsynced_events: 0,
            newest_us: found.newest_us(),
            buffer: Vec::new(),
            is_dead: false,
        };
        Ok((log, found))
    }

    /// Segments that are closed, oldest first.
    #[must_use]
    pub fn sealed(&self) -> &[Segment] {
        &self.sealed
    }

    /// The segment that is written.
    #[must_use]
    pub const fn active(&self) -> &Segment {
        &self.active.segment
    }

    /// What outlived the segments that are gone.
    #[must_use]
    pub const fn carried(&self) -> &Carried {
        &self.carried
    }

    /// What is left out of the offsets.
    #[must_use]
    pub fn skips(&self) -> &[Skip] {
        &self.skips
    }

    /// The newest stamp that it holds.
    #[must_use]
    pub const fn newest_us(&self) -> u64 {
        self.newest_us
    }

    /// A topic's newest event: its offset, and that behind which the next one's lies, which is greater if some may have been lost. 0: it has none.
    #[must_use]
    pub fn newest_of(&self, topic: &TopicName) -> (u64, u64) {
        let known = self.topics.get(topic).copied().unwrap_or_default();
        (known.newest, known.newest + skipped(&self.skips, known.segment))
    }

    /// The greatest offset that anybody may have seen of a topic that is not known.
    #[must_use]
    pub fn ceiling(&self) -> u64 {
        skipped(&self.skips, 0)
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sealed.iter().map(|segment| segment.bytes).sum::<u64>() + self.active.segment.bytes
    }

    /// Events that are written and not synced.
    #[must_use]
    pub const fn unsynced_events(&self) -> u64 {
        self.unsynced_events
    }

    /// Writes a group: what each home ordered, in its order. When it has answered, the group survives the end of the process.
    ///
    /// # Errors
    /// As [`Log::put`].
    ///
    /// # Panics
    /// If offsets or stamps do not ascend.
    pub fn write<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        group: &[(ShardId, Vec<Record>)],
    ) -> Result<(), DiskError> {
        let put = self.put(disk, group)?;
        self.keep(&put, group);
        Ok(())
    }

    /// Writes a group, of which nothing is known yet: [`Log::keep`] it or [`Log::take_back`] what was put before anything else is done.
    ///
    /// # Errors
    /// `Full`: nothing of it was written, and it may be tried again. Anything else is the log's end.
    ///
    /// # Panics
    /// If offsets or stamps do not ascend.
    pub fn put<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        group: &[(ShardId, Vec<Record>)],
    ) -> Result<Put, DiskError> {
        self.alive()?;
        let events: u64 = group.iter().map(|(_, records)| records.len() as u64).sum();
        if self.unsynced_events + events > LOG_UNSYNCED_EVENTS_MAX {
            self.sync(disk)?;
        }
        if self.active.segment.bytes >= self.limits.segment_bytes {
            self.roll(disk)?;
        }
        self.buffer.clear();
        let at = self.active.segment.bytes;
        let mut blocks = Vec::new();
        for (home, records) in group {
            for records in cut(records) {
                let place = BlockPlace {
                    salt: self.salt,
                    segment: self.active.segment.number,
                    at: at + self.buffer.len() as u64,
                    synced: self.active.synced,
                };
                blocks.push(put_block(&mut self.buffer, place, home.0, records));
            }
        }
        if let Err(error) = disk.write_at(&self.active.file, at, &self.buffer) {
            return Err(self.failed_write(disk, at, error));
        }
        let bytes = self.buffer.len() as u64;
        self.buffer.shrink_to(LOG_BUFFER_KEPT_BYTES_MAX);
        Ok(Put { at, bytes, events, blocks })
    }

    /// Takes in what was put.
    pub fn keep(&mut self, put: &Put, group: &[(ShardId, Vec<Record>)]) {
        self.unsynced_events += put.events;
        for (head, parts) in &put.blocks {
            self.newest_us = self.newest_us.max(head.last_us);
            self.active.segment.take(head, parts);
            for part in parts {
                let known = Known {
                    newest: part.last,
                    newest_us: part.last_us,
                    segment: self.active.segment.number,
                };
                self.topics.insert(part.topic.clone(), known);
            }
        }
        for record in group.iter().flat_map(|(_, records)| records) {
            let (key, own) = (&*record.key, || Arc::clone(&record.key));
            self.keys.note((&record.topic, key), (record.op, record.time_us), own);
        }
    }

    /// Cuts off again what was put.
    ///
    /// # Errors
    /// What the disk says, and then it is the log's end.
    pub fn take_back<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        put: &Put,
    ) -> Result<(), DiskError> {
        let cut = disk.truncate(&self.active.file, put.at);
        self.is_dead |= cut.is_err();
        cut
    }

    /// What lies behind the end now would stand before the next group.
    fn failed_write<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        at: u64,
        error: DiskError,
    ) -> DiskError {
        match disk.truncate(&self.active.file, at) {
            Ok(()) if matches!(error, DiskError::Full) => {}
            Ok(()) => self.is_dead = true,
            Err(error) => {
                self.is_dead = true;
                return error;
            }
        }
        error
    }

    /// Syncs what was written. When it has answered, that survives the loss of power.
    ///
    /// # Errors
    /// What the disk says, and then it is the log's end: nobody knows what lies on the disk.
    pub fn sync<D: Disk<File = F>>(&mut self, disk: &mut D) -> Result<(), DiskError> {
        self.alive()?;
        if self.active.synced == self.active.segment.bytes {
            return Ok(());
        }
        if let Err(error) = disk.sync(&self.active.file) {
            self.is_dead = true;
            return Err(error);
        }
        self.active.synced = self.active.segment.bytes;
        self.unsynced_events = 0;
        let mark = mark_bytes(self.active.segment.number, self.active.synced, self.salt);
        match disk.write_at(&self.mark, 0, &mark) {
            // It only tells a torn end from a rotten one.
            Ok(()) | Err(DiskError::Full) => Ok(()),
            Err(error) => {
                self.is_dead = true;
                Err(error)
            }
        }
    }

    /// Seals the segment and begins the next one.
    fn roll<D: Disk<File = F>>(&mut self, disk: &mut D) -> Result<(), DiskError> {
        self.sync(disk)?;
        let number = self.active.segment.number + 1;
        let name = path(&self.folder, &Segment::file_name(number));
        // Left of an attempt for which there was no room.
        match disk.remove(&name) {
            Ok(()) | Err(DiskError::Missing) => {}
            Err(error) => return Err(error),
        }
        let file = disk.create(&name)?;
        disk.sync_folder(&self.folder)?;
        let next = Active { segment: Segment::new(number), file, synced: 0 };
        let sealed = std::mem::replace(&mut self.active, next).segment;
        let settled = settle(disk, &self.folder, self.salt, (&sealed, &self.keys));
        self.keys.forget_deletes();
        self.sealed.push(sealed);
        settled
    }

    /// Syncs, and leaves everything as the next start has it quickest.
    ///
    /// # Errors
    /// What the disk says.
    pub fn close<D: Disk<File = F>>(mut self, disk: &mut D) -> Result<(), DiskError> {
        self.sync(disk)?;
        disk.sync(&self.mark)?;
        settle(disk, &self.folder, self.salt, (&self.active.segment, &self.keys))
    }

    pub(super) fn alive(&self) -> Result<(), DiskError> {
        if self.is_dead {
            let error = std::io::Error::other("the log has failed before and is closed");
            return Err(DiskError::Failed(error));
        }
        Ok(())
    }
}

/// Cuts a torn end, and syncs what is left: whoever was killed before may not have, and from now on the segment counts as closed.
fn secure<D: Disk>(disk: &mut D, folder: &str, found: &Recovered) -> Result<(), DiskError> {
    let Some(newest) = found.segments.last() else { return Ok(()) };
    let file = match disk.open(&path(folder, &Segment::file_name(newest.number))) {
        Err(DiskError::Missing) => return Ok(()),
        opened => opened?,
    };
    if let Some(torn) = found.torn {
        disk.truncate(&file, torn.from)?;
    }
    disk.sync(&file)
}

/// Takes a segment and its index away.
pub(super) fn unlink<D: Disk>(disk: &mut D, folder: &str, number: u64) -> Result<(), DiskError> {
    for name in [Segment::index_name(number), Segment::file_name(number)] {
        match disk.remove(&path(folder, &name)) {
            Ok(()) | Err(DiskError::Missing) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a closed segment's index, or takes away an empty one. An index for which there is no room is none: the segment is gone through instead.
pub(super) fn settle<D: Disk>(
    disk: &mut D,
    folder: &str,
    salt: u32,
    (segment, keys): (&Segment, &Keys),
) -> Result<(), DiskError> {
    if segment.bytes == 0 {
        return match disk.remove(&path(folder, &Segment::file_name(segment.number))) {
            Ok(()) | Err(DiskError::Missing) => Ok(()),
            Err(error) => Err(error),
        };
    }
    let name = Segment::index_name(segment.number);
    match replace(disk, (folder, &name), &segment.to_index(salt, keys)) {
        Ok(()) | Err(DiskError::Full) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Offsets that topics are to leave out whose newest event lies in this segment.
fn skipped(skips: &[Skip], segment: u64) -> u64 {
    skips.iter().filter(|skip| skip.segment > segment).map(|skip| skip.offsets).sum()
}

/// What is to be left out from now on, so that no offset that was lost is given again.
fn skip_of(found: &Recovered, skips: &[Skip], lost_power: bool, number: u64) -> Option<Skip> {
    let unknown = found.rotten().filter(|(segment, rotten)| {
        !rotten.is_known && !skips.iter().any(|skip| skip.segment > *segment)
    });
    let unknown_bytes: Option<u64> =
        unknown.map(|(_, rotten)| rotten.to - rotten.from).reduce(|sum, bytes| sum + bytes);
    let offsets = match (lost_power, unknown_bytes) {
        (false, None) => return None,
        (_, bytes) => LOG_UNSYNCED_EVENTS_MAX + bytes.unwrap_or(0) * LOG_SKIP_PER_BYTE,
    };
    Some(Skip { segment: number, offsets })
}

/// Records in runs of which each fits a block.
pub(super) fn cut(records: &[Record]) -> impl Iterator<Item = &[Record]> {
    let mut rest = records;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(LOG_BLOCK_EVENTS_MAX).take_while(|record| {
            let is_first = bytes == 0;
            bytes += record.weight_bytes();
            is_first || bytes <= LOG_BLOCK_BYTES
        });
        let (run, left) = rest.split_at(fits.count());
        rest = left;
        (!run.is_empty()).then_some(run)
    })
}
