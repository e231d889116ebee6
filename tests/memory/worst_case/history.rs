//! History, last events per key, topics and what is left of forgotten ones: each full, of whatever its events are like.

use std::sync::Arc;

use bytes::Bytes;

use fanwire::event::Event;
use fanwire::event::Fields;
use fanwire::event::HomeId;
use fanwire::event::Op;
use fanwire::event::TopicName;
use fanwire::history::Memory;
use fanwire::history::Retention;

use crate::heap;

/// Bytes of each budget.
const BUDGET: usize = 4 << 20;

const RETENTION: Retention = Retention {
    topic_events_max: 1 << 20,
    topic_bytes_max: 1 << 30,
    age_us_max: 1 << 50,
    topic_keys_max: 1 << 20,
    bytes_max: BUDGET,
    last_bytes_max: BUDGET,
    topics_bytes_max: BUDGET,
};

/// What a publisher chooses for the event of a number.
struct Kind {
    name: &'static str,
    topic: fn(usize) -> String,
    key: fn(usize) -> String,
    payload_bytes: usize,
}

const KINDS: [Kind; 5] = [
    Kind {
        name: "small events of one topic",
        topic: |_| "t".to_owned(),
        key: |_| String::new(),
        payload_bytes: 2,
    },
    Kind {
        name: "a topic each, with a short name",
        topic: |number| number.to_string(),
        key: |_| String::new(),
        payload_bytes: 2,
    },
    Kind {
        name: "a topic each, with a long name and key",
        topic: |number| format!("{number}/{}", "x".repeat(240)),
        key: |number| format!("{number}{}", "k".repeat(240)),
        payload_bytes: 2,
    },
    Kind {
        name: "a key each",
        topic: |_| "t".to_owned(),
        key: |number| number.to_string(),
        payload_bytes: 2,
    },
    Kind {
        name: "large events of many topics and keys",
        topic: |number| format!("t/{}", number % 100),
        key: |number| (number % 1000).to_string(),
        payload_bytes: 5_000,
    },
];

fn append(memory: &mut Memory, kind: &Kind, number: usize) {
    let name = TopicName::new(&(kind.topic)(number)).unwrap();
    let (topic, newest) = memory.known(&name).map_or_else(
        || (name.clone(), memory.newest_offset(&name)),
        |(topic, newest, _)| (topic, newest),
    );
    let event = Event {
        topic,
        key: Arc::from((kind.key)(number)),
        op: Op::Upsert,
        home: HomeId(0),
        offset: newest + 1,
        previous: newest,
        time_us: number as u64 + 1,
        payload: Bytes::from(vec![b' '; kind.payload_bytes]),
        fields: Fields::default(),
        before: None,
        meta: None,
    };
    memory.append(&Arc::new(event));
}

fn counted(memory: &Memory) -> usize {
    let held = memory.held();
    usize::try_from(held.bytes + held.topics_bytes).unwrap()
}

/// Fills a history until nothing grows any more; says what is allocated and what is counted.
fn fill(kind: &Kind, retention: Retention) -> (usize, usize) {
    let before = heap::held();
    let mut memory = Memory::new(retention);
    let mut worst = (0, 1);
    for number in 0..60_000 {
        append(&mut memory, kind, number);
        if number % 1000 == 999 {
            memory.expire(number as u64 + 1);
            let held = usize::try_from(heap::held() - before).unwrap();
            // While there is little the smallest tables are most of it.
            if counted(&memory) > BUDGET / 4 && held * worst.1 > worst.0 * counted(&memory) {
                worst = (held, counted(&memory));
            }
        }
    }
    worst
}

fn check(kind: &Kind, retention: Retention) {
    let (held, counted) = fill(kind, retention);
    let most = retention.bytes_max + retention.last_bytes_max + retention.topics_bytes_max;
    assert!(counted > BUDGET / 4 && counted <= most, "{}: {counted} of {most}", kind.name);
    assert!(held * 4 <= counted * 5, "{}: {held} bytes, {counted} counted", kind.name);
}

#[test]
fn events_and_last_events() {
    KINDS.iter().for_each(|kind| check(kind, RETENTION));
}

#[test]
fn events_alone() {
    let retention = Retention { last_bytes_max: 0, ..RETENTION };
    KINDS.iter().for_each(|kind| check(kind, retention));
}

#[test]
fn last_events_alone() {
    let retention = Retention { topic_events_max: 0, ..RETENTION };
    KINDS[1..4].iter().for_each(|kind| check(kind, retention));
}

#[test]
fn forgotten_topics() {
    let retention = Retention { topic_events_max: 0, topic_keys_max: 0, ..RETENTION };
    KINDS[1..3].iter().for_each(|kind| check(kind, retention));
}
