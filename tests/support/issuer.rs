//! An issuer on this machine that publishes keys, and others when it is told to.

#![expect(unreachable_pub, reason = "each test is a crate of its own")]

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::thread::Builder;
use std::thread::JoinHandle;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

/// The issuer; it answers until it is stopped.
pub struct Issuer {
    address: SocketAddr,
    /// What it answers from here on; nothing: it stops.
    keys: flume::Sender<Option<String>>,
    thread: JoinHandle<usize>,
}

impl Issuer {
    /// One without keys.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (keys, published) = flume::bounded::<Option<String>>(4);
        let serve = move || {
            let mut body = String::new();
            for answered in 0.. {
                let (mut socket, _) = listener.accept().unwrap();
                for keys in published.try_iter() {
                    let Some(keys) = keys else { return answered };
                    body = keys;
                }
                let lines = BufReader::new(&socket).lines().map_while(Result::ok);
                let _head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                socket.write_all(answer.as_bytes()).unwrap();
            }
            unreachable!("it counts for ever")
        };
        Self { address, keys, thread: Builder::new().spawn(serve).unwrap() }
    }

    pub fn url(&self) -> String {
        format!("http://{}/jwks.json", self.address)
    }

    /// Publishes these keys and no others: each a name, and a file with a public key.
    pub fn publish(&self, keys: &[(&str, &str)]) {
        let keys: Vec<Value> = keys.iter().map(|(kid, file)| key(kid, file)).collect();
        self.keys.send(Some(json!({ "keys": keys }).to_string())).unwrap();
    }

    /// Stops it; says how often it was asked.
    pub fn stop(self) -> usize {
        self.keys.send(None).unwrap();
        drop(TcpStream::connect(self.address));
        self.thread.join().unwrap()
    }
}

/// A public key as a JWK. At the end of its DER stand the bytes that a JWK has by themselves.
fn key(kid: &str, file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/auth").join(file);
    let pem = std::fs::read_to_string(path).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(der).unwrap();
    let last = |from_end: usize| URL_SAFE_NO_PAD.encode(&der[der.len() - from_end..][..32]);
    if file.starts_with("ed25519") {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": last(32)})
    } else {
        json!({"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "x": last(64), "y": last(32)})
    }
}
