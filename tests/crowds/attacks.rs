//! What one who hates the others does beside them, within every limit.

use serde_json::json;

use super::crowd::upgrade;
use super::stage::Stage;
use super::support::frames;
use super::support::mqtt;
use super::support::world::Drain;
use super::support::world::Wire;

const KIB: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Subscribers that each chose an id of their own, or do not read, and an event of up to a megabyte.
    Large,
    /// A filter on another field, again and again.
    Churn,
    /// Topics that nobody has named before.
    Names,
    /// Uploads of the shortest lines there are.
    Lines,
    /// Heads and bodies a byte at a time.
    Drip,
    /// Commands of several kinds in one segment, or cut anywhere: they are answered in order.
    Order,
    /// The dearest filters, and an event that makes them dear.
    Filters,
    /// Expressions that take long to compile.
    Expressions,
    /// Requests whose answers are not read.
    Pipeline,
    /// Messages that never end.
    Unfinished,
    /// The last event of each of many keys, again and again.
    Last,
    /// Rates whose windows all end at the same moment.
    Windows,
    /// Everything that is kept, for many at once.
    Past,
    /// Compressed publishes that are a thousand times as long as what is read.
    Inflated,
    /// More small events on every shard than its core can tell.
    Flood,
    /// Clients of MQTT, each with all that one may have the server remember and half a packet, which go and leave a session and a will.
    Fleet,
}

pub(crate) const KINDS: [Kind; 15] = [
    Kind::Large,
    Kind::Churn,
    Kind::Names,
    Kind::Lines,
    Kind::Drip,
    Kind::Order,
    Kind::Filters,
    Kind::Expressions,
    Kind::Pipeline,
    Kind::Unfinished,
    Kind::Last,
    Kind::Windows,
    Kind::Past,
    Kind::Inflated,
    Kind::Flood,
];

pub(crate) struct Attack {
    pub(crate) kind: Kind,
    wires: Vec<Wire>,
    heard: Vec<Vec<u8>>,
    acted_us: u64,
    began_us: u64,
    count: usize,
    /// What was said in order and not answered yet.
    awaited: Vec<&'static str>,
}

fn says(message: &serde_json::Value) -> Vec<u8> {
    frames::text(&message.to_string())
}

/// As dear as a filter may be: none of its tests finds anything.
fn dear(number: usize) -> String {
    let test = |part| format!("a ilike '%{}b{}%'", "_a".repeat(100), number * 14 + part);
    (0..14).map(test).collect::<Vec<_>>().join(" or ")
}

impl Kind {
    /// How many clients of it there are.
    pub(crate) const fn clients(self, shards: usize) -> usize {
        match self {
            Self::Large | Self::Pipeline | Self::Past => 40,
            Self::Unfinished => 60,
            Self::Inflated | Self::Fleet => 16,
            Self::Flood => shards,
            Self::Drip | Self::Windows => 10,
            Self::Expressions => 8,
            Self::Names | Self::Lines | Self::Last => 2,
            Self::Churn | Self::Order | Self::Filters => 1,
        }
    }
}

impl Attack {
    pub(crate) fn new(stage: &mut Stage, kind: Kind) -> Self {
        let clients = kind.clients(stage.world.shards.len());
        let mut this = Self {
            kind,
            wires: Vec::new(),
            heard: vec![Vec::new(); clients],
            acted_us: 0,
            began_us: stage.now_us(),
            count: 0,
            awaited: Vec::new(),
        };
        for index in 0..clients {
            let wire = this.join(stage, index);
            this.wires.push(wire);
        }
        this
    }

    /// Where clients of this kind read, how much their sockets take.
    fn join(&self, stage: &mut Stage, index: usize) -> Wire {
        let shard = match self.kind {
            Kind::Flood => index,
            _ => stage.any_shard(),
        };
        let reads = match self.kind {
            Kind::Large => index.is_multiple_of(20),
            Kind::Pipeline => false,
            _ => true,
        };
        let capacity = if reads { 64 * KIB } else { 4 * KIB };
        let wire = match self.kind {
            Kind::Fleet => stage.open_to_mqtt(shard, capacity),
            // Those from elsewhere may not say so much.
            Kind::Flood | Kind::Names => stage.open(shard, capacity),
            _ => stage.open_elsewhere(shard, capacity),
        };
        if reads {
            stage.world.sockets.get_mut(&wire).unwrap().drain = Some(Drain::steady(50 << 20));
        }
        let is_socket =
            !matches!(self.kind, Kind::Drip | Kind::Lines | Kind::Pipeline | Kind::Fleet);
        if self.kind == Kind::Inflated {
            let extensions = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
            stage.say(wire, upgrade("/v1/ws").replace("\r\n\r\n", extensions).as_bytes());
        } else if is_socket {
            stage.say(wire, upgrade("/v1/ws").as_bytes());
        }
        match self.kind {
            Kind::Large => {
                let mut wish = json!({"type": "subscribe", "id": format!("c{index}"), "topics": ["large"], "slow": "drop_oldest"});
                if index % 5 == 1 {
                    wish["fields"] = json!(["n", format!("f{index}"), "p"]);
                }
                stage.say(wire, &says(&wish));
            }
            Kind::Churn => {
                let wish =
                    json!({"type": "subscribe", "id": 1, "topics": ["good/*"], "filter": "f = 1"});
                stage.say(wire, &says(&wish));
            }
            Kind::Filters => {
                for number in 0..64 {
                    let wish = json!({"type": "subscribe", "id": number, "topics": ["dear"], "filter": dear(number)});
                    stage.say(wire, &says(&wish));
                }
            }
            Kind::Windows => {
                let wish = json!({"type": "subscribe", "id": index, "topics": ["paced/*"], "max_rate": {"per": "key", "hz": 2}});
                stage.say(wire, &says(&wish));
            }
            _ => {}
        }
        wire
    }

    /// How often it does something, in microseconds.
    fn every_us(&self) -> u64 {
        match self.kind {
            Kind::Large => 600_000,
            Kind::Churn | Kind::Expressions | Kind::Last => 10_000,
            Kind::Names | Kind::Windows | Kind::Order => 20_000,
            Kind::Flood => 3_000,
            Kind::Inflated => 250_000,
            Kind::Lines | Kind::Pipeline | Kind::Unfinished | Kind::Fleet => 30_000,
            Kind::Drip | Kind::Past => 100_000,
            Kind::Filters => 150_000,
        }
    }

    pub(crate) fn act(&mut self, stage: &mut Stage, is_over: bool) {
        self.hear(stage);
        if is_over || stage.now_us() < self.acted_us + self.every_us() {
            return;
        }
        self.acted_us = stage.now_us();
        self.count += 1;
        let (wire, count) = (self.wires[self.count % self.wires.len()], self.count);
        match self.kind {
            Kind::Large => {
                let bytes = 100 * KIB + stage.random.below(900 * KIB);
                let payload = json!({"n": 1, "p": "x".repeat(bytes)});
                self.publish(stage, wire, "large", "", &payload);
            }
            Kind::Churn => {
                let names: Vec<String> = (0..250).map(|n| format!("f{count}_{n} = 1")).collect();
                let update = json!({"type": "update", "id": 1, "filter": names.join(" or ")});
                stage.say(wire, &says(&update));
            }
            Kind::Names => {
                for n in 0..800 {
                    let topic = format!("names/{count}/{}/{n}", wire.shard);
                    self.publish(stage, wire, &topic, "", &json!({"x": 1}));
                }
            }
            Kind::Lines => {
                let body = "{}\n".repeat(20_000);
                let head = format!(
                    "POST /v1/publish/lines HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stage.say(wire, head.as_bytes());
                stage.say(wire, body.as_bytes());
            }
            Kind::Drip => self.drip(stage),
            Kind::Order => self.say_in_order(stage, wire),
            Kind::Filters => {
                self.publish(stage, wire, "dear", "", &json!({"a": "a".repeat(60_000)}));
                if !stage.world.is_open(wire) {
                    self.wires[0] = self.join(stage, 0);
                }
            }
            Kind::Expressions => {
                (0..self.wires.len()).for_each(|index| self.say_expression(stage, index));
            }
            Kind::Pipeline => {
                let request = "GET /v1/publish/a HTTP/1.1\r\nHost: x\r\n\r\n";
                stage.say(wire, request.repeat(64 * KIB / request.len()).as_bytes());
            }
            Kind::Unfinished => {
                let begin: &[u8] = b"\x01\xff\x00\x00\x00\x00\x00\x0f\xff\x00mask";
                stage.say(wire, begin);
                stage.say(wire, &vec![b'A'; 800 * KIB]);
            }
            Kind::Last => self.ask_for_last(stage, wire),
            Kind::Windows => {
                for n in 0..20 {
                    let (topic, key) = ("paced/a", format!("k{}", (count * 20 + n) % 400));
                    self.publish(stage, wire, topic, &key, &json!({"x": count}));
                }
            }
            Kind::Inflated => self.inflate(stage),
            Kind::Flood => self.flood(stage),
            Kind::Fleet => self.come_and_go(stage),
            Kind::Past => self.ask_for_past(stage),
        }
    }

    fn inflate(&self, stage: &mut Stage) {
        let payload = json!({"p": "x".repeat(400 * KIB)});
        let message = json!({"type": "publish", "id": 1, "topic": "inflated", "payload": payload});
        let frame = frames::deflated(message.to_string().as_bytes());
        let said = frame.repeat(24 * KIB / frame.len());
        for wire in &self.wires {
            stage.say(*wire, &said);
        }
    }

    fn flood(&self, stage: &mut Stage) {
        for (index, wire) in self.wires.iter().enumerate() {
            let mut said = Vec::new();
            for n in 0..200 {
                let message = json!({"type": "publish", "id": 1, "topic": format!("flood/{}", n % 7), "payload": {"n": index}});
                said.extend(says(&message));
            }
            stage.say(*wire, &said);
        }
    }

    /// One goes without a word, and another comes in its place, under a name that nobody had before.
    fn come_and_go(&mut self, stage: &mut Stage) {
        let (place, count) = (self.count % self.wires.len(), self.count);
        stage.world.vanish(self.wires[place]);
        let wire = self.join(stage, place);
        self.wires[place] = wire;
        let will = format!("fleet/{count}:{}:q1:retain", "w".repeat(4_000));
        let mut client = mqtt::Client::default();
        let mut said = client.written(&format!("connect v5 c{count} session=1000 will={will}"));
        let filters: Vec<String> = (0..60).map(|n| format!("{count:0>120}/{n:0>120}=1")).collect();
        said.extend(client.written(&format!("subscribe 1 {}", filters.join(" "))));
        for alias in 1..=32 {
            let topic = format!("fleet/{alias:0>200}");
            said.extend(client.written(&format!("publish {topic} alias={alias} retain : x")));
            said.extend(client.written(&format!("publish - q2 id={alias} alias={alias} : x")));
        }
        // The beginning of a message of half a megabyte.
        said.extend([0x30, 0x80, 0x80, 0x20]);
        said.resize(said.len() + 200 * KIB, b'x');
        stage.say(wire, &said);
    }

    fn ask_for_past(&self, stage: &mut Stage) {
        for index in 0..self.wires.len() {
            let wish = json!({"type": "subscribe", "id": self.count, "topics": ["**"], "since": "earliest", "slow": "drop_oldest"});
            stage.say(self.wires[index], &says(&wish));
            let end = json!({"type": "unsubscribe", "id": self.count - 1});
            stage.say(self.wires[index], &says(&end));
        }
    }

    fn publish(
        &self,
        stage: &mut Stage,
        wire: Wire,
        topic: &str,
        key: &str,
        payload: &serde_json::Value,
    ) {
        let message =
            json!({"type": "publish", "id": 1, "topic": topic, "key": key, "payload": payload});
        stage.say(wire, &says(&message));
    }

    /// One that is too long, one that is not, and one whose ranges are wide.
    fn say_expression(&mut self, stage: &mut Stage, index: usize) {
        let (wire, count) = (self.wires[index], self.count + index);
        let text = match count % 3 {
            0 => "a?".repeat(8_000),
            1 => "a?".repeat(1_000 + count),
            _ => "[\\x{80}-\\x{10ffff}]".repeat(30),
        };
        let wish = json!({"type": "subscribe", "id": 1, "topics": ["dear"], "filter": format!("a =~ '{text}'")});
        stage.say(wire, &says(&wish));
        if !stage.world.is_open(wire) {
            self.wires[index] = self.join(stage, index);
        }
    }

    fn drip(&mut self, stage: &mut Stage) {
        for (index, wire) in self.wires.iter().enumerate() {
            let whole: &[u8] = match index % 2 {
                0 => b"POST /v1/publish/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
                _ => b"GET /v1/publish/a HTTP/1.1\r\nHost: ",
            };
            let said = if self.count == 1 { whole } else { b"1" };
            stage.say(*wire, said);
        }
    }

    /// All in one segment, or cut in two somewhere.
    fn say_in_order(&mut self, stage: &mut Stage, wire: Wire) {
        let mut bytes = Vec::new();
        let commands = [
            (
                json!({"type": "publish", "id": 1, "topic": "order", "payload": {"x": 1}}),
                "published",
            ),
            (
                json!({"type": "subscribe", "id": format!("s{}", self.count), "topics": ["other"]}),
                "subscribed",
            ),
            (json!({"type": "ping"}), "pong"),
            (json!({"type": "unsubscribe", "id": format!("s{}", self.count)}), "unsubscribed"),
        ];
        for (command, answer) in commands {
            bytes.extend(says(&command));
            self.awaited.push(answer);
        }
        let cut = stage.random.below(bytes.len());
        stage.say(wire, &bytes[..cut]);
        stage.say(wire, &bytes[cut..]);
    }

    fn ask_for_last(&mut self, stage: &mut Stage, wire: Wire) {
        if self.count <= 30 {
            for n in 0..100 {
                let key = format!("k{}", self.count * 100 + n);
                self.publish(stage, wire, "keys/a", &key, &json!({"x": 1}));
            }
            return;
        }
        let wish =
            json!({"type": "subscribe", "id": self.count, "topics": ["keys/*"], "since": "last"});
        stage.say(wire, &says(&wish));
        let end = json!({"type": "unsubscribe", "id": self.count - 2});
        stage.say(wire, &says(&end));
    }

    fn hear(&mut self, stage: &mut Stage) {
        for (wire, heard) in self.wires.iter().zip(&mut self.heard) {
            let Some(socket) = stage.world.sockets.get_mut(wire) else { continue };
            let bytes = std::mem::take(&mut socket.heard);
            if self.kind == Kind::Order {
                heard.extend(bytes);
            }
        }
        if self.kind == Kind::Order {
            self.take_answers();
        }
    }

    fn take_answers(&mut self) {
        let text = String::from_utf8_lossy(&self.heard[0]).into_owned();
        let whole = text.rfind('}').map_or(0, |end| end + 1);
        let (said, _) = text.split_at(whole);
        let told = said.split(r#"{"type":""#).skip(1);
        let told = told.map(|rest| rest.split('"').next().unwrap_or_default().to_owned());
        for told in told.collect::<Vec<_>>() {
            let is_refused = told == "error" && self.awaited.first() == Some(&"published");
            if is_refused || self.awaited.first().is_some_and(|awaited| *awaited == told) {
                self.awaited.remove(0);
            } else {
                let may_be_anywhere = ["welcome", "live", "event"].contains(&told.as_str());
                assert!(may_be_anywhere, "{told} while {:?} is next", self.awaited.first());
            }
        }
        let eaten = self.heard[0].len().min(whole);
        self.heard[0].drain(..eaten);
    }

    /// Whether what it may expect has come.
    pub(crate) fn is_done(&self) -> bool {
        self.awaited.is_empty()
    }

    /// So long after the others have stopped, nothing of it is left.
    pub(crate) fn check(&self, stage: &Stage) {
        let lasted_us = stage.now_us() - self.began_us;
        if self.kind == Kind::Drip && lasted_us > 2_500_000 {
            let open = self.wires.iter().filter(|wire| stage.world.is_open(**wire)).count();
            assert_eq!(open, 0, "connections that drip are open after {lasted_us} us");
        }
    }
}
