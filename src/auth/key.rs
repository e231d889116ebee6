//! One key that tokens are checked with.
//!
//! Invariants: a key is pinned to one algorithm when it is made, and fits it in kind and size, so that no
//! token can choose how it is checked. Holds no private half of a key pair. Never read from a file here: the
//! text is handed in.

use std::fmt;

use jsonwebtoken::DecodingKey;

use super::algorithm::Algorithm;
use super::algorithm::KeyKind;

/// What a PEM text begins with, whatever is in it.
const PEM_START: &str = "-----BEGIN ";
/// Bytes of the smallest modulus taken: 2048 bits (RFC 7518 section 3.3). The DER of a smaller key is shorter
/// than that too.
const RSA_BYTES_MIN: usize = 256;
/// Bytes of the largest modulus that the signature package takes: 8192 bits.
const RSA_BYTES_MAX: usize = 1024;

/// Why something is not a key. `algorithm` is what it was meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    SecretTooShort {
        algorithm: Algorithm,
        bytes: usize,
    },
    /// A PEM text was given as a secret: whoever knows the public key could then mint tokens.
    PemAsSecret,
    /// A secret was given for an algorithm of key pairs.
    SecretForKeyPair {
        algorithm: Algorithm,
    },
    /// A public key was given for an algorithm of secrets.
    PublicKeyForSecret {
        algorithm: Algorithm,
    },
    /// A private key was given where its public half belongs.
    PrivateKey,
    /// Not a PEM text of a public key.
    NotPublicPem {
        algorithm: Algorithm,
    },
    /// A public key of another kind, or of another curve.
    WrongKind {
        algorithm: Algorithm,
    },
    RsaSize {
        bytes: usize,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretTooShort { algorithm, bytes } => {
                let min = algorithm.secret_bytes_min();
                write!(f, "secret for {algorithm} has {bytes} bytes; it needs {min} or more")
            }
            Self::PemAsSecret => write!(
                f,
                "a PEM text is a key, not a secret: say which algorithm of key pairs it is for"
            ),
            Self::SecretForKeyPair { algorithm } => {
                write!(f, "{algorithm} is checked with a public key, not with a secret")
            }
            Self::PublicKeyForSecret { algorithm } => {
                write!(f, "{algorithm} is checked with a secret, not with a public key")
            }
            Self::PrivateKey => write!(
                f,
                "this is a private key: give its public half, and keep this one where tokens are minted"
            ),
            Self::NotPublicPem { algorithm } => {
                write!(f, "not a public key for {algorithm} in PEM (`-----BEGIN PUBLIC KEY-----`)")
            }
            Self::WrongKind { algorithm } => {
                write!(f, "the key is of a kind or curve that {algorithm} does not use")
            }
            Self::RsaSize { bytes } => {
                write!(f, "RSA key of {} bits; 2048 to 8192 are taken", bytes * 8)
            }
        }
    }
}

impl std::error::Error for KeyError {}

/// A key, the algorithm it is for, and the name (`kid`) by which tokens may call it.
#[derive(Clone, Debug)]
pub struct Key {
    pub(super) id: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    decoding: DecodingKey,
}

impl Key {
    /// A key from a shared secret.
    ///
    /// # Errors
    /// The algorithm takes no secret, the secret is too short for it, or is a PEM text by mistake.
    pub fn from_secret(
        id: Option<&str>,
        algorithm: Algorithm,
        secret: &[u8],
    ) -> Result<Self, KeyError> {
        if algorithm.key_kind() != KeyKind::Secret {
            return Err(KeyError::SecretForKeyPair { algorithm });
        }
        check_secret(algorithm, secret)?;
        Ok(Self::pinned(id, algorithm, DecodingKey::from_secret(secret)))
    }

    /// A key from the text of a PEM file with a public key.
    ///
    /// # Errors
    /// The text is no key, or a key of another kind than the algorithm's.
    pub fn from_public_pem(
        id: Option<&str>,
        algorithm: Algorithm,
        pem: &str,
    ) -> Result<Self, KeyError> {
        if pem.contains("PRIVATE KEY-----") {
            return Err(KeyError::PrivateKey);
        }
        if !pem.contains("PUBLIC KEY-----") {
            return Err(KeyError::NotPublicPem { algorithm });
        }
        let parsed = match algorithm.key_kind() {
            KeyKind::Secret => return Err(KeyError::PublicKeyForSecret { algorithm }),
            KeyKind::Rsa => DecodingKey::from_rsa_pem(pem.as_bytes()),
            KeyKind::Ec => DecodingKey::from_ec_pem(pem.as_bytes()),
            KeyKind::Ed25519 => DecodingKey::from_ed_pem(pem.as_bytes()),
        };
        let decoding = parsed.map_err(|_| KeyError::WrongKind { algorithm })?;
        let der = decoding.try_get_as_bytes().map_err(|_| KeyError::WrongKind { algorithm })?;
        let bytes = match algorithm.key_kind() {
            KeyKind::Rsa => modulus_of(der).ok_or(KeyError::WrongKind { algorithm })?.len(),
            _ => der.len(),
        };
        check_size(algorithm, bytes)?;
        Ok(Self::pinned(id, algorithm, decoding))
    }

    /// A key from an RSA modulus and exponent.
    pub(super) fn from_rsa(
        id: Option<&str>,
        algorithm: Algorithm,
        n: &[u8],
        e: &[u8],
    ) -> Result<Self, KeyError> {
        if algorithm.key_kind() != KeyKind::Rsa || e.is_empty() {
            return Err(KeyError::WrongKind { algorithm });
        }
        check_size(algorithm, n.len())?;
        Ok(Self::pinned(id, algorithm, DecodingKey::from_rsa_raw_components(n, e)))
    }

    /// A key from a curve's point: uncompressed (RFC 5480 section 2.2) for ECDSA, 32 bytes for Ed25519.
    pub(super) fn from_point(
        id: Option<&str>,
        algorithm: Algorithm,
        point: &[u8],
    ) -> Result<Self, KeyError> {
        let decoding = match algorithm.key_kind() {
            KeyKind::Ec => DecodingKey::from_ec_der(point),
            KeyKind::Ed25519 => DecodingKey::from_ed_der(point),
            KeyKind::Secret | KeyKind::Rsa => return Err(KeyError::WrongKind { algorithm }),
        };
        check_size(algorithm, point.len())?;
        Ok(Self::pinned(id, algorithm, decoding))
    }

    /// The name by which tokens may call it.
    #[cfg(test)]
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The only algorithm that it checks.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn pinned(id: Option<&str>, algorithm: Algorithm, decoding: DecodingKey) -> Self {
        Self { id: id.map(Box::from), algorithm, decoding }
    }

    /// Whether `signature` (base64url) is this key's for `message`.
    pub(super) fn signed(&self, message: &str, signature: &str) -> bool {
        // An error is a key of the wrong family or a signature that is not base64url: neither is signed by
        // this key.
        jsonwebtoken::crypto::verify(
            signature,
            message.as_bytes(),
            &self.decoding,
            self.algorithm.for_package(),
        )
        .unwrap_or(false)
    }
}

/// The secret that a file holds: all of it but one line end, which editors put there unasked.
#[must_use]
pub fn secret_in_file(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

/// Refuses a secret that is too short for `algorithm`, or no secret at all.
pub(super) fn check_secret(algorithm: Algorithm, secret: &[u8]) -> Result<(), KeyError> {
    if secret.starts_with(PEM_START.as_bytes()) {
        return Err(KeyError::PemAsSecret);
    }
    if secret.len() < algorithm.secret_bytes_min() {
        return Err(KeyError::SecretTooShort { algorithm, bytes: secret.len() });
    }
    Ok(())
}

fn check_size(algorithm: Algorithm, bytes: usize) -> Result<(), KeyError> {
    let fits = match algorithm {
        Algorithm::Es256 => bytes == 65,
        Algorithm::Es384 => bytes == 97,
        Algorithm::EdDsa => bytes == 32,
        _ if !(RSA_BYTES_MIN..=RSA_BYTES_MAX).contains(&bytes) => {
            return Err(KeyError::RsaSize { bytes });
        }
        _ => true,
    };
    if fits { Ok(()) } else { Err(KeyError::WrongKind { algorithm }) }
}

/// The modulus of an RSA key in DER, without the zero that may stand before it.
//= rfc8017#A.1.1
//# RSAPublicKey ::= SEQUENCE {
fn modulus_of(der: &[u8]) -> Option<&[u8]> {
    let modulus = der_value(0x02, der_value(0x30, der)?)?;
    Some(modulus.strip_prefix(&[0]).unwrap_or(modulus))
}

/// What stands behind a tag and its length in DER.
fn der_value(tag: u8, der: &[u8]) -> Option<&[u8]> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first().filter(|_| *found == tag)?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.get(..length)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn a_secret_must_fit_its_algorithm() {
        let short = Key::from_secret(None, Algorithm::Hs256, &[7; 31]).unwrap_err();
        assert_eq!(short, KeyError::SecretTooShort { algorithm: Algorithm::Hs256, bytes: 31 });
        assert_eq!(short.to_string(), "secret for HS256 has 31 bytes; it needs 32 or more");
        assert!(Key::from_secret(None, Algorithm::Hs256, &[7; 32]).is_ok());
        assert!(Key::from_secret(None, Algorithm::Hs512, &[7; 63]).is_err());
        let pair = Key::from_secret(None, Algorithm::Rs256, &[7; 32]).unwrap_err();
        assert_eq!(pair, KeyError::SecretForKeyPair { algorithm: Algorithm::Rs256 });
    }

    #[test]
    fn a_public_key_is_never_taken_for_a_secret() {
        let pem = fixtures::RSA_PUBLIC;
        assert_eq!(
            Key::from_secret(None, Algorithm::Hs256, pem.as_bytes()).unwrap_err(),
            KeyError::PemAsSecret
        );
        let confused = Key::from_public_pem(None, Algorithm::Hs256, pem).unwrap_err();
        assert_eq!(confused, KeyError::PublicKeyForSecret { algorithm: Algorithm::Hs256 });
    }

    #[test]
    fn a_public_key_must_be_of_the_algorithms_kind_and_curve() {
        for (algorithm, pem) in [
            (Algorithm::Rs256, fixtures::RSA_PUBLIC),
            (Algorithm::Ps512, fixtures::RSA_PUBLIC),
            (Algorithm::Es256, fixtures::P256_PUBLIC),
            (Algorithm::Es384, fixtures::P384_PUBLIC),
            (Algorithm::EdDsa, fixtures::ED25519_PUBLIC),
        ] {
            assert!(Key::from_public_pem(None, algorithm, pem).is_ok(), "{algorithm}");
        }
        for (algorithm, pem) in [
            (Algorithm::Rs256, fixtures::P256_PUBLIC),
            (Algorithm::Es256, fixtures::P384_PUBLIC),
            (Algorithm::Es384, fixtures::P256_PUBLIC),
            (Algorithm::Es256, fixtures::RSA_PUBLIC),
            (Algorithm::EdDsa, fixtures::P256_PUBLIC),
        ] {
            let refused = Key::from_public_pem(None, algorithm, pem).unwrap_err();
            assert_eq!(refused, KeyError::WrongKind { algorithm });
        }
    }

    #[test]
    fn private_small_and_foreign_texts_are_refused() {
        let private =
            Key::from_public_pem(None, Algorithm::Rs256, fixtures::RSA_PRIVATE).unwrap_err();
        assert_eq!(private, KeyError::PrivateKey);
        let small =
            Key::from_public_pem(None, Algorithm::Rs256, fixtures::RSA_1024_PUBLIC).unwrap_err();
        assert_eq!(small, KeyError::RsaSize { bytes: 128 });
        let modulus = |der: &[u8]| modulus_of(der).map(<[u8]>::len);
        assert_eq!(modulus(&[0x30, 8, 2, 3, 0, 0xff, 1, 2, 1, 3]), Some(2));
        for der in [&[][..], &[0x30], &[0x30, 0x82, 1], &[0x30, 3, 2, 9, 1], &[0x31, 3, 2, 1, 1]] {
            assert_eq!(modulus(der), None, "{der:?}");
        }
        let foreign = Key::from_public_pem(None, Algorithm::Rs256, "hello").unwrap_err();
        assert_eq!(foreign, KeyError::NotPublicPem { algorithm: Algorithm::Rs256 });
    }

    #[test]
    fn a_line_end_is_not_part_of_a_secret() {
        for (file, secret) in [("a\n", "a"), ("a\r\n", "a"), ("a", "a"), ("a\n\n", "a\n"), ("", "")]
        {
            assert_eq!(secret_in_file(file.as_bytes()), secret.as_bytes());
        }
    }

    #[test]
    fn a_key_does_not_show_its_secret_when_printed() {
        let key = Key::from_secret(None, Algorithm::Hs256, b"correct horse battery staple, twice")
            .unwrap();
        assert!(!format!("{key:?}").contains("99, 111, 114"), "bytes of the secret in {key:?}");
        assert!(!format!("{key:?}").contains("correct"));
    }
}
