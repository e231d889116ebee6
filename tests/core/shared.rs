//! Shared subscriptions under seeds: members on any shard, slow, vanishing and coming back; each message reaches one of them at least once, one of QoS 2 no more than that.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;

use fanwire::limits::SHARED_BACKLOG_BYTES_MAX;
use fanwire::shard::Port;

use crate::support::mqtt;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

struct Client {
    wire: Wire,
    codec: Box<mqtt::Client>,
    to_say: Vec<String>,
}

impl Client {
    fn open(world: &mut World, (shard, capacity): (usize, usize), connect: &str) -> Self {
        let by = (Port::Own("mqtt"), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let wire = world.try_open_at(shard, capacity, by).expect("there is room");
        let mut client = Self { wire, codec: Box::default(), to_say: Vec::new() };
        client.say(world, connect);
        client
    }

    fn say(&mut self, world: &mut World, text: &str) {
        let bytes = self.codec.written(text);
        world.say(self.wire, &bytes);
    }

    fn hear(&mut self, world: &mut World, bytes: usize) -> Vec<String> {
        let heard = world.read(self.wire, bytes);
        self.codec.push(&heard);
        std::iter::from_fn(|| self.codec.next()).collect()
    }
}

/// Payload and quality of service of a message that was heard, and what it is answered with.
fn message(packet: &str) -> Option<(u64, u8, Option<String>)> {
    let (head, number) = packet.strip_prefix("publish ")?.split_once(" : ")?;
    let words: Vec<&str> = head.split(' ').collect();
    let id = words.iter().find_map(|word| word.strip_prefix("id="));
    let qos = if words.contains(&"q1") { 1 } else { u8::from(words.contains(&"q2")) * 2 };
    let answer = id.map(|id| format!("{} {id}", if qos == 1 { "puback" } else { "pubrec" }));
    Some((number.parse().ok()?, qos, answer))
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let shard_count = 1 + random.below(4);
    let mut world = World::new(u16::try_from(shard_count).unwrap(), &roomy());
    let mut publisher = Client::open(&mut world, (0, 1 << 20), "connect v5 p clean");
    world.settle();
    publisher.hear(&mut world, usize::MAX);
    let mut members: Vec<Client> = Vec::new();
    // How often each message was heard; of how many its member has vanished meanwhile.
    let mut heard: BTreeMap<u64, u32> = BTreeMap::new();
    let mut serial = 0;
    let mut join = |world: &mut World, random: &mut Random, members: &mut Vec<Client>| {
        serial += 1;
        let receive = if random.one_in(2) {
            format!(" receive={}", 1 + random.below(3))
        } else {
            String::new()
        };
        let version = if receive.is_empty() && random.one_in(2) { "v4" } else { "v5" };
        let capacity = if random.one_in(3) { 60 + random.below(200) } else { 1 << 20 };
        let at = (random.below(shard_count), capacity);
        let mut client =
            Client::open(world, at, &format!("connect {version} m{serial} clean{receive}"));
        client.say(world, "subscribe 1 $share/g/t/#=1");
        members.push(client);
    };
    join(&mut world, &mut random, &mut members);
    world.settle();
    let (mut said, mut id) = (0, 0_u16);
    for _ in 0..300 {
        if random.one_in(3) && said < 200 {
            said += 1;
            id = id % 1000 + 1;
            publisher.say(&mut world, &format!("publish t/{} q1 id={id} : {said}", said % 3));
        }
        match random.below(40) {
            0 if members.len() < 5 => join(&mut world, &mut random, &mut members),
            // The last one stays, so that somebody is there for what comes.
            1 if members.len() > 1 => {
                let gone = members.remove(1 + random.below(members.len() - 1));
                world.vanish(gone.wire);
            }
            _ => {}
        }
        let index = random.below(members.len());
        take(&mut world, &mut members[index], &mut heard, 1 + random.below(200));
        publisher.hear(&mut world, usize::MAX);
        for _ in 0..random.below(8) {
            let (from, to) = (random.below(shard_count), random.below(shard_count));
            if from != to {
                world.deliver(from, to, 1 + random.below(3));
            }
            world.work(random.below(shard_count));
        }
    }
    for round in 0..600 {
        world.settle();
        for member in &mut members {
            take(&mut world, member, &mut heard, 1 << 20);
        }
        if round % 10 == 0 {
            world.advance(100);
            world.tick();
        }
    }
    let missing: Vec<u64> = (1..=said).filter(|number| !heard.contains_key(number)).collect();
    assert!(missing.is_empty(), "{missing:?} of {said} were told to nobody");
}

/// A member hears some, and acknowledges it.
fn take(world: &mut World, member: &mut Client, heard: &mut BTreeMap<u64, u32>, bytes: usize) {
    for packet in member.hear(world, bytes) {
        if let Some((number, _, answer)) = message(&packet) {
            *heard.entry(number).or_default() += 1;
            member.to_say.extend(answer);
        }
    }
    for text in std::mem::take(&mut member.to_say) {
        if world.is_open(member.wire) {
            member.say(world, &text);
        }
    }
}

#[test]
fn no_seed_has_a_message_that_nobody_is_told() {
    seeds::hold(1..501, run);
}

/// A world with so many members, on two shards, and a publisher.
fn group(count: usize, terms: &str) -> (World, Client, Vec<Client>) {
    let mut world = World::new(2, &roomy());
    let mut publisher = Client::open(&mut world, (0, 1 << 20), "connect v5 p clean");
    let mut members: Vec<Client> = (0..count)
        .map(|number| {
            let connect = format!("connect v5 m{number} clean{terms}");
            let mut client = Client::open(&mut world, (number % 2, 1 << 20), &connect);
            client.say(&mut world, "subscribe 1 $share/g/t=1");
            client
        })
        .collect();
    world.settle();
    publisher.hear(&mut world, usize::MAX);
    for member in &mut members {
        assert_eq!(member.hear(&mut world, usize::MAX).last().unwrap(), "suback 1 01");
    }
    (world, publisher, members)
}

fn publish(world: &mut World, publisher: &mut Client, numbers: std::ops::Range<u64>) {
    for number in numbers {
        publisher.say(world, &format!("publish t q1 id={number} : {number}"));
        world.settle();
    }
    publisher.hear(world, usize::MAX);
}

fn numbers(world: &mut World, member: &mut Client) -> Vec<u64> {
    let heard = member.hear(world, usize::MAX);
    heard.iter().filter_map(|packet| message(packet)).map(|(number, ..)| number).collect()
}

#[test]
fn each_has_its_turn_and_who_can_take_no_more_is_passed_over() {
    let (mut world, mut publisher, mut members) = group(3, " receive=2");
    publish(&mut world, &mut publisher, 1..7);
    for member in &mut members {
        let heard = numbers(&mut world, member);
        assert_eq!(heard.len(), 2, "{heard:?}");
    }
    // All have as much as they take: what comes waits for whoever is first.
    publish(&mut world, &mut publisher, 7..9);
    assert!(members.iter_mut().all(|member| numbers(&mut world, member).is_empty()));
    members[1].say(&mut world, "puback 1");
    members[1].say(&mut world, "puback 2");
    world.settle();
    assert_eq!(numbers(&mut world, &mut members[1]), [7, 8]);
}

#[test]
fn what_was_in_flight_to_one_who_vanishes_goes_to_another() {
    let (mut world, mut publisher, mut members) = group(2, "");
    publish(&mut world, &mut publisher, 1..5);
    let (first, second) =
        (numbers(&mut world, &mut members[0]), numbers(&mut world, &mut members[1]));
    assert_eq!((first.len(), second.len()), (2, 2));
    world.vanish(members[0].wire);
    world.settle();
    assert_eq!(numbers(&mut world, &mut members[1]), first);
    world.vanish(members[1].wire);
    world.settle();
    let mut late = Client::open(&mut world, (0, 1 << 20), "connect v5 late clean");
    late.say(&mut world, "subscribe 1 $share/g/t=1");
    world.settle();
    publish(&mut world, &mut publisher, 5..6);
    assert_eq!(numbers(&mut world, &mut late), [5], "nobody is there, so nothing waits");
}

#[test]
fn what_waits_for_members_that_take_nothing_is_bounded() {
    let (mut world, mut publisher, _members) = group(1, " receive=1");
    let pad = "x".repeat(10_000);
    for number in 0..300 {
        publisher.say(
            &mut world,
            &format!("publish t q1 id={} : {{\"n\":{number},\"pad\":\"{pad}\"}}", 1 + number),
        );
        world.settle();
        publisher.hear(&mut world, usize::MAX);
    }
    let dropped: u64 = world.shards.iter().map(|shard| shard.stats().left.unshared).sum();
    let most = SHARED_BACKLOG_BYTES_MAX as u64 / 10_000;
    assert!((300 - 2 - most..300).contains(&dropped), "{dropped}");
}
