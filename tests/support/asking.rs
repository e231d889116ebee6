//! What the tests of input share: requests and upgrades, and a desk whose answers are large.

use fanwire::shard::Response;

use super::world::Wire;
use super::world::World;

/// Makes a connection a WebSocket, and reads what that is answered.
pub fn upgrade(world: &mut World, wire: Wire, path: &str, deflate: bool) {
    let extensions = if deflate {
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
    } else {
        ""
    };
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extensions}\r\n"
    );
    world.say(wire, head.as_bytes());
    world.settle();
    world.read(wire, usize::MAX);
}

/// A read's worth of one request after the other.
pub fn pipeline(request: &str) -> Vec<u8> {
    request.repeat(64 * 1024 / request.len()).into_bytes()
}

/// What a client that reads all of it is answered: how many times each status.
pub fn statuses(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.split("HTTP/1.1 ").skip(1).map(|reply| reply.chars().take(3).collect()).collect()
}

/// Requests that are answered outside of the core get large answers.
fn answer_admin(world: &mut World) -> bool {
    let now = world.now;
    let mut any = false;
    for shard in &mut world.shards {
        while let Some((conn, _)) = shard.poll_admin() {
            let body = vec![b'm'; 9_000].into();
            let response =
                Response { status: 200, content_type: "text/plain", headers: Vec::new(), body };
            shard.answer(conn, &response, now);
            any = true;
        }
    }
    any
}

/// Everything that is on its way arrives, and requests are answered.
pub fn settle(world: &mut World) {
    loop {
        world.settle();
        if !answer_admin(world) {
            return;
        }
    }
}
