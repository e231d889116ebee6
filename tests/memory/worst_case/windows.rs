//! What clients of MQTT were sent and have not acknowledged: it shares the budget of outboxes, and who holds the most of it is closed.

use fanwire::limits::WINDOW_BYTES_MAX;
use fanwire::shard::Port;
use fanwire::shard::Settings;
use serde_json::json;
use std::net::IpAddr;
use std::net::Ipv4Addr;

use super::held_beside_sockets;
use crate::heap;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::mqtt;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

struct Subscriber {
    wire: Wire,
    client: mqtt::Client,
    heard: usize,
    is_refused: bool,
}

impl Subscriber {
    fn new(world: &mut World, number: usize, topic: &str) -> Self {
        let by = (Port::Own("mqtt"), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let wire = world.try_open_at(0, 64 << 20, by).expect("there is room");
        let mut client = mqtt::Client::default();
        for packet in [format!("connect v5 c{number} clean"), format!("subscribe 1 {topic}=1")] {
            let bytes = client.written(&packet);
            world.say(wire, &bytes);
            world.settle();
        }
        Self { wire, client, heard: 0, is_refused: false }
    }

    /// The identifiers of packets that have come.
    fn take_packets(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        while let Some(packet) = self.client.next() {
            self.is_refused |= packet.starts_with("disconnect rc=97");
            let Some(rest) = packet.strip_prefix("publish ") else { continue };
            self.heard += 1;
            let id = rest.split_whitespace().find_map(|word| word.strip_prefix("id="));
            ids.extend(id.map(str::to_owned));
        }
        ids
    }

    /// Reads everything; what it is sent is acknowledged, or not.
    fn read(&mut self, world: &mut World, acknowledges: bool) {
        loop {
            let bytes = world.read(self.wire, usize::MAX);
            if bytes.is_empty() {
                return;
            }
            let ids = heap::uncounted(|| {
                self.client.push(&bytes);
                self.take_packets()
            });
            for id in ids.iter().filter(|_| acknowledges) {
                let bytes = self.client.written(&format!("puback {id}"));
                world.say(self.wire, &bytes);
            }
            heap::uncounted(|| drop(ids));
            world.settle();
        }
    }
}

fn publish(world: &mut World, publisher: &mut Client, topic: &str, bytes: usize) {
    let payload = json!({"p": "x".repeat(bytes)});
    let event = json!({"type": "publish", "topic": topic, "op": "event", "payload": payload});
    publisher.say(world, &event);
    world.settle();
    publisher.read(world, usize::MAX);
    publisher.told = Vec::new();
}

fn settings(outboxes_bytes_max: usize) -> Settings {
    let mut settings = Settings { outboxes_bytes_max, ..roomy() };
    // Nothing else holds on to the events.
    settings.retention.topic_events_max = 0;
    settings.retention.topic_keys_max = 0;
    settings
}

#[test]
fn what_is_not_acknowledged_takes_what_is_counted_and_who_holds_the_most_goes() {
    const BUDGET: usize = 2 << 20;
    const CLIENTS: usize = 40;
    let mut world = World::new(1, &settings(BUDGET));
    let mut publisher = Client::connect(&mut world, 0, 1 << 20, false);
    let mut greedy: Vec<Subscriber> = (0..CLIENTS)
        .map(|number| Subscriber::new(&mut world, number, &format!("greedy/{number}")))
        .collect();
    let mut honest = Subscriber::new(&mut world, CLIENTS, "honest");
    // Somebody of another dialect that is behind for a moment is not to pay for them.
    let mut slow = Client::connect(&mut world, 0, 16 << 10, false);
    slow.say(&mut world, &json!({"type": "subscribe", "id": 1, "topics": ["slow"]}));
    world.settle();
    slow.read(&mut world, usize::MAX);
    let (before, mut most) = (held_beside_sockets(&world), 0);
    for round in 0..300 {
        for number in 0..CLIENTS {
            publish(&mut world, &mut publisher, &format!("greedy/{number}"), 2_000);
        }
        publish(&mut world, &mut publisher, "honest", 100);
        greedy.iter_mut().for_each(|one| one.read(&mut world, false));
        honest.read(&mut world, true);
        if round % 10 == 0 {
            for _ in 0..20 {
                publish(&mut world, &mut publisher, "slow", 1_000);
            }
            while heap::uncounted(|| slow.read(&mut world, usize::MAX)) > 0 {
                world.settle();
            }
        }
        most = most.max(held_beside_sockets(&world) - before);
    }
    let held = usize::try_from(most).unwrap();
    assert!(held * 4 <= BUDGET * 5, "{held} bytes held, {BUDGET} counted");
    assert!(held * 2 > BUDGET, "{held} bytes, so little is no bound");
    assert!(greedy.iter().any(|one| one.is_refused), "somebody gives way");
    assert_eq!((honest.heard, honest.is_refused), (300, false), "who acknowledges does not");
    let told = slow.told.iter().filter(|told| matches!(told, Told::Event(_))).count();
    assert_eq!(told, 600, "{:?}", slow.told.last());
}

/// However many messages a client takes at once: what lies with it has a bound in bytes, and more waits for its acknowledgements.
#[test]
fn one_client_is_not_sent_more_than_it_may_hold() {
    let mut world = World::new(1, &settings(1 << 30));
    let mut publisher = Client::connect(&mut world, 0, 1 << 20, false);
    let mut one = Subscriber::new(&mut world, 0, "t");
    let bytes = 100_000;
    let count = WINDOW_BYTES_MAX / bytes + 5;
    for _ in 0..count {
        publish(&mut world, &mut publisher, "t", bytes);
    }
    one.read(&mut world, false);
    assert!((10..=WINDOW_BYTES_MAX / bytes + 1).contains(&one.heard), "{} of {count}", one.heard);
    for id in 1..=one.heard {
        let bytes = one.client.written(&format!("puback {id}"));
        world.say(one.wire, &bytes);
        world.settle();
    }
    one.read(&mut world, true);
    assert_eq!(one.heard, count, "the rest comes once there is room");
}
