//! What the clients of these tests do alike: they are upgraded with a token, read what they are sent, and their tokens are revoked.

use crate::support::fits::with_tokens;
use crate::support::world::Wire;
use crate::support::world::World;

/// The operator's secret.
pub(crate) const ADMIN: &str = "0123456789abcdef0123456789abcdef";

/// A request to be a WebSocket, with a token of these claims behind what it asks for.
pub(crate) fn upgrade(target: &str, claims: &str) -> Vec<u8> {
    format!(
        "GET {target}token={} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        with_tokens(claims)
    )
    .into_bytes()
}

/// The operator revokes what this says, by way of that shard.
pub(crate) fn revoke(world: &mut World, shard: usize, body: &str) {
    let request = format!(
        "POST /v1/admin/revoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let wire = world.open(shard, 1 << 20);
    world.say(wire, request.as_bytes());
    world.settle();
    let answer = world.read(wire, usize::MAX);
    assert!(String::from_utf8_lossy(&answer).contains(r#"{"revoked":true}"#));
    world.vanish(wire);
}

/// A client reads so many bytes at most; false: there were none.
pub(crate) fn read(world: &mut World, wire: Wire, count: usize, heard: &mut Vec<u8>) -> bool {
    world.settle();
    let bytes = world.read(wire, count);
    heard.extend(&bytes);
    !bytes.is_empty()
}
