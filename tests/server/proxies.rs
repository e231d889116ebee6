//! Behind a proxy: whom a connection and a request are from, who is believed about it, and what those may try who are not.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use fanwire::config::Config;
use fanwire::server::Running;
use fanwire::server::Server;

use crate::secure::Folder;
use crate::secure::on;
use crate::secure::trusting;

/// A server that stops when its test ends.
struct Scene(Option<Running>);

impl Scene {
    fn new(more: &str) -> Self {
        let text = format!(
            "listen = '127.0.0.1:0'\nshards = 2\npin = false\nconnections_max = 1000\n{more}"
        );
        let config = Config::parse(&text, Path::new("fanwire.toml")).unwrap();
        Self(Some(Server::start(&config).unwrap()))
    }

    fn address(&self) -> SocketAddr {
        self.0.as_ref().expect("it runs until it is dropped").address()
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    /// The status of what is answered to these bytes; 0: the connection ends without a word.
    fn status(&self, bytes: &[u8]) -> u16 {
        let mut socket = self.connect();
        socket.write_all(bytes).unwrap();
        status(&mut socket)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.stop();
            let _cut_off = running.join();
        }
    }
}

fn status(socket: &mut impl Read) -> u16 {
    let mut head = [0; 12];
    match socket.read_exact(&mut head) {
        Ok(()) => std::str::from_utf8(&head[9..]).unwrap().parse().unwrap(),
        Err(_) => 0,
    }
}

const LINE: &[u8] = b"PROXY TCP4 203.0.113.9 10.0.0.1 12345 80\r\n";
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
const HEAR: &[u8] = b"GET /v1/sse?topic=a HTTP/1.1\r\nHost: h\r\n\r\n";

/// Version 2, of a client at this address.
fn block(source: [u8; 4]) -> Vec<u8> {
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c";
    [&head[..], &source, &[10, 0, 0, 1, 0x30, 0x39, 0, 80]].concat()
}

fn passed_on(header: &[u8], request: &[u8]) -> Vec<u8> {
    [header, request].concat()
}

const BEHIND: &str = "trusted_proxies = ['127.0.0.1']\nproxy_listeners = ['listen']\n";

#[test]
fn both_versions_are_heard_however_they_are_cut() {
    let scene = Scene::new(BEHIND);
    for header in [LINE.to_vec(), block([203, 0, 113, 9])] {
        let all = passed_on(&header, HEALTH);
        assert_eq!(scene.status(&all), 200);
        for cut in 1..=header.len() {
            let mut socket = scene.connect();
            for part in [&all[..cut], &all[cut..]] {
                socket.write_all(part).unwrap();
                socket.flush().unwrap();
            }
            assert_eq!(status(&mut socket), 200, "{cut}");
        }
        let mut socket = scene.connect();
        for byte in all {
            socket.write_all(&[byte]).unwrap();
        }
        assert_eq!(status(&mut socket), 200, "byte by byte");
    }
}

#[test]
fn who_was_passed_on_is_nobody_on_this_machine() {
    let scene = Scene::new(BEHIND);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";
    for header in [
        LINE,
        b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
        b"PROXY TCP6 ::ffff:127.0.0.1 ::1 1 2\r\n",
        b"PROXY UNKNOWN\r\n",
        local,
    ] {
        assert_eq!(scene.status(&passed_on(header, HEAR)), 401, "{}", header.escape_ascii());
        assert_eq!(scene.status(&passed_on(header, HEALTH)), 200);
        let mut socket = scene.connect();
        let last = b"GET /v1/sse?topic=a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        socket.write_all(&passed_on(header, last)).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let why = "only clients on this machine, and a PROXY header says that a proxy passed this connection on";
        assert!(answer.contains(why), "{answer}");
    }
}

#[test]
fn what_is_no_header_ends_the_connection_without_a_word() {
    let scene = Scene::new(BEHIND);
    let with = |header: &[u8]| scene.status(&passed_on(header, HEALTH));
    for header in [
        &b""[..],
        b"PROXY TCP4 203.0.113.9\r\n",
        b"PROXY TCP4 203.0.113.9 10.0.0.1 1 2 \r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
    ] {
        assert_eq!(with(header), 0, "{}", header.escape_ascii());
    }
    // One header there may be: a second one is the client's own, and no request.
    assert_eq!(with(&[LINE, LINE].concat()), 400);
    assert_eq!(with(LINE), 200, "nobody else notices");
}

#[test]
fn only_who_is_trusted_may_connect_there() {
    let scene = Scene::new("trusted_proxies = ['192.0.2.0/24']\nproxy_listeners = ['listen']\n");
    assert_eq!(scene.status(&passed_on(LINE, HEALTH)), 0);
    assert_eq!(scene.status(HEALTH), 0);
}

#[test]
fn it_comes_before_tls() {
    let folder = Folder::new();
    let certificate = folder.certify("one", &["localhost"]);
    let (file, key) = (folder.path("one.pem"), folder.path("one.key"));
    let scene =
        Scene::new(&format!("{BEHIND}tls.certificate_file = '{file}'\ntls.key_file = '{key}'\n"));
    for header in [LINE.to_vec(), block([203, 0, 113, 9])] {
        let mut socket = scene.connect();
        socket.write_all(&header).unwrap();
        let mut stream = on(socket, "localhost", &trusting(std::slice::from_ref(&certificate)));
        stream.write_all(HEALTH).unwrap();
        assert_eq!(status(&mut stream), 200);
    }
    // Without it the handshake is not begun.
    let mut stream = on(scene.connect(), "localhost", &trusting(&[certificate]));
    assert!(stream.write_all(HEALTH).is_err());
}

/// What opens a stream for a client that some proxy says to be at an address.
type PassesOn = fn(&Scene, &str) -> u16;

fn by_header(scene: &Scene, client: &str) -> u16 {
    let line = format!("PROXY TCP4 {client} 10.0.0.1 1 2\r\n");
    scene.status(&passed_on(line.as_bytes(), HEAR))
}

fn by_field(scene: &Scene, client: &str) -> u16 {
    let request = format!(
        "GET /v1/sse?topic=a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 198.51.100.1, {client}\r\n\r\n"
    );
    scene.status(request.as_bytes())
}

#[test]
fn limits_count_the_client_and_not_its_proxy() {
    let limits = "auth.anonymous = 'anywhere'\nauth.handshakes_per_s = 3\n";
    let ways: [(&str, PassesOn); 2] =
        [(BEHIND, by_header), ("trusted_proxies = ['127.0.0.1']\n", by_field)];
    for (how, open) in ways {
        let scene = Scene::new(&format!("{how}{limits}"));
        // However fast this goes: many more than the limit lets through in as many seconds as a test has.
        let refused = (0..200).filter(|_| open(&scene, "203.0.113.9") == 429).count();
        assert!(refused > 0, "{how}");
        for other in 1..100 {
            assert_eq!(open(&scene, &format!("203.0.112.{other}")), 200, "{how}");
        }
    }
    // What nobody is trusted to say changes nothing: this machine is not counted.
    let scene = Scene::new(limits);
    assert!((0..50).all(|_| by_field(&scene, "203.0.113.9") == 200));
}

#[test]
fn requests_of_many_clients_on_one_connection_are_told_apart() {
    let scene = Scene::new("trusted_proxies = ['127.0.0.1']\nauth.anonymous = 'loopback'\n");
    let mut socket = scene.connect();
    let mut ask = |field: &str| {
        let request = format!(
            "POST /v1/publish/a HTTP/1.1\r\nHost: h\r\n{field}Content-Length: 2\r\n\r\n{{}}"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let status = status(&mut socket);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        socket.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
        status
    };
    assert_eq!(ask(""), 200, "the proxy itself");
    assert_eq!(ask("X-Forwarded-For: 203.0.113.9\r\n"), 401);
}

#[test]
fn what_cannot_be_trusted_stops_the_start() {
    for (text, expected) in [
        (
            "trusted_proxies = ['10.0.0.1/8']",
            "f.toml:2: `trusted_proxies`: cannot be used: \"10.0.0.1/8\" has bits",
        ),
        (
            "trusted_proxies = ['lb']",
            "f.toml:2: `trusted_proxies`: cannot be used: \"lb\" is neither",
        ),
        (
            "proxy_listeners = ['listen']",
            "f.toml:2: `proxy_listeners`: cannot be used: nobody may connect there: set `trusted_proxies`",
        ),
        (
            "trusted_proxies = ['::1']\nproxy_listeners = ['x']",
            "f.toml:3: `proxy_listeners`: cannot be used: \"x\" is no listener",
        ),
        (
            "proxy_field = 'X-Real-IP'",
            "f.toml:2: `proxy_field`: must be one of X-Forwarded-For, Forwarded, and is",
        ),
    ] {
        let text = format!("listen = '127.0.0.1:0'\n{text}");
        let error = match Config::parse(&text, Path::new("f.toml")) {
            Ok(config) => Server::start(&config).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}
