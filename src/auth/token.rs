//! A token's text -> its claims, once its signature was found good (RFC 7515, RFC 7519).
//!
//! Invariants: nothing a token says is believed before its signature was checked, but for `alg` and `kid`,
//! which can only pick among the keys at hand. `jku`, `x5u`, `jwk` and `x5c` are never looked at. No error
//! repeats a token's text: errors are logged.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::event::TopicError;
use crate::limits::TOKEN_BYTES_MAX;
use crate::limits::USER_BYTES_MAX;

use super::algorithm::Algorithm;
use super::key_set::KeySet;
use super::key_set::NoKey;

/// A part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Header,
    Claims,
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        })
    }
}

/// Why a token is refused. Times are seconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    TooLarge {
        bytes: usize,
    },
    /// Not `header.claims.signature`.
    NotThreeParts {
        parts: usize,
    },
    NotBase64 {
        part: Part,
    },
    /// Not a JSON object with members of the right types.
    BadJson {
        part: Part,
        column: usize,
    },
    /// `alg` is `none`, in whatever case.
    Unsigned,
    /// `alg` is one that this server does not know.
    UnknownAlgorithm,
    /// No key is for this algorithm.
    AlgorithmNotAccepted {
        algorithm: Algorithm,
    },
    /// The key that the token names is for another algorithm.
    WrongAlgorithmForKey {
        algorithm: Algorithm,
        pinned: Algorithm,
    },
    /// `kid` names no key.
    UnknownKey,
    /// The header has `crit`: extensions that must be understood, of which there are none here.
    CriticalExtension,
    /// `typ` says that it is a token for something else.
    OtherType,
    BadSignature,
    MissingClaim {
        claim: Box<str>,
    },
    /// A claim is of the wrong type or has an impossible value.
    BadClaim {
        claim: Box<str>,
        expected: &'static str,
    },
    TooManyEntries {
        claim: Box<str>,
        max: usize,
    },
    BadPattern {
        claim: Box<str>,
        index: usize,
        problem: TopicError,
    },
    UserTooLong {
        bytes: usize,
    },
    Expired {
        at_s: u64,
        now_s: u64,
    },
    NotYetValid {
        from_s: u64,
        now_s: u64,
    },
    /// `iat` lies ahead: it would outlive revocations by age.
    IssuedAhead {
        at_s: u64,
        now_s: u64,
    },
    LivesTooLong {
        life_s: u64,
        max_s: u64,
    },
    WrongIssuer,
    WrongAudience,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes } => {
                write!(f, "token has {bytes} bytes; at most {TOKEN_BYTES_MAX} are read")
            }
            Self::NotThreeParts { parts } => {
                write!(f, "token has {parts} parts; it needs header, claims and signature")
            }
            Self::NotBase64 { part } => write!(f, "token's {part} is not base64url"),
            Self::BadJson { part, column } => {
                write!(f, "token's {part} is not the JSON object it should be, at column {column}")
            }
            Self::Unsigned => write!(f, "token is not signed (`alg` is `none`)"),
            Self::UnknownAlgorithm => write!(f, "token's `alg` is not known"),
            Self::AlgorithmNotAccepted { algorithm } => {
                write!(f, "token is signed with {algorithm}, for which there is no key")
            }
            Self::WrongAlgorithmForKey { algorithm, pinned } => {
                write!(f, "token is signed with {algorithm}, but the key it names is for {pinned}")
            }
            Self::UnknownKey => write!(f, "token's `kid` names no known key"),
            Self::CriticalExtension => {
                write!(f, "token's header has `crit`: no extension is understood")
            }
            Self::OtherType => write!(f, "token's `typ` is neither `JWT` nor `at+jwt`"),
            Self::BadSignature => write!(f, "token's signature is wrong"),
            Self::MissingClaim { claim } => write!(f, "token has no claim `{claim}`"),
            Self::BadClaim { claim, expected } => {
                write!(f, "token's claim `{claim}` is not {expected}")
            }
            Self::TooManyEntries { claim, max } => {
                write!(f, "token's claim `{claim}` has more than {max} entries")
            }
            Self::BadPattern { claim, index, problem } => {
                write!(f, "token's claim `{claim}[{index}]`: {problem}")
            }
            Self::UserTooLong { bytes } => {
                write!(f, "token's user has {bytes} bytes; at most {USER_BYTES_MAX} are allowed")
            }
            Self::Expired { at_s, now_s } => {
                write!(f, "token expired {} s ago", now_s.saturating_sub(*at_s))
            }
            Self::NotYetValid { from_s, now_s } => {
                write!(f, "token is valid in {} s", from_s.saturating_sub(*now_s))
            }
            Self::IssuedAhead { at_s, now_s } => {
                write!(
                    f,
                    "token was issued {} s ahead of this server's clock",
                    at_s.saturating_sub(*now_s)
                )
            }
            Self::LivesTooLong { life_s, max_s } => {
                write!(f, "token lives {life_s} s; at most {max_s} are allowed")
            }
            Self::WrongIssuer => write!(f, "token's issuer (`iss`) is not accepted"),
            Self::WrongAudience => write!(f, "token is for someone else (`aud`)"),
        }
    }
}

impl std::error::Error for TokenError {}

impl TokenError {
    /// Whether newer keys might make the token good: the issuer may have changed them since they were fetched.
    #[must_use]
    pub const fn wants_newer_keys(&self) -> bool {
        matches!(self, Self::UnknownKey | Self::AlgorithmNotAccepted { .. })
    }
}

/// A token taken apart, nothing of it believed yet.
#[derive(Debug)]
pub struct Parts<'a> {
    /// What is signed: header, dot, claims, as they came.
    pub signed: &'a str,
    pub header: &'a str,
    pub claims: &'a str,
    pub signature: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// The token is too large or has not three parts.
    pub fn of(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLarge { bytes: token.len() });
        }
        let not_three = || TokenError::NotThreeParts { parts: token.split('.').count() };
        let (signed, signature) = token.rsplit_once('.').ok_or_else(not_three)?;
        let (header, claims) = signed.split_once('.').ok_or_else(not_three)?;
        if claims.contains('.') {
            Err(not_three())
        } else {
            Ok(Self { signed, header, claims, signature })
        }
    }
}

/// The bytes of one part.
///
/// # Errors
/// The part is not base64url without padding.
pub fn decode_part(text: &str, part: Part) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::NotBase64 { part })
}

/// What of a header is read. Its other members could only tell where to find keys, and no token tells us
/// that.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

/// The claims of a token that one of `keys` signed: the bytes of a JSON text, not yet read.
///
/// # Errors
/// The token is not one, or none of the keys it may be checked with signed it.
pub(super) fn signed_claims(token: &str, keys: &KeySet) -> Result<Vec<u8>, TokenError> {
    let parts = Parts::of(token)?;
    let text = decode_part(parts.header, Part::Header)?;
    let header: Header = serde_json::from_slice(&text)
        .map_err(|error| TokenError::BadJson { part: Part::Header, column: error.column() })?;
    let algorithm = algorithm_of(&header)?;
    let candidates =
        keys.candidates(header.kid.as_deref(), algorithm).map_err(|reason| match reason {
            NoKey::Pinned(pinned) => TokenError::WrongAlgorithmForKey { algorithm, pinned },
            NoKey::UnknownId => TokenError::UnknownKey,
            NoKey::Algorithm => TokenError::AlgorithmNotAccepted { algorithm },
        })?;
    decode_part(parts.signature, Part::Signature)?;
    if !candidates.into_iter().any(|key| key.signed(parts.signed, parts.signature)) {
        // A name that no key has: the keys without one were tried in its place, and its own may be one that is not known yet.
        let is_known = header.kid.as_deref().is_none_or(|id| keys.has_name(id));
        return Err(if is_known { TokenError::BadSignature } else { TokenError::UnknownKey });
    }
    decode_part(parts.claims, Part::Claims)
}

fn algorithm_of(header: &Header) -> Result<Algorithm, TokenError> {
    if header.alg.eq_ignore_ascii_case("none") {
        return Err(TokenError::Unsigned);
    }
    //= rfc7515#4.1.11
    //# If any of the listed extension Header Parameters are not understood
    //# and supported by the recipient, then the JWS is invalid.
    if header.crit.is_some() {
        return Err(TokenError::CriticalExtension);
    }
    //= rfc8725#3.11
    //# Explicit JWT typing is accomplished by using the "typ" Header
    //# Parameter.
    if header.typ.as_deref().is_some_and(|typ| !is_accepted_type(typ)) {
        return Err(TokenError::OtherType);
    }
    Algorithm::from_name(&header.alg).ok_or(TokenError::UnknownAlgorithm)
}

fn is_accepted_type(typ: &str) -> bool {
    //= rfc7515#4.1.9
    //# A recipient using the media type value MUST treat it as if
    //# "application/" were prepended to any "typ" value not containing a
    //# '/'.
    let bare = typ
        .split_once('/')
        .filter(|(kind, _)| kind.eq_ignore_ascii_case("application"))
        .map_or(typ, |(_, rest)| rest);
    bare.eq_ignore_ascii_case("JWT") || bare.eq_ignore_ascii_case("at+jwt")
}
