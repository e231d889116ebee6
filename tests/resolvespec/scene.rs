//! Tables as a client of ResolveSpec knows them, and a client.

use std::sync::Arc;

use fanwire::shard::Settings;
use serde_json::Value;

use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::frames::masked;
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
        _ => panic!("no setting {key} {value}"),
    }
}

/// A client that reads.
pub(crate) struct Client {
    pub(crate) wire: Wire,
    reader: Reader,
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
        Self { wire, reader: Reader::new(false) }
    }

    pub(crate) fn say(&self, world: &mut World, text: &str) {
        world.say(self.wire, &masked(1, text.as_bytes()));
    }

    /// What it has been told by now.
    pub(crate) fn told(&mut self, world: &mut World) -> Vec<Value> {
        self.reader.push(&world.read(self.wire, usize::MAX));
        std::iter::from_fn(|| self.reader.next())
            .map(|frame| match frame {
                Frame::Text(text) => serde_json::from_str(&text).expect("it is one document"),
                other => panic!("{other:?}"),
            })
            .collect()
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
