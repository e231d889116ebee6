//! Ids of event streams that begin in the present: each event has one to come back with, the first one too, wherever the answers of its homes are on their way;
//! and who comes back with it misses nothing and hears nothing twice. While a snapshot is told there is none: who comes back then is told the snapshot again.

use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::home_of;

use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// Some topic that is at home on this one of two shards.
fn topic_at(shard: u16) -> String {
    let names = (0..).map(|number| format!("t{number}"));
    let is_there = |name: &String| home_of(&TopicName::new(name).unwrap(), 2) == ShardId(shard);
    names.into_iter().find(is_there).unwrap()
}

/// Publishes on the first shard, which takes it in at once and tells nobody yet.
fn publish(world: &mut World, wire: Wire, topic: &str, number: u32) {
    let body = format!("{{\"n\":{number}}}");
    let head =
        format!("POST /v1/publish/{topic} HTTP/1.1\r\nHost: t\r\nContent-Length: {}", body.len());
    world.say(wire, format!("{head}\r\n\r\n{body}").as_bytes());
}

/// Opens a stream on the second shard, whose questions to the first one have not arrived when this returns.
fn open(world: &mut World, path: &str, last_id: Option<&str>) -> Wire {
    let wire = world.open(1, 1 << 20);
    let field = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    world.say(wire, format!("GET {path} HTTP/1.0\r\nHost: t\r\n{field}\r\n").as_bytes());
    world.work(1);
    wire
}

/// The numbers of the events that a stream was told, each with its id.
fn told(world: &mut World, wire: Wire) -> Vec<(u32, Option<String>)> {
    let heard = String::from_utf8(world.read(wire, usize::MAX)).unwrap();
    let events =
        heard.split("\n\n").filter(|event| event.contains("\"n\\\":") || event.contains("\"n\":"));
    let number_of = |event: &str| {
        let digits = event.split("\"n").nth(1).unwrap().trim_start_matches(['\\', '"', ':']);
        digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let id_of =
        |event: &str| event.lines().find_map(|line| line.strip_prefix("id: ").map(str::to_owned));
    events.map(|event| (number_of(event), id_of(event))).collect()
}

#[test]
fn the_first_event_of_the_present_has_an_id_before_its_home_has_answered() {
    let topic = topic_at(0);
    let paths = [
        format!("/sse/subscribe?collections={topic}&snapshot=none"),
        "/sse/subscribe".to_owned(),
        format!("/v1/sse?topic={topic}"),
        "/v1/sse?topic=*".to_owned(),
    ];
    for path in &paths {
        let mut world = World::new(2, &roomy());
        let publisher = world.open(0, 1 << 20);
        // On its way to the second shard when the stream begins there: live, as what the stream's question meets.
        publish(&mut world, publisher, &topic, 1);
        world.work(0);
        let stream = open(&mut world, path, None);
        world.advance(1);
        publish(&mut world, publisher, &topic, 2);
        world.settle();
        let heard = told(&mut world, stream);
        let (last, id) = heard.last().cloned().unwrap_or_default();
        assert_eq!(last, 2, "{path}: {heard:?}");
        assert!(heard.iter().all(|(_, id)| id.is_some()), "{path}: {heard:?}");
        world.vanish(stream);
        publish(&mut world, publisher, &topic, 3);
        world.settle();
        let stream = open(&mut world, path, id.as_deref());
        publish(&mut world, publisher, &topic, 4);
        world.settle();
        let numbers: Vec<u32> =
            told(&mut world, stream).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [3, 4], "{path}");
        // Who went after the first one hears the second, and it alone.
        let Some((1, Some(first))) = heard.first() else { continue };
        let stream = open(&mut world, path, Some(first));
        world.settle();
        let numbers: Vec<u32> =
            told(&mut world, stream).into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [2, 3, 4], "{path}");
    }
}
