//! The secret of the admin endpoint: not a token, and no token opens it.
//!
//! Invariants: how long a comparison takes tells nothing about the secret but its length; it is never
//! printed, and overwritten when it is no longer needed.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that the secret must have: 128 bits, written in hex.
const BYTES_MIN: usize = 32;

/// The secret is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminSecretTooShort {
    pub bytes: usize,
}

impl fmt::Display for AdminSecretTooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "admin secret has {} bytes; it needs {BYTES_MIN} or more", self.bytes)
    }
}

impl std::error::Error for AdminSecretTooShort {}

/// What a caller of the admin endpoint must show as its bearer token.
#[derive(Clone)]
pub struct AdminSecret(Zeroizing<Box<[u8]>>);

impl AdminSecret {
    /// Keeps a copy of the secret.
    ///
    /// # Errors
    /// The secret is too short.
    pub fn new(secret: &[u8]) -> Result<Self, AdminSecretTooShort> {
        if secret.len() < BYTES_MIN {
            Err(AdminSecretTooShort { bytes: secret.len() })
        } else {
            Ok(Self(Zeroizing::new(secret.into())))
        }
    }

    /// Whether `shown` is the secret.
    #[must_use]
    pub fn opens_for(&self, shown: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, shown).is_ok()
    }
}

impl fmt::Debug for AdminSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_opens() {
        let secret = AdminSecret::new(&[b'x'; 32]).unwrap();
        assert!(secret.opens_for(&[b'x'; 32]));
        assert!(!secret.opens_for(&[b'x'; 31]));
        assert!(!secret.opens_for(&[b'y'; 32]));
        assert!(!secret.opens_for(b""));
        assert_eq!(AdminSecret::new(b"hunter2").unwrap_err(), AdminSecretTooShort { bytes: 7 });
        assert_eq!(format!("{secret:?}"), "AdminSecret(..)");
    }
}
