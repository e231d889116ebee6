//! How many `send` calls it takes to say something: on loopback and elsewhere they are most of what a server costs.

use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

struct Scene {
    world: World,
    sends: u64,
}

impl Scene {
    fn new() -> Self {
        Self { world: World::new(1, &roomy()), sends: 0 }
    }

    fn open(&mut self, target: &str) -> Wire {
        let wire = self.world.open(0, 1 << 16);
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.world.say(wire, head.as_bytes());
        self.world.settle();
        wire
    }

    fn say(&mut self, wire: Wire, text: &str) {
        self.world.say(wire, &masked(1, text.as_bytes()));
        self.world.settle();
    }

    /// What a client has heard, and in how many sends.
    fn heard(&mut self, wire: Wire) -> (String, u64) {
        let sends = self.world.shards[0].stats().sends;
        let sent = sends - std::mem::replace(&mut self.sends, sends);
        (String::from_utf8_lossy(&self.world.read(wire, usize::MAX)).into_owned(), sent)
    }
}

#[test]
fn joining_takes_one_send_for_each_exchange() {
    let mut scene = Scene::new();
    let client = scene.open("/v1/ws");
    let (heard, sends) = scene.heard(client);
    assert!(heard.contains("welcome"), "{heard}");
    assert_eq!(sends, 1);
    scene.say(client, r#"{"type":"subscribe","id":1,"topics":["a"]}"#);
    let (heard, sends) = scene.heard(client);
    assert!(heard.contains("subscribed") && heard.contains("live"), "{heard}");
    assert_eq!(sends, 1);
}

#[test]
fn a_subscription_in_the_url_is_begun_with_the_handshake() {
    for target in ["/v1/ws?topic=a", "/v1/sse?topic=a", "/ws/subscribe", "/hb/ws?topic=a", "/pv/ws"]
    {
        let mut scene = Scene::new();
        let client = scene.open(target);
        let (heard, sends) = scene.heard(client);
        assert!(heard.starts_with("HTTP/1.1 "), "{target}: {heard}");
        assert_eq!(sends, 1, "{target}: {heard}");
    }
}

#[test]
fn the_past_comes_with_the_answer() {
    let mut scene = Scene::new();
    let client = scene.open("/v1/ws");
    scene.say(client, r#"{"type":"publish","topic":"a","payload":{"n":1}}"#);
    scene.heard(client);
    scene.say(client, r#"{"type":"subscribe","id":1,"topics":["a"],"since":"earliest"}"#);
    let (heard, sends) = scene.heard(client);
    assert!(heard.contains("subscribed") && heard.contains(r#""n":1"#), "{heard}");
    assert_eq!(sends, 1, "{heard}");
}

#[test]
fn who_publishes_what_it_hears_is_told_both_at_once() {
    let mut scene = Scene::new();
    let client = scene.open("/v1/ws");
    scene.say(client, r#"{"type":"subscribe","id":1,"topics":["a"]}"#);
    scene.heard(client);
    scene.say(client, r#"{"type":"publish","id":2,"topic":"a","payload":{"n":1}}"#);
    let (heard, sends) = scene.heard(client);
    assert!(heard.contains("published") && heard.contains(r#""n":1"#), "{heard}");
    assert_eq!(sends, 1, "{heard}");
}

/// What an operator reads as deliveries are events: as many whether each has a message of its own or many share one, for who joined between two of them, and for who is told
/// something of its own while a message is being filled.
#[test]
fn deliveries_are_events_however_many_share_a_message() {
    let batched = r#"{"type":"subscribe","id":"s","topics":["a"],"batch":{"max_events":8,"max_delay_ms":1000}}"#;
    let single = r#"{"type":"subscribe","id":"s","topics":["a"]}"#;
    let mut scene = Scene::new();
    let publisher = scene.open("/v1/ws");
    let subscriber = |scene: &mut Scene, wish: &str| {
        let wire = scene.open("/v1/ws");
        scene.say(wire, wish);
        wire
    };
    let publish = |scene: &mut Scene, count: u64| {
        let before = scene.world.shards[0].stats().deliveries;
        for n in 0..count {
            scene.say(
                publisher,
                &format!(r#"{{"type":"publish","topic":"a","payload":{{"n":{n}}}}}"#),
            );
        }
        scene.world.advance(2_000);
        scene.world.settle();
        scene.world.shards[0].stats().deliveries - before
    };
    let early = subscriber(&mut scene, batched);
    assert_eq!(publish(&mut scene, 20), 20, "two full messages, and one that was due");
    subscriber(&mut scene, single);
    assert_eq!(publish(&mut scene, 5), 5 + 5, "one message, and five");
    scene.say(publisher, r#"{"type":"publish","topic":"a","payload":{"n":"before"}}"#);
    let before = scene.world.shards[0].stats().deliveries;
    subscriber(&mut scene, batched);
    scene.say(early, r#"{"type":"ping","id":1}"#);
    let told = scene.world.shards[0].stats().deliveries - before;
    assert_eq!(told, 1, "what was being filled went out as somebody joined");
    assert_eq!(publish(&mut scene, 3), 3 * 3);
    let heard = String::from_utf8_lossy(&scene.world.read(early, usize::MAX)).into_owned();
    assert_eq!(heard.matches(r#""type":"batch""#).count(), 3 + 1 + 1 + 1, "{heard}");
}
