//! Nobody is told names of topics or users that their token does not cover: not by events of the server's own, by answers, or by pages.
//!
//! Somebody with every right subscribes to, filters by and publishes to secret topics, breaks rules and is refused, while others listen in every
//! dialect and ask whatever can be asked. What these are told is searched for the secret names.

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

use crate::support::asking::settle;
use crate::support::fits::SECRET;
use crate::support::fits::with_tokens;
use crate::support::frames::masked;
use crate::support::world::Wire;
use crate::support::world::World;
use crate::support::world::roomy;

/// One topic, to hear and to publish.
const CONFINED: &str =
    r#"«{"sub":"eve","exp":3000,"fanwire":{"subscribe":["open/a"],"publish":["open/a"]}}»"#;
/// What the server tells of itself, and nothing else.
const OPERATOR: &str = r#"«{"sub":"olga","role":"admin","exp":3000,"fanwire":{"subscribe":["LogEntry","SystemHealthUpdate","MetricUpdate"]}}»"#;
const EVERYTHING: &str =
    r#"«{"sub":"mallory","role":"admin","exp":3000,"fanwire":{"publish":["**"]}}»"#;
/// It cannot be taken, and names a user.
const STALE: &str = r#"«{"sub":"mallory","exp":-10}»"#;

/// Parts of names that only the other one's topics, keys, filters and token have.
const SECRETS: [&str; 3] = ["geheim", "mallory", "topsecret"];

const STREAMS: [&str; 10] = [
    "/v1/ws?",
    "/v1/sse?topic=open/a&since=earliest&",
    "/ws/subscribe?snapshot=all&",
    "/sse/subscribe?snapshot=all&",
    "/hb/ws?topic=open/a&",
    "/pv/ws?since=2026-01-01T00:00:00Z&",
    "/pv/ws?events=logs,health,metrics&",
    "/pv/logs?tail=100&",
    "/pv/metrics?",
    "/~websocket@1.0/info?",
];

fn settings() -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let keys = KeySet::new(vec![key]).unwrap();
    let rules = TokenRules { leeway_s: 0, ..TokenRules::default() };
    let verifier = Verifier::new(keys, rules, Mapping::default()).unwrap();
    let access = Access {
        verifier: Some(Arc::new(verifier)),
        event_types: EventTypes::default(),
        ..Access::default()
    };
    let mut settings = roomy();
    settings.access = Arc::new(access);
    settings.own.logs = true;
    settings.own.figures_s = 1;
    let views = Arc::make_mut(&mut settings.views);
    assert!(views.set("hyperbeam", "derived_topics", 1));
    assert!(views.set("hyperbeam", "regex_topics", 1));
    assert!(views.set("hyperbeam", "info_seen", 1));
    settings
}

fn ask(world: &mut World, shard: usize, target: &str, token: &str) -> Wire {
    let mut head = format!("GET {target}token={token} HTTP/1.1\r\nHost: x\r\n");
    if !target.contains("sse") && !target.contains("info") {
        head.push_str("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    }
    let wire = world.open(shard, 1 << 20);
    world.say(wire, (head + "\r\n").as_bytes());
    world.settle();
    wire
}

/// peat-node's changes as a Connect call: every collection, with what there is already.
fn call(world: &mut World, token: &str) -> Wire {
    let body = r#"{"includeInitialSnapshot":true}"#;
    let wire = world.open(0, 1 << 20);
    let mut request = format!(
        "POST /peat.sidecar.v1.PeatSidecar/Subscribe HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/connect+json\r\nContent-Length: {}\r\n\r\n",
        body.len() + 5
    )
    .into_bytes();
    request.push(0);
    request.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    request.extend_from_slice(body.as_bytes());
    world.say(wire, &request);
    world.settle();
    wire
}

fn say(world: &mut World, wire: Wire, text: &str) {
    world.say(wire, &masked(1, text.as_bytes()));
    world.settle();
}

fn publish(world: &mut World, topic: &str, token: &str) {
    let wire = world.open(0, 1 << 20);
    let body = r#"{"process":"topsecret","n":1}"#;
    let request = format!(
        "POST /v1/publish/{topic} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nFanwire-Key: topsecret\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    world.say(wire, request.as_bytes());
    world.settle();
    world.vanish(wire);
}

/// What happens that others are not to hear of: much that the server would tell of itself, too.
fn do_in_secret(world: &mut World) {
    let (everything, stale) = (with_tokens(EVERYTHING), with_tokens(STALE));
    let last = world.shards.len() - 1;
    let native = ask(world, last, "/v1/ws?", &everything);
    say(
        world,
        native,
        r#"{"type":"subscribe","id":"topsecret","topics":["geheim/**"],"filter":"$key = \"topsecret\""}"#,
    );
    let hyperbeam =
        ask(world, last, "/hb/ws?topic=geheim/b,process:topsecret,re:geheim&", &everything);
    let provisioning = ask(world, last, "/pv/ws?events=geheim&", &everything);
    for topic in ["geheim/b", "geheim/c", "geheim"] {
        publish(world, topic, &everything);
    }
    ask(world, 0, "/v1/ws?", &stale);
    ask(world, 0, "/pv/ws?", &stale);
    say(world, native, r#"{"type":"auth","token":"mallory"}"#);
    say(world, hyperbeam, r#"{"type":"unsubscribe","topics":["geheim/b"]}"#);
    // Frames that are none.
    world.say(provisioning, b"\xff\xffmallory");
    world.settle();
    world.end(native);
    world.settle();
}

#[test]
fn names_are_told_to_those_who_may_hear_of_them() {
    for shard_count in [1, 3] {
        let mut world = World::new(shard_count, &settings());
        let mut wires = Vec::new();
        for (who, token) in [("confined", CONFINED), ("operator", OPERATOR)] {
            let token = with_tokens(token);
            for target in STREAMS {
                wires.push((who, target, ask(&mut world, 0, target, &token)));
            }
            wires.push((who, "a Connect call", call(&mut world, &token)));
        }
        do_in_secret(&mut world);
        for _ in 0..4 {
            world.advance(1_000);
            world.tick();
            world.settle();
        }
        let token = with_tokens(CONFINED);
        wires.push((
            "confined",
            "info, afterwards",
            ask(&mut world, 0, "/~websocket@1.0/info?", &token),
        ));
        let late = ask(&mut world, 0, "/v1/ws?", &token);
        say(
            &mut world,
            late,
            r#"{"type":"subscribe","id":"s","topics":["open/a"],"since":{"epoch":"other","offsets":{"open/a":3}}}"#,
        );
        say(
            &mut world,
            late,
            r#"{"type":"subscribe","id":"t","topics":["**"],"since":"earliest"}"#,
        );
        // Positions that name what the token does not cover, of this epoch and of another.
        for (id, epoch) in ["e1", "other"].iter().enumerate() {
            let text = format!(
                r#"{{"type":"subscribe","id":{id},"topics":["**"],"since":{{"epoch":"{epoch}","offsets":{{"{0}/b":0,"{0}":9,"open/a":0}}}}}}"#,
                SECRETS[0]
            );
            say(&mut world, late, &text);
        }
        wires.push(("confined", "native, afterwards", late));
        wires.push(("confined", "a Connect call, afterwards", call(&mut world, &token)));
        let (mut entries, mut figures) = (0, 0);
        for (who, target, wire) in wires {
            let bytes = world.read(wire, usize::MAX);
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.is_empty(), "{who} is answered at {target}");
            for secret in SECRETS {
                assert!(!text.contains(secret), "{who} is told {secret:?} at {target}:\n{text}");
            }
            let has_logs = text.contains("token refused");
            let has_figures = text.contains("fanwire_events_total");
            assert!(who == "operator" || !(has_logs || has_figures), "{target}:\n{text}");
            entries += usize::from(has_logs);
            figures += usize::from(has_figures);
        }
        assert!(entries > 1 && figures > 1, "{entries} and {figures}: the operator hears them");
    }
}

/// Whether a topic is there cannot be told from how it is refused: neither to subscribe to, nor to publish, nor by a position.
#[test]
fn what_is_refused_does_not_say_whether_it_is_there() {
    let mut world = World::new(3, &settings());
    do_in_secret(&mut world);
    let token = with_tokens(CONFINED);
    let (there, nowhere) = ("geheim/b", "nichts/b");
    let commands: [fn(&str) -> String; 5] = [
        |topic| format!(r#"{{"type":"subscribe","id":1,"topics":["{topic}"],"since":"last"}}"#),
        |topic| format!(r#"{{"type":"publish","id":1,"topic":"{topic}","payload":{{}}}}"#),
        |topic| format!(r#"{{"type":"update","id":1,"filter":"$topic = '{topic}'"}}"#),
        |topic| format!(r#"{{"type":"unsubscribe","id":"{topic}"}}"#),
        |topic| {
            let since = format!(r#"{{"epoch":"e1","offsets":{{"{topic}":1}}}}"#);
            format!(r#"{{"type":"subscribe","id":1,"topics":["{topic}","**"],"since":{since}}}"#)
        },
    ];
    for command in commands {
        let answers = [there, nowhere].map(|topic| {
            let wire = ask(&mut world, 0, "/v1/ws?", &token);
            world.read(wire, usize::MAX);
            say(&mut world, wire, &command(topic));
            String::from_utf8_lossy(&world.read(wire, usize::MAX)).replace(topic, "…")
        });
        let [told, control] = answers.map(|answer| without_times(&answer));
        assert!(told == control && !told.is_empty(), "{told}\n{control}");
    }
    for request in ["POST /v1/publish/", "POST /hb/ws/", "GET /v1/sse?topic="] {
        let answers = [there, nowhere].map(|topic| {
            let wire = world.open(0, 1 << 20);
            let head = format!(
                "{request}{topic} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 2\r\n\r\n{{}}"
            );
            world.say(wire, head.as_bytes());
            world.settle();
            String::from_utf8_lossy(&world.read(wire, usize::MAX)).replace(topic, "…")
        });
        let [told, control] = answers.map(|answer| without_times(&answer));
        assert!(told == control && !told.is_empty(), "{request}:\n{told}\n{control}");
    }
}

/// Figures are totals of the whole server: where they are nobody's business, they are for whoever shows the admin secret.
#[test]
fn figures_are_for_whom_the_settings_say() {
    const ADMIN: &str = "admin-admin-admin-admin-admin-admin";
    let mut settings = settings();
    for (hides, shown, status) in [
        (false, "", 200),
        (true, "", 401),
        (true, "Authorization: Bearer nothing\r\n", 401),
        (true, "Authorization: Bearer {token}\r\n", 401),
        (true, "Authorization: Bearer {admin}\r\n", 200),
    ] {
        let access = Arc::make_mut(&mut settings.access);
        access.admin = Some(Arc::new(AdminSecret::new(ADMIN.as_bytes()).unwrap()));
        access.hides_figures = hides;
        let mut world = World::new(1, &settings);
        let wire = world.open(0, 1 << 20);
        let shown = shown.replace("{admin}", ADMIN).replace("{token}", &with_tokens(EVERYTHING));
        world.say(wire, format!("GET /metrics HTTP/1.1\r\nHost: x\r\n{shown}\r\n").as_bytes());
        settle(&mut world);
        let told = String::from_utf8_lossy(&world.read(wire, usize::MAX)).into_owned();
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{hides} {shown}: {told}");
    }
}

/// An answer but for moments. Both names are as long, so that lengths are alike.
fn without_times(answer: &str) -> String {
    let mut text = String::new();
    for part in answer.split_inclusive("\"time_us\":") {
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    text
}
