//! Each dialect on a port of its own, over real sockets and on both drivers: there its origin's paths mean it alone.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use fanwire::config::Config;
use fanwire::config::DriverChoice;
use fanwire::config::FdTables;
use fanwire::server::Running;
use fanwire::server::Server;
use fanwire::shard::Port;

use crate::socket::Client;
use crate::socket::Heard;
use crate::socket::ask;

const WAYS: [(DriverChoice, FdTables); 2] =
    [(DriverChoice::IoUring, FdTables::Own), (DriverChoice::Epoll, FdTables::Shared)];

fn config(text: &str) -> Config {
    Config::parse(text, Path::new("fanwire.toml")).unwrap()
}

fn start(driver: DriverChoice, fd_tables: FdTables, more: &str) -> Running {
    let text = format!(
        "shards = 2\npin = false\nlisten = '127.0.0.1:0'\npeat.listen = '127.0.0.1:0'\nhyperbeam.listen = '127.0.0.1:0'\nprovisioning.listen = '127.0.0.1:0'\n{more}"
    );
    Server::start(&Config { driver, fd_tables, ..config(&text) }).unwrap()
}

fn status(address: SocketAddr, request: &str) -> String {
    let answer = ask(address, request, "", "");
    answer.split(' ').nth(1).unwrap_or("none").to_owned()
}

fn refused(address: SocketAddr, target: &str) -> String {
    let answer = Client::open(address, target, "").map(|_| ()).unwrap_err();
    answer.split(' ').nth(1).unwrap_or("none").to_owned()
}

#[test]
fn on_a_dialects_own_port_its_paths_mean_it_alone() {
    for (driver, fd_tables) in WAYS {
        let running = start(driver, fd_tables, "");
        let at = |port| running.address_of(port).unwrap();
        let (shared, peat) = (at(Port::Shared), at(Port::Own("peat")));
        let (hyperbeam, provisioning) = (at(Port::Own("hyperbeam")), at(Port::Own("provisioning")));

        let mut cast = Client::open(hyperbeam, "/ws?token=not-a-token&events=x", "").unwrap();
        let welcome = cast.hear();
        assert_eq!(welcome["type"], "connection_established", "whatever its parameters say");
        let mut events = Client::open(provisioning, "/ws?topic=a", "").unwrap();
        let mut changes =
            Client::open(peat, "/ws/subscribe?collections=TaskStatusChanged", "").unwrap();
        let mut rows = Client::open(shared, "/ws", "").unwrap();
        rows.say(&json!({"type": "ping"}));
        assert_eq!(rows.hear()["type"], "pong", "without a parameter it is about tables");

        let posted = ask(
            provisioning,
            "POST /pv/events",
            "",
            r#"{"event_type":"TaskStatusChanged","data":{"n":1}}"#,
        );
        assert!(posted.starts_with("HTTP/1.1 200 "), "{posted}");
        assert_eq!(events.hear()["event_type"], "TaskStatusChanged");
        assert_eq!(changes.hear()["collection"], "TaskStatusChanged");

        for address in [peat, hyperbeam, provisioning] {
            assert_eq!(status(address, "GET /healthz"), "200");
            assert_eq!(status(address, "GET /readyz"), "200");
            assert_eq!(status(address, "GET /metrics"), "200");
            for elsewhere in
                ["GET /", "GET /v1/sse?topic=a", "POST /v1/publish/a", "POST /v1/admin/revoke"]
            {
                assert_eq!(status(address, elsewhere), "404", "{elsewhere}");
            }
            assert_eq!(refused(address, "/v1/ws"), "404");
            let answer = ask(address, "GET /", "", "");
            assert!(answer.contains("there is nothing here: this port is one dialect's own"));
        }
        for (address, target) in [
            (peat, "/ws"),
            (peat, "/hb/ws?topic=a"),
            (peat, "/metrics"),
            (hyperbeam, "/ws/subscribe"),
            (hyperbeam, "/pv/ws"),
            (hyperbeam, "/metrics"),
            (provisioning, "/hb/ws?topic=a"),
            (provisioning, "/ws/subscribe"),
        ] {
            assert_eq!(refused(address, target), "404", "{target}");
        }
        assert_eq!(status(hyperbeam, "GET /~websocket@1.0/info"), "200");
        assert_eq!(status(peat, "GET /~websocket@1.0/info"), "404");
        Client::open(provisioning, "/metrics", "").unwrap();
        Client::open(provisioning, "/logs", "").unwrap();

        running.stop();
        for mut client in [cast, events, changes, rows] {
            assert!(matches!(client.next(), Heard::Close(1001, _)), "every listener's are told");
        }
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn what_is_local_is_judged_by_the_listener_that_a_client_came_in_by() {
    // The shared port can be reached from other machines, so that whoever comes to it needs a token, even from this one.
    let text = "listen = '0.0.0.0:0'\nshards = 2\npin = false\npeat.listen = '127.0.0.1:0'\n";
    let running = Server::start(&config(text)).unwrap();
    let shared = SocketAddr::from(([127, 0, 0, 1], running.address().port()));
    let peat = running.address_of(Port::Own("peat")).unwrap();
    for _ in 0..8 {
        assert_eq!(refused(shared, "/ws/subscribe"), "401");
        Client::open(peat, "/ws/subscribe", "").unwrap();
    }
    running.stop();
    assert_eq!(running.join(), 0);
}

#[test]
fn an_address_that_cannot_be_had_stops_the_start_with_its_key_file_and_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (text, expected) in [
        (
            format!("listen = '127.0.0.1:0'\n\npeat.listen = '{address}'"),
            format!("fanwire.toml:3: `peat.listen`: somebody listens on {address} already"),
        ),
        (
            "listen = '127.0.0.1:0'\n[hyperbeam]\nlisten = '192.0.2.1:0'".to_owned(),
            "fanwire.toml:3: `hyperbeam.listen`: cannot listen on 192.0.2.1:0: ".to_owned(),
        ),
        (
            "listen = '127.0.0.1:9'\nprovisioning.listen = '127.0.0.1:9'".to_owned(),
            "fanwire.toml:2: `provisioning.listen`: cannot be used: 127.0.0.1:9 is where `listen`"
                .to_owned(),
        ),
    ] {
        let error = Server::start(&config(&text)).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(&expected), "{error}");
    }
}
