//! Transcripts: what is said and what must be answered, line by line, run against shards without sockets.
//!
//! ```text
//! # a title: a new world with nobody in it
//! % key value                a setting of this world; `% shard 2`: clients connect there, if there are so many; `% port key`: by this
//!                            protocol's own listener, from here on
//! @ /path?query              a WebSocket is opened (`@deflate`: offering compression)
//! @sse /path?query           an event stream is opened
//! @m mqtt, @m mqtt /path     a connection to MQTT's listener, or a WebSocket: packets are said and heard (`mqtt.rs`)
//! $ POST /path {"body":1}    an HTTP request; `$ GET /path` without a body; `[[Field: value]]` before it
//!                            `enveloped {}`: the body as one message of a Connect call
//! @ /path | Field: value     a field of the request
//! ? 200 body                 the answer to the last request or refused opening
//! > text                     the client says it      `>bin text`: as a binary message
//! >ping text, >close 1000 x  a control frame         `>raw 81 00`: bytes as they are
//! >vanish, >each 1-9 text    it is gone without a word; it says it so often, with each number for `§` (`<each`: hears)
//! < text                     the next thing it hears, `…` standing for anything
//! <nothing, <rest            it hears nothing more; whatever it hears
//! <ping, <close 1000 reason  a control frame
//! <end                       its stream says that it has ended
//! <gone                      its socket is closed
//! ! topic#key {"payload":1}  published; without #key an event, `!- topic#key` deletes
//! + 1500                     so many milliseconds pass
//! * stop                     the server begins to stop
//! x> …, x< …, @x …           the same for the client called x
//! {{x*9}}                    anywhere: nine times x
//! «last id»                  anywhere: the last `id:` that a stream has heard
//! «{"sub":"ada","exp":60}»    anywhere: a token that says so; its times count from the beginning, in seconds
//! ```

#![expect(clippy::string_slice, reason = "fixtures are cut where ASCII stands")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;

use fanwire::shard::Port;
use fanwire::shard::Settings;

use super::fits::fits;
use super::fits::repeated;
use super::fits::with_tokens;
use super::frames::Frame;
use super::frames::Reader;
use super::frames::masked;
use super::frames::take_chunk;
use super::mqtt;
use super::world::Wire;
use super::world::World;
use super::world::roomy;

/// What a client's connection is.
#[derive(Debug)]
enum Heard {
    Nothing,
    WebSocket(Box<Reader>),
    /// Lines of an event stream, and bytes that are no whole chunk yet.
    Stream(Vec<String>),
    /// Packets, in a WebSocket's messages or on their own.
    Packets(Option<Box<Reader>>, Box<mqtt::Client>),
}

#[derive(Debug)]
struct Client {
    wire: Wire,
    bytes: Vec<u8>,
    heard: Heard,
}

/// What stands for the last chunk among the lines of a stream.
const END: &str = "(end)";

/// One scenario on its way.
struct Run<'a> {
    place: String,
    shard_count: u16,
    shard: usize,
    port: Port,
    scenes: &'a Scenes<'a>,
    settings: Settings,
    world: Option<World>,
    clients: BTreeMap<String, Client>,
    last: String,
    last_id: String,
}

/// Runs every scenario of a file, on so many shards.
pub fn run(
    name: &str,
    text: &str,
    shard_count: u16,
    set: &dyn Fn(&mut Settings, &str, &str),
) -> usize {
    Scenes { settings: roomy(), set, join: &|_, _| {} }.run(name, text, shard_count)
}

/// What scenarios happen in: the settings that they begin with, how one is set, and who joins their worlds.
pub struct Scenes<'a> {
    pub settings: Settings,
    pub set: &'a dyn Fn(&mut Settings, &str, &str),
    pub join: &'a dyn Fn(&mut World, &Settings),
}

impl Scenes<'_> {
    /// Runs every scenario of a file, on so many shards.
    #[must_use]
    pub fn run(&self, name: &str, text: &str, shard_count: u16) -> usize {
        let (mut scenarios, mut run) = (0, Run::new(self, shard_count));
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                run.finish();
                run = Run::new(self, shard_count);
                scenarios += 1;
            }
            run.place = format!("{name}:{} ({shard_count} shards): {line}", index + 1);
            let line = repeated(&line.replace("«last id»", &run.last_id));
            run.line(&with_tokens(&line));
        }
        run.finish();
        scenarios
    }
}

impl<'a> Run<'a> {
    fn new(scenes: &'a Scenes<'a>, shard_count: u16) -> Self {
        Self {
            place: String::new(),
            shard_count,
            shard: 0,
            port: Port::Shared,
            scenes,
            settings: scenes.settings.clone(),
            world: None,
            clients: BTreeMap::new(),
            last: String::new(),
            last_id: String::new(),
        }
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            "%" => {
                let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                if key == "shard" {
                    self.shard = value.parse().expect("a shard's number");
                    return;
                }
                if key == "port" {
                    let views = &self.settings.views;
                    let found = views.protocols().find(|protocol| protocol.key == value);
                    self.port = Port::Own(found.expect("it is a protocol").key);
                    return;
                }
                (self.scenes.set)(&mut self.settings, key, value);
            }
            "+" => self.pass(rest.parse().expect("milliseconds")),
            "!" => self.publish(rest, false),
            "!-" => self.publish(rest, true),
            "*" => self.happens(rest),
            "$" => self.request(rest),
            "?" => self.expect_reply(rest),
            _ if first.starts_with('@') && rest.starts_with("mqtt") => {
                self.open_packets(&first[1..], rest);
            }
            _ if first.starts_with('@') => self.open(&first[1..], rest),
            _ => {
                let at = first.find(['>', '<']).unwrap_or_else(|| panic!("{}", self.place));
                let (client, what) = (first[..at].to_owned(), &first[at..]);
                self.client_line(&client, what, rest);
            }
        }
    }

    fn client_line(&mut self, client: &str, what: &str, rest: &str) {
        match what {
            ">" => self.say(client, 1, rest),
            ">bin" => self.say(client, 2, rest),
            ">ping" => self.say(client, 9, rest),
            ">close" => self.say_close(client, rest),
            ">raw" => self.say_raw(client, rest),
            ">vanish" => {
                let wire = self.clients[client].wire;
                self.world().vanish(wire);
            }
            ">each" | "<each" => {
                let (numbers, text) = rest.split_once(' ').expect("numbers, and a line");
                let (from, to) = numbers.split_once('-').expect("from and to");
                for number in from.parse::<u32>().unwrap()..=to.parse().unwrap() {
                    self.client_line(client, &what[..1], &text.replace('§', &number.to_string()));
                }
            }
            "<" => self.expect(client, rest),
            "<nothing" => {
                let heard = self.hear(client);
                assert_eq!(heard, None, "{}", self.place);
            }
            "<rest" => while self.hear(client).is_some() {},
            "<ping" => self.expect(client, "(ping)"),
            "<pong" => self.expect(client, "(pong)"),
            "<close" => {
                self.expect(client, &format!("(close {rest})").replace("(close )", "(close)"));
            }
            "<end" => self.expect(client, END),
            "<gone" => {
                self.settle();
                let wire = self.clients[client].wire;
                let world = self.world.as_ref().expect("someone was there");
                assert!(!world.is_open(wire), "{}", self.place);
            }
            _ => panic!("what is this? {}", self.place),
        }
    }

    fn world(&mut self) -> &mut World {
        let (settings, count) = (&self.settings, self.shard_count);
        let join = self.scenes.join;
        self.world.get_or_insert_with(|| {
            let mut world = World::new(count, settings);
            join(&mut world, settings);
            world
        })
    }

    fn settle(&mut self) {
        self.world().settle();
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(100) {
            let world = self.world();
            world.advance(ms.min(100));
            world.tick();
            world.settle();
        }
    }

    fn connect(&mut self, client: &str) -> Wire {
        let shard = self.shard.min(usize::from(self.shard_count) - 1);
        self.world().port = self.port;
        let wire = self.world().open(shard, 1 << 24);
        self.world().port = Port::Shared;
        self.meet(client, wire);
        wire
    }

    fn meet(&mut self, client: &str, wire: Wire) {
        let fresh = Client { wire, bytes: Vec::new(), heard: Heard::Nothing };
        self.clients.insert(client.to_owned(), fresh);
        self.last = client.to_owned();
    }

    fn open(&mut self, kind: &str, target: &str) {
        let (target, headers) = target.split_once(" | ").unwrap_or((target, ""));
        let (is_sse, deflate, client) = match kind {
            "deflate" => (false, true, ""),
            name if name.starts_with("sse") => (true, false, &name[3..]),
            name => (false, false, name),
        };
        let wire = self.connect(client);
        let mut head = format!("GET {target} HTTP/1.1\r\nHost: x\r\n");
        if is_sse {
            head.push_str("Accept: text/event-stream\r\n");
        } else {
            head.push_str("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
        }
        if deflate {
            head.push_str("Sec-WebSocket-Extensions: permessage-deflate\r\n");
        }
        for header in headers.split(" | ").filter(|header| !header.is_empty()) {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        self.world().say(wire, head.as_bytes());
        self.settle();
        self.read(client);
        let found = self.clients.get_mut(client).expect("it was just opened");
        let text = String::from_utf8_lossy(&found.bytes).into_owned();
        let Some(end) = text.find("\r\n\r\n") else { return };
        let rest = || found.bytes[end + 4..].to_vec();
        if text.starts_with("HTTP/1.1 101") {
            assert_eq!(text[..end].contains("permessage-deflate"), deflate, "{}", self.place);
            let mut reader = Box::new(Reader::new(deflate));
            reader.push(&rest());
            (found.bytes, found.heard) = (Vec::new(), Heard::WebSocket(reader));
        } else if text.starts_with("HTTP/1.1 200") && is_sse {
            assert!(text.contains("text/event-stream"), "{}", self.place);
            (found.bytes, found.heard) = (rest(), Heard::Stream(Vec::new()));
        }
    }

    fn open_packets(&mut self, client: &str, target: &str) {
        let reader = match target.strip_prefix("mqtt ") {
            Some(target) => {
                self.open(client, &format!("{target} | Sec-WebSocket-Protocol: mqtt"));
                let found = self.clients.get_mut(client).expect("it was just opened");
                match std::mem::replace(&mut found.heard, Heard::Nothing) {
                    Heard::WebSocket(reader) => Some(reader),
                    _ => return,
                }
            }
            None => {
                let shard = self.shard.min(usize::from(self.shard_count) - 1);
                let by = (Port::Own("mqtt"), IpAddr::V4(Ipv4Addr::LOCALHOST));
                let wire = self.world().try_open_at(shard, 1 << 24, by).expect("there is room");
                self.meet(client, wire);
                None
            }
        };
        let found = self.clients.get_mut(client).expect("it was just opened");
        found.heard = Heard::Packets(reader, Box::default());
    }

    fn request(&mut self, line: &str) {
        let mut parts = line.splitn(3, ' ');
        let (method, target) = (parts.next().unwrap(), parts.next().unwrap_or("/"));
        let body = parts.next().unwrap_or("");
        let (headers, body) = match body.strip_prefix("[[") {
            Some(rest) => {
                rest.split_once("]] ").unwrap_or_else(|| (rest.trim_end_matches(']'), ""))
            }
            None => ("", body),
        };
        let enveloped = body.strip_prefix("enveloped ").map(|message| {
            let length = u32::try_from(message.len()).expect("a message is short");
            [&[0], &length.to_be_bytes()[..], message.as_bytes()].concat()
        });
        let body = enveloped.as_deref().unwrap_or(body.as_bytes());
        let wire = self.connect("$");
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\n");
        for header in headers.split(" | ").filter(|header| !header.is_empty()) {
            head.push_str(header);
            head.push_str("\r\n");
        }
        if method != "GET" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.world().say(wire, &[head.as_bytes(), body].concat());
        self.settle();
    }

    fn expect_reply(&mut self, expected: &str) {
        let client = self.last.clone();
        self.settle();
        self.read(&client);
        let text = String::from_utf8_lossy(&self.clients[&client].bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).unwrap_or("no status");
        let said = format!("{status} {body}");
        assert!(fits(expected, said.trim()), "{}\n  said {said}", self.place);
        if let Some(found) = self.clients.get_mut(&client) {
            found.bytes.clear();
        }
    }

    fn publish(&mut self, line: &str, delete: bool) {
        let (topic, payload) = line.split_once(' ').unwrap_or((line, "{}"));
        let (topic, key) = topic.split_once('#').unwrap_or((topic, ""));
        let op = if delete { "?op=delete" } else { "" };
        let mut head = format!("POST /v1/publish/{topic}{op} HTTP/1.1\r\nHost: x\r\n");
        if !key.is_empty() {
            head.push_str(&format!("Fanwire-Key: {key}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n{payload}", payload.len()));
        let publisher = usize::from(self.shard_count - 1);
        let world = self.world();
        world.advance(1);
        let wire = world.open(publisher, 1 << 20);
        world.say(wire, head.as_bytes());
        world.settle();
        let reply = world.read(wire, 1 << 20);
        world.vanish(wire);
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.starts_with("HTTP/1.1 200"), "{}: {reply}", self.place);
    }

    fn say(&mut self, client: &str, opcode: u8, text: &str) {
        let found = self.clients.get_mut(client).expect("there is one");
        let bytes = match &mut found.heard {
            Heard::Packets(None, packets) => packets.written(text),
            Heard::Packets(Some(_), packets) if opcode == 1 => masked(2, &packets.written(text)),
            _ => masked(opcode, text.as_bytes()),
        };
        let wire = found.wire;
        self.world().say(wire, &bytes);
        self.settle();
    }

    fn say_close(&mut self, client: &str, text: &str) {
        let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
        let mut payload = Vec::new();
        if !code.is_empty() {
            payload.extend(code.parse::<u16>().expect("a close code").to_be_bytes());
        }
        payload.extend(reason.as_bytes());
        let wire = self.clients[client].wire;
        self.world().say(wire, &masked(8, &payload));
        self.settle();
    }

    fn say_raw(&mut self, client: &str, hex: &str) {
        let byte = |pair: &str| u8::from_str_radix(pair, 16).expect("two hexadecimal digits");
        let bytes: Vec<u8> = hex.split_whitespace().map(byte).collect();
        let wire = self.clients[client].wire;
        self.world().say(wire, &bytes);
        self.settle();
    }

    fn happens(&mut self, what: &str) {
        assert_eq!(what, "stop", "nobody knows how this is done: {}", self.place);
        let world = self.world();
        let now = world.now;
        for shard in &mut world.shards {
            shard.stop(now);
        }
        self.pass(100);
    }

    /// Takes what has arrived at a client.
    fn read(&mut self, client: &str) {
        let wire = self.clients[client].wire;
        let bytes = self.world().read(wire, 1 << 24);
        let found = self.clients.get_mut(client).expect("there is one");
        match &mut found.heard {
            Heard::WebSocket(reader) => reader.push(&bytes),
            Heard::Packets(None, packets) => packets.push(&bytes),
            Heard::Packets(Some(reader), packets) => {
                reader.push(&bytes);
                while let Some(frame) = reader.next() {
                    match frame {
                        Frame::Binary(bytes) => packets.push(&bytes),
                        Frame::Close(..) => {}
                        other => panic!("{}: {other:?}", self.place),
                    }
                }
            }
            Heard::Nothing | Heard::Stream(_) => found.bytes.extend(bytes),
        }
    }

    fn hear(&mut self, client: &str) -> Option<String> {
        self.settle();
        self.read(client);
        let found = self.clients.get_mut(client).unwrap_or_else(|| panic!("{}", self.place));
        match &mut found.heard {
            Heard::Nothing => None,
            Heard::Packets(_, packets) => packets.next(),
            Heard::Stream(lines) => {
                while let Some(chunk) = take_chunk(&mut found.bytes) {
                    lines.extend(chunk.is_empty().then(|| END.to_owned()));
                    lines.extend(chunk.lines().filter(|line| !line.is_empty()).map(str::to_owned));
                }
                let line = if lines.is_empty() { None } else { Some(lines.remove(0)) };
                if let Some(id) = line.as_ref().and_then(|line| line.strip_prefix("id: ")) {
                    id.clone_into(&mut self.last_id);
                }
                line
            }
            Heard::WebSocket(reader) => reader.next().map(|frame| match frame {
                Frame::Text(text) => text,
                Frame::Binary(bytes) => format!("(binary {bytes:?})"),
                Frame::Ping(_) => "(ping)".to_owned(),
                Frame::Pong(_) => "(pong)".to_owned(),
                Frame::Close(None, _) => "(close)".to_owned(),
                Frame::Close(Some(code), reason) => {
                    format!("(close {code} {reason})").replace(" )", ")")
                }
            }),
        }
    }

    fn expect(&mut self, client: &str, expected: &str) {
        let heard = self.hear(client).unwrap_or_else(|| "(nothing)".to_owned());
        assert!(fits(expected, &heard), "{}\n  heard {heard}", self.place);
    }

    fn finish(&mut self) {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        for client in names {
            if matches!(self.clients[&client].heard, Heard::WebSocket(_) | Heard::Packets(..)) {
                let heard = self.hear(&client);
                assert_eq!(heard, None, "client {client:?} heard more, after {}", self.place);
            }
        }
    }
}
