//! Listeners that come, go and change while the server runs: whoever is connected stays, and what cannot be listened on changes nothing.

use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;

use fanwire::config::Config;
use fanwire::server::Running;
use fanwire::server::Server;
use fanwire::shard::Port;
use serde_json::json;

use crate::secure;
use crate::secure::Folder;
use crate::socket::Client;
use crate::socket::ask;

const BASE: &str = "shards = 2\npin = false\nconnections_max = 1000\n";

fn config(text: &str) -> Config {
    Config::parse(&format!("{BASE}{text}"), Path::new("fanwire.toml")).unwrap()
}

/// A server that stops when its test ends.
struct Scene(Option<Running>);

impl Scene {
    fn new(text: &str) -> Self {
        Self(Some(Server::start(&config(text)).unwrap()))
    }

    fn running(&mut self) -> &mut Running {
        self.0.as_mut().expect("it runs until it is dropped")
    }

    /// The keys that were taken.
    fn taken(&mut self, text: &str) -> Vec<String> {
        let reloaded = self.running().reload(&config(text)).unwrap();
        assert_eq!(reloaded.at_restart, []);
        reloaded.taken.into_iter().map(|change| change.key.into_string()).collect()
    }

    fn own(&mut self, key: &'static str) -> SocketAddr {
        self.running().address_of(Port::Own(key)).unwrap()
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

/// Whether nobody listens there any more: cores let go of a listener within a tick.
fn is_closed(address: SocketAddr) {
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
}

fn is_healthy(address: SocketAddr) {
    // Twenty in a row, so that both cores have answered.
    for _ in 0..20 {
        let answer = ask(address, "GET /healthz", "", "");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[test]
fn listeners_are_added_moved_and_taken_away_while_everybody_stays() {
    let mut scene = Scene::new("listen = '127.0.0.1:0'\n");
    let first = scene.running().address();
    let mut early = Client::open(first, "/v1/ws", "").unwrap();
    early.hear();
    early.subscribe("a");
    let with_own =
        "listen = '127.0.0.1:0'\npeat.listen = '127.0.0.1:0'\nhyperbeam.listen = '127.0.0.1:0'\n";
    assert_eq!(scene.taken(with_own), ["hyperbeam.listen", "peat.listen"]);
    assert_eq!(scene.running().address(), first, "what has not changed is where it was");
    let (peat, hyperbeam) = (scene.own("peat"), scene.own("hyperbeam"));
    let mut of_peat = Client::open(peat, "/ws/subscribe?collections=a", "").unwrap();
    is_healthy(hyperbeam);
    // One goes, one stays, and the shared one moves, to all addresses of its kind on the same port even.
    let moved =
        format!("listen = '127.0.0.2:{}'\nhyperbeam.listen = '127.0.0.1:0'\n", first.port());
    assert_eq!(scene.taken(&moved), ["listen", "peat.listen"]);
    assert_eq!(scene.own("hyperbeam"), hyperbeam);
    assert_eq!(scene.running().address_of(Port::Own("peat")), None);
    let second = scene.running().address();
    assert_eq!(second.to_string(), format!("127.0.0.2:{}", first.port()));
    is_healthy(second);
    is_healthy(hyperbeam);
    is_closed(peat);
    is_closed(first);
    // Everybody is there, by whichever way they came.
    let mut late = Client::open(second, "/v1/ws", "").unwrap();
    late.hear();
    late.say(&json!({"type": "publish", "topic": "a", "payload": {"n": 1}}));
    assert_eq!(early.hear()["payload"], json!({"n": 1}));
    assert!(of_peat.hear().is_object());
}

#[test]
fn a_dialect_gets_and_loses_addresses_beside_those_that_it_has() {
    let text = |listens: &str| format!("listen = '127.0.0.1:0'\npeat.listen = {listens}\n");
    let mut scene = Scene::new(&text("'127.0.0.1:0'"));
    let all = |scene: &mut Scene| -> Vec<SocketAddr> {
        scene.running().addresses_of(Port::Own("peat")).collect()
    };
    let first = all(&mut scene)[0];
    let mut client = Client::open(first, "/ws/subscribe?collections=a", "").unwrap();
    assert_eq!(
        scene.taken(&text("['127.0.0.1:0', '127.0.0.2:0', '127.0.0.1:0']")),
        ["peat.listen"]
    );
    let three = all(&mut scene);
    assert_eq!((three.len(), three[0]), (3, first));
    three.iter().for_each(|address| is_healthy(*address));
    assert_eq!(scene.taken(&text("['127.0.0.2:0', '127.0.0.1:0']")), ["peat.listen"]);
    let two = all(&mut scene);
    assert_eq!(two, [three[1], first]);
    two.iter().for_each(|address| is_healthy(*address));
    is_closed(three[2]);
    // Who came by one of them is there.
    let shared = scene.running().address();
    assert!(ask(shared, "POST /v1/publish/a", "", "{\"n\":1}").starts_with("HTTP/1.1 20"));
    assert!(client.hear().is_object());
}

#[test]
fn what_cannot_be_listened_on_changes_nothing_and_is_named() {
    let mut scene = Scene::new("listen = '127.0.0.1:0'\n");
    let address = scene.running().address();
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = stranger.local_addr().unwrap();
    let bad = format!(
        "listen = '127.0.0.1:0'\necho = true\npeat.listen = '127.0.0.1:0'\nhyperbeam.listen = '{taken}'\n"
    );
    let error = scene.running().reload(&config(&bad)).unwrap_err().to_string();
    let expected =
        format!("fanwire.toml:7: `hyperbeam.listen`: somebody listens on {taken} already");
    assert_eq!(error, expected);
    assert_eq!(scene.running().address_of(Port::Own("peat")), None);
    is_healthy(address);
    let answer = ask(address, "GET /echo", "", "");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    // Nor is it remembered: once the stranger has left, all of it is taken.
    drop(stranger);
    assert_eq!(scene.taken(&bad), ["echo", "hyperbeam.listen", "peat.listen"]);
    is_healthy(taken);
}

#[test]
fn a_listener_speaks_tls_no_more_and_a_redirect_is_added() {
    use std::io::Read;
    use std::io::Write;
    let folder = Folder::new();
    let root = folder.certify("own", &["localhost"]);
    let text = |more: &str| {
        format!(
            "listen = '127.0.0.1:0'\npeat.listen = '127.0.0.1:0'\n{more}tls.certificate_file = '{0}.pem'\ntls.key_file = '{0}.key'\n",
            folder.path("own")
        )
    };
    let mut scene = Scene::new(&text(""));
    let (shared, peat) = (scene.running().address(), scene.own("peat"));
    let trusting = secure::trusting(&[root]);
    let health = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut staying = secure::connect(peat, "localhost", &trusting);
    staying.write_all(health).unwrap();
    staying.read_exact(&mut [0; 12]).unwrap();
    let more = "tls.plain_listeners = ['peat.listen']\ntls.redirect_listen = '127.0.0.1:0'\ntls.redirect_port = 443\n";
    assert_eq!(
        scene.taken(&text(more)),
        ["tls.plain_listeners", "tls.redirect_listen", "tls.redirect_port"]
    );
    assert_eq!((scene.running().address(), scene.own("peat")), (shared, peat));
    // Twenty in a row, so that both cores have heard of it.
    let answers = || ask(peat, "GET /healthz", "", "").starts_with("HTTP/1.1 200 ");
    while !(0..20).all(|_| answers()) {
        std::thread::yield_now();
    }
    is_healthy(peat);
    let redirect = scene.running().address_of(Port::Redirect).unwrap();
    assert!(ask(redirect, "GET /a", "", "").starts_with("HTTP/1.1 308 "));
    // Whoever came in by TLS goes on so.
    staying.write_all(health).unwrap();
    assert!(staying.read(&mut [0; 4096]).unwrap() > 0);
    let mut shared = secure::connect(shared, "localhost", &trusting);
    shared.write_all(health).unwrap();
    shared.read_exact(&mut [0; 12]).unwrap();
}
