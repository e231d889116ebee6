//! How a call is signed, so that whoever answers knows that it is ours and new.
//!
//! Invariant: the signature covers the time and every byte of the body; the secret is overwritten when it is no longer needed.

use std::fmt;
use std::fmt::Write;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// Bytes that a secret must have.
const SECRET_BYTES_MIN: usize = 32;

/// What calls are signed with.
pub(super) struct Signer(Zeroizing<Vec<u8>>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

impl Signer {
    /// `None`: the secret is too short.
    pub(super) fn new(secret: &[u8]) -> Option<Self> {
        (secret.len() >= SECRET_BYTES_MIN).then(|| Self(Zeroizing::new(secret.to_vec())))
    }

    /// The header's value for a body that is sent at that time, in seconds since 1970.
    pub(super) fn sign(&self, at_s: u64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut signed = hmac::Context::with_key(&key);
        signed.update(at_s.to_string().as_bytes());
        signed.update(b".");
        signed.update(body);
        let mut value = format!("t={at_s},v1=");
        for byte in signed.sign().as_ref() {
            write!(value, "{byte:02x}").expect("a string takes every write");
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '1786600000.{"hook":"before_read"}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`
    #[test]
    fn a_signature_is_what_others_compute() {
        let signer = Signer::new(b"0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(
            signer.sign(1_786_600_000, br#"{"hook":"before_read"}"#),
            "t=1786600000,v1=20392b91e9ca38d475dbbbb33229ea88d34c3f53022c29f1b30732253714d444"
        );
        assert!(Signer::new(&[7; SECRET_BYTES_MIN - 1]).is_none());
        assert_eq!(format!("{signer:?}"), "Signer(..)");
    }
}
