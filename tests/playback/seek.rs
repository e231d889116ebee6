//! Pausing, going on, another speed, another place: by `update`.

use serde_json::Value;
use serde_json::json;

use crate::stage::Reader;
use crate::stage::Stage;
use crate::support::client::Told;

/// 1,000 events, one a second, and a reader that is told of them at a speed.
fn played(speed: f64) -> (Stage, Reader) {
    let mut stage = Stage::new(2);
    stage.publish_each("t", 1_000, 1_000);
    let reader = stage.subscribe(&json!({"topics": ["t"], "since": "earliest", "speed": speed}));
    (stage, reader)
}

fn updated(reader: &Reader) -> usize {
    let is_updated =
        |told: &Told| matches!(told, Told::Other(message) if message["type"] == "updated");
    reader.told.iter().filter(|(_, told)| is_updated(told)).count()
}

fn numbers(reader: &Reader) -> Vec<u64> {
    reader.events().into_iter().map(|(_, n)| n).collect()
}

#[test]
fn paused_nothing_is_told_and_gone_on_nothing_is_missing() {
    let (mut stage, mut reader) = played(10.0);
    stage.pass(10_000, &mut [&mut reader]);
    let before = reader.events().len();
    assert!((100..=101).contains(&before), "{before}");
    stage.say(&mut reader, "update", &json!({"speed": 0}));
    let told = reader.events().len();
    assert!(told <= before + 1);
    stage.pass(3_600_000, &mut [&mut reader]);
    assert_eq!(reader.events().len(), told, "an hour's pause");
    stage.say(&mut reader, "update", &json!({"speed": 20}));
    let begin_ms = stage.ms();
    stage.pass(10_000, &mut [&mut reader]);
    let events = reader.events();
    assert_eq!(
        numbers(&reader),
        (0..events.len() as u64).collect::<Vec<_>>(),
        "each once, in order"
    );
    assert!((298..=302).contains(&events.len()), "200 more in ten seconds at 20: {}", events.len());
    let (ms, n) = events[250];
    assert!(ms.abs_diff(begin_ms + (n - 100) * 50) <= 60, "{ms} {n} {begin_ms}");
    assert_eq!(updated(&reader), 2);
}

#[test]
fn begun_paused_nothing_is_told_until_it_goes_on() {
    let mut stage = Stage::new(2);
    stage.publish_each("t", 10, 1_000);
    let mut reader = stage.subscribe(&json!({"topics": ["t"], "since": "earliest", "speed": 0}));
    stage.pass(100_000, &mut [&mut reader]);
    assert!(reader.events().is_empty() && reader.live_ms().is_empty());
    stage.say(&mut reader, "update", &json!({"speed": 1}));
    stage.pass(20_000, &mut [&mut reader]);
    assert_eq!(numbers(&reader), (0..10).collect::<Vec<_>>());
    assert_eq!(reader.live_ms().len(), 1);
}

#[test]
fn another_place_is_gone_on_from_and_nothing_comes_of_the_one_before() {
    let (mut stage, mut reader) = played(1.0);
    stage.pass(10_000, &mut [&mut reader]);
    reader.forget();
    let since = stage.at_us(500_000);
    stage.say(&mut reader, "update", &json!({"since": since}));
    assert!(matches!(&reader.told[0].1, Told::Other(message) if message["type"] == "updated"));
    let begin_ms = stage.ms();
    stage.pass(10_000, &mut [&mut reader]);
    let events = reader.events();
    assert_eq!((events[0], events.len()), ((begin_ms, 500), 11), "at the speed that it had");
    // Back, and as fast as can be.
    reader.forget();
    stage.say(&mut reader, "update", &json!({"since": "earliest", "speed": null}));
    stage.pass(1, &mut [&mut reader]);
    assert_eq!(numbers(&reader), (0..1_000).collect::<Vec<_>>());
    assert_eq!(reader.live_ms().len(), 1);
    // From the present into the past, and once more up to the present.
    reader.forget();
    let since = stage.at_us(990_000);
    stage.say(&mut reader, "update", &json!({"since": since, "speed": 10}));
    stage.publish("t", "k", &json!({"n": 1_000}));
    stage.pass(60_000, &mut [&mut reader]);
    assert_eq!(numbers(&reader), (990..=1_000).collect::<Vec<_>>());
    assert_eq!(reader.live_ms().len(), 1);
}

#[test]
fn from_a_pause_to_the_last_state_and_live() {
    let (mut stage, mut reader) = played(1.0);
    stage.say(&mut reader, "update", &json!({"speed": 0}));
    reader.forget();
    stage.say(&mut reader, "update", &json!({"since": "last"}));
    stage.pass(1, &mut [&mut reader]);
    assert_eq!(numbers(&reader), [999], "the last event of the one key");
    assert_eq!(reader.live_ms().len(), 1);
    stage.publish("t", "k", &json!({"n": 7}));
    stage.pass(1, &mut [&mut reader]);
    assert_eq!(numbers(&reader), [999, 7]);
}

#[test]
fn without_a_speed_the_rest_is_told_at_once() {
    let (mut stage, mut reader) = played(1.0);
    stage.pass(10_000, &mut [&mut reader]);
    stage.say(&mut reader, "update", &json!({"speed": null}));
    stage.pass(1, &mut [&mut reader]);
    assert_eq!(numbers(&reader), (0..1_000).collect::<Vec<_>>(), "each once");
    assert_eq!(reader.live_ms().len(), 1);
}

#[test]
fn a_filter_changed_on_the_way_holds_from_there_on() {
    let (mut stage, mut reader) = played(100.0);
    stage.pass(1_000, &mut [&mut reader]);
    stage.say(&mut reader, "update", &json!({"filter": "n < 105 or n > 995"}));
    let before = reader.events().len() as u64;
    stage.pass(20_000, &mut [&mut reader]);
    let told = numbers(&reader);
    let expected: Vec<u64> = (0..before.max(105)).chain(996..1_000).collect();
    assert_eq!(told, expected);
}

#[test]
fn keys_of_the_place_that_was_left_do_not_leave_at_the_new_one() {
    let mut stage = Stage::new(1);
    for n in 0..100_u64 {
        stage.publish("t", &format!("k{}", n % 2), &json!({ "n": n }));
        stage.world.advance(1_000);
    }
    let wish = json!({"topics": ["t"], "since": "earliest", "speed": 10, "filter": "n < 20 or n > 90", "leave": true});
    let mut reader = stage.subscribe(&wish);
    stage.pass(1_000, &mut [&mut reader]);
    reader.forget();
    let since = stage.at_us(50_000);
    stage.say(&mut reader, "update", &json!({ "since": since }));
    stage.pass(10_000, &mut [&mut reader]);
    assert_eq!(
        numbers(&reader),
        (91..100).collect::<Vec<_>>(),
        "nothing is inside there, so nothing leaves"
    );
}

#[test]
fn what_a_live_subscription_cannot_do_is_said() {
    let mut stage = Stage::new(1);
    let mut reader = stage.subscribe(&json!({"topics": ["t"]}));
    for (members, field) in [
        (json!({"speed": 2}), "speed"),
        (json!({"speed": 0}), "speed"),
        (json!({"max_gap_ms": 5}), "max_gap_ms"),
        (json!({"play_from": 5}), "play_from"),
        (json!({"since": "last", "speed": 2}), "speed"),
        (json!({"since": "earliest", "speed": "fast"}), "speed"),
        (json!({"since": "then"}), "since"),
    ] {
        reader.forget();
        stage.say(&mut reader, "update", &members);
        let (code, of, message) = reader.error().unwrap_or_else(|| panic!("{members} is refused"));
        assert_eq!((&*code, &*of), ("bad_field", field), "{members}: {message}");
    }
}

#[test]
fn a_storm_of_updates_ends_where_the_last_one_says() {
    let (mut stage, mut reader) = played(10.0);
    stage.pass(100, &mut [&mut reader]);
    reader.forget();
    let mut last: Value = json!(null);
    for turn in 0..2_000_u64 {
        let since = stage.at_us(turn * 7_919 % 900 * 1_000);
        last = match turn % 4 {
            0 => json!({"since": since, "speed": 50}),
            1 => json!({"speed": 0}),
            2 => json!({"since": since, "speed": 0.01, "play_from": since}),
            _ => json!({"since": since, "speed": null}),
        };
        stage.send(&reader, "update", &last);
        if turn % 80 == 79 {
            // A connection may say 100 messages a second.
            stage.pass(1_000, &mut [&mut reader]);
        }
    }
    assert_eq!(last["speed"], json!(null));
    stage.pass(10, &mut [&mut reader]);
    assert_eq!(updated(&reader), 2_000, "each is answered");
    let first = last["since"].as_u64().unwrap().saturating_sub(stage.at_us(0)) / 1_000_000;
    let told = numbers(&reader);
    let expected: Vec<u64> = (first..1_000).collect();
    assert!(told.ends_with(&expected), "all that follows the last place");
}
