//! Proving who we are with a key: credentials as `nsc` writes them, or a seed alone.
//!
//! Invariant: a secret is shown in no error and in no `Debug`. Never does I/O.

use std::fmt;

use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// What a user's public key begins with, decoded: `U`.
const USER: u8 = 20 << 3;
/// What a seed begins with, decoded, in its upper five bits: `S`.
const SEED: u8 = 18 << 3;
/// Bytes of a seed: two of its kind, the key, and two that check it.
const SEED_BYTES: usize = 2 + 32 + 2;

/// How a client proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Proof {
    None,
    /// With the user's name.
    Password(String),
    Token(String),
    /// A key that the server knows.
    Seed(String),
    /// A key, and who vouches for it.
    Credentials {
        jwt: String,
        seed: String,
    },
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password(_) => "Password",
            Self::Token(_) => "Token",
            Self::Seed(_) => "Seed",
            Self::Credentials { .. } => "Credentials",
        })
    }
}

impl Proof {
    /// What a secret is: credentials and seeds are known by how they begin, a password by that there is a user.
    pub(super) fn of(secret: Option<&str>, user: &str) -> Result<Self, &'static str> {
        let Some(secret) = secret else { return Ok(Self::None) };
        if let Some(jwt) = section(secret, "NATS USER JWT") {
            let seed = section(secret, "USER NKEY SEED").ok_or("there is no key with the token")?;
            pair(&seed)?;
            return Ok(Self::Credentials { jwt, seed });
        }
        if user.is_empty() && secret.starts_with("SU") && pair(secret).is_ok() {
            return Ok(Self::Seed(secret.to_owned()));
        }
        Ok(if user.is_empty() {
            Self::Token(secret.to_owned())
        } else {
            Self::Password(secret.to_owned())
        })
    }

    /// Whether it is said as it is, for whoever reads along.
    pub(super) const fn is_secret_said(&self) -> bool {
        matches!(self, Self::Password(_) | Self::Token(_))
    }

    /// Appends what proves it to what a client says of itself.
    pub(super) fn say(
        &self,
        (user, nonce): (&str, &str),
        said: &mut serde_json::Map<String, serde_json::Value>,
    ) -> Result<(), &'static str> {
        let mut put = |name: &str, value: String| said.insert(name.to_owned(), value.into());
        match self {
            Self::None if user.is_empty() => {}
            Self::None => drop(put("user", user.to_owned())),
            Self::Password(password) => {
                put("user", user.to_owned());
                put("pass", password.clone());
            }
            Self::Token(token) => drop(put("auth_token", token.clone())),
            Self::Seed(seed) => {
                let pair = pair(seed)?;
                put("nkey", public(&pair));
                put("sig", BASE64_URL_SAFE_NO_PAD.encode(pair.sign(nonce.as_bytes())));
            }
            Self::Credentials { jwt, seed } => {
                let signed = pair(seed)?.sign(nonce.as_bytes());
                put("jwt", jwt.clone());
                put("sig", BASE64_URL_SAFE_NO_PAD.encode(signed));
            }
        }
        Ok(())
    }
}

/// What stands between `-----BEGIN NAME-----` and the next line of dashes.
fn section(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("BEGIN {name}"))?;
    let mut lines = rest.lines().skip(1).map(str::trim);
    let found = lines.find(|line| !line.is_empty())?;
    (!found.starts_with('-')).then(|| found.to_owned())
}

/// The key of a seed.
fn pair(seed: &str) -> Result<Ed25519KeyPair, &'static str> {
    const WRONG: &str = "its key is no seed of a user";
    let bytes = base32(seed).filter(|bytes| bytes.len() == SEED_BYTES).ok_or(WRONG)?;
    let (said, check) = bytes.split_at(SEED_BYTES - 2);
    let kind = said.first_chunk::<2>().map(|[a, b]| (a & 0xf8, ((a & 7) << 5) | ((b & 0xf8) >> 3)));
    if kind != Some((SEED, USER)) || check != crc(said).to_le_bytes() {
        return Err(WRONG);
    }
    Ed25519KeyPair::from_seed_unchecked(said.get(2..).unwrap_or_default()).map_err(|_| WRONG)
}

/// A public key as servers know it: `U…`.
fn public(pair: &Ed25519KeyPair) -> String {
    let mut bytes = vec![USER];
    bytes.extend(pair.public_key().as_ref());
    bytes.extend(crc(&bytes).to_le_bytes());
    let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        held = (held << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// RFC 4648, section 6, without padding.
fn base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        held = ((held << 5) | u32::try_from(value).ok()?) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    Some(bytes)
}

/// CRC-16 as XMODEM has it.
fn crc(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::ED25519;
    use aws_lc_rs::signature::UnparsedPublicKey;

    use super::*;

    // Of the documentation of NATS, <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth>.
    const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    const PUBLIC: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

    #[test]
    fn a_seed_has_the_public_key_that_others_say_it_has() {
        let pair = pair(SEED).unwrap();
        assert_eq!(public(&pair), PUBLIC);
        let mut said = serde_json::Map::new();
        let proof = Proof::of(Some(SEED), "").unwrap();
        proof.say(("", "nonce"), &mut said).unwrap();
        assert_eq!(said["nkey"], PUBLIC);
        let signed = BASE64_URL_SAFE_NO_PAD.decode(said["sig"].as_str().unwrap()).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
        key.verify(b"nonce", &signed).unwrap();
    }

    #[test]
    fn a_secret_is_what_it_looks_like() {
        let file = format!(
            "-----BEGIN NATS USER JWT-----\nabc.def.ghi\n------END NATS USER JWT------\n\n***\n\
             -----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n"
        );
        let credentials = Proof::of(Some(&file), "").unwrap();
        assert_eq!(
            credentials,
            Proof::Credentials { jwt: "abc.def.ghi".into(), seed: SEED.into() }
        );
        assert!(!credentials.is_secret_said());
        assert_eq!(Proof::of(Some("s3cret"), "ada").unwrap(), Proof::Password("s3cret".into()));
        assert_eq!(Proof::of(Some("s3cret"), "").unwrap(), Proof::Token("s3cret".into()));
        assert_eq!(Proof::of(Some(SEED), "ada").unwrap(), Proof::Password(SEED.into()));
        assert_eq!(Proof::of(None, "ada").unwrap(), Proof::None);
        let headless = file.replace("NKEY SEED", "NKEY");
        assert!(Proof::of(Some(&headless), "").is_err());
        let spoiled = file.replace("SUACSSL3", "SUACSSL2");
        assert!(Proof::of(Some(&spoiled), "").is_err());
        assert!(!format!("{credentials:?}").contains(SEED));
    }
}
