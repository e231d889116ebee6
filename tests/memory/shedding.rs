//! What gives way when memory runs out, in which order, who is told of it and where it is counted: row by row as `docs/OPERATING.md` has it.
//!
//! The pressure of each row comes on top of the rows before it. Then the figures that its row names have risen, those of the rows behind it have not, and
//! whoever does nothing has heard everything.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::auth::AnonymousAccess;
use fanwire::auth::Rate;
use fanwire::shard::Access;
use fanwire::shard::FIGURES;
use fanwire::shard::MemoryBounds;
use fanwire::shard::OwnEvents;
use fanwire::shard::Settings;
use serde_json::Value;
use serde_json::json;

use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::world::World;
use crate::support::world::roomy;

const OPERATING: &str = include_str!("../../docs/OPERATING.md");

/// The rows of the table: what is full, and the figures that count it.
fn rows() -> Vec<(String, Vec<String>)> {
    let (_, section) = OPERATING.split_once("## When memory runs out").expect("a chapter");
    let rows = section.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [_, full, _, _, counted] = cells[..] else { panic!("{line} has five cells") };
        let figures = counted.split('`').filter(|word| word.starts_with("fanwire_"));
        let names = figures.filter_map(|word| word.split('{').next());
        (full.trim_start_matches("| ").to_owned(), names.map(str::to_owned).collect())
    });
    rows.collect()
}

struct Scene {
    world: World,
    publisher: Client,
    quiet: Client,
    /// Events that were taken, of the topic that the quiet one hears.
    taken: usize,
    said: usize,
}

const CONNECTIONS_MAX: usize = 200;

impl Scene {
    fn new() -> Self {
        let memory = MemoryBounds {
            replays_bytes_max: 256 << 10,
            batches_bytes_max: 256 << 10,
            mesh_bytes_max: 1 << 20,
            input_bytes_max: 1 << 20,
            ..MemoryBounds::default()
        };
        let mut access = Access::default();
        access.anonymous.access = AnonymousAccess::Anywhere;
        access.limits.messages = Rate::per_second(1_000_000);
        access.limits.publish = Rate::per_second(1_000_000);
        let own = OwnEvents { figures_s: 0, logs: true };
        let mut settings = Settings { memory, own, access: Arc::new(access), ..roomy() };
        settings.outboxes_bytes_max = 1 << 20;
        settings.outbox_bytes_max = 256 << 10;
        settings.connections_max = CONNECTIONS_MAX;
        settings.retention.bytes_max = 2 << 20;
        let mut world = World::new(2, &settings);
        let publisher = Client::connect(&mut world, 0, 1 << 24, false);
        let quiet = Client::connect(&mut world, 0, 1 << 24, false);
        quiet.say(&mut world, &json!({"type": "subscribe", "id": 1, "topics": ["t", "LogEntry"]}));
        world.settle();
        Self { world, publisher, quiet, taken: 0, said: 0 }
    }

    /// Publishes, and waits for the answer.
    fn publish(&mut self, bytes: usize) {
        let payload = json!({"n": self.said, "p": "x".repeat(bytes)});
        self.said += 1;
        let event = json!({"type": "publish", "id": self.said, "topic": "t", "key": "k", "payload": payload});
        self.publisher.say(&mut self.world, &event);
        self.world.settle();
        self.publisher.read(&mut self.world, usize::MAX);
        let told = std::mem::take(&mut self.publisher.told);
        self.taken += told.iter().filter(|told| is_of(told, "published")).count();
        self.quiet.read(&mut self.world, usize::MAX);
        self.world.settle();
    }

    /// Connects somebody who takes so many bytes, and says this.
    fn join(&mut self, capacity: usize, wish: &Value) -> Client {
        let client = Client::connect(&mut self.world, 0, capacity, false);
        client.say(&mut self.world, wish);
        self.world.settle();
        client
    }

    fn figure(&self, name: &str) -> u64 {
        let shards = || self.world.shards.iter().map(fanwire::shard::Shard::stats);
        if let Some(figure) = FIGURES.iter().find(|figure| figure.name == name) {
            return shards().map(|stats| (figure.read)(&stats)).sum();
        }
        assert_eq!(name, "fanwire_refused_total", "there is such a figure");
        shards().map(|stats| stats.refused_full).sum()
    }
}

fn is_of(told: &Told, kind: &str) -> bool {
    matches!(told, Told::Other(said) if said["type"] == kind)
}

/// What each row's pressure is.
type Press = fn(&mut Scene);

const PRESSURES: [(&str, Press); 7] = [
    ("replays of the past", |scene| {
        for number in 0..30 {
            let wish = json!({"type": "subscribe", "id": number, "topics": ["t"], "since": "earliest", "slow": "drop_oldest"});
            drop(scene.join(512, &wish));
        }
        scene.publish(100);
    }),
    ("batches that are being filled", |scene| {
        for number in 0..20 {
            let wish = json!({
                "type": "subscribe", "id": format!("class {number}"), "topics": ["t"],
                "batch": {"max_events": 1024, "max_delay_ms": 10_000},
            });
            drop(scene.join(1 << 24, &wish));
        }
        (0..40).for_each(|_| scene.publish(1_000));
    }),
    ("outboxes of all", |scene| {
        let mut slow: Vec<Client> = (0..10)
            .map(|number| {
                let policy = ["drop_oldest", "latest_per_key", "disconnect"][number % 3];
                let wish =
                    json!({"type": "subscribe", "id": number, "topics": ["t"], "slow": policy});
                scene.join(2_000, &wish)
            })
            .collect();
        (0..400).for_each(|_| scene.publish(2_000));
        let mut told = Vec::new();
        for client in &mut slow {
            while client.read(&mut scene.world, usize::MAX) > 0 {
                scene.world.settle();
            }
            told.append(&mut client.told);
        }
        for what in ["gap", "skipped", "4008"] {
            let is_told = told.iter().any(|told| match told {
                Told::Gap { .. } => what == "gap",
                Told::Skipped { .. } => what == "skipped",
                Told::Close(code) => what == "4008" && *code == Some(4008),
                _ => false,
            });
            assert!(is_told, "nobody is told of {what}");
        }
    }),
    ("events that wait for another core or the disk", |scene| {
        // The other core takes nothing in.
        let inbox = (scene.world.inbox_messages_max, scene.world.inbox_bytes_max);
        (scene.world.inbox_messages_max, scene.world.inbox_bytes_max) = (4, 64 << 10);
        for number in 0..600 {
            let event = json!({"type": "publish", "id": number, "topic": "t", "payload": {"p": "x".repeat(4_000)}});
            scene.publisher.say(&mut scene.world, &event);
            scene.world.work(0);
            scene.quiet.read(&mut scene.world, usize::MAX);
        }
        scene.world.settle();
        (scene.world.inbox_messages_max, scene.world.inbox_bytes_max) = inbox;
        scene.publisher.read(&mut scene.world, usize::MAX);
        let told = std::mem::take(&mut scene.publisher.told);
        scene.taken += told.iter().filter(|told| is_of(told, "published")).count();
        let full = |told: &&Told| matches!(told, Told::Other(said) if said["code"] == "full");
        assert!(told.iter().any(|told| full(&told)), "the publisher is told");
    }),
    ("what clients have said", |scene| {
        let wires: Vec<_> = (0..40_u32)
            .map(|number| {
                let from = IpAddr::V4(Ipv4Addr::from_bits(0xcb00_0000 + number * 256));
                let wire = scene.world.open_from(0, 1 << 16, from);
                let head = "POST /v1/publish/t HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n{\"p\":\"";
                scene.world.say(wire, head.as_bytes());
                for _ in 0..4 {
                    scene.world.say(wire, &[b'x'; 16 << 10]);
                }
                wire
            })
            .collect();
        scene.world.settle();
        let answers: Vec<String> = wires
            .iter()
            .map(|wire| String::from_utf8_lossy(&scene.world.read(*wire, usize::MAX)).into_owned())
            .collect();
        let refused = answers
            .iter()
            .filter(|answer| answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"));
        assert!(refused.count() > 0, "{answers:?}");
        wires.into_iter().for_each(|wire| scene.world.vanish(wire));
    }),
    ("history", |scene| {
        let wish = json!({"type": "subscribe", "id": 1, "topics": ["t"], "since": {"epoch": "e1", "offsets": {"t": 1}}});
        let mut back = scene.join(1 << 24, &wish);
        // Others who are told of the past have taken the room for it, so it takes its turn.
        for _ in 0..100 {
            back.read(&mut scene.world, usize::MAX);
            scene.world.advance(100);
            scene.world.tick();
            scene.world.settle();
        }
        assert!(
            back.told.iter().any(|told| matches!(told, Told::Gap { .. })),
            "{:?}",
            back.told.first()
        );
        assert!(scene.figure("fanwire_history_bytes") <= 2 * (2 << 20));
    }),
    ("connections", |scene| {
        let mut refused = 0;
        for number in 0..2 * CONNECTIONS_MAX {
            let network = u32::try_from(number).expect("connections are few");
            let from = IpAddr::V4(Ipv4Addr::from_bits(0xcc00_0000 + network * 256));
            refused += usize::from(scene.world.try_open_from(0, 1 << 16, from).is_none());
        }
        assert!(refused > 0, "one more is closed at once");
    }),
];

#[test]
fn what_gives_way_does_so_in_the_order_that_operators_are_told() {
    // Records of TLS are no part of the core: `tests/tls_memory.rs` and `tests/server/tls_attacks.rs` hold that row.
    let rows: Vec<_> =
        rows().into_iter().filter(|(full, _)| full != "records of TLS in part").collect();
    let names: Vec<&str> = rows.iter().map(|(full, _)| &**full).collect();
    assert_eq!(names, PRESSURES.map(|(name, _)| name), "each row has its pressure");
    let mut scene = Scene::new();
    (0..200).for_each(|_| scene.publish(4_000));
    let all: Vec<&String> = rows.iter().flat_map(|(_, figures)| figures).collect();
    for (index, (name, press)) in PRESSURES.iter().enumerate() {
        let before: BTreeMap<&str, u64> =
            all.iter().map(|figure| (figure.as_str(), scene.figure(figure))).collect();
        press(&mut scene);
        for (at, (_, figures)) in rows.iter().enumerate() {
            for figure in figures.iter().filter(|figure| *figure != "fanwire_history_bytes") {
                let risen = scene.figure(figure) - before[figure.as_str()];
                assert!(at != index || risen > 0, "{name}: {figure} does not say so");
                assert!(at <= index || risen == 0, "{name}: {figure} has risen by {risen}");
            }
        }
        scene.quiet.read(&mut scene.world, usize::MAX);
        assert!(scene.world.is_open(scene.quiet.wire), "{name}: whoever does nothing stays");
    }
    let heard = scene
        .quiet
        .told
        .iter()
        .filter(|told| matches!(told, Told::Event(event) if event.topic == "t"));
    assert_eq!(heard.count(), scene.taken, "whoever does nothing has heard everything");
    let has_gap = scene.quiet.told.iter().any(|told| matches!(told, Told::Gap { .. }));
    assert!(!has_gap, "and missed nothing");
}
