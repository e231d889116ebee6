//! The store as a state machine: runs of homes go in, and what became of them comes out; the past is read page by page.
//!
//! Time and answers are arguments: whoever calls it owns the thread, the clock and the lanes. Invariants, besides those of [`asks`](super::asks): what is answered as stored
//! was written, what is answered as synced was synced; a run is written to all of its classes or to none; writing, syncing, reading and letting go take turns, so that none of them
//! waits longer than one step of each of the others takes. After an error of a kind that is no want of room it must not be called again.

mod befores;
mod group;
mod notes;
mod opening;
mod reading;
mod retention;
mod sessions;

use std::collections::VecDeque;

pub use group::SyncPolicy;
pub use opening::Opened;
pub use opening::Setup;
pub use opening::StoredClass;

use self::sessions::SessionsKept;
use super::asks::Answer;
use super::asks::Append;
use super::asks::Fault;
use super::asks::NoteAsk;
use super::asks::PageAnswer;
use super::asks::PageAsk;
use super::log::Disk;
use super::log::DiskError;
use super::log::Folder;
use super::log::Kept;
use super::log::Ledger;
use super::log::Manifest;
use crate::event::ShardId;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::limits::STORE_GROUP_BYTES_MAX;
use crate::limits::STORE_GROUP_EVENTS_MAX;
use crate::limits::STORE_PAGES_ASKED_MAX;
use crate::limits::STORE_TIDY_LATE_US;

/// An answer, and the shard that it is for.
pub type Outcome = (ShardId, Answer);

/// What is counted of a store. Counters count from the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub events: u64,
    /// Bytes of what was written, with everything around the events.
    pub bytes: u64,
    pub groups: u64,
    pub syncs: u64,
    /// Microseconds that writing and syncing took, as whoever has a clock measures it.
    pub write_us: u64,
    pub sync_us: u64,
    /// Runs that were refused because there was no room.
    pub refused_full: u64,
    /// 1: the last group that was tried found no room.
    pub is_full: u64,
    pub pages: u64,
    pub pages_events: u64,
    /// Pages that could not be read, and groups whose deletes' last events could not be looked up.
    pub pages_failed: u64,
    /// Blocks that were read for pages: many who read the same part of the past cost one reading of it.
    pub blocks_read: u64,
    /// Events that cannot be read any more.
    pub corrupt: u64,
    pub segments_let_go: u64,
    /// Bytes of all segments.
    pub held_bytes: u64,
    pub held_segments: u64,
    /// Bytes of what was read of late.
    pub shelf_bytes: u64,
    /// Runs that wait to be written.
    pub runs_waiting: u64,
    /// Events that are written and not synced.
    pub unsynced_events: u64,
}

/// A class of topics that are kept alike.
#[derive(Debug)]
struct KeeperClass {
    patterns: Vec<TopicPattern>,
    sync: SyncPolicy,
    /// Which of `kept` is its log.
    kept: usize,
    /// When what is not synced has to be, in microseconds of a clock that never goes back.
    due_us: Option<u64>,
    /// Of each shard the oldest run that is written and not synced.
    unsynced: Vec<Option<u64>>,
}

/// What is known of a shard's runs.
#[derive(Clone, Copy, Debug, Default)]
struct Home {
    attempt: u32,
    stored: u64,
    synced: u64,
    /// The newest stamp that was stored.
    stamped_us: u64,
}

/// A store.
#[derive(Debug)]
pub struct Keeper<D: Disk> {
    disk: D,
    manifest: Manifest,
    lost_power: bool,
    kept: Vec<Kept<D::File>>,
    classes: Vec<KeeperClass>,
    homes: Vec<Home>,
    waiting: VecDeque<Append>,
    /// Asks that wait, the oldest first.
    pages: VecDeque<PageAsk>,
    ledger: Ledger<D::File>,
    /// Notes that wait to be kept.
    notes: Vec<NoteAsk>,
    sessions: SessionsKept<D::File>,
    /// When segments are looked at again that may be let go of, and room if there was none.
    tidy_us: u64,
    turn: Turn,
    figures: Figures,
}

/// What may be done next, besides keeping notes: each in its turn, so that none waits for another that has always something to do.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Write,
    Sync,
    Read,
    Sessions,
    LetGo,
}

impl Turn {
    const fn next(self) -> Self {
        match self {
            Self::Write => Self::Sync,
            Self::Sync => Self::Read,
            Self::Read => Self::Sessions,
            Self::Sessions => Self::LetGo,
            Self::LetGo => Self::Write,
        }
    }

    /// Each once, this one first.
    const fn in_order(self) -> [Self; 5] {
        let (second, third) = (self.next(), self.next().next());
        [self, second, third, third.next(), third.next().next()]
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// Something: there may be more to do.
    Did,
    /// Nothing is to be done before this moment, unless something comes.
    Idle { until_us: u64 },
}

impl<D: Disk> Keeper<D> {
    /// Takes a run in; it is written by one of the next steps.
    pub fn append(&mut self, append: Append) {
        let home = &self.homes[append.shard.index()];
        // Those of an attempt that was refused were on their way, and their offsets belong to others now.
        if append.attempt >= home.attempt {
            self.waiting.push_back(append);
        }
    }

    /// Whether there is room for further runs: not more than two groups of them wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.len() < STORE_GROUP_EVENTS_MAX
            && self.waiting_bytes() < 2 * STORE_GROUP_BYTES_MAX
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting
            .iter()
            .flat_map(|append| &append.events)
            .map(|event| event.weight_bytes())
            .sum()
    }

    /// Takes a request to read in; answers at once that there are too many.
    pub fn ask(&mut self, ask: PageAsk, out: &mut Vec<Outcome>) {
        if self.pages.len() >= STORE_PAGES_ASKED_MAX {
            out.push(failed(&ask, Fault::Busy));
        } else {
            self.pages.push_back(ask);
        }
    }

    /// Does one thing: keeps notes; or else, in turn, writes what waits, syncs what is due, reads a page for a shard that has room for it, keeps sessions, lets go of a segment. Answers go to `out`.
    /// `now_us` never goes back; `wall_us` is the time of day.
    ///
    /// # Errors
    /// The disk failed in a way after which nobody knows what lies on it: the process has to end.
    pub fn step(
        &mut self,
        (now_us, wall_us): (u64, u64),
        has_room: impl Fn(ShardId) -> bool,
        out: &mut Vec<Outcome>,
    ) -> Result<Stepped, DiskError> {
        if !self.notes.is_empty() {
            self.keep_notes(wall_us / 1_000_000, out)?;
            return Ok(Stepped::Did);
        }
        for turn in self.turn.in_order() {
            let did = match turn {
                Turn::Write if self.waiting.is_empty() => false,
                Turn::Write => self.write_group(now_us, out).map(|()| true)?,
                Turn::Sync => self.sync_due(now_us, out)?,
                Turn::Read => self.read_next(&has_room, out)?,
                Turn::Sessions if !self.sessions.is_waiting() => false,
                Turn::Sessions => self.sessions.keep(&mut self.disk, out).map(|()| true)?,
                Turn::LetGo => self.tidies_us() <= now_us && self.tidy((now_us, wall_us))?,
            };
            if did {
                self.turn = turn.next();
                return Ok(Stepped::Did);
            }
        }
        let due = self.classes.iter().filter_map(|class| class.due_us);
        Ok(Stepped::Idle { until_us: due.fold(self.tidies_us(), u64::min) })
    }

    /// When the keeper looks for segments that may go. While somebody reads they stay, but not for long: the disk would fill up.
    fn tidies_us(&self) -> u64 {
        let late_us = if self.pages.is_empty() { 0 } else { STORE_TIDY_LATE_US };
        self.tidy_us.saturating_add(late_us)
    }

    /// Writes and syncs everything that waits, and leaves the folder in order; hands back the disk. What was asked and not read is told that it will not be.
    ///
    /// # Errors
    /// What the disk says; then the next start finds a folder that was not left in order.
    pub fn close(mut self, now_us: u64, out: &mut Vec<Outcome>) -> Result<D, DiskError> {
        while !self.waiting.is_empty() {
            self.write_group(now_us, out)?;
        }
        self.sync_all(out)?;
        notes::refuse(&std::mem::take(&mut self.notes), out);
        self.sessions.refuse(out);
        for ask in std::mem::take(&mut self.pages) {
            out.push(failed(&ask, Fault::Closing));
        }
        let Self { mut disk, manifest, kept, lost_power, homes, .. } = self;
        if !kept.is_empty() {
            let logs = kept.into_iter().map(|kept| kept.log).collect();
            Folder { manifest, logs, found: Vec::new(), lost_power }.close(&mut disk)?;
        }
        for shard in 0..homes.len() {
            let shard = ShardId(u16::try_from(shard).expect("shards are few"));
            out.push((shard, Answer::Closed));
        }
        Ok(disk)
    }

    /// What has been counted, without what would have to be gone through for it.
    #[must_use]
    pub const fn counts(&self) -> &Figures {
        &self.figures
    }

    /// What has been counted.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let logs = || self.kept.iter().map(|kept| &kept.log);
        let shelves = self.kept.iter().map(|kept| kept.shelf.bytes() as u64);
        Figures {
            corrupt: logs().map(super::log::Log::lost_events).sum(),
            held_bytes: logs().map(super::log::Log::bytes).sum(),
            held_segments: logs().map(|log| log.sealed().len() as u64 + 1).sum(),
            shelf_bytes: shelves.sum(),
            blocks_read: self.kept.iter().map(|kept| kept.shelf.blocks_read()).sum(),
            runs_waiting: self.waiting.len() as u64,
            unsynced_events: logs().map(super::log::Log::unsynced_events).sum(),
            ..self.figures
        }
    }

    /// The epoch of all offsets in the folder.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.manifest.epoch
    }

    /// The keeper's disk.
    pub const fn disk(&self) -> &D {
        &self.disk
    }

    /// The keeper's disk, for tests that make it worse.
    pub const fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }

    /// The keeper's disk, when the keeper is not needed any more.
    pub fn into_disk(self) -> D {
        self.disk
    }

    fn class_of(&self, topic: &TopicName) -> usize {
        let is_of =
            |class: &KeeperClass| class.patterns.iter().any(|pattern| pattern.matches(topic));
        // The home of a topic that none of them matches hands nothing on.
        self.classes.iter().position(is_of).unwrap_or(0)
    }
}

fn failed(ask: &PageAsk, fault: Fault) -> Outcome {
    (ask.shard, Answer::Page(Box::new(PageAnswer { ticket: ask.ticket, result: Err(fault) })))
}
