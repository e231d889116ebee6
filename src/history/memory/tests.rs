//! What is kept, what goes first, and what a reader is told of it.

use std::collections::HashMap;

use bytes::Bytes;

use super::*;
use crate::event::HomeId;
use crate::event::Op;
use crate::event::TopicPattern;
use crate::history::Page;
use crate::history::Start;
use crate::limits::PAGE_BYTES_MAX;
use crate::limits::PAGE_EVENTS_MAX;
use crate::limits::PAGE_WORK_MAX;
use crate::limits::SELECT_NAMES_MAX;
use crate::position::Gap;
use crate::position::GapReason;

const ROOMY: Retention = Retention {
    topic_events_max: 1000,
    topic_bytes_max: 1 << 20,
    age_us_max: 1_000_000,
    topic_keys_max: 1000,
    bytes_max: 1 << 20,
    last_bytes_max: 1 << 20,
    topics_bytes_max: 1 << 20,
};

/// From, to, and why.
type Missing = (u64, u64, GapReason);

struct Kept {
    memory: Memory,
    time_us: u64,
    offsets: HashMap<String, u64>,
}

impl Kept {
    fn new(retention: Retention) -> Self {
        Self { memory: Memory::new(retention), time_us: 0, offsets: HashMap::new() }
    }

    fn push(&mut self, topic: &str, key: &str, op: Op) {
        let offset = self.offsets.get(topic).copied().unwrap_or_default() + 1;
        self.push_at(offset, topic, key, op);
    }

    fn push_at(&mut self, offset: u64, topic: &str, key: &str, op: Op) {
        self.time_us += 10;
        let previous = self.offsets.insert(topic.to_owned(), offset).unwrap_or_default();
        let event = Event {
            topic: TopicName::new(topic).unwrap(),
            key: Arc::from(key),
            op,
            home: HomeId(0),
            offset,
            previous,
            time_us: self.time_us,
            payload: Bytes::from_static(b"{}"),
            fields: crate::event::Fields::default(),
            before: None,
            meta: None,
        };
        self.memory.append(&Arc::new(event));
    }

    fn read(&mut self, topics: &str, start: &Start) -> (Vec<(String, u64)>, Vec<Missing>) {
        let topics: Vec<_> = topics.split(' ').map(|t| TopicPattern::new(t).unwrap()).collect();
        let (mut events, mut gaps, mut after_us) = (Vec::new(), Vec::new(), 0);
        loop {
            let read = Read {
                topics: topics.clone(),
                start: start.clone(),
                after_us,
                page_bytes: PAGE_BYTES_MAX,
                with_before: false,
            };
            let page = self.memory.read(&read);
            let Page { gaps: page_gaps, events: page_events, more_after_us, .. } = page;
            gaps.extend(page_gaps.iter().map(|gap| (gap.from, gap.to, gap.reason)));
            events.extend(page_events.iter().map(|e| (e.topic.as_str().to_owned(), e.offset)));
            match more_after_us {
                Some(time_us) => after_us = time_us,
                None => return (events, gaps),
            }
        }
    }
}

fn offsets_of(events: &[(String, u64)]) -> Vec<u64> {
    events.iter().map(|(_, offset)| *offset).collect()
}

const fn after_time(time_us: u64) -> Start {
    Start::AfterTime { time_us, mark: None }
}

#[test]
fn a_resume_inside_history_is_complete() {
    let mut kept = Kept::new(ROOMY);
    (0..5).for_each(|_| kept.push("a", "", Op::Event));
    let start = Start::AfterOffsets {
        offsets: Arc::new([(TopicName::new("a").unwrap(), 2)]),
        others_us: None,
    };
    let (events, gaps) = kept.read("a", &start);
    assert_eq!(offsets_of(&events), [3, 4, 5]);
    assert_eq!(gaps, []);
}

#[test]
fn a_resume_before_history_says_what_is_gone() {
    let mut kept = Kept::new(Retention { topic_events_max: 3, ..ROOMY });
    (0..10).for_each(|_| kept.push("a", "", Op::Event));
    let start = Start::AfterOffsets {
        offsets: Arc::new([(TopicName::new("a").unwrap(), 2)]),
        others_us: None,
    };
    let (events, gaps) = kept.read("a", &start);
    assert_eq!(gaps, [(3, 7, GapReason::Evicted)]);
    assert_eq!(offsets_of(&events), [8, 9, 10]);
}

#[test]
fn a_resume_from_an_offset_that_there_never_was_is_of_another_numbering() {
    let mut kept = Kept::new(Retention { topic_events_max: 3, ..ROOMY });
    (0..5).for_each(|_| kept.push("a", "", Op::Event));
    assert_eq!(kept.read("a", &after(&[("a", 5)], None)), (vec![], vec![]));
    let (events, gaps) = kept.read("a", &after(&[("a", 6)], None));
    assert_eq!(gaps, [(1, 2, GapReason::Epoch)]);
    assert_eq!(offsets_of(&events), [3, 4, 5]);
}

#[test]
fn several_topics_come_in_the_order_of_their_stamps() {
    let mut kept = Kept::new(ROOMY);
    for topic in ["a/1", "a/2", "b", "a/1", "a/2"] {
        kept.push(topic, "", Op::Event);
    }
    let (events, _) = kept.read("a/*", &Start::Earliest);
    let named: Vec<_> = events.iter().map(|(t, o)| (t.as_str(), *o)).collect();
    assert_eq!(named, [("a/1", 1), ("a/2", 1), ("a/1", 2), ("a/2", 2)]);
    let (events, _) = kept.read("a/*", &after_time(20));
    assert_eq!(events.len(), 2);
}

#[test]
fn last_is_one_event_a_key_and_forgets_deleted_ones() {
    let mut kept = Kept::new(Retention { topic_events_max: 1, ..ROOMY });
    for (key, op) in [
        ("x", Op::Upsert),
        ("y", Op::Upsert),
        ("x", Op::Upsert),
        ("z", Op::Upsert),
        ("y", Op::Delete),
    ] {
        kept.push("a", key, op);
    }
    let (events, gaps) = kept.read("a", &Start::Last { deleted_after_us: None });
    assert_eq!(offsets_of(&events), [3, 4]);
    assert_eq!(gaps, []);
}

#[test]
fn the_budget_takes_the_oldest_of_all_topics() {
    let mut kept = Kept::new(ROOMY);
    kept.push("a", "", Op::Event);
    kept.push("b", "", Op::Event);
    let topics = kept.memory.bytes;
    kept.push("b", "", Op::Event);
    let one = kept.memory.bytes - topics;
    let mut kept = Kept::new(Retention { bytes_max: topics + one, ..ROOMY });
    for topic in ["a", "b", "b", "b"] {
        kept.push(topic, "", Op::Event);
    }
    let (events, _) = kept.read("**", &Start::Earliest);
    assert_eq!(events.iter().map(|(t, _)| t.as_str()).collect::<Vec<_>>(), ["b", "b", "b"]);
}

#[test]
fn age_lets_go() {
    let mut kept = Kept::new(Retention { age_us_max: 100, ..ROOMY });
    (0..5).for_each(|_| kept.push("a", "", Op::Event));
    kept.memory.expire(131);
    let (events, _) = kept.read("a", &Start::Earliest);
    assert_eq!(offsets_of(&events), [4, 5]);
}

#[test]
fn pages_join_without_a_seam() {
    let mut kept = Kept::new(Retention {
        topic_events_max: 5000,
        topic_bytes_max: 1 << 30,
        bytes_max: 1 << 30,
        ..ROOMY
    });
    for index in 0..4000 {
        kept.push(if index % 3 == 0 { "a" } else { "b" }, "", Op::Event);
    }
    let (events, gaps) = kept.read("a b", &Start::Earliest);
    assert_eq!((events.len(), gaps.len()), (4000, 0));
}

#[test]
fn another_epoch_is_a_gap_and_then_everything() {
    let mut kept = Kept::new(ROOMY);
    (0..2).for_each(|_| kept.push("a", "", Op::Event));
    let topics = vec![TopicName::new("a").unwrap(), TopicName::new("gone").unwrap()];
    let (events, gaps) = kept.read("a gone", &Start::OtherEpoch { topics });
    assert_eq!(gaps, [(1, 0, GapReason::Epoch), (1, 0, GapReason::Epoch)]);
    assert_eq!(offsets_of(&events), [1, 2]);
}

#[test]
fn another_epoch_is_a_gap_for_topics_that_only_a_pattern_names() {
    let mut kept = Kept::new(Retention { topic_events_max: 2, ..ROOMY });
    for topic in ["a/1", "a/2", "a/1", "a/1"] {
        kept.push(topic, "", Op::Event);
    }
    let (events, gaps) = kept.read("a/*", &Start::OtherEpoch { topics: Vec::new() });
    assert_eq!(events.len(), 3);
    assert_eq!(gaps, [(1, 0, GapReason::Epoch), (1, 1, GapReason::Epoch)]);
}

/// Topics enough for their names not to be gone through for each page.
const MANY: usize = 3 * SELECT_NAMES_MAX;

#[test]
fn a_topic_that_has_nothing_is_forgotten_and_goes_on_where_it_was() {
    let mut kept = Kept::new(Retention { age_us_max: 100, topic_keys_max: 0, ..ROOMY });
    (0..3).for_each(|_| kept.push("a", "", Op::Event));
    assert_eq!(kept.memory.topic_count(), 1);
    kept.memory.expire(kept.time_us + 101);
    assert_eq!((kept.memory.topic_count(), kept.memory.held().events), (0, 0));
    assert_eq!(kept.memory.newest_offset(&TopicName::new("a").unwrap()), 3);
    kept.time_us += 1000;
    kept.push("a", "", Op::Event);
    let had_2 = after(&[("a", 2)], None);
    assert_eq!(
        kept.read("a", &had_2),
        (vec![("a".to_owned(), 4)], vec![(3, 3, GapReason::Evicted)])
    );
}

#[test]
fn a_last_event_keeps_its_topic_known() {
    let mut kept = Kept::new(Retention { age_us_max: 100, ..ROOMY });
    kept.push("a", "k", Op::Upsert);
    kept.memory.expire(kept.time_us + 101);
    assert_eq!((kept.memory.topic_count(), kept.memory.held().keys), (1, 1));
    kept.push("a", "k", Op::Delete);
    kept.memory.expire(kept.time_us + 101);
    assert_eq!(kept.memory.topic_count(), 0);
}

/// A position that names topics.
fn after(offsets: &[(&str, u64)], others_us: Option<u64>) -> Start {
    let offsets = offsets.iter().map(|(name, offset)| (TopicName::new(name).unwrap(), *offset));
    Start::AfterOffsets { offsets: offsets.collect(), others_us }
}

#[test]
fn who_stands_at_a_forgotten_topic_is_told_what_is_gone_and_nothing_if_nothing_is() {
    let mut kept = Kept::new(Retention { age_us_max: 100, topic_keys_max: 0, ..ROOMY });
    (0..3).for_each(|_| kept.push("a/x", "", Op::Event));
    let newest_us = kept.time_us;
    kept.memory.expire(kept.time_us + 101);
    assert_eq!(kept.memory.topic_count(), 0);
    for topics in ["a/x", "a/*", "**"] {
        let gap = [(2, 3, GapReason::Evicted)];
        assert_eq!(kept.read(topics, &after(&[("a/x", 1)], None)), (vec![], gap.to_vec()));
        assert_eq!(kept.read(topics, &after(&[("a/x", 3)], None)), (vec![], vec![]));
        let all = [(1, 3, GapReason::Evicted)];
        assert_eq!(kept.read(topics, &after_time(newest_us - 1)), (vec![], all.to_vec()));
        assert_eq!(kept.read(topics, &after_time(newest_us)), (vec![], vec![]));
    }
}

#[test]
fn of_topics_of_which_nothing_is_left_the_pattern_is_told() {
    let mut kept =
        Kept::new(Retention { age_us_max: 100, topic_keys_max: 0, topics_bytes_max: 0, ..ROOMY });
    (0..3).for_each(|_| kept.push("a/x", "", Op::Event));
    let newest_us = kept.time_us;
    kept.memory.expire(kept.time_us + 101);
    let whole = [(1, 0, GapReason::Evicted)];
    assert_eq!(kept.read("a/*", &after_time(newest_us - 1)), (vec![], whole.to_vec()));
    assert_eq!(kept.read("a/*", &after_time(newest_us)), (vec![], vec![]));
    // Of a topic that is named it can be said up to where nobody will hear of an offset again.
    let gap = [(2, 3, GapReason::Evicted)];
    assert_eq!(kept.read("a/x", &after(&[("a/x", 1)], None)), (vec![], gap.to_vec()));
    assert_eq!(kept.read("a/x", &after(&[("a/x", 3)], None)), (vec![], vec![]));
    // Whose moment is later than everything that was forgotten has missed nothing.
    assert_eq!(kept.read("a/x", &after(&[("a/x", 1)], Some(newest_us))), (vec![], vec![]));
}

#[test]
fn no_offset_is_given_twice_however_little_is_remembered() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut kept = Kept::new(Retention {
        age_us_max: 200,
        topic_keys_max: 1,
        last_bytes_max: 4000,
        topics_bytes_max: 3000,
        ..ROOMY
    });
    let mut given = std::collections::HashSet::new();
    for _ in 0..20_000 {
        let topic = format!("t/{}", random.u32(0..60));
        let newest = kept.memory.newest_offset(&TopicName::new(&topic).unwrap());
        kept.offsets.insert(topic.clone(), newest);
        let op = if random.bool() { Op::Upsert } else { Op::Delete };
        kept.push(&topic, "k", op);
        assert!(given.insert((topic.clone(), newest + 1)), "{topic} {}", newest + 1);
        if random.u32(0..20) == 0 {
            kept.time_us += random.u64(0..300);
            kept.memory.expire(kept.time_us);
        }
        assert!(kept.memory.held().topics_bytes <= 3000);
    }
    assert!(kept.memory.newest_offset(&TopicName::new("never").unwrap()) > 0, "nothing was lost");
}

/// Reads everything, page by page; says how much the dearest page cost.
fn read_all(
    memory: &mut Memory,
    topics: &str,
    start: &Start,
) -> (Vec<Arc<Event>>, Vec<Gap>, usize) {
    let topics: Vec<_> = topics.split(' ').map(|t| TopicPattern::new(t).unwrap()).collect();
    let (mut events, mut gaps, mut after_us, mut dearest) = (Vec::new(), Vec::new(), 0, 0);
    let mut start = start.clone();
    loop {
        let read = Read {
            topics: topics.clone(),
            start: start.clone(),
            after_us,
            page_bytes: PAGE_BYTES_MAX,
            with_before: false,
        };
        let page = memory.read(&read);
        events.extend(page.events);
        gaps.extend(page.gaps);
        gaps.extend(page.late_gaps.into_iter().map(|(_, gap)| gap));
        dearest = dearest.max(page.work);
        match page.more_after_us {
            Some(more) => {
                assert!(more > after_us, "a page goes on");
                after_us = more;
            }
            None => return (events, gaps, dearest),
        }
        let now_us = memory.order.back().map_or(0, |(_, time_us)| *time_us);
        match &mut start {
            Start::Last { deleted_after_us: deleted @ None } => *deleted = Some(now_us),
            Start::Tail { counted_us: counted @ 0, .. } => *counted = now_us,
            _ => {}
        }
    }
}

fn of(events: &[Arc<Event>]) -> Vec<(&str, u64)> {
    events.iter().map(|event| (event.topic.as_str(), event.offset)).collect()
}

#[test]
fn many_topics_are_told_as_few_are() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut kept = Kept::new(Retention { topic_events_max: 3, topic_keys_max: 2, ..ROOMY });
    for _ in 0..5 * MANY {
        // Those of `few` are found by their names, and the same ones, asked for with `*`, by going through all.
        let topic = match random.usize(0..8) {
            0 => format!("few/{}/x", random.usize(0..100)),
            _ => format!("m{}/y/z", random.usize(0..MANY)),
        };
        let op = if random.u32(0..4) == 0 { Op::Delete } else { Op::Upsert };
        kept.push(&topic, &random.u32(0..4).to_string(), op);
    }
    let last_us = kept.time_us;
    let names: Vec<String> = (0..100).map(|few| format!("few/{few}/x")).collect();
    let named: Vec<(&str, u64)> =
        names.iter().map(|name| (name.as_str(), random.u64(0..40))).collect();
    for start in [
        Start::Earliest,
        after_time(last_us / 2),
        after_time(last_us),
        Start::Tail { count: 2, counted_us: 0 },
        Start::Last { deleted_after_us: None },
        Start::Snapshot { up_to_us: last_us / 2 },
        Start::OtherEpoch { topics: Vec::new() },
        after(&named, Some(last_us / 2)),
        after(&named[..50], None),
    ] {
        let (few, few_gaps, _) = read_all(&mut kept.memory, "few/*/x", &start);
        let (many, many_gaps, dearest) = read_all(&mut kept.memory, "*/*/x", &start);
        assert_eq!(of(&few), of(&many), "{start:?}");
        let set = |gaps: Vec<Gap>| {
            let one = |gap: Gap| (gap.topic.as_str().to_owned(), gap.from, gap.to);
            gaps.into_iter().map(one).collect::<BTreeSet<_>>()
        };
        assert_eq!(set(few_gaps), set(many_gaps), "{start:?}");
        assert!(dearest <= PAGE_WORK_MAX, "{start:?}: {dearest}");
    }
}

#[test]
fn a_page_costs_a_page_however_much_is_kept() {
    let mut kept = Kept::new(Retention { topic_keys_max: 1 << 20, bytes_max: 1 << 30, ..ROOMY });
    kept.memory.retention.last_bytes_max = 1 << 30;
    for index in 0..100_000 {
        kept.push(&format!("m{}/y", index % MANY), &index.to_string(), Op::Upsert);
    }
    for start in [Start::Last { deleted_after_us: None }, Start::Snapshot { up_to_us: u64::MAX }] {
        let (events, _, dearest) = read_all(&mut kept.memory, "**", &start);
        assert_eq!(events.len(), 100_000);
        assert!(dearest <= PAGE_EVENTS_MAX + 1, "{dearest} steps for a page");
        // What nothing passes costs no more at a time, and ends.
        let (events, _, dearest) = read_all(&mut kept.memory, "*/z", &start);
        assert!(events.is_empty() && dearest <= PAGE_WORK_MAX, "{dearest}");
    }
}

#[test]
fn what_is_idle_costs_nothing_to_look_at() {
    let mut kept = Kept::new(ROOMY);
    kept.memory.retention = Retention { bytes_max: 1 << 30, last_bytes_max: 1 << 30, ..ROOMY };
    (0..MANY).for_each(|index| kept.push(&format!("m/{index}"), "k", Op::Upsert));
    let before = kept.memory.held();
    kept.memory.expire(1);
    assert!(kept.memory.idle.is_empty() && kept.memory.order.len() == MANY);
    assert_eq!(before, kept.memory.held());
}

#[test]
fn the_first_news_of_each_key_comes_with_what_the_reader_may_have_had_of_it() {
    const EVENTS: u64 = 60;
    for held in [1000, 25] {
        let mut kept = Kept::new(Retention { topic_events_max: held, ..ROOMY });
        let mut told: Vec<(String, Op)> = Vec::new();
        for number in 0..EVENTS {
            let op = if number % 7 == 3 { Op::Delete } else { Op::Upsert };
            let key =
                if number % 11 == 0 { String::new() } else { (number * number % 5).to_string() };
            kept.push("a", &key, op);
            told.push((key, op));
        }
        let at = |offset: u64| &told[usize::try_from(offset).unwrap() - 1];
        let oldest = EVENTS.saturating_sub(held as u64) + 1;
        for had in oldest..EVENTS {
            let position = Arc::from([(TopicName::new("a").unwrap(), had)]);
            let offsets = Start::AfterOffsets { offsets: position, others_us: None };
            for start in [offsets, after_time(had * 10)] {
                let read = Read {
                    topics: vec![TopicPattern::new("a").unwrap()],
                    start,
                    after_us: 0,
                    page_bytes: PAGE_BYTES_MAX,
                    with_before: true,
                };
                let page = kept.memory.read(&read);
                assert_eq!(page.events.len() as u64, EVENTS - had);
                for event in &page.events {
                    let is_same = |offset: &u64| *at(*offset).0 == *event.key;
                    let is_first = !(had + 1..event.offset).any(|offset| is_same(&offset));
                    let last = (1..=had).rev().find(is_same);
                    let expected = last.filter(|offset| {
                        let is_there = at(*offset).1 != Op::Delete;
                        is_first && is_there && *offset >= oldest && !event.key.is_empty()
                    });
                    let before = event.before.as_ref().map(|before| before.offset);
                    assert_eq!(before, expected, "{held} held, {had} had, at {}", event.offset);
                }
            }
        }
    }
}

#[test]
fn offsets_with_holes_are_read_behind_any_position_and_a_hole_is_no_gap() {
    const OFFSETS: [u64; 6] = [3, 10, 11, 40, 41, 5_000_000_000];
    // Of six events three may be gone: 3, 10 and 11.
    for (held, evicted) in [(6, 0), (3, 11)] {
        let mut kept = Kept::new(Retention { topic_events_max: held, ..ROOMY });
        for offset in OFFSETS {
            kept.push_at(offset, "a", &(offset % 2).to_string(), Op::Upsert);
        }
        for had in [0, 2, 3, 4, 9, 10, 11, 12, 39, 40, 42, 4_999_999_999, 5_000_000_000] {
            let (events, gaps) = kept.read("a", &after(&[("a", had)], None));
            let expected: Vec<u64> =
                OFFSETS.into_iter().filter(|offset| *offset > had.max(evicted)).collect();
            assert_eq!(offsets_of(&events), expected, "{held} held, {had} had");
            let lost = if evicted > had { vec![(had + 1, 11, GapReason::Evicted)] } else { vec![] };
            assert_eq!(gaps, lost, "{held} held, {had} had");
        }
        let (events, _) = kept.read("a", &Start::Tail { count: 2, counted_us: 0 });
        assert_eq!(offsets_of(&events), [41, 5_000_000_000]);
    }
}
