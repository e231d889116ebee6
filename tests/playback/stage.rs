//! A server in virtual time, who publishes on it, and readers who note when they are told what.

use serde_json::Value;
use serde_json::json;

use fanwire::shard::Settings;

use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::world::START_US;
use crate::support::world::World;
use crate::support::world::roomy;

/// Milliseconds on the server's clock when the stage begins.
pub(crate) const BEGIN_MS: u64 = 1_000;

/// The server and the publisher.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) world: World,
    publisher: Client,
    /// Readers look at least so often, in milliseconds; `None`: whenever something may have come.
    pub(crate) look_ms: Option<u64>,
}

/// A reader, and what it was told when, in milliseconds since the stage began.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) client: Client,
    pub(crate) told: Vec<(u64, Told)>,
}

impl Stage {
    pub(crate) fn new(shards: u16) -> Self {
        Self::of(shards, &roomy())
    }

    pub(crate) fn of(shards: u16, settings: &Settings) -> Self {
        Self::in_world(World::new(shards, settings))
    }

    pub(crate) fn in_world(mut world: World) -> Self {
        let publisher = Client::connect(&mut world, 0, 64 << 20, false);
        Self { world, publisher, look_ms: None }
    }

    /// Milliseconds since the stage began.
    pub(crate) fn ms(&self) -> u64 {
        self.world.now.mono_ms - BEGIN_MS
    }

    /// The same as a moment: microseconds since 1970.
    pub(crate) fn at_us(&self, ms: u64) -> u64 {
        START_US + ms * 1_000
    }

    /// Something is published, and has arrived everywhere.
    pub(crate) fn publish(&mut self, topic: &str, key: &str, payload: &Value) {
        self.begin_publish(topic, key, payload);
        self.world.settle();
    }

    /// The same on a stage of one shard; how many units of work that took.
    pub(crate) fn units_of_publish(&mut self, topic: &str, key: &str, payload: &Value) -> u64 {
        self.begin_publish(topic, key, payload);
        let mut units = 0;
        loop {
            self.world.work(0);
            units += self.world.shards[0].done().units;
            if !self.world.shards[0].has_work() {
                return units;
            }
        }
    }

    fn begin_publish(&mut self, topic: &str, key: &str, payload: &Value) {
        let message = json!({"type": "publish", "topic": topic, "key": key, "op": "upsert", "payload": payload});
        self.publisher.say(&mut self.world, &message);
    }

    /// So many events, one each so many milliseconds, `{"n":0}` and on.
    pub(crate) fn publish_each(&mut self, topic: &str, count: u64, every_ms: u64) {
        for n in 0..count {
            self.publish(topic, "k", &json!({ "n": n }));
            self.world.advance(every_ms);
        }
    }

    pub(crate) fn connect(&mut self, shard: usize) -> Reader {
        let client = Client::connect(&mut self.world, shard, 64 << 20, false);
        Reader { client, told: Vec::new() }
    }

    /// A reader whose subscription `s` has these members besides its type and id.
    pub(crate) fn subscribe(&mut self, members: &Value) -> Reader {
        let mut reader = self.connect(0);
        self.say(&mut reader, "subscribe", members);
        reader
    }

    /// A reader says something about its subscription `s`, and is told what follows at once.
    pub(crate) fn say(&mut self, reader: &mut Reader, kind: &str, members: &Value) {
        self.send(reader, kind, members);
        self.world.settle();
        reader.read(self.ms(), &mut self.world);
    }

    /// The same, and what follows comes when time passes.
    pub(crate) fn send(&mut self, reader: &Reader, kind: &str, members: &Value) {
        let mut message = members.clone();
        message["type"] = json!(kind);
        message["id"] = json!("s");
        reader.client.say(&mut self.world, &message);
    }

    /// Time passes, from one moment at which something is due to the next.
    pub(crate) fn pass(&mut self, ms: u64, readers: &mut [&mut Reader]) {
        let end_ms = self.ms() + ms;
        loop {
            self.world.settle();
            let now_ms = self.ms();
            for reader in &mut *readers {
                reader.read(now_ms, &mut self.world);
            }
            if now_ms >= end_ms {
                return;
            }
            let dues = self.world.shards.iter().filter_map(|shard| shard.next_due_ms());
            let due_ms = dues.min().map_or(end_ms, |due_ms| due_ms.saturating_sub(BEGIN_MS));
            // A scripted store has times of its own.
            let step_ms = if self.world.store.is_some() { Some(1) } else { self.look_ms };
            let step_ms = step_ms.map_or(end_ms, |step_ms| now_ms + step_ms);
            let next_ms = due_ms.min(step_ms).clamp(now_ms + 1, end_ms);
            self.world.advance(next_ms - now_ms);
        }
    }
}

impl Reader {
    pub(crate) fn read(&mut self, now_ms: u64, world: &mut World) {
        while self.client.read(world, usize::MAX) > 0 {}
        self.told.extend(self.client.told.drain(..).map(|told| (now_ms, told)));
    }

    /// Each event's `n` and when it was told.
    pub(crate) fn events(&self) -> Vec<(u64, u64)> {
        let of_event = |(ms, told): &(u64, Told)| match told {
            Told::Event(event) => {
                let payload: Value = serde_json::from_str(&event.payload).unwrap();
                Some((*ms, payload["n"].as_u64().unwrap()))
            }
            _ => None,
        };
        self.told.iter().filter_map(of_event).collect()
    }

    /// When it was told that it is live.
    pub(crate) fn live_ms(&self) -> Vec<u64> {
        let lives = self.told.iter().filter(|(_, told)| matches!(told, Told::Live { .. }));
        lives.map(|(ms, _)| *ms).collect()
    }

    /// Gaps: when, topic, from, to, why.
    pub(crate) fn gaps(&self) -> Vec<(u64, String, u64, u64, String)> {
        let of_gap = |(ms, told): &(u64, Told)| match told {
            Told::Gap { topic, from, to, reason, .. } => {
                Some((*ms, topic.clone(), *from, *to, reason.clone()))
            }
            _ => None,
        };
        self.told.iter().filter_map(of_gap).collect()
    }

    /// The error that it was answered.
    pub(crate) fn error(&self) -> Option<(String, String, String)> {
        self.told.iter().find_map(|(_, told)| match told {
            Told::Other(message) if message["type"] == "error" => {
                let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
                Some((text("code"), text("field"), text("message")))
            }
            _ => None,
        })
    }

    /// Forgets what it was told.
    pub(crate) fn forget(&mut self) {
        self.told.clear();
    }
}
