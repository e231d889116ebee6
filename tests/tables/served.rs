//! Tables of a server that runs: over sockets, with either backend, through a restart, and as the command sees them.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use fanwire::config::Config;
use fanwire::server::Running;
use fanwire::server::Server;
use serde_json::Value;
use serde_json::json;

use crate::postgres_cluster::Cluster;
use crate::socket::Client;
use crate::socket::ask;

const TABLES: &str = "
listen = '127.0.0.1:0'
shards = 2
pin = false
connections_max = 100
data_dir = '@'
tables.backend = '&'

[[table]]
name = 'seen'
columns = ['id text key', 'n int', 'exact decimal', 'at time sorted']
from = ['feed/*']
writes = false
";

/// A folder, and a database of PostgreSQL for those that want one.
struct Place(PathBuf, String);

impl Place {
    fn new(name: &str, url: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("fanwire-served-{}-{name}", std::process::id()));
        Self(folder, url.to_owned())
    }

    fn text(&self, backend: &str) -> String {
        TABLES
            .replace('@', &self.0.to_string_lossy())
            .replace("'&'", &format!("'{backend}'\ntables.url = '{}'", self.1))
    }

    fn start(&self, backend: &str) -> Running {
        let config = Config::parse(&self.text(backend), Path::new("fanwire.toml")).unwrap();
        Server::start(&config).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Stops a server. Clients leave first: whoever stays is given seconds to say goodbye.
fn stop(running: Running, clients: impl Sized) {
    drop(clients);
    running.stop();
    let _cut_off = running.join();
}

fn publish(running: &Running, event: &Value) {
    let answer = ask(running.address(), "POST /v1/publish/feed/a", "", &event.to_string());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// What subscribers of a table's topic hear next: operation, key, payload.
fn hear(client: &mut Client) -> (String, String, Value) {
    loop {
        let heard = client.hear();
        if heard["type"] == "event" {
            let word = |name: &str| heard[name].as_str().unwrap_or_default().to_owned();
            return (word("op"), word("key"), heard["payload"].clone());
        }
    }
}

fn subscribed(running: &Running) -> Client {
    let mut client = Client::open(running.address(), "/v1/ws?topic=tables/seen", "").unwrap();
    while client.hear()["type"] != "live" {}
    client
}

#[test]
fn rows_come_from_events_and_are_told_and_those_of_a_file_outlast_a_restart() {
    let cluster = Cluster::start("served", &[]);
    for (backend, lasts) in [("memory", false), ("sqlite", true), ("postgres", true)] {
        let place = Place::new(backend, &cluster.address("postgres"));
        let running = place.start(backend);
        let mut client = subscribed(&running);
        publish(&running, &json!({"id": "a", "n": 9_007_199_254_740_993_u64, "more": 1}));
        let row = json!({"id": "a", "n": 9_007_199_254_740_993_u64, "exact": null, "at": null});
        assert_eq!(hear(&mut client), ("upsert".to_owned(), "a".to_owned(), row));
        // What makes no row changes nothing, and what comes behind it is told.
        publish(&running, &json!({"id": "a", "n": "many"}));
        publish(&running, &json!({"id": "b", "at": "2026-01-10T13:00:00+01:00"}));
        let row = json!({"id": "b", "n": null, "exact": null, "at": "2026-01-10T12:00:00Z"});
        assert_eq!(hear(&mut client), ("upsert".to_owned(), "b".to_owned(), row));
        let answer = ask(running.address(), "POST /v1/publish/tables/seen", "", "{}");
        assert!(answer.starts_with("HTTP/1.1 403"), "nobody else speaks for a table: {answer}");
        stop(running, client);

        let running = place.start(backend);
        let mut client = subscribed(&running);
        publish(&running, &json!({"id": "a", "n": 1}));
        let (_, _, told) = hear(&mut client);
        assert_eq!(told["n"], 1);
        // A row that is there keeps what it is not told.
        publish(&running, &json!({"id": "b", "n": 2}));
        let (_, _, told) = hear(&mut client);
        let at = if lasts { json!("2026-01-10T12:00:00Z") } else { Value::Null };
        assert_eq!(told["at"], at, "{backend}");
        stop(running, client);
    }
}

/// A server whose database goes is not ready, says so, lives on, and is ready again.
#[test]
fn a_lost_database_is_seen_from_outside() {
    let mut cluster = Cluster::start("ready", &[]);
    let place = Place::new("ready", &cluster.address("postgres"));
    let running = place.start("postgres");
    let mut client = subscribed(&running);
    publish(&running, &json!({"id": "a", "n": 1}));
    assert_eq!(hear(&mut client).2["n"], 1);
    let get = |what: &str| ask(running.address(), &format!("GET {what}"), "", "");
    let awaited = |what: &str, wanted: &str| {
        for _ in 0..6_000 {
            if get(what).contains(wanted) {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        panic!("{what} never says {wanted}: {}", get(what));
    };
    awaited("/readyz", r#"{"status":"ready"}"#);
    cluster.kill();
    awaited("/readyz", r#"{"status":"not ready","reason":"tables_lost"}"#);
    awaited("/metrics", "fanwire_tables_connected{backend=\"postgres\"} 0");
    // What a client is answered with an error is counted, whether whoever has the tables has found it or was not even asked.
    let mut reader = Client::open(running.address(), "/rs/ws", "").unwrap();
    for (operation, count) in [("read", 2), ("delete", 1)] {
        for _ in 0..count {
            reader.say(&json!({"id": "r", "type": "request", "operation": operation, "entity": "seen", "record_id": "a"}));
            assert_eq!(reader.hear()["success"], false);
        }
    }
    awaited("/metrics", "fanwire_tables_failed_total{kind=\"unavailable\"} 2");
    awaited("/metrics", "fanwire_tables_failed_total{kind=\"read_only\"} 1");
    awaited("/metrics", "fanwire_tables_errors_total{backend=\"postgres\",kind=\"unavailable\"} 2");
    awaited("/metrics", "fanwire_tables_errors_total{backend=\"postgres\",kind=\"read_only\"} 0");
    publish(&running, &json!({"id": "a", "n": 2}));
    cluster.run();
    assert_eq!(
        hear(&mut client).2["n"],
        2,
        "who subscribed lives on, and hears what came meanwhile"
    );
    awaited("/readyz", r#"{"status":"ready"}"#);
    awaited("/metrics", "fanwire_tables_reconnects_total{backend=\"postgres\"} 1");
    awaited("/metrics", "fanwire_tables_rows_written_total{backend=\"postgres\"} 2");
    stop(running, client);
}

#[test]
fn a_table_that_cannot_be_stops_the_start() {
    let place = Place::new("wrong", "");
    for (change, said) in [
        (("'n int'", "'n integer'"), "table[0].columns: `n integer`: `integer` is no type"),
        (("'n int'", "'id int'"), "table[0]: it has two columns `id`"),
        (("'id text key'", "'id text'"), "table[0]: none of its columns is its key"),
        (
            ("'n int'", "'n int generated'"),
            "table[0]: `n` cannot be generated: only an int that is the whole key can",
        ),
        (("['feed/*']", "['feed/**/x']"), "table[0].from: `feed/**/x`"),
        (
            ("['feed/*']", "['tables/seen']"),
            "table[0]: its rows cannot come from a topic on which a table's rows are told",
        ),
        (("'seen'", "'a;b'"), "table[0]: `a;b` is no name"),
        (
            ("writes = false", "relations = ['x one y id id']"),
            "table[0]: its relation `x` names the table `y`, and there is none",
        ),
    ] {
        let text = place.text("memory").replace(change.0, change.1);
        let config = Config::parse(&text, Path::new("fanwire.toml")).unwrap();
        let error = Server::check(&config).unwrap_err().to_string();
        let (key, reason) = said.split_once(": ").unwrap_or((said, ""));
        assert!(error.starts_with("fanwire.toml:"), "{error}");
        assert!(error.contains(&format!("`{key}`")) && error.contains(reason), "{error}: {said}");
    }
}

/// What `fanwire tables check` says of a configuration: its exit code, and both outputs.
pub(crate) fn tables_check(file: &Path, text: &str) -> (Option<i32>, String, String) {
    std::fs::write(file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_fanwire"))
        .args(["tables", "check"])
        .arg(file)
        .output()
        .unwrap();
    let said = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), said(output.stdout), said(output.stderr))
}

#[test]
fn the_command_says_what_differs() {
    let cluster = Cluster::start("check", &[]);
    let place = Place::new("check", &cluster.address("postgres"));
    std::fs::create_dir_all(&place.0).unwrap();
    for backend in ["sqlite", "postgres"] {
        stop(place.start(backend), ());
    }
    let file = place.0.join("fanwire.toml");
    let check = |text: &str| tables_check(&file, text);
    let text = place.text("sqlite");
    let (code, out, _) = check(&text);
    assert_eq!(code, Some(0), "{out}");
    let (code, out, _) = check(&text.replace("'n int'", "'n text', 'm int'"));
    assert_eq!(code, Some(1));
    assert_eq!(
        out,
        "column `n` of table `seen` is INTEGER, which holds no text\ntable `seen` has no column `m`\n"
    );
    let postgres = place.text("postgres");
    let (code, out, _) = check(&postgres);
    assert_eq!(code, Some(0), "{out}");
    let (code, out, _) = check(&postgres.replace("'n int'", "'n text', 'm int'"));
    assert_eq!(code, Some(1));
    assert_eq!(
        out,
        "column `n` of table `seen` is int8, which holds no text\ntable `seen` has no column `m`\n"
    );
    let (code, out, _) = check(&postgres.replace("'seen'", "'house.seen'"));
    assert_eq!((code, &*out), (Some(1), "the database has no table `house.seen`\n"));
    let (code, _, err) = check(&postgres.replace("user=ada", "user=nobody"));
    assert_eq!(code, Some(2), "{err}");
    assert!(
        err.contains("`tables.url`") && err.contains("role \"nobody\" does not exist"),
        "{err}"
    );
    let (code, _, err) = check(&text.replace("'n int'", "'n'"));
    assert_eq!(code, Some(2), "{err}");
    let (code, _, err) = check(&text.replace(&*place.0.to_string_lossy(), "/nowhere"));
    assert_eq!(code, Some(2), "{err}");
}
