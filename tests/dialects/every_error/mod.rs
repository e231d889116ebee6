//! What goes wrong is said, each in its own words: for every text that a client can be told the bytes, the message, the filter or the token that it answers.
//!
//! Texts that a transcript shows (`tests/fixtures`) are not here again. `tests/error_texts/` finds those that nothing shows.

mod filters;

mod who;

use fanwire::shard::Settings;

use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// What a new world answers to these bytes.
fn answer(settings: &Settings, bytes: &[u8]) -> String {
    let mut world = World::new(1, settings);
    let wire = world.open(0, 1 << 20);
    world.say(wire, bytes);
    world.settle();
    String::from_utf8_lossy(&world.read(wire, usize::MAX)).into_owned()
}

/// What was not said as it should have been: all of it is told at once.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn hold(&mut self, is_said: bool, expected: &str, heard: &str) {
        if !is_said {
            self.0.push(format!("expected {expected}\n   heard {heard:.600}"));
        }
    }

    /// Holds an answer to its status and the message in it.
    fn check(&mut self, answer: &str, status: u16, message: &str) {
        let head = format!("HTTP/1.1 {status} ");
        let written = serde_json::to_string(message).unwrap();
        let is_said = answer.starts_with(&head) && answer.contains(written.trim_matches('"'));
        self.hold(is_said, &format!("{status} {message}"), answer);
    }

    fn none(self) {
        assert!(self.0.is_empty(), "\n{}", self.0.join("\n"));
    }
}

#[test]
fn heads_that_are_none() {
    let mut wrong = Wrong::default();
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(100));
    for (request, status, message) in [
        ("GET\r\n\r\n", 400, "request line is not `method target version`"),
        ("GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400, "request target is not a path"),
        (
            "GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n",
            400,
            "request target has a bad percent escape at byte 1",
        ),
        (
            "GET /%ff HTTP/1.1\r\nHost: h\r\n\r\n",
            400,
            "request target is not UTF-8 once its escapes are resolved",
        ),
        ("GET / HTTQ/1.1\r\n\r\n", 400, "request line does not end in an HTTP version"),
        (
            "GET / HTTP/1.1\r\n: v\r\nHost: h\r\n\r\n",
            400,
            "a header field's name is missing or has an impossible character",
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nA: b\u{b}c\r\n\r\n",
            400,
            "a header field's value has a control character",
        ),
        (
            "GET / HTTP/1.1\r\nHost: h\r\n folded: v\r\n\r\n",
            400,
            "a header field is continued on the next line",
        ),
        ("GET / HTTP/1.1\nHost: h\n\n", 400, "a line of the head does not end in CR LF"),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "both Content-Length and Transfer-Encoding are given",
        ),
        (
            "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "HTTP/1.0 has no Transfer-Encoding",
        ),
        (
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            400,
            "header field Transfer-Encoding is malformed",
        ),
        (&*many, 431, "request head has more than 100 fields"),
        ("BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501, "there is no such method"),
    ] {
        wrong.check(&answer(&roomy(), request.as_bytes()), status, message);
    }
    let message = "header field Authorization is not text that can be read";
    let request = b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: \xff\r\n\r\n";
    wrong.check(&answer(&roomy(), request), 400, message);
    wrong.none();
}

#[test]
fn bodies_that_are_none() {
    let mut wrong = Wrong::default();
    let head = "POST /v1/publish/a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = format!("1;{}\r\n", "x".repeat(20_000));
    for (body, status, message) in [
        ("zz\r\n", 400, "a chunk's size is not a hexadecimal number"),
        ("5 5\r\nhello", 400, "a chunk's first line is malformed"),
        ("5\r\nhello5\r\n", 400, "a chunk's data is not followed by CR LF"),
        ("0\r\nno colon\r\n\r\n", 400, "a trailer field is malformed"),
        (&*long, 431, "chunk extensions and trailers are larger than 16384 bytes"),
    ] {
        wrong.check(&answer(&roomy(), format!("{head}{body}").as_bytes()), status, message);
    }
    wrong.none();
}

#[test]
fn what_cannot_be_published() {
    let mut wrong = Wrong::default();
    for (target, fields, body, status, message) in [
        ("/v1/publish/a?key_field=", "", "{}", 400, "`key_field` is empty"),
        (
            "/v1/publish/a?ack=soon",
            "",
            "{}",
            400,
            "ack is `none`, `ordered`, `stored` or `durable`, not \"soon\"",
        ),
        (
            "/v1/publish/a?key_field=k",
            "Fanwire-Key: k\r\n",
            "{}",
            400,
            "a key is given by this field or by `key_field`, not by both",
        ),
        (
            "/v1/publish/a?key_field=k",
            "",
            r#"{"k":[]}"#,
            400,
            "member `k`, the key, is neither a string nor a number",
        ),
        (
            "/v1/publish/a?key_field=k",
            "",
            &format!(r#"{{"k":"{}"}}"#, "x".repeat(256)),
            400,
            "member `k`, the key, has 256 bytes; at most 255 are allowed",
        ),
        (
            "/v1/publish/a",
            &format!("Fanwire-Key: {}\r\n", "x".repeat(256)),
            "{}",
            400,
            "the key has 256 bytes; at most 255 are allowed",
        ),
        (
            "/v1/publish/a",
            "Content-Type: application/x-ndjson\r\n",
            &"x".repeat(1_048_577),
            400,
            "the line is longer than 1048576 bytes",
        ),
        (
            "/pv/events",
            "",
            "\u{fffe}",
            400,
            "the body is not JSON: expected value at line 1 column 1",
        ),
        ("/v1/admin/revoke", "", "{}", 403, "no admin secret is set, so nobody may"),
    ] {
        let length = body.len();
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
        );
        let answer = answer(&roomy(), request.as_bytes());
        wrong.check(&answer, status, message);
    }
    let request = b"POST /pv/events HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n\xff";
    wrong.check(&answer(&roomy(), request), 400, "the body is not JSON: it is not UTF-8");
    let call = b"POST /peat.sidecar.v1.PeatSidecar/Subscribe HTTP/1.0\r\nContent-Type: application/connect+json\r\nContent-Length: 0\r\n\r\n";
    wrong.check(&answer(&roomy(), call), 505, "a call needs HTTP/1.1");
    wrong.none();
}

const UPGRADE: &str = "GET /v1/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn upgrades_that_are_none() {
    let mut wrong = Wrong::default();
    for (from, to, status, message) in [
        ("HTTP/1.1", "HTTP/1.0", 400, "a WebSocket is opened with HTTP/1.1"),
        (
            "Connection: Upgrade",
            "Connection: close",
            400,
            "header field Connection must list Upgrade",
        ),
        (
            "Host: h\r\n",
            "Host: h\r\nContent-Length: 1\r\n",
            400,
            "a request for a WebSocket has no body",
        ),
        (
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "",
            400,
            "header field Sec-WebSocket-Key is missing",
        ),
        (
            "dGhlIHNhbXBsZSBub25jZQ==",
            "short",
            400,
            "header field Sec-WebSocket-Key is not 16 bytes in base64",
        ),
        (
            "Sec-WebSocket-Version: 13\r\n",
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n",
            400,
            "header field Sec-WebSocket-Version is there more than once",
        ),
        ("/v1/ws", "/healthz", 404, "there is no WebSocket at /healthz"),
    ] {
        let request = format!("{}\r\n", UPGRADE.replace(from, to));
        wrong.check(&answer(&roomy(), request.as_bytes()), status, message);
    }
    wrong.none();
}

/// An open native WebSocket whose welcome was read.
fn native(settings: &Settings, more: &str) -> (World, Wire, Reader) {
    let mut world = World::new(1, settings);
    let wire = world.open(0, 1 << 20);
    world.say(wire, format!("{UPGRADE}{more}\r\n").as_bytes());
    world.settle();
    let bytes = world.read(wire, usize::MAX);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a reply");
    let mut reader = Reader::new(false);
    reader.push(&bytes[end + 4..]);
    if more.is_empty() {
        assert!(matches!(reader.next(), Some(Frame::Text(text)) if text.contains("welcome")));
    }
    (world, wire, reader)
}

/// What is heard last after these bytes: a text, or a close frame's code and reason.
fn last_heard(settings: &Settings, more: &str, bytes: &[u8]) -> String {
    let (mut world, wire, mut reader) = native(settings, more);
    world.say(wire, bytes);
    world.settle();
    let heard = world.read(wire, usize::MAX);
    // What is said deflated is of no interest; a close frame is the last that comes.
    let is_close =
        |at: &usize| heard[*at] == 0x88 && at + 2 + usize::from(heard[at + 1]) == heard.len();
    let close = (0..heard.len().saturating_sub(1)).find(is_close);
    reader.push(&heard[close.unwrap_or(0)..]);
    let mut last = String::new();
    while let Some(frame) = reader.next() {
        last = match frame {
            Frame::Text(text) => text,
            Frame::Close(code, reason) => format!("{} {reason}", code.unwrap_or(0)),
            other => format!("{other:?}"),
        };
    }
    last
}

/// One frame more than a message may have.
const FRAMES: usize = 65_537;

#[test]
fn frames_that_are_none() {
    let mut wrong = Wrong::default();
    let head = |bytes: &[u8]| [bytes, &[1, 2, 3, 4]].concat();
    let frames = |frames: &[Vec<u8>]| frames.concat();
    for (bytes, code, reason) in [
        (masked(0x81 & 0x0f | 0x70, b""), 1002, "a reserved bit is set"),
        (masked(0x03, b""), 1002, "opcode 3 is not known"),
        (masked(0x09, &[0; 126]), 1002, "a control frame is longer than 125 bytes"),
        (head(&[0x09, 0x80]), 1002, "a control frame is fragmented"),
        (head(&[0x81, 0xfe, 0, 5]), 1002, "a frame's length is not minimal"),
        (
            head(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            1002,
            "a frame's length has its highest bit set",
        ),
        (masked(0x00, b"a"), 1002, "a continuation without a message"),
        (
            frames(&[head(&[0x01, 0x80]), masked(0x01, b"b")]),
            1002,
            "a new message before the last one ended",
        ),
        (masked(0x08, b"\x03"), 1002, "a close frame of one byte"),
        (masked(0x08, b"\x03\xe8\xff"), 1007, "a close reason is not UTF-8"),
        (vec![0x81, 0x05, b'H'], 1002, "a client's frames must be masked"),
    ] {
        let expected = format!("{code} {reason}");
        let heard = last_heard(&roomy(), "", &bytes);
        wrong.hold(heard == expected, &expected, &heard);
    }
    let begun = [head(&[0x01, 0x80]), head(&[0x00, 0x80]).repeat(FRAMES)].concat();
    let heard = last_heard(&roomy(), "", &begun);
    let expected = "1009 a message has more than 65537 frames";
    wrong.hold(heard == expected, expected, &heard);
    let settings = Settings { deflate: true, ..roomy() };
    let finals = b"\x03\x00".repeat(3000);
    for (payload, opcode, expected) in [
        (&b"\x07\x00"[..], 0x41, "1007 a deflated message is corrupt"),
        (b"\x05\x00", 0x41, "1007 a deflated message ends within a block"),
        (&finals, 0x41, "1007 a deflated message has too many final blocks"),
        (b"", 0x49, "1002 RSV1 on a frame that does not begin a message"),
    ] {
        let deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        let heard = last_heard(&settings, deflate, &masked(opcode, payload));
        wrong.hold(heard == expected, expected, &heard);
    }
    wrong.none();
}

#[test]
fn messages_that_are_none() {
    let mut wrong = Wrong::default();
    let path = "a.".repeat(17);
    let paths = vec!["\"a\""; 65].join(",");
    let segments = vec!["a"; 17].join("/");
    let deep = format!(
        r#"{{"type":"publish","topic":"a","payload":{}1{}}}"#,
        r#"{"a":"#.repeat(130),
        "}".repeat(130)
    );
    for (message, text) in [
        (
            r#"{"type":"subscribe","id":1,"topics":["a"],"max_rate":5}"#,
            "max_rate must be an object",
        ),
        (
            r#"{"type":"subscribe","id":1,"topics":["a"],"max_rate":{"hz":1,"per":"topic"}}"#,
            "per is `key` or `subscription`, not \"topic\"",
        ),
        (r#"{"type":"subscribe","id":1,"topics":["a"],"batch":5}"#, "batch must be an object"),
        (r#"{"type":"subscribe","id":1,"topics":["a"],"since":"\ud800"}"#, "since is no text"),
        (
            r#"{"type":"subscribe","id":1,"topics":["a"],"since":[1]}"#,
            "since is a string or an object",
        ),
        (
            r#"{"type":"subscribe","id":1,"topics":["a"],"since":{"epoch":"e","offsets":[]}}"#,
            "offsets must be an object",
        ),
        (r#"{"type":"subscribe","id":1,"topics":["a"],"fields":[]}"#, "no fields are named"),
        (
            &format!(r#"{{"type":"subscribe","id":1,"topics":["a"],"fields":[{paths}]}}"#),
            "65 fields are named; at most 64 are allowed",
        ),
        (
            r#"{"type":"subscribe","id":1,"topics":["a"],"fields":["b..c"]}"#,
            "field 0 has an empty name in its path",
        ),
        (
            &format!(r#"{{"type":"subscribe","id":1,"topics":["a"],"fields":["{path}a"]}}"#),
            "field 0 has more than 16 names in its path",
        ),
        (
            &format!(r#"{{"type":"subscribe","id":1,"topics":["{segments}"]}}"#),
            "topic has 17 segments; at most 16 are allowed",
        ),
        (&*deep, "nested deeper than 128 levels"),
    ] {
        let heard = last_heard(&roomy(), "", &masked(1, message.as_bytes()));
        let written = serde_json::to_string(text).unwrap();
        wrong.hold(heard.contains(written.trim_matches('"')), text, &heard);
    }
    let query = "/v1/ws?topic=a&filter=a%3D1&filter=b%3D1";
    let request = format!("{}\r\n", UPGRADE.replace("/v1/ws", query));
    wrong.check(
        &answer(&roomy(), request.as_bytes()),
        400,
        "`filter` stands twice; join them with `and`",
    );
    wrong.none();
}

#[test]
fn payloads_that_are_none() {
    let mut wrong = Wrong::default();
    for (payload, message) in [
        ("{", "the text ends within a value at byte 1"),
        ("{a:1}", "a member's name in double quotes is expected at byte 1"),
        (r#"{"a"1}"#, "a colon is expected at byte 4"),
        (r#"{"a":1 "b":2}"#, "a comma or the closing bracket is expected at byte 7"),
        (r#"{"a":01}"#, "not a number of JSON at byte 6"),
        (r#"{"a":"\x"}"#, "a backslash escape that JSON does not have at byte 6"),
        ("{\"a\":\"\u{1}\"}", "a control character inside a string at byte 6"),
        (r#"{"a":1}}"#, "something follows after the value at byte 7"),
        ("7", "not an object at byte 0"),
    ] {
        let length = payload.len();
        let request = format!(
            "POST /v1/publish/a HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{payload}"
        );
        let answer = answer(&roomy(), request.as_bytes());
        let written = serde_json::to_string(message).unwrap();
        wrong.hold(answer.contains(written.trim_matches('"')), message, &answer);
    }
    wrong.none();
}
