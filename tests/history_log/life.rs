//! Lives of a folder: groups are written, synced and let go of, the process is killed or the power goes, again and again.
//!
//! After each: what was acknowledged as durable is there, byte for byte; what was acknowledged as stored is, unless the power went; nothing is there that was not written; no offset that
//! anybody may have seen is given twice.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use fanwire::event::Op;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::history::log::DiskError;
use fanwire::history::log::Folder;
use fanwire::history::log::FolderError;
use fanwire::history::log::Limits;
use fanwire::history::log::Log;
use fanwire::history::log::Record;

use super::all;
use super::disk::Sim;
use super::made;
use super::random_meta;
use super::record;
use super::support::random::Random;
use super::support::seeds;

/// What one life knows.
struct Life {
    random: Random,
    disk: Sim,
    boot: u32,
    now_us: u64,
    /// What was acknowledged as durable, and as stored; the latter may be seen by subscribers.
    durable: Vec<Record>,
    stored: Vec<Record>,
    /// Written, and not acknowledged at all: may be there or not.
    open: Vec<Record>,
    /// The power went since the last start that came to its end.
    lost_power: bool,
    /// The newest offset of each topic that anybody may have seen.
    seen: BTreeMap<TopicName, u64>,
    limits: Limits,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let limits = Limits {
            segment_bytes: 1 << (9 + random.below(6)),
            bytes_max: if random.one_in(2) {
                u64::MAX
            } else {
                4_000 + random.below(20_000) as u64
            },
            topic_events_max: if random.one_in(2) { u64::MAX } else { 1 + random.below(20) as u64 },
            age_us_max: if random.one_in(2) { u64::MAX } else { 1 + random.below(500) as u64 },
        };
        Self {
            disk: Sim::new(seed ^ 0x5eed),
            boot: 0,
            now_us: 1_000,
            durable: Vec::new(),
            stored: Vec::new(),
            open: Vec::new(),
            lost_power: false,
            seen: BTreeMap::new(),
            limits,
            random,
        }
    }

    fn group(&mut self, log: &Log<usize>) -> Vec<(ShardId, Vec<Record>)> {
        let mut newest: BTreeMap<TopicName, (u64, u64)> = BTreeMap::new();
        let mut group = Vec::new();
        // The clock may have gone back.
        let mut time_us = self.now_us.max(log.newest_us());
        for home in 0..=u16::from(self.random.one_in(2)) {
            let is_long = self.random.one_in(8);
            let mut records = Vec::new();
            for _ in 0..=self.random.below(if is_long { 60 } else { 4 }) {
                time_us += 1 + self.random.below(3) as u64;
                let name = format!("topic/{home}/{}", self.random.below(5));
                let topic = TopicName::new(&name).unwrap();
                let of_log = log.newest_of(&topic);
                let (previous, behind) = *newest.get(&topic).unwrap_or(&of_log);
                let offset = behind + 1;
                newest.insert(topic, (offset, offset));
                let payload = format!(
                    r#"{{"n":{},"pad":"{}"}}"#,
                    self.random.next(),
                    "x".repeat(self.random.below(300))
                );
                let mut record = record(&name, previous, offset, time_us, &payload);
                record.key = Arc::from(format!("k{}", self.random.below(6)).as_str());
                if self.random.one_in(6) {
                    record.op = Op::Delete;
                }
                record.meta = random_meta(&mut self.random);
                records.push(record);
            }
            group.push((ShardId(home), records));
        }
        self.now_us = self.now_us.max(time_us);
        group
    }

    fn check_offsets(&mut self, records: &[Record]) {
        for record in records {
            let seen = self.seen.get(&record.topic).copied().unwrap_or(0);
            assert!(record.offset > seen, "{record:?} was given before: {seen}");
        }
    }

    fn see(&mut self, records: &[Record]) {
        for record in records {
            self.seen.insert(record.topic.clone(), record.offset);
        }
        self.stored.extend_from_slice(records);
    }

    /// From a start to its end; false: the disk failed on the way.
    fn run(&mut self) -> Result<(), DiskError> {
        let classes = [(vec!["**".to_owned()], self.limits)];
        let made = made(&format!("boot {}", self.boot));
        let mut folder = match Folder::open(&mut self.disk, &made, &classes) {
            Ok(folder) => folder,
            Err(FolderError::Disk(error)) => return Err(error),
            Err(error) => panic!("{error}"),
        };
        self.check(&folder.logs[0]);
        for _ in 0..self.random.below(14) {
            if self.random.one_in(6) {
                self.now_us = self.now_us.saturating_sub(self.random.below(400) as u64);
            }
            let log = &mut folder.logs[0];
            let group = self.group(log);
            let records: Vec<Record> =
                group.iter().flat_map(|(_, records)| records.clone()).collect();
            self.check_offsets(&records);
            let number = log.active().number;
            let written = log.write(&mut self.disk, &group);
            if log.active().number > number {
                // A segment is synced before the next one begins.
                self.durable.append(&mut self.stored);
            }
            match written {
                Ok(()) => self.see(&records),
                Err(DiskError::Full) => {
                    self.disk.room = usize::MAX;
                    continue;
                }
                Err(error) => {
                    self.open.extend(records);
                    return Err(error);
                }
            }
            if self.random.one_in(2) {
                log.sync(&mut self.disk)?;
                self.durable.append(&mut self.stored);
            }
            while self.random.one_in(2) && log.let_go(&mut self.disk, self.now_us)? {}
        }
        if self.random.one_in(3) {
            folder.close(&mut self.disk)?;
            self.durable.append(&mut self.stored);
            // What is left in order has nothing that could be lost.
            self.open.clear();
        }
        Ok(())
    }

    /// What is there against what is known.
    fn check(&mut self, log: &Log<usize>) {
        let read = all(&mut self.disk);
        let carried: Vec<Record> = log.carried().last().cloned().collect();
        let by_place = |records: &[Record]| -> HashMap<(TopicName, u64), Record> {
            let place = |record: &Record| (record.topic.clone(), record.offset);
            records.iter().map(|record| (place(record), record.clone())).collect()
        };
        let known = by_place(&[&self.durable[..], &self.stored, &self.open].concat());
        let held = by_place(&read);
        let is_held = |record: &Record| {
            held.get(&(record.topic.clone(), record.offset)).is_some_and(|held| held == record)
        };
        assert_eq!(held.len(), read.len(), "an event is there twice");
        for record in &read {
            let written = known.get(&(record.topic.clone(), record.offset));
            assert_eq!(written, Some(record), "something is read that was not written");
        }
        if !std::mem::take(&mut self.lost_power) {
            // The process alone was gone: what it had acknowledged as stored is there.
            self.durable.append(&mut self.stored);
        }
        // What is gone was let go of: whole segments, oldest first, so nothing newer than something that is there.
        let oldest_segment =
            log.sealed().first().map_or_else(|| log.active().number, |segment| segment.number);
        if log.carried().upto == 0 {
            assert!(self.durable.iter().all(is_held), "durable, and gone");
        } else {
            assert!(oldest_segment > log.carried().upto);
            let mut last: BTreeMap<_, &Record> = BTreeMap::new();
            for record in &self.durable {
                last.insert((record.topic.clone(), Arc::clone(&record.key)), record);
            }
            for record in last.values().filter(|record| record.op != Op::Delete) {
                let is_same = |other: &Record| {
                    (&other.topic, other.offset, &other.payload)
                        == (&record.topic, record.offset, &record.payload)
                };
                let superseded = |other: &&Record| {
                    other.topic == record.topic
                        && other.key == record.key
                        && other.offset > record.offset
                };
                assert!(
                    is_held(record)
                        || carried.iter().any(is_same)
                        || self.stored.iter().chain(&self.open).any(|other| superseded(&other)),
                    "the last event of its key is gone: {record:?}"
                );
            }
        }
        // Whatever is there will be there from now on.
        let kept: Vec<Record> = std::mem::take(&mut self.stored)
            .into_iter()
            .chain(std::mem::take(&mut self.open))
            .filter(is_held)
            .collect();
        self.durable.extend(kept);
    }
}

fn live(seed: u64) {
    let mut life = Life::new(seed);
    for _ in 0..6 {
        match life.random.below(8) {
            0 => life.disk.room = life.random.below(6_000),
            1 => life.disk.fails_in = Some(life.random.below(60) as u64),
            2..=4 => life.disk.killed_in = Some(life.random.below(60) as u64),
            _ => {}
        }
        let ended = life.run();
        life.disk.room = usize::MAX;
        let failed = life.disk.fails_in == Some(0) && ended.is_err();
        if life.random.one_in(2) || failed {
            life.disk.lose_power();
            life.lost_power = true;
            life.boot += 1;
        } else {
            life.disk.revive();
        }
    }
}

#[test]
fn whatever_happens_what_was_acknowledged_is_there_and_no_offset_is_given_twice() {
    seeds::hold(1..3_001, live);
}
