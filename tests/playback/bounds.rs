//! What playbacks may cost others, what they hold, and what becomes of them when history, their readers or this shard cannot keep up.

use serde_json::json;

use fanwire::history::Retention;
use fanwire::shard::Settings;

use crate::stage::Reader;
use crate::stage::Stage;
use crate::support::world::roomy;

/// Units of work that one live event takes that a live subscriber hears.
fn units_of_a_live_event(stage: &mut Stage, live: &mut Reader, n: u64) -> u64 {
    live.forget();
    let units = stage.units_of_publish("t", "k", &json!({ "n": n }));
    live.read(stage.ms(), &mut stage.world);
    assert_eq!(live.events().len(), 1, "it is told at once");
    units
}

#[test]
fn ten_thousand_playbacks_cost_a_live_event_nothing() {
    let mut stage = Stage::new(1);
    stage.publish_each("t", 3, 1_000_000);
    let mut live = stage.subscribe(&json!({"topics": ["t"]}));
    let alone = units_of_a_live_event(&mut stage, &mut live, 10);
    let mut readers: Vec<Reader> = (0..10_000_u32)
        .map(|number| {
            // Some alike, some like no other; a third of them is paused.
            let filter = format!("n < {}", 100 + number % 500);
            let speed = [0.0, 1.0, 0.5][number as usize % 3];
            let wish =
                json!({"topics": ["t"], "since": "earliest", "speed": speed, "filter": filter});
            let reader = stage.connect(0);
            stage.send(&reader, "subscribe", &wish);
            reader
        })
        .collect();
    stage.pass(1_000, &mut []);
    let among = units_of_a_live_event(&mut stage, &mut live, 11);
    assert!(alone > 0);
    assert_eq!(among, alone, "an event is matched for those who are live");
    for reader in readers.iter_mut().take(6) {
        reader.read(stage.ms(), &mut stage.world);
        let count = reader.events().len();
        assert!(count <= 1, "the second event is not due yet: {count}");
    }
    for reader in readers {
        stage.world.vanish(reader.client.wire);
    }
    assert_eq!(stage.world.shards[0].next_due_ms(), None, "what is due goes with its reader");
}

#[test]
fn ten_thousand_playbacks_at_once_are_all_told_and_nobody_live_waits_for_them() {
    let mut stage = Stage::new(2);
    stage.publish_each("t", 12, 1_000);
    let mut live = stage.subscribe(&json!({"topics": ["now"]}));
    let mut readers: Vec<Reader> = (0..10_000)
        .map(|number| {
            let reader = stage.connect(number % 2);
            let wish = json!({"topics": ["t"], "since": "earliest", "speed": 4});
            stage.send(&reader, "subscribe", &wish);
            reader
        })
        .collect();
    for n in 0..40 {
        live.forget();
        stage.publish("now", "k", &json!({ "n": n }));
        // A turn of each shard, in which every playback may be due.
        stage.pass(0, &mut [&mut live]);
        assert_eq!(live.events().len(), 1, "event {n} is told in its own turn");
        stage.pass(100, &mut []);
    }
    let end_ms = stage.ms();
    for reader in &mut readers {
        reader.read(end_ms, &mut stage.world);
        let numbers: Vec<u64> = reader.events().iter().map(|(_, n)| *n).collect();
        assert_eq!(numbers, (0..12).collect::<Vec<_>>());
        assert_eq!(reader.live_ms().len(), 1);
    }
}

/// Settings of a server that remembers so many events of a topic.
fn forgetful(topic_events_max: usize) -> Settings {
    let retention = Retention { topic_events_max, ..roomy().retention };
    Settings { retention, ..roomy() }
}

#[test]
fn what_history_lets_go_of_before_it_is_told_is_a_gap_where_it_would_have_stood() {
    let mut stage = Stage::of(1, &forgetful(100));
    stage.publish_each("t", 100, 1_000);
    let mut reader = stage.subscribe(&json!({"topics": ["t"], "since": "earliest", "speed": 1}));
    stage.pass(10_000, &mut [&mut reader]);
    stage.say(&mut reader, "update", &json!({"speed": 0}));
    let told = reader.events().len() as u64;
    for n in 100..150 {
        stage.publish("t", "k", &json!({ "n": n }));
        stage.world.advance(10);
    }
    stage.pass(60_000, &mut [&mut reader]);
    assert!(reader.gaps().is_empty(), "paused, nothing is said");
    reader.forget();
    stage.say(&mut reader, "update", &json!({"speed": 100}));
    stage.pass(60_000, &mut [&mut reader]);
    let gaps = reader.gaps();
    let gap = ("t".to_owned(), told + 1, 50, "evicted".to_owned());
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!((gaps[0].1.clone(), gaps[0].2, gaps[0].3, gaps[0].4.clone()), gap);
    let numbers: Vec<u64> = reader.events().iter().map(|(_, n)| *n).collect();
    assert_eq!(numbers, (50..150).collect::<Vec<_>>(), "and then all that is held");
    assert_eq!(reader.live_ms().len(), 1);
}

#[test]
fn begun_paused_a_gap_is_of_what_was_there_when_it_began() {
    let mut stage = Stage::of(1, &forgetful(100));
    stage.publish_each("t", 130, 1_000);
    let wish = json!({"topics": ["t"], "since": "earliest", "speed": 1});
    let mut reader = stage.subscribe(&wish);
    stage.say(&mut reader, "update", &json!({"speed": 0}));
    assert_eq!(reader.events().len(), 1, "event 30, the oldest that is held");
    stage.publish_each("t", 50, 10);
    stage.say(&mut reader, "update", &json!({"speed": null}));
    stage.pass(10, &mut [&mut reader]);
    let gaps: Vec<(u64, u64)> = reader.gaps().iter().map(|gap| (gap.2, gap.3)).collect();
    assert_eq!(gaps, [(32, 80)], "not of what was gone before");
    assert_eq!(reader.events().len(), 101);
}

#[test]
fn a_reader_that_stops_reading_is_told_later_and_nothing_in_a_rush() {
    let mut stage = Stage::new(1);
    let padding = "x".repeat(1_000);
    for n in 0..2_000 {
        stage.publish("t", "k", &json!({"n": n, "padding": padding}));
        stage.world.advance(100);
    }
    let mut reader = stage.connect(0);
    stage.world.sockets.get_mut(&reader.client.wire).unwrap().capacity = 30_000;
    stage.say(
        &mut reader,
        "subscribe",
        &json!({"topics": ["t"], "since": "earliest", "speed": 10}),
    );
    let read_on = |stage: &mut Stage, reader: &mut Reader, ms: u64| {
        (0..ms / 10).for_each(|_| stage.pass(10, &mut [&mut *reader]));
    };
    read_on(&mut stage, &mut reader, 1_000);
    let before = reader.events().len();
    assert!((95..=105).contains(&before), "{before}");
    // For a minute it reads nothing, in which 6,000 events would have been due.
    stage.pass(60_000, &mut []);
    read_on(&mut stage, &mut reader, 1_000);
    let after = reader.events().len() - before;
    // What the socket and the outbox took, and a second's worth.
    assert!((100..=400).contains(&after), "{after}");
    read_on(&mut stage, &mut reader, 60_000);
    let numbers: Vec<u64> = reader.events().iter().map(|(_, n)| *n).collect();
    assert_eq!(numbers, (0..2_000).collect::<Vec<_>>(), "nothing is missing");
}

#[test]
fn while_others_want_the_room_playbacks_hold_little_of_it_and_nobody_is_closed() {
    let mut settings = roomy();
    settings.memory.replays_bytes_max = 128 * 1024;
    let mut stage = Stage::of(1, &settings);
    let padding = "x".repeat(1_000);
    for n in 0..500 {
        stage.publish("t", "k", &json!({"n": n, "padding": padding}));
        stage.world.advance(100);
    }
    let wish = json!({"topics": ["t"], "since": "earliest", "speed": 20});
    let mut played: Vec<Reader> = (0..100).map(|_| stage.subscribe(&wish)).collect();
    let mut whole: Vec<Reader> =
        (0..20).map(|_| stage.subscribe(&json!({"topics": ["t"], "since": "earliest"}))).collect();
    for _ in 0..300 {
        let mut all: Vec<&mut Reader> = played.iter_mut().chain(&mut whole).collect();
        stage.pass(20, &mut all);
        stage.world.tick();
    }
    for reader in played.iter().chain(&whole) {
        let numbers: Vec<u64> = reader.events().iter().map(|(_, n)| *n).collect();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        assert_eq!(reader.live_ms().len(), 1);
    }
}
