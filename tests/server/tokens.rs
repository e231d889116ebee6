//! Tokens that must open nothing, and those that must stay open, against a real server: WebSocket, event stream and publishing.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanwire::clock::Clock;
use fanwire::config::Config;
use fanwire::config::DriverChoice;
use fanwire::server::Running;
use fanwire::server::Server;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use serde_json::Value;
use serde_json::json;

use crate::issuer;
use crate::socket;
use crate::socket::Client;
use crate::socket::Heard;
use crate::socket::ask;

const DRIVERS: [DriverChoice; 2] = [DriverChoice::IoUring, DriverChoice::Epoll];
const ADMIN: &str = "the admin secret of these tests, long enough";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/auth").join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn secret() -> Vec<u8> {
    read("secret.txt").trim_ascii_end().to_vec()
}

/// Seconds since 1970, and some more or less.
fn in_s(seconds: i64) -> i64 {
    i64::try_from(Clock::start().now().wall_us / 1_000_000).unwrap() + seconds
}

/// A file that is gone when the test ends.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fanwire-{name}-{}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn start(driver: DriverChoice, more: &str) -> Running {
    let text = format!(
        "shards = 2\npin = false\nlisten = '127.0.0.1:0'\n[auth]\nanonymous = 'nowhere'\nleeway_s = 0\n{more}"
    );
    let config = Config::parse(&text, Path::new("fanwire.toml")).unwrap();
    Server::start(&Config { driver, ..config }).unwrap()
}

fn stop(running: Running) {
    running.stop();
    assert_eq!(running.join(), 0);
}

/// Everything that a good token says; `more` on top of it, or in its place.
fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "sub": "ada", "iat": in_s(-5), "exp": in_s(600), "iss": "https://issuer.test", "aud": "fanwire",
        "fanwire": {"publish": ["**"]},
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

fn hs256(more: &Value) -> String {
    sign(&Header::new(Algorithm::HS256), &claims(more), &EncodingKey::from_secret(&secret()))
}

/// Any header, with a signature that fits it and the configured secret.
fn with_header(header: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(&claims(&json!({}))));
    let key = EncodingKey::from_secret(&secret());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.unwrap())
}

/// The attacks, and what each is.
fn attacks() -> Vec<(&'static str, String)> {
    let good = hs256(&json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let payload = URL_SAFE_NO_PAD.encode(claims(&json!({"sub": "eve"})).to_string());
    let mut signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
    signature[0] ^= 1;
    let signature = URL_SAFE_NO_PAD.encode(signature);
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let rsa_public = read("rsa.pub.pem");
    let kid = |kid: &str| with_header(&json!({"alg": "HS256", "kid": kid}));
    vec![
        ("not a token", "nonsense".into()),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", format!("{none}.{}.", parts[1])),
        ("alg none, with a signature", format!("{none}.{}.{}", parts[1], parts[2])),
        (
            "the public key taken for a secret",
            sign(
                &Header { kid: Some("rsa".into()), ..Header::new(Algorithm::HS256) },
                &claims(&json!({})),
                &EncodingKey::from_secret(&rsa_public),
            ),
        ),
        (
            "the public key taken for a secret, without a name",
            sign(
                &Header::new(Algorithm::HS256),
                &claims(&json!({})),
                &EncodingKey::from_secret(&rsa_public),
            ),
        ),
        (
            "another secret",
            sign(
                &Header::new(Algorithm::HS256),
                &claims(&json!({})),
                &EncodingKey::from_secret(&[7; 32]),
            ),
        ),
        (
            "another algorithm of the same secret",
            sign(
                &Header::new(Algorithm::HS512),
                &claims(&json!({})),
                &EncodingKey::from_secret(&secret()),
            ),
        ),
        ("expired", hs256(&json!({"exp": in_s(-60)}))),
        ("without an end", {
            let mut claims = claims(&json!({}));
            claims.as_object_mut().unwrap().remove("exp");
            sign(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&secret()))
        }),
        ("not yet valid", hs256(&json!({"nbf": in_s(600)}))),
        ("issued in the future", hs256(&json!({"iat": in_s(300)}))),
        ("for another audience", hs256(&json!({"aud": "elsewhere"}))),
        ("for several other audiences", hs256(&json!({"aud": ["elsewhere", "there"]}))),
        ("of another issuer", hs256(&json!({"iss": "https://evil.test"}))),
        ("tampered payload", format!("{}.{payload}.{}", parts[0], parts[2])),
        ("tampered signature", format!("{}.{}.{signature}", parts[0], parts[1])),
        ("oversized", hs256(&json!({"padding": "x".repeat(9_000)}))),
        // Each would be checked with the secret that it is signed with, if a name could lead to one.
        ("kid of a key of another kind", kid("rsa")),
        ("crit", with_header(&json!({"alg": "HS256", "crit": ["exp"]}))),
        ("crit, b64", with_header(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}))),
        ("jku and a name that is its own", {
            let header =
                json!({"alg": "RS256", "kid": "evil", "jku": "http://127.0.0.1:1/jwks.json"});
            with_header(&header)
        }),
    ]
}

const KEYS: &str = "issuer = 'https://issuer.test'\naudience = 'fanwire'\n";

fn keys() -> String {
    let secret = fixture("secret.txt").display().to_string();
    let rsa = fixture("rsa.pub.pem").display().to_string();
    format!(
        "{KEYS}[[auth.keys]]\nname = 'main'\nalgorithm = 'HS256'\nfile = '{secret}'\n[[auth.keys]]\nname = 'rsa'\nalgorithm = 'RS256'\nfile = '{rsa}'\n"
    )
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// All ways in, each with this token: the statuses that they answer.
fn knock(address: SocketAddr, token: Option<&str>) -> Vec<String> {
    let fields = token.map(bearer).unwrap_or_default();
    let mut answers = Vec::new();
    for target in ["/ws/subscribe?collections=a", "/ws?topic=a", "/v1/ws", "/pv/ws"] {
        // Without a token these two wait for one.
        if token.is_none() && matches!(target, "/v1/ws" | "/pv/ws") {
            continue;
        }
        answers.push(
            Client::open(address, target, &fields)
                .map_or_else(|answer| answer, |_| format!("HTTP/1.1 101 {target}")),
        );
    }
    answers.push(ask(address, "GET /v1/sse?topic=a", &fields, ""));
    answers.push(ask(address, "GET /sse/subscribe?collections=a", &fields, ""));
    answers.push(ask(address, "POST /v1/publish/a", &fields, r#"{"attack":true}"#));
    answers.push(ask(address, "POST /~websocket@1.0/cast", &fields, r#"{"Topic":"a"}"#));
    answers.push(ask(address, "POST /pv/events", &fields, r#"{"event_type":"a","data":{}}"#));
    answers.push(ask(address, "GET /~websocket@1.0/info", &fields, ""));
    answers
}

#[test]
fn no_attack_opens_anything_and_no_event_is_heard() {
    for driver in DRIVERS {
        let running = start(driver, &keys());
        let address = running.address();
        let mut witness =
            Client::open(address, "/v1/ws", &bearer(&hs256(&json!({"sub": "witness"})))).unwrap();
        assert_eq!(witness.hear()["type"], "welcome");
        witness.subscribe("**");
        for (name, token) in attacks() {
            for answer in knock(address, Some(&token)) {
                assert!(answer.starts_with("HTTP/1.1 401 "), "{name}: {answer}");
                assert!(answer.to_ascii_lowercase().contains("www-authenticate: bearer"), "{name}");
            }
            // Later, in the first message, it is no better.
            let mut late = Client::open(address, "/v1/ws", "").unwrap();
            assert_eq!(late.hear()["type"], "welcome");
            late.say(&json!({"type": "auth", "id": 1, "token": token}));
            let refused = late.hear();
            assert_eq!(refused["code"], "forbidden", "{name}: {refused}");
            late.say(&json!({"type": "subscribe", "id": 2, "topics": ["a"]}));
            assert_eq!(late.hear()["code"], "forbidden", "{name}");
        }
        for answer in knock(address, None) {
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        }
        // What the witness hears first is what a good token publishes: nothing came before it.
        let answer =
            ask(address, "POST /v1/publish/a", &bearer(&hs256(&json!({}))), r#"{"good":true}"#);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let heard = witness.hear();
        assert_eq!((&heard["payload"], &heard["offset"]), (&json!({"good": true}), &json!(1)));
        // Whoever is still there at the end is waited for.
        drop(witness);
        stop(running);
    }
}

#[test]
fn a_name_in_a_token_is_compared_with_names_and_is_nothing_else() {
    // Every key has a name here, and a name that is none of theirs leads nowhere, whatever it looks like.
    let running = start(DriverChoice::Epoll, &keys());
    let path = fixture("secret.txt").display().to_string();
    for kid in [
        path.as_str(),
        "../../../../dev/null",
        "/dev/null",
        "file:///etc/passwd",
        "http://127.0.0.1:1/key",
        "x' UNION SELECT 'key' -- ",
        "main\0",
        "MAIN",
        "",
        "| cat /etc/passwd",
    ] {
        for key in [secret(), Vec::new(), b"key".to_vec()] {
            let header = Header { kid: Some(kid.into()), ..Header::new(Algorithm::HS256) };
            let token = sign(&header, &claims(&json!({})), &EncodingKey::from_secret(&key));
            let answer = ask(running.address(), "POST /v1/publish/a", &bearer(&token), "{}");
            assert!(answer.starts_with("HTTP/1.1 401 "), "{kid:?}: {answer}");
        }
    }
    let header = Header { kid: Some("main".into()), ..Header::new(Algorithm::HS256) };
    let token = sign(&header, &claims(&json!({})), &EncodingKey::from_secret(&secret()));
    let answer = ask(running.address(), "POST /v1/publish/a", &bearer(&token), "{}");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    stop(running);
}

#[test]
fn several_keys_each_open_what_they_signed_in_their_own_algorithm() {
    let running = start(DriverChoice::Epoll, &keys());
    let pem = EncodingKey::from_rsa_pem(&read("rsa.pem")).unwrap();
    for (algorithm, expected) in
        [(Algorithm::RS256, "200"), (Algorithm::RS512, "401"), (Algorithm::PS256, "401")]
    {
        let header = Header { kid: Some("rsa".into()), ..Header::new(algorithm) };
        let token = sign(&header, &claims(&json!({})), &pem);
        let answer = ask(running.address(), "POST /v1/publish/a", &bearer(&token), "{}");
        assert_eq!(answer.split(' ').nth(1), Some(expected), "{algorithm:?}: {answer}");
    }
    stop(running);
}

fn one_key() -> String {
    format!("{KEYS}algorithm = 'HS256'\nkey_file = '{}'\n", fixture("secret.txt").display())
}

fn admin(address: SocketAddr, secret: &str, body: &Value) -> String {
    let answer = ask(address, "POST /v1/admin/revoke", &bearer(secret), &body.to_string());
    answer.split(' ').nth(1).unwrap_or("none").to_owned()
}

#[test]
fn renewing_a_token_leaves_no_gap_and_one_that_is_over_closes_after_a_warning() {
    for driver in DRIVERS {
        let running = start(driver, &one_key());
        let address = running.address();
        let short = |seconds| hs256(&json!({"exp": in_s(seconds)}));
        let mut client = Client::open(address, "/v1/ws", &bearer(&short(30))).unwrap();
        assert_eq!(client.hear()["type"], "welcome");
        client.subscribe("a");
        let mut publisher =
            Client::open(address, "/v1/ws", &bearer(&hs256(&json!({"sub": "bob"})))).unwrap();
        assert_eq!(publisher.hear()["type"], "welcome");
        let (mut said, mut offset, mut warnings, mut ends_s) = (0, 0, 0, None);
        let mut is_renewed = false;
        // As many events before the other token is shown as behind it, however long that takes.
        let reason = loop {
            if said < if is_renewed { 200 } else { 100 } {
                publisher.say(&json!({"type": "publish", "id": 1, "topic": "a", "payload": {}}));
                let answer = publisher.hear();
                assert_eq!(answer["type"], "published", "{answer}");
                said += 1;
            }
            match client.next() {
                Heard::Text(message) if message["type"] == "token_expiring" => {
                    warnings += 1;
                    if ends_s.is_none() {
                        ends_s = Some(in_s(6));
                        let token = hs256(&json!({"exp": ends_s}));
                        client.say(&json!({"type": "auth", "id": 2, "token": token}));
                    }
                }
                Heard::Text(message) if message["type"] == "authenticated" => {
                    assert_eq!(message["expires_at_s"], json!(ends_s));
                    is_renewed = true;
                }
                Heard::Text(event) => {
                    offset += 1;
                    assert_eq!(event["offset"], json!(offset), "no gap, nothing twice: {event}");
                }
                Heard::Close(code, reason) => break (code, reason),
            }
        };
        assert_eq!((said, offset), (200, 200), "all that was said is heard before the end");
        assert_eq!(reason, (4001, "token expired".to_owned()));
        assert!(warnings >= 2, "it is warned of each token's end: {warnings}");
        assert!(ends_s.is_some_and(|ends_s| in_s(0) >= ends_s), "not before its end");
        let before = Client::open(address, "/v1/ws", &bearer(&short(-1)));
        assert!(before.map(|_| ()).unwrap_err().starts_with("HTTP/1.1 401 "));
        drop((client, publisher));
        stop(running);
    }
}

#[test]
fn what_is_revoked_is_closed_and_opens_nothing_more() {
    let secret = File::new("admin-secret", ADMIN);
    for driver in DRIVERS {
        let more = format!("admin_secret_file = '{}'\n{}", secret.0.display(), one_key());
        let running = start(driver, &more);
        let address = running.address();
        let token = |sub: &str, jti: &str| hs256(&json!({"sub": sub, "jti": jti}));
        let open = |token: &str| {
            let mut client = Client::open(address, "/v1/ws", &bearer(token))?;
            assert_eq!(client.hear()["type"], "welcome");
            client.subscribe("**");
            Ok::<_, String>(client)
        };
        let (one, two, three) = (token("ada", "1"), token("ada", "2"), token("bob", "3"));
        // So many that some are on each shard.
        let mut ones: Vec<Client> = (0..5).map(|_| open(&one).unwrap()).collect();
        let mut twos: Vec<Client> = (0..5).map(|_| open(&two).unwrap()).collect();
        let mut threes: Vec<Client> = (0..5).map(|_| open(&three).unwrap()).collect();
        let mut streams = Vec::new();
        for token in [&one, &two] {
            let mut stream = socket::connect(address);
            let head = format!("GET /v1/sse?topic=a HTTP/1.1\r\nHost: x\r\n{}\r\n", bearer(token));
            std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
            streams.push(stream);
        }
        let eleventh = open(&one).map(|_| ()).unwrap_err();
        assert!(eleventh.starts_with("HTTP/1.1 429 "), "{eleventh}");
        assert!(eleventh.contains("user_connections"), "the limit is named: {eleventh}");

        // No token opens the admin's door, nor does a wrong secret.
        for wrong in [one.as_str(), "", "the admin secret of these tests, long enougH"] {
            assert_eq!(admin(address, wrong, &json!({"jti": "1"})), "401");
        }
        assert_eq!(admin(address, ADMIN, &json!({"jti": "1"})), "200");
        let is_over = |client: &mut Client| matches!(client.next(), Heard::Close(1008, reason) if reason == "token revoked");
        assert!(ones.iter_mut().all(is_over));
        // Each core hears of it by itself: whom one still lets in that has not yet, it closes when it has.
        let is_refused = |token: &str| {
            (0..1000).any(|_| match Client::open(address, "/v1/ws", &bearer(token)) {
                Ok(mut late) => {
                    while !is_over(&mut late) {}
                    false
                }
                // Those that are being closed may be counted for a moment longer.
                Err(answer) if answer.starts_with("HTTP/1.1 429 ") => false,
                Err(answer) => {
                    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
                    true
                }
            })
        };
        assert!(is_refused(&one));
        assert_eq!(admin(address, ADMIN, &json!({"user": "ada"})), "200");
        assert!(twos.iter_mut().all(is_over));
        for mut stream in streams {
            let mut rest = Vec::new();
            std::io::Read::read_to_end(&mut stream, &mut rest).unwrap();
        }
        let answer = ask(address, "POST /v1/publish/a", &bearer(&three), r#"{"n":1}"#);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        for client in &mut threes {
            assert_eq!(client.hear()["payload"]["n"], 1, "others go on");
        }
        assert_eq!(admin(address, ADMIN, &json!({"issued_until_s": in_s(0)})), "200");
        assert!(threes.iter_mut().all(is_over));
        assert!(is_refused(&three));
        drop((ones, twos, threes));
        stop(running);
    }
}

/// Asks until it is so, within a bound that only a broken server reaches.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let clock = Clock::start();
    while !is_so() {
        assert!(clock.now().mono_ms < 20_000, "still not so: {what}");
    }
}

#[test]
fn keys_are_rotated_while_connections_stay_open() {
    for driver in DRIVERS {
        let issuer = issuer::Issuer::start();
        issuer.publish(&[("old", "ed25519.pub.pem")]);
        let running =
            start(driver, &format!("{KEYS}jwks_url = '{}'\njwks_wish_s_min = 1\n", issuer.url()));
        let address = running.address();
        let signed = |kid: &str, algorithm, key: &EncodingKey| {
            let header = Header { kid: Some(kid.into()), ..Header::new(algorithm) };
            sign(&header, &claims(&json!({})), key)
        };
        let old = signed(
            "old",
            Algorithm::EdDSA,
            &EncodingKey::from_ed_pem(&read("ed25519.pem")).unwrap(),
        );
        let new =
            signed("new", Algorithm::ES256, &EncodingKey::from_ec_pem(&read("p256.pem")).unwrap());
        let publishes = |token: &str| {
            let answer = ask(address, "POST /v1/publish/a", &bearer(token), "{}");
            answer.starts_with("HTTP/1.1 200 ")
        };
        // The keys are there before the first client is.
        let mut client = Client::open(address, "/v1/ws", &bearer(&old)).unwrap();
        assert_eq!(client.hear()["type"], "welcome");
        client.subscribe("a");
        assert!(!publishes(&new), "its key is not known yet");

        issuer.publish(&[("new", "p256.pub.pem")]);
        eventually("a token with an unknown key has the keys fetched", || publishes(&new));
        eventually("the key that was taken away is gone on every shard", || {
            (0..8).all(|_| !publishes(&old)) && (0..8).all(|_| publishes(&new))
        });
        assert_eq!(client.hear()["offset"], 1, "whoever was connected stays, and hears");
        // And goes on with a token of the new key.
        client.say(&json!({"type": "auth", "id": 1, "token": new}));
        while client.hear()["type"] != "authenticated" {}

        // Without an issuer the keys stay as they are.
        let asked = issuer.stop();
        assert!((2..60).contains(&asked), "fetches are bounded, whoever asks: {asked}");
        assert!(!publishes(&old) && publishes(&new));
        drop(client);
        stop(running);
    }
}
