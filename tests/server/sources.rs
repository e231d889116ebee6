//! Sources over sockets: another server as the far end, one that breaks off, and some that say anything but what they should.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::thread::JoinHandle;

use fanwire::config::Config;
use fanwire::server::Running;
use fanwire::server::Server;
use serde_json::Value;

use crate::socket::Client;
use crate::socket::ask;

const BASE: &str = "listen = '127.0.0.1:0'\nshards = 2\npin = false\nconnections_max = 1000\n";

/// A server that stops when its test ends.
struct Scene(Option<Running>);

impl Scene {
    fn new(text: &str) -> Self {
        Self(Some(Server::start(&config(text)).unwrap()))
    }

    fn running(&mut self) -> &mut Running {
        self.0.as_mut().expect("it runs until it is dropped")
    }

    fn address(&mut self) -> SocketAddr {
        self.running().address()
    }

    /// Who hears all that is told under `got/`.
    fn hearer(&mut self) -> Client {
        let mut client = Client::open(self.address(), "/v1/ws", "").unwrap();
        client.hear();
        let wanted = serde_json::json!({"type": "subscribe", "id": "1", "topics": ["got/**"], "since": "earliest"});
        client.say(&wanted);
        client
    }

    fn metrics(&mut self) -> String {
        ask(self.address(), "GET /metrics", "", "")
    }

    fn figure(&mut self, begin: &str) -> Option<u64> {
        let page = self.metrics();
        page.lines().find(|line| line.starts_with(begin))?.rsplit_once(' ')?.1.parse().ok()
    }

    /// Waits until a figure is so great.
    fn wait_for(&mut self, begin: &str, least: u64) {
        for _ in 0..10_000 {
            if self.figure(begin).is_some_and(|figure| figure >= least) {
                return;
            }
        }
        panic!("{begin} is not {least}: {}", self.metrics());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.stop();
            let _cut_off = running.join();
        }
    }
}

fn config(text: &str) -> Config {
    Config::parse(&format!("{BASE}{text}"), Path::new("fanwire.toml")).unwrap()
}

/// The next event that is told, and not what is said besides.
fn event(client: &mut Client) -> Value {
    loop {
        let heard = client.hear();
        if heard["type"] == "event" {
            return heard;
        }
    }
}

fn told(client: &mut Client) -> (String, String, String, Value) {
    let event = event(client);
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    (text("topic"), text("key"), text("op"), event["payload"].clone())
}

/// Answers one request after the other, each with what stands here, and closes; hands back the heads of the requests.
fn far_end(answers: Vec<Vec<u8>>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::Builder::new().spawn(move || {
        let heads = answers.into_iter().map(|answer| {
            let (socket, _) = listener.accept().unwrap();
            answered(socket, &answer)
        });
        heads.collect()
    });
    (address, thread.unwrap())
}

fn answered(socket: TcpStream, answer: &[u8]) -> String {
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && socket.read_line(&mut head).unwrap() > 0 {}
    // Whoever has heard enough may close before all of it was said.
    socket.get_mut().write_all(answer).ok();
    head
}

fn stream(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn sse(body: &str) -> Vec<u8> {
    stream("text/event-stream; charset=utf-8", body.as_bytes())
}

#[test]
fn another_server_is_a_far_end_by_server_sent_events_and_as_a_peat_node() {
    let mut far = Scene::new("");
    let there = far.address();
    let mut near = Scene::new(&format!(
        "[[source]]\nname = 'sse'\nkind = 'http'\nurl = 'http://{there}/sse/subscribe?collections=a&snapshot=none'\ntopic = 'got/{{subject}}'\nkey = '{{/docId}}'\npayload = '{{/jsonData}}'\nrequired = true\n\
         [[source]]\nname = 'node'\nkind = 'peat'\nurl = 'http://{there}'\ncollections = ['p']\ntopic = 'got/{{/collection}}'\nkey = '{{/docId|}}'\nop = '{{/changeType}}'\nops = ['CHANGE_TYPE_UPSERT=upsert', 'CHANGE_TYPE_DELETE=delete']\npayload = '{{/jsonData|}}'\n"
    ));
    near.wait_for("fanwire_source_up{source=\"sse\",kind=\"http\"}", 1);
    near.wait_for("fanwire_source_up{source=\"node\",kind=\"peat\"}", 1);
    let mut client = near.hearer();
    let publish = |target: &str, key: &str, body: &str| {
        let key = format!("Fanwire-Key: {key}\r\n");
        let answer = ask(there, &format!("POST /v1/publish/{target}"), &key, body);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    };
    publish("p?op=upsert", "d0", r#"{"i":1.50}"#);
    let (topic, key, op, payload) = told(&mut client);
    assert_eq!(
        (&*topic, &*key, &*op, payload.to_string()),
        ("got/p", "d0", "upsert", r#"{"i":1.5}"#.to_owned())
    );
    publish("p?op=delete", "d0", "{}");
    let (topic, key, op, _) = told(&mut client);
    assert_eq!((&*topic, &*key, &*op), ("got/p", "d0", "delete"));
    publish("a", "x", r#"{"i":2}"#);
    let (topic, key, op, payload) = told(&mut client);
    assert_eq!(
        (&*topic, &*key, &*op, payload),
        ("got/message", "x", "event", serde_json::json!({"i": 2}))
    );
    // Its far end goes: one of the sources is required.
    assert!(ask(near.address(), "GET /readyz", "", "").starts_with("HTTP/1.1 200 "));
    drop(far);
    for _ in 0..10_000 {
        if ask(near.address(), "GET /readyz", "", "").contains("source_lost") {
            return;
        }
    }
    panic!("it is still ready");
}

#[test]
fn a_stream_that_breaks_off_is_gone_on_with_behind_the_last_id_that_was_stored() {
    let answers = vec![
        sse(
            "id: 1\ndata: {\"n\":1}\n\nid: 2\nevent: odd\ndata: {\"n\":\ndata: 2}\n\nid: 3\ndata: {\"n\":3",
        ),
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec(),
        sse(": nothing\n\nid: 3\ndata: {\"n\":3}\n\n"),
        sse("data: {\"n\":4}\n\n"),
        b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
    ];
    let (there, far) = far_end(answers);
    let mut near = Scene::new(&format!(
        "[[source]]\nname = 'it'\nkind = 'http'\nurl = 'http://{there}/x?y=1'\nheaders = ['X-Own: yes']\ntopic = 'got/{{subject}}'\n"
    ));
    let mut client = near.hearer();
    // Those of one topic are in order; of two topics nobody says which comes first.
    let mut heard: Vec<(u64, String)> = (0..4)
        .map(|_| {
            let (topic, _, _, payload) = told(&mut client);
            (payload["n"].as_u64().unwrap(), topic)
        })
        .collect();
    let of_one: Vec<u64> =
        heard.iter().filter(|(_, topic)| topic == "got/message").map(|(n, _)| *n).collect();
    assert_eq!(of_one, [1, 3, 4]);
    heard.sort_unstable();
    let topics = ["got/message", "got/odd", "got/message", "got/message"].map(str::to_owned);
    assert_eq!(heard, (1..).zip(topics).collect::<Vec<_>>());
    let heads = far.join().unwrap();
    let ids = heads.iter().map(|head| {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("get /x?y=1 http/1.1\r\n") && head.contains("\r\nx-own: yes\r\n"));
        head.split("last-event-id: ").nth(1).and_then(|rest| rest.lines().next()).map(str::to_owned)
    });
    let two = || Some("2".to_owned());
    let three = || Some("3".to_owned());
    assert_eq!(ids.collect::<Vec<_>>(), [None, two(), two(), three(), three()]);
    near.wait_for("fanwire_source_faults_total{source=\"it\",kind=\"http\",fault=\"ended\"}", 1);
    assert_eq!(near.figure("fanwire_source_up{"), Some(0));
}

#[test]
fn a_far_end_that_says_anything_costs_its_source_and_nobody_else() {
    let long = [
        &b"data: "[..],
        &vec![b'x'; 9 * 1024 * 1024],
        b"\n\ndata: {\"n\":1}\n\ndata: [1]\n\ndata: {\"n\":2}\n\n",
    ]
    .concat();
    let change = |flags: u8, count: u32, text: &str| {
        [&[flags][..], &count.to_be_bytes(), text.as_bytes()].concat()
    };
    let peat = |body: Vec<u8>| stream("application/connect+json", &body);
    let good = r#"{"collection":"c","docId":"d","changeType":"CHANGE_TYPE_UPSERT","jsonData":"{\"n\":3}"}"#;
    let whole = change(0, u32::try_from(good.len()).unwrap(), good);
    let (lines, far_lines) = far_end(vec![
        b"nonsense\r\n\r\n".to_vec(),
        stream("text/html", b"<html>"),
        stream("text/event-stream", &long),
    ]);
    let (node, far_node) = far_end(vec![
        peat(change(0, u32::MAX, "x")),
        peat(change(1, 0, "")),
        peat([whole, change(2, 2, "{}")].concat()),
    ]);
    let mut near = Scene::new(&format!(
        "[[source]]\nname = 'lines'\nkind = 'http'\nurl = 'http://{lines}/'\ntopic = 'got/lines'\n\
         [[source]]\nname = 'node'\nkind = 'peat'\nurl = 'http://{node}'\ntopic = 'got/{{/collection}}'\npayload = '{{/jsonData}}'\n"
    ));
    let mut client = near.hearer();
    let mut heard: Vec<String> = (0..3)
        .map(|_| {
            let (topic, _, _, payload) = told(&mut client);
            format!("{topic} {payload}")
        })
        .collect();
    heard.sort();
    assert_eq!(heard, ["got/c {\"n\":3}", "got/lines {\"n\":1}", "got/lines {\"n\":2}"]);
    near.wait_for("fanwire_source_unusable_total{source=\"lines\"", 2);
    near.wait_for(
        "fanwire_source_faults_total{source=\"node\",kind=\"peat\",fault=\"protocol\"}",
        2,
    );
    near.wait_for(
        "fanwire_source_faults_total{source=\"lines\",kind=\"http\",fault=\"protocol\"}",
        1,
    );
    let answer = ask(near.address(), "POST /v1/publish/got/own", "", "{\"n\":4}");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(told(&mut client).0, "got/own");
    far_lines.join().unwrap();
    far_node.join().unwrap();
}

#[test]
fn a_source_takes_other_settings_while_the_server_runs_and_one_that_is_added_waits() {
    let (there, far) = far_end(vec![sse("data: {\"n\":1}\n\n"), sse("data: {\"n\":2}\n\n")]);
    let source = |name: &str, topic: &str| {
        format!(
            "[[source]]\nname = '{name}'\nkind = 'http'\nurl = 'http://{there}/'\nat_end = 'rest'\ntopic = 'got/{topic}'\n"
        )
    };
    let mut near = Scene::new(&source("it", "one"));
    let mut client = near.hearer();
    assert_eq!(told(&mut client).0, "got/one");
    let other = format!("{}{}", source("it", "two"), source("more", "three"));
    let reloaded = near.running().reload(&config(&other)).unwrap();
    let keys = |changes: Vec<fanwire::config::Change>| -> Vec<String> {
        changes.into_iter().map(|change| change.key.into_string()).collect()
    };
    assert_eq!(keys(reloaded.taken), ["source[0].topic"]);
    assert!(keys(reloaded.at_restart).contains(&"source[1].name".to_owned()));
    assert_eq!(told(&mut client).0, "got/two");
    far.join().unwrap();
    let wrong = near.running().reload(&config(&source("it", "a//b"))).unwrap_err();
    assert!(wrong.to_string().contains("fanwire.toml:10: `source[0].topic`: "), "{wrong}");
}
