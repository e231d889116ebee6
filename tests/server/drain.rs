//! A server that stops: clients come back spread evenly, nothing that was accepted is lost, and the end comes in time.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;

use fanwire::clock::Now;
use fanwire::config::Config;
use fanwire::event::ShardId;
use fanwire::server::Server;
use fanwire::shard::ConnId;
use fanwire::shard::PartyId;
use fanwire::shard::Pending;
use fanwire::shard::Port;
use fanwire::shard::Sent;
use fanwire::shard::Shard;
use fanwire::shard::Sink;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::socket::Client;
use crate::socket::Heard;

/// What each connection was sent, and when it was first sent anything.
#[derive(Debug, Default)]
struct Sends {
    now_ms: u64,
    said: BTreeMap<ConnId, (u64, Vec<u8>)>,
}

impl Sink for Sends {
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Sent {
        let said = self.said.entry(conn).or_insert_with(|| (self.now_ms, Vec::new()));
        said.1.extend_from_slice(bytes);
        Sent::Took(bytes.len())
    }

    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent {
        self.send(conn, &pieces.concat())
    }
}

const CLIENTS: usize = 10_000;
const BEGIN_MS: u64 = 1000;

fn at(now_ms: u64) -> Now {
    Now { mono_ms: now_ms, wall_us: (1_786_600_000_000 + now_ms) * 1000 }
}

/// Opens so many connections to one of two shards, stops it, and says what each was sent from then on.
fn stopped(request: &str) -> Sends {
    let text = "connections_max = 100000\nreturn_spread_s = 30\ndrain_timeout_s = 20\nclose_timeout_s = 1\n";
    let config = Config::parse(text, std::path::Path::new("f.toml")).unwrap();
    let settings = Server::shard_settings(&config, 2).unwrap();
    let mut shard = Shard::new(ShardId(0), 2, settings, Arc::from("e"));
    let mut heard = Sends::default();
    for _ in 0..CLIENTS {
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let id = shard.open(Port::Shared, peer, at(BEGIN_MS)).expect("there is room").id;
        shard.received(id, &mut request.as_bytes().to_vec(), at(BEGIN_MS));
        shard.work(&mut heard, at(BEGIN_MS));
    }
    while shard.has_work() {
        shard.work(&mut heard, at(BEGIN_MS));
    }
    assert_eq!(heard.said.len(), CLIENTS, "each has been answered");
    heard.said.clear();
    shard.stop(at(BEGIN_MS));
    let mut now_ms = BEGIN_MS;
    while !shard.is_drained() {
        now_ms += 1;
        assert!(now_ms < BEGIN_MS + 20_000, "it ends within its time");
        heard.now_ms = now_ms;
        shard.work(&mut heard, at(now_ms));
        // Its messages to the other shard arrive: nobody is there who would hear them.
        *shard.mesh_pending(PartyId(1)) = Pending::default();
        if now_ms.is_multiple_of(100) {
            shard.tick(at(now_ms));
        }
        while shard.poll_gone().is_some() {}
    }
    heard
}

/// How far some moments are from being spread evenly over a window: 19 degrees of freedom, of which 36.2 is exceeded by chance once in a hundred times.
fn chi_square(moments: &[u64], window_ms: u64) -> f64 {
    const BINS: usize = 20;
    let mut bins = [0_u32; BINS];
    for moment in moments {
        assert!(*moment < window_ms, "{moment}");
        bins[usize::try_from(*moment * BINS as u64 / window_ms).unwrap()] += 1;
    }
    let expected = moments.len() as f64 / BINS as f64;
    bins.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

fn websocket(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// The number behind a word.
fn number_behind(said: &[u8], word: &str) -> Option<u64> {
    let said = String::from_utf8_lossy(said).into_owned();
    let (_, rest) = said.split_once(word)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[test]
fn who_is_told_when_to_come_back_is_told_moments_spread_evenly() {
    // Two shards with as many clients: 20,000 at 1000 a second.
    for (request, word) in [
        (websocket("/v1/ws?topic=t"), "\"after_ms\":"),
        ("GET /v1/sse?topic=t HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(), "retry: "),
    ] {
        let heard = stopped(&request);
        let told = heard.said.values().map(|(_, said)| number_behind(said, word).unwrap() - 500);
        let told: Vec<u64> = told.collect();
        assert_eq!(told.len(), CLIENTS);
        let far = chi_square(&told, 20_000);
        assert!(far < 36.2, "{word} {far}");
        let at_once = heard.said.values().filter(|(at_ms, _)| *at_ms < BEGIN_MS + 200).count();
        assert_eq!(at_once, CLIENTS, "and nobody is kept");
    }
}

#[test]
fn who_cannot_be_told_is_closed_one_after_the_other() {
    let heard = stopped(&websocket("/ws/subscribe?collections=a"));
    let closed: Vec<u64> = heard.said.values().map(|(at_ms, _)| at_ms - BEGIN_MS).collect();
    assert_eq!(closed.len(), CLIENTS);
    let first = *closed.iter().min().unwrap();
    let since_first: Vec<u64> = closed.iter().map(|at_ms| at_ms - first).collect();
    // Half of the time that stopping may take.
    let far = chi_square(&since_first, 10_000);
    assert!(far < 36.2, "{far}");
    for (_, said) in heard.said.values() {
        assert!(said.starts_with(&[0x88]) && said.ends_with(b"the server is shutting down"));
    }
}

/// The command, which is killed if a test fails.
struct Process(std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.kill().unwrap();
        }
    }
}

fn start(arguments: &[&str]) -> (Process, SocketAddr) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--shards", "2"]).args(arguments);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let address = line.split(" address=").nth(1).unwrap().split(' ').next().unwrap();
    let address = address.parse().unwrap();
    // Whatever else it says is read, or it would wait for somebody to.
    let read = move || std::io::copy(&mut log, &mut std::io::sink());
    let _reader = std::thread::Builder::new().spawn(read).unwrap();
    (Process(child), address)
}

#[test]
fn what_was_acknowledged_before_the_end_has_been_told() {
    let (mut server, address) = start(&[]);
    let mut subscriber = Client::open(address, "/v1/ws?topic=drain", "").unwrap();
    while subscriber.hear()["type"] != "live" {}
    let publishing = move || {
        let mut client = Client::open(address, "/v1/ws", "").unwrap();
        let mut acknowledged = 0_u64;
        let mut asked = 0_u64;
        loop {
            asked += 1;
            let message = serde_json::json!({"type": "publish", "id": asked, "topic": "drain", "payload": {"n": asked}});
            client.say(&message);
            loop {
                match client.next() {
                    Heard::Text(answer) if answer["type"] == "published" => {
                        acknowledged = acknowledged.max(answer["offset"].as_u64().unwrap());
                        break;
                    }
                    // What it refuses it has not taken.
                    Heard::Text(answer) if answer["type"] == "error" => break,
                    Heard::Text(_) => {}
                    Heard::Close(..) => return acknowledged,
                }
            }
        }
    };
    let publisher = std::thread::Builder::new().spawn(publishing).unwrap();
    let mut told = 0;
    let mut is_told_to_return = false;
    loop {
        match subscriber.next() {
            Heard::Text(message) if message["type"] == "event" => {
                assert_eq!(message["offset"].as_u64().unwrap(), told + 1);
                told += 1;
                if told == 200 {
                    kill_process(Pid::from_child(&server.0), Signal::TERM).unwrap();
                }
            }
            Heard::Text(message) if message["type"] == "reconnect" => is_told_to_return = true,
            Heard::Text(_) => {}
            Heard::Close(code, _) => {
                assert_eq!(code, 1001);
                break;
            }
        }
    }
    let acknowledged = publisher.join().unwrap();
    let status = server.0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(is_told_to_return);
    assert!(acknowledged >= 200, "{acknowledged}");
    assert_eq!(told, acknowledged, "everything that was accepted, and nothing else");
}

#[test]
fn a_second_order_ends_it_at_once() {
    use std::os::unix::process::ExitStatusExt;
    let (mut server, address) = start(&[]);
    // A client that never answers the good-bye would be waited for.
    let mut client = Client::open(address, "/v1/ws?topic=drain", "").unwrap();
    kill_process(Pid::from_child(&server.0), Signal::TERM).unwrap();
    while client.hear()["type"] != "reconnect" {}
    kill_process(Pid::from_child(&server.0), Signal::TERM).unwrap();
    let status = server.0.wait().unwrap();
    assert_eq!(status.signal(), Some(15), "{status}");
}
