//! Sources of a server that is a process: killed at any moment, it goes on where its far end is, and tells everything once.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::data_folder::Place;
use crate::data_folder::Server;

/// A server with one source of this kind, whose topics are durable.
fn configured(place: &Place, source: &str) -> String {
    fs::create_dir_all(&place.0).unwrap();
    let folder = place.0.display();
    let text = format!(
        "data_dir = '{folder}/data'\n[[history.durable]]\ntopics = ['fleet/**']\n[[source]]\nname = 'it'\n{source}"
    );
    let config = format!("{folder}/fanwire.toml");
    fs::write(&config, text).unwrap();
    config
}

fn serving(config: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    command.args(["serve", "--config", config]);
    command
}

/// A figure of the server's one source; 0: there is none.
fn figure(server: &Server, name: &str) -> u64 {
    let Ok(mut socket) = TcpStream::connect(&server.address) else { return 0 };
    let head = "GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    let asked = socket.write_all(head.as_bytes());
    if asked.and_then(|()| socket.read_to_string(&mut answer)).is_err() {
        return 0;
    }
    let begin = format!("fanwire_source_{name}{{");
    let line = answer.lines().find(|line| line.starts_with(&begin));
    line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or(0)
}

/// Waits until a figure is so great.
fn wait_for(server: &Server, name: &str, least: u64) {
    for _ in 0..20_000 {
        if figure(server, name) >= least {
            return;
        }
    }
    panic!("{name} is {}, and not {least}", figure(server, name));
}

/// What a folder at rest holds: the numbers of each topic, in order.
fn told(place: &Place) -> BTreeMap<String, Vec<u64>> {
    let output = Command::new(env!("CARGO_BIN_EXE_fanwire"))
        .args(["history", "export"])
        .arg(place.0.join("data"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut told = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let topic = event["topic"].as_str().unwrap().to_owned();
        let numbers: &mut Vec<u64> = told.entry(topic).or_default();
        numbers.push(event["payload"]["n"].as_u64().unwrap());
    }
    told
}

/// Every number up to the last was told once, and those of a topic in order.
fn assert_once(told: &BTreeMap<String, Vec<u64>>, count: u64) {
    let mut all: Vec<u64> = told.values().flatten().copied().collect();
    for (topic, numbers) in told {
        assert!(numbers.is_sorted(), "{topic}: {numbers:?}");
    }
    all.sort_unstable();
    let twice: Vec<_> =
        all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    assert!(twice.is_empty(), "told twice: {twice:?}");
    let lost: Vec<u64> = (0..count).filter(|number| all.binary_search(number).is_err()).collect();
    let ends = (lost.first(), lost.last());
    assert!(lost.is_empty(), "{} of {count} were not told: {ends:?}", lost.len());
    assert_eq!(all.len() as u64, count, "nothing else was told");
}

fn append(file: &mut File, count: &mut u64, more: u64) {
    let mut text = String::new();
    for number in *count..*count + more {
        let topic = ["a", "b", "c"][usize::try_from(number % 3).unwrap()];
        text.push_str(&format!("{{\"n\":{number},\"of\":\"{topic}\"}}\n"));
    }
    file.write_all(text.as_bytes()).unwrap();
    *count += more;
}

fn opened(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

#[test]
fn a_file_is_told_once_however_often_the_server_is_killed() {
    let place = Place::new("source-kills");
    let path = place.0.join("fleet.ndjson");
    let source = format!("kind = 'file'\npath = '{}'\ntopic = 'fleet/{{/of}}'\n", path.display());
    let config = configured(&place, &source);
    let (mut file, mut count) = (opened(&path), 0);
    for life in 0..8_u64 {
        let mut server = Server::start_as(serving(&config), "2");
        append(&mut file, &mut count, 4_000);
        // Somewhere in the middle of it.
        wait_for(&server, "events_total", 1 + 613 * life);
        if life == 3 {
            // Put aside while the server reads, and begun anew.
            fs::rename(&path, place.0.join("fleet.ndjson.1")).unwrap();
            file = opened(&path);
            append(&mut file, &mut count, 500);
        }
        kill_process(Pid::from_child(&server.child), Signal::KILL).unwrap();
        assert_eq!(server.end().0, None);
        if life == 5 {
            // And while nobody reads.
            append(&mut file, &mut count, 500);
            fs::rename(&path, place.0.join("fleet.ndjson.2")).unwrap();
            file = opened(&path);
        }
    }
    append(&mut file, &mut count, 10);
    let so_far: usize = told(&place).values().map(Vec::len).sum();
    let mut server = Server::start_as(serving(&config), "2");
    wait_for(&server, "events_total", count - so_far as u64);
    assert_eq!(server.stop().0, Some(0));
    assert_once(&told(&place), count);
}

#[test]
fn lines_of_standard_input_are_told_and_the_server_outlives_them() {
    let place = Place::new("source-stdin");
    let source = "kind = 'stdin'\ntopic = 'fleet/{/of}'\nfilter = 'n < 3'\n";
    let config = configured(&place, source);
    let mut command = serving(&config);
    command.stdin(Stdio::piped());
    let mut server = Server::start_as(command, "1");
    let mut input = server.child.stdin.take().unwrap();
    input.write_all(b"{\"n\":0,\"of\":\"a\"}\r\n\n{\"n\":1,\"of\":\"a\"}\nnonsense\n").unwrap();
    wait_for(&server, "events_total", 2);
    input.write_all(b"{\"n\":9,\"of\":\"a\"}\n{\"n\":2,\"of\":\"a\"}").unwrap();
    drop(input);
    wait_for(&server, "events_total", 3);
    assert_eq!((figure(&server, "unusable_total"), figure(&server, "dropped_total")), (1, 1));
    assert_eq!(server.publish("fleet/a", "{\"n\":3}").map(|(status, _)| status), Some(200));
    assert_eq!(server.stop().0, Some(0));
    assert_once(&told(&place), 4);
}

#[test]
fn a_source_is_tried_without_a_server_and_nothing_is_committed() {
    let place = Place::new("source-try");
    let path = place.0.join("fleet.ndjson");
    let source = format!(
        "kind = 'file'\npath = '{}'\ntopic = 'fleet/{{/of}}'\nkey = '{{/n}}'\nop = 'upsert'\nfilter = 'n != 1'\n",
        path.display()
    );
    let config = configured(&place, &source);
    let mut count = 0;
    append(&mut opened(&path), &mut count, 20);
    let attempt = |name: &str| {
        let mut fanwire = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        let output = fanwire.args(["source", "try", name, "--config", &config]).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, said, wrong) = attempt("it");
    assert_eq!(code, Some(0), "{wrong}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 10);
    assert_eq!(
        lines[0],
        r#"{"topic":"fleet/a","key":"0","op":"upsert","payload":{"n":0,"of":"a"}}"#
    );
    assert_eq!(lines[1], r#"{"dropped":1}"#);
    assert!(wrong.ends_with("10 messages; nothing was committed\n"), "{wrong}");
    assert!(!place.0.join("data").exists());
    let (code, said, _) = attempt("it");
    assert_eq!((code, said.lines().count()), (Some(0), 10), "from the beginning again");
    let (code, _, wrong) = attempt("that");
    assert_eq!(code, Some(2));
    assert!(wrong.ends_with("there is no source `that`\n"), "{wrong}");
}
