//! What a client says is carried out in the order in which it was said, however its bytes are cut into reads.

use fanwire::shard::Settings;
use serde_json::Value;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::frames;
use crate::support::random::Random;
use crate::support::world::World;
use crate::support::world::roomy;

/// What a client is answered, by kind and id, when its bytes come in these pieces; everything settles between two of them.
fn answers(shard_count: u16, pieces: &[&[u8]]) -> Vec<String> {
    let mut world = World::new(shard_count, &Settings { message_bytes_max: 64 * 1024, ..roomy() });
    let mut client = Client::connect(&mut world, usize::from(shard_count) - 1, 1 << 20, false);
    world.settle();
    client.read(&mut world, usize::MAX);
    client.told.clear();
    for piece in pieces {
        world.say(client.wire, piece);
        world.settle();
        client.read(&mut world, usize::MAX);
        world.settle();
    }
    while client.read(&mut world, usize::MAX) > 0 {
        world.settle();
    }
    // Events come when they come; what is asked and answered has an order.
    client.told.iter().filter(|told| !matches!(told, Told::Event(_))).map(named).collect()
}

/// What was told, without what differs from run to run.
fn named(told: &Told) -> String {
    match told {
        Told::Live { id, .. } => format!("live {id}"),
        Told::Close(code) => format!("close {code:?}"),
        Told::Other(message) => {
            let code = message["code"].as_str().unwrap_or_default();
            let of = message["topic"].as_str().unwrap_or_default();
            format!("{} {} {code}{of}", message["type"].as_str().unwrap_or_default(), message["id"])
        }
        other => format!("{other:?}"),
    }
}

fn text(message: &Value) -> Vec<u8> {
    frames::text(&message.to_string())
}

#[test]
fn publish_subscribe_and_ping_are_answered_alike_in_one_segment_and_in_three() {
    let said = [
        text(&json!({"type": "publish", "id": "1", "topic": "a", "payload": {"x": 1}})),
        text(&json!({"type": "subscribe", "id": "s", "topics": ["a", "b", "c", "d"]})),
        text(&json!({"type": "ping", "id": "2"})),
    ];
    for shard_count in [1, 2, 3] {
        let expected = ["published \"1\" a", "live \"s\"", "pong \"2\" "];
        for pieces in [vec![&said.concat()[..]], said.iter().map(|one| &one[..]).collect()] {
            let mut told = answers(shard_count, &pieces);
            told.retain(|one| !one.starts_with("subscribed"));
            assert_eq!(told, expected, "{shard_count} shards, {} pieces", pieces.len());
            let all = answers(shard_count, &pieces);
            assert_eq!(all[1], "subscribed \"s\" ", "{all:?}");
        }
    }
}

/// Something that a client may say.
fn something(random: &mut Random, number: usize) -> Vec<u8> {
    let topic = ["a", "b", "c", "d/e"][random.below(4)];
    let id = number.to_string();
    match random.below(12) {
        0..4 => {
            text(&json!({"type": "publish", "id": id, "topic": topic, "payload": {"n": number}}))
        }
        4 => text(&json!({"type": "publish", "topic": topic, "payload": {"n": number}})),
        5 => text(&json!({"type": "publish", "id": id, "topic": "", "payload": {"n": number}})),
        6 => text(&json!({"type": "subscribe", "id": topic, "topics": [topic]})),
        7 => text(&json!({"type": "unsubscribe", "id": topic})),
        8 => text(&json!({"type": "update", "id": topic, "filter": "n > 3"})),
        9 => text(&json!({"type": "nonsense", "id": id})),
        10 => text(
            &json!({"type": "subscribe", "id": topic, "topics": [topic, "**"], "filter": "n >"}),
        ),
        _ => text(&json!({"type": "ping", "id": id})),
    }
}

#[test]
fn any_split_of_what_is_said_is_answered_in_the_same_order() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let shard_count = *random.pick(&[1, 2, 3]);
        let count = 2 + random.below(14);
        let mut said: Vec<Vec<u8>> =
            (0..count).map(|number| something(&mut random, number)).collect();
        if random.one_in(4) {
            said.push(vec![0x81, 0x00]);
        }
        let whole = said.concat();
        let expected = answers(shard_count, &said.iter().map(|one| &one[..]).collect::<Vec<_>>());
        assert!(!expected.is_empty());
        for round in 0..4 {
            let mut pieces = Vec::new();
            let mut rest = &whole[..];
            while round > 0 && !rest.is_empty() && pieces.len() < 12 {
                let most = rest.len().min(1 + random.below(400));
                let (piece, after) = rest.split_at(most);
                pieces.push(piece);
                rest = after;
            }
            if !rest.is_empty() {
                pieces.push(rest);
            }
            assert_eq!(
                answers(shard_count, &pieces),
                expected,
                "seed {seed}, {shard_count} shards, cut into {:?}",
                pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>()
            );
        }
    }
}
