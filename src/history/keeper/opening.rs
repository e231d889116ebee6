//! How a store begins: the folder is opened, and each home is told what it goes on from.
//!
//! Invariants: what a home is told holds for whatever number of shards there is now; a topic goes on behind every offset that anybody may have seen, in whichever class it
//! lay before. Nothing is read of the events themselves but the newest of their keys.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use super::Figures;
use super::Home;
use super::Keeper;
use super::KeeperClass;
use super::SyncPolicy;
use super::sessions::SessionsKept;
use crate::event::Homes;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::history::asks::Restored;
use crate::history::asks::RestoredTopic;
use crate::history::log;
use crate::history::log::Disk;
use crate::history::log::DiskError;
use crate::history::log::Folder;
use crate::history::log::FolderError;
use crate::history::log::HomeOf;
use crate::history::log::Kept;
use crate::history::log::Ledger;
use crate::history::log::LedgerBounds;
use crate::history::log::Limits;
use crate::history::log::Made;
use crate::history::log::Recovered;
use crate::history::log::Segment;
use crate::history::log::SessionBounds;
use crate::history::log::Sessions;
use crate::history::log::SessionsFault;
use crate::history::log::SessionsFound;
use crate::history::log::Shelf;

/// Topics that are kept alike, and how.
#[derive(Clone, Debug)]
pub struct StoredClass {
    /// As they were written: what the folder knows the class by.
    pub topics: Vec<String>,
    pub patterns: Vec<TopicPattern>,
    pub limits: Limits,
    pub sync: SyncPolicy,
}

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// None: nothing is kept but the ledger, and logs that lie in the folder stay as they are.
    pub classes: Vec<StoredClass>,
    pub homes: Homes,
    /// The machine's boot, and a random number for a folder that is new.
    pub boot: String,
    pub random: u64,
    /// Bytes of what was read of late.
    pub shelves_bytes_max: usize,
    /// Bytes that are taken to know which event of each key is its newest.
    pub keys_bytes_max: usize,
    /// Bytes of last events that outlive their segments.
    pub carried_bytes_max: usize,
    /// Bytes of last events that each home has room for.
    pub last_bytes_max: usize,
    pub ledger: LedgerBounds,
    /// Bytes that sessions may take in the folder, and in the table that finds them there.
    pub sessions_bytes_max: (u64, usize),
    /// Seconds since 1970: what the ledger remembers and is over by now is forgotten.
    pub now_s: u64,
}

/// What was found when a store was opened.
#[derive(Debug)]
pub struct Opened {
    /// What each shard's home goes on from, in their order.
    pub restored: Vec<Restored>,
    /// The machine lost power since, as far as one can tell.
    pub lost_power: bool,
    /// Bytes of a torn end that were cut off.
    pub torn_bytes: u64,
    /// Events that cannot be read any more, and blocks of which a head or a summary cannot.
    pub corrupt: u64,
    /// Blocks of which one head or the summary is rotten, and nothing is lost.
    pub mended: u64,
    pub segments: u64,
    /// Segments whose index was missing, so that each of their blocks was read.
    pub unindexed: u64,
    pub events: u64,
    /// The server had another number of shards.
    pub shards_before: Option<u16>,
    /// Sessions that are gone on with; and why others are not.
    pub sessions: usize,
    pub sessions_fault: Option<SessionsFault>,
    /// No topic is kept, and no log was looked at: only what was revoked.
    pub is_ledger_alone: bool,
}

impl<D: Disk> Keeper<D> {
    /// Opens the folder, and makes it if there is none.
    ///
    /// # Errors
    /// The folder is not ours to touch, or the disk fails.
    pub fn open(mut disk: D, setup: Setup) -> Result<(Self, Opened), FolderError> {
        let shards = setup.homes.shard_count();
        let count = setup.classes.len().max(1);
        let made = Made {
            boot: setup.boot,
            shards,
            random: setup.random,
            keys_bytes_max: (setup.keys_bytes_max / count).max(1),
            carried_bytes_max: setup.carried_bytes_max / count,
        };
        let classes: Vec<_> =
            setup.classes.iter().map(|class| (class.topics.clone(), class.limits)).collect();
        let shards_before = log::shards_of(&mut disk)?.filter(|before| *before != shards);
        let is_ledger_alone = classes.is_empty();
        let folder = match is_ledger_alone {
            true => Folder::without_logs(&mut disk, &made)?,
            false => Folder::open(&mut disk, &made, &classes)?,
        };
        let Folder { manifest, logs, found, lost_power } = folder;
        let ledger = Ledger::open(&mut disk, manifest.salt, setup.ledger, setup.now_s)?;
        let notes: Arc<[_]> = ledger.notes().collect();
        let of_sessions = (setup.sessions_bytes_max, shape_of(&setup.classes, shards));
        let (sessions, mut known) =
            open_sessions(&mut disk, (manifest.salt, lost_power), of_sessions)?;
        let of_sessions: Arc<[_]> = std::mem::take(&mut known.sessions).into();
        let homes = setup.homes.clone();
        let home_of: HomeOf = Arc::new(move |topic| homes.of(topic));
        let shelf_bytes = setup.shelves_bytes_max / logs.len().max(1);
        let kept: Vec<_> = logs
            .into_iter()
            .map(|log| Kept { log, shelf: Shelf::new(Arc::clone(&home_of), shelf_bytes) })
            .collect();
        let classes = setup.classes.into_iter().map(|class| KeeperClass {
            kept: manifest
                .classes
                .iter()
                .position(|known| known.topics == class.topics)
                .expect("the folder has made what it had not"),
            patterns: class.patterns,
            sync: class.sync,
            due_us: None,
            unsynced: vec![None; usize::from(shards)],
        });
        let mut keeper = Self {
            classes: classes.collect(),
            disk,
            manifest,
            lost_power,
            kept,
            homes: vec![Home::default(); usize::from(shards)],
            waiting: std::collections::VecDeque::new(),
            pages: std::collections::VecDeque::new(),
            ledger,
            notes: Vec::new(),
            sessions: SessionsKept::new(sessions),
            tidy_us: 0,
            turn: super::Turn::Write,
            figures: Figures::default(),
        };
        let mut restored = keeper.restore(&setup.homes, setup.last_bytes_max)?;
        for restored in &mut restored {
            restored.notes = Arc::clone(&notes);
            restored.sessions = Arc::clone(&of_sessions);
        }
        let stamped = restored.iter().map(|restored| restored.stamped_us);
        for (home, stamped_us) in keeper.homes.iter_mut().zip(stamped) {
            home.stamped_us = stamped_us;
        }
        let opened = keeper.opened(restored, &found, (of_sessions.len(), known.fault));
        let opened = Opened { shards_before, is_ledger_alone, ..opened };
        Ok((keeper, opened))
    }

    fn opened(
        &self,
        restored: Vec<Restored>,
        found: &[Recovered],
        (sessions, sessions_fault): (usize, Option<SessionsFault>),
    ) -> Opened {
        let torn = found.iter().filter_map(|found| found.torn);
        let is_used = |segment: &&Segment| segment.bytes > 0 || !segment.rotten.is_empty();
        let segments = found.iter().flat_map(|found| &found.segments).filter(is_used);
        let unindexed = found.iter().flat_map(|found| {
            let used = found.segments.iter().filter(is_used);
            used.filter(|segment| found.is_unindexed(segment.number))
        });
        Opened {
            restored,
            lost_power: self.lost_power,
            torn_bytes: torn.map(|torn| torn.to - torn.from).sum(),
            corrupt: self.figures().corrupt,
            mended: found.iter().map(|found| found.mended).sum(),
            segments: segments.clone().count() as u64,
            unindexed: unindexed.count() as u64,
            events: segments.map(|segment| segment.events).sum(),
            shards_before: None,
            sessions,
            sessions_fault,
            is_ledger_alone: false,
        }
    }

    /// What each shard's home of durable topics goes on from.
    fn restore(
        &mut self,
        homes: &Homes,
        last_bytes_max: usize,
    ) -> Result<Vec<Restored>, DiskError> {
        let stamped_us = self.kept.iter().map(|kept| kept.log.newest_us()).max().unwrap_or(0);
        let ceiling = self.kept.iter().map(|kept| kept.log.ceiling()).max().unwrap_or(0);
        let mut restored =
            vec![Restored { stamped_us, ceiling, ..Restored::default() }; self.homes.len()];
        // In whichever class it lay: the operator may have put it in another one since.
        let mut topics: BTreeMap<&TopicName, RestoredTopic> = BTreeMap::new();
        for (topic, known, ceiling) in self.kept.iter().flat_map(|kept| kept.log.known_topics()) {
            let other = topics.entry(topic).or_insert_with(|| RestoredTopic {
                topic: topic.clone(),
                newest: 0,
                ceiling: 0,
                newest_us: 0,
            });
            other.newest = other.newest.max(known.newest);
            other.newest_us = other.newest_us.max(known.newest_us);
            other.ceiling = other.ceiling.max(ceiling);
        }
        for (topic, known) in topics {
            if homes.is_durable(topic) {
                restored[homes.shard(homes.of(topic)).index()].topics.push(known);
            }
        }
        let shards = homes.shard_count();
        let (last, last_after_us) = log::newest_of_keys(
            &mut self.disk,
            &self.kept,
            |home| home.is_durable(shards),
            last_bytes_max.saturating_mul(restored.len()),
        )?;
        for event in last {
            restored[homes.shard(event.home).index()].last.push(event);
        }
        for restored in &mut restored {
            restored.last_after_us = last_after_us;
        }
        Ok(restored)
    }
}

/// The sessions of a folder.
fn open_sessions<D: Disk>(
    disk: &mut D,
    (salt, lost_power): (u32, bool),
    ((bytes_max, table_bytes_max), shape): ((u64, usize), u64),
) -> Result<(Sessions<D::File>, SessionsFound), DiskError> {
    Sessions::open(disk, salt, SessionBounds { bytes_max, table_bytes_max, shape, lost_power })
}

/// What two servers share only if a position of one of them means the same to the other.
fn shape_of(classes: &[StoredClass], shards: u16) -> u64 {
    let mut patterns: Vec<&str> =
        classes.iter().flat_map(|class| class.patterns.iter().map(TopicPattern::as_str)).collect();
    patterns.sort_unstable();
    foldhash::fast::FixedState::default().hash_one((patterns, shards))
}
