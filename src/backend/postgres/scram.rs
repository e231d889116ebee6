//! Logging in by challenge: SCRAM-SHA-256, in which neither side shows the password and the server shows that it knows it.
//!
//! Invariants: no proof is given to a server whose nonce does not begin with ours, and a server that does not prove itself is not logged in to. Never does I/O; the nonce is an argument.
//! A password beyond ASCII is taken as its UTF-8 is, without the normal form that RFC 7677 asks for.

use std::num::NonZeroU32;

use aws_lc_rs::constant_time;
use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::limits::POSTGRES_SCRAM_ROUNDS_MAX;

/// The word for it.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";
/// No channel is bound to.
const HEADER: &str = "n,,";

/// A login that has begun.
#[derive(Debug)]
pub(super) struct Scram {
    user: &'static str,
    nonce: String,
    /// What the server has to show, once it was shown a proof.
    expected: Option<hmac::Tag>,
}

/// Why it is not gone on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScramError {
    /// What the server says is none of its words.
    Garbled,
    /// The server answers somebody else.
    OtherNonce,
    /// The server wants more rounds than are hashed, or none.
    Rounds,
    /// The server does not know the password.
    NoProof,
}

impl Scram {
    /// `user`: empty for PostgreSQL, which knows who it is already. `nonce`: printable, without a comma, never used before.
    pub(super) const fn new(user: &'static str, nonce: String) -> Self {
        Self { user, nonce, expected: None }
    }

    /// The first words.
    pub(super) fn first(&self) -> String {
        format!("{HEADER}{}", self.bare())
    }

    fn bare(&self) -> String {
        format!("n={},r={}", self.user, self.nonce)
    }

    /// The proof that answers the server's challenge.
    pub(super) fn answer(&mut self, challenge: &str, password: &str) -> Result<String, ScramError> {
        let member = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(rounds)) = (member("r="), member("s="), member("i="))
        else {
            return Err(ScramError::Garbled);
        };
        //= rfc5802#5.1
        //# The client MUST verify that the initial part of the nonce used in subsequent
        //# messages is the same as the nonce it initially specified.
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(ScramError::OtherNonce);
        }
        let salt = BASE64_STANDARD.decode(salt).map_err(|_| ScramError::Garbled)?;
        let rounds: u32 = rounds.parse().map_err(|_| ScramError::Garbled)?;
        let rounds =
            NonZeroU32::new(rounds).filter(|rounds| rounds.get() <= POSTGRES_SCRAM_ROUNDS_MAX);
        let rounds = rounds.ok_or(ScramError::Rounds)?;
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut salted);
        let unproved = format!("c={},r={nonce}", BASE64_STANDARD.encode(HEADER));
        let said = format!("{},{challenge},{unproved}", self.bare());
        let client_key = signed(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = signed(stored_key.as_ref(), said.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(one, other)| one ^ other)
            .collect();
        let server_key = signed(&salted, b"Server Key");
        self.expected = Some(signed(server_key.as_ref(), said.as_bytes()));
        Ok(format!("{unproved},p={}", BASE64_STANDARD.encode(proof)))
    }

    /// Looks at what the server proves itself with.
    pub(super) fn check(&self, last: &str) -> Result<(), ScramError> {
        let shown = last.strip_prefix("v=").and_then(|text| BASE64_STANDARD.decode(text).ok());
        let (Some(expected), Some(shown)) = (&self.expected, shown) else {
            return Err(ScramError::NoProof);
        };
        constant_time::verify_slices_are_equal(expected.as_ref(), &shown)
            .map_err(|_| ScramError::NoProof)
    }
}

fn signed(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    /// The example of RFC 7677, 3.
    #[test]
    fn a_login_proves_both_sides() {
        let mut scram = Scram::new("user", NONCE.to_owned());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(
            scram.answer(CHALLENGE, "pencil").unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(scram.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
        for wrong in ["v=AAAA", "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "e=other-error"] {
            assert_eq!(scram.check(wrong), Err(ScramError::NoProof), "{wrong}");
        }
    }

    #[test]
    fn a_challenge_that_is_none_gets_no_proof() {
        for (challenge, error) in [
            ("", ScramError::Garbled),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z", ScramError::Garbled),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=*,i=1", ScramError::Garbled),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=x", ScramError::Garbled),
            ("r=other,s=W22Z,i=4096", ScramError::OtherNonce),
            ("r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096", ScramError::OtherNonce),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0", ScramError::Rounds),
            ("r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=4000000000", ScramError::Rounds),
        ] {
            let answer = Scram::new("", NONCE.to_owned()).answer(challenge, "pencil");
            assert_eq!(answer, Err(error), "{challenge}");
        }
        assert_eq!(Scram::new("", NONCE.to_owned()).check("v="), Err(ScramError::NoProof));
    }
}
