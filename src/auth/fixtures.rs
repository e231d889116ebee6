//! Keys and settings for the tests of this folder. The keys open nothing: they were made for these tests
//! alone.

use super::algorithm::Algorithm;
use super::key::Key;
use super::key_set::KeySet;
use super::mint::SigningKey;

pub(super) const RSA_PRIVATE: &str = include_str!("../../tests/fixtures/auth/rsa.pem");
pub(super) const RSA_PUBLIC: &str = include_str!("../../tests/fixtures/auth/rsa.pub.pem");
pub(super) const RSA_1024_PUBLIC: &str = include_str!("../../tests/fixtures/auth/rsa1024.pub.pem");
pub(super) const P256_PRIVATE: &str = include_str!("../../tests/fixtures/auth/p256.pem");
pub(super) const P256_PUBLIC: &str = include_str!("../../tests/fixtures/auth/p256.pub.pem");
pub(super) const P384_PRIVATE: &str = include_str!("../../tests/fixtures/auth/p384.pem");
pub(super) const P384_PUBLIC: &str = include_str!("../../tests/fixtures/auth/p384.pub.pem");
pub(super) const ED25519_PRIVATE: &str = include_str!("../../tests/fixtures/auth/ed25519.pem");
pub(super) const ED25519_PUBLIC: &str = include_str!("../../tests/fixtures/auth/ed25519.pub.pem");
/// Long enough for HS512.
pub(super) const SECRET: &[u8; 64] =
    b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// 2026-01-01 00:00:00 UTC, when every test begins.
pub(super) const NOW_S: u64 = 1_767_225_600;

/// The two halves for `algorithm`, the checking one named `id`.
pub(super) fn pair(algorithm: Algorithm, id: Option<&str>) -> (SigningKey, Key) {
    let (private, public) = match algorithm {
        Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => {
            let signing = SigningKey::from_secret(algorithm, SECRET).unwrap();
            return (signing, Key::from_secret(id, algorithm, SECRET).unwrap());
        }
        Algorithm::Es256 => (P256_PRIVATE, P256_PUBLIC),
        Algorithm::Es384 => (P384_PRIVATE, P384_PUBLIC),
        Algorithm::EdDsa => (ED25519_PRIVATE, ED25519_PUBLIC),
        _ => (RSA_PRIVATE, RSA_PUBLIC),
    };
    let signing = SigningKey::from_private_pem(algorithm, private).unwrap();
    (signing, Key::from_public_pem(id, algorithm, public).unwrap())
}

/// A set of one key.
pub(super) fn set_of(key: Key) -> KeySet {
    KeySet::new(vec![key]).unwrap()
}
