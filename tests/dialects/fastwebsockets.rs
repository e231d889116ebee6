//! The server as seen by the fastwebsockets crate, a client that shares no framing code with it: the protocol and `/echo`, on every driver.

use std::future::Future;
use std::time::Duration;

use fanwire::config::DriverChoice;
use fastwebsockets::FragmentCollector;
use fastwebsockets::Frame;
use fastwebsockets::OpCode;
use fastwebsockets::Payload;
use fastwebsockets::Role;
use fastwebsockets::WebSocket;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::link::Real;
use crate::support::link::drivers;

/// How long anything may take; nothing waits for time to pass.
const PATIENCE: Duration = Duration::from_secs(60);

type Client = FragmentCollector<TcpStream>;

/// Opens a WebSocket by hand: the crate's own handshake needs an HTTP client.
async fn open(server: &Real, path: &str) -> Client {
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {}\r\n\r\n",
        "dGhlIHNhbXBsZSBub25jZQ=="
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    let mut client = WebSocket::after_handshake(socket, Role::Client);
    client.set_max_message_size(32 << 20);
    client.set_auto_close(true);
    FragmentCollector::new(client)
}

async fn say(client: &mut Client, message: &Value) {
    let payload = Payload::Owned(message.to_string().into_bytes());
    client.write_frame(Frame::text(payload)).await.unwrap();
}

async fn hear(client: &mut Client) -> Value {
    let frame = client.read_frame().await.unwrap();
    assert_eq!(frame.opcode, OpCode::Text);
    serde_json::from_slice(&frame.payload).unwrap()
}

fn on_each_driver<F, Test>(settings: &[(&str, &str)], test: Test)
where
    F: Future<Output = Real>,
    Test: Fn(Real) -> F,
{
    let settings: Vec<_> =
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    for driver in drivers() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = start(driver, &settings);
        let run = async { tokio::time::timeout(PATIENCE, test(server)).await };
        drop(
            runtime
                .block_on(run)
                .unwrap_or_else(|_| panic!("{driver:?}: not done within {PATIENCE:?}")),
        );
    }
}

fn start(driver: DriverChoice, settings: &[(String, String)]) -> Real {
    Real::start(driver, settings)
}

#[test]
fn messages_of_every_length_come_back_whole_and_in_pieces() {
    on_each_driver(&[("echo", "true")], |server| async move {
        let mut client = open(&server, "/echo").await;
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20, 16 << 20] {
            let data: Vec<u8> =
                (0..length).map(|at: usize| u8::try_from(at % 251).unwrap()).collect();
            client.write_frame(Frame::binary(Payload::Borrowed(&data))).await.unwrap();
            let echoed = client.read_frame().await.unwrap();
            assert!(echoed.opcode == OpCode::Binary && *echoed.payload == *data, "{length}");
        }
        let pieces = ["frag", "", "ment", "ed"];
        for (index, piece) in pieces.iter().enumerate() {
            let opcode = if index == 0 { OpCode::Text } else { OpCode::Continuation };
            let fin = index + 1 == pieces.len();
            let frame = Frame::new(fin, opcode, None, Payload::Borrowed(piece.as_bytes()));
            client.write_frame(frame).await.unwrap();
        }
        let echoed = client.read_frame().await.unwrap();
        assert_eq!((echoed.opcode, &*echoed.payload), (OpCode::Text, &b"fragmented"[..]));
        client.write_frame(Frame::close(1000, b"done")).await.unwrap();
        let closed = client.read_frame().await.unwrap();
        assert_eq!(
            (closed.opcode, &closed.payload[..2]),
            (OpCode::Close, &1000_u16.to_be_bytes()[..])
        );
        server
    });
}

#[test]
fn subscribers_hear_everything_in_order() {
    const EVENTS: u64 = 300;
    on_each_driver(&[], |server| async move {
        let mut subscribers = Vec::new();
        for _ in 0..10 {
            let mut client = open(&server, "/v1/ws").await;
            assert_eq!(hear(&mut client).await["type"], "welcome");
            say(&mut client, &json!({"type": "subscribe", "id": "s", "topics": ["fleet/*"]})).await;
            assert_eq!(hear(&mut client).await["type"], "subscribed");
            assert_eq!(hear(&mut client).await["type"], "live");
            subscribers.push(client);
        }
        let mut publisher = open(&server, "/v1/ws").await;
        assert_eq!(hear(&mut publisher).await["type"], "welcome");
        for number in 1..=EVENTS {
            let event = json!({"type": "publish", "id": number, "topic": "fleet/a", "payload": {"n": number}});
            say(&mut publisher, &event).await;
        }
        for number in 1..=EVENTS {
            assert_eq!(hear(&mut publisher).await["offset"], number);
        }
        for subscriber in &mut subscribers {
            for number in 1..=EVENTS {
                let event = hear(subscriber).await;
                assert_eq!(
                    (&event["offset"], &event["payload"]["n"]),
                    (&json!(number), &json!(number))
                );
            }
        }
        server
    });
}
