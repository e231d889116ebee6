//! Truncation at every byte, and every single flipped bit, of a small log: what is read is right or said to be lost, and nothing is given twice.

use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::history::log::Folder;
use fanwire::history::log::Limits;
use fanwire::history::log::Record;
use fanwire::history::log::block::HEAD_BYTES;
use fanwire::history::log::survey;

use super::all;
use super::disk::Sim;
use super::made;
use super::record;

const SEGMENT: &str = "1/0000000000000001.log";

/// Groups of it, each of two blocks and three events.
const GROUPS: u64 = 4;

/// A log of a few groups, of two homes; it was killed, not closed.
fn small() -> (Sim, Vec<Record>) {
    let mut disk = Sim::new(1);
    let classes = [(vec!["**".to_owned()], Limits::default())];
    let mut folder = Folder::open(&mut disk, &made("a"), &classes).unwrap();
    let mut records = Vec::new();
    for number in 0..GROUPS {
        let payload =
            format!(r#"{{"number":{number},"text":"{}"}}"#, "abc".repeat(number as usize * 12));
        let home = vec![
            record("fleet/a", number, number + 1, 10 * number + 1, &payload),
            record(&format!("once/{number}"), 0, 1, 10 * number + 2, &payload),
        ];
        let other = vec![record("b", 2 * number, 2 * number + 2, 10 * number + 1, &payload)];
        let group = [(ShardId(0), home.clone()), (ShardId(1), other.clone())];
        folder.logs[0].write(&mut disk, &group).unwrap();
        folder.logs[0].sync(&mut disk).unwrap();
        records.extend(home);
        records.extend(other);
    }
    (disk, records)
}

/// Opens what is there and says what of `records` is missing; panics if anything else is read, if what is missing is not exactly what is said to be lost, or if an
/// offset would be given twice.
fn missing(disk: &mut Sim, records: &[Record]) -> usize {
    let found = survey(disk, false).unwrap().classes.remove(0).1;
    let read = all(disk);
    let gone: Vec<&Record> = records.iter().filter(|record| !read.contains(record)).collect();
    assert_eq!(read.len() + gone.len(), records.len(), "nothing is read that was not written");
    let is_said = |record: &&&Record| {
        found.rotten().flat_map(|(_, rotten)| &rotten.lost).any(|part| {
            part.topic == record.topic
                && part.previous < record.offset
                && record.offset <= part.last
        })
    };
    let unknown = found.rotten().any(|(_, rotten)| !rotten.is_known);
    let is_torn = found.torn.is_some();
    if !unknown && !is_torn {
        assert_eq!(gone.iter().filter(is_said).count(), gone.len(), "{gone:?} {found:?}");
    }
    let lost = found.rotten().flat_map(|(_, rotten)| &rotten.lost);
    for part in lost {
        let inside = records.iter().filter(|record| {
            record.topic == part.topic
                && part.previous < record.offset
                && record.offset <= part.last
        });
        for record in inside {
            assert!(gone.contains(&record), "{record:?} is there, and said to be lost");
        }
    }
    let classes = [(vec!["**".to_owned()], Limits::default())];
    let folder = Folder::open(disk, &made("a"), &classes).unwrap();
    if !is_torn {
        for record in records {
            let (_, behind) = folder.logs[0].newest_of(&record.topic);
            assert!(behind >= record.offset, "{record:?} would be given again");
        }
    }
    gone.len()
}

#[test]
fn a_log_that_ends_at_any_byte_of_its_last_group_is_cut_there_or_said_to_be_short() {
    let (disk, records) = small();
    let len = disk.bytes(SEGMENT).len();
    let mut survivors = Vec::new();
    for cut in 0..=len {
        let mut disk = disk.clone();
        disk.bytes_mut(SEGMENT).truncate(cut);
        // All of it was synced, and it is known.
        let found = survey(&mut disk, false).unwrap().classes.remove(0).1;
        assert!(found.torn.is_none(), "{cut}");
        assert_eq!(cut < len, found.rotten().next().is_some(), "{cut}");
        survivors.push(records.len() - missing(&mut disk, &records));
    }
    assert!(survivors.is_sorted() && survivors[len] == records.len());

    // And as it lies there if the mark of the last sync did not last: the end is torn.
    let last_group = {
        let mut disk = disk.clone();
        let mut found = survey(&mut disk, false).unwrap().classes.remove(0).1;
        found.segments.remove(0).synced
    };
    for cut in last_group as usize..len {
        let mut disk = disk.clone();
        disk.bytes_mut("1/synced").clear();
        disk.bytes_mut(SEGMENT).truncate(cut);
        let found = survey(&mut disk, false).unwrap().classes.remove(0).1;
        assert!(found.rotten().next().is_none(), "{cut} {found:?}");
        if found.torn.is_none() {
            // Between two blocks: nothing is there that could tell of the others.
            assert_eq!(found.segments[0].bytes, cut as u64);
            continue;
        }
        let gone = missing(&mut disk, &records);
        assert!((1..=3).contains(&gone), "{cut}: {gone}");
        // It was cut, and the next start finds nothing to say.
        let found = survey(&mut disk, false).unwrap().classes.remove(0).1;
        assert!(found.torn.is_none(), "{cut}");
    }
}

#[test]
fn no_flipped_bit_costs_more_than_one_body_and_none_is_believed() {
    let (disk, records) = small();
    let len = disk.bytes(SEGMENT).len();
    let mut cost = [0_usize; 4];
    for bit in 0..len * 8 {
        let mut disk = disk.clone();
        disk.bytes_mut(SEGMENT)[bit / 8] ^= 1 << (bit % 8);
        let survey = survey(&mut disk, false).unwrap();
        let found = &survey.classes[0].1;
        assert!(found.torn.is_none(), "bit {bit}: all of it was synced");
        assert!(found.rotten().all(|(_, rotten)| rotten.is_known), "bit {bit}: {found:?}");
        assert!(found.mended > 0 || found.rotten().count() == 1, "bit {bit} is not noticed");
        let gone = missing(&mut disk, &records);
        assert_eq!(gone > 0, found.rotten().next().is_some(), "bit {bit}");
        cost[gone.min(3)] += 1;
    }
    // Heads and summaries cost nothing; a body holds one or two events.
    assert!(
        cost[0] >= 2 * GROUPS as usize * 2 * HEAD_BYTES * 8 && cost[1] > 0 && cost[2] > 0,
        "{cost:?}"
    );
    assert_eq!(cost[3], 0, "{cost:?}");
}

#[test]
fn a_rotten_stretch_is_resolved_by_what_comes_behind_it_and_else_offsets_are_left_out() {
    let (disk, records) = small();
    let len = disk.bytes(SEGMENT).len();
    for from in (0..len).step_by(61) {
        for bytes in [200, 700, 3000] {
            let mut disk = disk.clone();
            let end = len.min(from + bytes);
            disk.bytes_mut(SEGMENT)[from..end].fill(0xa5);
            missing(&mut disk, &records);
        }
    }
}

#[test]
fn no_bit_of_the_other_files_costs_an_event() {
    let (mut disk, records) = small();
    let classes = [(vec!["**".to_owned()], Limits::default())];
    Folder::open(&mut disk, &made("a"), &classes).unwrap().close(&mut disk).unwrap();
    for name in disk.names().iter().filter(|name| !name.ends_with(".log")) {
        for bit in 0..disk.bytes(name).len() * 8 {
            let mut disk = disk.clone();
            disk.bytes_mut(name)[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(all(&mut disk), records, "bit {bit} of {name}");
            let folder = Folder::open(&mut disk, &made("a"), &classes).unwrap();
            let newest = folder.logs[0].newest_of(&TopicName::new("b").unwrap());
            assert_eq!(newest, (2 * GROUPS, 2 * GROUPS), "bit {bit} of {name}");
        }
    }
}

#[test]
fn no_bit_of_what_is_carried_over_costs_an_offset() {
    let (mut disk, records) = small();
    // Nothing need be kept: the next start unlinks what there is.
    let limits = Limits { bytes_max: 1, ..Limits::default() };
    let classes = [(vec!["**".to_owned()], limits)];
    let mut folder = Folder::open(&mut disk, &made("a"), &classes).unwrap();
    while folder.logs[0].let_go(&mut disk, 0).unwrap() {}
    assert_eq!(
        folder.logs[0].carried().last().count() as u64,
        2 + GROUPS,
        "one of each topic and key"
    );
    folder.close(&mut disk).unwrap();
    assert_eq!(all(&mut disk), []);
    for bit in 0..disk.bytes("1/carried").len() * 8 {
        let mut disk = disk.clone();
        disk.bytes_mut("1/carried")[bit / 8] ^= 1 << (bit % 8);
        let folder = Folder::open(&mut disk, &made("a"), &classes).unwrap();
        for record in &records {
            let (newest, _) = folder.logs[0].newest_of(&record.topic);
            let wanted = records.iter().filter(|other| other.topic == record.topic);
            assert_eq!(Some(newest), wanted.map(|other| other.offset).max(), "bit {bit}");
        }
        for kept in folder.logs[0].carried().last() {
            let is_known = |other: &&Record| {
                (&other.topic, other.offset, &other.payload)
                    == (&kept.topic, kept.offset, &kept.payload)
            };
            assert!(records.iter().any(|other| is_known(&other)), "bit {bit}: {kept:?}");
        }
    }
}
