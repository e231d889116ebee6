//! A fleet that speaks MQTT and sleeps: what a session takes whose client is gone, whatever it misses.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::auth::AnonymousAccess;
use fanwire::shard::Access;
use fanwire::shard::MemoryBounds;
use fanwire::shard::Port;
use fanwire::shard::Settings;

use super::held_beside_sockets;
use crate::support::mqtt;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// Clients of each kind; those that came before them, so that tables have grown that grow by doubling.
const CLIENTS: usize = 3_000;
const BEFORE: usize = 1_100;

/// Bytes of a session whose client is gone.
const SESSION_BYTES: i64 = 400;

fn settings() -> Settings {
    let mut access = Access::default();
    access.anonymous.access = AnonymousAccess::Anywhere;
    Settings { access: Arc::new(access), ..roomy() }
}

fn come(world: &mut World, number: usize, connect: &str, subscribe: &str) -> Wire {
    let mut client = mqtt::Client::default();
    let by = (Port::Own("mqtt"), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let wire = world.try_open_at(0, 1 << 20, by).expect("there is room");
    for packet in [connect, subscribe] {
        let bytes = client.written(&packet.replace('#', &number.to_string()));
        world.say(wire, &bytes);
        world.settle();
        client.push(&world.read(wire, usize::MAX));
    }
    let said: Vec<String> = std::iter::from_fn(|| client.next()).collect();
    assert!(said.iter().any(|said| said.starts_with("suback 1 0")), "{said:?}");
    wire
}

/// Has so many clients subscribe and go.
fn fall_asleep(world: &mut World, numbers: std::ops::Range<usize>, connect: &str) {
    for number in numbers {
        let wire = come(world, number, connect, "subscribe 1 fleet/+/orders=1");
        world.say(wire, &mqtt::Client::default().written("disconnect"));
        world.settle();
        world.vanish(wire);
    }
}

#[test]
fn a_session_that_sleeps_takes_400_bytes_whatever_it_misses() {
    let connect = "connect v4 vehicle-#";
    let mut world = World::new(1, &settings());
    fall_asleep(&mut world, 0..BEFORE, connect);
    let before = held_beside_sockets(&world);
    fall_asleep(&mut world, BEFORE..BEFORE + CLIENTS, connect);
    let asleep = held_beside_sockets(&world) - before;
    let each = asleep / i64::try_from(CLIENTS).unwrap();
    println!("{each} bytes");
    assert!(each <= SESSION_BYTES, "{each} bytes");
    // A hundred messages for all of them: history has them, once.
    let mut client = mqtt::Client::default();
    let wire = come(&mut world, CLIENTS * 2, "connect v5 says-# clean", "subscribe 1 other=0");
    client.written("connect v5 says clean");
    let before = held_beside_sockets(&world);
    for number in 1..=100 {
        let packet = format!("publish fleet/7/orders q1 id={number} : {}", "x".repeat(1000));
        let bytes = client.written(&packet);
        world.say(wire, &bytes);
        world.settle();
        world.read(wire, usize::MAX);
    }
    let missed = held_beside_sockets(&world) - before;
    assert!(missed <= 512 << 10, "{missed} bytes for a hundred messages of a thousand bytes");
}

/// Clients of each of four kinds, in the flood, and the budgets of what they have the server remember.
const EACH: usize = 60;
const INPUT_BYTES_MAX: usize = 1 << 20;
const SUBSCRIPTIONS_BYTES_MAX: usize = 1 << 20;

/// What the clients of a flood say: nothing but the beginning of CONNECT; the largest will, and sixty filters of 250 bytes; the largest aliases; and a packet that does not end.
fn flood(world: &mut World, number: usize) -> [Wire; 4] {
    let by = (Port::Own("mqtt"), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let open = |world: &mut World, said: &[String], raw: &[u8]| {
        let wire = world.try_open_at(0, 1 << 20, by).expect("there is room");
        let mut client = mqtt::Client::default();
        let mut bytes: Vec<u8> = said.iter().flat_map(|packet| client.written(packet)).collect();
        bytes.extend_from_slice(raw);
        for piece in bytes.chunks(64 << 10) {
            world.say(wire, piece);
            world.settle();
            world.read(wire, usize::MAX);
        }
        wire
    };
    let filters: String = (0..60).map(|filter| format!(" {filter:0>250}=1")).collect();
    let will = format!("connect v4 will-{number} clean will=w/{number}:{}:q0", "w".repeat(4000));
    let aliases = (1..=32).map(|alias| format!("publish {alias:0>250} alias={alias} : x"));
    let aliases = std::iter::once(format!("connect v5 alias-{number} clean")).chain(aliases);
    let half = [&[0x30, 0x80, 0x80, 0x20][..], &vec![b'x'; 300_000]].concat();
    [
        open(world, &[], &[0x10, 0x20, 0x00]),
        open(world, &[will, format!("subscribe 1{filters}")], &[]),
        open(world, &aliases.collect::<Vec<_>>(), &[]),
        open(world, &[format!("connect v4 half-{number} clean")], &half),
    ]
}

#[test]
fn a_flood_takes_its_budgets_and_a_little_for_each_connection() {
    let memory = MemoryBounds {
        input_bytes_max: INPUT_BYTES_MAX,
        subscriptions_bytes_max: SUBSCRIPTIONS_BYTES_MAX,
        ..MemoryBounds::default()
    };
    let mut settings = Settings { memory, ..settings() };
    // Nothing holds on to what is published.
    settings.retention.topic_events_max = 0;
    settings.retention.topic_keys_max = 0;
    let mut world = World::new(1, &settings);
    flood(&mut world, EACH);
    let (before, mut most) = (held_beside_sockets(&world), 0);
    let mut wires = Vec::new();
    for number in 0..EACH {
        wires.extend(flood(&mut world, number));
        most = most.max(held_beside_sockets(&world) - before);
    }
    let budgets = i64::try_from(INPUT_BYTES_MAX + SUBSCRIPTIONS_BYTES_MAX).unwrap();
    let count = i64::try_from(wires.len()).unwrap();
    let each = (most - budgets) / count;
    assert!(each <= FLOODER_BYTES, "{most} bytes, {each} for each beside the budgets");
}

/// Bytes of a connection of a flood beside what budgets count, and of the test's socket.
const FLOODER_BYTES: i64 = 2048;
