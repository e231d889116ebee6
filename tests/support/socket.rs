//! Clients over real sockets: the least WebSocket client that there can be, and requests.

#![expect(unreachable_pub, reason = "each test is a crate of its own")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

/// A socket that waits for no more than a broken server would let it.
pub fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Asks for something, and reads the answer to the end of its body: head and body.
pub fn ask(address: SocketAddr, request: &str, fields: &str, body: &str) -> String {
    let mut socket = connect(address);
    let length = body.len();
    write!(
        socket,
        "{request} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    )
    .unwrap();
    let mut socket = BufReader::new(socket);
    let head = read_head(&mut socket);
    format!("{head}{}", read_body(&mut socket, &head))
}

fn read_head(socket: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(socket.read_line(&mut head).unwrap(), 0, "{head}");
    }
    head
}

fn read_body(socket: &mut BufReader<TcpStream>, head: &str) -> String {
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    socket.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// The least WebSocket client that there can be: text messages below 64 KiB, no fragments.
pub struct Client {
    socket: BufReader<TcpStream>,
}

/// What it hears.
#[derive(Debug)]
pub enum Heard {
    Text(Value),
    Close(u16, String),
}

impl Client {
    /// Opens one; an error is what was answered instead, head and body.
    pub fn open(address: SocketAddr, target: &str, fields: &str) -> Result<Self, String> {
        let mut socket = connect(address);
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut client = Self { socket: BufReader::new(socket) };
        let head = read_head(&mut client.socket);
        if head.starts_with("HTTP/1.1 101 ") {
            return Ok(client);
        }
        Err(format!("{head}{}", read_body(&mut client.socket, &head)))
    }

    /// Says something.
    pub fn say(&mut self, message: &Value) {
        let text = message.to_string();
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
        if text.len() < 126 {
            frame.truncate(1);
            frame.push(0x80 | u8::try_from(text.len()).unwrap());
        }
        // A mask of zeros is a mask.
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        self.socket.get_mut().write_all(&frame).unwrap();
    }

    /// The next thing; pings are passed over.
    pub fn next(&mut self) -> Heard {
        let mut head = [0; 2];
        self.socket.read_exact(&mut head).unwrap();
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.socket.read_exact(&mut length).unwrap();
                usize::from(u16::from_be_bytes(length))
            }
            length => usize::from(length),
        };
        let mut payload = vec![0; length];
        self.socket.read_exact(&mut payload).unwrap();
        match head[0] {
            0x81 => Heard::Text(serde_json::from_slice(&payload).unwrap()),
            0x88 => Heard::Close(
                u16::from_be_bytes([payload[0], payload[1]]),
                String::from_utf8(payload[2..].to_vec()).unwrap(),
            ),
            0x89 => self.next(),
            other => panic!("not expected: {other:#x}"),
        }
    }

    /// The next message.
    pub fn hear(&mut self) -> Value {
        match self.next() {
            Heard::Text(message) => message,
            Heard::Close(code, reason) => panic!("closed with {code} {reason}"),
        }
    }

    /// Subscribes to live events, as `s`.
    pub fn subscribe(&mut self, topics: &str) {
        self.say(&json!({"type": "subscribe", "id": "s", "topics": [topics]}));
        assert_eq!(self.hear()["type"], "subscribed");
        assert_eq!(self.hear()["type"], "live");
    }
}

impl Client {
    /// Sends these bytes, whatever they are.
    pub fn say_raw(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).unwrap();
    }
}
