//! TLS on the listeners: versions, names, files that change, and what a byte stream must not lose or repeat.

use std::fs;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use fanwire::server::Server;
use rustls::pki_types::CertificateDer;

use crate::secure;
use crate::secure::Folder;
use crate::secure::Secured;
use crate::secure::Stream;
use crate::secure::config;
use crate::secure::connect;
use crate::secure::trusting;

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Everything that is answered, to a close_notify.
fn read_all(stream: &mut Stream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Begins an echo of messages.
fn echo(stream: &mut Stream) {
    stream.write_all(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
}

/// A masked binary message of so many bytes, each of which says where it stands.
fn message(length: u32) -> (Vec<u8>, Vec<u8>) {
    let payload: Vec<u8> =
        (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut frame = vec![0x82, 0x80 | 127];
    frame.extend_from_slice(&u64::from(length).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&payload);
    (frame, payload)
}

#[test]
fn both_versions_are_spoken_and_the_end_is_said() {
    let server = Secured::start(2, "");
    for version in rustls::ALL_VERSIONS {
        let trusted = [server.certificate.clone()];
        let client = Arc::new(secure::trusting_in(&trusted, &[version]));
        let mut stream = connect(server.address(), "localhost", &client);
        stream.write_all(HEALTH).unwrap();
        let answer = read_all(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
    }
}

#[test]
fn a_session_is_resumed_on_any_shard_and_after_a_reload() {
    let server = Secured::start(2, "");
    let client = server.client();
    let mut kinds = Vec::new();
    for round in 0..12 {
        if round == 6 {
            let file = fs::read_to_string(server.folder.path("one.pem")).unwrap();
            server.folder.replace("one.pem", &file);
        }
        let mut stream = connect(server.address(), "localhost", &client);
        stream.write_all(HEALTH).unwrap();
        assert!(read_all(&mut stream).starts_with("HTTP/1.1 200 "));
        kinds.push(stream.conn.handshake_kind());
    }
    assert_eq!(kinds[0], Some(rustls::HandshakeKind::Full));
    assert!(
        kinds[1..].iter().all(|kind| *kind == Some(rustls::HandshakeKind::Resumed)),
        "{kinds:?}"
    );
}

#[test]
fn the_last_message_of_a_handshake_and_the_first_request_may_come_in_one_read() {
    // The client's socket is corked by hand: what it wants to send is gathered, and sent at once.
    let server = Secured::start(2, "");
    let mut stream = server.connect();
    stream.conn.write_tls(&mut stream.sock).unwrap();
    while stream.conn.is_handshaking() {
        stream.conn.read_tls(&mut stream.sock).unwrap();
        stream.conn.process_new_packets().unwrap();
    }
    stream.conn.writer().write_all(HEALTH).unwrap();
    let mut all = Vec::new();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut all).unwrap();
    }
    stream.sock.write_all(&all).unwrap();
    assert!(read_all(&mut stream).starts_with("HTTP/1.1 200 "));
}

/// How a client says that it says no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By TLS alone: its socket stays open both ways.
    Notify,
    /// By its socket alone.
    Socket,
    Both,
}

/// Has a client say all that it has to say in one read of the server's, from the last message of its handshake to its end.
fn say_in_one_read(address: SocketAddr, server: &Secured, said: &[u8], end: End) -> Stream {
    let mut stream = connect(address, "localhost", &server.client());
    // Less than it takes the server to give up an idle connection, or to say a comment on a stream.
    stream.sock.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.conn.write_tls(&mut stream.sock).unwrap();
    while stream.conn.is_handshaking() {
        stream.conn.read_tls(&mut stream.sock).unwrap();
        stream.conn.process_new_packets().unwrap();
    }
    stream.conn.writer().write_all(said).unwrap();
    if end != End::Socket {
        stream.conn.send_close_notify();
    }
    let mut all = Vec::new();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut all).unwrap();
    }
    stream.sock.write_all(&all).unwrap();
    if end != End::Notify {
        stream.sock.shutdown(Shutdown::Write).unwrap();
    }
    stream
}

#[test]
fn an_end_that_comes_with_the_first_request_is_noticed() {
    const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let server = Secured::start(2, "request_timeout_s = 3600\nmqtt.listen = '127.0.0.1:0'\n");
    let mqtt = server.running().address_of(fanwire::shard::Port::Own("mqtt")).unwrap();
    let shared = server.address();
    let calls = [
        "GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        "POST /v1/publish/t HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        format!("GET /v1/ws HTTP/1.1\r\nHost: t\r\n{UPGRADE}"),
    ];
    for end in [End::Notify, End::Socket, End::Both] {
        for said in &calls {
            let mut stream = say_in_one_read(shared, &server, said.as_bytes(), end);
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap_or_else(|e| panic!("{said} {end:?}: {e}"));
            assert!(answer.starts_with(b"HTTP/1.1 "), "{said} {end:?}");
        }
        // CONNECT of version 5, clean, without a keep-alive: nothing but its end ends it.
        let connect = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c";
        let mut stream = say_in_one_read(mqtt, &server, connect, end);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_else(|error| panic!("MQTT {end:?}: {error}"));
        assert_eq!(answer.first(), Some(&0x20), "{end:?}: CONNACK");
        // A stream goes on, and is looked whether anybody is there.
        let stream = b"GET /v1/sse?topic=t HTTP/1.1\r\nHost: t\r\n\r\n";
        let mut stream = say_in_one_read(shared, &server, stream, end);
        let mut heard = String::new();
        while !heard.contains("\n: \n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap_or_else(|e| panic!("{end:?}: {e} {heard}"));
            heard.push(char::from(byte[0]));
        }
    }
}

#[test]
fn what_comes_byte_by_byte_is_understood() {
    let server = Secured::start(2, "");
    let mut stream = server.connect();
    let dribble = |stream: &mut Stream| {
        let mut all = Vec::new();
        while stream.conn.wants_write() {
            stream.conn.write_tls(&mut all).unwrap();
        }
        for byte in all {
            stream.sock.write_all(&[byte]).unwrap();
        }
    };
    dribble(&mut stream);
    while stream.conn.is_handshaking() {
        stream.conn.read_tls(&mut stream.sock).unwrap();
        stream.conn.process_new_packets().unwrap();
    }
    stream.conn.writer().write_all(HEALTH).unwrap();
    dribble(&mut stream);
    assert!(read_all(&mut stream).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_reader_that_stalls_loses_and_repeats_nothing() {
    let server = Secured::start(2, "send_buffer_bytes = 16384\nmessage_bytes_max = 1048576\n");
    let mut stream = server.connect();
    echo(&mut stream);
    let (frame, payload) = message(900_000);
    stream.write_all(&frame).unwrap();
    stream.flush().unwrap();
    // Nothing is read before the server must have stopped: its side of the socket takes a fraction of it.
    let mut head = [0; 10];
    for (at, byte) in head.iter_mut().enumerate() {
        stream
            .read_exact(std::slice::from_mut(byte))
            .unwrap_or_else(|error| panic!("{at}: {error}"));
    }
    assert_eq!(head, [0x82, 127, 0, 0, 0, 0, 0, 0x0d, 0xbb, 0xa0]);
    let mut heard = vec![0; payload.len()];
    let mut read = 0;
    let mut step = 1;
    while read < heard.len() {
        let end = heard.len().min(read + step);
        stream.read_exact(&mut heard[read..end]).unwrap();
        read = end;
        step = (step * 3 + 1) % 9_973;
    }
    assert!(heard == payload, "what came back is not what was sent");
}

#[test]
fn each_name_is_shown_its_certificate() {
    let folder = Folder::new();
    let first = folder.certify("first", &["first.example"]);
    let second = folder.certify("second", &["second.example", "*.second.example"]);
    let path = |name: &str| folder.path(name);
    let text = format!(
        "[[tls.certificates]]\nfile = '{}'\nkey_file = '{}'\n[[tls.certificates]]\nfile = '{}'\nkey_file = '{}'\n",
        path("first.pem"),
        path("first.key"),
        path("second.pem"),
        path("second.key")
    );
    let running = Server::start(&config(2, &text)).unwrap();
    for (name, trusted) in
        [("first.example", &first), ("second.example", &second), ("a.second.example", &second)]
    {
        let client = trusting(std::slice::from_ref(trusted));
        let mut stream = connect(running.address(), name, &client);
        stream.write_all(HEALTH).unwrap();
        assert!(read_all(&mut stream).starts_with("HTTP/1.1 200 "), "{name}");
    }
    // A client that trusts the first only is shown the second, and leaves.
    let mut stream = connect(running.address(), "second.example", &trusting(&[first]));
    let error = stream.write_all(HEALTH).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    running.stop();
    let _cut_off = running.join();
}

/// Connects again and again until the server shows what is trusted.
fn until_shown(server: &Secured, trusted: &CertificateDer<'static>) {
    let client = trusting(std::slice::from_ref(trusted));
    let clock = fanwire::clock::Clock::start();
    loop {
        let mut stream = connect(server.address(), "localhost", &client);
        if stream.write_all(HEALTH).is_ok() && read_all(&mut stream).starts_with("HTTP/1.1 200 ") {
            return;
        }
        assert!(clock.now().mono_ms < 60_000, "the new certificate is not shown");
        std::thread::yield_now();
    }
}

#[test]
fn certificates_change_without_a_disconnect() {
    let server = Secured::start(2, "");
    let mut stream = server.connect();
    echo(&mut stream);
    // The key comes first, and does not belong to the certificate for a while.
    let new = server.folder.certify("one", &["localhost"]);
    until_shown(&server, &new);
    let (frame, payload) = message(70_000);
    stream.write_all(&frame).unwrap();
    let mut heard = vec![0; 10 + payload.len()];
    stream.read_exact(&mut heard).unwrap();
    assert!(heard[10..] == payload, "who was connected before goes on as before");
}

#[test]
fn plain_http_is_told_that_this_port_speaks_tls() {
    let server = Secured::start(2, "");
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.write_all(HEALTH).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
    assert!(body.contains("https://"), "{answer}");
    // Anything else is closed without a word.
    let mut socket = TcpStream::connect(server.address()).unwrap();
    socket.write_all(&[0, 1, 2, 3]).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty(), "{answer:?}");
}

#[test]
fn a_listener_may_stay_plain_and_pages_of_the_other_are_its_own() {
    let server = Secured::start(
        2,
        "peat.listen = '127.0.0.1:0'\ntls.plain_listeners = ['peat.listen']\nauth.hosts = 'localhost'\n",
    );
    let peat = server.running().address_of(fanwire::shard::Port::Own("peat")).unwrap();
    let mut socket = TcpStream::connect(peat).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    // Without a port in `Host` it is the scheme's own: 443, not 80.
    for (origin, is_own) in [("https://localhost", true), ("http://localhost", false)] {
        let mut stream = server.connect();
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n").unwrap();
        let answer = read_all(&mut stream).to_ascii_lowercase();
        let allows = answer.contains("access-control-allow-origin: https://localhost\r\n");
        assert_eq!(allows, is_own, "{answer}");
    }
}

/// CONNECT of MQTT 5, of a client without a name; the beginning of what it is answered.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00";
const CONNACK: u8 = 0x20;

#[test]
fn one_dialect_has_several_addresses_some_in_the_clear_and_some_with_tls() {
    // Both orders: which is meant is said by the address, and not by which comes first.
    for text in [
        "mqtt.listen = ['tcp://127.0.0.1:0', 'tls://127.0.0.1:0', '127.0.0.1:0']\ntls.hsts_s = 600\n",
        "mqtt.listen = ['127.0.0.1:0', 'tls://127.0.0.1:0', 'tcp://127.0.0.1:0']\ntls.plain_listeners = ['mqtt.listen']\ntls.hsts_s = 600\n",
    ] {
        let server = Secured::start(2, text);
        let port = fanwire::shard::Port::Own("mqtt");
        let places: Vec<_> = server.running().addresses_of(port).collect();
        let is_plain = [true, false, text.contains("plain_listeners")];
        assert_eq!(places.len(), 3);
        for (address, is_plain) in places.into_iter().zip(is_plain) {
            // Some of each, so that both cores answer.
            for _ in 0..8 {
                let mut first = [0; 1];
                if is_plain {
                    let mut socket = TcpStream::connect(address).unwrap();
                    socket.write_all(CONNECT).unwrap();
                    socket.read_exact(&mut first).unwrap();
                } else {
                    let mut stream = connect(address, "localhost", &server.client());
                    stream.write_all(CONNECT).unwrap();
                    stream.read_exact(&mut first).unwrap();
                }
                assert_eq!(first, [CONNACK], "{address} {is_plain}");
            }
            let answer = if is_plain {
                let mut socket = TcpStream::connect(address).unwrap();
                socket.write_all(HEALTH).unwrap();
                let mut answer = String::new();
                socket.read_to_string(&mut answer).unwrap();
                answer
            } else {
                let mut stream = connect(address, "localhost", &server.client());
                stream.write_all(HEALTH).unwrap();
                read_all(&mut stream)
            };
            // Only who is answered encrypted is told to ask in no other way.
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            assert_eq!(
                answer.to_ascii_lowercase().contains("strict-transport-security"),
                !is_plain,
                "{answer}"
            );
        }
    }
}

#[test]
fn a_certificate_of_the_servers_own_is_kept_and_used_again() {
    let folder = Folder::new();
    let text = format!(
        "tls.self_signed = ['localhost', '127.0.0.1']\ntls.folder = '{}'\n",
        folder.path("own")
    );
    let mut shown = Vec::new();
    for _ in 0..2 {
        let running = Server::start(&config(2, &text)).unwrap();
        let certificate = secure::read(&folder.path("own/self-signed.crt"));
        for name in ["localhost", "127.0.0.1"] {
            let client = trusting(std::slice::from_ref(&certificate));
            let mut stream = connect(running.address(), name, &client);
            stream.write_all(HEALTH).unwrap();
            assert!(read_all(&mut stream).starts_with("HTTP/1.1 200 "), "{name}");
        }
        shown.push(certificate);
        running.stop();
        let _cut_off = running.join();
    }
    assert_eq!(shown[0], shown[1]);
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(folder.path("own/self-signed.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // For other names it is another.
    let text =
        format!("tls.self_signed = ['other.example']\ntls.folder = '{}'\n", folder.path("own"));
    let running = Server::start(&config(2, &text)).unwrap();
    assert_ne!(secure::read(&folder.path("own/self-signed.crt")), shown[0]);
    running.stop();
    let _cut_off = running.join();
}

#[test]
fn what_cannot_be_used_stops_the_start_with_its_key_and_line() {
    let folder = Folder::new();
    folder.certify("one", &["localhost"]);
    folder.certify("two", &["localhost"]);
    let path = |name: &str| folder.path(name);
    let cases = [
        (
            format!("tls.certificate_file = '{}'", path("one.pem")),
            "fanwire.toml:5: `tls.certificate_file`: cannot be used: its private key is missing: set `tls.key_file`",
        ),
        (
            format!("tls.key_file = '{}'", path("one.key")),
            "fanwire.toml:5: `tls.key_file`: cannot be used: its certificate is missing",
        ),
        (
            "tls.certificate_file = '/nowhere'\ntls.key_file = '/nowhere'".to_owned(),
            "fanwire.toml:5: `tls.certificate_file`: cannot be used: /nowhere: ",
        ),
        (
            format!(
                "tls.certificate_file = '{}'\ntls.key_file = '{}'",
                path("one.key"),
                path("one.key")
            ),
            "fanwire.toml:5: `tls.certificate_file`: cannot be used: ",
        ),
        (
            format!(
                "tls.certificate_file = '{}'\ntls.key_file = '{}'",
                path("one.pem"),
                path("two.key")
            ),
            "fanwire.toml:5: `tls.certificate_file`: cannot be used: ",
        ),
        (
            format!(
                "[[tls.certificates]]\nfile = '{}'\nkey_file = '{}'",
                path("two.pem"),
                path("one.key")
            ),
            "fanwire.toml:5: `tls.certificates[0]`: cannot be used: ",
        ),
        (
            "tls.self_signed = ['a']\ntls.plain_listeners = ['lissen']".to_owned(),
            "fanwire.toml:6: `tls.plain_listeners`: cannot be used: \"lissen\" is no listener",
        ),
        (
            "tls.self_signed = ['a']\ntls.folder = '/proc/nowhere'".to_owned(),
            "fanwire.toml:5: `tls.self_signed`: cannot be used: /proc/nowhere: ",
        ),
    ];
    for (text, expected) in cases {
        let error = Server::start(&config(2, &text)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}
