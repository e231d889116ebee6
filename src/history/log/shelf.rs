//! What of a class's log has been read of late: open segments, where their blocks lie, and blocks unpacked, so that many who read the same minute cost one reading.
//!
//! Invariants: `bytes <= bytes_max` after every call, but for the block that was asked for last; at most `LOG_SEGMENTS_OPEN_MAX` segments are open. What stands here is what the
//! log holds, or nothing: a block that cannot be read is said to be rotten, never guessed at.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use super::block::BACK;
use super::block::FRONT;
use super::block::HEAD_BYTES;
use super::block::Head;
use super::class::Log;
use super::directory::Directory;
use super::directory::DirectoryEntry;
use super::disk::Disk;
use super::disk::DiskError;
use super::disk::path;
use super::record::Part;
use super::record::Record;
use super::segment::Segment;
use crate::event::Event;
use crate::event::Fields;
use crate::event::HomeId;
use crate::event::TopicName;
use crate::limits::LOG_SEGMENTS_OPEN_MAX;

/// Which shard a topic is at home on now; blocks say which it was when they were written.
pub type HomeOf = Arc<dyn Fn(&TopicName) -> HomeId + Send + Sync>;

/// A block, as far as it has been unpacked.
#[derive(Debug)]
pub(super) struct Shelved {
    pub(super) parts: Vec<Part>,
    /// The home of each part's topic now.
    pub(super) homes: Vec<HomeId>,
    /// Each event with the part that it belongs to; empty until one of them is wanted.
    pub(super) events: Vec<(u32, Arc<Event>)>,
}

impl Shelved {
    pub(super) fn weight_bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(|part| part.topic.as_str().len()).sum();
        let events: usize = self.events.iter().map(|(_, event)| event.weight_bytes()).sum();
        let each = size_of::<Part>() + size_of::<HomeId>();
        parts + events + self.parts.len() * each + size_of::<Self>() + TABLES_BYTES
    }
}

/// Bytes of a block's entries in the tables of this file.
const TABLES_BYTES: usize = 160;

/// What a block turned out to be.
#[derive(Debug)]
pub(super) enum Fetched {
    Block(Arc<Shelved>),
    /// The block cannot be read: what it held is lost.
    Rotten,
}

/// Where a block lies: its segment, and where in it.
type BlockKey = (u64, u64);

/// What has been read of late.
pub struct Shelf<F> {
    home_of: HomeOf,
    bytes_max: usize,
    bytes: usize,
    /// Segments that are open, the one that was asked for last behind.
    open: Vec<(u64, F, Directory)>,
    blocks: HashMap<BlockKey, (u64, Arc<Shelved>), foldhash::fast::RandomState>,
    /// Blocks by when they were last asked for.
    by_use: BTreeMap<u64, BlockKey>,
    uses: u64,
    blocks_read: u64,
    /// Up to which segment, and what outlived it.
    carried: Option<(u64, Arc<Shelved>)>,
}

impl<F> std::fmt::Debug for Shelf<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shelf").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl<F: std::fmt::Debug> Shelf<F> {
    /// An empty one, for so many bytes.
    pub fn new(home_of: HomeOf, bytes_max: usize) -> Self {
        Self {
            home_of,
            bytes_max,
            bytes: 0,
            open: Vec::new(),
            blocks: HashMap::default(),
            by_use: BTreeMap::new(),
            uses: 0,
            blocks_read: 0,
            carried: None,
        }
    }

    /// Another one, empty, for so many bytes.
    pub(super) fn emptied(&self, bytes_max: usize) -> Self {
        Self::new(Arc::clone(&self.home_of), bytes_max)
    }

    /// Which home a topic has now.
    pub(super) fn home_of(&self, topic: &TopicName) -> HomeId {
        (self.home_of)(topic)
    }

    /// What outlived its segments, in the order of the stamps.
    pub(super) fn carried(&mut self, log: &Log<F>) -> Arc<Shelved> {
        let upto = log.carried.upto;
        if let Some((of, shelved)) = &self.carried
            && *of == upto
        {
            return Arc::clone(shelved);
        }
        let mut shelved = Shelved { parts: Vec::new(), homes: Vec::new(), events: Vec::new() };
        for record in log.carried.last() {
            if shelved.parts.last().is_none_or(|part| part.topic != record.topic) {
                shelved.homes.push(self.home_of(&record.topic));
                shelved.parts.push(Part {
                    topic: record.topic.clone(),
                    previous: 0,
                    last: u64::MAX,
                    count: 0,
                    last_us: u64::MAX,
                });
            }
            let index = shelved.parts.len() - 1;
            let event = event_of(record.clone(), shelved.homes[index]);
            shelved.events.push((u32::try_from(index).expect("topics are fewer"), Arc::new(event)));
        }
        shelved.events.sort_by_key(|(_, event)| event.time_us);
        let shelved = Arc::new(shelved);
        self.carried = Some((upto, Arc::clone(&shelved)));
        shelved
    }

    /// Bytes that it holds.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Blocks that were read from the disk.
    #[must_use]
    pub const fn blocks_read(&self) -> u64 {
        self.blocks_read
    }

    /// Segments up to this one are gone.
    pub fn forget(&mut self, upto: u64) {
        self.open.retain(|(number, _, directory)| {
            let stays = *number > upto;
            self.bytes -= if stays { 0 } else { directory.weight_bytes() };
            stays
        });
        let gone: Vec<u64> = self
            .by_use
            .iter()
            .filter(|(_, place)| place.0 <= upto)
            .map(|(used, _)| *used)
            .collect();
        gone.into_iter().for_each(|used| self.drop_block(used));
    }

    /// The entries of a segment, as far as it is written; `None`: it is not there.
    pub(super) fn directory<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        log: &Log<F>,
        number: u64,
    ) -> Result<Option<&Directory>, DiskError> {
        let Some(bytes) = log.segment(number).map(|segment| segment.bytes) else { return Ok(None) };
        match self.open.iter().rposition(|(open, ..)| *open == number) {
            Some(place) if place + 1 == self.open.len() => {}
            Some(place) => {
                let opened = self.open.remove(place);
                self.open.push(opened);
            }
            None => {
                let file = match disk.open(&path(&log.folder, &Segment::file_name(number))) {
                    Ok(file) => file,
                    Err(DiskError::Missing) => return Ok(None),
                    Err(error) => return Err(error),
                };
                self.open.push((number, file, Directory::default()));
                self.bytes += Directory::default().weight_bytes();
            }
        }
        let (_, file, directory) = self.open.last_mut().expect("it has just been put there");
        let before = directory.weight_bytes();
        let extended = directory.extend(disk, file, (log.salt, number, bytes));
        self.bytes = self.bytes + directory.weight_bytes() - before;
        extended?;
        self.shrink();
        Ok(self.open.last().map(|(.., directory)| directory))
    }

    /// A block. `wants`: whether it is to be unpacked, by what it holds of each topic.
    pub(super) fn fetch<D: Disk<File = F>>(
        &mut self,
        disk: &mut D,
        log: &Log<F>,
        (number, entry): (u64, DirectoryEntry),
        wants: impl Fn(&Part, HomeId) -> bool,
    ) -> Result<Fetched, DiskError> {
        let wants = |shelved: &Shelved| {
            shelved.parts.iter().zip(&shelved.homes).any(|(part, home)| wants(part, *home))
        };
        if let Some(shelved) = self.find((number, entry.at))
            && (!shelved.events.is_empty() || !wants(&shelved))
        {
            return Ok(Fetched::Block(shelved));
        }
        if self.directory(disk, log, number)?.is_none() {
            return Ok(Fetched::Rotten);
        }
        let (_, file, _) = self.open.last().expect("it has just been put there");
        let mut block = vec![0; entry.bytes as usize];
        let read = disk.read_at(file, entry.at, &mut block)?;
        self.blocks_read += 1;
        block.truncate(read);
        let Some(shelved) = self.unpack(log.salt, number, &block, wants) else {
            return Ok(Fetched::Rotten);
        };
        let shelved = Arc::new(shelved);
        self.keep((number, entry.at), &shelved);
        Ok(Fetched::Block(shelved))
    }

    fn unpack(
        &self,
        salt: u32,
        number: u64,
        block: &[u8],
        wants: impl Fn(&Shelved) -> bool,
    ) -> Option<Shelved> {
        let back = block.get(block.len().checked_sub(HEAD_BYTES)?..)?;
        let head = Head::parse(block, FRONT, salt, number)
            .or_else(|| Head::parse(back, BACK, salt, number))?;
        let of = |parts: Vec<Part>| {
            let homes = parts.iter().map(|part| (self.home_of)(&part.topic)).collect();
            Shelved { parts, homes, events: Vec::new() }
        };
        let summary = match head.summary(block, salt).map(&of) {
            Some(shelved) if !wants(&shelved) => return Some(shelved),
            summary => summary,
        };
        let body = head.body(block, salt)?;
        // Going through the records once more for what the summary says would be a third of what reading the body takes.
        let mut shelved = match summary.filter(|shelved| body.has_topics_of(&shelved.parts)) {
            Some(shelved) => shelved,
            None => of(body.parts()?),
        };
        let mut events = Vec::with_capacity(head.event_count as usize);
        let is_whole = body.each(|record| {
            let index = record.topic_index;
            let event = event_of(record.to_record(), shelved.homes[index]);
            events.push((u32::try_from(index).expect("a block has fewer topics"), Arc::new(event)));
        });
        shelved.events = events;
        is_whole.then_some(shelved)
    }

    fn find(&mut self, place: BlockKey) -> Option<Arc<Shelved>> {
        let (used, shelved) = self.blocks.get_mut(&place)?;
        self.by_use.remove(used);
        self.uses += 1;
        *used = self.uses;
        self.by_use.insert(self.uses, place);
        Some(Arc::clone(shelved))
    }

    fn keep(&mut self, place: BlockKey, shelved: &Arc<Shelved>) {
        if let Some((used, _)) = self.blocks.get(&place) {
            self.drop_block(*used);
        }
        self.uses += 1;
        self.bytes += shelved.weight_bytes();
        self.by_use.insert(self.uses, place);
        self.blocks.insert(place, (self.uses, Arc::clone(shelved)));
        self.shrink();
    }

    fn drop_block(&mut self, used: u64) {
        if let Some((_, shelved)) =
            self.by_use.remove(&used).and_then(|place| self.blocks.remove(&place))
        {
            self.bytes -= shelved.weight_bytes();
        }
    }

    /// Keeps within its bound: blocks that were not asked for the longest go first, then segments.
    fn shrink(&mut self) {
        while self.open.len() > LOG_SEGMENTS_OPEN_MAX {
            self.bytes -= self.open.remove(0).2.weight_bytes();
        }
        while self.bytes > self.bytes_max
            && self.by_use.len() > 1
            && let Some((used, _)) = self.by_use.first_key_value()
        {
            self.drop_block(*used);
        }
        while self.bytes > self.bytes_max && self.open.len() > 1 {
            self.bytes -= self.open.remove(0).2.weight_bytes();
        }
    }
}

/// The event that a record is, at its topic's home of today.
#[must_use]
pub fn event_of(record: Record, home: HomeId) -> Event {
    let Record { topic, previous, offset, time_us, op, key, payload, before, meta } = record;
    let before = before.map(|before| {
        Arc::new(Event {
            topic: topic.clone(),
            key: Arc::clone(&key),
            op: before.op,
            home,
            offset: before.offset,
            previous: before.offset.saturating_sub(1),
            time_us: before.time_us,
            payload: before.payload,
            fields: Fields::default(),
            before: None,
            meta: None,
        })
    });
    let fields = Fields::default();
    Event { topic, key, op, home, offset, previous, time_us, payload, fields, before, meta }
}

/// The record of an event.
#[must_use]
pub fn record_of(event: &Event) -> Record {
    let before = event.before.as_deref().map(|before| {
        Box::new(super::record::Before {
            offset: before.offset,
            time_us: before.time_us,
            op: before.op,
            payload: before.payload.clone(),
        })
    });
    Record {
        topic: event.topic.clone(),
        previous: event.previous,
        offset: event.offset,
        time_us: event.time_us,
        op: event.op,
        key: Arc::clone(&event.key),
        payload: event.payload.clone(),
        before,
        meta: event.meta.clone(),
    }
}
