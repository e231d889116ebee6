//! How few bytes the forms of the native protocol take in which events are told, and that each says what the long form says, on real telemetry.

use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Seen;
use crate::support::client::Told;
use crate::support::frames;
use crate::support::random::Random;
use crate::support::world::World;
use crate::support::world::roomy;

/// Positions of aircraft in the order and as densely as they were received.
fn telemetry() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/adsb-dense.ndjson.gz");
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A subscriber of the world, which has been told nothing yet.
fn subscriber(world: &mut World, deflate: bool, more: &Value) -> Client {
    let mut client = Client::connect(world, 0, 1 << 24, deflate);
    let mut wish = json!({"type": "subscribe", "id": 1, "topics": ["adsb/ch"]});
    for (member, value) in more.as_object().into_iter().flatten() {
        wish[member] = value.clone();
    }
    client.say(world, &wish);
    world.settle();
    client.read(world, usize::MAX);
    client.told.clear();
    client
}

/// Publishes events a few at a time, some milliseconds apart.
fn publish(world: &mut World, rows: &[String]) {
    let publisher = Client::connect(world, 0, 1 << 24, false);
    let mut random = Random::new(7);
    for row in rows {
        let key = row.split('"').nth(3).unwrap();
        let text =
            format!(r#"{{"type":"publish","topic":"adsb/ch","key":"{key}","payload":{row}}}"#);
        world.say(publisher.wire, &frames::text(&text));
        world.settle();
        world.advance_us(random.below(3_000) as u64);
    }
    world.advance(20_000);
    world.tick();
    world.settle();
}

/// What a client has been told, and in how many bytes.
fn heard(world: &mut World, client: &mut Client) -> (usize, Vec<Seen>) {
    let bytes = client.read(world, usize::MAX);
    let told = std::mem::take(&mut client.told);
    let events = told.into_iter().map(|told| match told {
        Told::Event(seen) => Seen { payload: sorted(&seen.payload), ..seen },
        other => panic!("{other:?}"),
    });
    (bytes, events.collect())
}

/// A payload with its members in one order.
fn sorted(payload: &str) -> String {
    let payload: std::collections::BTreeMap<String, Value> = serde_json::from_str(payload).unwrap();
    serde_json::to_string(&payload).unwrap()
}

#[test]
fn real_telemetry_in_columns_takes_22_bytes_an_event() {
    let rows = telemetry();
    let mut world = World::new(1, &roomy());
    let batch = |form: &str| json!({"batch": {"max_events": 64, "max_delay_ms": 10_000, "form": form}, "compact": true});
    let mut long = subscriber(&mut world, false, &json!({}));
    let mut in_rows = subscriber(&mut world, true, &batch("rows"));
    let mut in_columns = subscriber(&mut world, true, &batch("columns"));
    publish(&mut world, &rows);
    let (_, events) = heard(&mut world, &mut long);
    assert_eq!(events.len(), rows.len());
    let (row_bytes, same) = heard(&mut world, &mut in_rows);
    assert_eq!(same, events);
    let (column_bytes, same) = heard(&mut world, &mut in_columns);
    assert_eq!(same, events);
    let each = |bytes: usize| bytes as f64 / rows.len() as f64;
    let (of_row, of_column) = (each(row_bytes), each(column_bytes));
    println!("{of_row:.1} bytes an event in rows, {of_column:.1} in columns");
    assert!(of_column <= 22.0, "{of_column:.1} bytes an event");
    assert!(of_column * 1.5 <= of_row, "{of_column:.1} and {of_row:.1} bytes an event");
}

#[test]
fn the_compact_form_adds_forty_bytes_to_a_payload_at_most() {
    let payload = format!(r#"{{"text":"{}"}}"#, "x".repeat(117));
    assert_eq!(payload.len(), 128);
    let rows = [&*payload; 3];
    let mut world = World::new(1, &roomy());
    let mut long = subscriber(&mut world, false, &json!({}));
    let mut compact = subscriber(&mut world, false, &json!({"compact": true}));
    let publisher = Client::connect(&mut world, 0, 1 << 20, false);
    for row in rows {
        let text = format!(r#"{{"type":"publish","topic":"adsb/ch","payload":{row}}}"#);
        world.say(publisher.wire, &frames::text(&text));
    }
    world.settle();
    let (long_bytes, events) = heard(&mut world, &mut long);
    let (compact_bytes, same) = heard(&mut world, &mut compact);
    assert_eq!((events.len(), &same), (rows.len(), &events));
    // Offsets of one digit; one of six has five more.
    let each = [long_bytes, compact_bytes].map(|bytes| bytes / rows.len());
    assert_eq!(each, [239, 159]);
    let over = each[1] + "123456".len() - "1".len() - payload.len();
    assert!(over <= 40, "{over} bytes over the payload");
}
