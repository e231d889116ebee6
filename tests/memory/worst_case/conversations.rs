//! What conversations remember of what their clients have said, and gather for them: it shares the budget of input, and at the bound those go that hold
//! the most.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::auth::AnonymousAccess;
use fanwire::limits::CONNECTION_BYTES;
use fanwire::limits::MQTT_TOPIC_ALIASES_MAX;
use fanwire::limits::MQTT_WILL_BYTES_MAX;
use fanwire::shard::Access;
use fanwire::shard::MemoryBounds;
use fanwire::shard::Port;
use fanwire::shard::Settings;

use super::held_beside_sockets;
use crate::support::asking::upgrade;
use crate::support::frames::masked;
use crate::support::mqtt;
use crate::support::tables;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// Bytes of the budget.
const BUDGET: usize = 512 << 10;

/// Bytes of a connection at rest, of the test's socket, and of a conversation itself.
fn each_bytes() -> usize {
    usize::try_from(CONNECTION_BYTES).unwrap() + 2 * 512
}

fn settings(input_bytes_max: usize) -> Settings {
    let memory = MemoryBounds { input_bytes_max, ..MemoryBounds::default() };
    let mut access = Access::default();
    access.anonymous.access = AnonymousAccess::Anywhere;
    let mut settings = Settings { memory, access: Arc::new(access), ..roomy() };
    // Nothing holds on to what is published.
    settings.retention.topic_events_max = 0;
    settings.retention.topic_keys_max = 0;
    settings
}

/// Another address for each client.
fn from(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0xcb00_0000 + u32::try_from(number).unwrap() * 256))
}

/// Clients come and say what they say, until some are sent away. What all of them hold is at most a quarter more than what is counted.
fn check(name: &str, clients: usize, mut come: impl FnMut(&mut World, usize) -> Wire) {
    let schema = tables::schema(TABLES);
    let settings = tables::with_tables(settings(BUDGET), &schema, 1);
    let mut world = World::new(1, &settings);
    tables::join(&mut world, &settings);
    // What a shard has from its first client on is its own line, and so are the class and the filters that all of them share.
    come(&mut world, 0);
    world.settle();
    let (before, mut most) = (held_beside_sockets(&world), 0);
    let mut wires = Vec::new();
    for number in 1..=clients {
        wires.push(come(&mut world, number));
        most = most.max(held_beside_sockets(&world) - before);
    }
    let held = usize::try_from(most).unwrap();
    let counted = BUDGET + wires.len() * each_bytes();
    assert!(held * 4 <= counted * 5, "{name}: {held} bytes, {counted} counted");
    assert!(held * 2 > BUDGET, "{name}: {held} bytes, so little is no bound");
    world.advance(10_000);
    for _ in 0..20 {
        world.tick();
    }
    let left = wires.iter().filter(|wire| world.is_open(**wire)).count();
    assert!(left > 0 && left < wires.len(), "{name}: {left} of {} are left", wires.len());
}

/// A client of MQTT is let in, and says these packets.
fn mqtt_client(world: &mut World, number: usize, connect: &str, packets: &[String]) -> Wire {
    let mut client = mqtt::Client::default();
    let by = (Port::Own("mqtt"), from(number));
    let wire = world.try_open_at(0, 1 << 20, by).expect("there is room");
    let connect = connect.replace('#', &number.to_string());
    let all = std::iter::once(&connect).chain(packets);
    let bytes: Vec<u8> = all.flat_map(|packet| client.written(packet)).collect();
    for piece in bytes.chunks(64 << 10) {
        world.say(wire, piece);
        world.settle();
        world.read(wire, usize::MAX);
    }
    wire
}

/// A client of a WebSocket at a path says these messages.
fn socket_client(world: &mut World, number: usize, path: &str, messages: &[String]) -> Wire {
    let wire = world.open_from(0, 1 << 20, from(number));
    upgrade(world, wire, path, false);
    for message in messages {
        world.say(wire, &masked(1, message.as_bytes()));
        world.settle();
        world.read(wire, usize::MAX);
    }
    wire
}

const TABLES: &str = r#"
[[table]]
name = "t"
columns = ["id int key", "a text indexed", "p text"]
"#;

#[test]
fn wills_take_what_is_counted() {
    let payload = "w".repeat(MQTT_WILL_BYTES_MAX);
    let connect = format!("connect v5 c# clean will=t:{payload}:q0");
    check("wills", 200, |world, number| mqtt_client(world, number, &connect, &[]));
}

#[test]
fn topic_aliases_take_what_is_counted() {
    let packets: Vec<String> = (1..=MQTT_TOPIC_ALIASES_MAX)
        .map(|alias| format!("publish {alias}/{} alias={alias} : x", "t".repeat(240)))
        .collect();
    check("topic aliases", 120, |world, number| {
        mqtt_client(world, number, "connect v5 c# clean", &packets)
    });
}

#[test]
fn topic_filters_take_what_is_counted() {
    // Nothing has such a topic, so nothing else remembers them.
    let packets: Vec<String> =
        (1..=60).map(|of| format!("subscribe {of} $SYS/{of}/{}=0", "t".repeat(1_000))).collect();
    check("topic filters", 40, |world, number| {
        mqtt_client(world, number, "connect v5 c# clean", &packets)
    });
}

#[test]
fn messages_that_are_not_released_take_what_is_counted() {
    let packets: Vec<String> = (1..=250).map(|id| format!("publish t q2 id={id} : x")).collect();
    check("messages of QoS 2", 600, |world, number| {
        mqtt_client(world, number, "connect v5 c# clean", &packets)
    });
}

#[test]
fn names_of_topics_take_what_is_counted() {
    // All of them want the same, so there is one class.
    let topics: Vec<String> = (0..1_000).map(|of| format!("\"{of}{}\"", "t".repeat(100))).collect();
    let subscribe = format!(r#"{{"type":"subscribe","topics":[{}]}}"#, topics.join(","));
    check("HyperBEAM's topics", 12, |world, number| {
        socket_client(world, number, "/hb/ws", std::slice::from_ref(&subscribe))
    });
    let collections = format!(r#"{{"collections":[{}]}}"#, topics[..250].join(","));
    check("peat-node's collections", 40, |world, number| {
        socket_client(world, number, "/ws/subscribe", std::slice::from_ref(&collections))
    });
}

#[test]
fn filters_take_what_is_counted() {
    let values: Vec<String> = (0..20).map(|of| format!("\"{of}{}\"", "v".repeat(20))).collect();
    let types: Vec<String> = (0..40).map(|of| format!("\"Type{of}\"")).collect();
    let subscribe = format!(
        r#"{{"type":"subscribe","events":[{}],"filters":{{"a":[{}]}}}}"#,
        types.join(","),
        values.join(",")
    );
    check("Provisioning's filters", 20, |world, number| {
        socket_client(world, number, "/pv/ws", std::slice::from_ref(&subscribe))
    });
    let entry =
        |of: usize| format!(r#"{{"id":{of},"table":"t","filters":[{{"id":{{"opt":[{of}]}}}}]}}"#);
    let entries: Vec<String> = (0..200).map(entry).collect();
    let subscribe = format!(r#"{{"subscribe":[{}]}}"#, entries.join(","));
    check("rtbdp's filters", 40, |world, number| {
        socket_client(world, number, "/rt", std::slice::from_ref(&subscribe))
    });
}

/// Rows are read page by page, and the whole answer lies in memory before it is told.
#[test]
fn answers_that_are_gathered_take_what_is_counted() {
    const CLIENTS: usize = 40;
    const BUDGET: usize = 4 << 20;
    let schema = tables::schema(TABLES);
    let settings = tables::with_tables(settings(BUDGET), &schema, 1);
    let mut world = World::new(1, &settings);
    tables::join(&mut world, &settings);
    let mut writer = Vec::new();
    for id in 0..9 {
        let text = "x".repeat(100_000);
        writer.push(format!(
            r#"{{"id":"c","type":"request","operation":"create","entity":"t","data":{{"id":{id},"p":"{text}"}}}}"#
        ));
    }
    let wire = socket_client(&mut world, 0, "/rs/ws", &writer);
    world.vanish(wire);
    let wires: Vec<Wire> =
        (1..=CLIENTS).map(|number| socket_client(&mut world, number, "/rs/ws", &[])).collect();
    world.settle();
    let (before, mut most) = (held_beside_sockets(&world), 0);
    let read = masked(1, br#"{"id":"r","type":"request","operation":"read","entity":"t"}"#);
    for wire in &wires {
        world.say(*wire, &read);
    }
    for _ in 0..8 {
        world.work(0);
        world.deliver_parties();
        most = most.max(held_beside_sockets(&world) - before);
    }
    let held = usize::try_from(most).unwrap();
    let counted = BUDGET + CLIENTS * each_bytes();
    assert!(held * 4 <= counted * 5, "{held} bytes, {counted} counted");
    world.settle();
    let texts: Vec<String> = wires
        .iter()
        .map(|wire| String::from_utf8_lossy(&world.read(*wire, usize::MAX)).into_owned())
        .collect();
    let answered = texts.iter().filter(|text| text.contains(r#""success":true"#)).count();
    let refused = texts.iter().filter(|text| text.contains("no room for what clients")).count();
    assert!(answered > 0 && refused > 0, "{answered} are answered, {refused} are sent away");
}
