//! A client of the native protocol that checks every promise as the messages come in.

use std::collections::BTreeMap;

use serde_json::Value;

use super::forms;
use super::forms::Agreed;
use super::frames;
use super::frames::Frame;
use super::frames::Reader;
use super::world::Wire;
use super::world::World;

/// An event as a client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub subs: Vec<String>,
    pub topic: String,
    pub key: String,
    pub op: String,
    pub offset: u64,
    pub payload: String,
}

/// What a client was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Event(Seen),
    Gap { subs: Vec<String>, topic: String, from: u64, to: u64, reason: String },
    Skipped { subs: Vec<String>, count: u64 },
    Live { id: String, offsets: BTreeMap<String, u64>, time_us: u64 },
    Other(Value),
    Close(Option<u16>),
}

#[derive(Debug)]
pub struct Client {
    pub wire: Wire,
    reader: Reader,
    /// Bytes of the reply to the upgrade, until it is whole.
    head: Option<Vec<u8>>,
    pub told: Vec<Told>,
    /// The topics that subscriptions' events name by number.
    agreed: Agreed,
}

impl Client {
    /// Connects and asks for the native protocol.
    pub fn connect(world: &mut World, shard: usize, capacity: usize, deflate: bool) -> Self {
        let wire = world.open(shard, capacity);
        let extensions =
            if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
        );
        world.say(wire, request.as_bytes());
        Self {
            wire,
            reader: Reader::new(deflate),
            head: Some(Vec::new()),
            told: Vec::new(),
            agreed: Agreed::new(),
        }
    }

    pub fn say(&self, world: &mut World, message: &Value) {
        world.say(self.wire, &frames::text(&message.to_string()));
    }

    /// Messages that came deflated.
    pub fn deflated(&self) -> u64 {
        self.reader.deflated
    }

    /// Reads up to `count` bytes and notes what they say; returns how many there were.
    pub fn read(&mut self, world: &mut World, count: usize) -> usize {
        let bytes = world.read(self.wire, count);
        self.take(world, &bytes);
        bytes.len()
    }

    fn take(&mut self, world: &mut World, bytes: &[u8]) {
        let rest = match &mut self.head {
            None => bytes.to_vec(),
            Some(head) => {
                head.extend_from_slice(bytes);
                let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else {
                    return;
                };
                assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(head));
                let rest = head.split_off(end + 4);
                self.head = None;
                rest
            }
        };
        self.reader.push(&rest);
        while let Some(frame) = self.reader.next() {
            match frame {
                Frame::Text(text) => self.note(&text),
                Frame::Ping(payload) => world.say(self.wire, &frames::masked(10, &payload)),
                Frame::Close(code, _) => self.told.push(Told::Close(code)),
                Frame::Binary(_) | Frame::Pong(_) => {}
            }
        }
    }

    fn note(&mut self, text: &str) {
        let message: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        if let Some(events) = forms::events(&message, &mut self.agreed) {
            return self.told.extend(events.iter().map(|event| Told::Event(seen(event))));
        }
        let told = match message["type"].as_str().unwrap_or_default() {
            "gap" => Told::Gap {
                subs: ids(&message["subs"]),
                topic: message["topic"].as_str().unwrap().to_owned(),
                from: message["from"].as_u64().unwrap(),
                to: message["to"].as_u64().unwrap(),
                reason: message["reason"].as_str().unwrap().to_owned(),
            },
            "skipped" => Told::Skipped {
                subs: ids(&message["subs"]),
                count: message["count"].as_u64().unwrap(),
            },
            "live" => Told::Live {
                id: message["id"].to_string(),
                offsets: serde_json::from_value(message["offsets"].clone()).unwrap(),
                time_us: message["time_us"].as_u64().unwrap(),
            },
            _ => Told::Other(message),
        };
        self.told.push(told);
    }
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().expect("a list of ids").iter().map(ToString::to_string).collect()
}

fn seen(event: &Value) -> Seen {
    Seen {
        subs: ids(&event["subs"]),
        topic: event["topic"].as_str().unwrap().to_owned(),
        key: event["key"].as_str().unwrap_or_default().to_owned(),
        op: event["op"].as_str().unwrap().to_owned(),
        offset: event["offset"].as_u64().unwrap(),
        payload: event["payload"].to_string(),
    }
}
