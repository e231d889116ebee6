//! Tables as a client of ResolveSpec knows them, and a client.

use std::sync::Arc;

use fanwire::shard::Access;
use fanwire::shard::Port;
use fanwire::shard::Settings;
use serde_json::Value;

use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::frames::masked;
use crate::support::keys;
use crate::support::mqtt;
use crate::support::world::Wire;
use crate::support::world::World;

/// Users and their posts; `team` stands in both.
pub(crate) const TABLES: &str = r#"
[[table]]
name = "public.users"
columns = ["id int key generated", "name text required", "team text", "age int", "row_number int"]
relations = ["posts many public.posts user_id id"]

[[table]]
name = "public.posts"
columns = ["id int key generated", "user_id int", "title text", "team text"]
relations = ["user one public.users id user_id"]

[[table]]
name = "notes"
columns = ["code text key", "lang text key", "text text", "at time", "ok bool"]

[[table]]
name = "audit.log"
columns = ["id int key", "what text"]
writes = false
"#;

pub(crate) fn set(settings: &mut Settings, key: &str, value: &str) {
    match key {
        "legacy_unfiltered" => {
            let is_on = u64::from(value == "on");
            assert!(Arc::make_mut(&mut settings.views).set("resolvespec", key, is_on));
        }
        "qos" => {
            let qos = value.parse().expect("a quality of service");
            assert!(Arc::make_mut(&mut settings.views).set("resolvespec", key, qos));
        }
        "published_under" => {
            let views = Arc::make_mut(&mut settings.views);
            let view = views.view_mut("resolvespec").expect("it is a protocol");
            view.published_under = value.into();
        }
        "keys" => settings.access = Arc::new(access()),
        _ => panic!("no setting {key} {value}"),
    }
}

/// Tokens are looked at.
pub(crate) fn access() -> Access {
    Access { verifier: Some(Arc::new(keys::verifier(&[]))), keys: None, ..Access::default() }
}

/// A client that reads, over a WebSocket or MQTT.
pub(crate) struct Client {
    pub(crate) wire: Wire,
    heard: Heard,
}

enum Heard {
    Frames(Reader),
    Packets(mqtt::Client),
}

impl Client {
    pub(crate) fn open(world: &mut World, shard: usize, query: &str, capacity: usize) -> Self {
        let wire = world.open(shard, capacity);
        let head = format!(
            "GET /rs/ws{query} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        world.say(wire, head.as_bytes());
        world.settle();
        let head = String::from_utf8(world.read(wire, usize::MAX)).unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self { wire, heard: Heard::Frames(Reader::new(false)) }
    }

    /// The same over MQTT: of the version, with a quality of service, and a token if it has one.
    pub(crate) fn publishing(
        world: &mut World,
        shard: usize,
        (version, qos): (&str, u8),
        password: &str,
        capacity: usize,
    ) -> Self {
        world.port = Port::Own("mqtt");
        let wire = world.open(shard, capacity);
        world.port = Port::Shared;
        let mut packets = mqtt::Client::default();
        let password =
            if password.is_empty() { "" } else { &format!("user=x password={password}") };
        for said in [
            format!(
                "connect {version} c-{}-{}-{} clean {password}",
                wire.shard, wire.id, wire.generation
            ),
            format!("subscribe 1 spec/c/response={qos} spec/c/notify/+={qos}"),
        ] {
            let bytes = packets.written(&said);
            world.say(wire, &bytes);
        }
        world.settle();
        packets.push(&world.read(wire, usize::MAX));
        let connack = packets.next().expect("it is answered");
        assert!(!connack.contains("rc="), "{connack}");
        let suback = packets.next().expect("it is answered");
        assert_eq!(suback, format!("suback 1 0{qos} 0{qos}"));
        Self { wire, heard: Heard::Packets(packets) }
    }

    pub(crate) fn say(&mut self, world: &mut World, text: &str) {
        let bytes = match &mut self.heard {
            Heard::Frames(_) => masked(1, text.as_bytes()),
            Heard::Packets(packets) => packets.written(&format!("publish spec/c/request : {text}")),
        };
        world.say(self.wire, &bytes);
    }

    /// What it has been told by now.
    pub(crate) fn told(&mut self, world: &mut World) -> Vec<Value> {
        let bytes = world.read(self.wire, usize::MAX);
        let document = |text: &str| serde_json::from_str(text).expect("it is one document");
        match &mut self.heard {
            Heard::Frames(reader) => {
                reader.push(&bytes);
                let frames = std::iter::from_fn(|| reader.next());
                let text = |frame| match frame {
                    Frame::Text(text) => document(&text),
                    other => panic!("{other:?}"),
                };
                frames.map(text).collect()
            }
            Heard::Packets(packets) => {
                packets.push(&bytes);
                let mut told = Vec::new();
                while let Some(packet) = packets.next() {
                    let (head, payload) = packet.split_once(" : ").unwrap_or((&packet, ""));
                    assert!(head.starts_with("publish spec/c/"), "{packet}");
                    let number = head.split(' ').find_map(|word| word.strip_prefix("id="));
                    if let Some(number) = number {
                        let ack = packets.written(&format!("puback {number}"));
                        world.say(self.wire, &ack);
                    }
                    told.push(document(payload));
                }
                told
            }
        }
    }

    /// What it is told until everything is quiet.
    pub(crate) fn ask(&mut self, world: &mut World, text: &str) -> Vec<Value> {
        self.say(world, text);
        world.settle();
        self.told(world)
    }

    /// The answer to a request.
    pub(crate) fn request(&mut self, world: &mut World, members: &str) -> Value {
        let told = self.ask(world, &format!(r#"{{"id":"r","type":"request",{members}}}"#));
        let mut answers = told.into_iter().filter(|said| said["type"] == "response");
        answers.next().expect("it is answered")
    }
}
