//! A configuration that is read anew: what may change does, for everybody, and nobody is disconnected; what cannot be changes nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use fanwire::clock::Clock;
use fanwire::config::Config;
use fanwire::server::Reloaded;
use fanwire::server::Running;
use fanwire::server::Server;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use serde_json::json;

use crate::secure;
use crate::secure::Folder;
use crate::socket::Client;
use crate::socket::Heard;
use crate::socket::ask;

const BASE: &str = "listen = '127.0.0.1:0'\nshards = 2\npin = false\nconnections_max = 1000\n";

fn config(text: &str) -> Config {
    Config::parse(&format!("{BASE}{text}"), Path::new("fanwire.toml")).unwrap()
}

/// A server that stops when its test ends.
struct Scene {
    running: Option<Running>,
    folder: Folder,
}

impl Scene {
    fn new(text: &str) -> Self {
        let folder = Folder::new();
        for name in ["one", "two"] {
            folder.replace(name, &secret(name));
        }
        let text = text.replace("@", &folder.path(""));
        Self { running: Some(Server::start(&config(&text)).unwrap()), folder }
    }

    fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("it runs until it is dropped").address()
    }

    fn reload(&mut self, text: &str) -> Result<Reloaded, String> {
        let text = text.replace("@", &self.folder.path(""));
        let running = self.running.as_mut().expect("it runs until it is dropped");
        running.reload(&config(&text)).map_err(|error| error.to_string())
    }

    /// The keys that were taken, and those that need a restart.
    fn taken(&mut self, text: &str) -> (Vec<String>, Vec<String>) {
        let Reloaded { taken, at_restart } = self.reload(text).unwrap();
        let keys = |changes: Vec<fanwire::config::Change>| {
            changes.into_iter().map(|change| change.key.into_string()).collect()
        };
        (keys(taken), keys(at_restart))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            let _cut_off = running.join();
        }
    }
}

fn secret(name: &str) -> String {
    format!("the secret of {name}, which is long enough")
}

fn token(key: &str, role: &str) -> String {
    let claims =
        json!({"sub": "ada", "exp": Clock::start().now().wall_us / 1_000_000 + 3600, "role": role});
    let key = EncodingKey::from_secret(secret(key).as_bytes());
    let header = Header { kid: None, ..Header::default() };
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    format!("Authorization: Bearer {token}\r\n")
}

/// Asks until the answer is another one: each core hears of what has changed within a tick.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::start();
    // Twenty in a row, so that both cores have been asked.
    let mut in_a_row = 0;
    while in_a_row < 20 {
        assert!(clock.now().mono_ms < 60_000, "{what}");
        in_a_row = if is_so() { in_a_row + 1 } else { 0 };
    }
}

fn status(address: SocketAddr, request: &str, fields: &str) -> String {
    ask(address, request, fields, "").split(' ').nth(1).unwrap_or("none").to_owned()
}

const KEYS: &str = "auth.anonymous = 'nowhere'\nauth.user_connections = 1000\n";

#[test]
fn keys_and_permissions_change_while_everybody_stays() {
    let text = |key: &str, topics: &str| {
        format!(
            "{KEYS}auth.key_file = '@{key}'\n[roles.viewer]\nsubscribe = ['{topics}']\npublish = ['a/*']\n"
        )
    };
    let mut scene = Scene::new(&text("one", "a/*"));
    let address = scene.address();
    let mut staying = Client::open(address, "/v1/ws?topic=a/b", &token("one", "viewer")).unwrap();
    while staying.hear()["type"] != "live" {}
    assert_eq!(scene.taken(&text("two", "b/*")).0, ["auth.key_file", "roles.viewer.subscribe"]);
    let opens = |key: &str, topic: &str| {
        let target = format!("/v1/ws?topic={topic}");
        Client::open(address, &target, &token(key, "viewer")).map(|mut client| {
            loop {
                match client.hear()["type"].as_str().unwrap() {
                    "live" => return true,
                    "error" => return false,
                    _ => {}
                }
            }
        })
    };
    until("the former key opens nothing", || opens("one", "a/b").is_err());
    until("the new one does", || opens("two", "b/c") == Ok(true));
    assert_eq!(opens("two", "a/b"), Ok(false), "and its role is the new one");
    // Who was connected is, and hears what their token let them hear.
    let publish = token("two", "viewer");
    let answer = ask(address, "POST /v1/publish/a/b", &publish, "{\"n\":1}");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(staying.hear()["payload"], json!({"n": 1}));
}

#[test]
fn limits_and_switches_hold_for_everybody_at_once() {
    let mut scene = Scene::new("subscriptions_max = 2\n");
    let address = scene.address();
    let mut staying = Client::open(address, "/v1/ws", "").unwrap();
    assert_eq!(staying.hear()["type"], "welcome");
    staying.subscribe("a");
    let echoes = || Client::open(address, "/echo", "").is_ok();
    assert!(!echoes());
    let (taken, at_restart) = scene.taken(
        "subscriptions_max = 1\necho = true\nreturn_spread_s = 3\ntopics_max = 7\npeat.listen = '127.0.0.1:0'\n",
    );
    assert_eq!(taken, ["echo", "peat.listen", "return_spread_s", "subscriptions_max"]);
    assert_eq!(at_restart, ["topics_max"]);
    until("there is an echo", echoes);
    staying.say(&json!({"type": "subscribe", "id": "t", "topics": ["b"]}));
    assert_eq!(staying.hear()["code"], "too_many_subscriptions");
    // What needs a restart still does the next time; what was taken is no change any more.
    let (taken, at_restart) =
        scene.taken("subscriptions_max = 1\necho = true\nreturn_spread_s = 3\ntopics_max = 7\n");
    assert_eq!(
        (taken, at_restart),
        (vec!["peat.listen".to_owned()], vec!["topics_max".to_owned()])
    );
    let (taken, at_restart) = scene.taken("subscriptions_max = 1\nreturn_spread_s = 3\n");
    assert_eq!((taken, at_restart.len()), (vec!["echo".to_owned()], 0));
    until("there is none", || !echoes());
}

#[test]
fn proxies_are_trusted_and_trusted_no_more() {
    let mut scene = Scene::new("");
    let address = scene.address();
    let unreadable = || status(address, "GET /healthz", "X-Forwarded-For: localhost\r\n");
    assert_eq!(unreadable(), "200", "nobody reads it");
    assert_eq!(scene.taken("trusted_proxies = ['127.0.0.1']\n").0, ["trusted_proxies"]);
    until("it is read", || unreadable() == "400");
    assert_eq!(scene.taken("").0, ["trusted_proxies"]);
    until("nobody reads it", || unreadable() == "200");
}

#[test]
fn what_cannot_be_changes_nothing_and_says_why() {
    let good = format!("{KEYS}auth.key_file = '@one'\n");
    let mut scene = Scene::new(&good);
    let address = scene.address();
    for (text, expected) in [
        (
            "echo = true\nauth.key_file = '/nowhere'\n",
            "fanwire.toml:6: `auth.key_file`: cannot be used: /nowhere",
        ),
        (
            "echo = true\n[roles.viewer]\nfilter = 'a ='\n",
            "fanwire.toml:7: `roles.viewer.filter`: cannot be used: ",
        ),
        (
            "echo = true\ntls.certificate_file = '@one'\n",
            "fanwire.toml:6: `tls.certificate_file`: cannot be used: ",
        ),
        (
            "echo = true\nmemory.input_bytes_max = 4096\n",
            "this machine: `memory.input_bytes_max`: ",
        ),
        (
            "echo = true\ntrusted_proxies = ['x']\n",
            "fanwire.toml:6: `trusted_proxies`: cannot be used: ",
        ),
    ] {
        let error = scene.reload(text).unwrap_err();
        assert!(error.starts_with(expected), "{error}\n{expected}");
        assert_eq!(status(address, "GET /echo", ""), "404");
    }
    let fields = token("one", "viewer");
    assert!(Client::open(address, "/v1/ws", &fields).is_ok(), "the key is the one that it was");
    assert_eq!(
        scene.reload(&good).unwrap(),
        Reloaded::default(),
        "and nothing is thought to have changed"
    );
}

#[test]
fn certificates_of_other_files_are_shown_and_sessions_go_on() {
    use std::io::Read;
    use std::io::Write;
    let folder = Folder::new();
    let first = folder.certify("first", &["localhost"]);
    let second = folder.certify("second", &["localhost"]);
    let text = |name: &str| {
        format!(
            "echo = true\ntls.certificate_file = '{0}.pem'\ntls.key_file = '{0}.key'\n",
            folder.path(name)
        )
    };
    let mut running = Server::start(&config(&text("first"))).unwrap();
    let address = running.address();
    let health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let is_shown = |client: &Arc<rustls::ClientConfig>| {
        let mut stream = secure::connect(address, "localhost", client);
        let mut head = [0; 12];
        let answered = stream.write_all(health).is_ok() && stream.read_exact(&mut head).is_ok();
        answered.then(|| stream.conn.handshake_kind())
    };
    let trusting_first = secure::trusting(&[first]);
    let mut staying = secure::connect(address, "localhost", &trusting_first);
    staying.write_all(health).unwrap();
    staying.read_exact(&mut [0; 12]).unwrap();
    let reloaded = running.reload(&config(&text("second"))).unwrap();
    assert_eq!(reloaded.taken.len(), 2, "{reloaded:?}");
    let trusting_second = secure::trusting(&[second]);
    until("the second is shown", || is_shown(&trusting_second).is_some());
    // Whoever has a session with the first resumes it: its keys have not changed.
    assert_eq!(is_shown(&trusting_first), Some(Some(rustls::HandshakeKind::Resumed)));
    staying.write_all(health).unwrap();
    assert!(staying.read(&mut [0; 4096]).unwrap() > 0);
    // Without TLS, or with it, is how a server begins.
    let reloaded = running.reload(&config("echo = true\n")).unwrap();
    assert_eq!((reloaded.taken.len(), reloaded.at_restart.len()), (0, 2), "{reloaded:?}");
    assert!(is_shown(&trusting_second).is_some());
    running.stop();
    let _cut_off = running.join();
}

#[test]
fn under_load_nothing_is_lost_or_repeated() {
    let mut scene = Scene::new("auth.anonymous = 'loopback'\n");
    let address = scene.address();
    let subscriber = || {
        let mut client = Client::open(address, "/v1/ws?topic=load", "").unwrap();
        while client.hear()["type"] != "live" {}
        client
    };
    let mut subscribers: Vec<Client> = (0..4).map(|_| subscriber()).collect();
    // So many while each configuration is read, which those who do not read meanwhile can hold.
    let (begin_round, rounds) = std::sync::mpsc::channel();
    let publishing = move || {
        let mut client = Client::open(address, "/v1/ws", "").unwrap();
        let mut published = 0_u64;
        while rounds.recv().is_ok() {
            for _ in 0..200 {
                client.say(&json!({"type": "publish", "id": 1, "topic": "load", "payload": {}}));
                while client.hear()["type"] != "published" {}
                published += 1;
            }
        }
        published
    };
    let publisher = std::thread::Builder::new().spawn(publishing).unwrap();
    for round in 0..12 {
        let text = format!(
            "auth.anonymous = 'loopback'\nauth.publish_per_s = {}\ndeflate = {}\n",
            20_000 + round,
            round % 2 == 0
        );
        begin_round.send(()).unwrap();
        let (taken, at_restart) = scene.taken(&text);
        assert!(!taken.is_empty() && at_restart.is_empty());
        // Whoever hears something between two of them has been there all the time.
        for client in &mut subscribers {
            assert_eq!(client.hear()["type"], "event");
        }
    }
    drop(begin_round);
    let published = publisher.join().unwrap();
    assert_eq!(published, 12 * 200);
    for mut client in subscribers {
        for offset in 13..=published {
            let heard = client.next();
            let Heard::Text(event) = heard else {
                panic!("it was closed: {heard:?} at {offset} of {published}")
            };
            assert_eq!(event["offset"], offset, "{event}");
        }
    }
}

/// What `fanwire config` answers, and its exit code.
fn fanwire_config(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    let output = command.arg("config").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_checks_compares_and_explains() {
    let folder = Folder::new();
    folder.replace("secret", &secret("one"));
    let file = |name: &str, text: &str| {
        folder.replace(name, text);
        folder.path(name)
    };
    let key = folder.path("secret");
    let good = file("good.toml", &format!("shards = 1\nauth.key_file = '{key}'\n"));
    let other = file(
        "other.toml",
        "shards = 2\nauth.jwks_url = 'https://ada:hunter2@example.org/keys'\n[roles.viewer]\nsubscribe = ['a']\n",
    );
    let bad = file("bad.toml", "\nauth.key_file = '/nowhere'\n");
    let (code, said, _) = fanwire_config(&["check", &good]);
    assert_eq!((code, said), (Some(0), format!("{good}: a server would start with this here\n")));
    let (code, said, error) = fanwire_config(&["check", &bad]);
    assert_eq!((code, &*said), (Some(2), ""));
    assert!(
        error.starts_with(&format!("fanwire: {bad}:2: `auth.key_file`: cannot be used: ")),
        "{error}"
    );
    let (code, said, _) = fanwire_config(&["diff", &good, &other]);
    assert_eq!(code, Some(0));
    assert_eq!(
        said,
        format!(
            "auth.jwks_url: \"\" -> \"https://…@example.org/keys\"  # needs a restart\n\
             auth.key_file: \"{key}\" -> \"\"  # a running server takes it (SIGHUP)\n\
             roles.viewer.subscribe: (nothing) -> [\"a\"]  # a running server takes it (SIGHUP)\n\
             shards: 1 -> 2  # needs a restart\n"
        )
    );
    assert_eq!(fanwire_config(&["diff", &good, &good]).1, "");
    assert_eq!(fanwire_config(&["diff", &good]).1.lines().count(), 2, "than the defaults");
    let (code, said, _) = fanwire_config(&["explain", "auth.jwks_url", "--config", &other]);
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with(&format!("auth.jwks_url = \"https://…@example.org/keys\"  # {other}:2\n")),
        "{said}"
    );
    assert!(
        said.contains("Where the issuer publishes its keys") && !said.contains("hunter2"),
        "{said}"
    );
    assert!(fanwire_config(&["explain", "shards"]).1.starts_with("shards = 0  # the default\n"));
    let (code, _, error) = fanwire_config(&["explain", "shard"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("there is no such key; did you mean `shards`?"), "{error}");
}
