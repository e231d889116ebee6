//! Those who have done nothing: readers of telemetry beside others that are slow in every way, a publisher, and clients that ask for something.
//!
//! What they may feel of anyone else is said here, in virtual time: how late an event is, how long a publisher waits for an answer, and how long
//! whoever asks, comes in or is put out.

use serde_json::json;

use super::attacks::Kind;
use super::stage::ADMIN;
use super::stage::KIB_US;
use super::stage::Stage;
use super::support::fits::with_tokens;
use super::support::frames;
use super::support::frames::Frame;
use super::support::frames::Reader;
use super::support::random::Random;
use super::support::world::Drain;
use super::support::world::Wire;

/// Microseconds within which what is asked or decided comes about.
pub(crate) const SOON_US: u64 = 50_000;
/// Within which a publisher is answered who takes turns with sixteen others that say a megabyte each: a turn takes one MiB of all of them.
const IN_TURN_US: u64 = 2 * SOON_US;
/// Those who keep up hear 99 of 100 events within this, in microseconds.
const P99_US: u64 = 50_000;
/// And none later than this.
const LATE_US_MAX: u64 = 10 * P99_US;
/// While more is published than can be told, none later than this: what waits on its way through a shard's budgets, told at half of the pace
/// at which it could be.
const SATURATED_LATE_US_MAX: u64 = 4_000_000;
/// Subscribers of each shard.
const READERS: usize = 12;
const SOCKET_BYTES: usize = 256 * 1024;
/// Topics that all of them hear, and some of which other shards order.
const TOPICS: usize = 3;
const PADDING_BYTES: usize = 6_000;
/// Those who are slow have less: so they are slow, and not merely late.
const SLOW_SOCKET_BYTES: usize = 16 * 1024;
/// Microseconds between two questions, and between two of those that take more.
const ASK_EVERY_US: u64 = 7_000;
const DECIDE_EVERY_US: u64 = 90_000;

pub(crate) fn upgrade(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Eats the head of an answer to an upgrade, once it is whole.
fn eat_head(bytes: &mut Vec<u8>) -> bool {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    end.inspect(|end| drop(bytes.drain(..end + 4))).is_some()
}

/// One subscriber.
struct Member {
    wire: Wire,
    keeps_up: bool,
    /// Until the head has come.
    head: Option<Vec<u8>>,
    reader: Reader,
    /// How it reads from when on.
    later: Option<(u64, Option<Drain>)>,
    heard: usize,
    /// The newest event that was heard of each topic.
    newest: [Option<usize>; TOPICS],
}

/// Somebody who waits for something.
struct Wish {
    wire: Wire,
    what: &'static str,
    words: &'static str,
    asked_us: u64,
    heard: Vec<u8>,
    /// Is revoked once it has been let in.
    jti: Option<String>,
}

pub(crate) struct Crowd {
    members: Vec<Member>,
    publisher: Wire,
    answers: Reader,
    publisher_head: Option<Vec<u8>>,
    /// When each event was said, and how many were taken or refused.
    said_us: Vec<u64>,
    answered: usize,
    refused: usize,
    began_us: u64,
    /// What telling one event takes a core.
    event_us: u64,
    every_us: u64,
    /// More is published than can be told.
    is_saturated: bool,
    /// No more is published than there is room for.
    has_room: bool,
    delays_us: Vec<u64>,
    wishes: Vec<Wish>,
    asked_us: u64,
    decided_us: u64,
    serial: u64,
}

/// One of the ways in which a reader may be slow; `None`: it does not read.
fn slowness(random: &mut Random) -> Option<Drain> {
    let bytes_per_s = 1024 + random.below(100 * 1024) as u64;
    let every_ms = if random.one_in(2) { 1 } else { 100 + random.below(1500) as u64 };
    (!random.one_in(3)).then_some(Drain { bytes_per_s, every_ms, next_ms: 0 })
}

/// Keeps up, and is behind for some milliseconds again and again.
const PAUSING: Drain = Drain { bytes_per_s: 1 << 30, every_ms: 3, next_ms: 0 };
const FAST: Drain = Drain { bytes_per_s: 1 << 30, every_ms: 1, next_ms: 0 };

impl Crowd {
    /// Of the subscribers so many in a hundred are slow, all of them at once or one after the other.
    pub(crate) fn new(
        stage: &mut Stage,
        slow_per_cent: usize,
        load_per_cent: u64,
        beside: &[Kind],
    ) -> Self {
        let shards = stage.world.shards.len();
        let at_once = stage.random.one_in(2);
        let mut members = Vec::new();
        for index in 0..READERS * shards {
            let slow = stage.random.pick::<&str>(&["disconnect", "drop_oldest", "latest_per_key"]);
            let is_slow = index / shards * 100 / READERS < slow_per_cent;
            let keeps_pausing = !is_slow && index % 3 == 0 && load_per_cent <= 100;
            let is_small = is_slow || keeps_pausing;
            let capacity = if is_small { SLOW_SOCKET_BYTES } else { SOCKET_BYTES };
            let wire = stage.open(index % shards, capacity);
            let slow = if is_slow { slow } else { "disconnect" };
            stage.say(wire, upgrade("/v1/ws").as_bytes());
            let wish = json!({"type": "subscribe", "id": 1, "topics": ["good/*"], "slow": slow});
            stage.say(wire, &frames::text(&wish.to_string()));
            let from_us = stage.now_us() + if at_once { 500_000 } else { 30_000 * index as u64 };
            let later = is_slow.then(|| (from_us, slowness(&mut stage.random)));
            let drain = if keeps_pausing { PAUSING } else { FAST };
            stage.world.sockets.get_mut(&wire).unwrap().drain = Some(drain);
            members.push(Member {
                wire,
                keeps_up: !is_slow,
                head: Some(Vec::new()),
                reader: Reader::new(false),
                later,
                heard: 0,
                newest: [None; TOPICS],
            });
        }
        let publisher = stage.open(0, SOCKET_BYTES);
        stage.say(publisher, upgrade("/v1/ws").as_bytes());
        // Who asks for everything that there was hears everything that comes, too.
        let others = beside.iter().filter(|kind| **kind == Kind::Past);
        let others: usize = others.map(|kind| kind.clients(shards)).sum();
        let readers = (READERS + others.div_ceil(shards)) as u64;
        let event_us = readers * (PADDING_BYTES as u64 + 120) * KIB_US / 1024;
        Self {
            members,
            publisher,
            answers: Reader::new(false),
            publisher_head: Some(Vec::new()),
            said_us: Vec::new(),
            answered: 0,
            refused: 0,
            began_us: stage.now_us(),
            event_us,
            every_us: event_us * 100 / load_per_cent,
            is_saturated: load_per_cent > 100,
            has_room: load_per_cent <= 100 && !beside.contains(&Kind::Inflated),
            delays_us: Vec::new(),
            wishes: Vec::new(),
            asked_us: 0,
            decided_us: 0,
            serial: 0,
        }
    }

    /// What they do in a turn; no more is said once `is_over`.
    pub(crate) fn act(&mut self, stage: &mut Stage, is_over: bool) {
        self.hear(stage);
        self.hear_answers(stage);
        self.look_at_wishes(stage);
        // So that everyone has joined.
        let start_us = self.began_us + 100_000;
        if is_over || stage.now_us() < start_us {
            return;
        }
        while start_us + self.said_us.len() as u64 * self.every_us <= stage.now_us() {
            self.publish(stage);
        }
        if stage.now_us() >= self.asked_us + ASK_EVERY_US {
            self.asked_us = stage.now_us();
            let shard = stage.any_shard();
            let target = stage.open(shard, SOCKET_BYTES);
            self.wish(
                stage,
                target,
                "GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n",
                "an answer",
                " 404 ",
            );
        }
        if stage.now_us() >= self.decided_us + DECIDE_EVERY_US {
            self.decided_us = stage.now_us();
            let shard = stage.any_shard();
            let wire = stage.open(shard, SOCKET_BYTES);
            self.serial += 1;
            let jti = format!("t{}", self.serial);
            let token = with_tokens(&format!(r#"«{{"sub":"eve","jti":"{jti}","exp":3000}}»"#));
            let head = upgrade(&format!("/v1/ws?topic=good/*&token={token}"));
            self.wish(stage, wire, &head, "an admission", "HTTP/1.1 101 ");
            self.wishes.last_mut().unwrap().jti = Some(jti);
        }
    }

    fn wish(
        &mut self,
        stage: &mut Stage,
        wire: Wire,
        said: &str,
        what: &'static str,
        words: &'static str,
    ) {
        stage.say(wire, said.as_bytes());
        let asked_us = stage.now_us();
        self.wishes.push(Wish { wire, what, words, asked_us, heard: Vec::new(), jti: None });
    }

    fn publish(&mut self, stage: &mut Stage) {
        let number = self.said_us.len();
        self.said_us.push(stage.now_us());
        let payload = json!({"n": number, "p": "x".repeat(PADDING_BYTES)});
        let topic = format!("good/{}", number % TOPICS);
        let message = json!({"type": "publish", "id": 1, "topic": topic, "key": format!("k{}", number % 20), "payload": payload});
        stage.say(self.publisher, &frames::text(&message.to_string()));
    }

    fn hear(&mut self, stage: &mut Stage) {
        let now_us = stage.now_us();
        for member in &mut self.members {
            let Some(socket) = stage.world.sockets.get_mut(&member.wire) else { continue };
            if let Some((from_us, drain)) = member.later
                && now_us >= from_us
            {
                (socket.drain, member.later) = (drain, None);
            }
            let heard = std::mem::take(&mut socket.heard);
            if !member.keeps_up || heard.is_empty() {
                continue;
            }
            if let Some(head) = &mut member.head {
                head.extend_from_slice(&heard);
                if eat_head(head) {
                    member.reader.push(&member.head.take().unwrap());
                }
            } else {
                member.reader.push(&heard);
            }
            while let Some(frame) = member.reader.next() {
                let Frame::Text(text) = frame else { panic!("who keeps up hears {frame:?}") };
                if !text.contains(r#""type":"event""#) {
                    continue;
                }
                let number = text.split(r#""n":"#).nth(1).unwrap();
                let number: u64 = number.split(',').next().unwrap().parse().unwrap();
                let number = usize::try_from(number).unwrap();
                member.heard += 1;
                // One publisher, several topics and shards: order is that of each topic.
                let newest = member.newest[number % TOPICS].replace(number);
                assert!(newest < Some(number), "{number} comes after {newest:?}");
                self.delays_us.push(now_us - self.said_us[number]);
            }
        }
        if !self.is_saturated {
            let due = self.said_us.partition_point(|said_us| said_us + LATE_US_MAX < now_us);
            let late = self.members.iter().any(|member| member.keeps_up && member.heard < due);
            assert!(!late, "one who keeps up has not heard an event after {LATE_US_MAX} us");
        }
    }

    fn hear_answers(&mut self, stage: &mut Stage) {
        let bytes = stage.world.read(self.publisher, usize::MAX);
        if let Some(head) = &mut self.publisher_head {
            head.extend_from_slice(&bytes);
            if eat_head(head) {
                self.answers.push(&self.publisher_head.take().unwrap());
            }
        } else {
            self.answers.push(&bytes);
        }
        while let Some(frame) = self.answers.next() {
            let Frame::Text(text) = frame else { panic!("a publisher hears {frame:?}") };
            match () {
                () if text.contains(r#""type":"published""#) => {}
                () if text.contains(r#""code":"full""#) => {
                    assert!(!self.has_room, "a publish was refused");
                    self.refused += 1;
                }
                () if text.contains(r#""type":"welcome""#) => continue,
                () => panic!("a publisher hears {text}"),
            }
            self.answered += 1;
        }
        if let Some(asked_us) = self.said_us.get(self.answered)
            && !self.is_saturated
        {
            let waits_us = stage.now_us() - asked_us;
            let most_us = if self.has_room { SOON_US } else { IN_TURN_US };
            assert!(waits_us <= most_us, "a publisher waits for {waits_us} us");
        }
    }

    fn look_at_wishes(&mut self, stage: &mut Stage) {
        let mut index = 0;
        while index < self.wishes.len() {
            let wish = &mut self.wishes[index];
            wish.heard.extend(stage.world.read(wish.wire, usize::MAX));
            let waits_us = stage.now_us() - wish.asked_us;
            let (heard, words) = (&wish.heard, wish.words.as_bytes());
            if heard.windows(words.len()).any(|window| window == words) {
                let mut wish = self.wishes.swap_remove(index);
                match wish.jti.take() {
                    Some(jti) => self.revoke(stage, wish, &jti),
                    None => stage.world.vanish(wish.wire),
                }
                continue;
            }
            let last = String::from_utf8_lossy(&heard[heard.len().saturating_sub(300)..]);
            assert!(waits_us <= SOON_US, "{} waits for {waits_us} us: {last:?}", wish.what);
            let keep = wish.heard.len().saturating_sub(300);
            if wish.what == "an end" {
                wish.heard.drain(..keep);
            }
            index += 1;
        }
    }

    /// Who has been let in is put out.
    fn revoke(&mut self, stage: &mut Stage, wish: Wish, jti: &str) {
        let shard = stage.any_shard();
        let admin = stage.open(shard, SOCKET_BYTES);
        let body = json!({"jti": jti}).to_string();
        let request = format!(
            "POST /v1/admin/revoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.wish(stage, admin, &request, "a revocation's answer", r#""revoked":true"#);
        let asked_us = stage.now_us();
        self.wishes.push(Wish {
            what: "an end",
            words: "token revoked",
            asked_us,
            heard: Vec::new(),
            ..wish
        });
    }

    /// Whether all that was said has been answered, and heard by those who keep up.
    pub(crate) fn is_done(&self) -> bool {
        let taken = self.answered - self.refused;
        let told = self.members.iter().filter(|member| member.keeps_up).count() * taken;
        self.answered == self.said_us.len()
            && self.wishes.is_empty()
            && self.delays_us.len() >= told
    }

    pub(crate) fn check(&mut self, stage: &Stage) -> String {
        for member in self.members.iter().filter(|member| member.keeps_up) {
            assert!(stage.world.is_open(member.wire), "one who keeps up was closed");
        }
        let taken = self.answered - self.refused;
        let told = self.members.iter().filter(|member| member.keeps_up).count() * taken;
        assert_eq!(self.delays_us.len(), told, "those who keep up hear each event once");
        self.delays_us.sort_unstable();
        let delays_us = &self.delays_us;
        let late_us = |per_cent| delays_us.get(delays_us.len() * per_cent / 100);
        let (p99_us, max_us) = (late_us(99), delays_us.last());
        let (p99_us, max_us) = (p99_us.copied().unwrap_or(0), max_us.copied().unwrap_or(0));
        let felt = format!(
            "{} of {} refused; the others {p99_us} us late, {max_us} at most",
            self.refused,
            self.said_us.len()
        );
        let (p99_us_max, us_max) = match self.is_saturated {
            false => (P99_US, LATE_US_MAX),
            true => (SATURATED_LATE_US_MAX, SATURATED_LATE_US_MAX),
        };
        assert!(p99_us <= p99_us_max && max_us <= us_max, "{felt}");
        // Those who attack have work done for them, too; that leaves two fifths of what could be told at least.
        let said = self.said_us.len();
        let could_tell = (stage.now_us() - self.began_us) / self.event_us;
        let most = (said as u64).min(could_tell);
        assert!(
            5 * taken as u64 >= 2 * most,
            "{taken} of {said} taken, {could_tell} could be told"
        );
        let is_refused_little = self.is_saturated || 10 * self.refused <= said;
        assert!(is_refused_little, "what others say has no room for one in ten: {felt}");
        felt
    }
}
