//! A long upload of a client that publishes faster than it may: it is held back, line by line, and loses nothing.

use std::sync::Arc;

use fanwire::auth::Algorithm;
use fanwire::auth::EventTypes;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::Rate;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::shard::Access;
use fanwire::shard::Settings;

use crate::support::fits::SECRET;
use crate::support::fits::with_tokens;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

const PER_S: u32 = 100;
const LINES: u32 = 350;

fn settings() -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let keys = KeySet::new(vec![key]).unwrap();
    let verifier = Verifier::new(keys, TokenRules::default(), Mapping::default()).unwrap();
    let mut access = Access {
        verifier: Some(Arc::new(verifier)),
        event_types: EventTypes::default(),
        ..Access::default()
    };
    access.limits.publish = Rate::per_second(PER_S);
    Settings { access: Arc::new(access), ..roomy() }
}

fn begin(world: &mut World, shard: usize) -> Wire {
    let token = with_tokens(r#"«{"sub":"ada","exp":600,"fanwire":{"publish":["t"]}}»"#);
    let lines: String = (0..LINES).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let wire = world.open(shard, 1 << 20);
    let head = format!(
        "POST /v1/publish/t HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        lines.len()
    );
    world.say(wire, head.as_bytes());
    world.say(wire, lines.as_bytes());
    wire
}

/// Lets time pass until there is an answer; says how much of it, in milliseconds.
fn answer(world: &mut World, wire: Wire) -> (String, u64) {
    for step in 0_u64..2_000 {
        world.settle();
        let answer = world.read(wire, 1 << 20);
        if !answer.is_empty() {
            return (String::from_utf8(answer).unwrap(), step * 10);
        }
        world.advance(10);
        if step % 10 == 9 {
            world.tick();
        }
    }
    panic!("there is no answer in 20 s");
}

#[test]
fn a_long_upload_is_held_back_and_loses_nothing() {
    for (shard_count, shard) in [(1, 0), (3, 0), (3, 2)] {
        let mut world = World::new(shard_count, &settings());
        let wire = begin(&mut world, shard);
        let (reply, took_ms) = answer(&mut world, wire);
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
        assert!(reply.contains(&format!(r#""accepted":{LINES},"#)), "{reply}");
        assert!(reply.contains(&format!(r#""offset":{LINES},"#)), "nothing twice: {reply}");
        assert!(reply.contains(r#""rejected":0"#), "{reply}");
        // A second's worth at once, and the rest evenly; portions that another shard was handed cost a little more time.
        let least_ms = u64::from((LINES - PER_S) * 1000 / PER_S);
        assert!((least_ms - 50..least_ms + 1_000).contains(&took_ms), "it took {took_ms} ms");
    }
}

#[test]
fn two_uploads_of_one_user_share_one_rate_wherever_they_are() {
    let mut world = World::new(3, &settings());
    let wires = [begin(&mut world, 1), begin(&mut world, 2)];
    let (_, first_ms) = answer(&mut world, wires[0]);
    let (reply, more_ms) = answer(&mut world, wires[1]);
    assert!(reply.contains(&format!(r#""accepted":{LINES},"#)), "{reply}");
    let least_ms = u64::from((2 * LINES - PER_S) * 1000 / PER_S);
    assert!(first_ms + more_ms >= least_ms - 50, "they took {first_ms} and {more_ms} ms");
}
