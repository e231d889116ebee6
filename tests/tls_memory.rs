//! What clients of TLS can make the server hold: each line of the sum that is about TLS is driven to its bound, and compared with what is allocated.
//!
//! Alone in its binary, because it counts what all threads but the client's allocate: the server's run in this process, and nothing else does.

#![cfg(test)]

#[path = "support/ledger.rs"]
mod ledger;

#[path = "support/secure.rs"]
mod secure;

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;

use fanwire::clock::Clock;
use fanwire::limits::CONNECTION_BYTES;
use fanwire::limits::TLS_CONNECTION_BYTES;
use fanwire::limits::TLS_HANDSHAKE_BYTES;
use fanwire::limits::TLS_HANDSHAKE_INPUT_BYTES_MAX;
use fanwire::limits::TLS_HANDSHAKES_MAX;
use fanwire::limits::TLS_RECORDS_SHARE;

use secure::Secured;
use secure::Stream;

/// Milliseconds within which a server that works has done whatever it does here.
const PATIENCE_MS: u64 = 20_000;

/// Asks for something small, and reads the whole answer: then the handshake's last message has been taken in, too.
fn is_served(stream: &mut Stream) {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"}") && !answer.ends_with(b"ok\n") && !answer.ends_with(b"ok") {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..length]);
    }
}

/// Looks at what the server holds until it is so much, which must come to pass; then at its most for as long as it takes to serve twenty others.
fn most_held(server: &Secured, before: isize, least: usize) -> usize {
    let clock = Clock::start();
    let held = || usize::try_from(ledger::held_by_others() - before).unwrap_or(0);
    let began_ms = clock.now().mono_ms;
    while held() < least {
        let waited_ms = clock.now().mono_ms - began_ms;
        assert!(waited_ms < PATIENCE_MS, "{} bytes are held, not {least}", held());
        std::thread::yield_now();
    }
    let mut most = held();
    for _ in 0..20 {
        let answer = server.ask("/healthz");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        most = most.max(held());
    }
    most
}

fn check(what: &str, held: usize, counted: usize) {
    assert!(held * 4 <= counted * 5, "{what}: {held} bytes held, {counted} counted");
}

/// Connections that have said all that they wanted, and rest.
fn connections_take_what_is_counted() {
    /// One more than tables double at.
    const CONNECTIONS: usize = 450;
    let server = Secured::start(1, "");
    let config = server.client();
    // What a shard has from its first connection on is another line.
    is_served(&mut server.connect());
    let before = ledger::held_by_others();
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = secure::connect(server.address(), "localhost", &config);
        is_served(&mut stream);
        streams.push(stream);
    }
    let each = usize::try_from(CONNECTION_BYTES + TLS_CONNECTION_BYTES).unwrap();
    let held = most_held(&server, before, CONNECTIONS * each / 4);
    check("connections", held, CONNECTIONS * each);
}

/// Handshakes that stop in the midst of the client's first message, which may be as long as it likes.
fn handshakes_take_what_is_counted() {
    let server = Secured::start(1, "");
    is_served(&mut server.connect());
    let before = ledger::held_by_others();
    let mut sockets = Vec::new();
    // A record with the beginning of a ClientHello that is longer than any: RFC 8446, sections 4 and 5.1.
    let mut hello = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0];
    hello.resize(TLS_HANDSHAKE_INPUT_BYTES_MAX - 1, 0);
    for _ in 0..TLS_HANDSHAKES_MAX {
        let mut socket = TcpStream::connect(server.address()).unwrap();
        socket.write_all(&hello).unwrap();
        sockets.push(socket);
    }
    // Nobody is served meanwhile but in the place of one that has stalled.
    let held = most_held(&server, before, TLS_HANDSHAKES_MAX * TLS_HANDSHAKE_INPUT_BYTES_MAX / 2);
    check("handshakes", held, TLS_HANDSHAKES_MAX * TLS_HANDSHAKE_BYTES);
}

/// Records whose ends do not come: together at most what the budget says, whoever began first goes.
fn records_take_what_is_counted() {
    const CONNECTIONS: usize = 300;
    const OUTBOXES_BYTES: usize = 8 << 20;
    let server = Secured::start(1, &format!("outboxes_bytes_max = {OUTBOXES_BYTES}\n"));
    let config = server.client();
    is_served(&mut server.connect());
    let before = ledger::held_by_others();
    let mut streams = Vec::new();
    // A record of application data as long as may be, but for its last byte.
    let mut record = vec![23, 3, 3, 0x41, 0];
    record.resize(5 + 0x4100 - 1, 0);
    for _ in 0..CONNECTIONS {
        let mut stream = secure::connect(server.address(), "localhost", &config);
        is_served(&mut stream);
        // It may have been closed for the ones before it, which is what is wanted.
        drop(stream.sock.write_all(&record));
        streams.push(stream);
    }
    let each = usize::try_from(CONNECTION_BYTES + TLS_CONNECTION_BYTES).unwrap();
    let budget = OUTBOXES_BYTES / usize::try_from(TLS_RECORDS_SHARE).unwrap();
    let held = most_held(&server, before, budget / 2);
    check("records", held, budget + CONNECTIONS * each);
}

/// One after the other: what another test's server holds would be counted, too.
#[test]
fn what_is_counted_is_what_is_allocated() {
    connections_take_what_is_counted();
    handshakes_take_what_is_counted();
    records_take_what_is_counted();
}
