//! What the store costs in numbers that no machine changes: how often a block is read for how many readers, and what a start reads and holds for its events.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use fanwire::event::Event;
use fanwire::event::Fields;
use fanwire::event::HomeId;
use fanwire::event::Homes;
use fanwire::event::Op;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::TopicPattern;
use fanwire::history::Read;
use fanwire::history::Start;
use fanwire::history::asks::Answer;
use fanwire::history::asks::Append;
use fanwire::history::asks::PageAsk;
use fanwire::history::keeper::Keeper;
use fanwire::history::keeper::Opened;
use fanwire::history::keeper::Setup;
use fanwire::history::keeper::Stepped;
use fanwire::history::keeper::StoredClass;
use fanwire::history::keeper::SyncPolicy;
use fanwire::history::log::LedgerBounds;
use fanwire::history::log::Limits;

use super::disk::Sim;
use super::support::random::Random;

#[path = "../support/heap.rs"]
mod heap;

const HOME: HomeId = HomeId::durable(ShardId(0), 1);

fn open(disk: Sim, shelves_bytes_max: usize) -> (Keeper<Sim>, Opened) {
    let pattern = TopicPattern::new("**").unwrap();
    let limits = Limits { segment_bytes: 1 << 18, ..Limits::default() };
    let class = StoredClass {
        topics: vec!["**".to_owned()],
        patterns: vec![pattern.clone()],
        limits,
        sync: SyncPolicy::Always,
    };
    let setup = Setup {
        classes: vec![class],
        homes: Homes::new(1, [pattern].into()),
        boot: "a".to_owned(),
        random: 7,
        shelves_bytes_max,
        keys_bytes_max: 1 << 24,
        carried_bytes_max: 1 << 20,
        last_bytes_max: 0,
        ledger: LedgerBounds { bytes_max: 1 << 16, kept_s: None },
        sessions_bytes_max: (1 << 20, 1 << 20),
        now_s: 0,
    };
    Keeper::open(disk, setup).unwrap()
}

/// Publishes so many events of ten topics, in groups, 180 bytes each.
fn publish(keeper: &mut Keeper<Sim>, count: u64, group: u64) {
    let mut random = Random::new(1);
    let topics: Vec<_> = (0..10).map(|n| TopicName::new(&format!("fleet/{n}")).unwrap()).collect();
    let mut newest = [0; 10];
    let mut event = |number: u64| {
        let place = (number % 10) as usize;
        let previous = newest[place];
        newest[place] += 1;
        let mut text = format!(r#"{{"number":{number},"noise":"{:016x}","pad":""#, random.next());
        text.extend(std::iter::repeat_n('x', 178 - text.len()));
        text.push_str("\"}");
        Arc::new(Event {
            topic: topics[place].clone(),
            key: Arc::from(format!("k{}", number % 300)),
            op: Op::Upsert,
            home: HOME,
            offset: previous + 1,
            previous,
            time_us: 1_000_000 + number,
            payload: Bytes::from(text),
            fields: Fields::default(),
            before: None,
            meta: None,
        })
    };
    let mut out = Vec::new();
    for run in 0..count / group {
        let events = (run * group..(run + 1) * group).map(&mut event).collect();
        let append =
            Append { shard: ShardId(0), run: run + 1, attempt: 0, events, wants_sync: false };
        keeper.append(append);
        while let Stepped::Did = keeper.step((run, run), |_| true, &mut out).unwrap() {}
        out.clear();
    }
}

fn read() -> Arc<Read> {
    Arc::new(Read {
        topics: vec![TopicPattern::new("**").unwrap()],
        start: Start::AfterTime { time_us: 0, mark: None },
        after_us: 0,
        page_bytes: 0,
        with_before: false,
    })
}

fn ask(ticket: u64, read: &Arc<Read>, (after_us, until_us): (u64, u64)) -> PageAsk {
    PageAsk {
        shard: ShardId(0),
        ticket,
        home: HOME,
        shard_count: 1,
        read: Arc::clone(read),
        after_us,
        until_us,
        page_bytes: 40_000,
    }
}

#[test]
fn ten_thousand_who_resume_from_one_minute_have_each_block_read_and_unpacked_once() {
    const READERS: u64 = 10_000;
    const EVENTS: u64 = 600;
    // A shelf that holds about half of what is read: readers go on together, so that no block is wanted again later.
    let (mut keeper, _) = open(Sim::new(1), 200_000);
    publish(&mut keeper, 3_000, 100);
    let from_us = 1_000_000 + 2_999 - EVENTS;
    let (read, mut out) = (read(), Vec::new());
    for reader in 0..READERS {
        keeper.ask(ask(reader, &read, (from_us, u64::MAX)), &mut out);
    }
    let mut told = vec![0; READERS as usize];
    let mut first: BTreeMap<u64, Arc<Event>> = BTreeMap::new();
    let before = *keeper.counts();
    loop {
        let stepped = keeper.step((99, 99), |_| true, &mut out).unwrap();
        for (_, answer) in std::mem::take(&mut out) {
            let Answer::Page(page) = answer else { panic!("nothing else is asked: {answer:?}") };
            let stretch = page.result.unwrap();
            for event in stretch.events {
                told[page.ticket as usize] += 1;
                let known = first.entry(event.time_us).or_insert_with(|| Arc::clone(&event));
                assert!(Arc::ptr_eq(known, &event), "one event in memory, whoever reads it");
            }
            if let Some(after_us) = stretch.more_after_us {
                keeper.ask(ask(page.ticket, &read, (after_us, u64::MAX)), &mut out);
            }
        }
        if let Stepped::Idle { .. } = stepped {
            break;
        }
    }
    assert!(told.iter().all(|count| *count == EVENTS), "everyone is told all of it");
    let figures = keeper.figures();
    assert!(figures.pages - before.pages > 2 * READERS, "in several pages: {figures:?}");
    assert_eq!(figures.blocks_read, EVENTS / 100, "each block once");
}

#[test]
fn whoever_publishes_without_end_keeps_neither_a_sync_nor_a_page_waiting() {
    let (mut keeper, _) = open(Sim::new(1), 1 << 20);
    publish(&mut keeper, 1_000, 100);
    let mut out = Vec::new();
    for run in 11..40 {
        let previous = 89 + run;
        // What came while the last step was taken is there before each one.
        let number = 1_000 + run;
        let one = Arc::new(Event {
            topic: TopicName::new("fleet/0").unwrap(),
            key: Arc::from("k"),
            op: Op::Upsert,
            home: HOME,
            offset: previous + 1,
            previous,
            time_us: 1_000_000 + number,
            payload: Bytes::from_static(b"{}"),
            fields: Fields::default(),
            before: None,
            meta: None,
        });
        let wants_sync = run == 11;
        let events = [one].into();
        keeper.append(Append { shard: ShardId(0), run, attempt: 0, events, wants_sync });
        if run == 11 {
            keeper.ask(ask(7, &read(), (0, 1_000_500)), &mut out);
        }
        keeper.step((run, run), |_| true, &mut out).unwrap();
    }
    // How many groups were written before it was answered.
    let groups_before = |what: fn(&Answer) -> bool| {
        let place = out.iter().position(|(_, answer)| what(answer));
        let before = &out[..place.expect("it is answered, whoever publishes")];
        before.iter().filter(|(_, answer)| matches!(answer, Answer::Stored { .. })).count()
    };
    assert_eq!(groups_before(|answer| matches!(answer, Answer::Synced { run: 11.. })), 1);
    assert!(groups_before(|answer| matches!(answer, Answer::Page(_))) <= 1);
}

#[test]
fn a_start_reads_index_files_and_holds_next_to_nothing_of_an_event() {
    const EVENTS: u64 = 60_000;
    let (mut keeper, _) = open(Sim::new(1), 1 << 20);
    publish(&mut keeper, EVENTS, 1_000);
    let written = keeper.figures().held_bytes;
    let segments = keeper.figures().held_segments;
    assert!(segments >= 4, "{segments}");
    let disk = keeper.close(0, &mut Vec::new()).unwrap();
    disk.reads.set(0);
    let mut opened = None;
    let (peak, held) = heap::grown(|| opened = Some(open(disk, 1 << 20)));
    let (keeper, found) = opened.unwrap();
    assert_eq!((found.events, found.unindexed), (EVENTS, 0));
    // 20 MB for five million events are four bytes for each; topics, keys and places of segments are what there is of it.
    assert!(held < 4 * EVENTS.cast_signed(), "{held} bytes for {EVENTS} events");
    assert!(peak < 8 * EVENTS.cast_signed(), "{peak} bytes at the most");
    let read = keeper.disk().reads.get();
    assert!(read * 20 < written, "{read} bytes of {written} are read at a start");
}
