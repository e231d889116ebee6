//! Five hundred subscribers of one shard, and sockets that take as much as they are told to: what the test makes of it is not counted.

use std::cell::RefCell;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

use fanwire::clock::Now;
use fanwire::config::Config;
use fanwire::event::ShardId;
use fanwire::server::Server;
use fanwire::shard::ConnId;
use fanwire::shard::Port;
use fanwire::shard::Sent;
use fanwire::shard::Shard;
use fanwire::shard::Sink;

use super::kind::Kind;
use super::kind::SUBSCRIBERS;
use super::kind::payload;
use crate::heap::uncounted;
use crate::support::frames::masked;

/// One in so many subscribers is checked byte for byte; of the others what they took is counted.
const WITNESSES: usize = 50;

/// Sockets: how much each takes before it is full, and what it took.
#[derive(Default)]
struct Sockets {
    rooms: Vec<usize>,
    taken: Vec<Vec<u8>>,
    counts: Vec<usize>,
    is_full: Vec<bool>,
}

struct Hands(Rc<RefCell<Sockets>>);

impl Hands {
    fn take(&self, conn: ConnId, pieces: &[&[u8]]) -> usize {
        let mut sockets = self.0.borrow_mut();
        let index = conn.index();
        let mut count = 0;
        for piece in pieces {
            let taken = piece.len().min(sockets.rooms[index]);
            sockets.rooms[index] -= taken;
            sockets.counts[index] += taken;
            count += taken;
            if index.is_multiple_of(WITNESSES) {
                sockets.taken[index].extend_from_slice(&piece[..taken]);
            }
            if taken < piece.len() {
                sockets.is_full[index] = true;
                break;
            }
        }
        count
    }
}

impl Sink for Hands {
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Sent {
        uncounted(|| Sent::Took(self.take(conn, &[bytes])))
    }

    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent {
        uncounted(|| Sent::Took(self.take(conn, pieces)))
    }
}

pub(crate) struct Crowd {
    kind: Kind,
    shard: Shard,
    sockets: Rc<RefCell<Sockets>>,
    subscribers: Vec<ConnId>,
    publisher: ConnId,
    payload: String,
    now: Now,
}

/// The digits, or the quoted time, behind a word.
fn stamp_after<'t>(text: &'t str, word: &str) -> &'t str {
    let start =
        text.find(word).unwrap_or_else(|| panic!("no {word} in {}", &text[..200.min(text.len())]))
            + word.len();
    let rest = &text[start..];
    &rest[..rest.find([',', '}']).unwrap()]
}

/// The same behind its last occurrence.
fn last_stamp<'t>(text: &'t str, word: &str) -> &'t str {
    let start = text.rfind(word).unwrap() + word.len();
    let rest = &text[start..];
    &rest[..rest.find([',', '}']).unwrap()]
}

impl Crowd {
    pub(crate) fn new(kind: Kind) -> Self {
        let now = Now { mono_ms: 1000, wall_us: 1_786_600_000_000_000 };
        let config = Config { connections_max: 100_000, ..Config::default() };
        let settings = Server::shard_settings(&config, 1).expect("it is the default");
        let shard = Shard::new(ShardId(0), 1, settings, Arc::from("e1"));
        let sockets = Rc::default();
        let payload = payload(
            kind.has_lines(),
            if matches!(kind, Kind::Smaller | Kind::Apart) { 32 } else { 1 },
        );
        let mut crowd = Self {
            kind,
            shard,
            sockets,
            subscribers: Vec::new(),
            publisher: ConnId(0),
            payload,
            now,
        };
        for index in 0..SUBSCRIBERS {
            let id = crowd.open();
            assert_eq!(id.index(), index);
            crowd.subscribers.push(id);
            crowd.hear(id, kind.request(index));
            if kind != Kind::Past {
                crowd.subscribe(index);
            }
        }
        crowd.publisher = crowd.open();
        if let Kind::Deflate { .. } | Kind::Rate = kind {
            // The streams begin, and the windows.
            crowd.publish(br#"{"n":0}"#.to_vec());
        }
        for index in 0..SUBSCRIBERS {
            let id = crowd.subscribers[index];
            let mut sockets = crowd.sockets.borrow_mut();
            if !matches!(kind, Kind::Deflate { .. }) {
                sockets.taken[id.index()].clear();
            }
            sockets.counts[id.index()] = 0;
        }
        crowd
    }

    fn subscribe(&mut self, index: usize) {
        for text in self.kind.subscriptions(index) {
            self.hear(self.subscribers[index], masked(1, text.as_bytes()));
        }
    }

    fn open(&mut self) -> ConnId {
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let id = self.shard.open(Port::Shared, peer, self.now).expect("there is room").id;
        let mut sockets = self.sockets.borrow_mut();
        sockets.rooms.push(usize::MAX);
        sockets.taken.push(Vec::new());
        sockets.counts.push(0);
        sockets.is_full.push(false);
        id
    }

    fn hear(&mut self, id: ConnId, mut bytes: Vec<u8>) {
        for piece in bytes.chunks_mut(64 * 1024) {
            self.shard.received(id, piece, self.now);
            self.work();
        }
    }

    fn work(&mut self) {
        let mut hands = Hands(Rc::clone(&self.sockets));
        loop {
            self.shard.work(&mut hands, self.now);
            if let Some(gone) = self.shard.poll_gone() {
                let taken = &self.sockets.borrow().taken[gone.index()];
                panic!("{:?}: {gone:?} was closed: {}", self.kind, String::from_utf8_lossy(taken));
            }
            if !self.shard.has_work() {
                return;
            }
        }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_us += ms * 1000;
        self.work();
    }

    /// From now on every subscriber's socket takes so many bytes, and then no more.
    pub(crate) fn give_room(&mut self, room: usize) {
        let mut sockets = self.sockets.borrow_mut();
        for id in &self.subscribers {
            sockets.rooms[id.index()] = room;
        }
    }

    /// Three events arrive at once.
    fn publish_apart(&mut self) {
        for topic in ["t", "other", "u"] {
            let mut request = uncounted(|| {
                let body = &self.payload;
                let length = body.len();
                format!("POST /v1/publish/{topic} HTTP/1.1\r\nHost: x\r\nFanwire-Key: k\r\nContent-Length: {length}\r\n\r\n{body}")
                    .into_bytes()
            });
            self.shard.received(self.publisher, &mut request, self.now);
            uncounted(|| drop(request));
        }
        self.work();
    }

    fn publish(&mut self, body: Vec<u8>) {
        let head = format!(
            "POST /v1/publish/t HTTP/1.1\r\nHost: x\r\nFanwire-Key: k\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.hear(self.publisher, head.into_bytes());
        self.hear(self.publisher, body);
        let answers = String::from_utf8_lossy(&self.sockets.borrow().taken[self.publisher.index()])
            .into_owned();
        assert!(answers.contains("200 OK") && !answers.contains("error"), "{answers}");
        // What is batched is due, and what is held.
        self.pass(100);
        if self.kind == Kind::Rate {
            self.pass(1000);
        }
    }

    pub(crate) fn publish_large(&mut self) {
        if self.kind == Kind::Apart {
            return self.publish_apart();
        }
        let body = uncounted(|| self.payload.clone().into_bytes());
        self.publish(body);
        if self.kind == Kind::Past {
            (0..SUBSCRIBERS).for_each(|index| self.subscribe(index));
        }
    }

    pub(crate) fn publish_small(&mut self) {
        if self.kind == Kind::Apart {
            return;
        }
        self.publish(br#"{"n":1}"#.to_vec());
    }

    /// A subscriber reads all there is, and it must be right.
    pub(crate) fn read_to_the_end(&mut self, index: usize) {
        let id = self.subscribers[index];
        let at_once = match index / WITNESSES {
            0 => 1_000,
            witness => [64 * 1024, usize::MAX, 300_000][witness % 3],
        };
        loop {
            let was_full = uncounted(|| {
                let mut sockets = self.sockets.borrow_mut();
                sockets.rooms[id.index()] = at_once;
                std::mem::take(&mut sockets.is_full[id.index()])
            });
            if !was_full {
                break;
            }
            self.shard.writable(id, self.now);
            self.work();
        }
    }

    /// What a subscriber got is right, to the byte.
    pub(crate) fn check(&mut self, index: usize) {
        self.check_of(index, self.subscribers[index]);
    }

    fn check_of(&mut self, index: usize, id: ConnId) {
        let count = self.sockets.borrow().counts[id.index()];
        assert!(
            count > self.payload.len() / 10,
            "{:?}: subscriber {index} got {count} bytes",
            self.kind
        );
        if !index.is_multiple_of(WITNESSES) {
            return;
        }
        let bytes = std::mem::take(&mut self.sockets.borrow_mut().taken[id.index()]);
        let bytes = match self.kind {
            Kind::Deflate { .. } => {
                let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a reply");
                bytes[end + 4..].to_vec()
            }
            _ => bytes,
        };
        let mut texts = self.kind.messages(index, &bytes);
        if matches!(self.kind, Kind::Past | Kind::Deflate { .. }) {
            // What it was told before, and what is no event.
            let before = if self.kind == Kind::Past { "none" } else { r#""offset":1,"# };
            texts.retain(|text| text.contains(r#""payload""#) && !text.contains(before));
        }
        let want = self.wanted(index, &texts);
        let heads: Vec<&str> = texts.iter().map(|text| &text[..text.len().min(100)]).collect();
        assert_eq!(texts.len(), want.len(), "{:?}, subscriber {index}: {heads:?}", self.kind);
        for (text, want) in texts.iter().zip(&want) {
            let differs = text.bytes().zip(want.bytes()).position(|(a, b)| a != b);
            let at = differs.unwrap_or_else(|| text.len().min(want.len())).saturating_sub(60);
            let near = |text: &str| {
                text.get(at..(at + 200).min(text.len())).unwrap_or_default().to_owned()
            };
            assert!(
                text == want,
                "{:?}, subscriber {index}: {} and {} bytes, at {at} {:?} instead of {:?}",
                self.kind,
                text.len(),
                want.len(),
                near(text),
                near(want)
            );
        }
    }

    /// What a subscriber should have been told, word for word.
    fn wanted(&self, index: usize, texts: &[String]) -> Vec<String> {
        let large = self.wanted_payload(index);
        let small = match self.kind {
            kind if kind.has_fields() => "{}",
            _ => r#"{"n":1}"#,
        };
        let first = texts.first().map_or("", |text| text);
        let last = texts.last().map_or("", |text| text);
        let offset = |text: &str| stamp_after(text, r#""offset":"#).to_owned();
        let message = |text: &str, payload: &str| match self.kind {
            Kind::Peat | Kind::PeatSse | Kind::PeatConnect => format!(
                r#"{{"collection":"t","docId":"k","changeType":"CHANGE_TYPE_UPSERT","jsonData":{}}}"#,
                serde_json::to_string(payload).unwrap()
            ),
            Kind::HyperBeam => format!(
                r#"{{"type":"message","topic":"t","data":{payload},"timestamp":{}}}"#,
                last_stamp(text, r#""timestamp":"#)
            ),
            Kind::Provisioning { .. } => format!(
                r#"{{"event_type":"t","timestamp":{},"data":{payload},"metadata":{{"key":"k"}}}}"#,
                last_stamp(text, r#""timestamp":"#)
            ),
            Kind::Sse { .. } => format!(
                r#"{{"topic":"t","key":"k","op":"upsert","offset":{},"time_us":{},"payload":{payload}}}"#,
                offset(text),
                stamp_after(text, r#""time_us":"#)
            ),
            _ => format!(
                r#"{{{}"subs":[{}],"topic":"t","key":"k","op":"upsert","offset":{},"time_us":{},"payload":{payload}}}"#,
                if self.is_batched() { "" } else { r#""type":"event","# },
                match self.kind {
                    Kind::TwoSubscriptions => format!(r#"{},"both""#, self.kind.id(index)),
                    kind => kind.id(index),
                },
                offset(text),
                stamp_after(text, r#""time_us":"#)
            ),
        };
        let whole = |text: &str, payload: &str| match self.kind {
            Kind::Provisioning { batch: true } => format!(
                r#"{{"type":"batch","timestamp":{},"events":[{}]}}"#,
                stamp_after(text, r#""timestamp":"#),
                message(text, payload)
            ),
            _ if self.is_batched() => {
                format!(r#"{{"type":"batch","events":[{}]}}"#, message(text, payload))
            }
            _ => message(text, payload),
        };
        if self.kind == Kind::Apart {
            let second = whole(last, &large).replace(r#""topic":"t""#, r#""topic":"u""#);
            return vec![whole(first, &large), second];
        }
        vec![whole(first, &large), whole(last, small)]
    }

    fn is_batched(&self) -> bool {
        matches!(self.kind, Kind::Batch | Kind::Deflate { batch: true, .. })
    }

    fn wanted_payload(&self, index: usize) -> String {
        let payload = if self.kind.has_lines() {
            self.payload.replace("\r\n", "\n")
        } else {
            self.payload.clone()
        };
        if !self.kind.has_fields() {
            return payload;
        }
        let value = |member: usize| {
            let start = payload.find(&format!(r#""m{member}":"#)).unwrap();
            let end = payload[start..].find(&format!(r#","m{}":"#, member + 1));
            let end =
                end.map_or_else(|| payload.trim_end_matches(['\n', '}']).len(), |end| start + end);
            payload[start..end].to_owned()
        };
        let members: Vec<String> = self.kind.members(index).into_iter().map(value).collect();
        format!("{{{}}}", members.join(","))
    }
}
