//! The ledger against a disk that does its worst: what was answered as kept is remembered after whatever happens to the process, the machine or one of its copies; a note less is never read.

use std::collections::BTreeMap;

use fanwire::history::log::DiskError;
use fanwire::history::log::LEDGER_NAMES;
use fanwire::history::log::Ledger;
use fanwire::history::log::LedgerBounds;
use fanwire::history::log::LedgerError;
use fanwire::history::log::LedgerFault;
use fanwire::history::log::NotKept;
use fanwire::history::log::Note;
use fanwire::history::log::read_ledger;
use fanwire::limits::LEDGER_NAME_BYTES_MAX;
use fanwire::limits::LEDGER_NOTE_BYTES;

use super::disk::Sim;
use super::support::random::Random;
use super::support::seeds;

const SALT: u32 = 0x5be1_f00d;
const BOUNDS: LedgerBounds = LedgerBounds { bytes_max: 4096, kept_s: Some(100) };

/// Number and moment by name.
type Notes = BTreeMap<String, (u64, u64)>;

fn note(name: &str, value: u64, until_s: u64) -> Note {
    Note { name: name.into(), value, until_s }
}

fn notes(ledger: &Ledger<usize>) -> Notes {
    ledger.notes().map(|note| (note.name.into(), (note.value, note.until_s))).collect()
}

fn open(disk: &mut Sim, now_s: u64) -> Result<Notes, LedgerError> {
    Ledger::open(disk, SALT, BOUNDS, now_s).map(|ledger| notes(&ledger))
}

/// A ledger of some notes, each kept by itself, and what it remembers.
fn small() -> (Sim, Notes) {
    let mut disk = Sim::new(1);
    let mut ledger = Ledger::open(&mut disk, SALT, BOUNDS, 0).unwrap();
    for (name, value) in [("a", 1), ("user/ada", 50), ("user/ada", 20), ("b", 0), ("all", 7)] {
        let until_s = if name == "all" { u64::MAX } else { 50 };
        ledger.keep(&mut disk, &[note(name, value, until_s)], 50).unwrap();
    }
    let kept = notes(&ledger);
    assert_eq!(kept["user/ada"], (50, 50), "a smaller number takes nothing back");
    assert_eq!(disk.bytes(LEDGER_NAMES[0]), disk.bytes(LEDGER_NAMES[1]));
    (disk, kept)
}

#[test]
fn no_bit_of_one_copy_and_no_byte_that_it_lacks_costs_a_note() {
    let (disk, kept) = small();
    for name in LEDGER_NAMES {
        let len = disk.bytes(name).len();
        let flipped = (0..len * 8).map(|bit| {
            let mut disk = disk.clone();
            disk.flip(name, bit);
            (format!("bit {bit} of {name}"), disk)
        });
        let cut = (0..len).map(|end| {
            let mut disk = disk.clone();
            disk.bytes_mut(name).truncate(end);
            (format!("{name} cut to {end}"), disk)
        });
        for (what, mut disk) in flipped.chain(cut) {
            assert!(read_ledger(&mut disk, SALT).unwrap().is_mended, "{what} is not noticed");
            assert_eq!(open(&mut disk, 60).unwrap(), kept, "{what}");
            assert!(!read_ledger(&mut disk, SALT).unwrap().is_mended, "{what} is not mended");
            assert_eq!(disk.bytes(LEDGER_NAMES[0]), disk.bytes(LEDGER_NAMES[1]), "{what}");
        }
    }
}

#[test]
fn a_copy_that_is_gone_is_made_again() {
    let (disk, kept) = small();
    for (lost, other) in [(0, 1), (1, 0)] {
        let mut left = Sim::new(2);
        left.put(LEDGER_NAMES[other], disk.bytes(LEDGER_NAMES[other]));
        assert_eq!(open(&mut left, 60).unwrap(), kept);
        assert_eq!(left.bytes(LEDGER_NAMES[lost]), left.bytes(LEDGER_NAMES[other]));
    }
}

#[test]
fn what_is_rotten_in_both_copies_is_an_error_and_never_a_note_less() {
    let (disk, _) = small();
    let bits = disk.bytes(LEDGER_NAMES[0]).len() * 8;
    for bit in 0..bits {
        let mut disk = disk.clone();
        for name in LEDGER_NAMES {
            disk.flip(name, bit);
        }
        let before = (disk.bytes(LEDGER_NAMES[0]).to_vec(), disk.names());
        let error = open(&mut disk, 60);
        let is_said =
            matches!(error, Err(LedgerError::Fault(LedgerFault::Rotten { at })) if at <= bit / 8);
        assert!(is_said, "bit {bit}: {error:?}");
        assert_eq!((disk.bytes(LEDGER_NAMES[0]).to_vec(), disk.names()), before, "not touched");
    }
}

#[test]
fn it_is_bounded_and_forgets_what_is_over_and_nothing_else() {
    let mut disk = Sim::new(1);
    let bounds = LedgerBounds { bytes_max: 3 * (LEDGER_NOTE_BYTES + 2), kept_s: Some(100) };
    let mut ledger = Ledger::open(&mut disk, SALT, bounds, 0).unwrap();
    for (name, until_s) in [("n1", 0), ("n2", u64::MAX), ("n3", 10)] {
        ledger.keep(&mut disk, &[note(name, 1, until_s)], 0).unwrap();
    }
    let fourth = [note("n4", 1, 100)];
    assert!(matches!(ledger.keep(&mut disk, &fourth, 100), Err(NotKept::Crowded)));
    // What is known rises without room, however often.
    for value in 2..200 {
        ledger.keep(&mut disk, &[note("n2", value, u64::MAX)], 100).unwrap();
        assert!(disk.bytes(LEDGER_NAMES[0]).len() <= 16 + 2 * bounds.bytes_max);
    }
    ledger.keep(&mut disk, &fourth, 101).unwrap();
    let long = "x".repeat(LEDGER_NAME_BYTES_MAX + 1);
    assert!(matches!(ledger.keep(&mut disk, &[note(&long, 1, 100)], 300), Err(NotKept::Crowded)));
    let names = |disk: &mut Sim, now_s| {
        let ledger = Ledger::open(disk, SALT, bounds, now_s).unwrap();
        notes(&ledger).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(names(&mut disk, 110), ["n2", "n3", "n4"]);
    assert_eq!(names(&mut disk, 111), ["n2", "n4"]);
    assert_eq!(names(&mut disk, u64::MAX), ["n2"], "what lasts for ever does");
    let small = LedgerBounds { bytes_max: 10, ..bounds };
    let error = Ledger::open(&mut disk, SALT, small, 0).unwrap_err();
    assert!(matches!(error, LedgerError::Fault(LedgerFault::Large { bytes_max: 10, .. })));
}

#[test]
fn nothing_is_appended_to_a_copy_that_the_other_has_left_behind() {
    let bounds = LedgerBounds { bytes_max: 1 << 10, kept_s: None };
    const LONG: usize = 256;
    let long = "l".repeat(LONG);
    let mut left_behind = 0;
    for room in (0..1_000).step_by(20) {
        let mut disk = Sim::new(1);
        let mut ledger = Ledger::open(&mut disk, SALT, bounds, 0).unwrap();
        ledger.keep(&mut disk, &[note(&long, 1, 0)], 0).unwrap();
        // Until another long note would have both copies written anew, and a short one would not.
        let mut value = 0;
        while disk.bytes(LEDGER_NAMES[0]).len() + LONG < 2 * bounds.bytes_max + 24 {
            value += 1;
            ledger.keep(&mut disk, &[note("s", value, 0)], 0).unwrap();
        }
        disk.room = room;
        let kept = ledger.keep(&mut disk, &[note(&long, 2, 0)], 0);
        let [one, other] = LEDGER_NAMES.map(|name| disk.bytes(name).to_vec());
        left_behind += u32::from(kept.is_err() && one != other);
        disk.room = usize::MAX;
        ledger.keep(&mut disk, &[note("s", value + 1, 0)], 0).unwrap();
        let ledger = Ledger::open(&mut disk, SALT, bounds, 0).unwrap();
        assert_eq!(notes(&ledger)["s"].0, value + 1, "it was kept; room {room}");
    }
    assert!(left_behind > 0, "there was room for one copy and not for the other");
}

/// What is remembered was asked for, and what was kept and is not over is remembered.
fn check(remembered: &Notes, (kept, asked): (&Notes, &Notes), now_s: u64) {
    for (name, (value, until_s)) in remembered {
        let known = asked.get(name).copied().unwrap_or_default();
        assert!(*value <= known.0 && *until_s <= known.1, "{name} was never asked for");
    }
    for (name, (value, until_s)) in kept {
        let known = remembered.get(name).copied();
        let is_over = until_s.saturating_add(100) < now_s;
        let is_there = known.is_some_and(|known| known.0 >= *value && known.1 >= *until_s);
        assert!(is_over || is_there, "{name}: {value} {until_s} was kept, and is {known:?}");
    }
}

/// One life: notes are kept, the process is killed, the power goes, the disk is full or fails, a bit of one copy flips.
fn live(seed: u64) {
    let mut random = Random::new(seed);
    let mut disk = Sim::new(seed ^ 0x5eed);
    let (mut now_s, mut kept, mut asked) = (0, Notes::new(), Notes::new());
    let bounds = LedgerBounds { bytes_max: 1 << (9 + random.below(4)), kept_s: Some(100) };
    let max = |known: &mut Notes, note: &Note| {
        let known = known.entry(note.name.to_string()).or_default();
        *known = (known.0.max(note.value), known.1.max(note.until_s));
    };
    for _ in 0..6 {
        disk.room = if random.one_in(4) { random.below(400) } else { usize::MAX };
        let mut ledger = Ledger::open(&mut disk, SALT, bounds, now_s).expect("one fault at most");
        let remembered = notes(&ledger);
        check(&remembered, (&kept, &asked), now_s);
        // What was forgotten is asked for anew.
        kept.retain(|name, _| remembered.contains_key(name));
        asked.retain(|name, _| remembered.contains_key(name));
        match random.below(4) {
            0 => disk.fails_in = Some(random.below(40) as u64),
            1 | 2 => disk.killed_in = Some(random.below(40) as u64),
            _ => {}
        }
        let mut has_ended = false;
        for _ in 0..random.below(20) {
            now_s += random.below(20) as u64;
            if random.one_in(5) {
                disk.room = if random.one_in(2) { random.below(300) } else { usize::MAX };
            }
            let group: Vec<Note> = (0..=random.below(3))
                .map(|_| {
                    let name = format!("n{}", random.below(12)).repeat(1 + random.below(9));
                    let until_s = if random.one_in(9) { u64::MAX } else { now_s };
                    note(&name, random.below(9) as u64, until_s)
                })
                .collect();
            for note in &group {
                max(&mut asked, note);
            }
            match ledger.keep(&mut disk, &group, now_s) {
                Ok(()) => {
                    for note in &group {
                        // What is over may have been forgotten, and begins anew.
                        kept.retain(|_, (_, until_s)| until_s.saturating_add(100) >= now_s);
                        max(&mut kept, note);
                    }
                }
                Err(NotKept::Crowded | NotKept::Disk(DiskError::Full)) => {}
                Err(NotKept::Disk(_)) => {
                    has_ended = true;
                    break;
                }
            }
        }
        let failed = disk.fails_in == Some(0) && has_ended;
        if failed || random.one_in(2) {
            disk.lose_power();
        } else {
            disk.revive();
            // One fault at a time: a copy that was not finished is one already.
            let names = disk.names();
            let are_there = LEDGER_NAMES.iter().all(|name| names.iter().any(|there| there == name));
            let [one, other] = LEDGER_NAMES;
            if random.one_in(3) && are_there && disk.bytes(one) == disk.bytes(other) {
                let bit = random.below(disk.bytes(one).len() * 8);
                disk.flip(LEDGER_NAMES[random.below(2)], bit);
            }
        }
    }
}

#[test]
fn what_was_kept_is_remembered_whatever_happens() {
    seeds::hold(1..5_001, live);
}
