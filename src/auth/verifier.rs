//! A token's text -> a principal: signature, then validity, then permissions.
//!
//! Invariants: holds all it needs, so checking is a pure function of token and time. Replaced as a whole when
//! keys are rotated. Never fetches a key, never asks what time it is.

use std::fmt;
use std::sync::Arc;

use crate::limits::TOKEN_LEEWAY_S_MAX;

use super::claims::Claims;
use super::claims::TokenRules;
use super::claims::check;
use super::key_set::KeySet;
use super::mapping::Mapping;
use super::principal::Principal;
use super::token::TokenError;
use super::token::signed_claims;

/// Why settings make no verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifierError {
    LeewayTooLong { leeway_s: u64 },
}

impl fmt::Display for VerifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::LeewayTooLong { leeway_s } = self;
        write!(
            f,
            "leeway of {leeway_s} s; at most {TOKEN_LEEWAY_S_MAX} s are allowed: set the clocks instead"
        )
    }
}

impl std::error::Error for VerifierError {}

/// Checks tokens.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: KeySet,
    rules: TokenRules,
    mapping: Mapping,
}

impl Verifier {
    /// A verifier with these keys and rules.
    ///
    /// # Errors
    /// The rules allow clocks to differ by more than `TOKEN_LEEWAY_S_MAX`.
    pub fn new(keys: KeySet, rules: TokenRules, mapping: Mapping) -> Result<Self, VerifierError> {
        if rules.leeway_s > TOKEN_LEEWAY_S_MAX {
            return Err(VerifierError::LeewayTooLong { leeway_s: rules.leeway_s });
        }
        Ok(Self { keys, rules, mapping })
    }

    /// The same rules with other keys.
    #[must_use]
    pub fn with_keys(&self, keys: KeySet) -> Self {
        Self { keys, ..self.clone() }
    }

    /// The keys that signatures are checked with.
    #[must_use]
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// The filters that roles force, as they stand in the principals of those who have the roles.
    pub fn role_filters(&self) -> impl Iterator<Item = &Arc<str>> {
        self.mapping.filters()
    }

    /// The rules that claims are held to.
    #[must_use]
    pub fn rules(&self) -> &TokenRules {
        &self.rules
    }

    /// Who a token is, at `now_s` seconds after 1970-01-01 UTC. Whether it was revoked is for `Revocations`
    /// to say.
    ///
    /// # Errors
    /// Why it is refused; the first reason found, in the order signature, validity, permissions.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Principal, TokenError> {
        let text = signed_claims(token, &self.keys)?;
        let claims = Claims::read(&text)?;
        let span = check(&claims, &self.rules, now_s)?;
        self.mapping.principal(&claims, span)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::EncodingKey;

    use super::super::algorithm::Algorithm;
    use super::super::fixtures;
    use super::super::fixtures::NOW_S;
    use super::super::jwks::JwksOrigin;
    use super::super::jwks::parse_jwks;
    use super::super::key::Key;
    use super::super::token::Part;
    use super::*;
    use crate::limits::TOKEN_BYTES_MAX;
    use crate::limits::TOKEN_LIFETIME_S;

    fn verifier(keys: KeySet) -> Verifier {
        Verifier::new(keys, TokenRules::default(), Mapping::default()).unwrap()
    }

    fn hs256() -> Verifier {
        verifier(fixtures::set_of(fixtures::pair(Algorithm::Hs256, Some("k1")).1))
    }

    /// A token with any header and claims, properly signed with the tests' secret.
    fn signed(header: &str, claims: &str) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key = EncodingKey::from_secret(fixtures::SECRET);
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256)
                .unwrap();
        format!("{message}.{signature}")
    }

    fn good_claims() -> String {
        format!(r#"{{"sub":"ada","iat":{NOW_S},"exp":{}}}"#, NOW_S + 3600)
    }

    fn refused(header: &str, claims: &str) -> TokenError {
        hs256().verify(&signed(header, claims), NOW_S).unwrap_err()
    }

    fn with_rules(rules: TokenRules, more: &str) -> Result<Principal, TokenError> {
        let claims = format!(r#"{{"sub":"ada","exp":{}{more}}}"#, NOW_S + 3600);
        let keys = fixtures::set_of(fixtures::pair(Algorithm::Hs256, None).1);
        Verifier::new(keys, rules, Mapping::default())
            .unwrap()
            .verify(&signed(r#"{"alg":"HS256"}"#, &claims), NOW_S)
    }

    #[test]
    fn a_token_of_every_algorithm_is_accepted_by_its_key_alone() {
        for algorithm in Algorithm::ALL {
            let (signing, key) = fixtures::pair(algorithm, Some("k"));
            let claims: serde_json::Value = serde_json::from_str(&good_claims()).unwrap();
            let token = signing.sign(Some("k"), &claims).unwrap();
            let ada = verifier(fixtures::set_of(key)).verify(&token, NOW_S).unwrap();
            assert_eq!(ada.user.as_deref(), Some("ada"), "{algorithm}");
            assert_eq!(ada.expires_at_s, Some(NOW_S + 3600 + TokenRules::default().leeway_s));
            for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
                let pinned = verifier(fixtures::set_of(fixtures::pair(other, Some("k")).1));
                let expected = TokenError::WrongAlgorithmForKey { algorithm, pinned: other };
                assert_eq!(pinned.verify(&token, NOW_S), Err(expected));
                let unnamed = verifier(fixtures::set_of(fixtures::pair(other, None).1));
                assert_eq!(
                    unnamed.verify(&token, NOW_S),
                    Err(TokenError::AlgorithmNotAccepted { algorithm })
                );
            }
        }
    }

    /// For an elliptic curve a signature of zeros, or of ones, is one that careless arithmetic accepts for every message.
    #[test]
    fn a_signature_of_nothing_is_refused_in_every_algorithm() {
        for algorithm in Algorithm::ALL {
            let (signing, key) = fixtures::pair(algorithm, Some("k"));
            let claims: serde_json::Value = serde_json::from_str(&good_claims()).unwrap();
            let token = signing.sign(Some("k"), &claims).unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            let length = URL_SAFE_NO_PAD.decode(signature).unwrap().len();
            let verifier = verifier(fixtures::set_of(key));
            for byte in [0, 1, 0xff] {
                let signature = URL_SAFE_NO_PAD.encode(vec![byte; length]);
                let forged = verifier.verify(&format!("{message}.{signature}"), NOW_S);
                assert_eq!(forged, Err(TokenError::BadSignature), "{algorithm}: {byte:#x}");
            }
        }
    }

    #[test]
    fn an_unsigned_token_is_refused_however_it_is_spelt() {
        for alg in ["none", "None", "NONE", "nOnE"] {
            let header = format!(r#"{{"alg":"{alg}"}}"#);
            assert_eq!(refused(&header, &good_claims()), TokenError::Unsigned);
            let bare = format!(
                "{}.{}.",
                URL_SAFE_NO_PAD.encode(&header),
                URL_SAFE_NO_PAD.encode(good_claims())
            );
            assert_eq!(hs256().verify(&bare, NOW_S), Err(TokenError::Unsigned));
        }
        assert_eq!(refused(r#"{"alg":"HS257"}"#, &good_claims()), TokenError::UnknownAlgorithm);
        assert_eq!(refused(r#"{"alg":""}"#, &good_claims()), TokenError::UnknownAlgorithm);
        let stripped = signed(r#"{"alg":"HS256"}"#, &good_claims());
        let stripped = format!("{}.", stripped.rsplit_once('.').unwrap().0);
        assert_eq!(hs256().verify(&stripped, NOW_S), Err(TokenError::BadSignature));
    }

    #[test]
    fn a_public_key_cannot_be_used_as_a_secret() {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#),
            URL_SAFE_NO_PAD.encode(good_claims())
        );
        let public = EncodingKey::from_secret(fixtures::RSA_PUBLIC.as_bytes());
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &public, jsonwebtoken::Algorithm::HS256)
                .unwrap();
        let rsa = verifier(fixtures::set_of(fixtures::pair(Algorithm::Rs256, None).1));
        let expected = TokenError::AlgorithmNotAccepted { algorithm: Algorithm::Hs256 };
        assert_eq!(rsa.verify(&format!("{message}.{signature}"), NOW_S), Err(expected));
    }

    #[test]
    fn what_was_changed_after_signing_is_refused() {
        let token = signed(r#"{"alg":"HS256","kid":"k1"}"#, &good_claims());
        assert!(hs256().verify(&token, NOW_S).is_ok());
        // Each character in turn becomes another of the alphabet; none may be let through, nor stop us.
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(hs256().verify(&changed, NOW_S).is_err(), "byte {at}");
        }
        for cut in 0..token.len() {
            assert!(hs256().verify(token.get(..cut).unwrap(), NOW_S).is_err(), "cut at {cut}");
        }
        let other = verifier(fixtures::set_of(
            Key::from_secret(Some("k1"), Algorithm::Hs256, &[1; 32]).unwrap(),
        ));
        assert_eq!(other.verify(&token, NOW_S), Err(TokenError::BadSignature));
    }

    #[test]
    fn a_kid_is_a_name_and_nothing_else() {
        for kid in [
            "../../../../dev/null",
            "/etc/passwd",
            "k1' OR '1'='1",
            "http://evil.net/k",
            "K1",
            "k1 ",
            "",
        ] {
            let header = serde_json::json!({"alg": "HS256", "kid": kid}).to_string();
            assert_eq!(refused(&header, &good_claims()), TokenError::UnknownKey, "{kid}");
        }
        let number = refused(r#"{"alg":"HS256","kid":1}"#, &good_claims());
        assert!(matches!(number, TokenError::BadJson { part: Part::Header, .. }));
    }

    #[test]
    fn a_key_that_the_token_brings_along_is_not_looked_at() {
        let (signing, _) = fixtures::pair(Algorithm::Hs256, None);
        assert_eq!(signing.algorithm(), Algorithm::Hs256);
        let header = r#"{"alg":"HS256","jku":"http://evil.net/jwks","x5u":"http://evil.net","jwk":{"kty":"oct","k":"AAAA"}}"#;
        let other =
            verifier(fixtures::set_of(Key::from_secret(None, Algorithm::Hs256, &[1; 32]).unwrap()));
        assert_eq!(
            other.verify(&signed(header, &good_claims()), NOW_S),
            Err(TokenError::BadSignature)
        );
    }

    #[test]
    fn headers_that_ask_for_more_are_refused() {
        assert_eq!(
            refused(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &good_claims()),
            TokenError::CriticalExtension
        );
        for typ in ["secevent+jwt", "JWE", "logout+jwt", "text/JWT"] {
            let header = serde_json::json!({"alg": "HS256", "typ": typ}).to_string();
            assert_eq!(refused(&header, &good_claims()), TokenError::OtherType, "{typ}");
        }
        for typ in ["JWT", "jwt", "application/jwt", "at+jwt", "application/at+JWT"] {
            let header = serde_json::json!({"alg": "HS256", "typ": typ}).to_string();
            assert!(hs256().verify(&signed(&header, &good_claims()), NOW_S).is_ok(), "{typ}");
        }
        assert!(matches!(
            refused(r#"{"alg":"HS256","alg":"none"}"#, &good_claims()),
            TokenError::BadJson { .. }
        ));
    }

    #[test]
    fn what_is_no_token_is_refused_with_its_reason() {
        let verify = |token: &str| hs256().verify(token, NOW_S).unwrap_err();
        assert_eq!(verify(""), TokenError::NotThreeParts { parts: 1 });
        assert_eq!(verify("a.b"), TokenError::NotThreeParts { parts: 2 });
        assert_eq!(verify("a.b.c.d.e"), TokenError::NotThreeParts { parts: 5 });
        assert_eq!(verify("!.b.c"), TokenError::NotBase64 { part: Part::Header });
        assert_eq!(verify(".."), TokenError::BadJson { part: Part::Header, column: 0 });
        let padded = signed(r#"{"alg":"HS256"}"#, &good_claims()) + "=";
        assert_eq!(verify(&padded), TokenError::NotBase64 { part: Part::Signature });
        assert!(matches!(
            refused(r#"{"alg":"HS256"}"#, "[]"),
            TokenError::BadJson { part: Part::Claims, .. }
        ));
        assert!(matches!(
            refused(r#"{"alg":"HS256"}"#, "\u{1}"),
            TokenError::BadJson { part: Part::Claims, .. }
        ));
        let large = "a".repeat(TOKEN_BYTES_MAX + 1);
        assert_eq!(verify(&large), TokenError::TooLarge { bytes: TOKEN_BYTES_MAX + 1 });
    }

    #[test]
    fn a_token_is_in_force_between_its_times_give_or_take_the_leeway() {
        let header = r#"{"alg":"HS256"}"#;
        let token = signed(
            header,
            &format!(r#"{{"sub":"a","iat":{NOW_S},"nbf":{NOW_S},"exp":{}.5}}"#, NOW_S + 100),
        );
        let at = |now_s| hs256().verify(&token, now_s);
        assert_eq!(
            at(NOW_S - 31),
            Err(TokenError::NotYetValid { from_s: NOW_S, now_s: NOW_S - 31 })
        );
        assert!(at(NOW_S - 30).is_ok());
        assert!(at(NOW_S + 129).is_ok());
        let late = at(NOW_S + 130).unwrap_err();
        assert_eq!(late, TokenError::Expired { at_s: NOW_S + 100, now_s: NOW_S + 130 });
        assert_eq!(late.to_string(), "token expired 30 s ago");
        assert_eq!(
            refused(header, r#"{"sub":"a"}"#),
            TokenError::MissingClaim { claim: "exp".into() }
        );
        let ahead = format!(r#"{{"sub":"a","iat":{},"exp":{}}}"#, NOW_S + 31, NOW_S + 100);
        assert_eq!(
            refused(header, &ahead),
            TokenError::IssuedAhead { at_s: NOW_S + 31, now_s: NOW_S }
        );
        let eternal = format!(r#"{{"sub":"a","exp":{}}}"#, NOW_S + TOKEN_LIFETIME_S + 31);
        assert!(matches!(refused(header, &eternal), TokenError::LivesTooLong { .. }));
        let old =
            format!(r#"{{"sub":"a","iat":{},"exp":{}}}"#, NOW_S - TOKEN_LIFETIME_S, NOW_S + 31);
        let life_s = TOKEN_LIFETIME_S + 31;
        let expected = TokenError::LivesTooLong { life_s, max_s: TOKEN_LIFETIME_S };
        assert_eq!(refused(header, &old), expected, "it was refused when it was new, and is still");
        for exp in ["-1", "1e99", "\"2000000000\"", "null", "true", "18446744073709551616", "1.5.5"]
        {
            let found = refused(header, &format!(r#"{{"sub":"a","exp":{exp}}}"#));
            assert!(
                matches!(found, TokenError::BadClaim { .. } | TokenError::BadJson { .. }),
                "{exp}: {found}"
            );
        }
    }

    /// A NumericDate is any JSON number: some libraries write theirs with an exponent.
    #[test]
    fn a_time_may_be_written_as_any_number() {
        for (exp, expected_s) in [
            ("1767225700", 1_767_225_700),
            ("1.7672257e+09", 1_767_225_700),
            ("1.7672257E9", 1_767_225_700),
            ("17672257000e-1", 1_767_225_700),
            ("1767225700.999", 1_767_225_700),
            ("1.7672257009e9", 1_767_225_700),
        ] {
            let token = signed(r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"a","exp":{exp}}}"#));
            let principal =
                hs256().verify(&token, NOW_S).unwrap_or_else(|error| panic!("{exp}: {error}"));
            let leeway_s = TokenRules::default().leeway_s;
            assert_eq!(principal.expires_at_s, Some(expected_s + leeway_s), "{exp}");
        }
    }

    #[test]
    fn issuer_and_audience_must_be_ours() {
        let none = TokenRules::default();
        let ours = TokenRules {
            issuers: vec!["idp".into()],
            audiences: vec!["fanwire".into()],
            ..TokenRules::default()
        };
        assert!(with_rules(none.clone(), "").is_ok());
        assert!(with_rules(none.clone(), r#","iss":"anyone""#).is_ok());
        assert_eq!(with_rules(none, r#","aud":"bank""#), Err(TokenError::WrongAudience));
        assert!(with_rules(ours.clone(), r#","iss":"idp","aud":"fanwire""#).is_ok());
        assert!(with_rules(ours.clone(), r#","iss":"idp","aud":["bank","fanwire"]"#).is_ok());
        for (more, expected) in [
            (r#","aud":"fanwire""#, TokenError::MissingClaim { claim: "iss".into() }),
            (r#","iss":"idp""#, TokenError::MissingClaim { claim: "aud".into() }),
            (r#","iss":"idp/","aud":"fanwire""#, TokenError::WrongIssuer),
            (r#","iss":"idp","aud":"Fanwire""#, TokenError::WrongAudience),
            (r#","iss":"idp","aud":[]"#, TokenError::WrongAudience),
        ] {
            assert_eq!(with_rules(ours.clone(), more), Err(expected), "{more}");
        }
        assert!(matches!(
            with_rules(ours, r#","iss":["idp"],"aud":"fanwire""#),
            Err(TokenError::BadClaim { .. })
        ));
    }

    #[test]
    fn a_token_made_by_others_is_accepted() {
        // RFC 7515 appendix A.1: whitespace in the JSON and all.
        let jwks = br#"{"keys":[{"kty":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#;
        let token = concat!(
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        );
        let keys = KeySet::new(parse_jwks(jwks, JwksOrigin::File).unwrap().keys).unwrap();
        let mapping = Mapping { user_claim: "iss".into(), ..Mapping::default() };
        let verifier = Verifier::new(keys, TokenRules::default(), mapping).unwrap();
        assert_eq!(verifier.verify(token, 1_300_819_379).unwrap().user.as_deref(), Some("joe"));
        assert!(matches!(verifier.verify(token, NOW_S), Err(TokenError::Expired { .. })));
    }

    #[test]
    fn keys_are_rotated_as_a_whole() {
        let (old, old_key) = fixtures::pair(Algorithm::EdDsa, Some("old"));
        let (new, new_key) = fixtures::pair(Algorithm::Es256, Some("new"));
        let claims: serde_json::Value = serde_json::from_str(&good_claims()).unwrap();
        let before = verifier(fixtures::set_of(old_key));
        let after = before.with_keys(fixtures::set_of(new_key));
        let (old, new) =
            (old.sign(Some("old"), &claims).unwrap(), new.sign(Some("new"), &claims).unwrap());
        assert!(before.verify(&old, NOW_S).is_ok() && before.verify(&new, NOW_S).is_err());
        assert!(after.verify(&old, NOW_S).is_err() && after.verify(&new, NOW_S).is_ok());
    }

    #[test]
    fn a_leeway_that_hides_a_wrong_clock_is_refused() {
        let rules = TokenRules { leeway_s: TOKEN_LEEWAY_S_MAX + 1, ..TokenRules::default() };
        assert!(Verifier::new(KeySet::default(), rules, Mapping::default()).is_err());
    }
}
