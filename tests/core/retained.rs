//! What is retained, and what comes live: who subscribes hears a message that was acknowledged before as retained, once, wherever it is on its way; and one that comes later live.

use std::net::IpAddr;
use std::net::Ipv4Addr;

use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::home_of;
use fanwire::shard::Port;

use crate::support::mqtt;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// A client of MQTT, on one of two shards.
struct Client {
    wire: Wire,
    codec: Box<mqtt::Client>,
}

impl Client {
    fn open(world: &mut World, shard: usize, name: &str) -> Self {
        let by = (Port::Own("mqtt"), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let wire = world.try_open_at(shard, 1 << 20, by).expect("there is room");
        let mut client = Self { wire, codec: Box::default() };
        client.say(world, &format!("connect v5 {name} clean"));
        world.settle();
        let heard = client.hear(world);
        assert!(heard[0].starts_with("connack"), "{heard:?}");
        client
    }

    fn say(&mut self, world: &mut World, text: &str) {
        let bytes = self.codec.written(text);
        world.say(self.wire, &bytes);
    }

    fn hear(&mut self, world: &mut World) -> Vec<String> {
        let heard = world.read(self.wire, usize::MAX);
        self.codec.push(&heard);
        std::iter::from_fn(|| self.codec.next()).collect()
    }
}

/// Some topic that is at home on the first of two shards.
fn topic() -> String {
    let names = (0..).map(|number| format!("t{number}"));
    let is_there = |name: &String| home_of(&TopicName::new(name).unwrap(), 2) == ShardId(0);
    names.into_iter().find(is_there).unwrap()
}

/// What a subscriber on the second shard hears of a message that was acknowledged on the first one, and has not arrived here when it subscribes; and of one that comes right behind.
fn heard(filter: &str, later: &[&str]) -> Vec<String> {
    let mut world = World::new(2, &roomy());
    let topic = topic();
    let mut publisher = Client::open(&mut world, 0, "p");
    let mut subscriber = Client::open(&mut world, 1, "s");
    publisher.say(&mut world, &format!("publish {topic} q1 id=1 retain : one"));
    world.work(0);
    assert_eq!(publisher.hear(&mut world), ["puback 1"]);
    let filter = if filter.is_empty() { &topic } else { filter };
    subscriber.say(&mut world, &format!("subscribe 1 {filter}=1"));
    world.work(1);
    world.advance(1);
    for (id, said) in (2..).zip(later) {
        publisher.say(&mut world, &format!("publish {topic} q1 id={id}{said}"));
    }
    world.settle();
    let heard = subscriber.hear(&mut world);
    heard.into_iter().map(|packet| packet.replace(&topic, "T")).collect()
}

#[test]
fn what_was_acknowledged_before_is_retained_to_whoever_comes_then() {
    for filter in ["", "#", "+"] {
        let heard = heard(filter, &[]);
        assert_eq!(heard, ["suback 1 01", "publish T q1 id=1 retain : one"], "{filter}");
    }
}

#[test]
fn what_comes_later_is_live_and_comes_once() {
    for filter in ["", "#"] {
        let said = [" : two", " retain : three"];
        let mut heard = heard(filter, &said);
        heard.retain(|packet| packet.starts_with("publish"));
        let live: Vec<&String> = heard.iter().filter(|of| !of.contains(" retain")).collect();
        assert!(
            live.len() == 2 && live[0].ends_with(": two") && live[1].ends_with(": three"),
            "{heard:?}"
        );
        assert!(!live.iter().any(|packet| packet.ends_with(": one")), "{heard:?}");
    }
}

/// A WebSocket that is let in at the upgrade, and pings, has still to say CONNECT in the time that a bare connection has.
#[test]
fn a_websocket_that_never_says_connect_is_closed_in_time() {
    for pings in [false, true] {
        let mut world = World::new(1, &roomy());
        let by = (Port::Own("mqtt"), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let wire = world.try_open_at(0, 1 << 20, by).unwrap();
        world.say(wire, b"GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n");
        world.settle();
        assert!(world.read(wire, usize::MAX).starts_with(b"HTTP/1.1 101"), "it is let in");
        let mut open_s = 0;
        while world.is_open(wire) {
            assert!(open_s < 20, "it stays open");
            open_s += 1;
            for _ in 0..10 {
                world.advance(100);
                world.tick();
                world.settle();
            }
            if pings && open_s < 10 {
                world.say(wire, &[0x89, 0x80, 0, 0, 0, 0]);
            }
            let heard = world.read(wire, usize::MAX);
            if heard.windows(2).any(|bytes| bytes[0] == 0x88) {
                break;
            }
        }
        assert!((9..=12).contains(&open_s), "{open_s}");
    }
}
