//! A server and its data folder as an operator meets them: who may have it, which may be had, and what the process says and answers when the disk fails.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStderr;
use std::process::Command;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use fanwire::server::DISK_FAILED_CODE;

/// A folder that goes when the test does.
pub(super) struct Place(pub(super) PathBuf);

impl Place {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fanwire-{name}-{}", std::process::id()));
        // Left of a run that was killed.
        drop(fs::remove_dir_all(&path));
        Self(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A server that keeps `fleet/**`; killed if a test fails.
pub(super) struct Server {
    pub(super) child: Child,
    log: BufReader<ChildStderr>,
    pub(super) address: String,
    /// What it said until it listened, or ended.
    said: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
        }
    }
}

impl Server {
    fn start(folder: &Path) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_fanwire")), folder, "2")
    }

    fn start_by(mut command: Command, folder: &Path, shards: &str) -> Self {
        command.arg("serve").args(["--durable", "fleet/**", "--data-dir"]).arg(folder);
        Self::start_as(command, shards)
    }

    pub(super) fn start_as(mut command: Command, shards: &str) -> Self {
        command.args(["--listen", "127.0.0.1:0", "--shards", shards]).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let (mut said, mut address) = (String::new(), String::new());
        while address.is_empty() {
            let mut line = String::new();
            if log.read_line(&mut line).unwrap() == 0 {
                break;
            }
            if let Some((_, rest)) = line.split_once(" address=") {
                rest.split(' ').next().unwrap().clone_into(&mut address);
            }
            said.push_str(&line);
        }
        Self { child, log, address, said }
    }

    /// The status and the body of an answer; nothing, if the server is gone.
    pub(super) fn publish(&self, topic: &str, payload: &str) -> Option<(u16, String)> {
        self.post(&format!("/v1/publish/{topic}"), "", payload)
    }

    /// The same of any post; `bearer`: what its sender shows, if anything.
    fn post(&self, path: &str, bearer: &str, payload: &str) -> Option<(u16, String)> {
        let mut socket = TcpStream::connect(&self.address).ok()?;
        let shown = match bearer {
            "" => String::new(),
            _ => format!("Authorization: Bearer {bearer}\r\n"),
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{shown}Content-Length: {}\r\n\r\n",
            payload.len()
        );
        socket.write_all(head.as_bytes()).ok()?;
        socket.write_all(payload.as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer))
    }

    /// Its exit code, and what it said at the end.
    pub(super) fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }

    pub(super) fn stop(&mut self) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.end()
    }
}

fn info(folder: &Path) -> String {
    let told = Command::new(env!("CARGO_BIN_EXE_fanwire"))
        .args(["history", "info"])
        .arg(folder)
        .output()
        .unwrap();
    String::from_utf8(told.stdout).unwrap()
}

#[test]
fn a_folder_has_one_owner_who_is_named_and_the_next_one_finds_it_in_order() {
    let place = Place::new("folder-owner");
    let mut first = Server::start(&place.0);
    let folder = place.0.display().to_string();
    assert!(first.said.contains(&format!("history is kept on disk folder={folder} events=0")));
    assert_eq!(first.publish("fleet/a", "{\"n\":1}").map(|(status, _)| status), Some(200));
    let mut second = Server::start(&place.0);
    let (code, _) = second.end();
    assert_eq!(code, Some(1));
    let holder = format!(
        "fanwire: command line: `data_dir`: cannot be used: {folder}: it is in use by fanwire serve, process {}\n",
        first.child.id()
    );
    assert_eq!(second.said, holder);
    assert_eq!(first.publish("fleet/a", "{\"n\":2}").map(|(status, _)| status), Some(200));
    assert_eq!(first.stop().0, Some(0));
    let told = info(&place.0);
    assert!(told.contains("left     in order") && told.contains("fleet/a  2 events"), "{told}");
    // Another number of shards: the topic goes on where it was.
    let mut third = Server::start_by(Command::new(env!("CARGO_BIN_EXE_fanwire")), &place.0, "3");
    assert!(third.said.contains("another number of shards before=2"), "{}", third.said);
    let (status, answer) = third.publish("fleet/a", "{\"n\":3}").unwrap();
    assert!(status == 200 && answer.contains("\"offset\":3"), "{answer}");
    assert_eq!(third.stop().0, Some(0));
}

#[test]
fn a_folder_of_a_later_format_is_refused_and_not_touched() {
    let place = Place::new("folder-later");
    fs::create_dir_all(&place.0).unwrap();
    let text = "fanwire history 9\nnobody knows\n";
    let text = format!("{text}sum {:08x}\n", crc32c::crc32c(text.as_bytes()));
    fs::write(place.0.join("manifest"), &text).unwrap();
    let mut server = Server::start(&place.0);
    assert_eq!(server.end().0, Some(2));
    assert!(
        server.said.contains("the folder is of format 9, and this version knows formats up to 2"),
        "{}",
        server.said
    );
    assert_eq!(fs::read_to_string(place.0.join("manifest")).unwrap(), text);
    assert!(!place.0.join("1").exists());
}

#[test]
fn nothing_is_written_where_no_topic_is_durable_and_nobody_may_revoke() {
    let place = Place::new("folder-none");
    let mut server = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    server.args(["serve", "--listen", "127.0.0.1:0", "--shards", "1", "--data-dir"]).arg(&place.0);
    let mut child = server.stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("listening"), "{line}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!place.0.exists());
}

#[test]
fn a_disk_that_fails_ends_the_process_with_one_line_and_what_was_answered_is_there() {
    let place = Place::new("folder-fails");
    // A file may not grow beyond so many blocks of 512 bytes: the write fails, and not for want of room.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]);
    limited.arg(env!("CARGO_BIN_EXE_fanwire"));
    let mut server = Server::start_by(limited, &place.0, "1");
    let mut answered = 0;
    for number in 0_u64..10_000 {
        let mut noise = number;
        let pad: String = (0..400)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'a' + u8::try_from(noise >> 60).unwrap())
            })
            .collect();
        match server.publish("fleet/a", &format!("{{\"n\":{number},\"pad\":\"{pad}\"}}")) {
            Some((200, _)) => answered += 1,
            _ => break,
        }
    }
    let (code, said) = server.end();
    assert_eq!(code, Some(DISK_FAILED_CODE), "{said}");
    let lines = said.lines().filter(|line| line.starts_with("fanwire: ")).count();
    assert!(
        lines == 1 && said.contains("the store has failed and nothing more can be kept: "),
        "{said}"
    );
    let mut again = Server::start(&place.0);
    assert!(again.said.contains(&format!(" events={answered} ")), "{answered}: {}", again.said);
    let (status, answer) = again.publish("fleet/a", "{}").unwrap();
    assert!(status == 200 && answer.contains(&format!("\"offset\":{}", answered + 1)), "{answer}");
    assert_eq!(again.stop().0, Some(0));
}

const ADMIN: &str = "the admin secret of these tests, long enough";

/// What starts a server that checks tokens; its files have a place.
fn checking(place: &Place) -> Command {
    let path = |name: &str| place.0.join(name);
    let secret = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/auth/secret.txt");
    fs::create_dir_all(&place.0).unwrap();
    fs::write(path("admin"), ADMIN).unwrap();
    let text = format!(
        "[auth]\nadmin_secret_file = '{}'\nalgorithm = 'HS256'\nkey_file = '{}'\n",
        path("admin").display(),
        secret.display()
    );
    fs::write(path("fanwire.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    command.args(["serve", "--config"]).arg(path("fanwire.toml"));
    command
}

/// The same, started with durable topics.
fn secured(place: &Place, shards: &str) -> Server {
    let mut command = checking(place);
    command.args(["--durable", "fleet/**", "--data-dir"]).arg(place.0.join("data"));
    Server::start_as(command, shards)
}

fn token(user: &str, jti: &str, issued_at_s: u64) -> String {
    let claims = serde_json::json!({
        "sub": user, "jti": jti, "iat": issued_at_s, "exp": issued_at_s + 3_000,
        "fanwire": {"publish": ["**"]},
    });
    let secret = include_bytes!("../fixtures/auth/secret.txt").trim_ascii_end();
    let key = jsonwebtoken::EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

#[test]
fn what_was_revoked_stays_so_after_a_kill_and_a_rotten_ledger_lets_nobody_in() {
    let place = Place::new("folder-revoked");
    let now_s = fanwire::clock::Clock::start().now().wall_us / 1_000_000;
    let tokens = [("ada", "t1"), ("ada", "t2"), ("bob", "t3"), ("eve", "t4")];
    let tokens = tokens.map(|(user, jti)| token(user, jti, now_s - 10));
    let statuses = |server: &Server| {
        assert!(!server.address.is_empty(), "{}", server.said);
        tokens.each_ref().map(|token| server.post("/v1/publish/fleet/a", token, "{}").unwrap().0)
    };
    let mut server = secured(&place, "2");
    assert_eq!(statuses(&server), [200; 4], "{}", server.said);
    for (number, what) in [r#"{"jti":"t1"}"#, r#"{"user":"bob"}"#].iter().enumerate() {
        let (status, said) = server.post("/v1/admin/revoke", ADMIN, what).unwrap();
        assert!(status == 200 && said.ends_with(r#"{"revoked":true}"#), "{said}");
        // The moment it is answered, and with another number of shards.
        server.child.kill().unwrap();
        server.end();
        server = secured(&place, ["3", "1"][number]);
        let bob = if number == 0 { 200 } else { 401 };
        assert_eq!(statuses(&server), [401, 200, bob, 200]);
    }
    assert_eq!(server.stop().0, Some(0));

    let told = info(&place.0.join("data"));
    assert!(told.contains("ledger   2 notes"), "{told}");
    let names = ["ledger", "ledger.copy"].map(|name| place.0.join("data").join(name));
    let whole = fs::read(&names[0]).unwrap();
    let mut rotten = whole;
    *rotten.last_mut().unwrap() ^= 1;
    fs::write(&names[0], &rotten).unwrap();
    let mut server = secured(&place, "2");
    assert_eq!(statuses(&server), [401, 200, 401, 200], "the other copy has it");
    assert_eq!(server.stop().0, Some(0));
    let mended = fs::read(&names[0]).unwrap();
    for name in &names {
        let mut rotten = mended.clone();
        *rotten.last_mut().unwrap() ^= 1;
        fs::write(name, &rotten).unwrap();
    }
    let mut server = secured(&place, "2");
    assert_eq!(server.end().0, Some(2));
    let said = "what was revoked cannot be read: `ledger` and `ledger.copy` are rotten at byte ";
    assert!(server.said.contains(said), "{}", server.said);
    for name in &names {
        fs::remove_file(name).unwrap();
    }
    let mut server = secured(&place, "2");
    assert_eq!(statuses(&server), [200; 4], "as the message says");
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn what_was_revoked_stays_so_without_durable_topics_where_a_folder_is_named() {
    let place = Place::new("folder-ledger");
    let now_s = fanwire::clock::Clock::start().now().wall_us / 1_000_000;
    let token = token("ada", "t1", now_s - 10);
    let status = |server: &Server| {
        assert!(!server.address.is_empty(), "{}", server.said);
        server.post("/v1/publish/fleet/a", &token, "{}").unwrap().0
    };
    let start = |named: bool, shards: &str| {
        let mut command = checking(&place);
        if named {
            command.arg("--data-dir").arg(place.0.join("data"));
        }
        command.current_dir(&place.0);
        Server::start_as(command, shards)
    };
    let revoke = |server: &Server| {
        let (status, said) = server.post("/v1/admin/revoke", ADMIN, r#"{"jti":"t1"}"#).unwrap();
        assert!(status == 200 && said.ends_with(r#"{"revoked":true}"#), "{said}");
    };
    let mut server = start(true, "2");
    assert!(server.said.contains("what is revoked is kept on disk"), "{}", server.said);
    assert_eq!(status(&server), 200);
    revoke(&server);
    server.child.kill().unwrap();
    server.end();
    let mut server = start(true, "1");
    assert_eq!(status(&server), 401, "it outlasts a kill, and another number of shards");
    assert_eq!(server.stop().0, Some(0));
    let told = info(&place.0.join("data"));
    assert!(told.contains("ledger   1 note") && !told.contains("class"), "{told}");

    // Logs that lie there stay as they were left: not in order, which the next server with durable topics has to know.
    let mut server = secured(&place, "1");
    server.child.kill().unwrap();
    server.end();
    let manifest = || fs::read_to_string(place.0.join("data/manifest")).unwrap();
    let left = manifest();
    assert!(left.contains("clean no"), "{left}");
    let mut server = start(true, "1");
    assert_eq!(status(&server), 401);
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(manifest(), left);

    // Without a folder that is named the start says what that means.
    let mut server = start(false, "1");
    assert!(server.said.contains("what is revoked is forgotten"), "{}", server.said);
    assert_eq!(status(&server), 200);
    revoke(&server);
    assert_eq!(server.stop().0, Some(0));
    fs::rename(place.0.join("data"), place.0.join("fanwire-data")).unwrap();
    let mut server = start(false, "1");
    let warned = "what was revoked lies in fanwire-data/ledger, and is not looked at";
    assert!(server.said.contains(warned), "{}", server.said);
    assert_eq!(server.stop().0, Some(0));
}
