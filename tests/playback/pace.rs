//! What is told when, and that everything a subscription may ask for goes together with it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::stage::Stage;
use crate::support::client::Told;

/// An hour of one event a second.
fn hour(shards: u16) -> Stage {
    let mut stage = Stage::new(shards);
    stage.publish_each("t", 3_600, 1_000);
    stage
}

#[test]
fn an_hour_is_told_in_a_minute_at_60() {
    let mut stage = hour(1);
    let begin_ms = stage.ms();
    let mut reader = stage.subscribe(&json!({"topics": ["t"], "since": "earliest", "speed": 60}));
    stage.pass(70_000, &mut [&mut reader]);
    let events = reader.events();
    for (index, (ms, n)) in events.iter().enumerate() {
        assert_eq!(*n, index as u64, "in order, each once");
        let due_ms = (begin_ms + n * 1_000 / 60).min(begin_ms + 59_984);
        let late_ms = ms.abs_diff(due_ms);
        assert!(late_ms <= 10 || *n >= 3_590, "event {n} was told at {ms}, due at {due_ms}");
    }
    assert_eq!(events.len(), 3_600);
    let lives = reader.live_ms();
    assert_eq!(lives.len(), 1, "and then it is live");
    assert!((59_800..60_100).contains(&(lives[0] - begin_ms)), "{lives:?} from {begin_ms}");
    reader.forget();
    stage.publish("t", "k", &json!({"n": 3_600}));
    stage.pass(1, &mut [&mut reader]);
    assert_eq!(
        reader.events().iter().map(|(_, n)| *n).collect::<Vec<_>>(),
        [3_600],
        "from then on as things happen"
    );
}

#[test]
fn slower_than_it_happened_and_far_faster() {
    for (speed, took_ms) in [(0.5, 19_800..20_100), (0.01, 989_000..990_500), (10_000.0, 0..120)] {
        let mut stage = Stage::new(1);
        stage.publish_each("t", 10, 1_000);
        // The last event is ten seconds old by now, so at 0.5 and at 0.01 the present is never far.
        let begin_ms = stage.ms();
        let mut reader =
            stage.subscribe(&json!({"topics": ["t"], "since": "earliest", "speed": speed}));
        stage.pass(2_000_000, &mut [&mut reader]);
        let events = reader.events();
        assert_eq!(events.len(), 10);
        assert_eq!(reader.live_ms().len(), 1);
        let span_ms = events[9].0 - begin_ms;
        let expected = 9_000.0 / speed;
        assert!(
            (span_ms as f64 - expected).abs() <= 120.0,
            "at {speed} the last of 10 events comes after {span_ms} ms, not {expected}; live within {took_ms:?}"
        );
    }
}

#[test]
fn a_day_costs_as_much_as_happened_in_it() {
    let mut stage = Stage::new(1);
    stage.publish("t", "k", &json!({"n": 0}));
    stage.world.advance(86_400_000);
    stage.publish("t", "k", &json!({"n": 1}));
    stage.world.advance(1_000);
    let mut reader = stage.subscribe(&json!({"topics": ["t"], "since": "earliest", "speed": 1}));
    let begin_ms = stage.ms();
    stage.pass(86_500_000, &mut [&mut reader]);
    let events = reader.events();
    assert_eq!(events.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 1]);
    assert!((86_399_800..=86_400_010).contains(&(events[1].0 - begin_ms)), "{events:?}");
}

#[test]
fn silences_are_as_long_as_they_are_allowed_to_be() {
    let mut stage = Stage::new(1);
    for n in 0..5 {
        stage.publish("t", "k", &json!({ "n": n }));
        stage.world.advance(3_600_000);
    }
    let begin_ms = stage.ms();
    let wish = json!({"topics": ["t"], "since": "earliest", "speed": 10, "max_gap_ms": 2_000});
    let mut reader = stage.subscribe(&wish);
    stage.pass(20_000, &mut [&mut reader]);
    let times: Vec<u64> = reader.events().iter().map(|(ms, _)| ms - begin_ms).collect();
    assert_eq!(times.len(), 5);
    for pair in times.windows(2) {
        assert!((1_890..=2_010).contains(&(pair[1] - pair[0])), "{times:?}");
    }
    assert_eq!(reader.live_ms().len(), 1);
}

#[test]
fn what_lies_before_play_from_is_told_at_once() {
    let mut stage = hour(1);
    let (since, from) = (stage.at_us(1_000_000), stage.at_us(1_600_000));
    let begin_ms = stage.ms();
    let wish = json!({"topics": ["t"], "since": since, "speed": 10, "play_from": from});
    let mut reader = stage.subscribe(&wish);
    stage.pass(1_000, &mut [&mut reader]);
    let events = reader.events();
    let at_once = events.iter().filter(|(ms, _)| *ms == begin_ms).count();
    assert_eq!((events[0].1, at_once), (1_000, 601), "from 1,000 up to 1,600");
    assert_eq!(events.len() - at_once, 10, "{:?}", &events[at_once..]);
}

#[test]
fn topics_of_several_homes_are_told_in_one_time() {
    let mut stage = Stage::new(3);
    let topics = ["a", "b", "c", "d", "e", "f"];
    for n in 0..600 {
        stage.publish(topics[n % 6], "k", &json!({ "n": n }));
        stage.world.advance(1_000);
    }
    let begin_ms = stage.ms();
    let mut reader = stage.subscribe(&json!({"topics": ["*"], "since": "earliest", "speed": 20}));
    stage.pass(40_000, &mut [&mut reader]);
    let events = reader.events();
    assert_eq!(events.len(), 600);
    for (ms, n) in &events {
        let due_ms = begin_ms + n * 50;
        assert!(ms.abs_diff(due_ms) <= 11 || *n >= 590, "event {n} at {}", ms - begin_ms);
    }
    assert_eq!(reader.live_ms().len(), 1);
    reader.forget();
    for (n, topic) in topics.iter().enumerate() {
        stage.publish(topic, "k", &json!({ "n": n }));
    }
    stage.pass(1, &mut [&mut reader]);
    assert_eq!(reader.events().len(), 6);
}

#[test]
fn while_one_home_has_a_past_to_tell_no_other_is_live() {
    let mut stage = Stage::new(3);
    stage.publish_each("a", 600, 1_000);
    let topics = ["a", "b", "c", "d", "e", "f"];
    let mut reader = stage.subscribe(&json!({"topics": ["*"], "since": "earliest", "speed": 2}));
    for n in 0..200 {
        for topic in &topics[1..] {
            stage.publish(topic, "k", &json!({"n": 10_000 + n}));
        }
        stage.pass(1_000, &mut [&mut reader]);
    }
    let early = reader.events().iter().filter(|(_, n)| *n >= 10_000).count();
    assert_eq!(early, 0, "what happens now is told when the clock is there");
    stage.pass(400_000, &mut [&mut reader]);
    let mut counts: BTreeMap<bool, usize> = BTreeMap::new();
    for (_, n) in reader.events() {
        *counts.entry(n >= 10_000).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([(false, 600), (true, 1_000)]));
    assert_eq!(reader.live_ms().len(), 1);
}

#[test]
fn filters_fields_rates_batches_and_leaving_go_together_with_it() {
    let mut stage = Stage::new(2);
    for n in 0..100_u64 {
        stage.publish("t", &format!("k{}", n % 4), &json!({"n": n, "low": n < 50, "x": 1}));
        stage.world.advance(100);
    }
    let wish = json!({
        "topics": ["t"], "since": "earliest", "speed": 1, "filter": "low = true", "leave": true,
        "fields": ["n"], "batch": {"max_events": 16, "max_delay_ms": 200},
        "max_rate": {"per": "key", "hz": 1},
    });
    let begin_ms = stage.ms();
    let mut reader = stage.subscribe(&wish);
    stage.pass(30_000, &mut [&mut reader]);
    let mut windows: BTreeMap<(String, u64), usize> = BTreeMap::new();
    let mut leaves = 0;
    for (ms, told) in &reader.told {
        let Told::Event(event) = told else { continue };
        assert_eq!(event.payload.matches(':').count(), 1, "{}", event.payload);
        leaves += usize::from(event.op == "leave");
        *windows.entry((event.key.clone(), (ms - begin_ms) / 1_000)).or_default() += 1;
    }
    assert_eq!(leaves, 4, "each key leaves once");
    assert!(windows.values().all(|count| *count <= 2), "{windows:?}");
    assert!(windows.len() >= 20, "at its own pace, not all at the end: {windows:?}");
    assert_eq!(reader.live_ms().len(), 1);
}

#[test]
fn what_a_filter_lets_pass_is_told_at_its_time() {
    let mut stage = hour(1);
    let begin_ms = stage.ms();
    let wish = json!({"topics": ["t"], "since": "earliest", "speed": 60, "filter": "n >= 1800 and n < 1803"});
    let mut reader = stage.subscribe(&wish);
    stage.pass(61_000, &mut [&mut reader]);
    let events = reader.events();
    assert_eq!(events.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [1_800, 1_801, 1_802]);
    assert!((30_000..30_011).contains(&(events[0].0 - begin_ms)), "{events:?}");
}

#[test]
fn a_position_is_gone_on_with_at_a_pace() {
    let mut stage = hour(1);
    let since = json!({"epoch": "e1", "offsets": {"t": 3_000}, "time_us": stage.at_us(0)});
    let begin_ms = stage.ms();
    let mut reader = stage.subscribe(&json!({"topics": ["t"], "since": since, "speed": 100}));
    stage.pass(10_000, &mut [&mut reader]);
    let events = reader.events();
    assert_eq!((events[0].1, events.len()), (3_000, 600));
    assert!((5_800..6_000).contains(&(events[599].0 - begin_ms)), "{:?}", events[599]);
}

#[test]
fn what_cannot_be_a_speed_is_refused_with_its_place() {
    let mut stage = Stage::new(1);
    for (speed, says) in [
        (json!(-1), "speed is -1; 0 (paused) and 0.01 to 10000 are allowed"),
        (json!(1e308), "speed is 1e+308; 0 (paused) and 0.01 to 10000 are allowed"),
        (json!(0.001), "speed is 0.001; 0 (paused) and 0.01 to 10000 are allowed"),
        (json!(10_001), "speed is 10001; 0 (paused) and 0.01 to 10000 are allowed"),
        (json!("10"), "`speed` must be a number"),
        (json!([10]), "`speed` must be a number"),
        (json!(null), "`speed` must be a number"),
        (json!("NaN"), "`speed` must be a number"),
    ] {
        let wish = json!({"topics": ["t"], "since": "earliest", "speed": speed});
        let error = stage.subscribe(&wish).error().expect("it is refused");
        assert_eq!((&*error.0, &*error.1), ("bad_field", "speed"), "{speed}");
        assert!(error.2.contains(says), "{speed}: {}", error.2);
    }
    for (wish, field, says) in [
        (json!({"speed": 10}), "speed", "`speed` needs a `since`"),
        (json!({"speed": 10, "since": "last"}), "speed", "`speed` needs a `since`"),
        (json!({"since": "earliest", "play_from": 1}), "play_from", "`play_from` needs `speed`"),
        (json!({"since": "earliest", "max_gap_ms": 1}), "max_gap_ms", "`max_gap_ms` needs `speed`"),
        (json!({"since": "earliest", "speed": 1, "max_gap_ms": -1}), "max_gap_ms", "an integer"),
        (
            json!({"since": "earliest", "speed": 1, "max_gap_ms": 86_400_001}),
            "max_gap_ms",
            "0 to 86400000",
        ),
        (json!({"since": "earliest", "speed": 1, "play_from": "last"}), "play_from", "a time"),
    ] {
        let mut wish = wish.clone();
        wish["topics"] = json!(["t"]);
        let error = stage.subscribe(&wish).error().expect("it is refused");
        assert_eq!((&*error.0, &*error.1), ("bad_field", field), "{wish}");
        assert!(error.2.contains(says), "{wish}: {}", error.2);
    }
}
