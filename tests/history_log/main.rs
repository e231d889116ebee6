//! The log against a disk that does its worst: tears, loses, reorders, fails, runs full, flips bits; by seeds, each of which is a whole life of a folder.

#![cfg(test)]
#![expect(clippy::cast_possible_truncation, reason = "numbers here are small")]

mod befores;
mod counted;
mod damage;
mod disk;
mod ledger;
mod life;
mod resume;
mod sessions;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use bytes::Bytes;

use fanwire::event::Meta;
use fanwire::event::Op;
use fanwire::event::Origin;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::TraceContext;
use fanwire::history::log::Before;
use fanwire::history::log::Disk;
use fanwire::history::log::Folder;
use fanwire::history::log::FolderError;
use fanwire::history::log::Found;
use fanwire::history::log::Limits;
use fanwire::history::log::Made;
use fanwire::history::log::ManifestError;
use fanwire::history::log::Record;
use fanwire::history::log::Scan;
use fanwire::history::log::Segment;
use fanwire::history::log::survey;

use support::random::Random;

/// What a class is opened with in these tests.
fn made(boot: &str) -> Made {
    Made {
        boot: boot.to_owned(),
        shards: 2,
        random: 0x1234_5678_9abc_def0,
        keys_bytes_max: 1 << 20,
        carried_bytes_max: 1 << 20,
    }
}

fn record(topic: &str, previous: u64, offset: u64, time_us: u64, payload: &str) -> Record {
    Record {
        topic: TopicName::new(topic).unwrap(),
        previous,
        offset,
        time_us,
        op: Op::Upsert,
        key: Arc::from("k"),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        before: None,
        meta: None,
    }
}

/// What a publisher may have said of an event besides; of most events nothing.
fn random_meta(random: &mut Random) -> Option<Arc<Meta>> {
    random.one_in(4).then(|| {
        Arc::new(Meta {
            publisher: if random.one_in(2) { random.next() } else { 0 },
            qos: random.below(3) as u8,
            is_retained: random.one_in(2),
            expiry_s: random.one_in(2).then(|| random.next() as u32),
            trace: random.one_in(2).then(|| random_trace(random)),
            origin: random.one_in(2).then(|| {
                let id = (0..random.below(50)).map(|_| random.next() as u8).collect();
                Box::new(Origin { source: random.next(), id })
            }),
            properties: (0..random.below(40)).map(|_| random.next() as u8).collect(),
        })
    })
}

fn random_trace(random: &mut Random) -> TraceContext {
    let text = format!("00-{:032x}-{:016x}-01", random.next() | 1, random.next() | 1);
    TraceContext::parse(text.as_bytes()).unwrap()
}

/// Every record of a folder, in the order in which it lies there.
fn all<D: Disk>(disk: &mut D) -> Vec<Record> {
    let mut records = Vec::new();
    let survey = survey(disk, false).unwrap();
    for (class, found, _) in &survey.classes {
        for segment in &found.segments {
            read_segment(disk, (class.id, survey.manifest.salt), segment, &mut records);
        }
    }
    records
}

fn read_segment<D: Disk>(
    disk: &mut D,
    (class, salt): (u32, u32),
    segment: &Segment,
    records: &mut Vec<Record>,
) {
    let name = format!("{class}/{}", Segment::file_name(segment.number));
    let Ok(file) = disk.open(&name) else { return };
    let len = disk.len(&file).unwrap();
    let mut scan = Scan::new(salt, segment.number, 0, len);
    while let Some(found) = scan.next(disk, &file).unwrap() {
        if let Found::Block(block) = found {
            records.extend(block.body.to_records().unwrap());
        }
    }
}

#[test]
fn what_is_written_comes_back_byte_for_byte() {
    let mut disk = disk::Sim::new(1);
    let mut folder =
        Folder::open(&mut disk, &made("a"), &[(vec!["**".into()], Limits::default())]).unwrap();
    let mut deleted = record("fleet/a", 1, 2, 12, r#"{ "gone" : 1 }"#);
    deleted.op = Op::Delete;
    deleted.before = Some(Box::new(Before {
        offset: 1,
        time_us: 10,
        op: Op::Event,
        payload: Bytes::from_static(b"{\"x\": 1.50}"),
    }));
    deleted.meta = Some(Arc::new(Meta {
        publisher: u64::MAX,
        qos: 2,
        is_retained: true,
        expiry_s: Some(60),
        trace: None,
        origin: None,
        properties: (*b"\x03\x00\x04text").into(),
    }));
    let first =
        vec![record("fleet/a", 0, 1, 10, r#"{"x": 1.50}"#), record("b", 7, 9, 11, "{}"), deleted];
    let mut second = vec![record("fleet/a", 2, 3, 11, r#"{"y":"é"}"#)];
    second[0].meta = Some(Arc::default());
    let group = [(ShardId(0), first.clone()), (ShardId(1), second.clone())];
    folder.logs[0].write(&mut disk, &group).unwrap();
    folder.logs[0].sync(&mut disk).unwrap();
    assert_eq!(all(&mut disk), [first, second].concat());
    assert_eq!(folder.logs[0].newest_of(&TopicName::new("b").unwrap()), (9, 9));
    folder.close(&mut disk).unwrap();
    let survey = survey(&mut disk, true).unwrap();
    assert!(survey.manifest.is_clean);
    let (_, found, _) = &survey.classes[0];
    assert_eq!((found.indexed, found.segments[0].events, found.segments[0].blocks), (1, 4, 2));
}

#[test]
fn an_event_as_large_as_it_may_be_fits_with_the_one_before_it() {
    let mut disk = disk::Sim::new(1);
    let mut folder =
        Folder::open(&mut disk, &made("a"), &[(vec!["**".into()], Limits::default())]).unwrap();
    let mut random = Random::new(3);
    let mut large =
        || Bytes::from_iter((0..fanwire::limits::PAYLOAD_BYTES_MAX).map(|_| random.next() as u8));
    let mut deleted = record("t", 1, 2, 2, "");
    (deleted.op, deleted.payload) = (Op::Delete, large());
    deleted.before =
        Some(Box::new(Before { offset: 1, time_us: 1, op: Op::Upsert, payload: large() }));
    let properties = large()[..fanwire::limits::META_BYTES_MAX].into();
    deleted.meta = Some(Arc::new(Meta { properties, ..Meta::default() }));
    let records = vec![record("t", 0, 1, 1, "{}"), deleted, record("t", 2, 3, 3, "{}")];
    folder.logs[0].write(&mut disk, &[(ShardId(0), records.clone())]).unwrap();
    assert_eq!(all(&mut disk), records);
}

#[test]
fn a_folder_of_a_later_format_is_not_touched() {
    let mut disk = disk::Sim::new(1);
    let text = "fanwire history 9\nnobody knows\n";
    let text = format!("{text}sum {:08x}\n", crc32c::crc32c(text.as_bytes()));
    disk.put("manifest", text.as_bytes());
    let before = disk.names();
    let error = Folder::open(&mut disk, &made("a"), &[]).unwrap_err();
    assert!(matches!(error, FolderError::Manifest(ManifestError::Newer { format: 9 })), "{error}");
    assert_eq!(disk.names(), before);
}
