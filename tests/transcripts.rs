//! Each dialect's transcripts, run against the core: on one shard, and on three with publisher and subscriber apart.

#![cfg(test)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fanwire::auth::AdminSecret;
use fanwire::auth::Algorithm;
use fanwire::auth::AnonymousAccess;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::Rate;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::event::TopicName;
use fanwire::shard::Access;
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
            scenarios += support::transcript::run(&name, &text, shard_count, &set);
        }
    }
    assert!(scenarios > 0, "{dialect} has transcripts");
}

/// Tokens are looked at, to the second.
fn access_with_keys() -> Access {
    let key = Key::from_secret(None, Algorithm::Hs256, support::transcript::SECRET).unwrap();
    let rules = TokenRules { leeway_s: 0, ..TokenRules::default() };
    let keys = KeySet::new(vec![key]).unwrap();
    let verifier = Verifier::new(keys, rules, Mapping::default()).unwrap();
    let admin = AdminSecret::new(support::transcript::SECRET).unwrap();
    Access { verifier: Some(Arc::new(verifier)), admin: Some(Arc::new(admin)), ..Access::default() }
}

fn set(settings: &mut Settings, key: &str, value: &str) {
    match key {
        "provisioning.deletes" => {
            Arc::make_mut(&mut settings.views).provisioning.deletes = value == "on";
        }
        "hyperbeam.info_seen" => settings.hyperbeam.info_seen = value == "on",
        "hyperbeam.derived" => settings.hyperbeam.options.derived = value == "on",
        "hyperbeam.regex" => settings.hyperbeam.options.regex = value == "on",
        "own.figures_s" => settings.own.figures_s = value.parse().expect("seconds"),
        "own.logs" => settings.own.logs = value == "on",
        "peat.prefix" => Arc::make_mut(&mut settings.views).peat.prefix = value.into(),
        "peat.names" => {
            let (name, topic) = value.split_once('=').expect("name=topic");
            let named = (name.into(), TopicName::new(topic).unwrap());
            Arc::make_mut(&mut settings.views).peat.names.push(named);
        }
        "keys" => settings.access = Arc::new(access_with_keys()),
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
fn access() {
    run_all("access");
}

#[test]
fn mapping() {
    run_all("mapping");
}
