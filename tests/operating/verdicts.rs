//! What `explain` says of events that a token hides, and of those in whose past a subscriber still is; and that it is what happens.

use std::net::SocketAddr;

use fanwire::clock::Clock;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use serde_json::Value;
use serde_json::json;

use crate::admin::SECRET;
use crate::admin::name_of;
use crate::admin::post;
use crate::scene::Scene;
use crate::socket::Client;

/// Whoever is a viewer sees vehicles of one owner only.
fn scene() -> Scene {
    let text = "auth.admin_secret_file = '@/secret'\nauth.key_file = '@/secret'\nauth.user_connections = 1000\n\
                [roles.viewer]\nsubscribe = ['fleet/*']\nfilter = 'owner = \"ada\"'\n";
    Scene::with_file("secret", SECRET, text)
}

fn token() -> String {
    let expires_at_s = Clock::start().now().wall_us / 1_000_000 + 3600;
    let claims = json!({"sub": "ada", "exp": expires_at_s, "role": "viewer"});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&Header { kid: None, ..Header::default() }, &claims, &key);
    format!("Authorization: Bearer {}\r\n", token.unwrap())
}

fn subscribed(address: SocketAddr, more: &Value) -> Client {
    let mut client = Client::open(address, "/v1/ws", &token()).unwrap();
    client.hear();
    let mut message = json!({"type": "subscribe", "id": "s", "topics": ["fleet/*"]});
    for (name, value) in more.as_object().unwrap() {
        message[name] = value.clone();
    }
    client.say(&message);
    assert_eq!(client.hear()["type"], "subscribed");
    client
}

fn explain(address: SocketAddr, event: &Value) -> Value {
    let asked = json!({"connection": name_of(address, "fleet/*"), "event": event});
    let (status, told) = post(address, "explain", &asked);
    assert_eq!(status, 200, "{told}");
    told
}

#[test]
fn what_a_token_hides_is_a_matter_of_permission() {
    let scene = scene();
    let address = scene.address();
    let mut client = subscribed(address, &json!({"filter": "speed > 10"}));
    assert_eq!(client.hear()["type"], "live");
    let event = |owner: &str, speed: u32| json!({"topic": "fleet/a", "payload": {"owner": owner, "speed": speed}});
    let told = explain(address, &event("ben", 50));
    assert_eq!(
        (&told["verdict"], &told["may_hear"]),
        (&json!("permission"), &json!(true)),
        "{told}"
    );
    let forced = &told["subscriptions"][0]["forced"][0];
    assert_eq!((&forced["test"], &forced["passes"]), (&json!("owner = \"ada\""), &json!(false)));
    // Its own filter is looked at only where the token lets it see something.
    assert_eq!(explain(address, &event("ada", 5))["verdict"], "filter");
    let told = explain(address, &event("ada", 50));
    assert_eq!(
        (&told["verdict"], &told["subscriptions"][0]["forced"][0]["passes"]),
        (&json!("sent"), &json!(true))
    );
    assert_eq!(explain(address, &json!({"topic": "ships/a", "payload": {}}))["verdict"], "topic");
    // What was explained is what happens.
    for (owner, speed) in [("ben", 50), ("ada", 5), ("ada", 50)] {
        assert_eq!(post(address, "publish", &event(owner, speed)).0, 200);
    }
    assert_eq!(client.hear()["payload"], json!({"owner": "ada", "speed": 50}));
}

#[test]
fn who_is_still_told_of_the_past_hears_what_is_new_later() {
    let scene = scene();
    let address = scene.address();
    let event = |number: u32| json!({"topic": "fleet/a", "payload": {"owner": "ada", "n": number}});
    assert_eq!(post(address, "publish", &event(1)).0, 200);
    // A playback that stands still.
    let mut client = subscribed(address, &json!({"since": "earliest", "speed": 0}));
    let told = explain(address, &event(2));
    assert_eq!(told["verdict"], "past", "{told}");
    assert_eq!(told["subscriptions"][0]["queue"]["told_past"], true);
    // What the token hides it hides in the past, too.
    let hidden = json!({"topic": "fleet/a", "payload": {"owner": "ben"}});
    assert_eq!(explain(address, &hidden)["verdict"], "permission");
    assert_eq!(post(address, "publish", &event(2)).0, 200);
    client.say(&json!({"type": "update", "id": "s", "speed": null}));
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let message = client.hear();
        if message["type"] == "event" {
            heard.push(message["payload"]["n"].clone());
        }
    }
    assert_eq!(heard, [json!(1), json!(2)]);
    while explain(address, &event(3))["verdict"] != "sent" {}
}
