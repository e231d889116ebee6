//! Redis: channels and streams.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use fanwire::source::FaultKind;
use fanwire::source::Value;

use super::Folder;
use super::LOOKS;
use super::Source;
use super::list;
use super::numbered;
use super::text;
use crate::daemon::Daemon;
use crate::daemon::Kind;

/// Says a command, by the protocol as it is documented; the first line of the answer.
fn say(daemon: &Daemon, words: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(daemon.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut said = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        said.extend(format!("${}\r\n", word.len()).into_bytes());
        said.extend(*word);
        said.extend(b"\r\n");
    }
    stream.write_all(&said).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn add(daemon: &Daemon, stream: &str, payloads: &[String]) {
    for payload in payloads {
        let words =
            [&b"XADD"[..], stream.as_bytes(), b"*", b"kind", b"test", b"data", payload.as_bytes()];
        let said = say(daemon, &words);
        assert!(said.starts_with('$'), "{said}");
    }
}

fn channels(daemon: &Daemon) -> Source {
    let settings = vec![
        ("address", text(format!("redis://{}/0", daemon.address))),
        ("channels", list(&["orders"])),
        ("patterns", list(&["trucks.*"])),
    ];
    Source::new("redis", settings)
}

fn streams(daemon: &Daemon, more: &[(&'static str, Value)]) -> Source {
    let mut settings = vec![
        ("address", text(format!("redis://{}", daemon.address))),
        ("streams", list(&["s", "t"])),
        ("field", text("data")),
        ("begin", text("first")),
    ];
    settings.extend_from_slice(more);
    Source::new("redis-stream", settings)
}

#[test]
fn what_is_said_on_a_channel_is_heard_and_a_reconnect_is_a_gap() {
    let folder = Folder::new();
    let mut daemon = Daemon::start(Kind::Redis, &folder.0);
    let mut source = channels(&daemon);
    source.connected();
    assert_eq!(say(&daemon, &[b"PUBLISH", b"orders", b"1"]), ":1");
    assert_eq!(say(&daemon, &[b"PUBLISH", b"other", b"2"]), ":0");
    assert_eq!(say(&daemon, &[b"PUBLISH", b"trucks.7", b"3"]), ":1");
    let heard = source.take(2);
    assert_eq!((heard[0].subject.as_deref(), &heard[0].payload[..]), (Some("orders"), &b"1"[..]));
    assert_eq!((heard[1].subject.as_deref(), &heard[1].payload[..]), (Some("trucks.7"), &b"3"[..]));
    assert!(source.gaps.is_empty());
    daemon.restart(&folder.0);
    let fault = (0..LOOKS).find_map(|_| source.fetch().err()).unwrap();
    assert_eq!(fault.kind, FaultKind::Lost);
    source.connected();
    assert_eq!(source.gaps.len(), 1);
    assert_eq!(say(&daemon, &[b"PUBLISH", b"orders", b"4"]), ":1");
    assert_eq!(source.payloads(1), ["4"]);
}

#[test]
fn streams_are_gone_on_with_exactly_where_they_were() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Redis, &folder.0);
    add(&daemon, "s", &numbered(0..2_500));
    let mut source = streams(&daemon, &[]);
    source.connected();
    let first = source.take(1_100);
    assert_eq!(first[3].subject.as_deref(), Some("s"));
    assert_eq!(first[3].headers, [("kind".into(), "test".into())]);
    assert!(first[3].time_us.is_some_and(|us| us > 1_700_000_000_000_000));
    let mut payloads: Vec<_> =
        first.iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect();
    source.fetch_in_vain();
    source.restart();
    payloads.extend(source.payloads(1_400));
    assert_eq!(payloads, numbered(0..2_500));
    // A stream that was not there, and one that was read to its end.
    add(&daemon, "t", &numbered(0..3));
    assert_eq!(source.payloads(3), numbered(0..3));
    add(&daemon, "s", &numbered(7..9));
    assert_eq!(source.payloads(2), numbered(7..9));
    assert!(source.gaps.is_empty(), "{:?}", source.gaps);
}

#[test]
fn a_source_that_begins_with_what_is_new_knows_where_that_was() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Redis, &folder.0);
    add(&daemon, "s", &numbered(0..3));
    let mut source = streams(&daemon, &[("begin", text("new"))]);
    source.connected();
    source.fetch().unwrap();
    add(&daemon, "s", &numbered(3..5));
    source.restart();
    assert_eq!(source.payloads(2), numbered(3..5));
    assert!(source.gaps.is_empty());
}

#[test]
fn what_a_stream_lets_go_of_is_a_counted_gap_and_a_server_that_forgets_is_found_out() {
    let folder = Folder::new();
    let mut daemon = Daemon::start(Kind::Redis, &folder.0);
    add(&daemon, "s", &numbered(0..10));
    let mut source = streams(&daemon, &[]);
    source.connected();
    assert_eq!(source.payloads(10), numbered(0..10));
    add(&daemon, "s", &numbered(10..20));
    assert_eq!(say(&daemon, &[b"XTRIM", b"s", b"MAXLEN", b"5"]), ":15");
    source.restart();
    assert_eq!(source.payloads(5), numbered(15..20));
    let counts = |source: &Source| source.gaps.iter().map(|gap| gap.messages).collect::<Vec<_>>();
    assert_eq!(counts(&source), [5]);
    // It saves nothing: all that it had is gone.
    daemon.restart(&folder.0);
    add(&daemon, "s", &numbered(0..2));
    source.restart();
    assert_eq!(source.payloads(2), numbered(0..2));
    assert_eq!(counts(&source), [5, 0]);
}

#[test]
fn an_entry_that_is_large_comes_and_one_that_is_too_large_is_passed_over() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Redis, &folder.0);
    let all = [
        "first".to_owned(),
        "x".repeat(3 * 1024 * 1024),
        "y".repeat(5 * 1024 * 1024),
        "last".to_owned(),
    ];
    add(&daemon, "s", &all);
    say(&daemon, &[b"XADD", b"s", b"*", b"other", b"no data"]);
    add(&daemon, "s", &["end".to_owned()]);
    let mut source = streams(&daemon, &[]);
    source.connected();
    let sizes: Vec<usize> = source.take(4).iter().map(|message| message.payload.len()).collect();
    assert_eq!(sizes, [5, 3 * 1024 * 1024, 4, 3]);
    let why: Vec<&str> = source.unusable.iter().map(|one| one.why.as_str()).collect();
    assert_eq!(why, ["it has more than 4194304 bytes", "it has no field `data`"]);
    assert!(source.gaps.is_empty());
}

#[test]
fn all_fields_of_an_entry_make_an_object() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Redis, &folder.0);
    add(&daemon, "s", &numbered(0..1));
    let mut source = streams(&daemon, &[("field", text(""))]);
    source.connected();
    assert_eq!(source.payloads(1), [r#"{"kind":"test","data":"{\"n\":0}"}"#]);
}

#[test]
fn whoever_is_not_let_in_or_asks_for_something_else_is_told_so() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Redis, &folder.0);
    say(&daemon, &[b"SET", b"s", b"a string"]);
    let fault = streams(&daemon, &[]).connect().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Wrong, "{fault}");
    assert!(fault.why.contains("`s`"), "{fault}");
    say(&daemon, &[b"CONFIG", b"SET", b"requirepass", b"s3cret"]);
    let fault = channels(&daemon).connect().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    for (said, kind) in [("wrong", Some(FaultKind::Denied)), ("s3cret", None)] {
        let path = folder.0.join(said);
        std::fs::write(&path, said).unwrap();
        let settings = vec![
            ("address", text(format!("redis://{}", daemon.address))),
            ("secret_file", text(path.display().to_string())),
            ("channels", list(&["a"])),
        ];
        let connected = Source::new("redis", settings).connect();
        assert_eq!(connected.err().map(|fault| fault.kind), kind, "{said}");
    }
}
