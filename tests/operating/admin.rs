//! `/v1/admin/…`: who is connected, what is owed, why an event is or is not delivered; and that nobody without the secret learns or does anything.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;

use fanwire::clock::Clock;
use fanwire::shard::routes_page;
use serde_json::Value;
use serde_json::json;

use crate::scene::Scene;
use crate::socket::Client;
use crate::socket::Heard;
use crate::socket::ask;

pub(crate) const SECRET: &str = "the operator's own secret, thirty-two bytes or more";

/// A server whose admin secret is set.
fn scene(text: &str) -> Scene {
    Scene::with_file("secret", SECRET, &format!("auth.admin_secret_file = '@/secret'\n{text}"))
}

fn admin(address: SocketAddr, request: &str, body: &str) -> (u16, Value) {
    let fields = format!("Authorization: Bearer {SECRET}\r\nContent-Type: application/json\r\n");
    let answer = ask(address, request, &fields, body);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

fn get(address: SocketAddr, path: &str) -> Value {
    let (status, body) = admin(address, &format!("GET /v1/admin/{path}"), "");
    assert_eq!(status, 200, "{body}");
    body
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    admin(address, &format!("POST /v1/admin/{path}"), &body.to_string())
}

/// All rows of a list, by pages of so many.
fn pages(address: SocketAddr, name: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut after) = (Vec::new(), String::new());
    loop {
        let page = get(address, &format!("{name}?limit={limit}{after}"));
        let list = page[name].as_array().unwrap();
        assert!(list.len() <= limit);
        rows.extend(list.iter().cloned());
        match page["after"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return rows,
        }
    }
}

fn open(address: SocketAddr, topics: &str) -> Client {
    let mut client = Client::open(address, "/v1/ws", "").unwrap();
    client.hear();
    client.subscribe(topics);
    client
}

/// The name of the one connection that subscribes to this.
pub(crate) fn name_of(address: SocketAddr, topic: &str) -> String {
    let rows = pages(address, "connections", 500);
    let mut found = rows.iter().filter(|row| row["topics"] == json!([topic]));
    let name = found.next().unwrap_or_else(|| panic!("{rows:?}"))["connection"].as_str().unwrap();
    assert!(found.next().is_none());
    name.to_owned()
}

#[test]
fn every_connection_stands_on_one_page_and_every_topic_too() {
    let scene = scene("");
    let address = scene.address();
    let names: Vec<String> = (0..23).map(|number| format!("topic/{number:02}")).collect();
    let clients: Vec<Client> = names.iter().map(|name| open(address, name)).collect();
    for name in &names {
        let body = json!({"topic": name, "payload": {"n": 1}});
        let (status, answer) = post(address, "publish", &body);
        assert_eq!((status, &answer["offset"]), (200, &json!(1)), "{answer}");
    }
    for limit in [1, 7, 500] {
        let rows = pages(address, "connections", limit);
        let heard = rows.iter().filter(|row| row["dialect"] == "native");
        let topics: BTreeSet<&str> =
            heard.clone().map(|row| row["topics"][0].as_str().unwrap()).collect();
        assert_eq!(heard.count(), names.len());
        assert_eq!(topics, names.iter().map(String::as_str).collect());
        let all = pages(address, "topics", limit);
        let all: Vec<&str> = all.iter().map(|row| row["topic"].as_str().unwrap()).collect();
        assert_eq!(all, names);
    }
    let row = &pages(address, "connections", 500)
        .into_iter()
        .find(|row| row["topics"] == json!(["topic/07"]))
        .unwrap();
    assert_eq!(row["peer"], "127.0.0.1");
    assert_eq!((&row["kind"], &row["subscriptions"]), (&json!("websocket"), &json!(1)));
    drop(clients);
}

#[test]
fn a_connection_is_closed_and_told_why() {
    let scene = scene("");
    let address = scene.address();
    let (mut one, mut other) = (open(address, "one"), open(address, "other"));
    let body = json!({"connection": name_of(address, "one"), "reason": "go elsewhere"});
    assert_eq!(post(address, "disconnect", &body), (200, json!({"disconnected": true})));
    assert!(matches!(one.next(), Heard::Close(1008, reason) if reason == "go elsewhere"));
    let (status, _) = post(address, "publish", &json!({"topic": "other", "payload": {}}));
    assert_eq!(status, 200);
    assert_eq!(other.hear()["topic"], "other", "who was not meant stays");
    drop(one);
    let clock = Clock::start();
    while post(address, "disconnect", &body).0 != 404 {
        assert!(clock.now().mono_ms < 60_000, "it never goes");
    }
}

#[test]
fn why_an_event_is_or_is_not_delivered_is_told_term_by_term() {
    let scene = scene("");
    let address = scene.address();
    let mut client = Client::open(address, "/v1/ws", "").unwrap();
    client.hear();
    client.say(&json!({"type": "subscribe", "id": "low", "topics": ["fleet/*"],
        "filter": "altitude < 1000 and callsign = \"X\""}));
    client.hear();
    client.hear();
    let name = name_of(address, "fleet/*");
    let explain = |event: Value| {
        let (status, told) = post(address, "explain", &json!({"connection": name, "event": event}));
        assert_eq!(status, 200, "{told}");
        told
    };
    let told = explain(json!({"topic": "ships/a", "payload": {}}));
    assert_eq!(
        (&told["verdict"], &told["subscriptions"][0]["matching"]),
        (&json!("topic"), &Value::Null)
    );
    let told = explain(json!({"topic": "fleet/a", "payload": {"altitude": 2000, "callsign": "X"}}));
    assert_eq!(told["verdict"], "filter");
    let sub = &told["subscriptions"][0];
    assert_eq!((&sub["id"], &sub["matching"]), (&json!("\"low\""), &json!("fleet/*")));
    let terms = sub["filter"]["of"].as_array().unwrap();
    let told: Vec<(&str, bool, &str)> = terms
        .iter()
        .map(|term| {
            let found = term["found"][0].as_str().unwrap();
            (term["test"].as_str().unwrap(), term["passes"].as_bool().unwrap(), found)
        })
        .collect();
    assert_eq!(told, [("altitude < 1000", false, "2000"), ("callsign = \"X\"", true, "\"X\"")]);
    let told = explain(json!({"topic": "fleet/a", "payload": {"altitude": 1, "callsign": "X"}}));
    assert_eq!((&told["verdict"], &told["may_hear"]), (&json!("sent"), &json!(true)));
    // One that happened, whose home may be another core.
    for topic in ["fleet/a", "fleet/b", "fleet/c", "fleet/d"] {
        let event = json!({"topic": topic, "payload": {"altitude": 1, "callsign": "Y"}});
        let (_, placed) = post(address, "publish", &event);
        let asked = json!({"connection": name, "topic": topic, "offset": placed["offset"]});
        let (status, told) = post(address, "explain", &asked);
        assert_eq!((status, &told["verdict"]), (200, &json!("filter")), "{told}");
        assert_eq!(told["event"]["offset"], placed["offset"]);
        let asked = json!({"connection": name, "topic": topic, "offset": 99});
        assert_eq!(post(address, "explain", &asked).0, 404);
    }
    // What was explained is what happens.
    post(
        address,
        "publish",
        &json!({"topic": "fleet/a", "payload": {"altitude": 1, "callsign": "X", "n": 7}}),
    );
    assert_eq!(client.hear()["payload"]["n"], 7);
}

#[test]
fn a_rate_stands_in_the_way_and_is_named() {
    let scene = scene("[roles.viewer]\nsubscribe = ['fleet/*']\n");
    let address = scene.address();
    let mut client = Client::open(address, "/v1/ws", "").unwrap();
    client.hear();
    client.say(&json!({"type": "subscribe", "id": 1, "topics": ["fleet/*"], "max_rate": {"per": "key", "hz": 0.01}}));
    client.hear();
    client.hear();
    let name = name_of(address, "fleet/*");
    let event = json!({"topic": "fleet/a", "key": "k", "payload": {}});
    let explain = || post(address, "explain", &json!({"connection": name, "event": event})).1;
    assert_eq!(explain()["verdict"], "sent");
    post(address, "publish", &event);
    assert_eq!(client.hear()["topic"], "fleet/a");
    let told = explain();
    assert_eq!(told["verdict"], "rate", "{told}");
    assert_eq!(told["subscriptions"][0]["rate"]["every_ms"], 100_000);
    let other = json!({"topic": "fleet/a", "key": "other", "payload": {}});
    let (_, told) = post(address, "explain", &json!({"connection": name, "event": other}));
    assert_eq!(told["verdict"], "sent", "the rate is of each key: {told}");
}

#[test]
fn who_reads_nothing_is_the_slowest_and_its_events_wait_in_its_queue() {
    let scene = scene("send_buffer_bytes = 4096\n");
    let address = scene.address();
    let mut behind = open(address, "much");
    let mut quick = open(address, "much");
    let payload = "x".repeat(20_000);
    let clock = Clock::start();
    let mut count = 0;
    let slowest = loop {
        let body = json!({"topic": "much", "payload": {"text": payload}});
        let (status, placed) = post(address, "publish", &body);
        assert_eq!(status, 200, "{placed}");
        count += 1;
        assert_eq!(quick.hear()["offset"], count);
        let rows = get(address, "slowest?limit=1")["connections"].clone();
        if rows[0]["queue_bytes"].as_u64() > Some(0) && rows[0]["blocked"] == true {
            break rows[0].clone();
        }
        assert!(clock.now().mono_ms < 60_000, "its socket is never full");
    };
    let asked = json!({"connection": slowest["connection"], "topic": "much", "offset": count});
    let (_, told) = post(address, "explain", &asked);
    assert_eq!(told["verdict"], "queue", "{told}");
    assert_eq!(behind.hear()["offset"], 1);
}

/// The doors below `/v1/admin/`, as the page of routes has them: method and path.
fn doors() -> Vec<(String, String)> {
    let page = routes_page();
    let rows = page.lines().filter(|line| line.starts_with("| `/v1/admin/"));
    let doors: Vec<(String, String)> = rows
        .map(|row| {
            assert!(row.contains("| the admin secret |"), "{row}");
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let method = cells[2].split(',').next().unwrap().to_owned();
            (method, cells[1].trim_matches('`').to_owned())
        })
        .collect();
    assert!(doors.len() >= 10, "the page was not understood");
    doors
}

#[test]
fn nobody_without_the_secret_learns_or_does_anything() {
    let scene = scene("peat.listen = '127.0.0.1:0'\n");
    let address = scene.address();
    let mut client = open(address, "quiet");
    let name = name_of(address, "quiet");
    let almost: String = SECRET.chars().take(SECRET.len() - 1).collect();
    let shown = [
        String::new(),
        format!("Authorization: Bearer {almost}\r\n"),
        format!("Authorization: Bearer {SECRET}x\r\n"),
        format!("Authorization: Basic {SECRET}\r\n"),
        "Authorization: Bearer \r\n".to_owned(),
        format!("X-Authorization: Bearer {SECRET}\r\n"),
    ];
    let bodies = [
        json!({}),
        json!({"connection": name, "topic": "quiet", "offset": 1, "payload": {}, "jti": "a"}),
    ];
    for (method, path) in doors() {
        for fields in &shown {
            for body in &bodies {
                let fields = format!("{fields}Content-Type: application/json\r\n");
                let answer = ask(address, &format!("{method} {path}"), &fields, &body.to_string());
                assert!(answer.starts_with("HTTP/1.1 401 "), "{method} {path}: {answer}");
                assert!(!answer.contains("quiet"), "{answer}");
            }
        }
        // The secret is no parameter: addresses are written into logs.
        let answer =
            ask(address, &format!("{method} {path}?token={}", SECRET.replace(' ', "%20")), "", "");
        assert!(answer.starts_with("HTTP/1.1 401 "), "{method} {path}: {answer}");
    }
    assert!(post(address, "publish", &json!({"topic": "quiet", "payload": {"n": 3}})).0 == 200);
    assert_eq!(client.hear()["payload"]["n"], 3, "nobody has closed it");
    let own = scene.address_of("peat");
    for (method, path) in doors() {
        let fields = format!("Authorization: Bearer {SECRET}\r\n");
        let answer = ask(own, &format!("{method} {path}"), &fields, "");
        assert!(answer.starts_with("HTTP/1.1 404 "), "a dialect's port has none: {answer}");
    }
}

#[test]
fn without_a_secret_the_doors_are_shut() {
    let scene = Scene::new("");
    for (method, path) in doors() {
        let answer =
            ask(scene.address(), &format!("{method} {path}"), "Authorization: Bearer x\r\n", "");
        assert!(answer.starts_with("HTTP/1.1 403 "), "{method} {path}: {answer}");
    }
}

#[test]
fn what_is_wrong_with_a_question_is_named_and_nothing_is_done() {
    let scene = scene("");
    let address = scene.address();
    for (path, body, words) in [
        ("disconnect", json!({"connection": "x"}), "as /v1/admin/connections names it"),
        ("disconnect", json!({"connection": "0-0-1", "why": 1}), "unknown field `why`"),
        ("disconnect", json!({"connection": "0-0-1", "reason": "x".repeat(124)}), "at most 123"),
        ("explain", json!({"connection": "0-0-1"}), "with \"event\""),
        ("explain", json!({"connection": "0-0-1", "topic": "", "offset": 1}), "topic"),
        ("explain", json!({"connection": "0-0-1", "event": {"topic": "a"}}), "payload"),
        ("publish", json!({"topic": "a", "payload": 1}), "must be a JSON object"),
        ("publish", json!({"topic": "a", "payload": {}, "more": 1}), "no member `more`"),
    ] {
        let (status, answer) = post(address, path, &body);
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(words), "{path} {body}: {status} {answer}");
    }
    for path in
        ["connections?limit=0", "topics?limit=501", "connections?after=x", "slowest?limit=-1"]
    {
        let (status, answer) = admin(address, &format!("GET /v1/admin/{path}"), "");
        assert_eq!(status, 400, "{path}: {answer}");
    }
    for (path, body) in [
        ("disconnect", json!({"connection": "1-9-1"})),
        ("disconnect", json!({"connection": "9-0-1"})),
        ("explain", json!({"connection": "1-9-1", "event": {"topic": "a", "payload": {}}})),
    ] {
        assert_eq!(post(address, path, &body).0, 404, "{path} {body}");
    }
    // Orders are for who runs the process: this one is a test.
    for order in ["drain", "reload"] {
        assert_eq!(post(address, order, &json!({})).0, 501, "{order}");
    }
    assert_eq!(post(address, "log", &json!({"level": "debug"})).0, 501);
}

#[test]
fn who_asks_and_goes_leaves_nothing_behind() {
    let scene = scene("");
    let address = scene.address();
    for _ in 0..50 {
        let mut socket = crate::socket::connect(address);
        write!(
            socket,
            "GET /v1/admin/slowest HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {SECRET}\r\n\r\n"
        )
        .unwrap();
    }
    let clock = Clock::start();
    while get(address, "slowest")["connections"] != json!([]) {
        assert!(clock.now().mono_ms < 60_000, "something is owed to those who have gone");
    }
}
