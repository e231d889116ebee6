//! Sessions of MQTT under a seeded simulation: clients that vanish at any byte, take one another's place, and come back on other shards, in virtual time.
//! What is acknowledged comes at least once and in order, of QoS 2 exactly once; or their client hears that its session is gone. A failure prints its seed.

mod folder;
mod restarts;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::net::Ipv4Addr;

use fanwire::history::Retention;
use fanwire::limits::UNITS_SEND;
use fanwire::shard::Port;
use fanwire::shard::Settings;

use crate::support::mqtt;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

const TOPICS: [&str; 4] = ["a/1", "a/2", "a/b/3", "b"];

/// A connection, and what of it was not read or said yet.
struct Link {
    wire: Wire,
    codec: Box<mqtt::Client>,
    /// CONNACK has come.
    is_open: bool,
}

impl Link {
    fn open(world: &mut World, shard: usize, capacity: usize, connect: &str) -> Self {
        let by = (Port::Own("mqtt"), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let wire = world.try_open_at(shard, capacity, by).expect("there is room");
        let mut codec = Box::<mqtt::Client>::default();
        let bytes = codec.written(connect);
        world.say(wire, &bytes);
        Self { wire, codec, is_open: false }
    }

    fn say(&mut self, world: &mut World, text: &str) {
        let bytes = self.codec.written(text);
        world.say(self.wire, &bytes);
    }

    /// Says the first bytes of a packet, and vanishes.
    fn vanish(&mut self, world: &mut World, text: &str, random: &mut Random) {
        let bytes = self.codec.written(text);
        world.say(self.wire, &bytes[..random.below(bytes.len())]);
        world.vanish(self.wire);
    }

    fn hear(&mut self, world: &mut World, bytes: usize) -> Vec<String> {
        let heard = world.read(self.wire, bytes);
        self.codec.push(&heard);
        std::iter::from_fn(|| self.codec.next()).collect()
    }
}

/// One subscriber through all of its connections.
struct Subscriber {
    name: String,
    version: &'static str,
    filter: &'static str,
    qos: u8,
    /// Bytes that it reads at a time.
    pace: usize,
    capacity: usize,
    receive: usize,
    link: Option<Link>,
    /// All connections that it has had on this server.
    wires: Vec<Wire>,
    /// SUBSCRIBE was answered in this session.
    is_subscribed: bool,
    /// Of QoS 2: identifiers of messages that it has and has not been released of.
    held: BTreeSet<String>,
    /// What was heard last of each topic.
    heard: BTreeMap<String, u64>,
    /// From which message of each topic on nothing may be missing.
    since: BTreeMap<String, u64>,
    /// What it has to say and has not said yet.
    to_say: Vec<String>,
    /// Its session may have ended with the server that it was on.
    may_be_lost: bool,
    /// Its session ended.
    losses: u32,
}

impl Subscriber {
    fn wants(&self, topic: &str) -> bool {
        match self.filter {
            "#" => true,
            "a/#" => topic.starts_with("a/"),
            "a/+" => topic.starts_with("a/") && topic.matches('/').count() == 1,
            exact => exact == topic,
        }
    }

    fn connect(&mut self, world: &mut World, random: &mut Random) {
        let shard = random.below(world.shards.len());
        let lasts = if self.version == "v5" { " session=100000" } else { "" };
        let receive = match self.version {
            "v5" if self.receive > 0 => format!(" receive={}", self.receive),
            _ => String::new(),
        };
        let connect = format!("connect {} {}{lasts}{receive}", self.version, self.name);
        self.to_say.clear();
        let link = Link::open(world, shard, self.capacity, &connect);
        self.wires.push(link.wire);
        self.link = Some(link);
    }

    /// Takes in what has come; `said`: how many messages there are of each topic.
    fn hear(&mut self, world: &mut World, said: &BTreeMap<&'static str, u64>, is_short: bool) {
        let Some(link) = &mut self.link else { return };
        for packet in link.hear(world, self.pace) {
            let mut words = packet.split(' ');
            let kind = words.next().unwrap_or_default();
            let first = words.next().unwrap_or_default().to_owned();
            match kind {
                "connack" => self.hear_connack(&packet, is_short),
                "suback" => {
                    self.is_subscribed = true;
                    for topic in TOPICS {
                        self.since
                            .entry(topic.to_owned())
                            .or_insert_with(|| said.get(topic).copied().unwrap_or(0));
                    }
                }
                "publish" => self.hear_publish(&packet),
                "pubrel" => {
                    self.held.remove(&first);
                    self.to_say.push(format!("pubcomp {first}"));
                }
                "disconnect" => {
                    let is_known =
                        packet.contains("rc=8e") || (is_short && packet.contains("rc=97"));
                    assert!(is_known, "{}: {packet}", self.name);
                }
                _ => panic!("{}: {packet}", self.name),
            }
        }
    }

    fn hear_connack(&mut self, packet: &str, is_short: bool) {
        let link = self.link.as_mut().expect("it has come by one");
        link.is_open = true;
        let subscribe = format!("subscribe 1 {}={}", self.filter, self.qos);
        let may_be_lost = std::mem::take(&mut self.may_be_lost);
        if packet.contains("present") {
            if !self.is_subscribed {
                // Whether it was heard before it does not know.
                self.to_say.push(subscribe);
            }
            return;
        }
        if self.is_subscribed {
            assert!(is_short || may_be_lost, "{}: the session is gone: {packet}", self.name);
            self.losses += 1;
        }
        self.is_subscribed = false;
        self.held.clear();
        self.heard.clear();
        self.since.clear();
        self.to_say = vec![subscribe];
    }

    fn hear_publish(&mut self, packet: &str) {
        let (head, number) = packet.split_once(" : ").expect("it has a payload");
        let words: Vec<&str> = head.split(' ').collect();
        let (topic, qos) = (words[1], words[2]);
        let id = words.iter().find_map(|word| word.strip_prefix("id=")).expect("it has one");
        let is_again = words.contains(&"dup");
        let number: u64 = number.parse().expect("a number");
        assert!(self.wants(topic), "{}: {packet}", self.name);
        match qos {
            "q1" => self.to_say.push(format!("puback {id}")),
            "q2" => {
                self.to_say.push(format!("pubrec {id}"));
                if !self.held.insert(id.to_owned()) {
                    assert!(is_again, "{}: an identifier in use: {packet}", self.name);
                    return;
                }
            }
            _ => panic!("{}: {packet}", self.name),
        }
        let last = self.heard.get(topic).copied();
        let next = match (last, self.since.get(topic)) {
            (Some(last), _) => last + 1,
            (None, Some(since)) => since + 1,
            // It hears before SUBACK: whatever came first is where it begins.
            (None, None) => number,
        };
        if number < next && qos == "q1" {
            // At least once.
            return;
        }
        // What was said while SUBSCRIBE was on its way may be heard, or not.
        let is_first = last.is_none() && number <= next;
        assert!(number == next || is_first, "{}: {packet}, and {next} is next", self.name);
        self.heard.insert(topic.to_owned(), number);
    }

    /// Says some of what it has to.
    fn say(&mut self, world: &mut World, most: usize) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_open) else { return };
        for text in self.to_say.drain(..most.min(self.to_say.len())).collect::<Vec<_>>() {
            if !world.is_open(link.wire) {
                return;
            }
            link.say(world, &text);
        }
    }
}

struct Simulation {
    world: World,
    random: Random,
    subscribers: Vec<Subscriber>,
    publisher: Link,
    said: BTreeMap<&'static str, u64>,
    packet_id: u16,
    unacked: usize,
    is_short: bool,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let is_short = random.one_in(4);
        let topic_events_max = if is_short { 1 + random.below(20) } else { 100_000 };
        let retention = Retention { topic_events_max, ..roomy().retention };
        let settings = Settings { retention, ..roomy() };
        let shard_count = u16::try_from(1 + random.below(4)).unwrap();
        let world = World::new(shard_count, &settings);
        Self::of(world, random, is_short)
    }

    /// Subscribers and a publisher in a world.
    fn of(mut world: World, mut random: Random, is_short: bool) -> Self {
        let units = random.below(30) as u64 * UNITS_SEND;
        world.shards.iter_mut().for_each(|shard| shard.set_units(units));
        let publisher = Link::open(&mut world, 0, 1 << 20, "connect v5 publisher clean");
        let subscribers = (0..2 + random.below(3)).map(|index| Subscriber {
            name: format!("c{index}"),
            version: random.pick::<&str>(&["v4", "v5"]),
            filter: random.pick::<&str>(&["#", "a/#", "a/+", "b"]),
            qos: 1 + u8::from(random.one_in(2)),
            pace: if random.one_in(3) { 1 + random.below(60) } else { 1 << 20 },
            capacity: if random.one_in(3) { 30 + random.below(200) } else { 1 << 20 },
            receive: if random.one_in(2) { 1 + random.below(4) } else { 0 },
            link: None,
            wires: Vec::new(),
            is_subscribed: false,
            held: BTreeSet::new(),
            heard: BTreeMap::new(),
            since: BTreeMap::new(),
            to_say: Vec::new(),
            may_be_lost: false,
            losses: 0,
        });
        let subscribers = subscribers.collect();
        Self {
            world,
            random,
            subscribers,
            publisher,
            said: BTreeMap::new(),
            packet_id: 0,
            unacked: 0,
            is_short,
        }
    }

    fn publish(&mut self) {
        if self.unacked > 20 || !self.world.wants_input(self.publisher.wire) {
            return;
        }
        let topic = *self.random.pick(&TOPICS);
        let number = self.said.get(topic).copied().unwrap_or(0) + 1;
        self.said.insert(topic, number);
        self.packet_id = self.packet_id % 1000 + 1;
        self.unacked += 1;
        let qos = 1 + u8::from(self.random.one_in(2));
        let text = format!("publish {topic} q{qos} id={} : {number}", self.packet_id);
        self.publisher.say(&mut self.world, &text);
    }

    fn hear_acks(&mut self) {
        for packet in self.publisher.hear(&mut self.world, usize::MAX) {
            let id = packet.split(' ').nth(1).unwrap_or_default();
            assert!(!packet.contains("rc="), "{packet}");
            if packet.starts_with("pubrec") {
                let release = format!("pubrel {id}");
                self.publisher.say(&mut self.world, &release);
            }
            let is_done = packet.starts_with("puback") || packet.starts_with("pubcomp");
            self.unacked -= usize::from(is_done);
        }
    }

    /// What one of the subscribers does: hears, says, goes or comes.
    fn act(&mut self) {
        let index = self.random.below(self.subscribers.len());
        let (world, random) = (&mut self.world, &mut self.random);
        let subscriber = &mut self.subscribers[index];
        let is_there = subscriber.link.as_ref().is_some_and(|link| world.is_open(link.wire));
        if !is_there {
            subscriber.hear(world, &self.said, self.is_short);
            if random.one_in(3) {
                subscriber.connect(world, random);
            }
            return;
        }
        subscriber.hear(world, &self.said, self.is_short);
        let most = random.below(4);
        subscriber.say(world, most);
        match random.below(24) {
            0 => {
                let text = subscriber.to_say.first().map_or("ping", |text| text).to_owned();
                let link = subscriber.link.as_mut().expect("it is there");
                link.vanish(world, &text, random);
                subscriber.link = None;
            }
            1 => {
                let link = subscriber.link.as_mut().filter(|link| link.is_open);
                if let Some(link) = link {
                    link.say(world, "disconnect");
                    subscriber.link = None;
                }
            }
            // It comes again while its last connection is still there.
            2 => subscriber.connect(world, random),
            _ => {}
        }
    }

    fn step(&mut self) {
        for _ in 0..self.random.below(4) {
            self.publish();
        }
        self.act();
        self.hear_acks();
        // Some of what is on its way arrives.
        let count = self.world.shards.len();
        for _ in 0..self.random.below(6) {
            let (from, to) = (self.random.below(count), self.random.below(count));
            let most = 1 + self.random.below(3);
            if from != to {
                self.world.deliver(from, to, most);
            }
            let shard = self.random.below(count);
            self.world.work(shard);
        }
        self.world.deliver_parties();
        if self.random.one_in(10) {
            self.world.settle();
        }
        if self.random.one_in(20) {
            self.world.advance(100);
            self.world.tick();
        }
    }

    fn finish(&mut self) {
        for round in 0..4000 {
            self.world.settle();
            self.hear_acks();
            let mut is_quiet = round > 20;
            for index in 0..self.subscribers.len() {
                let (world, random) = (&mut self.world, &mut self.random);
                let subscriber = &mut self.subscribers[index];
                (subscriber.pace, subscriber.capacity) = (1 << 20, 1 << 20);
                let is_there =
                    subscriber.link.as_ref().is_some_and(|link| world.is_open(link.wire));
                subscriber.hear(world, &self.said, self.is_short);
                if !is_there {
                    subscriber.connect(world, random);
                    is_quiet = false;
                }
                is_quiet &= subscriber.to_say.is_empty() && subscriber.is_subscribed;
                subscriber.say(world, usize::MAX);
            }
            if round % 10 == 0 {
                self.world.advance(100);
                self.world.tick();
            }
            if is_quiet && self.is_complete() {
                return;
            }
        }
        let state: Vec<String> = self
            .subscribers
            .iter()
            .map(|of| {
                format!(
                    "{} {} {} q{} receive={} there={:?} subscribed={} heard={:?} since={:?} to say {:?}",
                    of.name,
                    of.version,
                    of.filter,
                    of.qos,
                    of.receive,
                    of.link.as_ref().map(|link| (link.wire, self.world.is_open(link.wire), link.is_open)),
                    of.is_subscribed,
                    of.heard,
                    of.since,
                    of.to_say
                )
            })
            .collect();
        assert!(
            self.is_complete(),
            "somebody was not told everything of {:?} ({} unacknowledged):\n{}",
            self.said,
            self.unacked,
            state.join("\n")
        );
    }

    fn is_complete(&self) -> bool {
        self.unacked == 0
            && self.subscribers.iter().all(|subscriber| {
                let reached = |topic: &str| {
                    let since = subscriber.since.get(topic).copied().unwrap_or(0);
                    subscriber.heard.get(topic).copied().unwrap_or(since)
                };
                self.said
                    .iter()
                    .filter(|(topic, _)| subscriber.wants(topic))
                    .all(|(topic, last)| reached(topic) == *last)
            })
    }
}

fn run(seed: u64) {
    let mut simulation = Simulation::new(seed);
    simulation.world.settle();
    for _ in 0..400 {
        simulation.step();
    }
    simulation.finish();
}

#[test]
fn no_seed_loses_or_repeats_what_is_acknowledged() {
    seeds::hold(1..1001, run);
}
