//! Whatever a client asks for and says, in whichever dialect, it hears nothing that its token excludes: live, from the past, or renewed.
//!
//! The first line is the target that it opens; each further line is a message of its, `!` and a number something that is published
//! meanwhile, `~` a tenth of a second.

use std::sync::Arc;

use crate::world::START_US;
use crate::world::Wire;
use crate::world::World;
use crate::world::roomy;
use fanwire::auth::Algorithm;
use fanwire::auth::EventTypes;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::NewClaims;
use fanwire::auth::NewGrants;
use fanwire::auth::SigningKey;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::shard::Access;
use fanwire::shard::Settings;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
/// Stands in every event that the token excludes, and in nothing else.
const WORD: &str = "FORBIDDEN-FRUIT";
/// Topic, area, and whether the token lets it be heard: north only, and only below `open/`.
const EVENTS: [(&str, &str, bool); 6] = [
    ("open/a", "north", true),
    ("open/a", "south", false),
    ("open/b", "south", false),
    ("closed/a", "north", false),
    ("LogEntry", "north", false),
    ("SystemHealthUpdate", "north", false),
];
/// Messages beyond this say nothing new.
const LINES_MAX: usize = 64;

/// Holds the shard to it for one input.
pub(crate) fn hold(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let token = token();
    let mut lines = text.lines().map(|line| line.replace("TOKEN", &token)).take(LINES_MAX);
    let Some(target) = lines.next() else { return };
    let mut world = World::new(1, &settings());
    for number in 0..EVENTS.len() {
        publish(&mut world, number);
    }
    let wire = world.open(0, 1 << 22);
    let upgrade = if target.contains("sse") {
        ""
    } else {
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    };
    // Never as from this machine: who shows no token is nobody.
    let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\nVia: 1.1 proxy\r\n{upgrade}\r\n");
    world.say(wire, head.as_bytes());
    listen(&mut world, wire, &text);
    for line in lines {
        match line.as_bytes() {
            [b'!', digit, ..] => publish(&mut world, usize::from(*digit) % EVENTS.len()),
            [b'~', ..] => {
                world.advance(100);
                world.tick();
            }
            message => world.say(wire, &frame(message)),
        }
        listen(&mut world, wire, &text);
    }
    for number in 0..EVENTS.len() {
        publish(&mut world, number);
    }
    listen(&mut world, wire, &text);
}

fn listen(world: &mut World, wire: Wire, input: &str) {
    world.settle();
    let heard = world.read(wire, 1 << 22);
    let heard = String::from_utf8_lossy(&heard);
    assert!(!heard.contains(WORD), "{input:?} made a client hear\n{heard}");
}

fn publish(world: &mut World, number: usize) {
    let (topic, area, is_theirs) = EVENTS[number];
    let word = if is_theirs { "fine" } else { WORD };
    let body = format!(r#"{{"area":"{area}","word":"{word}","process":"p1"}}"#);
    let wire = world.open(0, 1 << 16);
    let length = body.len();
    let request = format!(
        "POST /v1/publish/{topic} HTTP/1.1\r\nHost: x\r\nFanwire-Key: k{number}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    world.say(wire, request.as_bytes());
    world.settle();
    world.vanish(wire);
}

/// A masked text frame; the mask is of zeros.
fn frame(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut frame = vec![0x81, 0x80 | 126];
    if length < 126 {
        frame = vec![0x81, 0x80 | length.to_be_bytes()[1]];
    } else {
        frame.extend(length.to_be_bytes());
    }
    frame.extend([0; 4]);
    frame.extend(&message[..usize::from(length)]);
    frame
}

fn settings() -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).expect("it is long enough");
    let keys = KeySet::new(vec![key]).expect("it is one");
    let verifier = Verifier::new(keys, TokenRules::default(), Mapping::default());
    let verifier = Some(Arc::new(verifier.expect("the rules are the default ones")));
    let mut settings = roomy();
    settings.access =
        Arc::new(Access { verifier, event_types: EventTypes::default(), ..Access::default() });
    let views = Arc::make_mut(&mut settings.views);
    assert!(views.set("hyperbeam", "derived_topics", 1));
    assert!(views.set("hyperbeam", "regex_topics", 1));
    settings
}

fn token() -> String {
    let subscribe = ["open/**".to_owned(), "LogEntry".to_owned()];
    let filter = serde_json::value::RawValue::from_string(r#"{"eq":["area","north"]}"#.to_owned());
    let now_s = START_US / 1_000_000;
    let claims = NewClaims {
        user: "eve",
        roles: &["viewer".to_owned()],
        id: None,
        issuer: None,
        audience: None,
        issued_at_s: now_s,
        expires_at_s: Some(now_s + 3600),
        grants: Some(NewGrants {
            subscribe: Some(&subscribe),
            publish: Some(&[]),
            filter: Some(&filter.expect("it is JSON")),
        }),
    };
    let key = SigningKey::from_secret(Algorithm::Hs256, SECRET).expect("it is long enough");
    key.mint(None, &claims).expect("it is signed")
}
