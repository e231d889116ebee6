//! What is wrong with settings and keys is said before the server listens, each in its own words.
//!
//! Texts that tests of one module show are not here again. `tests/error_texts` finds those that nothing shows.

use std::path::Path;

use fanwire::auth::AdminSecret;
use fanwire::auth::Algorithm;
use fanwire::auth::JwksOrigin;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::Origins;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::auth::parse_jwks;
use fanwire::config::Config;
use fanwire::server::Server;

/// Why a server does not start with this file.
fn refused(text: &str) -> String {
    let text = format!("shards = 1\npin = false\n{text}");
    let config = match Config::parse(&text, Path::new("f.toml")) {
        Ok(config) => config,
        Err(error) => return error.to_string(),
    };
    match Server::start(&config) {
        Err(error) => error.to_string(),
        Ok(running) => {
            running.stop();
            format!("it started, and {} were cut off", running.join())
        }
    }
}

#[test]
fn settings_that_cannot_be() {
    let origins = vec!["https://a.example.com"; 257].join(",");
    for (text, message) in [
        (
            "listen = 'here'",
            "f.toml:3: `listen`: must be an IP address and a port, as in \"127.0.0.1:8080\" or \"[::1]:8080\", and is \"here\"",
        ),
        ("listen = 2026-01-01", "must be a string, and is a date or time"),
        (
            "listen = '127.0.0.1:0'\n[peat]\ntopics = ' '",
            "f.toml:5: `peat.topics`: cannot be used: it names no topic",
        ),
        (
            "listen = '127.0.0.1:0'\n[resolvespec]\npublished_under = 'spec/#'",
            "`resolvespec.published_under`: cannot be used: it is the beginning of topics: without wildcards, without a / at its ends, without a $ before it",
        ),
        (
            "listen = '127.0.0.1:0'\n[peat]\nnames = 'a'",
            "`peat.names`: cannot be used: a name is written name=topic",
        ),
        (
            "listen = '127.0.0.1:0'\n[rtbdp]\nsecret_file = 'tests/fixtures/auth/empty.txt'",
            "`rtbdp.secret_file`: cannot be used: there is no secret in the file",
        ),
        (
            "listen = '127.0.0.1:0'\n[auth]\nuser_claim = ''\nkey_file = 'tests/fixtures/auth/secret.txt'",
            "`auth.user_claim`: cannot be used: it names no claim",
        ),
        (
            "listen = '127.0.0.1:0'\n[auth]\nmetrics = 'secret'",
            "`auth.metrics`: cannot be used: there is no secret: set `auth.admin_secret_file`",
        ),
        (
            "listen = '127.0.0.1:0'\n[auth]\norigins = 'example.com'",
            "\"example.com\" is not an origin such as `https://app.example.com`",
        ),
        (
            "listen = '127.0.0.1:0'\n[auth]\norigins = 'https://a.*.com'",
            "\"https://a.*.com\": `*` may stand alone or for the first label, as in `https://*.example.com`",
        ),
        (
            &format!("listen = '127.0.0.1:0'\n[auth]\norigins = '{origins}'"),
            "257 origins; at most 256 are allowed",
        ),
        (
            "listen = '127.0.0.1:0'\n[auth]\njwks_url = 'issuer'",
            "not an address such as `https://issuer.example.com/jwks.json`",
        ),
        (
            "listen = '127.0.0.1:0'\n[auth]\njwks_url = 'http://issuer.example.com/'",
            "keys are fetched over https only, or from this machine",
        ),
        (
            "listen = '127.0.0.1:0'\n[auth]\njwks_url = 'https://ada:pw@issuer.example.com/'",
            "the address may not hold a user or password",
        ),
        (
            "listen = '127.0.0.1:0'\nconnections_max = 16000000\nfd_tables = 'shared'",
            "16000000 connections need more descriptors than the limit on open files allows, which is ",
        ),
        (
            "listen = '127.0.0.1:0'\n[memory]\nbytes_max = 1000000",
            "MiB that everything may take at worst are due to this; there are 0 MiB of memory",
        ),
    ] {
        let said = refused(text);
        assert!(said.contains(message), "{text:.200}\n{message}\n{said}");
    }
}

#[test]
fn addresses_that_are_too_many() {
    let nine: Vec<String> = (1..=9).map(|port| format!("'127.0.0.1:{port}'")).collect();
    let text = format!("listen = '127.0.0.1:0'\n[mqtt]\nlisten = [{}]", nine.join(", "));
    assert_eq!(
        refused(&text),
        "f.toml:5: `mqtt.listen`: cannot be used: at most 8 addresses are listened on"
    );
}

#[test]
fn machines_that_are_too_small() {
    let few = fanwire::config::Problem::TooFewDescriptors {
        wanted: 5,
        possible: 0,
        limit: 20,
        reserved: 36,
        shards: 1,
        has_own_tables: false,
    };
    let message = "no connection fits: of 20 open files 1 shards need 36 for themselves; raise the limit (`ulimit -n`), or set fewer shards";
    assert_eq!(few.to_string(), message);
    let few = fanwire::config::Problem::TooFewDescriptors {
        wanted: 300,
        possible: 208,
        limit: 256,
        reserved: 48,
        shards: 2,
        has_own_tables: true,
    };
    let message = "300 connections need more descriptors than the limit on open files allows, which is 256: 2 shards need 48 for themselves, and at most 208 connections fit; raise the limit (`ulimit -n`), or set fewer connections";
    assert_eq!(few.to_string(), message);
    let little = fanwire::config::Problem::TooLittleMemory {
        needed: 3 << 20,
        all: 9 << 20,
        available: 8 << 20,
        bytes_max: 12 << 20,
    };
    let message = "3 MiB of the 9 MiB that everything may take at worst are due to this; there are 8 MiB of memory: set it to less, or `memory.bytes_max` to at least 12 MiB if the machine has as much";
    assert_eq!(little.to_string(), message);
    let little = fanwire::config::Problem::TooLittleInput {
        found: 32 << 20,
        needed: 40 << 20,
        shards: 2,
        message_bytes: 16 << 20,
    };
    let message = "leaves each of 2 shards 16.0 MiB, and one message of `message_bytes_max` (16777216 bytes) takes up to 20.0 MiB while it comes: set it to 41943040 or more, `message_bytes_max` to less, or fewer `shards`";
    assert_eq!(little.to_string(), message);
}

fn pem(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/auth").join(name);
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn keys_that_are_none() {
    let of_pem = |algorithm, text: &str| {
        Key::from_public_pem(None, algorithm, text).unwrap_err().to_string()
    };
    let of_secret = |algorithm, secret: &[u8]| {
        Key::from_secret(None, algorithm, secret).unwrap_err().to_string()
    };
    let secret = [b'x'; 32];
    let named = |id| Key::from_secret(Some(id), Algorithm::Hs256, &secret).unwrap();
    let many: Vec<Key> =
        (0..65).map(|_| Key::from_secret(None, Algorithm::Hs256, &secret).unwrap()).collect();
    for (said, message) in [
        (
            of_secret(Algorithm::Hs256, pem("rsa.pub.pem").as_bytes()),
            "a PEM text is a key, not a secret: say which algorithm of key pairs it is for",
        ),
        (
            of_secret(Algorithm::Rs256, &secret),
            "RS256 is checked with a public key, not with a secret",
        ),
        (
            of_pem(Algorithm::Hs256, &pem("rsa.pub.pem")),
            "HS256 is checked with a secret, not with a public key",
        ),
        (
            of_pem(Algorithm::Rs256, &pem("rsa.pem")),
            "this is a private key: give its public half, and keep this one where tokens are minted",
        ),
        (
            of_pem(Algorithm::Rs256, "nothing"),
            "not a public key for RS256 in PEM (`-----BEGIN PUBLIC KEY-----`)",
        ),
        (
            of_pem(Algorithm::Rs256, &pem("p256.pub.pem")),
            "the key is of a kind or curve that RS256 does not use",
        ),
        (
            of_pem(Algorithm::Rs256, &pem("rsa1024.pub.pem")),
            "RSA key of 1024 bits; 2048 to 8192 are taken",
        ),
        (KeySet::new(many).unwrap_err().to_string(), "65 keys; at most 64 are taken"),
        (
            KeySet::new(vec![named("a"), named("a")]).unwrap_err().to_string(),
            "two keys are named \"a\"",
        ),
        (
            AdminSecret::new(b"short").unwrap_err().to_string(),
            "admin secret has 5 bytes; it needs 32 or more",
        ),
        (
            "XS256".parse::<Algorithm>().unwrap_err().to_string(),
            "not a known algorithm; there are HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA",
        ),
        (
            Verifier::new(
                KeySet::default(),
                TokenRules { leeway_s: 301, ..TokenRules::default() },
                Mapping::default(),
            )
            .unwrap_err()
            .to_string(),
            "leeway of 301 s; at most 300 s are allowed: set the clocks instead",
        ),
    ] {
        assert_eq!(said, message);
    }
    assert!(Origins::new(&["*"], &[]).is_ok());
}

#[test]
fn key_sets_that_are_none() {
    let refused =
        |text: &str| parse_jwks(text.as_bytes(), JwksOrigin::File).unwrap_err().to_string();
    let many = vec!["{}"; 65].join(",");
    for (text, message) in [
        ("x".repeat(1 << 20), "key set has 1048576 bytes; at most 262144 are read"),
        ("{\"keys\":\n7}".to_owned(), "not a key set (`{\"keys\":[..]}`), at line 2 column 1"),
        (format!("{{\"keys\":[{many}]}}"), "key set has 65 keys; at most 64 are taken"),
        ("{\"keys\":[{}]}".to_owned(), "none of the key set's 1 keys can check a token"),
    ] {
        assert_eq!(refused(&text), message);
    }
    let good = r#"{"kty":"oct","alg":"HS256","kid":"a","k":"eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg"}"#;
    for (key, origin, message) in [
        ("{}", JwksOrigin::File, "it is not an object with a `kty`"),
        (r#"{"kty":"RSA","use":"enc"}"#, JwksOrigin::File, "it is not for checking signatures"),
        (r#"{"kty":"EC","crv":"P-521"}"#, JwksOrigin::File, "its `kty` or `crv` is not known"),
        (r#"{"kty":"RSA","alg":"XS256"}"#, JwksOrigin::File, "its `alg` is not known"),
        (r#"{"kty":"oct","k":"eHg"}"#, JwksOrigin::File, "it is a secret without `alg`"),
        (r#"{"kty":"RSA","e":"AQAB"}"#, JwksOrigin::File, "its `n` is missing or not base64url"),
        (good, JwksOrigin::File, "an earlier key has the same `kid`"),
    ] {
        let set = format!("{{\"keys\":[{good},{key}]}}");
        let set = parse_jwks(set.as_bytes(), origin).unwrap();
        let passed_over: Vec<String> =
            set.passed_over.iter().map(|(_, why)| why.to_string()).collect();
        assert_eq!(passed_over, [message]);
    }
    let ec = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let set = format!("{{\"keys\":[{ec},{good}]}}");
    let set = parse_jwks(set.as_bytes(), JwksOrigin::Url).unwrap();
    assert_eq!(
        set.passed_over[0].1.to_string(),
        "it is a secret, and a secret that can be fetched is none"
    );
}

#[test]
fn answers_that_cannot_be_kept() {
    let many = vec!["'redis://a'"; 17].join(",");
    for (text, message) in [
        (
            "cache_servers = ['127.0.0.1:1']".to_owned(),
            "`tables.cache_servers`: cannot be used: `tables.cache` says that no server keeps anything",
        ),
        (
            "cache = 'redis'".to_owned(),
            "`tables.cache`: cannot be used: `tables.cache_servers` names no server",
        ),
        (
            format!("cache = 'redis'\ncache_servers = [{many}]"),
            "`tables.cache_servers`: cannot be used: it names more than 16 servers",
        ),
        (
            "cache = 'redis'\ncache_servers = ['127.0.0.1:6379']".to_owned(),
            "`tables.cache_servers`: cannot be used: `127.0.0.1:6379`: ",
        ),
        (
            "cache = 'redis'\ncache_servers = ['redis://:secret@127.0.0.1']".to_owned(),
            "a password is said in a file, by `tables.cache_password_file`",
        ),
        (
            "cache = 'memcached'\ncache_servers = ['127.0.0.1']".to_owned(),
            "`tables.cache_servers`: cannot be used: `127.0.0.1`: it must be an address with a port",
        ),
        (
            "cache = 'memcached'\ncache_servers = ['a:1']\ncache_password_file = 'tests/fixtures/auth/secret.txt'"
                .to_owned(),
            "`tables.cache_password_file`: cannot be used: only Redis is shown a password",
        ),
        (
            "cache_namespace = 'a b'".to_owned(),
            "`tables.cache_namespace`: cannot be used: it may have letters, digits, `-`, `_` and `.` only",
        ),
        (
            format!("cache_namespace = '{}'", "n".repeat(65)),
            "`tables.cache_namespace`: cannot be used: it has more than 64 bytes",
        ),
    ] {
        let table = "[[table]]\nname = 't'\ncolumns = ['id int key']";
        let text = format!("listen = '127.0.0.1:0'\n[tables]\nbackend = 'memory'\n{text}\n{table}");
        let error = refused(&text);
        assert!(error.contains(message), "{text}\nsays {error}\nand not {message}");
        assert!(!error.contains("secret@"), "{error}");
    }
}
