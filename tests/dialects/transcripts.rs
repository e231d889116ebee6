//! Each dialect's transcripts, run against the core: on one shard, and on three with publisher and subscriber apart.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fanwire::auth::AdminSecret;
use fanwire::auth::Algorithm;
use fanwire::auth::AnonymousAccess;
use fanwire::auth::EventTypes;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::Rate;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::event::Naming;
use fanwire::event::TopicName;
use fanwire::shard::Access;
use fanwire::shard::Elsewhere;
use fanwire::shard::Settings;

fn run_all(dialect: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(dialect);
    let mut scenarios = 0;
    for entry in fs::read_dir(&folder).expect("the folder is part of the repository") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("it can be read");
        let name = format!("{dialect}/{}", path.file_name().unwrap().to_string_lossy());
        for shard_count in [1, 3] {
            scenarios += crate::support::transcript::run(&name, &text, shard_count, &set);
        }
    }
    assert!(scenarios > 0, "{dialect} has transcripts");
}

/// Tokens are looked at, to the second.
fn access_with_keys() -> Access {
    let key = Key::from_secret(None, Algorithm::Hs256, crate::support::fits::SECRET).unwrap();
    let rules = TokenRules { leeway_s: 0, ..TokenRules::default() };
    let keys = KeySet::new(vec![key]).unwrap();
    let verifier = Verifier::new(keys, rules, Mapping::default()).unwrap();
    let admin = AdminSecret::new(crate::support::fits::SECRET).unwrap();
    Access {
        verifier: Some(Arc::new(verifier)),
        admin: Some(Arc::new(admin)),
        event_types: EventTypes::default(),
        ..Access::default()
    }
}

fn naming_of<'s>(settings: &'s mut Settings, key: &str) -> &'s mut Naming {
    let views = Arc::make_mut(&mut settings.views);
    let (protocol, _) = key.split_once('.').expect("protocol.key");
    let view = views.view_mut(protocol).expect("it is a protocol");
    Arc::make_mut(&mut view.naming)
}

fn set(settings: &mut Settings, key: &str, value: &str) {
    match key {
        "hyperbeam.deletes" | "provisioning.deletes" => {
            let (protocol, _) = key.split_once('.').expect("protocol.key");
            let views = Arc::make_mut(&mut settings.views);
            views.view_mut(protocol).expect("it is a protocol").deletes = value == "on";
        }
        "hyperbeam.info_seen" | "hyperbeam.derived_topics" | "hyperbeam.regex_topics" => {
            let (protocol, name) = key.split_once('.').expect("protocol.key");
            let is_on = u64::from(value == "on");
            assert!(Arc::make_mut(&mut settings.views).set(protocol, name, is_on), "{key}");
        }
        "own.figures_s" => settings.own.figures_s = value.parse().expect("seconds"),
        "own.logs" => settings.own.logs = value == "on",
        "peat.prefix" | "hyperbeam.prefix" | "mqtt.prefix" => {
            naming_of(settings, key).prefix = value.into();
        }
        "peat.names" | "hyperbeam.names" | "mqtt.names" => {
            let (name, topic) = value.split_once('=').expect("name=topic");
            let named = (name.into(), TopicName::new(topic).unwrap());
            naming_of(settings, key).names.push(named);
        }
        "keys" => settings.access = Arc::new(access_with_keys()),
        "mqtt.shared" => {
            let is_on = u64::from(value == "on");
            assert!(Arc::make_mut(&mut settings.views).set("mqtt", "shared", is_on), "{key}");
        }
        "mqtt.session_s_max" => {
            let seconds = value.parse().expect("seconds");
            assert!(
                Arc::make_mut(&mut settings.views).set("mqtt", "session_s_max", seconds),
                "{key}"
            );
        }
        "history.topic_events_max" => {
            settings.retention.topic_events_max = value.parse().expect("events");
        }
        "server_reference" | "server_moved" => {
            let (server, is_for_good) = (value.into(), key == "server_moved");
            settings.returns.elsewhere = Some(Elsewhere { server, is_for_good });
        }
        "subscriptions_max" => settings.bounds.subscriptions_max = value.parse().expect("a count"),
        "topic_bytes_max" => settings.bounds.topic_bytes_max = value.parse().expect("bytes"),
        "filter_bytes_max" => settings.bounds.filter_bytes_max = value.parse().expect("bytes"),
        "message_bytes_max" => settings.message_bytes_max = value.parse().expect("bytes"),
        "messages_per_s" => {
            Arc::make_mut(&mut settings.access).limits.messages =
                Rate::per_second(value.parse().expect("messages"));
        }
        "publish_per_s" => {
            let mut access = (*settings.access).clone();
            access.limits.publish = Rate::per_second(value.parse().expect("events a second"));
            settings.access = Arc::new(access);
        }
        "anonymous" => {
            let mut access = (*settings.access).clone();
            access.anonymous.access = match value {
                "nowhere" => AnonymousAccess::Nowhere,
                _ => AnonymousAccess::Anywhere,
            };
            settings.access = Arc::new(access);
        }
        _ => panic!("no setting {key} {value}"),
    }
}

#[test]
fn peat() {
    run_all("peat");
}

#[test]
fn hyperbeam() {
    run_all("hyperbeam");
}

#[test]
fn provisioning() {
    run_all("provisioning");
}

#[test]
fn mqtt() {
    run_all("mqtt");
}

#[test]
fn access() {
    run_all("access");
}

#[test]
fn mapping() {
    run_all("mapping");
}

/// A filter that a client asks for and one that its token forces, each as large as one may be, hold together in every dialect: live, told of the
/// past, and of deletes.
#[test]
fn filters_that_are_too_large_to_be_joined_hold_all_the_same() {
    // Distinct fields, so that nothing of it can be written shorter.
    let any_of = |field: &str, last: &str| {
        let tests: Vec<String> = (0..240).map(|index| format!("{field}{index} = 1")).collect();
        format!("{} or {last}", tests.join(" or "))
    };
    let forced = any_of("f", "area = 'north'");
    let asked = any_of("c", "n = 1");
    let clauses: Vec<String> =
        (0..240).map(|i| format!(r#"{{"eq":{{"field":"c{i}","value":"1"}}}}"#)).collect();
    let query = format!(
        r#"{{"or":{{"clauses":[{},{{"eq":{{"field":"n","value":"1"}}}}]}}}}"#,
        clauses.join(",")
    );
    let token =
        |user: &str| format!(r#"«{{"sub":"{user}","exp":600,"fanwire":{{"filter":"{forced}"}}}}»"#);
    let (ada, bob, cy, di) = (token("ada"), token("bob"), token("cy"), token("di"));
    let text = format!(
        r#"# large filters
% keys on
@n /v1/ws | Authorization: Bearer {ada}
n< {{"type":"welcome",…
n> {{"type":"subscribe","id":1,"topics":["a"],"filter":"{asked}"}}
n< {{"type":"subscribed","id":1}}
n< {{"type":"live",…
@p /ws/subscribe?collections=b | Authorization: Bearer {bob}
p> {{"collections":["a"],"query":{query}}}
@v /pv/ws?events=a | Authorization: Bearer {cy}
v> {{"type":"subscribe","events":["a"],"filters":{{"n":1}}}}
! a#1 {{"n":1,"area":"south"}}
! a#2 {{"n":2,"area":"north"}}
n<nothing
p<nothing
v<nothing
! a#3 {{"n":1,"area":"north"}}
n< …"key":"3",…
p< …"docId":"3",…
v< …"key":"3"…
!- a#1
!- a#3
p< {{"collection":"a","docId":"3","changeType":"CHANGE_TYPE_DELETE"}}
! a#4 {{"n":1,"area":"south"}}
! a#5 {{"n":1,"area":"north"}}
n< …"key":"5",…
p< …"docId":"5",…
v< …"key":"5"…
@q /v1/ws | Authorization: Bearer {di}
q< {{"type":"welcome",…
q> {{"type":"subscribe","id":1,"topics":["a"],"filter":"{asked}","since":"earliest"}}
q< {{"type":"subscribed","id":1}}
q< …"key":"3",…
q< …"key":"5",…
q< {{"type":"live",…
"#
    );
    for shard_count in [1, 3] {
        crate::support::transcript::run("large filters", &text, shard_count, &set);
    }
}
