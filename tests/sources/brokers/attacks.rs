//! Far ends that are no brokers, or bad ones: each costs its source a fault within its time, and nothing else.

use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use fanwire::clock::Clock;
use fanwire::source::Batch;
use fanwire::source::Connector;
use fanwire::source::Fault;
use fanwire::source::FaultKind;
use fanwire::source::Value;

use super::list;
use super::open;
use super::text;

/// How long connecting may take here, and what everything together takes at most.
const WITHIN: Duration = Duration::from_millis(400);
const MOST: Duration = Duration::from_secs(20);

/// What a far end does with whoever connects.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Says this, and hangs up.
    Say(&'static [u8]),
    /// Says this, and then nothing more.
    SayAndWait(&'static [u8]),
    /// Says this again and again.
    Repeat(&'static [u8]),
}

struct FarEnd {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FarEnd {
    fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ends);
        let thread = std::thread::Builder::new().spawn(move || {
            for client in listener.incoming() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                answer(client.unwrap(), does, &is_over);
            }
        });
        Self { address, ends, thread: Some(thread.unwrap()) }
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Plays its part until its client hangs up.
fn answer(mut client: TcpStream, does: Does, is_over: &AtomicBool) {
    client.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    client.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut heard = [0; 4096];
    match does {
        // What it was said must be read, or hanging up resets the connection before what was answered is heard.
        Does::Say(said) => {
            drop(client.read(&mut heard));
            drop(client.write_all(said));
        }
        Does::SayAndWait(said) => {
            drop(client.write_all(said));
            while !is_over.load(Ordering::SeqCst) {
                match client.read(&mut heard) {
                    Ok(0) => return,
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
                    _ => {}
                }
            }
        }
        Does::Repeat(said) => {
            let much = said.repeat(1 + 65_536 / said.len());
            while !is_over.load(Ordering::SeqCst) && client.write_all(&much).is_ok() {}
        }
    }
}

fn connectors(address: SocketAddr) -> Vec<(&'static str, Box<dyn Connector>)> {
    let of = |kind: &'static str, scheme: &str, more: Vec<(&'static str, Value)>| {
        let mut settings = vec![("address", text(format!("{scheme}://{address}")))];
        settings.extend(more);
        (kind, open(kind, &settings))
    };
    let mut all = vec![
        of("nats", "nats", vec![("subjects", list(&["a"]))]),
        of("jetstream", "nats", vec![("stream", text("S"))]),
        of("redis", "redis", vec![("channels", list(&["a"]))]),
        of("redis-stream", "redis", vec![("streams", list(&["s"]))]),
        of("mqtt", "mqtt", vec![("topics", list(&["a"]))]),
    ];
    all.extend(fanwire::source::KINDS.iter().filter(|kind| kind.name == "postgres").map(|kind| {
        let address = text(format!("postgres://ada@{address}/shop"));
        (kind.name, open(kind.name, &[("address", address), ("table", text("outbox"))]))
    }));
    all
}

/// Connects and fetches until something is wrong; what that is.
fn fault_of(connector: &mut dyn Connector) -> Fault {
    if let Err(fault) = connector.connect(None, WITHIN) {
        return fault;
    }
    for _ in 0..1_000 {
        let mut batch = Batch::default();
        if let Err(fault) = connector.fetch(&mut batch, WITHIN) {
            return fault;
        }
        assert!(batch.messages().is_empty() && batch.unusable().is_empty(), "{batch:?}");
    }
    panic!("nothing is wrong");
}

const INFO: &[u8] = b"INFO {\"headers\":true}\r\nPONG\r\n";

#[test]
fn whatever_is_there_instead_of_a_broker_is_a_fault_in_time() {
    let clock = Clock::start();
    for does in [
        Does::Say(b""),
        Does::Say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        Does::Say(b"SSH-2.0-OpenSSH_9.2\r\n"),
        Does::Say(b"\x15\x03\x01\x00\x02\x02\x46"),
        Does::Repeat(b"\0"),
        Does::Repeat(b"\xff\xfe\xfd"),
        Does::Repeat(b"GET / HTTP/1.1\r\n\r\n"),
        // Never a whole line, or a length that never ends.
        Does::Repeat(b"$"),
        Does::Repeat(b"*1\r\n"),
        Does::SayAndWait(b""),
        Does::SayAndWait(INFO.split_at(9).0),
        // An answer that begins, and has more bytes than there are.
        Does::SayAndWait(b"$999999999\r\nx"),
        Does::SayAndWait(b"\x20\xff\xff\xff\x7f"),
        Does::SayAndWait(b"R\x7f\xff\xff\xff"),
    ] {
        let far_end = FarEnd::start(does);
        for (kind, mut connector) in connectors(far_end.address) {
            // PostgreSQL has a time of its own for logging in.
            if kind == "postgres" && matches!(does, Does::SayAndWait(_)) {
                continue;
            }
            let before_us = clock.mono_us();
            let fault = fault_of(&mut *connector);
            let took = Duration::from_micros(clock.mono_us() - before_us);
            assert!(took < MOST, "{kind}, {does:?}: {took:?}");
            let kinds = [FaultKind::Protocol, FaultKind::Lost, FaultKind::Unreachable];
            assert!(kinds.contains(&fault.kind), "{kind}, {does:?}: {fault}");
        }
    }
}

#[test]
fn nobody_there_is_a_fault_that_says_where() {
    // A port that was free just now.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (kind, mut connector) in connectors(address) {
        let fault = connector.connect(None, WITHIN).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreachable, "{kind}: {fault}");
        assert!(fault.why.contains(&address.to_string()), "{kind}: {fault}");
    }
}

#[test]
fn a_broker_that_ends_within_a_message_is_lost() {
    for (kind, said) in [
        ("nats", &b"INFO {\"headers\":true}\r\nPONG\r\nMSG a 1 10\r\nabc"[..]),
        ("redis", b"+OK\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$9\r\nabc"),
        ("mqtt", b"\x20\x03\0\0\0\x90\x04\0\x01\0\0\x30\x09\0\x01aabc"),
    ] {
        let far_end = FarEnd::start(Does::Say(said));
        let found = connectors(far_end.address).into_iter().find(|(found, _)| *found == kind);
        let fault = fault_of(&mut *found.unwrap().1);
        assert_eq!(fault.kind, FaultKind::Lost, "{kind}: {fault}");
    }
}

#[test]
fn a_broker_that_says_that_somebody_else_is_called_so_is_understood() {
    let far_end =
        FarEnd::start(Does::SayAndWait(b"\x20\x03\0\0\0\x90\x04\0\x01\0\0\xe0\x02\x8e\0"));
    let found = connectors(far_end.address).into_iter().find(|(found, _)| *found == "mqtt");
    let fault = fault_of(&mut *found.unwrap().1);
    assert_eq!(fault.kind, FaultKind::Wrong, "{fault}");
    assert!(fault.why.contains("client_id"), "{fault}");
}
