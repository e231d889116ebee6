//! What one client may do to a listener of TLS within TCP's rules, and what it costs the others: nothing.
//!
//! Records are sealed here by hand with the keys that the client's library hands out: no library sends what these tests send.

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::aead::Aad;
use aws_lc_rs::aead::LessSafeKey;
use aws_lc_rs::aead::Nonce;
use aws_lc_rs::aead::UnboundKey;
use rustls::ClientConfig;
use rustls::ConnectionTrafficSecrets;

use crate::secure::Secured;
use crate::secure::connect;
use crate::secure::trusting_in;

/// What the attacked server still does.
trait Attacked {
    /// Somebody else is served.
    fn serves(&self);
    /// What a counter says.
    fn count(&self, name: &str) -> u64;
    /// Waits until a counter says so much: shards tell theirs ten times a second.
    fn until(&self, name: &str, count: u64);
}

impl Attacked for Secured {
    fn serves(&self) {
        let answer = self.ask("/healthz");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    fn count(&self, name: &str) -> u64 {
        let answer = self.ask("/metrics");
        let line = answer.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{answer}")).parse().unwrap()
    }

    fn until(&self, name: &str, count: u64) {
        let clock = fanwire::clock::Clock::start();
        while self.count(name) < count {
            assert!(clock.now().mono_ms < 20_000, "{name} is {}", self.count(name));
        }
        assert_eq!(self.count(name), count);
    }
}

/// A client that seals by hand.
struct Forger {
    socket: TcpStream,
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

/// Content types of records (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
/// `KeyUpdate` with `update_not_requested` and `update_requested` (RFC 8446 section 4.6.3).
const UPDATE: [u8; 5] = [24, 0, 0, 1, 0];
const UPDATE_BOTH: [u8; 5] = [24, 0, 0, 1, 1];

impl Forger {
    fn connect(server: &Secured) -> Self {
        let trusted = [server.certificate.clone()];
        let mut config: ClientConfig = trusting_in(&trusted, &[&rustls::version::TLS13]);
        config.enable_secret_extraction = true;
        let mut stream = connect(server.address(), "localhost", &Arc::new(config));
        while stream.conn.is_handshaking() || stream.conn.wants_write() {
            stream.conn.complete_io(&mut stream.sock).unwrap();
        }
        let (conn, socket) = stream.into_parts();
        let (sequence, secrets) = conn.dangerous_extract_secrets().unwrap().tx;
        let (algorithm, key, iv) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => {
                (&aws_lc_rs::aead::AES_128_GCM, key, iv)
            }
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => {
                (&aws_lc_rs::aead::AES_256_GCM, key, iv)
            }
            _ => panic!("another cipher than the tests know"),
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key.as_ref()).unwrap());
        let iv = iv.as_ref().try_into().unwrap();
        Self { socket, key, iv, sequence }
    }

    /// A record (RFC 8446 section 5.2).
    fn seal(&mut self, content_type: u8, content: &[u8]) -> Vec<u8> {
        let mut sealed = content.to_vec();
        sealed.push(content_type);
        let length = u16::try_from(sealed.len() + 16).unwrap().to_be_bytes();
        let head = [DATA, 3, 3, length[0], length[1]];
        let mut nonce = self.iv;
        for (byte, of) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= of;
        }
        self.sequence += 1;
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(head), &mut sealed).unwrap();
        [&head[..], &sealed].concat()
    }

    /// Sends something, and waits until the server has closed; says how many bytes came before.
    fn until_closed(mut self, bytes: &[u8]) -> usize {
        // It may close before it has taken all of it.
        drop(self.socket.write_all(bytes));
        let mut heard = Vec::new();
        match self.socket.read_to_end(&mut heard) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
        }
        heard.len()
    }
}

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";

#[test]
fn what_is_forged_right_is_answered() {
    let server = Secured::start(1, "");
    let mut forger = Forger::connect(&server);
    let empty = forger.seal(DATA, b"");
    let request = forger.seal(DATA, HEALTH);
    let all = [empty, request].concat();
    assert!(forger.until_closed(&all) > 200, "there is no answer");
}

#[test]
fn empty_records_without_end_close_their_sender() {
    let server = Secured::start(1, "");
    let mut forger = Forger::connect(&server);
    let all: Vec<u8> = (0..10_000).flat_map(|_| forger.seal(DATA, b"")).collect();
    forger.until_closed(&all);
    server.serves();
    server.until("fanwire_tls_failures_total", 1);
}

#[test]
fn key_updates_without_end_close_their_sender() {
    let server = Secured::start(1, "");
    for update in [UPDATE, UPDATE_BOTH] {
        let mut forger = Forger::connect(&server);
        // Many in one record: none but the last may be there, for the keys change behind it (RFC 8446 section 5.1).
        let many = forger.seal(HANDSHAKE, &update.repeat(3_000));
        forger.until_closed(&many);
    }
    server.serves();
    server.until("fanwire_tls_failures_total", 2);
}

#[test]
fn a_message_in_parts_does_not_upset_what_is_sent_meanwhile() {
    let server = Secured::start(1, "");
    let mut forger = Forger::connect(&server);
    // The answer is sealed while half a key update is held: the library must be shown it again.
    let request = forger.seal(DATA, b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n");
    let half = forger.seal(HANDSHAKE, &UPDATE[..3]);
    forger.socket.write_all(&[request, half].concat()).unwrap();
    let mut head = [0; 5];
    forger.socket.read_exact(&mut head).unwrap();
    let other_half = forger.seal(HANDSHAKE, &UPDATE[3..]);
    forger.socket.write_all(&other_half).unwrap();
    server.serves();
    server.until("fanwire_tls_failures_total", 0);
}

#[test]
fn a_record_that_is_too_long_or_no_good_closes_its_sender() {
    let server = Secured::start(1, "");
    for record in [
        // Longer than any may be.
        [&[DATA, 3, 3, 0xff, 0xff][..], &vec![0; 60_000]].concat(),
        // Of the right length, and sealed by nobody.
        [&[DATA, 3, 3, 0, 40][..], &[7; 40]].concat(),
        // No record at all.
        vec![b'G'; 4_000],
        // An alert in the clear.
        vec![21, 3, 3, 0, 2, 2, 40],
    ] {
        let forger = Forger::connect(&server);
        forger.until_closed(&record);
    }
    server.serves();
    server.until("fanwire_tls_failures_total", 4);
}

#[test]
fn handshakes_that_stall_keep_nobody_out() {
    let server = Secured::start(1, "");
    let stalled: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut socket = TcpStream::connect(server.address()).unwrap();
            socket.write_all(&[HANDSHAKE, 3, 1, 2, 0]).unwrap();
            socket
        })
        .collect();
    // There are places for 256 at once. Whoever has kept the server waiting for a second makes room.
    server.serves();
    drop(stalled);
    server.serves();
}

#[test]
fn records_in_part_cost_those_who_hold_them() {
    // A budget of 2 MiB for outboxes, an eighth of it for batches: 224 KiB of the rest for records of those who are connected.
    let server = Secured::start(1, "outboxes_bytes_max = 2097152\n");
    let mut reader = Forger::connect(&server);
    let half = |server: &Secured| {
        let mut forger = Forger::connect(server);
        let mut request = HEALTH[..HEALTH.len() - 2].to_vec();
        request.extend_from_slice(b"X: ");
        request.resize(8_000, b'x');
        request.extend_from_slice(b"\r\n\r\n");
        let record = forger.seal(DATA, &request);
        forger.socket.write_all(&record[..HELD]).unwrap();
        (forger, record)
    };
    const HELD: usize = 7_500;
    let mut holders: Vec<_> = (0..60).map(|_| half(&server)).collect();
    let kept = 224 * 1024 / HELD;
    server.until("fanwire_tls_shed_total", (holders.len() - kept) as u64);
    // The first ones are closed, and the last ones go on as if nothing had been.
    for (mut holder, _) in holders.drain(..10) {
        let mut heard = Vec::new();
        drop(holder.socket.read_to_end(&mut heard));
        assert!(heard.len() < 1_000, "a ticket at most");
    }
    for (holder, record) in holders.drain(holders.len() - 10..) {
        let answer = holder.until_closed(&record[HELD..]);
        assert!(answer > 200, "{answer}");
    }
    let request = reader.seal(DATA, HEALTH);
    assert!(reader.until_closed(&request) > 200, "whoever holds nothing is served");
    server.serves();
}

#[test]
fn any_bytes_are_no_handshake() {
    let server = Secured::start(1, "");
    let mut random = fastrand::Rng::with_seed(7);
    for length in [1, 5, 6, 100, 600, 5_000, 20_000] {
        let mut socket = TcpStream::connect(server.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut bytes = vec![HANDSHAKE, 3, 1, 0, 200];
        bytes.extend((0..length).map(|_| random.u8(..)));
        drop(socket.write_all(&bytes));
        drop(socket.shutdown(std::net::Shutdown::Write));
        let mut heard = Vec::new();
        drop(socket.read_to_end(&mut heard));
        assert!(heard.len() < 100, "an alert at most: {heard:?}");
    }
    server.serves();
}
