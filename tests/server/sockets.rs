//! The whole server over real sockets, on both drivers: what is published on one shard reaches subscribers of all.

use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;

use fanwire::config::Config;
use fanwire::config::DriverChoice;
use fanwire::config::FdTables;
use fanwire::server::Running;
use fanwire::server::Server;
use serde_json::json;

use crate::socket;
use crate::socket::Client;
use crate::socket::Heard;

/// Every way of running two shards.
const WAYS: [(DriverChoice, FdTables); 3] = [
    (DriverChoice::IoUring, FdTables::Shared),
    (DriverChoice::IoUring, FdTables::Own),
    (DriverChoice::Epoll, FdTables::Own),
];

fn start(driver: DriverChoice, fd_tables: FdTables) -> Running {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(&Config { listen, driver, fd_tables, shards: 2, pin: false, ..Config::default() })
        .unwrap()
}

fn connect(running: &Running) -> TcpStream {
    socket::connect(running.address())
}

/// A client of the native protocol that has been welcomed.
fn welcomed(running: &Running) -> Client {
    let mut client = Client::open(running.address(), "/v1/ws", "").unwrap();
    assert_eq!(client.hear()["type"], "welcome");
    client
}

fn post(running: &Running, path: &str, body: &str) -> String {
    let mut socket = connect(running);
    let length = body.len();
    write!(socket, "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn what_anyone_publishes_reaches_everyone_in_order() {
    const SUBSCRIBERS: usize = 20;
    const EVENTS: u64 = 50;
    for (driver, fd_tables) in WAYS {
        let running = start(driver, fd_tables);
        let mut subscribers: Vec<_> = (0..SUBSCRIBERS).map(|_| welcomed(&running)).collect();
        for subscriber in &mut subscribers {
            subscriber.subscribe("fleet/**");
        }
        // Several topics have several homes, and publishers sit on both shards.
        let topics = ["fleet/a", "fleet/b", "fleet/c", "fleet/d"];
        let mut publishers: Vec<_> = topics.map(|topic| (topic, welcomed(&running))).into();
        for number in 1..=EVENTS {
            for (topic, publisher) in &mut publishers {
                publisher.say(&json!({"type": "publish", "id": number, "topic": topic, "payload": {"n": number}}));
            }
        }
        for (topic, publisher) in &mut publishers {
            for number in 1..=EVENTS {
                let answer = publisher.hear();
                assert_eq!(
                    (&answer["type"], &answer["offset"]),
                    (&json!("published"), &json!(number)),
                    "{topic}: {answer}"
                );
            }
        }
        for subscriber in &mut subscribers {
            let mut newest = std::collections::HashMap::new();
            for _ in 0..EVENTS * topics.len() as u64 {
                let event = subscriber.hear();
                let topic = event["topic"].as_str().unwrap().to_owned();
                let before = newest.insert(topic, event["offset"].as_u64().unwrap()).unwrap_or(0);
                assert_eq!(event["offset"], before + 1, "{event}");
                assert_eq!(event["payload"]["n"], before + 1);
            }
        }
        running.stop();
        for mut client in
            subscribers.into_iter().chain(publishers.into_iter().map(|(_, client)| client))
        {
            assert_eq!(client.hear()["type"], "reconnect");
            assert!(matches!(client.next(), Heard::Close(1001, _)));
        }
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn http_publishes_and_sse_listens() {
    for (driver, fd_tables) in WAYS {
        let running = start(driver, fd_tables);
        let mut listeners: Vec<_> = (0..8)
            .map(|_| {
                let mut socket = connect(&running);
                write!(socket, "GET /v1/sse?topic=weather/* HTTP/1.1\r\nHost: test\r\n\r\n")
                    .unwrap();
                BufReader::new(socket)
            })
            .collect();
        for listener in &mut listeners {
            let mut line = String::new();
            while !line.contains("event: live") {
                line.clear();
                assert_ne!(
                    listener.read_line(&mut line).unwrap(),
                    0,
                    "it ended before it was live"
                );
            }
        }
        let answer = post(&running, "/v1/publish/weather/zurich", r#"{"celsius":21}"#);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(r#""offset":1"#), "{answer}");
        for listener in &mut listeners {
            let mut line = String::new();
            while !line.contains("celsius") {
                line.clear();
                assert_ne!(
                    listener.read_line(&mut line).unwrap(),
                    0,
                    "it ended before the event came"
                );
            }
        }
        drop(listeners);
        running.stop();
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn a_client_that_half_closes_still_gets_its_answer() {
    for (driver, fd_tables) in WAYS {
        let running = start(driver, fd_tables);
        for _ in 0..8 {
            let mut socket = connect(&running);
            write!(
                socket,
                "POST /v1/publish/t HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\n\r\n{{\"n\":1}}"
            )
            .unwrap();
            socket.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        running.stop();
        assert_eq!(running.join(), 0);
    }
}

/// Reads until this stands in what was heard.
fn read_until(socket: &mut TcpStream, wanted: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.windows(wanted.len()).any(|part| part == wanted) {
        let mut bytes = [0; 4096];
        let count = match socket.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.unwrap(),
        };
        assert_ne!(count, 0, "it ended: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&bytes[..count]);
    }
    heard
}

#[test]
fn a_stream_whose_client_says_no_more_is_told_all_the_same() {
    const CALL: &str = "POST /peat.sidecar.v1.PeatSidecar/Subscribe HTTP/1.1\r\nHost: t\r\nContent-Type: application/connect+json\r\nContent-Length: 26\r\n\r\n\0\0\0\0\u{15}{\"collections\":[\"t\"]}";
    for (driver, fd_tables) in WAYS {
        let running = start(driver, fd_tables);
        // The present begins with `live`; who names a collection is told its past as well, so that nothing has to be waited for.
        for (request, ready) in [
            ("GET /v1/sse?topic=t HTTP/1.1\r\nHost: t\r\n\r\n", "event: live"),
            ("GET /sse/subscribe?collections=t HTTP/1.1\r\nHost: t\r\n\r\n", "\r\n\r\n"),
            (CALL, "\r\n\r\n"),
        ] {
            // Often enough that some come in by the shard that counts connections, and some by the other, which asks it.
            let mut sockets: Vec<TcpStream> = (0..8)
                .map(|_| {
                    let mut socket = connect(&running);
                    socket.write_all(request.as_bytes()).unwrap();
                    socket.shutdown(std::net::Shutdown::Write).unwrap();
                    let head = read_until(&mut socket, ready.as_bytes());
                    assert!(head.starts_with(b"HTTP/1.1 200 "), "{request}");
                    socket
                })
                .collect();
            let answer = post(&running, "/v1/publish/t", r#"{"n":"this one"}"#);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            for socket in &mut sockets {
                read_until(socket, b"this one");
            }
        }
        running.stop();
        assert_eq!(running.join(), 0);
    }
}

#[test]
fn a_close_frame_glued_to_the_handshake_is_answered_by_both() {
    for (driver, fd_tables) in WAYS {
        let running = start(driver, fd_tables);
        for (target, says_no_more) in ["/v1/ws", "/ws/subscribe", "/hb/ws", "/pv/ws"]
            .into_iter()
            .flat_map(|one| [(one, false), (one, true)])
        {
            for _ in 0..4 {
                let mut socket = connect(&running);
                let head = format!(
                    "GET {target} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                );
                // Masked with zeros: a close with code 1000.
                let close = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
                socket.write_all(&[head.as_bytes(), &close].concat()).unwrap();
                if says_no_more {
                    socket.shutdown(std::net::Shutdown::Write).unwrap();
                }
                let mut heard = Vec::new();
                socket.read_to_end(&mut heard).unwrap();
                assert!(heard.starts_with(b"HTTP/1.1 101 "), "{target} {says_no_more}: {heard:?}");
                assert!(
                    heard.ends_with(&[0x88, 2, 0x03, 0xe8]),
                    "{target} {says_no_more}: {heard:?}"
                );
            }
        }
        running.stop();
        assert_eq!(running.join(), 0);
    }
}
