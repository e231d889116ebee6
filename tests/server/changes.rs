//! Certificates, keys, permissions, limits and listeners that change under load: over TLS, with everybody connected and nothing lost.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use fanwire::clock::Clock;
use fanwire::config::Config;
use fanwire::server::Server;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use rustls::ClientConfig;
use serde_json::json;

use crate::secure;
use crate::secure::Folder;
use crate::secure::Stream;

const ROUNDS: u32 = 10;

fn secret(name: &str) -> String {
    format!("the secret of {name}, which is long enough")
}

fn token(key: &str) -> String {
    let expires_at_s = Clock::start().now().wall_us / 1_000_000 + 3600;
    let claims = json!({"sub": "ada", "exp": expires_at_s, "role": "all"});
    let key = EncodingKey::from_secret(secret(key).as_bytes());
    jsonwebtoken::encode(&Header { kid: None, ..Header::default() }, &claims, &key).unwrap()
}

/// What is configured in a round: each has another certificate, key, permission, limit and listener than the one before.
fn config(folder: &Folder, round: u32) -> Config {
    let (name, listener) = match round.is_multiple_of(2) {
        true => ("even", "peat.listen = '127.0.0.1:0'\n"),
        false => ("odd", "hyperbeam.listen = '127.0.0.1:0'\n"),
    };
    let path = folder.path("");
    let text = format!(
        "listen = '127.0.0.1:0'\nshards = 2\npin = false\nconnections_max = 1000\nsubscriptions_max = {}\n{listener}\
         tls.certificate_file = '{path}{name}.pem'\ntls.key_file = '{path}{name}.key'\n\
         auth.key_file = '{path}{name}'\nauth.admin_secret_file = '{path}admin'\nauth.publish_per_s = {}\nauth.user_connections = 1000\n\
         [roles.all]\nsubscribe = ['load', '{name}/*']\n",
        10 + round,
        100_000 + round,
    );
    Config::parse(&text, Path::new("fanwire.toml")).unwrap()
}

/// Events of a stream, each offset once and in order, up to the last.
fn listen(mut lines: BufReader<Stream>, heard: &AtomicU64, last: &AtomicU64) {
    for wanted in 1.. {
        let line = line_with(&mut lines, "\"offset\":");
        let (_, rest) = line.split_once("\"offset\":").unwrap();
        let offset: u64 = rest.split(',').next().unwrap().parse().unwrap();
        assert_eq!(offset, wanted, "{line}");
        heard.store(offset, Ordering::Relaxed);
        if offset == last.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// The next line that holds this.
fn line_with(lines: &mut BufReader<Stream>, text: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "it was disconnected");
        if line.contains(text) {
            return line;
        }
    }
}

/// Publishes on one connection until it is over.
fn publish(mut stream: Stream, is_over: &AtomicBool, last: &AtomicU64) {
    let body = r#"{"topic":"load","payload":{}}"#;
    let request = format!(
        "POST /v1/admin/publish HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        secret("admin"),
        body.len()
    );
    let mut answer = [0; 4096];
    for count in 1.. {
        let is_last = is_over.load(Ordering::Relaxed);
        if is_last {
            last.store(count, Ordering::Relaxed);
        }
        stream.write_all(request.as_bytes()).unwrap();
        let length = stream.read(&mut answer).unwrap();
        let said = String::from_utf8_lossy(&answer[..length]);
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        if is_last {
            return;
        }
    }
}

/// Whether a stream begins, for who shows this token and believes these certificates.
fn subscribe(
    address: SocketAddr,
    client: &Arc<ClientConfig>,
    token: &str,
) -> Option<BufReader<Stream>> {
    let mut stream = secure::connect(address, "localhost", client);
    let request = format!(
        "GET /v1/sse?topic=load HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let mut head = [0; 13];
    let is_answered = stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && &head == b"HTTP/1.1 200 ";
    is_answered.then(|| BufReader::new(stream))
}

#[test]
fn nobody_is_disconnected_and_nothing_lost_whatever_changes() {
    let folder = Folder::new();
    let roots = ["even", "odd"].map(|name| folder.certify(name, &["localhost"]));
    for name in ["even", "odd", "admin"] {
        folder.replace(name, &secret(name));
    }
    let trusting = [0, 1].map(|one| secure::trusting(&roots[one..=one]));
    let tokens = ["even", "odd"].map(token);
    let mut running = Server::start(&config(&folder, 0)).unwrap();
    let address = running.address();
    let subscribers = [(); 4].map(|()| {
        let mut lines = subscribe(address, &trusting[0], &tokens[0]).unwrap();
        line_with(&mut lines, "event: live");
        lines
    });
    let heard = [const { AtomicU64::new(0) }; 4];
    let (is_over, last) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (is_over, last) = (&is_over, &last);
        for (lines, heard) in subscribers.into_iter().zip(&heard) {
            scope.spawn(move || listen(lines, heard, last));
        }
        let publisher = secure::connect(address, "localhost", &trusting[0]);
        scope.spawn(move || publish(publisher, is_over, last));
        for round in 1..=ROUNDS {
            let reloaded = running.reload(&config(&folder, round)).unwrap();
            assert_eq!(reloaded.at_restart, []);
            assert_eq!(reloaded.taken.len(), 8, "{reloaded:?}");
            // What is new holds for who comes now, on both cores.
            let (new, old) = (round as usize % 2, (round as usize + 1) % 2);
            let mut in_a_row = 0;
            while in_a_row < 10 {
                let is_new = subscribe(address, &trusting[new], &tokens[new]).is_some();
                in_a_row = if is_new { in_a_row + 1 } else { 0 };
            }
            assert!(subscribe(address, &trusting[new], &tokens[old]).is_none(), "a former key");
            // And who was there goes on to hear.
            let before = heard.each_ref().map(|of| of.load(Ordering::Relaxed));
            for (heard, before) in heard.iter().zip(before) {
                while heard.load(Ordering::Relaxed) < before + 2 {
                    std::thread::yield_now();
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let all = last.load(Ordering::Relaxed);
    assert!(heard.iter().all(|heard| heard.load(Ordering::Relaxed) == all));
    running.stop();
    assert_eq!(running.join(), 0, "nobody had to be cut off");
}
