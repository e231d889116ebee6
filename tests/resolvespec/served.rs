//! Hooks of a server that runs: over HTTP, signed, encrypted, on connections that are kept, and closed when nobody answers; and an embedder's own.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::Builder;
use std::time::Duration;

use fanwire::clock::Clock;
use fanwire::config::Config;
use fanwire::dialect::Hook;
use fanwire::dialect::hook::Chain;
use fanwire::dialect::hook::Verdict;
use fanwire::server::Running;
use fanwire::server::Server;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use serde_json::json;

use crate::socket::Client;
use crate::socket::ask as ask_over_http;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// One call as it came.
#[derive(Clone, Debug)]
struct Heard {
    head: String,
    body: Vec<u8>,
}

/// A status and a body; `None`: no answer at all.
type Said = Option<(u16, String)>;

/// Whoever answers hooks, always with one of these answers. It ends with its last connection.
#[derive(Clone, Debug)]
struct Answerer {
    address: SocketAddr,
    answers: Arc<[Said]>,
    /// Which of them is given now.
    index: Arc<AtomicUsize>,
    told: flume::Sender<Heard>,
    heard: flume::Receiver<Heard>,
    connections: Arc<AtomicUsize>,
}

impl Answerer {
    fn start(answers: &[Said], tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (told, heard) = flume::bounded(1000);
        let answerer = Self {
            address: listener.local_addr().unwrap(),
            answers: answers.into(),
            index: Arc::default(),
            told,
            heard,
            connections: Arc::default(),
        };
        let of_thread = answerer.clone();
        let accept = move || {
            for socket in listener.incoming().map_while(Result::ok) {
                of_thread.connections.fetch_add(1, Ordering::Relaxed);
                let (each, tls) = (of_thread.clone(), tls.clone());
                let serve = move || match tls {
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).unwrap();
                        each.serve(StreamOwned::new(connection, socket));
                    }
                    None => each.serve(socket),
                };
                Builder::new().spawn(serve).unwrap();
            }
        };
        Builder::new().spawn(accept).unwrap();
        answerer
    }

    fn yes() -> [Said; 1] {
        [Some((200, "{}".to_owned()))]
    }

    fn serve(&self, socket: impl Read + Write) {
        let mut socket = BufReader::new(socket);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if !matches!(socket.read_line(&mut head), Ok(1..)) {
                    return;
                }
            }
            let length = head.to_ascii_lowercase();
            let length =
                length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            socket.read_exact(&mut body).unwrap();
            self.told.try_send(Heard { head, body }).unwrap();
            let Some((status, body)) = &self.answers[self.index.load(Ordering::Relaxed)] else {
                continue;
            };
            let length = body.len();
            let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
            if socket.get_mut().write_all(text.as_bytes()).is_err() {
                return;
            }
            drop(socket.get_mut().flush());
        }
    }

    fn says(&self, index: usize) {
        self.index.store(index, Ordering::Relaxed);
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("fanwire-hooks-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("secret"), SECRET).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn config(hooks: &str) -> Config {
    let text = format!(
        "listen = '127.0.0.1:0'\nshards = 2\npin = false\nconnections_max = 100\ntables.backend = 'memory'\n[[table]]\nname = 'public.users'\ncolumns = ['id int key generated', 'name text', 'team text']\n[hooks]\n{hooks}\n"
    );
    Config::parse(&text, Path::new("fanwire.toml")).unwrap()
}

/// Stops a server. Clients leave first: whoever stays is given seconds to say goodbye.
fn stop(running: Running, clients: impl Sized) {
    drop(clients);
    running.stop();
    let _cut_off = running.join();
}

fn open(running: &Running) -> Client {
    Client::open(running.address(), "/rs/ws", "").unwrap()
}

fn ask(client: &mut Client, members: &str) -> Value {
    client.say(
        &serde_json::from_str(&format!(
            r#"{{"id":"r","type":"request","entity":"users",{members}}}"#
        ))
        .unwrap(),
    );
    client.hear()
}

fn read(client: &mut Client) -> Value {
    ask(client, r#""operation":"read""#)
}

fn figures(running: &Running) -> String {
    ask_over_http(running.address(), "GET /metrics", "", "")
}

/// The value of a header field.
fn field<'a>(heard: &'a Heard, name: &str) -> &'a str {
    let line = heard.head.lines().find(|line| line.to_ascii_lowercase().starts_with(name));
    line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
}

#[test]
fn calls_are_signed_and_their_connections_are_kept() {
    let folder = Folder::new("signed");
    let answerer = Answerer::start(&Answerer::yes(), None);
    let config = config(&format!(
        "timeout_ms = 20000\nsecret_file = '{}'\nbefore_read = 'http://{}/read'\nafter_create = 'http://{}/made?x=1'",
        folder.0.join("secret").display(),
        answerer.address,
        answerer.address
    ));
    let running = Server::start(&config).unwrap();
    let mut client = open(&running);
    for _ in 0..8 {
        assert_eq!(read(&mut client)["success"], true);
    }
    let made = ask(&mut client, r#""operation":"create","data":{"name":"Ada"}"#);
    assert_eq!(made["success"], true);
    assert_eq!(answerer.connections.load(Ordering::Relaxed), 1, "it is kept");
    let heard: Vec<Heard> = answerer.heard.try_iter().collect();
    assert_eq!(heard.len(), 9);
    let figures = figures(&running);
    for figure in [
        "fanwire_hook_call_seconds_count{hook=\"before_read\"} 8\n",
        "fanwire_hook_call_seconds_count{hook=\"after_create\"} 1\n",
        "fanwire_hook_failures_total{hook=\"before_read\",failure=\"too_slow\"} 0\n",
        "fanwire_hook_calls_waiting 0\n",
        "fanwire_hook_calls_waiting_bytes 0\n",
    ] {
        assert!(figures.contains(figure), "{figure}: {figures}");
    }
    assert!(!figures.contains("hook=\"before_create\""), "what is not asked has no figures");
    assert!(heard[0].head.starts_with("POST /read HTTP/1.1\r\n"), "{}", heard[0].head);
    assert!(heard[8].head.starts_with("POST /made?x=1 HTTP/1.1\r\n"), "{}", heard[8].head);
    assert_eq!(field(&heard[8], "fanwire-hook"), "after_create");
    let call: Value = serde_json::from_slice(&heard[8].body).unwrap();
    assert_eq!((&call["hook"], &call["result"]), (&json!("after_create"), &made["data"]));
    let signature = field(&heard[8], "fanwire-signature");
    let (at, signature) = signature.split_once(",v1=").unwrap();
    let at = at.strip_prefix("t=").unwrap();
    let now_s = Clock::start().now().wall_us / 1_000_000;
    assert!(now_s.abs_diff(at.parse().unwrap()) < 60, "{at}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
    let signed = [at.as_bytes(), b".", &heard[8].body].concat();
    let tag: Vec<u8> = (0..signature.len())
        .step_by(2)
        .map(|index| u8::from_str_radix(signature.get(index..index + 2).unwrap(), 16).unwrap())
        .collect();
    aws_lc_rs::hmac::verify(&key, &signed, &tag).unwrap();
    stop(running, client);
}

#[test]
fn whatever_is_wrong_with_an_answer_closes_and_what_follows_is_answered() {
    let long = " ".repeat(fanwire::limits::HOOK_ANSWER_BYTES_MAX + 1);
    let late = "it was not answered in time";
    let strange = "its answer is not understood";
    let wrong: [(Option<(u16, &str)>, &str); 6] = [
        (None, late),
        (Some((500, "{}")), strange),
        (Some((302, "{}")), strange),
        (Some((200, r#"{"filter":[]}"#)), strange),
        (Some((200, "no")), strange),
        (Some((200, &long)), strange),
    ];
    let right = [(204, ""), (200, ""), (200, r#"{"abort":false}"#)];
    let all = wrong.iter().map(|(answer, _)| *answer).chain(right.map(Some));
    let all: Vec<Said> =
        all.map(|answer| answer.map(|(status, body)| (status, body.to_owned()))).collect();
    let answerer = Answerer::start(&all, None);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fail_open = "fail_open = ['before_read']";
    let is_yes = |index: usize| index >= wrong.len();
    // Whoever never answers is waited for shortly, and everybody else for as long as a broken machine may take.
    let slow = [("too_slow", 1), ("bad_answer", 0), ("unreachable", 0)];
    let bad = [("too_slow", 0), ("bad_answer", 5), ("unreachable", 0)];
    let none = [("too_slow", 0), ("bad_answer", 0), ("unreachable", 1)];
    for (address, opens, timeout_ms, indices, failures) in [
        (answerer.address, "", 50, 0..1, slow),
        (answerer.address, "", 20_000, 1..all.len(), bad),
        (answerer.address, fail_open, 50, 0..1, slow),
        (answerer.address, fail_open, 20_000, 1..all.len(), bad),
        (nobody, "", 20_000, 0..1, none),
    ] {
        let hooks =
            format!("before_read = 'http://{address}/'\ntimeout_ms = {timeout_ms}\n{opens}");
        let running = Server::start(&config(&hooks)).unwrap();
        let mut client = open(&running);
        for index in indices {
            answerer.says(index);
            let told = read(&mut client);
            if is_yes(index) || !opens.is_empty() {
                assert_eq!(told["success"], true, "{index}: {told}");
                continue;
            }
            let why = if address == nobody { "nobody answers it" } else { wrong[index].1 };
            let message = format!("the hook before_read failed: {why}");
            let error = json!({"code": "hook_error", "message": message});
            assert_eq!(told["error"], error, "{index}");
        }
        let figures = figures(&running);
        for (failure, count) in failures {
            let of = "fanwire_hook_failures_total{hook=\"before_read\"";
            let figure = format!("{of},failure=\"{failure}\"}} {count}\n");
            assert!(figures.contains(&figure), "{figure}: {figures}");
        }
        stop(running, client);
    }
}

fn certificates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls")
}

#[test]
fn an_encrypted_hook_is_believed_only_if_its_authorities_vouch_for_it() {
    let folder = certificates();
    let chain: Vec<_> = CertificateDer::pem_file_iter(folder.join("localhost.pem"))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("localhost.key.pem")).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let answerer = Answerer::start(&Answerer::yes(), Some(Arc::new(tls)));
    let url = format!("https://localhost:{}/", answerer.address.port());
    let ca = folder.join("ca.pem");
    for (authorities, is_believed) in [(ca.display().to_string(), true), (String::new(), false)] {
        let config = config(&format!(
            "timeout_ms = 20000\nbefore_read = '{url}'\nca_file = '{authorities}'"
        ));
        let running = Server::start(&config).unwrap();
        let mut client = open(&running);
        for _ in 0..3 {
            let told = read(&mut client);
            assert_eq!(told["success"], is_believed, "{told}");
        }
        stop(running, client);
    }
    assert_eq!(answerer.heard.try_iter().count(), 3, "nobody else is told anything");
}

#[test]
fn hooks_of_an_embedder_are_asked_beside_one_another_and_a_panic_is_no_yes() {
    let (hold, held) = flume::bounded::<()>(1);
    let chain = Chain::default()
        .on(Hook::BeforeCreate, move |_| {
            let _held = held.recv();
            Ok(Verdict::default())
        })
        .on(Hook::BeforeUpdate, |_| panic!("a mistake of the embedder's"))
        .on(Hook::BeforeRead, |call| {
            assert!(call.caller.address.is_some());
            Ok(Verdict::default())
        });
    let running = Server::start_with_hooks(&config("timeout_ms = 20000"), Arc::new(chain)).unwrap();
    let (mut slow, mut quick) = (open(&running), open(&running));
    slow.say(&serde_json::from_str(r#"{"id":"c","type":"request","entity":"users","operation":"create","data":{"name":"Ada"}}"#).unwrap());
    for _ in 0..4 {
        assert_eq!(read(&mut quick)["metadata"]["count"], 0);
    }
    let told = ask(&mut quick, r#""operation":"update","record_id":"1","data":{"name":"B"}"#);
    assert_eq!(told["error"]["message"], "the hook before_update failed: nobody answers it");
    hold.send_timeout((), Duration::from_secs(20)).unwrap();
    assert_eq!(slow.hear()["data"]["name"], "Ada");
    stop(running, (slow, quick));
}

#[test]
fn what_is_wrong_with_a_hook_stops_the_start() {
    for (hooks, key, reason) in [
        (
            "before_read = 'http://hooks.example.com/'",
            "hooks.before_read",
            "hooks are asked over https only",
        ),
        (
            "after_read = 'hooks'",
            "hooks.after_read",
            "not an address such as `https://hooks.example.com/before_read`",
        ),
        ("after_read = 'https://a:b@h/'", "hooks.after_read", "may not hold a user or password"),
        (
            "before_read = 'http://127.0.0.1:1/'\nsecret_file = 'Cargo.lock.none'",
            "hooks.secret_file",
            "Cargo.lock.none",
        ),
        (
            "before_read = 'http://127.0.0.1:1/'\nsecret_file = '/dev/null'",
            "hooks.secret_file",
            "32 bytes or more",
        ),
        (
            "before_read = 'http://127.0.0.1:1/'\nca_file = '/dev/null'",
            "hooks.ca_file",
            "no certificate authorities",
        ),
        (
            "before_read = 'http://127.0.0.1:1/'\nfail_open = ['before_meta']",
            "hooks.fail_open",
            "there is no hook `before_meta`",
        ),
    ] {
        let error = Server::check(&config(hooks)).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(reason), "{hooks}: {error}");
        assert!(Server::start(&config(hooks)).is_err(), "{hooks}");
    }
}
