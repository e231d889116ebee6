//! Making tokens: for `fanwire token mint` and for tests. A server never mints.
//!
//! Invariants: what is minted here with a matching key and default settings is accepted by `Verifier`. The
//! private key is never shown by `Debug` and is wiped when dropped. Time and the token's name are arguments.

use std::fmt;

use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use serde::Serialize;
use serde_json::value::RawValue;

use super::algorithm::Algorithm;
use super::algorithm::KeyKind;
use super::key::KeyError;
use super::key::check_secret;

/// Why no token was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MintError {
    Secret(KeyError),
    /// The algorithm takes a secret, and a private key was given, or the other way round.
    WrongSort {
        algorithm: Algorithm,
    },
    /// Not a private key for the algorithm in PEM.
    NotPrivatePem {
        algorithm: Algorithm,
    },
    /// The key would not sign: of another curve, or too small.
    Unsigned {
        algorithm: Algorithm,
    },
}

impl fmt::Display for MintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(error) => write!(f, "{error}"),
            Self::WrongSort { algorithm } if algorithm.key_kind() == KeyKind::Secret => {
                write!(f, "{algorithm} signs with a secret, not with a private key")
            }
            Self::WrongSort { algorithm } => {
                write!(f, "{algorithm} signs with a private key, not with a secret")
            }
            Self::NotPrivatePem { algorithm } => {
                write!(
                    f,
                    "not a private key for {algorithm} in PEM; one that begins with `-----BEGIN EC PRIVATE KEY-----` "
                )?;
                write!(f, "is made readable by `openssl pkcs8 -topk8 -nocrypt`")
            }
            Self::Unsigned { algorithm } => {
                write!(f, "the key does not sign with {algorithm}: another curve, or too small")
            }
        }
    }
}

impl std::error::Error for MintError {}

/// What tokens are signed with.
#[derive(Clone, Debug)]
pub struct SigningKey {
    algorithm: Algorithm,
    encoding: EncodingKey,
}

impl SigningKey {
    /// From a shared secret.
    ///
    /// # Errors
    /// The algorithm takes none, or a longer one.
    pub fn from_secret(algorithm: Algorithm, secret: &[u8]) -> Result<Self, MintError> {
        if algorithm.key_kind() != KeyKind::Secret {
            return Err(MintError::WrongSort { algorithm });
        }
        check_secret(algorithm, secret).map_err(MintError::Secret)?;
        Ok(Self { algorithm, encoding: EncodingKey::from_secret(secret) })
    }

    /// From the text of a PEM file with a private key: PKCS#8, for RSA also PKCS#1.
    ///
    /// # Errors
    /// The text is no key, or a key of another kind than the algorithm's.
    pub fn from_private_pem(algorithm: Algorithm, pem: &str) -> Result<Self, MintError> {
        let parsed = match algorithm.key_kind() {
            KeyKind::Secret => return Err(MintError::WrongSort { algorithm }),
            KeyKind::Rsa => EncodingKey::from_rsa_pem(pem.as_bytes()),
            KeyKind::Ec => EncodingKey::from_ec_pem(pem.as_bytes()),
            KeyKind::Ed25519 => EncodingKey::from_ed_pem(pem.as_bytes()),
        };
        let encoding = parsed.map_err(|_| MintError::NotPrivatePem { algorithm })?;
        Ok(Self { algorithm, encoding })
    }

    /// The algorithm it signs with.
    #[cfg(test)]
    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A token of these claims; `kid` is the name of the key that checks it.
    ///
    /// # Errors
    /// The key does not sign with its algorithm.
    pub fn mint(&self, kid: Option<&str>, claims: &NewClaims<'_>) -> Result<String, MintError> {
        self.sign(kid, claims)
    }

    /// A token of anything.
    pub(super) fn sign(
        &self,
        kid: Option<&str>,
        claims: &impl Serialize,
    ) -> Result<String, MintError> {
        let mut header = Header::new(self.algorithm.for_package());
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.encoding)
            .map_err(|_| MintError::Unsigned { algorithm: self.algorithm })
    }
}

/// What a new token says. Members that are absent or empty are left out.
#[derive(Debug, Default, Serialize)]
pub struct NewClaims<'a> {
    #[serde(rename = "sub")]
    pub user: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub roles: &'a [String],
    #[serde(rename = "jti", skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    #[serde(rename = "iss", skip_serializing_if = "Option::is_none")]
    pub issuer: Option<&'a str>,
    #[serde(rename = "aud", skip_serializing_if = "Option::is_none")]
    pub audience: Option<&'a str>,
    #[serde(rename = "iat")]
    pub issued_at_s: u64,
    #[serde(rename = "exp", skip_serializing_if = "Option::is_none")]
    pub expires_at_s: Option<u64>,
    #[serde(rename = "fanwire", skip_serializing_if = "Option::is_none")]
    pub grants: Option<NewGrants<'a>>,
}

/// What a new token grants. `None` says nothing and leaves it to the server's settings; an empty list grants
/// nothing.
#[derive(Debug, Default, Serialize)]
pub struct NewGrants<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish: Option<&'a [String]>,
    /// JSON: a string or an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<&'a RawValue>,
}
