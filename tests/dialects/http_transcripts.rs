//! HTTP and SSE, request by request: `tests/fixtures/http` against the core alone and against real servers on every driver.
//!
//! In these, `>` is a line that ends in CR LF, `>>` bytes as they are (`\r`, `\n`, `\0` and `\xff` written so), `<` a line of a head or of a body, and
//! `< (end)` says that the server closes the connection. Heads are compared whole: a field that nobody asked for is a failure.

use fanwire::config::DriverChoice;

use crate::support::fits::with_tokens_from;
use crate::support::http::Http;
use crate::support::link;
use crate::support::link::Core;
use crate::support::link::Host;
use crate::support::link::Real;
use crate::support::script;
use crate::support::script::Names;
use crate::support::script::Transcript;
use crate::support::script::What;

fn play(mut host: Box<dyn Host>, on: &str, transcript: &Transcript) {
    let mut names = Names::default();
    let mut http = Http::new(host.connect());
    let mut says: Vec<u8> = Vec::new();
    for step in &transcript.steps {
        let place = format!("{}: {} ({on}), line {}", transcript.file, transcript.title, step.line);
        if let What::Says(text) = &step.what {
            let text = &with_tokens_from(text, host.now_s());
            match text.strip_prefix('>') {
                Some(bytes) => {
                    let bytes = bytes.strip_prefix(' ').unwrap_or(bytes);
                    says.extend(unescaped(&names.fill(bytes)));
                }
                None => {
                    says.extend(names.fill(text).as_bytes());
                    says.extend(b"\r\n");
                }
            }
            continue;
        }
        if !says.is_empty() {
            http.send(std::mem::take(&mut says));
        }
        match &step.what {
            What::Says(_) => unreachable!("it was gathered above"),
            What::Hears(expected) => {
                let heard = http.line().unwrap_or_else(|| "(end)".to_owned());
                let is_same = names.matches(expected, &heard);
                assert!(is_same, "\n{place}\n expected {expected}\n    heard {heard}\n{names:?}");
            }
            What::Published { times, topic, payload, .. } => {
                for _ in 0..*times {
                    publish(&mut *host, topic, payload);
                }
            }
            What::Reconnects => http = Http::new(host.connect()),
            What::Happens(what) if what == "the client says no more" => http.half_close(),
            What::Happens(what) if what == "the server stops" => host.stop(),
            What::Happens(what) if what == "many subscribers fall behind" => host.crowd(),
            What::Happens(what) => panic!("{place}: nobody knows how {what:?} is done"),
        }
    }
}

/// `\r`, `\n`, `\0` and `\xff` as the bytes that they stand for.
fn unescaped(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (byte, rest) = match part.as_bytes() {
            [b'r', rest @ ..] => (b'\r', rest),
            [b'n', rest @ ..] => (b'\n', rest),
            [b'0', rest @ ..] => (0, rest),
            [b'x', high, low, rest @ ..] => {
                let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap());
                (digit(*high).unwrap() << 4 | digit(*low).unwrap(), rest)
            }
            rest => (b'\\', rest),
        };
        bytes.push(byte);
        bytes.extend_from_slice(rest);
    }
    bytes
}

fn publish(host: &mut dyn Host, topic: &str, payload: &str) {
    let mut http = Http::new(host.connect());
    http.send(format!(
        "POST /v1/publish/{topic} HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{payload}",
        payload.len()
    ));
    assert_eq!(http.line().as_deref(), Some("HTTP/1.1 200 OK"));
}

#[test]
fn the_core_keeps_to_every_transcript() {
    script::play_all(&script::read("http"), |transcript| {
        play(Box::new(Core::new(&transcript.settings)), "the core", transcript);
    });
}

fn real_servers(driver: DriverChoice) {
    let mut transcripts = script::read("http");
    transcripts.retain(|transcript| !transcript.says("only-core"));
    script::play_all(&transcripts, |transcript| {
        let host = Box::new(Real::start(driver, &transcript.settings));
        play(host, &format!("{driver:?}"), transcript);
    });
}

#[test]
fn a_server_that_speaks_tls_keeps_to_every_transcript() {
    let mut transcripts = script::read("http");
    transcripts.retain(|transcript| !transcript.says("only-core"));
    script::play_all(&transcripts, |transcript| {
        let host = Box::new(Real::start_secured(DriverChoice::Epoll, &transcript.settings));
        play(host, "TLS", transcript);
    });
}

#[test]
fn real_servers_keep_to_every_transcript() {
    link::drivers().into_iter().for_each(real_servers);
}
