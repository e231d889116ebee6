//! Tokens of those who are connected: what is beyond every connection's own few bytes has a budget; at it the newcomer is refused, and a token shown
//! later is not taken. What roles force is there once, however many have the role.

use std::sync::Arc;

use fanwire::auth::Algorithm;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::Role;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::limits::CONNECTION_BYTES;
use fanwire::limits::WHO_SPARE_BYTES;
use fanwire::shard::Access;
use fanwire::shard::MemoryBounds;
use fanwire::shard::Settings;
use serde_json::json;

use crate::heap;
use crate::support::fits::SECRET;
use crate::support::fits::with_tokens;
use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// Bytes of the budget.
const BUDGET: usize = 1 << 20;

/// What a connection at rest and the test's socket take, which is another line's.
fn each_bytes() -> usize {
    usize::try_from(CONNECTION_BYTES).unwrap() + 512
}

const TOO_MUCH: &str = "the server holds no more of tokens than it has memory for";

/// Connections at most.
const CONNECTIONS: usize = 2_000;

/// A filter that is worth remembering once: a list, and an expression of some states.
const FILTER: &str = "callsign =~ '^[a-z]{30}.*(x|y)+$' or squawk in (1, 2, 3, 4, 5, 6, 7, 8)";

fn settings() -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let filter = Some(Arc::from(json!(FILTER).to_string()));
    let viewer = Role { filter, ..Role::default() };
    let mapping = Mapping { roles: [("viewer".into(), viewer)].into(), ..Mapping::default() };
    let verifier =
        Verifier::new(KeySet::new(vec![key]).unwrap(), TokenRules::default(), mapping).unwrap();
    let access = Access { verifier: Some(Arc::new(verifier)), ..Access::default() };
    let memory = MemoryBounds { tokens_bytes_max: BUDGET, ..MemoryBounds::default() };
    Settings { access: Arc::new(access), memory, ..roomy() }
}

fn token(number: usize, grants: &str) -> String {
    with_tokens(&format!(
        r#"«{{"sub":"{number}","jti":"{number}","exp":3000,{}}}»"#,
        grants.replace("#", &number.to_string())
    ))
}

/// Asks for a WebSocket; what was answered.
fn connect(world: &mut World, token: &str) -> (Wire, String) {
    let wire = world.open(0, 1 << 12);
    let head = format!(
        "GET /v1/ws?token={token} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    world.say(wire, head.as_bytes());
    world.settle();
    (wire, String::from_utf8_lossy(&world.read(wire, usize::MAX)).into_owned())
}

/// Connects clients until one is refused.
fn fill(world: &mut World, grants: &str) -> (Vec<Wire>, String) {
    let mut wires = Vec::new();
    for number in 0..CONNECTIONS {
        let (wire, answer) = connect(world, &token(number, grants));
        if !answer.starts_with("HTTP/1.1 101") {
            return (wires, answer);
        }
        wires.push(wire);
    }
    (wires, String::new())
}

#[test]
fn tokens_take_what_is_counted_and_one_more_is_refused() {
    let patterns: Vec<String> = (0..40).map(|of| format!("{}/{of}/*", "t".repeat(60))).collect();
    let many = format!(r#""fanwire":{{"subscribe":{0},"publish":{0}}}"#, json!(patterns));
    let roles: Vec<String> = (0..32).map(|of| format!("{of}{}", "r".repeat(100))).collect();
    let filter =
        json!("squawk in (#, 2, 3, 4, 5, 6, 7, 8) or callsign like 'a%#' and n > #").to_string();
    for (name, grants) in [
        ("patterns", many),
        ("roles", format!(r#""roles":{}"#, json!(roles))),
        ("filters", format!(r#""fanwire":{{"subscribe":["**"],"filter":{filter}}}"#)),
    ] {
        let mut world = World::new(1, &settings());
        connect(&mut world, &token(0, r#""role":"nobody""#));
        let before = heap::held();
        let (wires, answer) = fill(&mut world, &grants);
        let held = usize::try_from(heap::held() - before).unwrap();
        let counted = BUDGET + wires.len() * each_bytes();
        assert!(wires.len() > 10 && held * 4 <= counted * 5, "{name}: {} take {held}", wires.len());
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"), "{answer}");
        assert!(answer.contains(TOO_MUCH), "{name}: {answer}");
        // A token of a few words takes nothing of it, and what one gives up another may have.
        let (small, welcome) = connect(&mut world, &token(1, r#""fanwire":{"subscribe":["a"]}"#));
        assert!(welcome.starts_with("HTTP/1.1 101"), "{name}: {welcome}");
        let auth = json!({"type": "auth", "id": 7, "token": token(1, &grants)}).to_string();
        world.say(small, &masked(1, auth.as_bytes()));
        world.settle();
        let told = String::from_utf8_lossy(&world.read(small, usize::MAX)).into_owned();
        assert!(told.contains(TOO_MUCH), "{name}: {told}");
        world.end(wires[0]);
        world.settle();
        world.say(small, &masked(1, auth.as_bytes()));
        world.settle();
        let told = String::from_utf8_lossy(&world.read(small, usize::MAX)).into_owned();
        assert!(told.contains(r#""type":"authenticated","id":7"#), "{name}: {told}");
    }
}

#[test]
fn what_a_role_forces_is_there_once() {
    let mut world = World::new(1, &settings());
    connect(&mut world, &token(0, r#""role":"viewer""#));
    let before = heap::held();
    let (wires, answer) = fill(&mut world, r#""role":"viewer""#);
    let each = usize::try_from(heap::held() - before).unwrap() / wires.len();
    assert!(wires.len() == CONNECTIONS, "{} were let in: {answer}", wires.len());
    assert!(each * 4 <= (each_bytes() + WHO_SPARE_BYTES) * 5, "{each} bytes each");
}
