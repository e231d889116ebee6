//! Whatever bytes arrive where a token, a key set, an origin or a key belongs: they are refused, and nothing stops.
//!
//! Seeded: a failure names its seed. A changed token is never accepted, but for changes that leave it the same text.

use fanwire::auth::Algorithm;
use fanwire::auth::JwksOrigin;
use fanwire::auth::Key;
use fanwire::auth::KeySet;
use fanwire::auth::Mapping;
use fanwire::auth::NewClaims;
use fanwire::auth::Origins;
use fanwire::auth::SigningKey;
use fanwire::auth::TokenRules;
use fanwire::auth::Verifier;
use fanwire::auth::parse_jwks;

use crate::support::random::Random;

const NOW_S: u64 = 1_767_225_600;
const SECRET: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// A text with a few places changed, doubled, cut or filled with what parsers trip over.
fn changed(text: &str, random: &mut Random) -> String {
    const TRAPS: [&str; 12] =
        [".", "..", "\0", "=", "e30", "null", "\"", "{", "[[[[", "-1", "\u{fffd}", "9e999"];
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..=random.below(4) {
        let at = random.below(characters.len() + 1);
        match random.below(4) {
            0 => characters.truncate(at),
            1 => drop(characters.splice(at..at, TRAPS[random.below(TRAPS.len())].chars())),
            2 if at < characters.len() => {
                characters[at] =
                    char::from(b' ' + u8::try_from(random.below(95)).expect("it is below 95"));
            }
            _ => {
                let again = characters[..at].to_vec();
                characters.extend(again);
            }
        }
    }
    characters.into_iter().collect()
}

#[test]
fn a_changed_token_is_never_accepted() {
    let key = Key::from_secret(Some("k"), Algorithm::Hs256, &SECRET).unwrap();
    let verifier =
        Verifier::new(KeySet::new(vec![key]).unwrap(), TokenRules::default(), Mapping::default())
            .unwrap();
    let claims = NewClaims {
        user: "ada",
        expires_at_s: Some(NOW_S + 60),
        issued_at_s: NOW_S,
        ..NewClaims::default()
    };
    let token = SigningKey::from_secret(Algorithm::Hs256, &SECRET)
        .unwrap()
        .mint(Some("k"), &claims)
        .unwrap();
    assert!(verifier.verify(&token, NOW_S).is_ok());
    for seed in 0..20_000 {
        let other = changed(&token, &mut Random::new(seed));
        if other != token {
            assert!(verifier.verify(&other, NOW_S).is_err(), "seed {seed}: {other:?}");
        }
    }
}

#[test]
fn signed_claims_of_any_shape_stop_nothing() {
    // The signature is good, so what is changed here gets as far as the claims: an issuer with a fault of its own.
    let key = Key::from_secret(None, Algorithm::Hs256, &SECRET).unwrap();
    let verifier =
        Verifier::new(KeySet::new(vec![key]).unwrap(), TokenRules::default(), Mapping::default())
            .unwrap();
    let claims = format!(
        r#"{{"sub":"ada","exp":{},"roles":["a"],"fanwire":{{"subscribe":["a/**"],"filter":{{"a":1}}}}}}"#,
        NOW_S + 60
    );
    let mut accepted = 0;
    for seed in 0..20_000 {
        let token = signed(&changed(&claims, &mut Random::new(seed)));
        if let Ok(principal) = verifier.verify(&token, NOW_S) {
            accepted += 1;
            let restricted = principal.forced_filters.len() == 1;
            // Whatever still reads as claims with `fanwire` in them has not lost its filter to a misspelling.
            assert!(restricted || !claims_have_filter(&token), "seed {seed}: {principal:?}");
        }
    }
    assert!(accepted > 100, "only {accepted} were accepted: the seeds say too little");
}

fn signed(claims: &str) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let key = jsonwebtoken::EncodingKey::from_secret(&SECRET);
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256)
            .expect("the key is a secret");
    format!("{message}.{signature}")
}

/// Whether a token's claims, as another parser reads them, have a member in `fanwire` that is no list of topics.
fn claims_have_filter(token: &str) -> bool {
    // What that parser cannot read (a number beyond its range) it has no say on.
    let Ok(claims) = jsonwebtoken::dangerous::insecure_decode_claims::<serde_json::Value>(token)
    else {
        return false;
    };
    let Some(grants) = claims.get("fanwire").and_then(serde_json::Value::as_object) else {
        return false;
    };
    grants.keys().any(|name| name != "subscribe" && name != "publish")
}

#[test]
fn key_sets_and_origins_of_any_shape_stop_nothing() {
    let entries = ["https://app.example.com", "https://*.example.org:8443"];
    let origins = Origins::new(&entries, &["fan.example.com"]).unwrap();
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let text = changed(JWKS, &mut random);
        if let Ok(jwks) = parse_jwks(text.as_bytes(), JwksOrigin::Url) {
            assert!(
                jwks.keys.iter().all(|key| key.algorithm() == Algorithm::EdDsa),
                "seed {seed}: {text:?}"
            );
        }
        let origin = changed(entries[random.below(2)], &mut random);
        let host = changed("fan.example.com:443", &mut random);
        let allowed = origins.allows(Some(&origin), Some(&host), true);
        let ours = ["https://app.example.com", "https://fan.example.com"];
        let lower = origin.to_ascii_lowercase();
        let known =
            ours.iter().any(|known| lower == *known || lower.strip_prefix(known) == Some(":443"))
                || (lower.starts_with("https://") && lower.ends_with(".example.org:8443"));
        assert!(!allowed || known, "seed {seed}: {origin:?} for {host:?}");
        drop(Origins::new(&[&origin], &[]));
        drop(Key::from_public_pem(None, Algorithm::Rs256, &text));
    }
}
