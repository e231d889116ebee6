//! Groups: what came while the last one was written is written together, and synced as its classes want it.
//!
//! Invariants: a group is written to all of its classes or to none; a home's answers go up, run by run, and nothing is answered as synced while any class holds something of
//! that run which is not.

use std::collections::VecDeque;

use super::Keeper;
use super::KeeperClass;
use super::Outcome;
use super::befores;
use super::befores::find_befores;
use super::befores::lacks_before;
use crate::event::ShardId;
use crate::history::asks::Answer;
use crate::history::asks::Append;
use crate::history::asks::Refusal;
use crate::history::log::Disk;
use crate::history::log::DiskError;
use crate::history::log::Record;
use crate::history::log::record_of;
use crate::limits::STORE_BEFORES_MAX;
use crate::limits::STORE_GROUP_BYTES_MAX;
use crate::limits::STORE_GROUP_EVENTS_MAX;

/// When what was written is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// With each group.
    Always,
    /// So many microseconds after the first event that is not.
    Every { us: u64 },
    /// When somebody waits for it, when so much is unsynced that it must be, and at the end.
    Off,
}

/// What each home ordered of one class in a group.
type Parts = Vec<(ShardId, Vec<Record>)>;

impl<D: Disk> Keeper<D> {
    /// Writes the next group.
    pub(super) fn write_group(
        &mut self,
        now_us: u64,
        out: &mut Vec<Outcome>,
    ) -> Result<(), DiskError> {
        let mut group = next_group(&mut self.waiting);
        let befores = find_befores(&mut self.disk, &mut self.kept, &mut group);
        self.figures.pages_failed += u64::from(befores.is_err());
        let befores = befores.unwrap_or_default();
        let mut parts: Vec<Parts> = self.classes.iter().map(|_| Vec::new()).collect();
        for append in &group {
            for event in &append.events {
                let class = if self.classes.len() > 1 { self.class_of(&event.topic) } else { 0 };
                let parts = &mut parts[class];
                match parts.iter_mut().find(|(shard, _)| *shard == append.shard) {
                    Some((_, records)) => records.push(record_of(event)),
                    None => parts.push((append.shard, vec![record_of(event)])),
                }
            }
        }
        match self.write_parts(&parts) {
            Ok(()) => {}
            Err(DiskError::Full) => {
                self.figures.is_full = 1;
                self.refuse(&group, out);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.figures.is_full = 0;
        self.figures.groups += 1;
        self.stored(&group, &parts, now_us);
        say_stored(&group, &befores, out);
        Ok(())
    }

    /// Writes to each class what is its own, or to none of them.
    fn write_parts(&mut self, parts: &[Parts]) -> Result<(), DiskError> {
        let mut written = Vec::new();
        let mut failed = None;
        for (index, parts) in parts.iter().enumerate().filter(|(_, parts)| !parts.is_empty()) {
            let log = &mut self.kept[self.classes[index].kept].log;
            match log.put(&mut self.disk, parts) {
                Ok(put) => written.push((index, put)),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        for (index, put) in written {
            let class = &self.classes[index];
            let log = &mut self.kept[class.kept].log;
            match failed {
                Some(_) => log.take_back(&mut self.disk, &put)?,
                None => {
                    self.figures.bytes += put.bytes();
                    log.keep(&put, &parts[index]);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Nothing of these runs was written, and nothing that is on its way behind them will be.
    fn refuse(&mut self, group: &[Append], out: &mut Vec<Outcome>) {
        for append in group {
            self.figures.refused_full += 1;
            let home = &mut self.homes[append.shard.index()];
            if append.attempt < home.attempt {
                continue;
            }
            home.attempt = append.attempt + 1;
            let (attempt, run, why) = (append.attempt, append.run, Refusal::Full);
            out.push((append.shard, Answer::Refused { attempt, run, why }));
        }
        let homes = &self.homes;
        self.waiting.retain(|append| append.attempt >= homes[append.shard.index()].attempt);
    }

    /// Notes it, and when it is to be synced.
    fn stored(&mut self, group: &[Append], parts: &[Parts], now_us: u64) {
        for append in group {
            self.figures.events += append.events.len() as u64;
            let home = &mut self.homes[append.shard.index()];
            home.stored = append.run;
            home.attempt = append.attempt;
            home.stamped_us = append.events.last().map_or(home.stamped_us, |event| event.time_us);
        }
        for (class, parts) in self.classes.iter_mut().zip(parts) {
            for (shard, _) in parts {
                let runs = group.iter().filter(|append| append.shard == *shard);
                let first = runs.map(|append| append.run).min();
                let unsynced = &mut class.unsynced[shard.index()];
                *unsynced = unsynced.or(first);
            }
            if !parts.is_empty() {
                let due_us = match class.sync {
                    SyncPolicy::Always => Some(now_us),
                    SyncPolicy::Every { us } => Some(now_us.saturating_add(us)),
                    SyncPolicy::Off => None,
                };
                class.due_us = earlier(class.due_us, due_us);
            }
        }
        for append in group.iter().filter(|append| append.wants_sync) {
            let shard = append.shard.index();
            for class in self.classes.iter_mut().filter(|class| class.unsynced[shard].is_some()) {
                class.due_us = Some(now_us);
            }
        }
    }

    /// Syncs one class for which that is due; false: none is.
    pub(super) fn sync_due(
        &mut self,
        now_us: u64,
        out: &mut Vec<Outcome>,
    ) -> Result<bool, DiskError> {
        let is_due = |class: &KeeperClass| class.due_us.is_some_and(|due_us| due_us <= now_us);
        let Some(index) = self.classes.iter().position(is_due) else { return Ok(false) };
        self.sync(index)?;
        self.say_synced(out);
        Ok(true)
    }

    /// Syncs every class.
    pub(super) fn sync_all(&mut self, out: &mut Vec<Outcome>) -> Result<(), DiskError> {
        for index in 0..self.classes.len() {
            self.sync(index)?;
        }
        self.say_synced(out);
        Ok(())
    }

    fn sync(&mut self, index: usize) -> Result<(), DiskError> {
        let class = &mut self.classes[index];
        self.kept[class.kept].log.sync(&mut self.disk)?;
        self.figures.syncs += 1;
        class.due_us = None;
        class.unsynced.fill(None);
        Ok(())
    }

    /// Tells each home up to where all of its runs are synced, if that is further than it was told.
    fn say_synced(&mut self, out: &mut Vec<Outcome>) {
        for (index, home) in self.homes.iter_mut().enumerate() {
            let unsynced = self.classes.iter().filter_map(|class| class.unsynced[index]).min();
            let run = unsynced.map_or(home.stored, |run| run - 1);
            if run > home.synced {
                home.synced = run;
                let shard = ShardId(u16::try_from(index).expect("shards are few"));
                out.push((shard, Answer::Synced { run }));
            }
        }
    }
}

/// Tells each home up to which run it was written, and what was looked up for that.
fn say_stored(group: &[Append], befores: &[befores::FoundBefore], out: &mut Vec<Outcome>) {
    for shard in shards_of(group) {
        let runs = group.iter().filter(|append| append.shard == shard);
        let Some(run) = runs.map(|append| append.run).max() else { continue };
        let own = befores.iter().filter(|(of, _)| *of == shard);
        let befores = own.map(|(_, found)| found.clone()).collect();
        out.push((shard, Answer::Stored { run, befores }));
    }
}

/// The runs that are written together: one at least.
fn next_group(waiting: &mut VecDeque<Append>) -> Vec<Append> {
    let (mut events, mut bytes, mut lacking) = (0, 0, 0);
    let fits = |append: &&Append| {
        let is_first = events == 0;
        events += append.events.len();
        bytes += append.events.iter().map(|event| event.weight_bytes()).sum::<usize>();
        lacking += append.events.iter().filter(|event| lacks_before(event)).count();
        let fits = events <= STORE_GROUP_EVENTS_MAX
            && bytes <= STORE_GROUP_BYTES_MAX
            && lacking <= STORE_BEFORES_MAX;
        is_first || fits
    };
    let count = waiting.iter().take_while(fits).count();
    waiting.drain(..count).collect()
}

fn shards_of(group: &[Append]) -> Vec<ShardId> {
    let mut shards: Vec<ShardId> = group.iter().map(|append| append.shard).collect();
    shards.sort_unstable();
    shards.dedup();
    shards
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
