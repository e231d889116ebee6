//! Publishing on one connection, in whatever way the subject takes events.
//!
//! Invariant: never waits for an answer and never blocks: what the socket does not take stays in `pending`, and answers are
//! read only to count refusals. Never decides when to publish; that is `publisher`.

use crate::clock;
use crate::mqtt;
use crate::speech;
use crate::speech::Outlet;
use crate::speech::Say;
use crate::websocket;

use std::io;
use std::io::ErrorKind;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;

use memchr::memmem;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;

/// Past this the publisher waits: what the subject does not take is the subject's backlog, not ours.
const PENDING_BYTES_MAX: usize = 1 << 20;
/// The longest needle less one, kept between reads so that none is cut in two.
const KEPT_BYTES: usize = 15;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Publishing {
    say: Say,
    socket: TcpStream,
    pending: Vec<u8>,
    sent: usize,
    replies: Vec<u8>,
    lines: Vec<u8>,
    /// Of MQTT: the packet identifier that was given last.
    packet: u16,
    is_closed: bool,
    pub(crate) refused: u64,
    pub(crate) first_refusal: Option<String>,
}

impl Publishing {
    /// Connects, and shakes hands where the subject wants that.
    pub(crate) fn open(say: Say) -> io::Result<Self> {
        let mut socket = TcpStream::connect(say.addr)?;
        socket.set_nodelay(true)?;
        match &say.outlet {
            Outlet::WebSocket { path, protocol, .. } => {
                shake(&mut socket, &say, path, protocol.as_deref())?;
            }
            Outlet::Nats => {
                socket.write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")?;
            }
            Outlet::Mqtt { .. } => socket.write_all(&mqtt::connect("fanwire-load-publisher"))?,
            Outlet::Http { .. } | Outlet::Floor => {}
        }
        socket.set_nonblocking(true)?;
        let (pending, replies, lines) = (Vec::new(), Vec::new(), Vec::new());
        let (is_closed, refused, first_refusal) = (false, 0, None);
        Ok(Self {
            say,
            socket,
            pending,
            sent: 0,
            replies,
            lines,
            packet: 0,
            is_closed,
            refused,
            first_refusal,
        })
    }

    /// Whether another burst may be given to it.
    pub(crate) fn has_room(&self) -> bool {
        self.pending.len() - self.sent < PENDING_BYTES_MAX
    }

    /// Takes one event; `flush` sends it.
    pub(crate) fn push(&mut self, topic: u32, number: u64, payload: &[u8]) {
        let name = speech::topic_name(&self.say.topic, topic);
        let out = &mut self.pending;
        match &self.say.outlet {
            Outlet::Http { lines: true, .. } => {
                self.lines.extend_from_slice(payload);
                self.lines.push(b'\n');
            }
            Outlet::Http { path, lines: false } => {
                let kind = "application/json";
                post(out, &self.say, &path.replace("{topic}", &name), kind, payload);
            }
            Outlet::WebSocket { text, .. } => {
                let (before, after) = text.split_once("{payload}").unwrap_or((text, ""));
                let mut message = before.replace("{topic}", &name).into_bytes();
                message.extend_from_slice(payload);
                message.extend_from_slice(after.as_bytes());
                websocket::client_frame(out, websocket::TEXT, &message);
            }
            Outlet::Nats => {
                out.extend_from_slice(format!("PUB {name} {}\r\n", payload.len()).as_bytes());
                out.extend_from_slice(payload);
                out.extend_from_slice(b"\r\n");
            }
            Outlet::Mqtt { qos } => {
                // What is known by a number is acknowledged long before the number comes again.
                self.packet = self.packet.checked_add(1).unwrap_or(1);
                mqtt::publish(out, &name, (*qos > 0).then_some(self.packet), payload);
            }
            Outlet::Floor => {
                let message = envelope(&name, number, payload);
                let bytes = u32::try_from(message.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&topic.to_le_bytes());
                out.extend_from_slice(&bytes.to_le_bytes());
                out.extend_from_slice(&message);
            }
        }
    }

    /// Whether a burst goes as the lines of one body, all of them to one topic.
    pub(crate) const fn is_of_lines(&self) -> bool {
        matches!(self.say.outlet, Outlet::Http { lines: true, .. })
    }

    /// Ends a burst: all of it, to one topic, is on its way as far as the socket takes it.
    pub(crate) fn flush(&mut self, topic: u32) -> io::Result<()> {
        if !self.lines.is_empty()
            && let Outlet::Http { path, .. } = &self.say.outlet
        {
            let path = path.replace("{topic}", &speech::topic_name(&self.say.topic, topic));
            post(&mut self.pending, &self.say, &path, "application/x-ndjson", &self.lines);
            self.lines.clear();
        }
        self.drive()
    }

    /// Between two orders: a subject may close a publisher that says nothing, and then it is opened anew for the next order.
    pub(crate) fn idle(&mut self, is_ordered: bool) -> io::Result<()> {
        let driven = if self.is_closed { Ok(()) } else { self.drive() };
        match driven {
            Err(error)
                if error.kind() == ErrorKind::ConnectionAborted && self.pending.is_empty() =>
            {
                self.is_closed = true;
            }
            driven => driven?,
        }
        if self.is_closed && is_ordered {
            let (refused, first_refusal) = (self.refused, self.first_refusal.take());
            *self = Self { refused, first_refusal, ..Self::open(self.say.clone())? };
        }
        Ok(())
    }

    /// Sends what is pending and reads what was answered.
    pub(crate) fn drive(&mut self) -> io::Result<()> {
        while let Some(rest) = self.pending.get(self.sent..).filter(|it| !it.is_empty()) {
            match self.socket.write(rest) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if self.sent == self.pending.len() {
            self.pending.clear();
            self.sent = 0;
        }
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => {
                    return Err(io::Error::new(
                        ErrorKind::ConnectionAborted,
                        "the subject closed the publisher",
                    ));
                }
                Ok(read) => self.answered(chunk.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until the socket has something to say, can take more if it has to, or `ns` have passed.
    pub(crate) fn wait(&self, ns: u64) -> io::Result<()> {
        let mut flags = PollFlags::IN;
        if self.sent < self.pending.len() {
            flags |= PollFlags::OUT;
        }
        match poll(&mut [PollFd::new(&self.socket, flags)], Some(&clock::timespec(ns))) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn answered(&mut self, bytes: &[u8]) {
        self.replies.extend_from_slice(bytes);
        let needle: &[u8] = match self.say.outlet {
            Outlet::Http { .. } => b"HTTP/1.1 ",
            Outlet::WebSocket { .. } => b"\"type\":\"error\"",
            Outlet::Nats | Outlet::Floor => b"-ERR",
            // It says nothing but CONNACK: a broker that will not have a publisher closes.
            Outlet::Mqtt { .. } => b"\x20\x02\x00\x05",
        };
        let mut end = 0;
        for at in memmem::find_iter(&self.replies, needle) {
            let after = self.replies.get(at + needle.len()..).unwrap_or_default();
            let good =
                matches!(self.say.outlet, Outlet::Http { .. }) && after.first() == Some(&b'2');
            if after.is_empty() {
                break;
            }
            end = at + needle.len();
            if !good {
                self.refused += 1;
                let text = self.replies.get(at..).unwrap_or_default();
                let text =
                    String::from_utf8_lossy(text.get(..text.len().min(300)).unwrap_or_default());
                self.first_refusal.get_or_insert_with(|| text.into_owned());
            }
        }
        let kept = self.replies.len().saturating_sub(KEPT_BYTES).max(end);
        self.replies.drain(..kept);
    }
}

/// What the native protocol wraps around a payload: the floor sends the same bytes.
fn envelope(topic: &str, number: u64, payload: &[u8]) -> Vec<u8> {
    let mut message = format!(
        "{{\"type\":\"event\",\"subs\":[1],\"topic\":\"{topic}\",\"op\":\"event\",\"offset\":{number},\
         \"time_us\":1786600000000456,\"payload\":"
    )
    .into_bytes();
    message.extend_from_slice(payload);
    message.push(b'}');
    message
}

fn post(out: &mut Vec<u8>, say: &Say, path: &str, kind: &str, body: &[u8]) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        say.addr,
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body);
}

fn shake(socket: &mut TcpStream, say: &Say, path: &str, protocol: Option<&str>) -> io::Result<()> {
    let protocol =
        protocol.map(|it| format!("Sec-WebSocket-Protocol: {it}\r\n")).unwrap_or_default();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {}\r\n{protocol}\r\n",
        say.addr,
        websocket::KEY
    );
    socket.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while websocket::head(&answer).map_err(io::Error::other)?.is_none() {
        socket.read_exact(&mut byte)?;
        answer.extend_from_slice(&byte);
    }
    let head = websocket::head(&answer).map_err(io::Error::other)?;
    head.map_or(Ok(()), |it| it.upgraded().map_err(io::Error::other))
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::TcpListener;

    fn pair(outlet: Outlet) -> (Publishing, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let say =
            Say { addr: listener.local_addr().unwrap(), outlet, topic: "bench/{n}".to_owned() };
        let publishing = Publishing::open(say).unwrap();
        (publishing, listener.accept().unwrap().0)
    }

    fn heard(peer: &mut TcpStream, bytes: usize) -> String {
        let mut got = vec![0; bytes];
        peer.read_exact(&mut got).unwrap();
        String::from_utf8(got).unwrap()
    }

    #[test]
    fn a_burst_is_one_post() {
        let (mut it, mut peer) =
            pair(Outlet::Http { path: "/v1/publish/{topic}".to_owned(), lines: true });
        it.push(3, 1, b"{\"a\":1}");
        it.push(3, 2, b"{\"a\":2}");
        it.flush(3).unwrap();
        let text = heard(&mut peer, 100);
        assert!(text.starts_with("POST /v1/publish/bench/3 HTTP/1.1\r\n"), "{text}");
    }

    #[test]
    fn a_publisher_that_was_closed_while_it_was_idle_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let outlet = Outlet::Http { path: "/".to_owned(), lines: false };
        let say = Say { addr: listener.local_addr().unwrap(), outlet, topic: "t".to_owned() };
        let mut it = Publishing::open(say).unwrap();
        it.refused = 3;
        drop(listener.accept().unwrap());
        while !it.is_closed {
            it.wait(clock::MILLI).unwrap();
            it.idle(false).unwrap();
        }
        it.idle(true).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        it.push(0, 1, b"{}");
        it.flush(0).unwrap();
        assert!(heard(&mut peer, 20).starts_with("POST / HTTP/1.1\r\n"));
        assert_eq!(it.refused, 3);
        drop(peer);
        it.push(0, 2, b"{}");
        while it.drive().is_ok() {
            it.wait(clock::MILLI).unwrap();
        }
    }

    #[test]
    fn refusals_are_counted_however_answers_are_cut() {
        let (mut it, _peer) = pair(Outlet::Http { path: "/".to_owned(), lines: false });
        let answers = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 429 Too Many\r\n\r\nHTTP/1.1 202 A\r\n\r\n";
        for cut in 0..answers.len() {
            it.refused = 0;
            it.replies.clear();
            it.answered(&answers[..cut]);
            it.answered(&answers[cut..]);
            assert_eq!(it.refused, 1, "cut at {cut}");
        }
    }

    #[test]
    fn mqtt_is_told_topic_and_payload() {
        let (mut it, mut peer) = pair(Outlet::Mqtt { qos: 0 });
        assert!(heard(&mut peer, 36).ends_with("fanwire-load-publisher"));
        it.push(5, 1, b"{}");
        it.flush(5).unwrap();
        assert_eq!(heard(&mut peer, 13), "\x30\x0b\0\x07bench/5{}");
        let (mut it, mut peer) = pair(Outlet::Mqtt { qos: 1 });
        heard(&mut peer, 36);
        it.push(5, 1, b"{}");
        it.flush(5).unwrap();
        assert_eq!(heard(&mut peer, 15), "\x32\x0d\0\x07bench/5\0\x01{}");
    }

    #[test]
    fn the_floor_is_told_topic_and_length() {
        let (mut it, mut peer) = pair(Outlet::Floor);
        it.push(5, 1, b"{}");
        it.flush(5).unwrap();
        let mut head = [0; 8];
        peer.read_exact(&mut head).unwrap();
        let message = envelope("bench/5", 1, b"{}");
        assert_eq!(head[..4], 5_u32.to_le_bytes());
        assert_eq!(head[4..], u32::try_from(message.len()).unwrap().to_le_bytes());
        assert!(serde_json::from_slice::<serde_json::Value>(&message).is_ok());
    }
}
