//! A fleet that speaks MQTT and sleeps: what a session takes whose client is gone, whatever it misses.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::auth::AnonymousAccess;
use fanwire::shard::Access;
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
