//! No sequence of client messages makes a client receive an event that its token excludes, in any dialect, live or replayed.
//!
//! Events say whether they may be seen; clients of every dialect say whatever comes to mind, among it much that would widen what they
//! hear; whatever they hear is searched for what they may not see. Seeds are printed on failure.

use std::sync::Arc;

use fanwire::auth::AdminSecret;
use fanwire::auth::Algorithm;
use fanwire::auth::EventTypes;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::shard::Access;
use fanwire::shard::Settings;

use crate::clients::ADMIN;
use crate::clients::revoke;
use crate::support::fits::SECRET;
use crate::support::fits::with_tokens;
use crate::support::frames::masked;
use crate::support::random::Random;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

const SEEDS: u64 = 150;
const STEPS: u64 = 120;
/// In one of three seeds the user's tokens are revoked before this step.
const REVOKED_AT: u64 = 80;

/// Only events of the north, of topics below `open/` or called `tasks`; and a viewer.
const ONE: &str = r#"«{"sub":"eve","role":"viewer","exp":3000,"fanwire":{"subscribe":["open/**","tasks","LogEntry"],"publish":[],"filter":{"eq":["area","north"]}}}»"#;

/// The same user's, for other topics and the south: what runs under one of them is left with nothing under the other.
const TWO: &str = r#"«{"sub":"eve","role":"viewer","exp":3000,"fanwire":{"subscribe":["open/a","closed/*","tasks"],"filter":"area = \"south\""}}»"#;

/// Another user's, who may do everything: it must not be taken for hers.
const OTHER: &str = r#"«{"sub":"mallory","role":"admin","exp":3000,"fanwire":{"publish":["**"]}}»"#;

const TOPICS: [&str; 6] =
    ["open/a", "open/b", "closed/a", "tasks", "LogEntry", "SystemHealthUpdate"];

/// What clients say, whichever dialect they speak; `T` becomes a topic, `N` a number.
const SAYINGS: [&str; 27] = [
    r#"{"type":"subscribe","id":N,"topics":["T"],"since":"earliest"}"#,
    r#"{"type":"subscribe","id":N,"topics":["open/**"],"since":"last","filter":"area = \"south\""}"#,
    r#"{"type":"subscribe","id":N,"topics":["open/*","tasks"],"since":"earliest","filter":"area = \"north\" or area = \"south\"","leave":true}"#,
    r#"{"type":"subscribe","id":N,"topics":["tasks"],"max_rate":{"per":"key","hz":50},"batch":{"max_events":4}}"#,
    r#"{"type":"subscribe","id":N,"topics":["**"],"since":"earliest"}"#,
    r#"{"type":"update","id":N,"filter":null}"#,
    r#"{"type":"update","id":N,"filter":"not (area = \"north\")","leave":true}"#,
    r#"{"type":"update","id":N,"slow":"latest_per_key","fields":["area"]}"#,
    r#"{"type":"unsubscribe","id":N}"#,
    r#"{"type":"subscribe","topics":["T","open/a","closed/a"]}"#,
    r#"{"type":"unsubscribe","topics":["T"]}"#,
    r#"{"type":"subscribe","topics":["re:.*","process:p1","*"]}"#,
    r#"{"type":"subscribe","events":["T","logs","health"]}"#,
    r#"{"type":"subscribe","events":["T"],"filters":{"area":["south","north"],"since":"2026-01-01T00:00:00Z"}}"#,
    r#"{"type":"subscribe","events":[],"filters":{"since":"2026-01-01T00:00:00Z"}}"#,
    r#"{"type":"unsubscribe","events":["T"]}"#,
    r#"{"collections":["T","closed/a","open/a"]}"#,
    r#"{"collections":[],"query":{"not":{"eq":{"field":"area","value":"\"north\""}}}}"#,
    r#"{"collections":["open/b"],"query":{"or":{"clauses":[{"all":{}}]}}}"#,
    r#"{"type":"auth","token":"nonsense"}"#,
    r#"{"type":"auth","id":N,"token":"TOKEN"}"#,
    r#"{"type":"auth","token":"TOKEN"}"#,
    r#"{"type":"auth","token":"OTHER"}"#,
    r#"{"type":"update","id":N,"topics":["**"],"filter":"area exists"}"#,
    r#"{"collections":["T"],"query":{"any":{}},"snapshot":"all"}"#,
    r#"{"type":"subscribe","id":N,"topics":["T","closed/a"],"since":{"time_us":1},"batch":{"max_events":2,"max_delay_ms":1}}"#,
    r#"{}"#,
];

const OPENINGS: [&str; 18] = [
    "/v1/ws?",
    "/v1/ws?",
    "/ws/subscribe?",
    "/ws/subscribe?snapshot=all&",
    "/ws/subscribe?collections=open/a,closed/a,LogEntry&",
    "/sse/subscribe?snapshot=all&",
    "/hb/ws?topic=open/a,closed/a,LogEntry,process:p1,re:.*&",
    "/pv/ws?since=2026-01-01T00:00:00Z&",
    "/pv/ws?events=logs,health,closed/a,open/b&batch_size=3&",
    "/pv/logs?tail=100&",
    "/pv/metrics?since=2026-01-01&",
    "/v1/sse?topic=**&since=earliest&",
    "/v1/sse?topic=open/**&since=earliest&",
    "/v1/sse?topic=tasks&since=last&",
    "/v1/ws?late&",
    "/pv/ws?late&since=2026-01-01T00:00:00Z&",
    "CALL json",
    "CALL proto",
];

/// A call of peat-node's RPC: `{"collections":["open/a","closed/a","LogEntry"]}`, in either codec.
fn call(codec: &str, token: &str) -> Vec<u8> {
    let names = ["open/a", "closed/a", "LogEntry", "tasks"];
    let message = match codec {
        "json" => serde_json::json!({ "collections": names }).to_string().into_bytes(),
        _ => names
            .iter()
            .flat_map(|name| [&[0x0a, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat())
            .collect(),
    };
    let length = u32::try_from(message.len()).unwrap();
    let mut request = format!(
        "POST /peat.sidecar.v1.PeatSidecar/Subscribe HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/connect+{codec}\r\nContent-Length: {}\r\n\r\n\0",
        length + 5
    )
    .into_bytes();
    request.extend(length.to_be_bytes());
    request.extend(message);
    request
}

fn settings() -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let verifier =
        Verifier::new(KeySet::new(vec![key]).unwrap(), TokenRules::default(), Mapping::default());
    let access = Access {
        verifier: Some(Arc::new(verifier.unwrap())),
        admin: Some(Arc::new(AdminSecret::new(ADMIN.as_bytes()).unwrap())),
        event_types: EventTypes::default(),
        ..Access::default()
    };
    let mut settings = roomy();
    settings.access = Arc::new(access);
    let views = Arc::make_mut(&mut settings.views);
    assert!(views.set("hyperbeam", "derived_topics", 1));
    assert!(views.set("hyperbeam", "regex_topics", 1));
    settings
}

/// Which of the two tokens exclude an event.
type Excluded = [bool; 2];

fn excluded(topic: &str, area: Option<&str>) -> Excluded {
    let is_granted = [
        matches!(topic, "open/a" | "open/b" | "tasks"),
        matches!(topic, "open/a" | "closed/a" | "tasks"),
    ];
    [!is_granted[0] || area != Some("north"), !is_granted[1] || area != Some("south")]
}

struct Listener {
    wire: Wire,
    heard: Vec<u8>,
    /// How much of it was searched.
    searched: usize,
    /// Which tokens it has shown.
    shown: [bool; 2],
    /// Since which event it is known to have this one and no other.
    has: Option<(usize, usize)>,
    /// It came with a token that was not revoked then.
    is_known: bool,
    /// It was nobody and has become the other user, who may hear everything.
    is_other: bool,
}

struct Case {
    seed: u64,
    random: Random,
    world: World,
    tokens: [String; 2],
    other: String,
    events: Vec<Excluded>,
    clients: Vec<Listener>,
    heard: usize,
    renewals: usize,
    /// How many events there were when the user's tokens were revoked.
    revoked: Option<usize>,
}

impl Case {
    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.random.below(from.len())]
    }

    fn publish(&mut self) {
        let topic = self.pick(&TOPICS);
        let area = self.pick(&["north", "south"]);
        let key = self.random.below(4);
        let mark = format!("EVENT-{}.", self.events.len());
        // In the form of Provisioning; its members are not where the filter looks, so it is excluded.
        let is_nested = self.random.below(4) == 0;
        self.events.push(excluded(topic, (!is_nested).then_some(area)));
        let payload = if is_nested {
            format!(
                r#"{{"event_type":"{topic}","timestamp":"t","data":{{"area":"{area}","word":"{mark}"}},"metadata":{{}}}}"#
            )
        } else {
            format!(r#"{{"area":"{area}","word":"{mark}","process":"p1"}}"#)
        };
        let delete = if self.random.below(8) == 0 { "?op=delete" } else { "" };
        let request = format!(
            "POST /v1/publish/{topic}{delete} HTTP/1.1\r\nHost: x\r\nFanwire-Key: k{key}\r\nContent-Length: {}\r\n\r\n{payload}",
            payload.len()
        );
        let shard = self.random.below(self.world.shards.len());
        let wire = self.world.open(shard, 1 << 20);
        self.world.say(wire, request.as_bytes());
        self.world.settle();
        self.world.vanish(wire);
    }

    fn open(&mut self) {
        let target = self.pick(&OPENINGS);
        let which = self.random.below(2);
        let token = self.tokens[which].clone();
        let is_late = target.contains("late");
        let request = match target.strip_prefix("CALL ") {
            Some(codec) => call(codec, &token),
            None => {
                let target = target.replace("late&", "").replace("late", "");
                let token = if is_late { String::new() } else { format!("token={token}") };
                let mut head = format!("GET {target}{token} HTTP/1.1\r\nHost: x\r\n");
                if is_late {
                    // As through a proxy: nobody is taken for local.
                    head.push_str("Via: 1.1 proxy\r\n");
                }
                if !target.contains("sse") {
                    head.push_str("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
                }
                (head + "\r\n").into_bytes()
            }
        };
        let shard = self.random.below(self.world.shards.len());
        let capacity = if self.random.below(3) == 0 { 600 } else { 1 << 20 };
        let wire = self.world.open(shard, capacity);
        self.world.say(wire, &request);
        let mut shown = [false; 2];
        shown[which] = !is_late;
        self.clients.push(Listener {
            wire,
            heard: Vec::new(),
            searched: 0,
            shown,
            has: None,
            is_known: !is_late && self.revoked.is_none(),
            is_other: false,
        });
    }

    /// Whoever came with one of the user's tokens is put out, and hears nothing that comes after.
    fn revoke(&mut self) {
        let shard = self.random.below(self.world.shards.len());
        revoke(&mut self.world, shard, r#"{"user":"eve"}"#);
        self.revoked = Some(self.events.len());
    }

    /// How many came with a token that is revoked by now: none of them is there any more.
    fn ends(&mut self) -> usize {
        if self.revoked.is_none() {
            return 0;
        }
        for _ in 0..80 {
            self.world.advance(100);
            self.world.tick();
            self.world.settle();
        }
        let known = self.clients.iter().filter(|client| client.is_known);
        let left = known.clone().find(|client| self.world.is_open(client.wire));
        let heard = left.map(|client| String::from_utf8_lossy(&client.heard));
        assert_eq!(heard, None, "seed {}: a client with a revoked token is there", self.seed);
        known.count()
    }

    fn say(&mut self) {
        if self.clients.is_empty() {
            return;
        }
        let index = self.random.below(self.clients.len());
        let number = self.random.below(3).to_string();
        let which = self.random.below(2);
        let (saying, topic) = (self.pick(&SAYINGS), self.pick(&TOPICS));
        let text = saying
            .replace("TOKEN", &self.tokens[which])
            .replace("OTHER", &self.other)
            .replace("\"T\"", &format!("\"{topic}\""))
            .replace(":N", &format!(":{number}"));
        let is_renewal = saying.contains("TOKEN");
        if is_renewal {
            // Read to the end, to see what this token is answered.
            self.read(index, true);
        }
        let client = &mut self.clients[index];
        client.is_other |= saying.contains("OTHER") && client.shown == [false; 2];
        let before = client.heard.len();
        self.world.say(self.clients[index].wire, &masked(1, text.as_bytes()));
        if is_renewal {
            self.clients[index].shown[which] = true;
            self.read(index, true);
            let answer = String::from_utf8_lossy(&self.clients[index].heard[before..]).into_owned();
            if answer.contains(r#""type":"authenticated""#) {
                self.clients[index].has = Some((which, self.events.len()));
                self.renewals += 1;
            }
        }
    }

    /// Someone reads something, or everything that there is.
    fn read(&mut self, index: usize, all: bool) {
        loop {
            self.world.settle();
            let wire = self.clients[index].wire;
            let count = if !all && self.random.below(2) == 0 { 300 } else { 1 << 20 };
            let bytes = self.world.read(wire, count);
            self.heard += bytes.len();
            self.clients[index].heard.extend(&bytes);
            if !all || bytes.is_empty() {
                return;
            }
        }
    }

    /// Everyone reads something; what they read is searched.
    fn listen(&mut self) {
        for index in 0..self.clients.len() {
            self.read(index, false);
            let client = &mut self.clients[index];
            if client.is_other {
                continue;
            }
            let text = String::from_utf8_lossy(&client.heard[client.searched..]).into_owned();
            for rest in text.split("EVENT-").skip(1) {
                let Some((number, _)) = rest.split_once('.') else { continue };
                let number: usize = number.parse().expect("a mark has a number");
                let excluded = self.events[number];
                let is_theirs = (0..2).any(|token| client.shown[token] && !excluded[token]);
                let is_too_late =
                    client.has.is_some_and(|(token, since)| number >= since && excluded[token]);
                let is_revoked = self.revoked.is_some_and(|revoked| number >= revoked);
                assert!(
                    !is_revoked,
                    "seed {}: event {number} was heard after the token was revoked:\n{text}",
                    self.seed
                );
                assert!(
                    is_theirs && !is_too_late,
                    "seed {}: with tokens {:?}, now {:?}, event {number} was heard, which they exclude {excluded:?}:\n{text}",
                    self.seed,
                    client.shown,
                    client.has
                );
            }
            // A mark may not have come whole yet.
            client.searched = client.searched.max(client.heard.len().saturating_sub(16));
        }
    }
}

#[test]
fn nobody_hears_what_their_token_excludes() {
    let (mut heard, mut renewals, mut revoked) = (0, 0, 0);
    for seed in 0..SEEDS {
        let shard_count = if seed % 2 == 0 { 1 } else { 3 };
        let mut case = Case {
            seed,
            random: Random::new(seed),
            world: World::new(shard_count, &settings()),
            tokens: [with_tokens(ONE), with_tokens(TWO)],
            other: with_tokens(OTHER),
            events: Vec::new(),
            clients: Vec::new(),
            heard: 0,
            renewals: 0,
            revoked: None,
        };
        for step in 0..STEPS {
            if step == REVOKED_AT && seed % 3 == 0 {
                case.revoke();
            }
            match case.random.below(8) {
                0 if case.clients.len() < 9 => case.open(),
                0..=3 => case.publish(),
                4..=6 => case.say(),
                _ => {
                    case.world.advance(100);
                    case.world.tick();
                }
            }
            case.listen();
        }
        revoked += case.ends();
        heard += case.heard;
        renewals += case.renewals;
    }
    assert!(heard > 100_000, "clients hear what they may: {heard} bytes");
    assert!(revoked > 100, "clients of every dialect are put out: {revoked}");
    assert!(renewals > 20, "tokens are renewed: {renewals}");
}
