//! The same for MQTT, where what stands before a payload is each client's own: the identifiers of its subscription and of its packet, and what the
//! publisher has said of the message.

use std::net::IpAddr;
use std::net::Ipv4Addr;

use fanwire::limits::MQTT_PROPERTIES_BYTES_MAX;
use fanwire::shard::ConnId;
use fanwire::shard::Port;

use super::GROWTH_BYTES_MAX;
use crate::heap::grown;
use crate::heap::uncounted;
use crate::support::mqtt::Client;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

const SUBSCRIBERS: usize = 100;

struct Crowd {
    world: World,
    publisher: (Wire, Client),
    subscribers: Vec<(Wire, Client)>,
}

impl Crowd {
    /// Each subscribes with a number of its own, and is sent packets with identifiers of their own.
    fn new(qos: u8, capacity: usize) -> Self {
        let mut world = World::new(1, &roomy());
        let publisher = Self::enter(&mut world, "publisher", 1 << 20);
        let mut subscribers = Vec::new();
        for number in 1..=SUBSCRIBERS {
            let (wire, mut client) = Self::enter(&mut world, &format!("c{number}"), 1 << 20);
            let subscribe = client.written(&format!("subscribe 1 sub={number} t={qos}"));
            world.say(wire, &subscribe);
            world.settle();
            world.read(wire, usize::MAX);
            world.sockets.get_mut(&wire).unwrap().capacity = capacity;
            subscribers.push((wire, client));
        }
        Self { world, publisher, subscribers }
    }

    fn enter(world: &mut World, name: &str, capacity: usize) -> (Wire, Client) {
        let by = (Port::Own("mqtt"), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let wire = world.try_open_at(0, capacity, by).expect("there is room");
        let mut client = Client::default();
        let connect = client.written(&format!("connect v5 {name} clean"));
        world.say(wire, &connect);
        world.settle();
        world.read(wire, usize::MAX);
        (wire, client)
    }

    fn publish(&mut self, properties: &str, payload: &str) {
        let (wire, client) = &mut self.publisher;
        let packet =
            uncounted(|| client.written(&format!("publish t q1 id=1 {properties} : {payload}")));
        for piece in packet.chunks(64 << 10) {
            self.world.say(*wire, piece);
        }
        self.world.settle();
        uncounted(|| {
            client.push(&self.world.read(*wire, usize::MAX));
            assert_eq!(client.next().as_deref(), Some("puback 1"), "it is taken");
            drop(packet);
        });
    }

    /// Everybody reads on, and finds what was said and what was said of it.
    fn check(&mut self, properties: &str, payload: &str) {
        for (number, (wire, client)) in (1..).zip(&mut self.subscribers) {
            self.world.sockets.get_mut(wire).unwrap().capacity = 300_000;
            self.world.shards[0].writable(ConnId(wire.id), self.world.now);
            self.world.settle();
            loop {
                let bytes = self.world.read(*wire, usize::MAX);
                self.world.settle();
                if bytes.is_empty() {
                    break;
                }
                client.push(&bytes);
            }
            let told = client.next().unwrap_or_else(|| panic!("{number} was told nothing"));
            let (head, said) = told.split_once(" : ").expect("a payload");
            assert!(said == payload, "{number}: {} bytes of {}", said.len(), payload.len());
            assert!(head.contains(&format!("sub={number}")), "{number}: {head}");
            assert!(head.contains(properties), "{number}: {} bytes of properties", head.len());
        }
    }
}

fn check(qos: u8, (properties, payload): (&str, &str)) {
    for capacity in [0, 3_000] {
        let mut crowd = uncounted(|| Crowd::new(qos, capacity));
        let (most, _) = grown(|| crowd.publish(properties, payload));
        println!("QoS {qos}, sockets that take {capacity} bytes: {} KiB", most >> 10);
        assert!(
            most <= GROWTH_BYTES_MAX,
            "QoS {qos}, sockets that take {capacity}: {} MiB",
            most >> 20
        );
        uncounted(|| {
            crowd.check(properties, payload);
            drop(crowd);
        });
    }
}

#[test]
fn packets_of_a_megabyte() {
    let payload = format!(r#"{{"p":"{}"}}"#, "p".repeat(1_000_000));
    (0..=2).for_each(|qos| check(qos, ("", &payload)));
}

#[test]
fn properties_as_large_as_they_may_be() {
    let property = format!("user:k={}", "v".repeat(MQTT_PROPERTIES_BYTES_MAX - 6));
    (0..=2).for_each(|qos| check(qos, (&property, "small")));
}

#[test]
fn properties_that_are_larger_are_refused() {
    let mut crowd = Crowd::new(1, 1 << 20);
    let (wire, client) = &mut crowd.publisher;
    let property = format!("user:k={}", "v".repeat(MQTT_PROPERTIES_BYTES_MAX));
    let packet = client.written(&format!("publish t q1 id=1 {property} : x"));
    crowd.world.say(*wire, &packet);
    crowd.world.settle();
    client.push(&crowd.world.read(*wire, usize::MAX));
    let told = client.next().expect("it is answered");
    assert!(told.starts_with("puback 1 rc=97"), "{told}");
}
