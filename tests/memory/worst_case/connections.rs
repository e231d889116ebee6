//! Connections at rest, each of another user with a long name and from another address, on a shard that does not count them itself.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::auth::Algorithm;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::limits::CONNECTION_BYTES;
use fanwire::limits::PLACE_BYTES;
use fanwire::limits::RATE_BYTES;
use fanwire::shard::Access;
use fanwire::shard::Settings;

use crate::heap;
use crate::support::fits::SECRET;
use crate::support::fits::with_tokens;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// Connections: one more than tables double at, so that they are as empty as they may be.
const CONNECTIONS: u32 = 1_800;

/// Bytes of a socket of the test's own world, which it allocates beside the server's.
const TEST_SOCKET_BYTES: usize = 512;

fn settings() -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let verifier =
        Verifier::new(KeySet::new(vec![key]).unwrap(), TokenRules::default(), Mapping::default());
    let access = Access { verifier: Some(Arc::new(verifier.unwrap())), ..Access::default() };
    Settings { access: Arc::new(access), ..roomy() }
}

/// Connects with a token of its own.
fn connect(world: &mut World, number: u32) -> Wire {
    let user = format!("{number}{}", "u".repeat(240));
    let token = with_tokens(&format!(
        r#"«{{"sub":"{user}","exp":3000,"fanwire":{{"subscribe":["**"]}}}}»"#
    ));
    let wire =
        world.open_from(1, 1 << 12, IpAddr::V4(Ipv4Addr::from_bits(0xcb00_0000 + number * 256)));
    let head = format!(
        "GET /v1/ws?token={token} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    world.say(wire, head.as_bytes());
    world.settle();
    let told = world.read(wire, usize::MAX);
    assert!(told.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&told));
    wire
}

#[test]
fn connections_of_as_many_users_take_what_is_counted() {
    let mut world = World::new(2, &settings());
    // What a shard has from its first connection on is its own line.
    connect(&mut world, 0);
    let before = heap::held();
    let wires: Vec<Wire> = (1..=CONNECTIONS).map(|number| connect(&mut world, number)).collect();
    let held = usize::try_from(heap::held() - before).unwrap();
    assert!(wires.iter().all(|wire| world.is_open(*wire)));
    let each = usize::try_from(CONNECTION_BYTES + PLACE_BYTES).unwrap() + RATE_BYTES;
    let counted = (each + TEST_SOCKET_BYTES) * wires.len();
    assert!(held * 4 <= counted * 5, "{} bytes each, {each} counted", held / wires.len());
}
