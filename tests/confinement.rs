//! No sequence of client messages makes a client receive an event that its token excludes, in any dialect, live or replayed.
//!
//! Events say whether they may be seen; clients of every dialect say whatever comes to mind, among it much that would widen what they
//! hear; whatever they hear is searched for what they may not see. Seeds are printed on failure.

#![cfg(test)]

mod support;

use std::sync::Arc;

use fanwire::auth::Algorithm;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::shard::Access;
use fanwire::shard::Settings;

use support::frames::masked;
use support::random::Random;
use support::transcript::SECRET;
use support::transcript::with_tokens;
use support::world::Wire;
use support::world::World;
use support::world::roomy;

const SEEDS: u64 = 150;
const STEPS: u64 = 120;

/// Stands in every event that the token excludes, and in no other.
const SECRET_WORD: &str = "FORBIDDEN-FRUIT";

/// Only events of the north, of topics below `open/` or called `tasks`; and a viewer.
const TOKEN: &str = r#"«{"sub":"eve","role":"viewer","exp":3000,"fanwire":{"subscribe":["open/**","tasks","LogEntry"],"publish":[],"filter":{"eq":["area","north"]}}}»"#;

const TOPICS: [&str; 6] =
    ["open/a", "open/b", "closed/a", "tasks", "LogEntry", "SystemHealthUpdate"];

/// What clients say, whichever dialect they speak; `T` becomes a topic, `N` a number.
const SAYINGS: [&str; 22] = [
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
    r#"{}"#,
];

const OPENINGS: [&str; 14] = [
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
];

fn settings() -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let verifier =
        Verifier::new(KeySet::new(vec![key]).unwrap(), TokenRules::default(), Mapping::default());
    let access = Access { verifier: Some(Arc::new(verifier.unwrap())), ..Access::default() };
    let mut settings = roomy();
    settings.access = Arc::new(access);
    settings.hyperbeam.options.derived = true;
    settings.hyperbeam.options.regex = true;
    settings
}

fn is_excluded(topic: &str, area: &str) -> bool {
    area != "north" || topic == "closed/a" || topic == "LogEntry" || topic == "SystemHealthUpdate"
}

struct Case {
    random: Random,
    world: World,
    clients: Vec<(Wire, Vec<u8>)>,
    heard: usize,
}

impl Case {
    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.random.below(from.len())]
    }

    fn publish(&mut self) {
        let topic = self.pick(&TOPICS);
        let area = self.pick(&["north", "south"]);
        let key = self.random.below(4);
        let word = if is_excluded(topic, area) { SECRET_WORD } else { "fine" };
        let payload = match self.random.below(4) {
            // In the form of Provisioning; its members are not where the filter looks, so it is excluded.
            0 => format!(
                r#"{{"event_type":"{topic}","timestamp":"t","data":{{"area":"{area}","word":"{SECRET_WORD}"}},"metadata":{{}}}}"#
            ),
            _ => format!(r#"{{"area":"{area}","word":"{word}","process":"p1"}}"#),
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

    fn open(&mut self, token: &str) {
        let target = self.pick(&OPENINGS);
        let mut head = format!("GET {target}token={token} HTTP/1.1\r\nHost: x\r\n");
        if !target.contains("sse") {
            head.push_str("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
        }
        head.push_str("\r\n");
        let shard = self.random.below(self.world.shards.len());
        let capacity = if self.random.below(3) == 0 { 600 } else { 1 << 20 };
        let wire = self.world.open(shard, capacity);
        self.world.say(wire, head.as_bytes());
        self.clients.push((wire, Vec::new()));
    }

    fn say(&mut self, token: &str) {
        if self.clients.is_empty() {
            return;
        }
        let index = self.random.below(self.clients.len());
        let number = self.random.below(3).to_string();
        let (saying, topic) = (self.pick(&SAYINGS), self.pick(&TOPICS));
        let text = saying
            .replace("TOKEN", "«»")
            .replace("\"T\"", &format!("\"{topic}\""))
            .replace(":N", &format!(":{number}"))
            .replace("«»", token);
        self.world.say(self.clients[index].0, &masked(1, text.as_bytes()));
    }

    /// Everyone reads something; what they read is searched.
    fn listen(&mut self, seed: u64) {
        self.world.settle();
        for index in 0..self.clients.len() {
            let wire = self.clients[index].0;
            let count = if self.random.below(2) == 0 { 300 } else { 1 << 20 };
            let bytes = self.world.read(wire, count);
            self.heard += bytes.len();
            let all = &mut self.clients[index].1;
            all.extend(bytes);
            let text = String::from_utf8_lossy(all);
            assert!(
                !text.contains(SECRET_WORD),
                "seed {seed}: a client heard what its token excludes:\n{text}"
            );
        }
    }
}

#[test]
fn nobody_hears_what_their_token_excludes() {
    let token = with_tokens(TOKEN);
    let mut heard = 0;
    for seed in 0..SEEDS {
        let shard_count = if seed % 2 == 0 { 1 } else { 3 };
        let world = World::new(shard_count, &settings());
        let mut case = Case { random: Random::new(seed), world, clients: Vec::new(), heard: 0 };
        for _ in 0..STEPS {
            match case.random.below(8) {
                0 if case.clients.len() < 9 => case.open(&token),
                0..=3 => case.publish(),
                4..=6 => case.say(&token),
                _ => {
                    case.world.advance(100);
                    case.world.tick();
                }
            }
            case.listen(seed);
        }
        heard += case.heard;
    }
    assert!(heard > 100_000, "clients hear what they may: {heard} bytes");
}
