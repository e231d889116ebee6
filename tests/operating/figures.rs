//! `/metrics` as Prometheus wants it, its cardinality, and the examples that read it.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;

use fanwire::clock::Clock;
use regex::Regex;
use serde_json::Value;

use crate::scene::Scene;
use crate::scene::file;
use crate::scene::tool;
use crate::socket::Client;
use crate::socket::ask;

/// What stands before each value.
fn samples(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

fn value(page: &str, sample: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample}")).parse().unwrap()
}

/// Figures are left ten times a second: asks until they are so.
fn until(scene: &Scene, what: &str, is_so: impl Fn(&str) -> bool) -> String {
    let clock = Clock::start();
    loop {
        let page = scene.figures();
        if is_so(&page) {
            return page;
        }
        assert!(clock.now().mono_ms < 60_000, "{what}\n{page}");
    }
}

/// Whoever hears the whole of a stream's head has a connection on which it is spoken.
fn stream(scene: &Scene, topic: &str) -> std::net::TcpStream {
    let mut socket = crate::socket::connect(scene.address());
    write!(socket, "GET /v1/sse?topic={topic} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    socket
}

#[test]
fn the_page_does_not_grow_with_topics_users_or_refusals() {
    let scene = Scene::new("");
    let mut first = Client::open(scene.address(), "/v1/ws", "").unwrap();
    first.hear();
    first.subscribe("a");
    let _stream = stream(&scene, "a");
    let sse = "fanwire_dialect_connections{dialect=\"native over SSE\"}";
    let has_spoken = |page: &str| page.contains(sse) && page.contains("dialect=\"native\"");
    let before = samples(&until(&scene, "both are spoken", has_spoken));
    let mut clients = Vec::new();
    for number in 0..60 {
        let mut client = Client::open(scene.address(), "/v1/ws", "").unwrap();
        client.hear();
        client.subscribe(&format!("topic/{number}"));
        let path = format!("POST /v1/publish/topic/{number}");
        let answer = ask(scene.address(), &path, "", "{\"n\":1}");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(client.hear()["payload"]["n"], 1);
        let answer = ask(scene.address(), &format!("GET /nowhere/{number}"), "", "");
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        clients.push(client);
    }
    let told = "fanwire_publish_to_socket_seconds_count";
    let page = until(&scene, "all were told", |page| value(page, told) >= 60.0);
    assert_eq!(samples(&page), before);
    assert!(value(&page, "fanwire_topics") >= 60.0);
    let is = |sample: &str, number: f64| {
        until(&scene, sample, |page| (value(page, sample) - number).abs() < 0.5);
    };
    is("fanwire_dialect_connections{dialect=\"native\"}", 61.0);
    is("fanwire_dialect_subscriptions{dialect=\"native\"}", 61.0);
    is(sse, 1.0);
    is("fanwire_http_answers_total{status=\"404\"}", 60.0);
    drop(clients);
    is("fanwire_dialect_connections{dialect=\"native\"}", 1.0);
    is("fanwire_dialect_subscriptions{dialect=\"native\"}", 1.0);
}

#[test]
fn what_is_refused_is_counted_by_its_reason() {
    let scene = Scene::new("subscriptions_max = 1\n");
    let mut client = Client::open(scene.address(), "/v1/ws", "").unwrap();
    client.hear();
    client.subscribe("a");
    for topic in ["b", "c"] {
        client.say(&serde_json::json!({"type": "subscribe", "id": topic, "topics": [topic]}));
        assert_eq!(client.hear()["code"], "too_many_subscriptions");
    }
    let sample = "fanwire_refused_total{reason=\"too_many_subscriptions\"}";
    until(&scene, sample, |page| (value(page, sample) - 2.0).abs() < 0.5);
}

/// A server on whose page every figure stands.
fn scene_with_everything() -> Scene {
    let scene = Scene::new(
        "data_dir = '@'\ntls.self_signed = ['localhost']\ntls.plain_listeners = ['listen']\n[[history.durable]]\ntopics = ['kept/**']\n[[source]]\nname = 'it'\nkind = 'file'\npath = '@/it.ndjson'\ntopic = 'kept/it'\n",
    );
    let mut client = Client::open(scene.address(), "/v1/ws", "").unwrap();
    client.hear();
    until(&scene, "a dialect and the store", |page| {
        page.contains("fanwire_dialect_connections{") && page.contains("fanwire_store_events_total")
    });
    scene
}

#[test]
fn promtool_finds_nothing_wrong_with_the_page() {
    let Some(mut promtool) = tool("promtool") else { return };
    let page = scene_with_everything().figures();
    let command = promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert_eq!(String::from_utf8(words).unwrap(), "");
    assert!(said.status.success());
}

/// The names of figures in an expression, as the page has them.
fn named(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(?:fanwire|process)_[a-z_]+").unwrap();
    name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn each_figure_that_an_example_names_stands_on_the_page() {
    let page = scene_with_everything().figures();
    let known: BTreeSet<String> =
        samples(&page).iter().map(|of| of.split('{').next().unwrap().to_owned()).collect();
    let alerts = std::fs::read_to_string(file("docs/examples/alerts.yml")).unwrap();
    let dashboard = std::fs::read_to_string(file("docs/examples/grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let shown: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(shown.len() >= 20, "{}", shown.len());
    let expressions = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let watched: Vec<&str> = expressions.collect();
    assert!(watched.len() >= 8, "{}", watched.len());
    for expression in shown.into_iter().chain(watched) {
        let names = named(expression);
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(known.contains(&name), "{name} in {expression}");
        }
    }
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids of panels are their own");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    let Some(mut promtool) = tool("promtool") else { return };
    let said = promtool.args(["check", "rules"]).arg(file("docs/examples/alerts.yml")).output();
    let said = said.unwrap();
    let words = String::from_utf8([said.stdout, said.stderr].concat()).unwrap();
    assert!(said.status.success() && words.contains("SUCCESS"), "{words}");
}
