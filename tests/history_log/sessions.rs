//! The sessions of a folder against a disk that does its worst: what was answered as kept is read back, or no session is; never one that is older than what was answered.

use std::collections::BTreeMap;

use fanwire::history::log::DiskError;
use fanwire::history::log::NotKept;
use fanwire::history::log::SESSIONS_NAME;
use fanwire::history::log::SessionBounds;
use fanwire::history::log::SessionRecord;
use fanwire::history::log::Sessions;
use fanwire::history::log::SessionsFault;
use fanwire::limits::SESSION_RECORD_BYTES_MAX;
use fanwire::limits::SESSION_SPOT_BYTES;

use super::disk::Sim;
use super::support::random::Random;
use super::support::seeds;

const SALT: u32 = 0x5be1_f00d;
const BOUNDS: SessionBounds =
    SessionBounds { bytes_max: 1 << 16, table_bytes_max: 1 << 16, shape: 7, lost_power: false };

/// What is kept, by name.
type All = BTreeMap<String, Vec<u8>>;

fn record(name: &str, bytes: Option<&[u8]>) -> SessionRecord {
    SessionRecord { name: name.into(), bytes: bytes.map(Into::into) }
}

fn open(disk: &mut Sim, bounds: SessionBounds) -> (Sessions<usize>, All, Option<SessionsFault>) {
    let (sessions, found) = Sessions::open(disk, SALT, bounds).unwrap();
    let all = found.sessions.into_iter().map(|(name, bytes)| (name.into(), bytes.into())).collect();
    (sessions, all, found.fault)
}

/// Some sessions, each kept by itself, and what lies there after each.
fn small() -> (Sim, Vec<(usize, All)>) {
    let mut disk = Sim::new(1);
    let (mut sessions, ..) = open(&mut disk, BOUNDS);
    let (mut all, mut after) = (All::new(), Vec::new());
    for (name, bytes) in [("a", Some("one")), ("b", Some("two")), ("a", Some("three")), ("b", None)]
    {
        sessions.keep(&mut disk, &[record(name, bytes.map(str::as_bytes))], true).unwrap();
        match bytes {
            Some(bytes) => drop(all.insert(name.to_owned(), bytes.into())),
            None => drop(all.remove(name)),
        }
        after.push((disk.bytes(SESSIONS_NAME).len(), all.clone()));
    }
    (disk, after)
}

#[test]
fn what_a_kill_has_torn_is_cut_and_everything_before_it_is_there() {
    let (disk, after) = small();
    let len = disk.bytes(SESSIONS_NAME).len();
    for end in 16..=len {
        let mut disk = disk.clone();
        disk.bytes_mut(SESSIONS_NAME).truncate(end);
        let (mut sessions, all, fault) = open(&mut disk, BOUNDS);
        let whole = after.iter().rev().find(|(at, _)| *at <= end).map(|(_, all)| all.clone());
        assert_eq!((all, fault), (whole.unwrap_or_default(), None), "cut to {end}");
        // It is gone on with behind what was cut.
        sessions.keep(&mut disk, &[record("c", Some(b"new"))], true).unwrap();
        assert_eq!(open(&mut disk, BOUNDS).1["c"], b"new", "cut to {end}");
    }
}

#[test]
fn a_flipped_bit_is_the_end_of_all_sessions_and_never_an_older_one() {
    let (disk, _) = small();
    for bit in 0..disk.bytes(SESSIONS_NAME).len() * 8 {
        let mut disk = disk.clone();
        disk.flip(SESSIONS_NAME, bit);
        let (_, all, fault) = open(&mut disk, BOUNDS);
        assert!(all.is_empty() && fault.is_some(), "bit {bit}: {all:?}");
    }
}

#[test]
fn those_of_another_server_are_none_and_make_room_for_others() {
    let (disk, _) = small();
    let mut other_version = disk.clone();
    other_version.bytes_mut(SESSIONS_NAME)[3] = 2;
    for (mut disk, bounds) in
        [(disk, SessionBounds { shape: 8, ..BOUNDS }), (other_version, BOUNDS)]
    {
        let (mut sessions, all, fault) = open(&mut disk, bounds);
        assert_eq!((all.len(), fault), (0, Some(SessionsFault::Foreign)));
        sessions.keep(&mut disk, &[record("c", Some(b"new"))], true).unwrap();
        let (_, all, fault) = open(&mut disk, bounds);
        assert_eq!((all.len(), fault), (1, None));
    }
}

#[test]
fn they_are_bounded_and_what_is_known_is_replaced_without_room() {
    let mut disk = Sim::new(1);
    let each = (SESSION_SPOT_BYTES + 2 + 10) as u64;
    for bounds in [
        SessionBounds { bytes_max: 3 * each, ..BOUNDS },
        SessionBounds { table_bytes_max: 3 * (SESSION_SPOT_BYTES + 2), ..BOUNDS },
    ] {
        let mut disk = disk.clone();
        let (mut sessions, ..) = open(&mut disk, bounds);
        for name in ["n1", "n2", "n3"] {
            sessions.keep(&mut disk, &[record(name, Some(&[7; 10]))], false).unwrap();
        }
        let fourth = [record("n4", Some(&[7; 10]))];
        assert!(matches!(sessions.keep(&mut disk, &fourth, false), Err(NotKept::Crowded)));
        for round in 0..200 {
            sessions.keep(&mut disk, &[record("n2", Some(&[round; 10]))], false).unwrap();
        }
        sessions.keep(&mut disk, &[record("n1", None)], false).unwrap();
        sessions.keep(&mut disk, &fourth, false).unwrap();
        assert_eq!(sessions.held().0, 3);
        assert_eq!(open(&mut disk, bounds).1["n2"], [199; 10]);
    }
    let large = vec![7; SESSION_RECORD_BYTES_MAX + 1];
    let (mut sessions, ..) = open(&mut disk, SessionBounds { bytes_max: 1 << 30, ..BOUNDS });
    let large = [record("large", Some(&large))];
    assert!(matches!(sessions.keep(&mut disk, &large, false), Err(NotKept::Crowded)));
}

#[test]
fn the_file_stays_below_twice_what_lies_there() {
    let mut disk = Sim::new(1);
    let bounds = SessionBounds { bytes_max: 8 << 20, table_bytes_max: 1 << 20, ..BOUNDS };
    let (mut sessions, ..) = open(&mut disk, bounds);
    let bytes = vec![7; 100_000];
    for round in 0..400 {
        let name = format!("n{}", round % 40);
        sessions.keep(&mut disk, &[record(&name, Some(&bytes))], false).unwrap();
        assert!(disk.bytes(SESSIONS_NAME).len() <= 9 << 20, "round {round}");
    }
    let (_, all, fault) = open(&mut disk, bounds);
    assert_eq!((all.len(), fault), (40, None));
    assert!(all.values().all(|kept| *kept == bytes));
}

/// What sessions may be, by name.
type Perhaps = BTreeMap<String, Vec<Option<Vec<u8>>>>;

/// Sessions on a disk that is full now and then, while the process is killed and the power goes.
fn run(seed: u64) {
    let mut random = Random::new(seed);
    let mut disk = Sim::new(seed);
    let mut bounds = BOUNDS;
    // What was answered; what each was since it was last synced; and what was being written when the process was killed.
    let (mut kept, mut unsynced, mut underway) = (All::new(), Perhaps::new(), Perhaps::new());
    for _ in 0..12 {
        let (mut sessions, all, fault) = open(&mut disk, bounds);
        assert_eq!(fault, None, "a kill or a power cut takes no session");
        let may_be = if bounds.lost_power { &unsynced } else { &underway };
        for name in all.keys().chain(kept.keys()) {
            let is = all.get(name).cloned();
            let is_it = kept.get(name) == is.as_ref();
            let say =
                || format!("{name}: {:?}", is.as_ref().map(|is| (is.len(), is.first().copied())));
            assert!(is_it || may_be.get(name).is_some_and(|of| of.contains(&is)), "{}", say());
        }
        kept = all;
        if bounds.lost_power {
            unsynced.clear();
        }
        underway.clear();
        if random.one_in(2) {
            disk.killed_in = Some(random.below(40) as u64);
        }
        for round in 0..random.below(40) {
            let name = format!("n{}", random.below(6));
            let bytes = vec![u8::try_from(round).unwrap(); random.below(3000)];
            let bytes = (!random.one_in(4)).then_some(bytes);
            let wants_sync = random.one_in(3);
            disk.room = if random.one_in(5) { random.below(4000) } else { usize::MAX };
            let before = kept.get(&name).cloned();
            let values = [before, bytes.clone()];
            unsynced.entry(name.clone()).or_default().extend(values.clone());
            match sessions.keep(&mut disk, &[record(&name, bytes.as_deref())], wants_sync) {
                Ok(()) => {
                    match bytes {
                        Some(bytes) => drop(kept.insert(name, bytes)),
                        None => drop(kept.remove(&name)),
                    }
                    if wants_sync {
                        unsynced.clear();
                    }
                }
                Err(NotKept::Disk(DiskError::Full)) => assert!(disk.room < usize::MAX),
                Err(error) => {
                    assert!(disk.is_killed, "{error:?}");
                    underway.insert(name, values.to_vec());
                    break;
                }
            }
        }
        disk.room = usize::MAX;
        bounds.lost_power = random.one_in(2);
        if bounds.lost_power { disk.lose_power() } else { disk.revive() }
    }
}

#[test]
fn no_seed_reads_what_is_older_than_what_was_answered() {
    seeds::hold(1..2001, run);
}
