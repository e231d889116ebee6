//! The whole core over a disk that loses: whoever keeps a position is shown every event exactly once, whatever becomes of process and machine.
//!
//! Shards with a store behind them, as a server has them, live and die: by a kill, a loss of power, or in good order. One client publishes and notes what was acknowledged; one
//! subscriber notes its position as it reads, as `fanwire subscribe --position-file` does, and comes back with it.

use std::cell::Cell;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use fanwire::event::Homes;
use fanwire::event::TopicPattern;
use fanwire::history::Retention;
use fanwire::history::asks::Ask;
use fanwire::history::keeper::Keeper;
use fanwire::history::keeper::Setup;
use fanwire::history::keeper::Stepped;
use fanwire::history::keeper::StoredClass;
use fanwire::history::keeper::SyncPolicy;
use fanwire::history::log::LedgerBounds;
use fanwire::history::log::Limits;
use fanwire::shard::Durable;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;

use super::disk::Sim;
use super::support::client::Client;
use super::support::client::Told;
use super::support::random::Random;
use super::support::seeds;
use super::support::world::World;
use super::support::world::party::Manner;
use super::support::world::party::Party;
use super::support::world::roomy;

type Store = Rc<RefCell<Option<Keeper<Sim>>>>;

/// Where the subscriber stands.
#[derive(Default)]
struct Position {
    epoch: String,
    offsets: BTreeMap<String, u64>,
    /// Of topics that are not named everything from this moment on.
    time_us: u64,
}

/// What is known over all lives.
struct Scene {
    random: Random,
    boot: u32,
    published: u64,
    position: Position,
    /// Numbers of the events that the subscriber was shown.
    shown: BTreeSet<u64>,
    /// Numbers of those that it must be shown in the end.
    owed: BTreeSet<u64>,
    /// Acknowledged in this life, and not as durable.
    unsynced: BTreeSet<u64>,
    lost_power: bool,
    gaps: Vec<String>,
}

/// A server while it lives.
struct Server {
    world: World,
    store: Store,
    now_us: Rc<Cell<u64>>,
    publisher: Client,
    subscriber: Client,
    /// What the publisher was told, up to here.
    heard: usize,
    /// What was asked to be acknowledged as durable.
    durable: BTreeSet<u64>,
}

fn setup(shards: u16, boot: u32, sync: SyncPolicy) -> Setup {
    let pattern = TopicPattern::new("**").unwrap();
    let limits = Limits { segment_bytes: 1 << 11, ..Limits::default() };
    Setup {
        classes: vec![StoredClass {
            topics: vec!["**".to_owned()],
            patterns: vec![pattern.clone()],
            limits,
            sync,
        }],
        homes: Homes::new(shards, [pattern].into()),
        boot: format!("boot {boot}"),
        random: 0x1234_5678_9abc_def0,
        shelves_bytes_max: 1 << 14,
        keys_bytes_max: 1 << 20,
        carried_bytes_max: 1 << 20,
        last_bytes_max: 1 << 14,
        ledger: LedgerBounds { bytes_max: 1 << 16, kept_s: None },
        sessions_bytes_max: (1 << 20, 1 << 20),
        now_s: 0,
    }
}

/// The store as a party: it does all that it can with each message; once its disk has failed it says nothing more, as its process has ended.
fn party(store: &Store, now_us: &Rc<Cell<u64>>) -> Party {
    let (store, now_us) = (Rc::clone(store), Rc::clone(now_us));
    Party::new(
        Manner::default(),
        |_| 0,
        move |message| {
            let mut store = store.borrow_mut();
            let (Some(keeper), Mesh::Store(ask)) = (store.as_mut(), message) else {
                return Vec::new();
            };
            let mut out = Vec::new();
            match ask {
                Ask::Append(run) => keeper.append(*run),
                Ask::Page(ask) => keeper.ask(*ask, &mut out),
                Ask::Note(ask) => keeper.note(*ask, &mut out),
                Ask::Session(ask) => keeper.session(*ask, &mut out),
            }
            let now = (now_us.get(), now_us.get());
            while let Ok(Stepped::Did) = keeper.step(now, |_| true, &mut out) {}
            let said = out.into_iter();
            said.map(|(shard, answer)| (PartyId::from(shard), Mesh::StoreSays(answer))).collect()
        },
    )
}

impl Scene {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            boot: 0,
            published: 0,
            position: Position { time_us: 1, ..Position::default() },
            shown: BTreeSet::new(),
            owed: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            lost_power: false,
            gaps: Vec::new(),
        }
    }

    fn start(&mut self, disk: Sim, life: usize) -> Server {
        let shards = 1 + self.random.below(3) as u16;
        let sync = match self.random.below(3) {
            0 => SyncPolicy::Always,
            1 => SyncPolicy::Every { us: 5_000 },
            _ => SyncPolicy::Off,
        };
        let (keeper, opened) = Keeper::open(disk, setup(shards, self.boot, sync)).unwrap();
        let epoch = format!("{:x}_p{life}", keeper.epoch());
        let topics = [TopicPattern::new("**").unwrap()];
        let durable = Durable { store: PartyId(shards), topics: Arc::new(topics) };
        let retention = Retention {
            bytes_max: 2 * (2_500 + self.random.below(20_000)),
            last_bytes_max: 2 * (500 + self.random.below(8_000)),
            ..roomy().retention
        };
        let settings = Settings { retention, durable: Some(durable), ..roomy() };
        let mut world = World::of_epoch(&epoch, shards, &settings);
        // Later than all lives before.
        world.advance_us(life as u64 * 60_000_000);
        for (shard, restored) in world.shards.iter_mut().zip(&opened.restored) {
            shard.restore(restored, world.now);
        }
        let store = Rc::new(RefCell::new(Some(keeper)));
        let now_us = Rc::new(Cell::new(world.now.wall_us));
        world.join(party(&store, &now_us));
        let at = self.random.below(usize::from(shards));
        let publisher = Client::connect(&mut world, at, 64 << 20, false);
        let subscriber = Client::connect(&mut world, at, 64 << 20, false);
        let since = match self.position.epoch.is_empty() {
            true => json!("earliest"),
            false => json!({
                "epoch": self.position.epoch,
                "offsets": self.position.offsets,
                "time_us": self.position.time_us,
            }),
        };
        self.position.epoch = epoch;
        let wish = json!({"type": "subscribe", "id": "s", "topics": ["**"], "since": since});
        subscriber.say(&mut world, &wish);
        Server { world, store, now_us, publisher, subscriber, heard: 0, durable: BTreeSet::new() }
    }

    /// Time passes, and everything that is on its way arrives.
    fn pass(server: &mut Server, ms: u64) {
        for _ in 0..ms {
            server.now_us.set(server.world.now.wall_us);
            server.world.settle();
            server.world.advance(1);
        }
        server.world.settle();
    }

    fn publish(&mut self, server: &mut Server) {
        for _ in 0..=self.random.below(4) {
            self.published += 1;
            let number = self.published;
            let is_durable = self.random.one_in(3);
            if is_durable {
                server.durable.insert(number);
            }
            let message = json!({
                "type": "publish",
                "id": number,
                "topic": format!("fleet/{}", self.random.below(5)),
                "key": format!("k{}", self.random.below(4)),
                "payload": {"n": number, "pad": "x".repeat(self.random.below(200))},
                "ack": if is_durable { "durable" } else { "ordered" },
            });
            server.publisher.say(&mut server.world, &message);
        }
    }

    /// The publisher notes what was acknowledged.
    fn hear(&mut self, server: &mut Server) {
        server.publisher.read(&mut server.world, usize::MAX);
        for told in server.publisher.told.iter().skip(server.heard) {
            let Told::Other(said) = told else { continue };
            if said["type"] == "published" {
                let number = said["id"].as_u64().unwrap();
                self.owed.insert(number);
                if !server.durable.contains(&number) {
                    self.unsynced.insert(number);
                }
            }
        }
        server.heard = server.publisher.told.len();
    }

    /// The subscriber reads so many bytes, and is shown what they say.
    fn show(&mut self, server: &mut Server, bytes: usize) {
        server.subscriber.read(&mut server.world, bytes);
        for told in std::mem::take(&mut server.subscriber.told) {
            match told {
                Told::Event(event) => {
                    let stood = self.position.offsets.insert(event.topic.clone(), event.offset);
                    assert!(stood.unwrap_or(0) < event.offset, "{event:?} behind {stood:?}");
                    let payload: Value = serde_json::from_str(&event.payload).unwrap();
                    let number = payload["n"].as_u64().unwrap();
                    assert!(self.shown.insert(number), "event {number} is shown twice");
                }
                Told::Gap { topic, from, to, reason, .. } => {
                    self.gaps.push(format!("{topic} {from}..{to}: {reason}"));
                }
                Told::Live { time_us, .. } => self.position.time_us = time_us,
                Told::Other(said) => assert_ne!(said["type"], "error", "{said}"),
                Told::Skipped { .. } | Told::Close(_) => panic!("{told:?}"),
            }
        }
    }

    /// A life from its start to its end; what is left of the disk.
    fn live(&mut self, disk: Sim, life: usize) -> Sim {
        let mut server = self.start(disk, life);
        if self.random.one_in(2) {
            let killed_in = Some(self.random.below(60) as u64);
            server.store.borrow_mut().as_mut().unwrap().disk_mut().killed_in = killed_in;
        }
        for _ in 0..self.random.below(30) {
            self.publish(&mut server);
            let ms = self.random.below(8) as u64;
            Self::pass(&mut server, ms);
            self.hear(&mut server);
            let bytes = self.random.below(3_000);
            self.show(&mut server, bytes);
        }
        let keeper = server.store.borrow_mut().take().unwrap();
        if self.random.one_in(4) && !keeper.disk().is_killed {
            let mut keeper = keeper;
            keeper.disk_mut().killed_in = None;
            self.unsynced.clear();
            return keeper.close(server.now_us.get(), &mut Vec::new()).unwrap();
        }
        let mut disk = keeper.into_disk();
        let unsynced = std::mem::take(&mut self.unsynced);
        if self.random.one_in(2) {
            disk.lose_power();
            self.boot += 1;
            self.lost_power = true;
            self.owed.retain(|number| !unsynced.contains(number));
        } else {
            disk.revive();
        }
        disk
    }

    /// The last life, in which everything is read.
    fn end(&mut self, disk: Sim, life: usize) {
        let mut server = self.start(disk, life);
        for _ in 0..3 {
            Self::pass(&mut server, 40);
            self.show(&mut server, usize::MAX);
        }
        let missing: Vec<_> = self.owed.difference(&self.shown).collect();
        assert!(missing.is_empty(), "acknowledged and never shown: {missing:?}; {:?}", self.gaps);
        assert!(self.lost_power || self.gaps.is_empty(), "nothing was lost: {:?}", self.gaps);
    }
}

fn lives(seed: u64) {
    let mut scene = Scene::new(seed);
    let mut disk = Sim::new(seed ^ 0x5eed);
    let count = 2 + scene.random.below(4);
    for life in 0..count {
        disk = scene.live(disk, life);
    }
    scene.end(disk, count);
}

#[test]
fn whoever_keeps_a_position_is_shown_every_event_once_whatever_becomes_of_process_and_machine() {
    seeds::hold(1..301, lives);
}
