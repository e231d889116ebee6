//! Ids of event streams that begin in the present: each event has one to come back with, the first one too, wherever the answers of its homes are on their way;
//! and who comes back with it misses nothing and hears nothing twice. While a snapshot is told there is none: who comes back then is told the snapshot again.

use fanwire::config::Config;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::home_of;
use fanwire::server::Server;

use crate::support::world::Wire;
use crate::support::world::World;

/// Some topic that is at home on this one of two shards.
fn topic_at(shard: u16) -> String {
    let names = (0..).map(|number| format!("t{number}"));
    let is_there = |name: &String| home_of(&TopicName::new(name).unwrap(), 2) == ShardId(shard);
    names.into_iter().find(is_there).unwrap()
}

/// Publishes on one of the shards, which takes it in at once.
fn publish(world: &mut World, shard: usize, topic: &str, number: u32) {
    let wire = world.open(shard, 1 << 20);
    let body = format!("{{\"n\":{number}}}");
    let head =
        format!("POST /v1/publish/{topic} HTTP/1.1\r\nHost: t\r\nContent-Length: {}", body.len());
    world.say(wire, format!("{head}\r\n\r\n{body}").as_bytes());
}

/// Opens a stream on the second shard, whose question to the first one has not arrived when this returns.
fn open(world: &mut World, path: &str, last_id: Option<&str>) -> Wire {
    let wire = world.open(1, 1 << 20);
    let field = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    world.say(wire, format!("GET {path} HTTP/1.0\r\nHost: t\r\n{field}\r\n").as_bytes());
    world.work(1);
    wire
}

/// The numbers of the events that a stream was told, each with its id.
fn told(world: &mut World, wire: Wire) -> Vec<(u32, Option<String>)> {
    let heard = String::from_utf8(world.read(wire, usize::MAX)).unwrap().replace('\\', "");
    let events = heard.split("\n\n").filter(|event| event.contains("{\"n\":"));
    let number_of = |event: &str| {
        let (_, rest) = event.split_once("{\"n\":").unwrap();
        rest.split_once('}').unwrap().0.parse().unwrap()
    };
    let id_of = |event: &str| Some(event.split_once("\nid: ")?.1.to_owned());
    events.map(|event| (number_of(event), id_of(event))).collect()
}

#[test]
fn the_first_event_of_the_present_has_an_id_though_a_home_has_not_answered() {
    // What dialects see of topics is configured.
    let config = Config { connections_max: 100, ..Config::default() };
    let settings = Server::shard_settings(&config, 2).unwrap();
    let (there, here) = (topic_at(0), topic_at(1));
    for path in ["/sse/subscribe", "/v1/sse?topic=*"] {
        let mut world = World::new(2, &settings);
        // Before the stream, and known on its shard.
        publish(&mut world, 0, &there, 1);
        world.settle();
        let stream = open(&mut world, path, None);
        world.advance(1);
        // Of the home on its own shard, which has answered; the other has not been asked yet.
        publish(&mut world, 1, &here, 2);
        world.work(1);
        let heard = told(&mut world, stream);
        let [(2, Some(id))] = &heard[..] else { panic!("{path}: {heard:?}") };
        world.vanish(stream);
        publish(&mut world, 0, &there, 3);
        publish(&mut world, 1, &here, 4);
        world.settle();
        let stream = open(&mut world, path, Some(id));
        world.settle();
        let mut numbers: Vec<u32> =
            told(&mut world, stream).into_iter().map(|(number, _)| number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [3, 4], "{path}");
    }
}
