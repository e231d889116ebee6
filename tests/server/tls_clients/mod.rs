//! Clients that show certificates: who is let in, as whom, for how long, and what those may try who should not be.

mod settings;

use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use fanwire::auth::Certificate;
use fanwire::clock::Now;
use fanwire::event::ShardId;
use fanwire::server::Server;
use fanwire::shard::ConnId;
use fanwire::shard::Peer;
use fanwire::shard::Port;
use fanwire::shard::Sent;
use fanwire::shard::Shard;
use fanwire::shard::Sink;
use rcgen::DnType;
use rcgen::SanType;
use rcgen::date_time_ymd;
use rustls::ClientConfig;
use rustls::HandshakeKind;

use crate::secure::Authority;
use crate::secure::Folder;
use crate::secure::Secured;
use crate::secure::Shown;
use crate::secure::config;
use crate::secure::connect;
use crate::secure::showing;
use crate::secure::write_shown;

/// A server that asks clients for certificates of an authority, and knows some of them.
struct Scene {
    server: Secured,
    authority: Authority,
    folder: Folder,
}

const SECRET: &str = "the admin secret of these tests, long enough";
const KNOWN: &str = "auth.anonymous = 'nowhere'
[[tls.clients]]
name = 'dns:*.feeders.example'
user = 'feeder'
roles = ['feeder']
[[tls.clients]]
name = 'subject:CN=map 1,O=Fleet'
roles = ['viewer']
[roles.feeder]
publish = ['fleet/*']
subscribe = []
[roles.viewer]
subscribe = ['fleet/**']
";

impl Scene {
    fn new(more: &str) -> Self {
        let (authority, folder) = (Authority::new(), Folder::new());
        authority.publish(&folder, "clients.pem");
        let file = folder.path("clients.pem");
        folder.replace("secret", SECRET);
        let secret = folder.path("secret");
        let text = format!(
            "tls.client_ca_file = '{file}'\nauth.admin_secret_file = '{secret}'\n{more}{KNOWN}"
        );
        let server = Secured::start(2, &text);
        Self { server, authority, folder }
    }

    fn client(&self, shown: Option<&Shown>) -> Arc<ClientConfig> {
        showing(&self.server.certificate, shown, rustls::ALL_VERSIONS)
    }

    /// The status of what is asked by a client; `None`: its handshake fails.
    fn ask(&self, client: &Arc<ClientConfig>, request: &str) -> Option<u16> {
        let answer = self.answer(client, request)?;
        Some(answer.get(9..12)?.parse().unwrap())
    }

    fn answer(&self, client: &Arc<ClientConfig>, request: &str) -> Option<String> {
        let mut stream = connect(self.server.address(), "localhost", client);
        stream.write_all(request.as_bytes()).ok()?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).ok()? > 0 {
            head.push(byte[0]);
        }
        let mut answer = String::from_utf8(head).unwrap();
        let length = answer.split("content-length: ").nth(1);
        if let Some(length) = length.and_then(|rest| rest.lines().next()) {
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).ok()?;
            answer.push_str(&String::from_utf8(body).unwrap());
        }
        (!answer.is_empty()).then_some(answer)
    }
}

fn publish(topic: &str) -> String {
    format!(
        "POST /v1/publish/{topic} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    )
}

fn subscribe(topic: &str) -> String {
    format!("GET /v1/sse?topic={topic} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn map(authority: &Authority, organisation: &str) -> Shown {
    authority.sign(|params| {
        params.distinguished_name.push(DnType::OrganizationName, organisation);
        params.distinguished_name.push(DnType::CommonName, "map 1");
    })
}

#[test]
fn a_certificate_says_who_it_is_and_roles_what_they_may_do() {
    let scene = Scene::new("");
    let feeder = scene.client(Some(&scene.authority.sign_host("a.feeders.example")));
    assert_eq!(scene.ask(&feeder, &publish("fleet/a")), Some(200));
    assert_eq!(scene.ask(&feeder, &publish("fleet/a/b")), Some(403));
    assert_eq!(scene.ask(&feeder, &subscribe("fleet/a")), Some(403));
    let viewer = scene.client(Some(&map(&scene.authority, "Fleet")));
    assert_eq!(scene.ask(&viewer, &subscribe("fleet/a")), Some(200));
    assert_eq!(scene.ask(&viewer, &subscribe("tasks")), Some(403));
    assert_eq!(scene.ask(&viewer, &publish("fleet/a")), Some(403));
}

#[test]
fn who_is_not_known_is_nobody_whatever_the_authority_has_signed() {
    let scene = Scene::new("");
    for shown in [
        None,
        Some(scene.authority.sign_host("feeders.example")),
        Some(scene.authority.sign_host("a.b.feeders.example")),
        Some(scene.authority.sign_host("feeders.example.evil")),
        Some(map(&scene.authority, "Fleet,OU=x")),
        Some(scene.authority.sign(|params| {
            // The name of another, in a field of another kind.
            params.distinguished_name.push(DnType::CommonName, "a.feeders.example");
            let uri = "dns:a.feeders.example".try_into().unwrap();
            params.subject_alt_names = vec![SanType::URI(uri)];
        })),
    ] {
        let client = scene.client(shown.as_ref());
        assert_eq!(scene.ask(&client, &publish("fleet/a")), Some(401));
        assert_eq!(scene.ask(&client, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"), Some(200));
    }
}

#[test]
fn what_the_authority_has_not_signed_ends_the_handshake() {
    let scene = Scene::new("");
    let stranger = Authority::new();
    let is_over = |shown: &mut rcgen::CertificateParams| {
        shown.subject_alt_names = vec![SanType::DnsName("a.feeders.example".try_into().unwrap())];
        shown.not_before = date_time_ymd(2020, 1, 1);
        shown.not_after = date_time_ymd(2021, 1, 1);
    };
    let for_servers = |shown: &mut rcgen::CertificateParams| {
        shown.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    };
    let mut long = scene.authority.sign_host("a.feeders.example");
    for _ in 0..40 {
        long.0.push(scene.authority.sign_host("intermediate.example").0.remove(0));
    }
    let mut other_key = scene.authority.sign_host("a.feeders.example");
    other_key.1 = stranger.sign_host("a.feeders.example").1;
    for (what, shown) in [
        ("a stranger's", stranger.sign_host("a.feeders.example")),
        ("over", scene.authority.sign(is_over)),
        ("a server's", scene.authority.sign(for_servers)),
        ("too long", long),
    ] {
        for version in rustls::ALL_VERSIONS {
            let client = showing(&scene.server.certificate, Some(&shown), &[version]);
            assert_eq!(scene.ask(&client, &publish("fleet/a")), None, "{what} {version:?}");
        }
    }
    // Whoever shows somebody else's certificate must have its key.
    let builder = ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::aws_lc_rs::default_provider(),
    ));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(scene.server.certificate.clone()).unwrap();
    let client = builder.with_root_certificates(roots).with_client_cert_resolver(Arc::new(Thief(
        Arc::new(rustls::sign::CertifiedKey::new(
            other_key.0,
            rustls::crypto::aws_lc_rs::sign::any_supported_type(&other_key.1).unwrap(),
        )),
    )));
    assert_eq!(scene.ask(&Arc::new(client), &publish("fleet/a")), None);
    // And nobody else notices.
    let feeder = scene.client(Some(&scene.authority.sign_host("b.feeders.example")));
    assert_eq!(scene.ask(&feeder, &publish("fleet/a")), Some(200));
}

/// Shows a certificate that is not its own.
#[derive(Debug)]
struct Thief(Arc<rustls::sign::CertifiedKey>);

impl rustls::client::ResolvesClientCert for Thief {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn where_one_is_required_nobody_without_gets_as_far_as_a_request() {
    let scene = Scene::new("tls.client_required = true\npeat.listen = '127.0.0.1:0'\n");
    let health = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(scene.ask(&scene.client(None), health), None);
    let unnamed = scene.client(Some(&scene.authority.sign_host("somebody.example")));
    assert_eq!(scene.ask(&unnamed, health), Some(200));
    let peat = scene.server.running().address_of(Port::Own("peat")).unwrap();
    let mut stream = connect(peat, "localhost", &scene.client(None));
    let asked = stream.write_all(health.as_bytes()).and_then(|()| stream.read(&mut [0; 1]));
    assert!(asked.is_err(), "{asked:?}");
}

#[test]
fn a_session_that_is_resumed_is_the_same_client_until_authorities_change() {
    let scene = Scene::new("");
    for version in rustls::ALL_VERSIONS {
        let shown = scene.authority.sign_host("a.feeders.example");
        let client = showing(&scene.server.certificate, Some(&shown), &[version]);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = connect(scene.server.address(), "localhost", &client);
            stream.write_all(publish("fleet/a").as_bytes()).unwrap();
            let mut head = [0; 12];
            stream.read_exact(&mut head).unwrap();
            assert_eq!(&head, b"HTTP/1.1 200");
            kinds.push(stream.conn.handshake_kind());
        }
        assert_eq!(kinds, [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
    }
    let shown = scene.authority.sign_host("a.feeders.example");
    let client = scene.client(Some(&shown));
    assert_eq!(scene.ask(&client, &publish("fleet/a")), Some(200));
    let mut before = connect(scene.server.address(), "localhost", &client);
    before.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    before.read_exact(&mut [0; 12]).unwrap();
    // From here on another authority's clients are let in, and the former's are not, whatever tickets they have.
    let second = Authority::new();
    second.publish(&scene.folder, "clients.pem");
    let newcomer = scene.client(Some(&second.sign_host("a.feeders.example")));
    let clock = fanwire::clock::Clock::start();
    // Each core takes it within a tick, and which one a client meets is the kernel's choice.
    let mut refused = 0;
    while refused < 10 || scene.ask(&newcomer, &publish("fleet/a")) != Some(200) {
        assert!(clock.now().mono_ms < 60_000, "the new authority is not taken");
        let is_refused = scene.ask(&client, &publish("fleet/a")).is_none();
        refused = if is_refused { refused + 1 } else { 0 };
    }
    // Who was connected stays.
    before.write_all(publish("fleet/a").as_bytes()).unwrap();
    let mut rest = [0; 4096];
    assert!(before.read(&mut rest).unwrap() > 0);
}

/// What a shard says to one connection.
#[derive(Debug, Default)]
struct Heard(Vec<u8>);

impl Sink for Heard {
    fn send(&mut self, _: ConnId, bytes: &[u8]) -> Sent {
        self.0.extend_from_slice(bytes);
        Sent::Took(bytes.len())
    }

    fn send_pieces(&mut self, conn: ConnId, pieces: &[&[u8]]) -> Sent {
        self.send(conn, &pieces.concat())
    }
}

/// Time as the core has it: so many seconds after the beginning, which certificates are good from.
fn at(second: u64) -> Now {
    Now { mono_ms: 1000 * (second + 1), wall_us: (1_900_000_000 + second) * 1_000_000 }
}

#[test]
fn a_certificate_that_is_over_lets_nobody_in_and_closes_who_is_here() {
    // A handshake looks at the certificate once; a session that is resumed, and a connection that lasts, are looked at here.
    let authority = Authority::new();
    let (chain, _) = authority.sign(|params| {
        params.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())];
        params.not_before = date_time_ymd(2020, 1, 1);
        // 1,900,022,400 s since 1970.
        params.not_after = date_time_ymd(2030, 3, 18);
    });
    let shown = Certificate::read(&chain[0]).unwrap();
    let text = "tls.self_signed = ['a']\ntls.client_ca_file = 'unread'\nauth.anonymous = 'nowhere'\n[[tls.clients]]\nname = 'dns:a.example'\n";
    let settings = Server::shard_settings(&config(1, text), 1).unwrap();
    let mut shard = Shard::new(ShardId(0), 1, settings, Arc::from("e"));
    let ask = |shard: &mut Shard, second: u64| {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let certificate = Some(Box::new(shown.clone()));
        let peer = Peer { address, certificate, is_passed_on: false, is_encrypted: true };
        let id = shard.open(Port::Shared, peer, at(second)).unwrap().id;
        shard.received(id, &mut subscribe("fleet/a").into_bytes(), at(second));
        let mut heard = Heard::default();
        shard.work(&mut heard, at(second));
        String::from_utf8(heard.0).unwrap()
    };
    assert!(ask(&mut shard, 22_400).starts_with("HTTP/1.1 200 "), "it is good for this second");
    let refused = ask(&mut shard, 22_401);
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    assert!(refused.contains("the client's certificate is over"), "{refused}");
    for tick in 0..10 {
        shard.tick(Now { mono_ms: 1000 * 22_402 + 100 * tick, ..at(22_401) });
    }
    let mut heard = Heard::default();
    shard.work(&mut heard, at(22_402));
    assert_eq!(String::from_utf8_lossy(&heard.0), "0\r\n\r\n", "the stream ends");
}

#[test]
fn a_revoked_user_is_closed_and_let_in_by_none_of_their_certificates() {
    let scene = Scene::new("");
    let feeder = scene.client(Some(&scene.authority.sign_host("a.feeders.example")));
    let viewer = scene.client(Some(&map(&scene.authority, "Fleet")));
    let mut hearing = connect(scene.server.address(), "localhost", &viewer);
    hearing.write_all(subscribe("fleet/a").as_bytes()).unwrap();
    hearing.read_exact(&mut [0; 12]).unwrap();
    let revoke = |user: &str| {
        let body = format!("{{\"user\":\"{user}\",\"issued_until_s\":4000000000}}");
        let length = body.len();
        format!(
            "POST /v1/admin/revoke HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}",
            SECRET
        )
    };
    let user = "CN=map 1,O=Fleet";
    let status = scene.ask(&scene.client(None), &revoke(user)).unwrap();
    assert!((200..300).contains(&status), "{status}");
    let mut rest = Vec::new();
    hearing.read_to_end(&mut rest).unwrap();
    let answer = scene.answer(&viewer, &subscribe("fleet/a")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("the client's certificate was revoked"), "{answer}");
    assert_eq!(scene.ask(&feeder, &publish("fleet/a")), Some(200), "another user's is not");
}

#[test]
fn the_command_shows_a_certificate() {
    let scene = Scene::new("");
    write_shown(&scene.folder, "mine", &scene.authority.sign_host("a.feeders.example"));
    let url = format!("https://localhost:{}", scene.server.address().port());
    let ca = scene.server.folder.path("one.pem");
    scene.folder.replace("events", "{\"x\":1}\n");
    let events = scene.folder.path("events");
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        command
            .args(["publish", "--url", &url, "--topic", "fleet/a", "--max", "--ca", &ca, &events]);
        command.args(more);
        command.output().unwrap()
    };
    let (pem, key) = (scene.folder.path("mine.pem"), scene.folder.path("mine.key"));
    let shown = run(&["--certificate", &pem, "--certificate-key", &key]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let without = run(&[]);
    assert!(!without.status.success());
    let message = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(message.contains("401") || message.contains("token"), "{message}");
    let missing = run(&["--certificate", "/nowhere.pem", "--certificate-key", &key]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere.pem"));
}

#[test]
fn who_asks_in_the_clear_is_sent_to_the_same_thing_encrypted() {
    let server = Secured::start(
        2,
        "tls.redirect_listen = '127.0.0.1:0'\ntls.redirect_port = 8443\ntls.hsts_s = 600\npeat.listen = '127.0.0.1:0'\ntls.plain_listeners = ['peat.listen']\n",
    );
    let redirect = server.running().address_of(Port::Redirect).unwrap();
    let ask = |address, request: &str| {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    for (request, location) in [
        (
            "GET /v1/sse?topic=a%2Fb HTTP/1.1\r\nHost: fan.example:80\r\n",
            "https://fan.example:8443/v1/sse?topic=a%2Fb",
        ),
        ("HEAD / HTTP/1.1\r\nHost: [::1]\r\n", "https://[::1]:8443/"),
        (
            "POST /v1/publish/a HTTP/1.1\r\nHost: fan.example\r\nContent-Length: 2\r\n",
            "https://fan.example:8443/v1/publish/a",
        ),
        (
            "GET /v1/ws HTTP/1.1\r\nHost: fan.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            "https://fan.example:8443/v1/ws",
        ),
    ] {
        let answer = ask(redirect, &format!("{request}Connection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
        assert!(answer.contains(&format!("location: {location}\r\n")), "{answer}");
        assert!(!answer.contains("strict-transport-security"), "in the clear it means nothing");
    }
    // Nothing that is asked there is carried out, and what cannot be sent on is told so.
    let answer = ask(redirect, "GET / HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(server.ask("/healthz").contains("strict-transport-security: max-age=600\r\n"));
    let peat = server.running().address_of(Port::Own("peat")).unwrap();
    let answer = ask(peat, "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.contains("strict-transport-security"), "{answer}");
}
