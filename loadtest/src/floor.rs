//! The floor: a server that does nothing but `send` the same bytes to the same sockets, one thread, in descriptor order.
//!
//! It accepts a WebSocket on any path, whose last segment lists topic numbers, and takes messages to send on a second port.
//! A subscriber is greeted with its handshake and answered once when it says something, with as many bytes as the native
//! protocol's: the floor of joining. What a real server spends above this is its own doing. Invariant: per message and subscriber
//! one `send` of bytes framed once, and nothing else. Never looks at what a subscriber says, never parses a message.

use crate::child;
use crate::child::Orders;
use crate::clock;
use crate::clock::MILLI;
use crate::limits::FLOOR_OUTBOX_BYTES_MAX;
use crate::limits::HEAD_BYTES_MAX;
use crate::limits::READY_MAX;
use crate::message::FloorPlan;
use crate::message::Word;
use crate::num;
use crate::websocket;

use std::io;
use std::io::Read as _;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;

use rustix::event::epoll;
use rustix::event::epoll::Event;
use rustix::event::epoll::EventData;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net;
use rustix::net::AddressFamily;
use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::sockopt;

/// What epoll says instead of a subscriber's index.
const LISTENER: u64 = u64::MAX;
const PUBLISHERS: u64 = u64::MAX - 1;
const PUBLISHER: u64 = u64::MAX - 2;

/// What the native protocol says first, and to a subscription.
const GREETING: &str = r#"{"type":"welcome","protocol":"fanwire.v1","server":"fanwire/0.1.0","epoch":"6540f3a2c81f0"}"#;
const ANSWERS: [&str; 2] = [
    r#"{"type":"subscribed","id":1}"#,
    r#"{"type":"live","id":1,"epoch":"6540f3a2c81f0","offsets":{"bench/0":0},"time_us":1786600000000123,"replayed":0}"#,
];

const BACKLOG: i32 = 4096;
const READ_BYTES: usize = 64 * 1024;

/// A subscriber's socket.
#[derive(Debug)]
struct Member {
    socket: Option<OwnedFd>,
    /// Its request so far; once it has joined, what a full socket did not take.
    held: Vec<u8>,
    joined: bool,
    /// It has said something and was answered.
    answered: bool,
}

#[derive(Debug)]
struct Floor {
    epoll: OwnedFd,
    members: Vec<Member>,
    /// Members by topic, in the order of their descriptors.
    topics: Vec<Vec<usize>>,
    frames_per_send: u32,
    publisher: Option<TcpStream>,
    taken: Vec<u8>,
    batch: Vec<u8>,
    batched: u32,
    batch_topic: usize,
    scratch: Vec<u8>,
    handshake: Vec<u8>,
    answer: Vec<u8>,
}

/// Runs until its orders end.
pub(crate) fn run(plan: &FloorPlan) -> io::Result<()> {
    let listener = listen()?;
    let publishers = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    epoll::add(&epoll, &publishers, EventData::new_u64(PUBLISHERS), EventFlags::IN)?;
    child::say(&Word::Listening {
        subscribers: SocketAddr::try_from(net::getsockname(&listener)?)?.port(),
        publishers: publishers.local_addr()?.port(),
    })?;
    let mut floor = Floor {
        epoll,
        members: Vec::new(),
        topics: vec![Vec::new(); num::index(u64::from(plan.topics.max(1)))],
        frames_per_send: plan.frames_per_send.max(1),
        publisher: None,
        taken: Vec::new(),
        batch: Vec::new(),
        batched: 0,
        batch_topic: 0,
        scratch: vec![0; READ_BYTES],
        handshake: handshake(),
        answer: answer(),
    };
    let mut orders = Orders::default();
    let mut looked_ns = 0;
    let mut ready =
        vec![Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; READY_MAX];
    loop {
        let found = match epoll::wait(
            &floor.epoll,
            ready.as_mut_slice(),
            Some(&clock::timespec(50 * MILLI)),
        ) {
            Err(Errno::INTR) => 0,
            found => found?,
        };
        for event in ready.get(..found).unwrap_or_default() {
            match event.data.u64() {
                LISTENER => floor.accept(&listener)?,
                PUBLISHERS => floor.accept_publisher(&publishers)?,
                PUBLISHER => floor.publish()?,
                member => floor.turn(num::index(member), event.flags)?,
            }
        }
        // The end of the input is how the floor is told to go; looked at seldom, for it costs two system calls.
        let now = clock::now_ns();
        if now - looked_ns > 50 * MILLI {
            looked_ns = now;
            match orders.next(&clock::timespec(0)) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                order => order.map(drop)?,
            }
        }
    }
}

fn listen() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let listener = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    net::bind(&listener, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

impl Floor {
    fn accept(&mut self, listener: &OwnedFd) -> io::Result<()> {
        loop {
            let socket =
                match net::accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                    Ok(socket) => socket,
                    Err(Errno::AGAIN | Errno::CONNABORTED) => return Ok(()),
                    Err(error) => return Err(error.into()),
                };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let index = num::count(self.members.len());
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, &socket, EventData::new_u64(index), flags)?;
            self.members.push(Member {
                socket: Some(socket),
                held: Vec::new(),
                joined: false,
                answered: false,
            });
        }
    }

    fn accept_publisher(&mut self, publishers: &TcpListener) -> io::Result<()> {
        let (socket, _) = publishers.accept()?;
        socket.set_nonblocking(true)?;
        epoll::add(&self.epoll, &socket, EventData::new_u64(PUBLISHER), EventFlags::IN)?;
        self.publisher = Some(socket);
        Ok(())
    }

    fn turn(&mut self, index: usize, flags: EventFlags) -> io::Result<()> {
        let Some(member) = self.members.get_mut(index) else { return Ok(()) };
        let Some(socket) = &member.socket else { return Ok(()) };
        if member.joined && flags.contains(EventFlags::OUT) && !member.held.is_empty() {
            let held = std::mem::take(&mut member.held);
            send(member, &held)?;
            return Ok(());
        }
        if !flags.contains(EventFlags::IN) {
            return Ok(());
        }
        let mut said = false;
        loop {
            match net::recv(socket, self.scratch.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((0, _)) | Err(Errno::CONNRESET) => {
                    member.socket = None;
                    return Ok(());
                }
                Ok((read, _)) if !member.joined => {
                    member.held.extend_from_slice(self.scratch.get(..read).unwrap_or_default());
                }
                Ok(_) => said = true,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if said && !member.answered {
            member.answered = true;
            return send(member, &self.answer);
        }
        if !member.joined && member.held.ends_with(b"\r\n\r\n") { self.join(index) } else { Ok(()) }
    }

    fn join(&mut self, index: usize) -> io::Result<()> {
        let Some(member) = self.members.get_mut(index) else { return Ok(()) };
        let request = std::mem::take(&mut member.held);
        if request.len() > HEAD_BYTES_MAX
            || memchr::memmem::find(&request, websocket::KEY.as_bytes()).is_none()
        {
            send(member, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")?;
            member.socket = None;
            return Ok(());
        }
        send(member, &self.handshake)?;
        member.joined = true;
        for topic in topics(&request) {
            if let Some(members) = self.topics.get_mut(topic) {
                // Handshakes may end in another order than connections began; sends go in the order of descriptors.
                let at = members.partition_point(|&it| it < index);
                members.insert(at, index);
            }
        }
        Ok(())
    }

    fn publish(&mut self) -> io::Result<()> {
        let Some(publisher) = &mut self.publisher else { return Ok(()) };
        match publisher.read(&mut self.scratch) {
            Ok(0) => {
                self.publisher = None;
                return Ok(());
            }
            Ok(read) => self.taken.extend_from_slice(self.scratch.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let taken = std::mem::take(&mut self.taken);
        let mut rest = taken.as_slice();
        while let Some((topic, message, after)) = message(rest) {
            if topic != self.batch_topic {
                self.send_all()?;
                self.batch_topic = topic;
            }
            websocket::server_frame(&mut self.batch, websocket::TEXT, message);
            self.batched += 1;
            if self.batched == self.frames_per_send {
                self.send_all()?;
            }
            rest = after;
        }
        self.taken = rest.to_vec();
        Ok(())
    }

    /// The measured loop.
    fn send_all(&mut self) -> io::Result<()> {
        if self.batched == 0 {
            return Ok(());
        }
        for &index in self.topics.get(self.batch_topic).map(Vec::as_slice).unwrap_or_default() {
            if let Some(member) = self.members.get_mut(index) {
                send(member, &self.batch)?;
            }
        }
        self.batch.clear();
        self.batched = 0;
        Ok(())
    }
}

fn handshake() -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        websocket::ACCEPT
    )
    .into_bytes();
    websocket::server_frame(&mut bytes, websocket::TEXT, GREETING.as_bytes());
    bytes
}

fn answer() -> Vec<u8> {
    let mut bytes = Vec::new();
    ANSWERS
        .iter()
        .for_each(|it| websocket::server_frame(&mut bytes, websocket::TEXT, it.as_bytes()));
    bytes
}

fn send(member: &mut Member, bytes: &[u8]) -> io::Result<()> {
    let Some(socket) = &member.socket else { return Ok(()) };
    let mut sent = 0;
    if member.held.is_empty() {
        sent = match net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN) => 0,
            Err(Errno::PIPE | Errno::CONNRESET) => {
                member.socket = None;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
    }
    if sent < bytes.len() {
        member.held.extend_from_slice(bytes.get(sent..).unwrap_or_default());
        if member.held.len() > FLOOR_OUTBOX_BYTES_MAX {
            return Err(io::Error::other(
                "a subscriber of the floor is too far behind to measure anything",
            ));
        }
    }
    Ok(())
}

/// The topic numbers in the last segment of the request's path; without any, topic 0.
fn topics(request: &[u8]) -> Vec<usize> {
    let line = request.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let path = line.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    let segment = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let numbers: Vec<usize> = String::from_utf8_lossy(segment)
        .split(',')
        .filter_map(|number| number.parse().ok())
        .collect();
    if numbers.is_empty() { vec![0] } else { numbers }
}

/// The first whole message, its topic, and what follows it.
fn message(bytes: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (topic, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (message, rest) =
        rest.split_at_checked(num::index(u64::from(u32::from_le_bytes(*length))))?;
    Some((num::index(u64::from(u32::from_le_bytes(*topic))), message, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_in_the_last_segment() {
        assert_eq!(topics(b"GET /t/3,17 HTTP/1.1\r\nHost: x\r\n\r\n"), [3, 17]);
        assert_eq!(topics(b"GET /any HTTP/1.1\r\n\r\n"), [0]);
        assert_eq!(topics(b""), [0]);
    }

    #[test]
    fn messages_are_cut_at_their_length() {
        let mut bytes = vec![2, 0, 0, 0, 3, 0, 0, 0];
        bytes.extend_from_slice(b"abcrest");
        assert_eq!(message(&bytes), Some((2, &b"abc"[..], &b"rest"[..])));
        assert_eq!(message(&bytes[..10]), None);
    }
}
