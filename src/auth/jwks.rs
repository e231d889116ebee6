//! The text of a JSON Web Key Set (RFC 7517) -> keys.
//!
//! Invariants: every key that comes out is pinned to one algorithm; one that this server cannot use is passed
//! over with its reason, so that an issuer may add keys of new kinds without locking everyone out. A secret
//! is taken from a file only, never from what was fetched. Never does I/O.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::limits::JWKS_BYTES_MAX;
use crate::limits::KEYS_MAX;

use super::algorithm::Algorithm;
use super::key::Key;
use super::key::KeyError;

/// Where the text came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwksOrigin {
    /// A file of the operator's, which may hold secrets.
    File,
    /// An address: a secret that can be fetched is none.
    Url,
}

/// Why a text is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwksError {
    TooLarge {
        bytes: usize,
    },
    NotAKeySet {
        line: usize,
        column: usize,
    },
    TooMany {
        count: usize,
    },
    /// None of its keys can be used.
    NoUsableKey {
        passed_over: usize,
    },
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => {
                write!(f, "key set has {bytes} bytes; at most {JWKS_BYTES_MAX} are read")
            }
            Self::NotAKeySet { line, column } => {
                write!(f, "not a key set (`{{\"keys\":[..]}}`), at line {line} column {column}")
            }
            Self::TooMany { count } => {
                write!(f, "key set has {count} keys; at most {KEYS_MAX} are taken")
            }
            Self::NoUsableKey { passed_over } => {
                write!(f, "none of the key set's {passed_over} keys can check a token")
            }
        }
    }
}

impl std::error::Error for JwksError {}

/// Why one key of a set was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOver {
    /// Not an object with a `kty`.
    NotAKey,
    /// The key's `use` or `key_ops` is not about checking signatures.
    OtherUse,
    UnknownKind,
    UnknownAlgorithm,
    /// A secret, in a set that was fetched.
    FetchedSecret,
    /// A secret that does not say which algorithm it is for.
    SecretWithoutAlgorithm,
    /// A member that its kind needs is missing or not base64url.
    BadMember {
        name: &'static str,
    },
    /// An earlier key of the set has this name.
    DuplicateId,
    Unfit(KeyError),
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKey => write!(f, "it is not an object with a `kty`"),
            Self::OtherUse => write!(f, "it is not for checking signatures"),
            Self::UnknownKind => write!(f, "its `kty` or `crv` is not known"),
            Self::UnknownAlgorithm => write!(f, "its `alg` is not known"),
            Self::FetchedSecret => {
                write!(f, "it is a secret, and a secret that can be fetched is none")
            }
            Self::SecretWithoutAlgorithm => write!(f, "it is a secret without `alg`"),
            Self::BadMember { name } => write!(f, "its `{name}` is missing or not base64url"),
            Self::DuplicateId => write!(f, "an earlier key has the same `kid`"),
            Self::Unfit(error) => write!(f, "{error}"),
        }
    }
}

/// What a key set came to.
#[derive(Debug)]
pub struct Jwks {
    pub keys: Vec<Key>,
    /// By their index in the set, from 0.
    pub passed_over: Vec<(usize, PassedOver)>,
}

#[derive(Deserialize)]
struct SetText<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct KeyText {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

/// Reads a key set.
///
/// # Errors
/// The text is too large, not a key set, or has no key of use.
pub fn parse_jwks(text: &[u8], origin: JwksOrigin) -> Result<Jwks, JwksError> {
    if text.len() > JWKS_BYTES_MAX {
        return Err(JwksError::TooLarge { bytes: text.len() });
    }
    let set: SetText<'_> = serde_json::from_slice(text)
        .map_err(|error| JwksError::NotAKeySet { line: error.line(), column: error.column() })?;
    if set.keys.len() > KEYS_MAX {
        return Err(JwksError::TooMany { count: set.keys.len() });
    }
    let mut jwks = Jwks { keys: Vec::new(), passed_over: Vec::new() };
    for (index, text) in set.keys.into_iter().enumerate() {
        match read_key(text.get(), origin) {
            Ok(key) if key.id.is_some() && jwks.keys.iter().any(|other| other.id == key.id) => {
                jwks.passed_over.push((index, PassedOver::DuplicateId));
            }
            Ok(key) => jwks.keys.push(key),
            Err(reason) => jwks.passed_over.push((index, reason)),
        }
    }
    if jwks.keys.is_empty() {
        Err(JwksError::NoUsableKey { passed_over: jwks.passed_over.len() })
    } else {
        Ok(jwks)
    }
}

fn read_key(text: &str, origin: JwksOrigin) -> Result<Key, PassedOver> {
    let key: KeyText = serde_json::from_str(text).map_err(|_| PassedOver::NotAKey)?;
    let for_signatures = key.used_for.as_ref().is_none_or(|used_for| used_for == "sig")
        && key.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !for_signatures {
        return Err(PassedOver::OtherUse);
    }
    let named = match &key.alg {
        Some(name) => Some(Algorithm::from_name(name).ok_or(PassedOver::UnknownAlgorithm)?),
        None => None,
    };
    let id = key.kid.as_deref();
    let made = match (key.kty.as_str(), key.crv.as_deref()) {
        // Large issuers publish RSA keys without `alg` and mean RS256; pinned to that, they check nothing
        // else.
        ("RSA", _) => {
            let (n, e) = (member("n", key.n.as_ref())?, member("e", key.e.as_ref())?);
            Key::from_rsa(id, named.unwrap_or(Algorithm::Rs256), &n, &e)
        }
        ("EC", Some("P-256")) => {
            Key::from_point(id, named.unwrap_or(Algorithm::Es256), &point(&key)?)
        }
        ("EC", Some("P-384")) => {
            Key::from_point(id, named.unwrap_or(Algorithm::Es384), &point(&key)?)
        }
        ("OKP", Some("Ed25519")) => {
            Key::from_point(id, named.unwrap_or(Algorithm::EdDsa), &member("x", key.x.as_ref())?)
        }
        ("oct", _) if origin == JwksOrigin::Url => return Err(PassedOver::FetchedSecret),
        ("oct", _) => {
            let algorithm = named.ok_or(PassedOver::SecretWithoutAlgorithm)?;
            Key::from_secret(id, algorithm, &member("k", key.k.as_ref())?)
        }
        //= rfc7517#5
        //# Implementations SHOULD ignore JWKs within a JWK Set that use "kty"
        //# (key type) values that are not understood by them,
        _ => return Err(PassedOver::UnknownKind),
    };
    made.map_err(PassedOver::Unfit)
}

/// The point `0x04 x y` of an elliptic curve key.
fn point(key: &KeyText) -> Result<Vec<u8>, PassedOver> {
    let mut point = vec![0x04];
    point.extend(member("x", key.x.as_ref())?);
    point.extend(member("y", key.y.as_ref())?);
    Ok(point)
}

fn member(name: &'static str, value: Option<&String>) -> Result<Vec<u8>, PassedOver> {
    let text = value.ok_or(PassedOver::BadMember { name })?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| PassedOver::BadMember { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    // The keys of RFC 7517 appendix A.1 and RFC 8037 appendix A.2.
    const EC: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
    const ED: &str =
        r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    const RSA: &str = r#""kty":"RSA","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw""#;
    const SECRET: &str = r#""kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow""#;

    fn reasons(keys: &str, origin: JwksOrigin) -> Vec<PassedOver> {
        // A good key in front, so that the set is not refused as a whole.
        let text = format!(r#"{{"keys":[{{{ED}}},{keys}]}}"#);
        let jwks = parse_jwks(text.as_bytes(), origin).unwrap();
        jwks.passed_over.into_iter().map(|(_, reason)| reason).collect()
    }

    #[test]
    fn every_key_is_pinned_to_an_algorithm() {
        let text = format!(
            r#"{{"keys":[{{{EC},"kid":"1","use":"sig"}},{{{ED}}},{{{RSA},"alg":"PS256"}},{{{RSA},"kid":"2"}},{{{SECRET},"alg":"HS512"}}],"more":1}}"#
        );
        let jwks = parse_jwks(text.as_bytes(), JwksOrigin::File).unwrap();
        assert_eq!(jwks.passed_over, []);
        let pinned: Vec<_> =
            jwks.keys.iter().map(|key| (key.algorithm().name(), key.id())).collect();
        let expected = [
            ("ES256", Some("1")),
            ("EdDSA", None),
            ("PS256", None),
            ("RS256", Some("2")),
            ("HS512", None),
        ];
        assert_eq!(pinned, expected);
    }

    #[test]
    fn a_key_that_is_of_no_use_is_passed_over_with_its_reason() {
        let url = JwksOrigin::Url;
        assert_eq!(reasons("1", url), [PassedOver::NotAKey]);
        assert_eq!(reasons(&format!(r#"{{{RSA},"use":"enc"}}"#), url), [PassedOver::OtherUse]);
        assert_eq!(
            reasons(&format!(r#"{{{RSA},"key_ops":["encrypt"]}}"#), url),
            [PassedOver::OtherUse]
        );
        assert_eq!(reasons(r#"{"kty":"AKP","alg":"ES256"}"#, url), [PassedOver::UnknownKind]);
        assert_eq!(
            reasons(&format!(r#"{{{RSA},"alg":"none"}}"#), url),
            [PassedOver::UnknownAlgorithm]
        );
        assert_eq!(
            reasons(&format!(r#"{{{SECRET},"alg":"HS256"}}"#), url),
            [PassedOver::FetchedSecret]
        );
        assert_eq!(
            reasons(&format!("{{{SECRET}}}"), JwksOrigin::File),
            [PassedOver::SecretWithoutAlgorithm]
        );
        assert_eq!(
            reasons(r#"{"kty":"RSA","e":"AQAB"}"#, url),
            [PassedOver::BadMember { name: "n" }]
        );
        let same = format!(r#"{{{EC},"kid":"a"}},{{{RSA},"kid":"a"}}"#);
        assert_eq!(reasons(&same, url), [PassedOver::DuplicateId]);
    }

    #[test]
    fn a_key_of_one_kind_cannot_be_said_to_be_for_another() {
        for (key, algorithm) in [
            (EC, Algorithm::Es384),
            (ED, Algorithm::Es256),
            (RSA, Algorithm::EdDsa),
            (RSA, Algorithm::Hs256),
        ] {
            let found = reasons(&format!(r#"{{{key},"alg":"{algorithm}"}}"#), JwksOrigin::Url);
            assert_eq!(found, [PassedOver::Unfit(KeyError::WrongKind { algorithm })]);
        }
    }

    #[test]
    fn a_text_that_is_no_key_set_is_refused() {
        let refused = |text: &[u8]| parse_jwks(text, JwksOrigin::Url).unwrap_err();
        assert!(matches!(refused(b"{"), JwksError::NotAKeySet { .. }));
        assert!(matches!(refused(b"{\"keys\":1}"), JwksError::NotAKeySet { .. }));
        assert_eq!(refused(b"{\"keys\":[]}"), JwksError::NoUsableKey { passed_over: 0 });
        assert_eq!(refused(b"{\"keys\":[1]}"), JwksError::NoUsableKey { passed_over: 1 });
        assert!(matches!(refused(&vec![b' '; JWKS_BYTES_MAX + 1]), JwksError::TooLarge { .. }));
        let many = format!(r#"{{"keys":[{}1]}}"#, "1,".repeat(KEYS_MAX));
        assert_eq!(refused(many.as_bytes()), JwksError::TooMany { count: KEYS_MAX + 1 });
    }
}
