//! NATS and JetStream.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;

use fanwire::source::FaultKind;
use fanwire::source::Value;

use super::Folder;
use super::Source;
use super::list;
use super::numbered;
use super::text;
use crate::daemon::Daemon;
use crate::daemon::Kind;

/// Somebody who says something there, by the protocol as it is documented.
struct Publisher {
    stream: BufReader<TcpStream>,
    count: u32,
}

impl Publisher {
    fn new(daemon: &Daemon) -> Self {
        let stream = BufReader::new(TcpStream::connect(daemon.address).unwrap());
        let mut publisher = Self { stream, count: 0 };
        assert!(publisher.line().starts_with("INFO "));
        publisher.say(
            b"CONNECT {\"verbose\":false,\"headers\":true,\"user\":\"ada\",\"pass\":\"s3cret\"}\r\nSUB _r.* 1\r\n",
        );
        publisher.flush();
        publisher
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).unwrap() > 0, "it has hung up");
        line.trim_end().to_owned()
    }

    fn flush(&mut self) {
        self.say(b"PING\r\n");
        while self.line() != "PONG" {}
    }

    fn publish(&mut self, subject: &str, payload: &[u8]) {
        self.say(format!("PUB {subject} {}\r\n", payload.len()).as_bytes());
        self.say(payload);
        self.say(b"\r\n");
    }

    /// Asks, and hears the answer.
    fn ask(&mut self, subject: &str, payload: &[u8]) -> String {
        self.count += 1;
        let reply = format!("_r.{}", self.count);
        self.say(format!("PUB {subject} {reply} {}\r\n", payload.len()).as_bytes());
        self.say(payload);
        self.say(b"\r\n");
        loop {
            let line = self.line();
            let Some(rest) = line.strip_prefix("MSG ") else {
                assert!(line.is_empty() || line == "PING" || line == "PONG", "{line}");
                continue;
            };
            let size: usize = rest.rsplit(' ').next().unwrap().parse().unwrap();
            let mut answer = vec![0; size + 2];
            self.stream.read_exact(&mut answer).unwrap();
            if rest.starts_with(&reply) {
                let answer = String::from_utf8(answer).unwrap();
                assert!(!answer.contains("\"error\""), "{subject}: {answer}");
                return answer;
            }
        }
    }

    fn stream(&mut self, name: &str, subjects: &str) {
        let config = format!("{{\"name\":\"{name}\",\"subjects\":[\"{subjects}\"]}}");
        self.ask(&format!("$JS.API.STREAM.CREATE.{name}"), config.as_bytes());
    }

    /// Puts into a stream; the last is acknowledged, and those before it came before.
    fn put(&mut self, subject: &str, all: &[String]) {
        let (last, before) = all.split_last().unwrap();
        for payload in before {
            self.publish(subject, payload.as_bytes());
        }
        self.ask(subject, last.as_bytes());
    }
}

fn secret(folder: &Folder, secret: &str) -> Value {
    let path = folder.0.join(format!("secret-{}", secret.len()));
    std::fs::write(&path, secret).unwrap();
    text(path.display().to_string())
}

fn core(daemon: &Daemon, folder: &Folder) -> Source {
    let settings = vec![
        ("address", text(format!("nats://ada@{}", daemon.address))),
        ("secret_file", secret(folder, "s3cret")),
        ("subjects", list(&["a.>", "b"])),
    ];
    Source::new("nats", settings)
}

fn jetstream(daemon: &Daemon, folder: &Folder, more: &[(&'static str, Value)]) -> Source {
    let mut settings = vec![
        ("address", text(format!("nats://ada@{}", daemon.address))),
        ("secret_file", secret(folder, "s3cret")),
        ("stream", text("S")),
        ("begin", text("first")),
    ];
    settings.extend_from_slice(more);
    Source::new("jetstream", settings)
}

#[test]
fn what_is_said_on_a_subject_is_heard_and_a_reconnect_is_a_gap() {
    let folder = Folder::new();
    let mut daemon = Daemon::start(Kind::Nats, &folder.0);
    let mut source = core(&daemon, &folder);
    source.connected();
    let mut publisher = Publisher::new(&daemon);
    publisher.publish("c", b"not for us");
    publisher.publish("a.b.c", b"1");
    publisher.say(b"HPUB b 21 22\r\nNATS/1.0\r\nAt: now\r\n\r\n2\r\n");
    publisher.flush();
    let heard = source.take(2);
    assert_eq!(heard[0].subject.as_deref(), Some("a.b.c"));
    assert_eq!(&heard[0].payload[..], b"1");
    assert_eq!(heard[1].headers, [("At".into(), "now".into())]);
    assert_eq!((heard[1].subject.as_deref(), &heard[1].payload[..]), (Some("b"), &b"2"[..]));
    assert!(source.gaps.is_empty());
    daemon.restart(&folder.0);
    let fault = (0..100).find_map(|_| source.fetch().err()).unwrap();
    assert_eq!(fault.kind, FaultKind::Lost);
    source.connected();
    assert_eq!(source.gaps.len(), 1);
    let mut publisher = Publisher::new(&daemon);
    publisher.publish("b", b"3");
    publisher.flush();
    assert_eq!(source.payloads(1), ["3"]);
    source.restart();
    assert_eq!(source.gaps.len(), 2);
}

#[test]
fn a_stream_is_gone_on_with_exactly_where_it_was_whoever_is_killed() {
    let folder = Folder::new();
    let mut daemon = Daemon::start(Kind::Nats, &folder.0);
    let mut publisher = Publisher::new(&daemon);
    publisher.stream("S", "s.>");
    publisher.put("s.x.y", &numbered(0..3_000));
    let mut source = jetstream(&daemon, &folder, &[]);
    source.connected();
    let first = source.take(1_500);
    assert_eq!(first[7].subject.as_deref(), Some("s.x.y"));
    assert!(first[7].time_us.is_some_and(|us| us > 1_700_000_000_000_000));
    let mut payloads: Vec<String> =
        first.iter().map(|message| String::from_utf8(message.payload.to_vec()).unwrap()).collect();
    source.fetch_in_vain();
    source.restart();
    daemon.restart(&folder.0);
    Publisher::new(&daemon).put("s.z", &numbered(3_000..3_100));
    let mut ids: Vec<_> = first.into_iter().map(|message| message.id.unwrap()).collect();
    while payloads.len() < 3_100 {
        for message in source.take(1) {
            payloads.push(String::from_utf8(message.payload.to_vec()).unwrap());
            ids.push(message.id.unwrap());
        }
    }
    assert_eq!(payloads, numbered(0..3_100));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3_100);
    assert!(source.gaps.is_empty(), "{:?}", source.gaps);
    source.close();
}

#[test]
fn a_source_that_begins_with_what_is_new_hears_nothing_of_before_and_everything_after() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Nats, &folder.0);
    let mut publisher = Publisher::new(&daemon);
    publisher.stream("S", "s.>");
    publisher.put("s.a", &numbered(0..5));
    let mut source = jetstream(&daemon, &folder, &[("begin", text("new"))]);
    source.connected();
    source.fetch().unwrap();
    // Whoever is killed before anything came still knows where it began.
    publisher.put("s.a", &numbered(5..7));
    source.restart();
    assert_eq!(source.payloads(2), numbered(5..7));
    assert!(source.gaps.is_empty());
}

#[test]
fn only_the_subjects_that_are_asked_for_come() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Nats, &folder.0);
    let mut publisher = Publisher::new(&daemon);
    publisher.stream("S", "s.>");
    for number in 0..30 {
        publisher.put(&format!("s.{}", ["a", "b", "c"][number % 3]), &[number.to_string()]);
    }
    let numbers = |keep: fn(usize) -> bool| -> Vec<String> {
        (0..30).filter(|number| keep(number % 3)).map(|number| number.to_string()).collect()
    };
    let mut source = jetstream(&daemon, &folder, &[("subjects", list(&["s.b"]))]);
    source.connected();
    assert_eq!(source.payloads(10), numbers(|kind| kind == 1));
    let mut source = jetstream(&daemon, &folder, &[("subjects", list(&["s.a", "s.c"]))]);
    source.connected();
    assert_eq!(source.payloads(20), numbers(|kind| kind != 1));
}

#[test]
fn what_a_stream_lets_go_of_is_a_counted_gap_and_one_that_is_made_anew_another() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Nats, &folder.0);
    let mut publisher = Publisher::new(&daemon);
    publisher.stream("S", "s.>");
    publisher.put("s.a", &numbered(0..10));
    let mut source = jetstream(&daemon, &folder, &[]);
    source.connected();
    assert_eq!(source.payloads(10), numbered(0..10));
    publisher.put("s.a", &numbered(10..20));
    publisher.ask("$JS.API.STREAM.PURGE.S", b"{\"seq\":16}");
    source.restart();
    assert_eq!(source.payloads(5), numbered(15..20));
    assert_eq!(source.gaps.iter().map(|gap| gap.messages).collect::<Vec<_>>(), [5]);
    publisher.ask("$JS.API.STREAM.DELETE.S", b"");
    publisher.stream("S", "s.>");
    publisher.put("s.a", &numbered(0..3));
    source.restart();
    assert_eq!(source.payloads(3), numbered(0..3));
    assert_eq!(source.gaps.iter().map(|gap| gap.messages).collect::<Vec<_>>(), [5, 0]);
}

#[test]
fn a_stream_that_has_lost_its_end_is_found_out_and_what_took_its_place_is_heard() {
    let folder = Folder::new();
    let mut daemon = Daemon::start(Kind::Nats, &folder.0);
    let mut publisher = Publisher::new(&daemon);
    publisher.stream("S", "s.>");
    publisher.put("s.a", &numbered(0..5));
    daemon.kill();
    let (store, kept) = (folder.0.join("store"), folder.0.join("kept"));
    copy(&store, &kept);
    daemon.restart(&folder.0);
    Publisher::new(&daemon).put("s.a", &numbered(5..10));
    let mut source = jetstream(&daemon, &folder, &[]);
    source.connected();
    let before = source.take(10);
    daemon.kill();
    std::fs::remove_dir_all(&store).unwrap();
    copy(&kept, &store);
    daemon.restart(&folder.0);
    // Under the same numbers there are others now, and more of them.
    Publisher::new(&daemon).put("s.a", &numbered(100..107));
    source.restart();
    let after = source.take(7);
    let payloads: Vec<_> = after.iter().map(|message| message.payload.to_vec()).collect();
    let expected: Vec<_> = numbered(100..107).into_iter().map(String::into_bytes).collect();
    assert_eq!(payloads, expected);
    assert_eq!(source.gaps.len(), 1, "{:?}", source.gaps);
    for message in &after {
        assert!(before.iter().all(|other| other.id != message.id));
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[test]
fn a_message_that_is_large_comes_and_one_that_is_too_large_is_passed_over() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Nats, &folder.0);
    let mut publisher = Publisher::new(&daemon);
    publisher.stream("S", "s.>");
    publisher.put("s.a", &["first".to_owned()]);
    publisher.put("s.a", &["x".repeat(3 * 1024 * 1024), "between".to_owned()]);
    publisher.put(
        "s.a",
        &["y".repeat(5 * 1024 * 1024), "z".repeat(12 * 1024 * 1024), "last".to_owned()],
    );
    let mut source = jetstream(&daemon, &folder, &[]);
    source.connected();
    let sizes: Vec<usize> = source.take(4).iter().map(|message| message.payload.len()).collect();
    assert_eq!(sizes, [5, 3 * 1024 * 1024, 7, 4]);
    // The first of them comes with others, and the second is more than the server is asked for at a time.
    let at: Vec<&str> = source.unusable.iter().map(|one| one.at.as_str()).collect();
    assert_eq!(at, ["message 4", "message 5"]);
    assert!(source.gaps.is_empty());
}

#[test]
fn who_we_are_is_proved_by_a_password_or_a_key_and_nobody_else_is_let_in() {
    let folder = Folder::new();
    let daemon = Daemon::start(Kind::Nats, &folder.0);
    let with = |user: &str, secret_file| {
        let settings = vec![
            ("address", text(format!("nats://{user}{}", daemon.address))),
            ("secret_file", secret_file),
            ("subjects", list(&["a"])),
        ];
        Source::new("nats", settings).connect()
    };
    with("ada@", secret(&folder, "s3cret")).unwrap();
    let seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    with("", secret(&folder, seed)).unwrap();
    for (user, said) in [("ada@", "wrong"), ("", "a token that nobody knows"), ("bob@", "s3cret!")]
    {
        let fault = with(user, secret(&folder, said)).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
        assert!(!fault.to_string().contains(said));
    }
    let settings = [("stream", text("none"))];
    let fault = jetstream(&daemon, &folder, &settings).connect().unwrap_err();
    assert_eq!(fault.kind, FaultKind::Wrong, "{fault}");
}
