//! A dialect is added by its folder and a line in a list: the toy's folder is `tests/toy`, and its line is in [`PROTOCOLS`] here.
//!
//! What it has is a WebSocket, an event stream and a call, on a core of two shards; and what would make more than that necessary is looked
//! for: code of the server that names a dialect.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use fanwire::config::Config;
use fanwire::dialect;
use fanwire::dialect::Protocol;
use fanwire::dialect::Views;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::home_of;
use fanwire::limits::TICKETS_MAX;
use fanwire::server::Server;
use fanwire::shard::Settings;

use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;
use crate::toy;

/// The line that the toy needs in the list.
static PROTOCOLS: [&Protocol; 1] = [&toy::PROTOCOL];

fn protocols() -> Vec<&'static Protocol> {
    [dialect::PROTOCOLS, &PROTOCOLS].concat()
}

fn world() -> World {
    World::new(2, &Settings { views: Arc::new(Views::new(&protocols())), ..roomy() })
}

fn ask(world: &mut World, request: &str) -> Wire {
    let wire = world.open(0, 1 << 20);
    world.say(wire, request.as_bytes());
    world.settle();
    wire
}

fn heard(world: &mut World, wire: Wire) -> String {
    String::from_utf8_lossy(&world.read(wire, 1 << 16)).into_owned()
}

fn say(world: &mut World, wire: Wire, opcode: u8, bytes: &[u8]) -> String {
    world.say(wire, &masked(opcode, bytes));
    world.settle();
    heard(world, wire)
}

const UPGRADE: &str = "Host: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

#[test]
fn the_toy_has_a_socket_a_stream_and_a_call() {
    let mut world = world();
    let socket = ask(
        &mut world,
        &format!("GET /toy/ws HTTP/1.1\r\n{UPGRADE}Sec-WebSocket-Protocol: toy\r\n\r\n"),
    );
    let welcome = heard(&mut world, socket);
    assert!(welcome.contains("101") && welcome.contains("hello from"), "{welcome}");
    assert!(say(&mut world, socket, 1, b"want a/b").contains("wanted a/b"));
    assert!(say(&mut world, socket, 2, b"\xff\xfe\xfd").contains("3 bytes"));
    assert!(say(&mut world, socket, 1, b"nonsense").contains("what?"));

    let stream = ask(&mut world, "GET /toy/sse?topic=a/b HTTP/1.1\r\nHost: t\r\n\r\n");
    let head = heard(&mut world, stream);
    assert!(head.contains("200") && head.contains("text/event-stream"), "{head}");

    let said = say(&mut world, socket, 1, br#"say a/b {"n":1}"#);
    let placed = said.find("a/b has 1").expect(&said);
    let event = said.find(r#"a/b {"n":1}"#).expect(&said);
    assert!(placed < event, "who says something is answered before it hears it: {said}");
    assert!(heard(&mut world, stream).contains(r#"data: a/b {"n":1}"#));

    let call = ask(
        &mut world,
        "POST /toy/say?topic=a/b HTTP/1.1\r\nHost: t\r\nContent-Length: 7\r\n\r\n{\"n\":2}",
    );
    let answer = heard(&mut world, call);
    assert!(answer.contains("200") && answer.ends_with(r#""a/b has 2""#), "{answer}");
    assert!(heard(&mut world, socket).contains(r#"a/b {"n":2}"#));
    assert!(heard(&mut world, stream).contains(r#"a/b {"n":2}"#));
}

#[test]
fn what_follows_from_tables_follows_for_the_toy() {
    let mut world = world();
    for (request, status, field) in [
        ("GET /toy/ws", "426", "upgrade: websocket"),
        ("PUT /toy/sse", "405", "allow: GET, HEAD, OPTIONS"),
        ("OPTIONS /toy/say", "204", "allow: POST, OPTIONS"),
        ("HEAD /toy/sse?topic=a", "200", "text/event-stream"),
        ("GET /toy/sse", "400", ""),
    ] {
        let wire = ask(&mut world, &format!("{request} HTTP/1.1\r\nHost: t\r\n\r\n"));
        let answer = heard(&mut world, wire);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        let lower = answer.to_ascii_lowercase();
        assert!(lower.contains(&field.to_ascii_lowercase()), "{request}: {answer}");
    }
}

#[test]
fn a_setting_of_the_toys_own_holds() {
    let mut world = world();
    let socket = ask(&mut world, &format!("GET /toy/ws HTTP/1.1\r\n{UPGRADE}\r\n"));
    world.advance(6_000);
    (0..10).for_each(|_| world.tick());
    world.settle();
    assert!(world.is_open(socket), "it may be silent for seven seconds");
    heard(&mut world, socket);
    world.advance(2_000);
    (0..10).for_each(|_| world.tick());
    world.settle();
    let [high, low] = 1000_u16.to_be_bytes();
    assert_eq!(world.read(socket, 100), [0x88, 2, high, low], "a close frame");
}

/// What a client was told, message by message; none is longer than 125 bytes.
fn messages(bytes: &[u8]) -> Vec<String> {
    let (mut rest, mut all) = (bytes, Vec::new());
    while let [0x81, length, after @ ..] = rest {
        let (text, after) = after.split_at(usize::from(*length));
        all.push(String::from_utf8_lossy(text).into_owned());
        rest = after;
    }
    all
}

#[test]
fn every_question_is_answered_once_and_so_many_wait_at_a_time() {
    const QUESTIONS: usize = 3 * TICKETS_MAX;
    let mut world = world();
    let socket = ask(&mut world, &format!("GET /toy/ws HTTP/1.1\r\n{UPGRADE}\r\n"));
    heard(&mut world, socket);
    // A draft whose home is the other core has to be waited for, and with it all that is asked right behind it.
    let is_far = |topic: &String| home_of(&TopicName::new(topic).unwrap(), 2) != ShardId(0);
    let far = (0..).map(|n| format!("t{n}")).find(is_far).unwrap();
    let mut said = masked(1, format!("say {far} {{}}").as_bytes());
    let first_bytes = said.len();
    for number in 0..QUESTIONS {
        said.extend(masked(1, format!("say n{number:05}").as_bytes()));
    }
    let question_bytes = (said.len() - first_bytes) / QUESTIONS;
    world.say(socket, &said);
    assert!(!world.wants_input(socket), "it waits for its answers");
    world.tick();
    let held = world.shards[0].stats().input_bytes;
    let unread = (QUESTIONS + 1 - TICKETS_MAX) * question_bytes;
    assert!(held >= unread as u64, "{held} bytes wait to be read, not {unread}");
    world.settle();
    let told = messages(&world.read(socket, usize::MAX));
    let mut expected = vec![format!("{far} has 1")];
    expected.extend((0..QUESTIONS).map(|number| format!("n{number:05} has nothing")));
    assert_eq!(told.len(), expected.len());
    assert_eq!(told, expected, "each is answered, in the order asked");
}

#[test]
fn a_question_about_no_event_is_answered_alone() {
    let mut world = world();
    let socket = ask(&mut world, &format!("GET /toy/ws HTTP/1.1\r\n{UPGRADE}\r\n"));
    heard(&mut world, socket);
    assert!(say(&mut world, socket, 1, b"say a").contains("a has nothing"));
    let both = [masked(1, b"say a"), masked(1, b"want b")].concat();
    world.say(socket, &both);
    world.settle();
    let told = messages(&world.read(socket, usize::MAX));
    assert_eq!(told, ["a has nothing", "wanted b"]);
}

#[test]
fn an_operator_sets_what_the_toy_declares() {
    let mut config = Config::of(&protocols());
    config.set("toy.idle_s", "2").unwrap();
    config.set("toy.polite", "false").unwrap();
    config.set("toy.prefix", "x/").unwrap();
    config.set("toy.listen", "127.0.0.1:7").unwrap();
    let error = config.set("toy.idle_s", "61").unwrap_err().to_string();
    assert_eq!(error, "command line: `toy.idle_s`: must be from 1 to 60, and is 61");
    let error = config.set("toy.idl_s", "2").unwrap_err().to_string();
    assert!(error.contains("did you mean `toy.idle_s`?"), "{error}");
    assert!(config.set("toy.deletes", "true").is_err(), "it has a word for deletes");
    assert!(Config::default().set("toy.idle_s", "2").is_err(), "where it is not spoken");

    let settings = Server::shard_settings(&config, 2).unwrap();
    let mut world = World::new(2, &Settings { views: settings.views, ..roomy() });
    let socket = ask(&mut world, &format!("GET /toy/ws HTTP/1.1\r\n{UPGRADE}\r\n"));
    let greeted = heard(&mut world, socket);
    assert!(greeted.contains("101") && !greeted.contains("hello"), "{greeted}");
    let call =
        ask(&mut world, "POST /toy/say?topic=a HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}");
    assert!(heard(&mut world, call).ends_with(r#""a has 1""#));
    let stream =
        ask(&mut world, "GET /v1/sse?topic=x/a&since=earliest HTTP/1.1\r\nHost: t\r\n\r\n");
    assert!(heard(&mut world, stream).contains(r#""topic":"x/a""#), "names have the prefix");
    world.advance(3_000);
    (0..10).for_each(|_| world.tick());
    world.settle();
    let [high, low] = 1000_u16.to_be_bytes();
    assert_eq!(world.read(socket, 100), [0x88, 2, high, low], "silent for two seconds");
}

/// Words that are dialects' names. Bounds have theirs in capitals, all of them in `src/limits.rs`.
const NAMES: [&str; 8] =
    ["hyperbeam", "HyperBeam", "peat", "Peat", "provisioning", "Provisioning", "mqtt", "Mqtt"];

/// Who names a dialect all the same, and why.
const NAMED_IN: [(&str, &str); 2] = [
    ("src/dialect/mod.rs", "the one list, with its modules"),
    ("src/config/tables.rs", "pages of the configuration say whose names types of events have"),
];

#[test]
fn code_outside_of_a_dialects_folder_names_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    let mut naming: Vec<String> = Vec::new();
    for file in files {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let own = ["native", "hyperbeam", "peat", "provisioning", "mqtt"];
        let is_own = own.iter().any(|name| path.starts_with(&format!("src/dialect/{name}/")));
        // The codec is a wire format, like HTTP's, and knows no dialect.
        let is_codec = path.starts_with("src/wire/mqtt/") || path.starts_with("src/wire/mod.rs");
        let is_bounds = path.starts_with("src/limits");
        // A source is a client of somebody else's server.
        let of_clients = ["src/cli/", "src/source/"];
        let is_client = of_clients.iter().any(|of| path.starts_with(of)) || path.contains("tests");
        if is_own || is_client || is_codec || is_bounds {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let names = |line: &str| {
            let code = line.split("//").next().unwrap_or_default();
            let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.into_iter().any(|word| NAMES.contains(&word))
        };
        if code.lines().any(names) {
            naming.push(path);
        }
    }
    let mut allowed: Vec<String> = NAMED_IN.map(|(path, _)| path.to_owned()).into();
    allowed.sort();
    naming.sort();
    assert_eq!(naming, allowed, "a dialect is added by its folder and one line");
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
