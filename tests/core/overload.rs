//! Slow readers among those who keep up, and a source that says more than the core can tell: crowds of every mix, in virtual time.
//!
//! A millisecond is a turn of each shard in which it does so many sends; clients take so many bytes of their sockets in it. What is held: while the
//! core could tell twice as much, whoever keeps up hears everything in their time, however many others are slow and in which way, and no
//! publish is refused; who is slow meets their own policy and nothing else. Above that a source is told `full`, and nobody who
//! reads as fast as the core sends is closed.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::json;

use fanwire::limits::UNITS_SEND;
use fanwire::shard::Settings;

use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::frames::Frame;
use crate::support::frames::Reader;
use crate::support::random::Random;
use crate::support::world::Drain;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// Subscribers of each shard.
const LISTENERS: usize = 100;
/// Sends that a shard does in a millisecond.
const SENDS: u64 = 4;
const SOCKET_BYTES: usize = 128 * 1024;
const OUTBOX_BYTES: usize = 256 * 1024;
const PADDING_BYTES: usize = 300;
/// As fast as anyone can be sent anything here.
const FAST: u64 = 1 << 30;
const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

/// How one subscriber reads.
#[derive(Clone, Copy, Debug)]
struct Reads {
    drain: Option<Drain>,
    is_fast: bool,
    /// From when on it reads so; before, it keeps up.
    from_ms: u64,
    slow: &'static str,
}

const KEEPS_UP: Reads = Reads {
    drain: Some(Drain { bytes_per_s: FAST, every_ms: 1, next_ms: 0 }),
    is_fast: true,
    from_ms: 0,
    slow: "disconnect",
};

/// One of the ways in which a subscriber may be slow.
fn slow(random: &mut Random, from_ms: u64) -> Reads {
    let bytes_per_s = 1024 + random.below(100 * 1024) as u64;
    let every_ms = if random.one_in(2) { 1 } else { 500 + random.below(1500) as u64 };
    let drain = (!random.one_in(3)).then_some(Drain { bytes_per_s, every_ms, next_ms: 0 });
    let slow = *random.pick::<&str>(&["disconnect", "drop_oldest", "latest_per_key"]);
    Reads { drain, is_fast: false, from_ms, slow }
}

struct Listener {
    wire: Wire,
    reads: Reads,
    reader: Reader,
    /// The newest offset heard of each topic.
    positions: BTreeMap<String, u64>,
    heard: u64,
    closed: Option<u16>,
}

struct Scene {
    world: World,
    listeners: Vec<Listener>,
    publishers: Vec<Client>,
    began_ms: u64,
    /// When each event was said, in milliseconds.
    said_ms: Vec<u64>,
    taken: u64,
    refused: u64,
    /// How late each event was for each who keeps up, in milliseconds.
    delays_ms: Vec<u64>,
}

impl Scene {
    /// `listeners`: how each reads, on which shard, and what it listens to.
    fn new(shards: u16, listeners: impl IntoIterator<Item = (Reads, usize, &'static str)>) -> Self {
        let settings = Settings { outbox_bytes_max: OUTBOX_BYTES, deflate: false, ..roomy() };
        let mut world = World::new(shards, &settings);
        let publishers: Vec<Client> = (0..usize::from(shards))
            .map(|shard| Client::connect(&mut world, shard, 1 << 24, false))
            .collect();
        let join = |(reads, shard, topic): (Reads, usize, &str)| {
            let mut client = Client::connect(&mut world, shard, SOCKET_BYTES, false);
            let wish = json!({"type": "subscribe", "id": 1, "topics": [topic], "slow": reads.slow});
            client.say(&mut world, &wish);
            world.settle();
            client.read(&mut world, usize::MAX);
            world.settle();
            let reader = Reader::new(false);
            let wire = client.wire;
            Listener { wire, reads, reader, positions: BTreeMap::new(), heard: 0, closed: None }
        };
        let listeners: Vec<Listener> = listeners.into_iter().map(join).collect();
        for shard in &mut world.shards {
            shard.set_units(SENDS * UNITS_SEND);
        }
        let began_ms = world.now.mono_ms;
        Self {
            world,
            listeners,
            publishers,
            began_ms,
            said_ms: Vec::new(),
            taken: 0,
            refused: 0,
            delays_ms: Vec::new(),
        }
    }

    /// Says the next event, through each publisher in turn.
    fn publish(&mut self, topic: &str) {
        let number = self.said_ms.len();
        self.said_ms.push(self.world.now.mono_ms);
        let payload = json!({"n": number, "p": "x".repeat(PADDING_BYTES)});
        let key = format!("k{}", number % 50);
        let message =
            json!({"type": "publish", "id": 1, "topic": topic, "key": key, "payload": payload});
        let index = number % self.publishers.len();
        self.publishers[index].say(&mut self.world, &message);
    }

    fn pass_ms(&mut self) {
        let passed_ms = self.world.now.mono_ms - self.began_ms;
        for listener in &self.listeners {
            let Some(socket) = self.world.sockets.get_mut(&listener.wire) else { continue };
            let is_itself = passed_ms >= listener.reads.from_ms;
            if socket.drain.is_none() || is_itself && passed_ms == listener.reads.from_ms {
                socket.drain = if is_itself { listener.reads.drain } else { KEEPS_UP.drain };
            }
        }
        self.world.pass_ms();
        for listener in &mut self.listeners {
            listener.hear(&mut self.world, &self.said_ms, &mut self.delays_ms);
        }
        for publisher in &mut self.publishers {
            publisher.read(&mut self.world, usize::MAX);
            for told in publisher.told.drain(..) {
                match told {
                    Told::Other(answer) if answer["type"] == "published" => self.taken += 1,
                    Told::Other(answer) if answer["code"] == "full" => self.refused += 1,
                    Told::Other(answer) => assert_eq!(answer["type"], "welcome", "{answer}"),
                    other => panic!("a publisher hears {other:?}"),
                }
            }
        }
    }

    /// Until everything that was taken has been told to those who keep up.
    fn finish(&mut self) {
        for _ in 0..20_000 {
            self.pass_ms();
            let is_told = |one: &Listener| {
                !one.reads.is_fast || one.closed.is_some() || one.heard >= self.taken
            };
            if self.taken + self.refused == self.said_ms.len() as u64
                && self.listeners.iter().all(is_told)
            {
                return;
            }
        }
        let least =
            self.listeners.iter().filter(|one| one.reads.is_fast).map(|one| one.heard).min();
        panic!("of {} events those who keep up heard {least:?}", self.taken);
    }

    fn check_nobody_fast_is_closed(&self) {
        for one in self.listeners.iter().filter(|one| one.reads.is_fast) {
            assert_eq!(
                one.closed, None,
                "{:?} keeps up: {} of {}",
                one.reads, one.heard, self.taken
            );
            assert!(self.world.is_open(one.wire));
        }
    }

    /// Milliseconds within which 99 of 100 events were heard.
    fn p99_ms(&mut self) -> u64 {
        self.delays_ms.sort_unstable();
        self.delays_ms[self.delays_ms.len() * 99 / 100]
    }
}

impl Listener {
    fn hear(&mut self, world: &mut World, said_ms: &[u64], delays_ms: &mut Vec<u64>) {
        let now_ms = world.now.mono_ms;
        let Some(socket) = world.sockets.get_mut(&self.wire) else { return };
        if socket.heard.is_empty() {
            return;
        }
        self.reader.push(&std::mem::take(&mut socket.heard));
        while let Some(frame) = self.reader.next() {
            match frame {
                Frame::Text(text) if text.contains(r#""type":"event""#) => {
                    let offset = number_after(&text, r#""offset":"#);
                    let topic =
                        text.split(r#""topic":""#).nth(1).unwrap().split('"').next().unwrap();
                    let position = self.positions.entry(topic.to_owned()).or_default();
                    assert!(offset > *position, "{offset} of {topic} after {position}");
                    if self.reads.is_fast {
                        assert_eq!(offset, *position + 1, "nothing of {topic} is missing");
                        let number = number_after(&text, r#""n":"#);
                        delays_ms.push(now_ms - said_ms[usize::try_from(number).unwrap()]);
                    }
                    *position = offset;
                    self.heard += 1;
                }
                Frame::Close(code, _) => self.closed = code,
                _ => assert!(!self.reads.is_fast, "who keeps up hears of nothing else: {frame:?}"),
            }
        }
    }
}

fn number_after(text: &str, name: &str) -> u64 {
    let rest = text.split(name).nth(1).unwrap_or_else(|| panic!("{name} in {text}"));
    rest.split(|byte: char| !byte.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Events of a second that one shard can tell its subscribers, all of whom keep up.
fn saturating_per_s() -> u64 {
    static RATE: OnceLock<u64> = OnceLock::new();
    *RATE.get_or_init(|| {
        let mut scene = Scene::new(1, (0..LISTENERS).map(|_| (KEEPS_UP, 0, "**")));
        for _ in 0..1_500 {
            for _ in 0..8 {
                scene.publish("a");
            }
            scene.pass_ms();
        }
        assert!(scene.refused > 0, "the source was never told to wait");
        scene.check_nobody_fast_is_closed();
        scene.listeners.iter().map(|one| one.heard).min().unwrap() * 1000 / 1_500
    })
}

/// Plays a scene at half of the saturating rate.
fn at_half(scene: &mut Scene, topics: &[&str], ms: u64) {
    let per_s = saturating_per_s() / 2;
    let mut owed = 0;
    for _ in 0..ms {
        owed += per_s;
        while owed >= 1000 {
            owed -= 1000;
            scene.publish(topics[scene.said_ms.len() % topics.len()]);
        }
        scene.pass_ms();
    }
    scene.finish();
    assert_eq!(scene.refused, 0, "no publish is refused on account of the slow");
    scene.check_nobody_fast_is_closed();
}

/// Who is slow and whose policy is not to be closed is not.
fn check_policies(scene: &Scene) {
    for one in scene.listeners.iter().filter(|one| one.reads.slow != "disconnect") {
        assert!(scene.world.is_open(one.wire), "{:?} was closed: {:?}", one.reads, one.closed);
    }
}

fn mixed(shards: u16, per_cent_slow: usize, all_at_once: bool, seed: u64) {
    let mut random = Random::new(seed);
    let everyone = |reads: &mut dyn FnMut(usize) -> Reads| {
        let all = (0..LISTENERS * usize::from(shards))
            .map(|at| (reads(at), at % usize::from(shards), "**"));
        Scene::new(shards, all.collect::<Vec<_>>())
    };
    let mut alone = everyone(&mut |_| KEEPS_UP);
    at_half(&mut alone, &TOPICS, 1_000);
    let mut scene = everyone(&mut |at| match (at * 37) % 100 < per_cent_slow {
        true => slow(&mut random, if all_at_once { 500 } else { 10 * at as u64 }),
        false => KEEPS_UP,
    });
    at_half(&mut scene, &TOPICS, 3_000);
    check_policies(&scene);
    let (alone_ms, ms) = (alone.p99_ms(), scene.p99_ms());
    assert!(
        ms <= 2 * alone_ms,
        "{per_cent_slow} % slow on {shards}, seed {seed}: 99 of 100 within {ms} ms, alone {alone_ms}"
    );
}

#[test]
fn who_keeps_up_hears_everything_however_many_are_slow() {
    for (per_cent_slow, seed) in [(10, 1), (30, 2), (60, 3), (90, 4)] {
        mixed(1, per_cent_slow, true, seed);
        mixed(1, per_cent_slow, false, seed + 10);
    }
}

#[test]
fn and_on_two_shards() {
    mixed(2, 50, true, 5);
    mixed(2, 90, false, 6);
}

/// The case that was reported: a fifth reads 8 to 40 KiB/s, and everybody else heard nothing for as long.
#[test]
fn a_cell_full_of_phones_stops_nobody() {
    let phone = |at: usize| {
        let drain = Drain::steady([8, 16, 40][at % 3] * 1024);
        Reads { drain: Some(drain), is_fast: false, from_ms: 0, slow: "disconnect" }
    };
    let everyone =
        (0..LISTENERS).map(|at| (if at % 5 == 0 { phone(at) } else { KEEPS_UP }, 0, "**"));
    let mut scene = Scene::new(1, everyone);
    at_half(&mut scene, &["a"], 4_000);
    let closed = scene.world.shards[0].stats().slow_disconnects;
    assert_eq!(closed, LISTENERS as u64 / 5, "each phone has more coming than it may");
}

/// All of one topic's subscribers are slow, and another topic's are not, whichever shard they are on.
#[test]
fn a_slow_crowd_of_one_topic_does_not_stop_another() {
    for (slow_shard, fast_shard) in [(0, 0), (0, 1), (1, 0)] {
        let slow = Reads { is_fast: false, drain: Some(Drain::steady(16 * 1024)), ..KEEPS_UP };
        let everyone = (0..LISTENERS).map(|at| match at % 10 {
            0 => (KEEPS_UP, fast_shard, "b"),
            _ => (slow, slow_shard, "a"),
        });
        let mut scene = Scene::new(2, everyone);
        // Those who keep up hear half of it.
        at_half_of_two(&mut scene);
    }
}

fn at_half_of_two(scene: &mut Scene) {
    let per_s = saturating_per_s() / 2;
    let (mut owed, mut wanted) = (0, 0);
    for _ in 0..3_000 {
        owed += per_s;
        while owed >= 1000 {
            owed -= 1000;
            let topic = TOPICS[scene.said_ms.len() / 2 % 2];
            wanted += u64::from(topic == "b");
            scene.publish(topic);
        }
        scene.pass_ms();
    }
    for _ in 0..1_000 {
        scene.pass_ms();
    }
    assert_eq!(scene.refused, 0);
    scene.check_nobody_fast_is_closed();
    for one in scene.listeners.iter().filter(|one| one.reads.is_fast) {
        assert_eq!(one.heard, wanted);
    }
    let p99_ms = scene.p99_ms();
    assert!(p99_ms <= 200, "99 of 100 within {p99_ms} ms");
}

/// Everybody reads, and all stop together now and then, as when they share a machine that is busy: the source says as much as it can.
#[test]
fn nobody_who_reads_as_fast_as_the_core_sends_is_closed() {
    for (shards, every_ms) in [(1, 100), (1, 400), (2, 250)] {
        let reads =
            Reads { drain: Some(Drain { bytes_per_s: FAST, every_ms, next_ms: 0 }), ..KEEPS_UP };
        let everyone = (0..LISTENERS * shards).map(|at| (reads, at % shards, "**"));
        let mut scene = Scene::new(u16::try_from(shards).unwrap(), everyone);
        for _ in 0..4_000 {
            TOPICS.iter().for_each(|topic| scene.publish(topic));
            scene.pass_ms();
        }
        assert!(scene.refused > 0, "the source was never told to wait");
        scene.finish();
        scene.check_nobody_fast_is_closed();
    }
}

/// An answer does not wait for a flight to all others: one turn brings it.
#[test]
fn an_answer_does_not_wait_until_everyone_was_sent_to() {
    let mut scene = Scene::new(1, (0..LISTENERS).map(|_| (KEEPS_UP, 0, "**")));
    for _ in 0..200 {
        (0..8).for_each(|_| scene.publish("a"));
        scene.pass_ms();
    }
    for _ in 0..50 {
        (0..8).for_each(|_| scene.publish("a"));
        let asker = scene.world.open(0, 1 << 16);
        scene.world.say(asker, b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n");
        scene.pass_ms();
        scene.pass_ms();
        let answer = scene.world.read(asker, usize::MAX);
        assert!(answer.starts_with(b"HTTP/1.1 404 "), "{}", String::from_utf8_lossy(&answer));
        scene.world.vanish(asker);
    }
    let heard = scene.listeners.iter().map(|one| one.heard).max().unwrap();
    assert!(heard + 500 < scene.said_ms.len() as u64, "the core was not busy");
}

/// Twenty who never read hold a large event each, which is far more than all outboxes may hold, or as many small ones as they may. Whoever reads, and is
/// behind for a moment, pays for none of it.
#[test]
fn who_reads_does_not_pay_for_what_others_hold() {
    read_beside_those_who_hold(&["held"; 20], 4, 900_000);
    read_beside_those_who_hold(&["held"; 20], 200, 1_000);
    // One after the other each takes half of what is left, until there is next to nothing.
    let topics: Vec<String> = (0..20).map(|number| format!("held/{number}")).collect();
    read_beside_those_who_hold(&topics.iter().map(String::as_str).collect::<Vec<_>>(), 600, 1_000);
}

fn read_beside_those_who_hold(topics: &[&str], events: usize, bytes: usize) {
    let settings = Settings { outboxes_bytes_max: 1 << 20, deflate: false, ..roomy() };
    let mut world = World::new(1, &settings);
    let publisher = Client::connect(&mut world, 0, 1 << 24, false);
    let mut join = |topic: &str, slow: &str, capacity: usize| {
        let mut client = Client::connect(&mut world, 0, capacity, false);
        let wish = json!({"type": "subscribe", "id": 1, "topics": [topic], "slow": slow});
        client.say(&mut world, &wish);
        world.settle();
        client.read(&mut world, usize::MAX);
        world.settle();
        client.told.clear();
        client
    };
    let lazy: Vec<Client> = topics.iter().map(|topic| join(topic, "drop_oldest", 4096)).collect();
    let mut readers: Vec<Client> =
        ["disconnect", "drop_oldest"].map(|slow| join("small", slow, 16 * 1024)).into();
    let say = |world: &mut World, topic: &str, number: usize, bytes: usize| {
        let payload = json!({"n": number, "p": "x".repeat(bytes)});
        let event = json!({"type": "publish", "id": 1, "topic": topic, "payload": payload});
        publisher.say(world, &event);
    };
    let mut held = topics.to_vec();
    held.dedup();
    for topic in held {
        for number in 0..events {
            say(&mut world, topic, number, bytes);
            world.settle();
        }
    }
    for round in 0..20 {
        // Twice as much as a socket takes, in two turns, and beside another event for the others: they are behind until they read.
        say(&mut world, topics[0], round, bytes);
        for turn in 0..2 {
            (0..15).for_each(|number| {
                say(&mut world, "small", (round * 2 + turn) * 15 + number, 1_000);
            });
            world.settle();
        }
        for reader in &mut readers {
            while reader.read(&mut world, usize::MAX) > 0 {
                world.settle();
            }
        }
    }
    for reader in &readers {
        let events = reader.told.iter().filter(|told| matches!(told, Told::Event(_))).count();
        assert_eq!(events, 600, "{:?}", reader.told.last());
    }
    let open = lazy.iter().filter(|one| world.is_open(one.wire)).count();
    assert!(open > 0, "those who hold too much give way as their policy says, not all at once");
}
