//! Mosquitto.

use std::process::Command;

use fanwire::source::Value;

use super::Folder;
use super::LOOKS;
use super::Source;
use super::list;
use super::numbered;
use super::text;
use crate::daemon::Daemon;
use crate::daemon::Kind;

/// Publishes by Mosquitto's own command, which returns once the broker has it.
fn publish(daemon: &Daemon, topic: &str, payload: &str, more: &[&str]) {
    let port = daemon.address.port().to_string();
    let mut command = Command::new("mosquitto_pub");
    command.args([
        "-V",
        "5",
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-q",
        "1",
        "-t",
        topic,
        "-m",
        payload,
    ]);
    let published = command.args(more).status().unwrap_or_else(|error| {
        panic!("mosquitto_pub is needed (Debian: mosquitto-clients): {error}")
    });
    assert!(published.success());
}

fn publish_all(daemon: &Daemon, topic: &str, payloads: &[String]) {
    for payload in payloads {
        publish(daemon, topic, payload, &[]);
    }
}

fn source(daemon: &Daemon, more: &[(&'static str, Value)]) -> Source {
    let mut settings = vec![
        ("address", text(format!("mqtt://{}", daemon.address))),
        ("topics", list(&["plant/+/t", "fleet/#"])),
    ];
    settings.extend_from_slice(more);
    Source::new("mqtt", settings)
}

#[test]
fn messages_wait_in_the_session_and_are_acknowledged_once_they_are_stored() {
    for version in ["5", "3.1.1"] {
        for qos in [1, 2] {
            let folder = Folder::new();
            let daemon = Daemon::start(Kind::Mosquitto, &folder.0);
            let settings = [("version", text(version)), ("qos", Value::Number(qos))];
            let mut source = source(&daemon, &settings);
            source.connected();
            publish(
                &daemon,
                "plant/1/t",
                "{\"n\":0}",
                &["-D", "publish", "user-property", "a", "b"],
            );
            let first = source.take(1).remove(0);
            assert_eq!(first.subject.as_deref(), Some("plant/1/t"));
            let expected = if version == "5" { vec![("a".into(), "b".into())] } else { Vec::new() };
            assert_eq!(first.headers, expected);
            publish_all(&daemon, "fleet/a/b", &numbered(1..4));
            // Killed before these were stored: they come again.
            assert!(!source.fetch_in_vain().is_empty());
            source.restart();
            assert_eq!(source.payloads(3), numbered(1..4), "{version} {qos}");
            // Away, and acknowledged what was stored: only what is new comes.
            source.close();
            publish_all(&daemon, "plant/2/t", &numbered(4..6));
            publish(&daemon, "plant/2/other", "not for us", &[]);
            source.restart();
            assert_eq!(source.payloads(2), numbered(4..6), "{version} {qos}");
            source.fetch().unwrap();
            assert_eq!(source.resume, Some(fanwire::source::Resume(b"1".as_slice().into())));
            assert!(source.gaps.is_empty(), "{:?}", source.gaps);
        }
    }
}

#[test]
fn what_is_retained_comes_once_and_is_known_by_that() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Mosquitto, &folder.0);
    publish(&daemon, "fleet/a", "kept", &["-r"]);
    let mut source = source(&daemon, &[]);
    source.connected();
    let first = source.take(1).remove(0);
    assert_eq!(first.headers, [("retained".into(), "true".into())]);
    source.restart();
    publish(&daemon, "fleet/a", "next", &[]);
    assert_eq!(source.payloads(1), ["next"]);
}

#[test]
fn a_session_that_the_broker_has_forgotten_is_a_gap() {
    let folder = Folder::new();
    let mut daemon = Daemon::start(Kind::Mosquitto, &folder.0);
    let mut source = source(&daemon, &[]);
    source.connected();
    publish(&daemon, "fleet/a", "1", &[]);
    assert_eq!(source.payloads(1), ["1"]);
    // It keeps nothing on its disk.
    daemon.restart(&folder.0);
    assert!((0..LOOKS).any(|_| source.fetch().is_err()));
    source.connected();
    assert_eq!(source.gaps.len(), 1);
    publish(&daemon, "fleet/a", "2", &[]);
    assert_eq!(source.payloads(1), ["2"]);
}

#[test]
fn a_message_that_is_too_large_is_passed_over_and_acknowledged() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Mosquitto, &folder.0);
    let mut source = source(&daemon, &[]);
    source.connected();
    let large = folder.0.join("large");
    std::fs::write(&large, vec![b'x'; 5 * 1024 * 1024]).unwrap();
    let port = daemon.address.port().to_string();
    let published = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", "fleet/large", "-f"])
        .arg(&large)
        .status()
        .unwrap();
    assert!(published.success());
    publish(&daemon, "fleet/a", "behind it", &[]);
    assert_eq!(source.payloads(1), ["behind it"]);
    assert_eq!(source.unusable.len(), 1);
    assert_eq!(source.unusable[0].at, "`fleet/large`");
    source.restart();
    publish(&daemon, "fleet/a", "next", &[]);
    assert_eq!(source.payloads(1), ["next"]);
    assert_eq!(source.unusable.len(), 1);
}
