//! Tokens that open nothing, and whoever may not do something: each with the text that says why.

use std::sync::Arc;

use fanwire::auth::AccessLimits;
use fanwire::auth::Algorithm;
use fanwire::auth::Anonymous;
use fanwire::auth::AnonymousAccess;
use fanwire::auth::EventTypes;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::Rate;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::shard::Access;
use fanwire::shard::Listeners;
use fanwire::shard::MemoryBounds;
use fanwire::shard::Settings;

use super::Wrong;
use super::answer;
use super::last_heard;
use crate::support::fits::SECRET;
use crate::support::frames::masked;
use crate::support::world::World;
use crate::support::world::roomy;

/// A token with this header and these claims, signed with the secret.
fn token(header: &str, claims: &str) -> String {
    use base64::Engine;
    let part = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let text = format!("{}.{}", part(header), part(claims));
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
    let signed = jsonwebtoken::crypto::sign(text.as_bytes(), &key, jsonwebtoken::Algorithm::HS256);
    format!("{text}.{}", signed.unwrap())
}

const HEADER: &str = r#"{"alg":"HS256"}"#;

const NOW_S: u64 = 1_786_600_000;

/// One key, one issuer, one audience.
fn strict() -> Verifier {
    let key = Key::from_secret(Some("mine"), Algorithm::Hs256, SECRET).unwrap();
    let rules = TokenRules {
        issuers: vec!["me".into()],
        audiences: vec!["us".into()],
        ..TokenRules::default()
    };
    Verifier::new(KeySet::new(vec![key]).unwrap(), rules, Mapping::default()).unwrap()
}

#[test]
fn tokens_that_open_nothing() {
    let mut wrong = Wrong::default();
    let verifier = strict();
    let good = format!(r#""iss":"me","aud":"us","exp":{}"#, NOW_S + 60);
    let with = |more: &str| token(HEADER, &format!(r#"{{{good},"sub":"ada"{more}}}"#));
    let of = |header: &str| token(header, &format!(r#"{{{good},"sub":"ada"}}"#));
    let valid = with("");
    assert!(verifier.verify(&valid, NOW_S).is_ok());
    let changed = valid.rsplit_once('.').map(|(signed, _)| format!("{signed}.AAAA")).unwrap();
    let roles = vec!["\"r\""; 33].join(",");
    for (token, message) in [
        ("x".repeat(8193), "token has 8193 bytes; at most 8192 are read"),
        ("a.b".to_owned(), "token has 2 parts; it needs header, claims and signature"),
        ("~.~.~".to_owned(), "token's header is not base64url"),
        (token("[]", "{}"), "token's header is not the JSON object it should be, at column 2"),
        (of(r#"{"alg":"none"}"#), "token is not signed (`alg` is `none`)"),
        (of(r#"{"alg":"XS256"}"#), "token's `alg` is not known"),
        (of(r#"{"alg":"RS256"}"#), "token is signed with RS256, for which there is no key"),
        (
            of(r#"{"alg":"RS256","kid":"mine"}"#),
            "token is signed with RS256, but the key it names is for HS256",
        ),
        (of(r#"{"alg":"HS256","kid":"x"}"#), "token's `kid` names no known key"),
        (
            of(r#"{"alg":"HS256","crit":["b64"]}"#),
            "token's header has `crit`: no extension is understood",
        ),
        (of(r#"{"alg":"HS256","typ":"x"}"#), "token's `typ` is neither `JWT` nor `at+jwt`"),
        (changed, "token's signature is wrong"),
        (token(HEADER, &format!("{{{good}}}")), "token has no claim `sub`"),
        (with(&format!(r#","roles":[{roles}]"#)), "token's claim `roles` has more than 32 entries"),
        (
            with(r#","fanwire":{"subscribe":["a//b"]}"#),
            "token's claim `fanwire.subscribe[0]`: topic has an empty segment at byte 2",
        ),
        (
            with(r#","fanwire":7"#),
            "token's claim `fanwire` is not an object with `subscribe`, `publish` and `filter`",
        ),
        (
            with(r#","fanwire":{"filter":7}"#),
            "token's claim `fanwire.filter` is not a string or an object",
        ),
        (with(r#","exp":"soon""#), "token's claim `exp` is not seconds since 1970"),
        (
            token(HEADER, &format!(r#"{{{good},"sub":"{}"}}"#, "x".repeat(256))),
            "token's user has 256 bytes; at most 255 are allowed",
        ),
        (with(&format!(r#","exp":{}"#, NOW_S - 60)), "token expired 60 s ago"),
        (with(&format!(r#","nbf":{}"#, NOW_S + 50)), "token is valid in 50 s"),
        (
            with(&format!(r#","iat":{}"#, NOW_S + 50)),
            "token was issued 50 s ahead of this server's clock",
        ),
        (
            with(&format!(r#","exp":{}"#, NOW_S + 40_000_000)),
            "token lives 40000000 s; at most 34560000 are allowed",
        ),
        (with(r#","iss":"other""#), "token's issuer (`iss`) is not accepted"),
        (with(r#","aud":"other""#), "token is for someone else (`aud`)"),
    ] {
        let refused = verifier.verify(&token, NOW_S).expect_err(message).to_string();
        wrong.hold(refused.starts_with(message), message, &refused);
    }
    wrong.none();
}

/// A world that has keys, and an admin secret.
fn guarded() -> Settings {
    let key = Key::from_secret(None, Algorithm::Hs256, SECRET).unwrap();
    let verifier =
        Verifier::new(KeySet::new(vec![key]).unwrap(), TokenRules::default(), Mapping::default());
    let admin = fanwire::auth::AdminSecret::new(&[b'a'; 32]).unwrap();
    let access = Access {
        verifier: Some(Arc::new(verifier.unwrap())),
        admin: Some(Arc::new(admin)),
        ..Access::default()
    };
    Settings { access: Arc::new(access), ..roomy() }
}

#[test]
fn who_may_not() {
    let mut wrong = Wrong::default();
    let bearer = |more: &str| {
        let claims = format!(r#"{{"sub":"ada","jti":"t","exp":1786600060{more}}}"#);
        format!("Authorization: Bearer {}\r\n", token(HEADER, &claims))
    };
    let admin = format!("Authorization: Bearer {}\r\n", "a".repeat(32));
    for (method, target, fields, body, status, message) in [
        (
            "GET",
            "/v1/sse?topic=a",
            bearer(r#","fanwire":{"filter":"a <"}"#),
            "",
            401,
            "the token's filter cannot be read",
        ),
        ("POST", "/v1/publish/a", bearer(""), "{}", 403, "publishing to this topic is not allowed"),
        (
            "GET",
            "/v1/sse?topic=a",
            "Origin: https://evil.net\r\n".to_owned(),
            "",
            403,
            "pages of this origin may not connect (auth.origins)",
        ),
        (
            "POST",
            "/v1/admin/revoke",
            String::new(),
            "{}",
            401,
            "the admin secret is needed: Authorization: Bearer",
        ),
        (
            "POST",
            "/v1/admin/revoke",
            admin.clone(),
            "{}",
            400,
            "what is revoked is said by jti, by user (and issued_until_s), or by issued_until_s",
        ),
    ] {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
        );
        wrong.check(&answer(&guarded(), request.as_bytes()), status, message);
    }
    let mut world = World::new(1, &guarded());
    let wire = world.open(0, 1 << 20);
    let body = r#"{"jti":"t"}"#;
    let revoke = format!(
        "POST /v1/admin/revoke HTTP/1.1\r\nHost: h\r\n{admin}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    world.say(wire, revoke.as_bytes());
    world.settle();
    world.read(wire, usize::MAX);
    world.say(
        wire,
        format!("GET /v1/sse?topic=a HTTP/1.1\r\nHost: h\r\n{}\r\n", bearer("")).as_bytes(),
    );
    world.settle();
    let answer = String::from_utf8_lossy(&world.read(wire, usize::MAX)).into_owned();
    wrong.check(&answer, 401, "the token was revoked");
    wrong.none();
}

/// What a world answers to one who asks from elsewhere, the last of so many times.
fn from_elsewhere(access: Access, times: usize) -> String {
    let settings = Settings { access: Arc::new(access), ..roomy() };
    let mut world = World::new(1, &settings);
    let mut answer = Vec::new();
    for _ in 0..times {
        let wire = world.open_from(0, 1 << 20, "203.0.113.9".parse().unwrap());
        world.say(wire, b"GET /v1/sse?topic=a HTTP/1.1\r\nHost: h\r\n\r\n");
        world.settle();
        answer = world.read(wire, usize::MAX);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn who_is_not_let_in() {
    let mut wrong = Wrong::default();
    let with = |access| Anonymous { access, ..Anonymous::default() };
    let anywhere = || with(AnonymousAccess::Anywhere);
    let set = "set auth.key_file or auth.jwks_url, or auth.anonymous = \"anywhere\"";
    let no_keys = "this server has no keys to check a token with, and lets in";
    let open = Listeners::at("0.0.0.0".parse().unwrap());
    let few = AccessLimits { address_connections: 1, ..AccessLimits::default() };
    let slow = AccessLimits { handshakes: Rate::per_second(1), ..AccessLimits::default() };
    for (access, status, message) in [
        (
            Access { anonymous: with(AnonymousAccess::Nowhere), ..Access::default() },
            401,
            format!("{no_keys} nobody without a token: {set}"),
        ),
        (
            Access::default(),
            401,
            format!(
                "{no_keys} only clients on this machine, and this one is at 203.0.113.9: {set}"
            ),
        ),
        (
            Access { listeners: open, ..Access::default() },
            401,
            format!(
                "{no_keys} only clients on this machine by a listener that others cannot reach, and this one is at 0.0.0.0: {set}"
            ),
        ),
        (
            Access { anonymous: anywhere(), limits: few, ..Access::default() },
            429,
            "address_connections: this address has 1 connections already".to_owned(),
        ),
        (
            Access { anonymous: anywhere(), limits: slow, ..Access::default() },
            429,
            "handshakes_per_s: more than 1 handshakes a second".to_owned(),
        ),
    ] {
        let times = if status == 429 { 2 } else { 1 };
        wrong.check(&from_elsewhere(access, times), status, &message);
    }
    wrong.none();
}

#[test]
fn what_is_too_much_or_for_nobody() {
    let mut wrong = Wrong::default();
    let memory = MemoryBounds { subscriptions_bytes_max: 1, ..MemoryBounds::default() };
    let settings = Settings { memory, ..roomy() };
    let subscribe = masked(1, br#"{"type":"subscribe","id":1,"topics":["Secret"]}"#);
    let message = "the server holds as many subscriptions as it has memory for";
    let heard = last_heard(&settings, "", &subscribe);
    wrong.hold(heard.contains(message), message, &heard);
    let event_types = EventTypes::new([("Secret".into(), Vec::new())]);
    let access = Access { event_types, ..Access::default() };
    let settings = Settings { access: Arc::new(access), ..roomy() };
    let heard = last_heard(&settings, "", &subscribe);
    let message = "Secret is for nobody (event_types)";
    wrong.hold(heard.contains(message), message, &heard);
    let tests: Vec<String> = (0..8).map(|n| format!("a%20=~%20'x.*{n}'")).collect();
    let filter = tests.join("%20or%20");
    let mut world = World::new(1, &roomy());
    let wire = world.open(0, 1 << 20);
    world.say(
        wire,
        format!("GET /v1/sse?topic=a&filter={filter} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes(),
    );
    world.settle();
    let payload = format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000_000));
    let publisher = world.open(0, 1 << 20);
    world.say(
        publisher,
        format!(
            "POST /v1/publish/a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n",
            payload.len()
        )
        .as_bytes(),
    );
    for part in payload.as_bytes().chunks(1 << 16) {
        world.say(publisher, part);
        world.settle();
    }
    let heard = String::from_utf8_lossy(&world.read(wire, usize::MAX)).into_owned();
    let message = "filter_work: the filters of this stream took more work than they may";
    wrong.hold(heard.contains(message), message, &heard);
    wrong.none();
}
