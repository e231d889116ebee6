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
