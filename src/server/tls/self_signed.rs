//! A certificate that the server signs itself, for a first try.
//!
//! Invariants: an ECDSA key on P-256, which costs a handshake an eighth of what RSA does; kept with mode 0600, and never shown. One that was kept is used
//! again as long as it is for the same names and has not served two thirds of its time. Never for more than `TLS_SELF_SIGNED_DAYS`.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::KeyPair;
use rcgen::date_time_ymd;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use zeroize::Zeroizing;

use crate::acme::replace;
use crate::clock::Clock;
use crate::limits::TLS_SELF_SIGNED_DAYS;

const DAY_S: u64 = 24 * 60 * 60;
/// What stands in front of the moment from which on one that is kept is to be renewed, in seconds since 1970.
const DUE: &str = "due: ";
/// What stands in front of its names.
const NAMES: &str = "names: ";

/// Such a certificate, and when it is due.
#[derive(Debug)]
pub(super) struct SelfSigned {
    names: Vec<String>,
    folder: Option<PathBuf>,
    due_s: u64,
}

/// A certificate and its private key.
type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl SelfSigned {
    /// For these names, kept in this folder if there is one.
    pub(super) fn new(names: &[String], folder: &str) -> Self {
        let folder = (!folder.is_empty()).then(|| PathBuf::from(folder));
        Self { names: names.to_vec(), folder, due_s: 0 }
    }

    pub(super) fn is_due(&self, clock: Clock) -> bool {
        now_s(clock) >= self.due_s
    }

    /// The one that is kept, or a new one.
    pub(super) fn current(&mut self, clock: Clock) -> Result<Pair, String> {
        if let Some(folder) = &self.folder {
            let path = folder.join("self-signed.pem");
            if let Some((due_s, pair)) = self.kept(&path)
                && now_s(clock) < due_s
                && due_s <= now_s(clock) + TLS_SELF_SIGNED_DAYS * DAY_S
            {
                self.due_s = due_s;
                return Ok(pair);
            }
        }
        let (now_s, is_first) = (now_s(clock), self.due_s == 0);
        let (certificate, key) = self.made(now_s).map_err(|error| error.to_string())?;
        self.due_s = now_s + TLS_SELF_SIGNED_DAYS * DAY_S * 2 / 3;
        if let Some(folder) = &self.folder
            && let Err(error) = self.keep(folder, &certificate, &key)
        {
            let error = format!("{}: {error}", folder.display());
            if is_first {
                return Err(error);
            }
            // Better a certificate that is gone with the process than one that is out of date.
            tracing::warn!(%error, "cannot keep the certificate that the server has signed itself");
        }
        let chain = CertificateDer::from_pem_slice(certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let chain = vec![chain.map_err(|error| error.to_string())?];
        Ok((chain, key.map_err(|error| error.to_string())?))
    }

    /// What a file holds, if it is for these names.
    fn kept(&self, path: &Path) -> Option<(u64, Pair)> {
        let text = Zeroizing::new(fs::read_to_string(path).ok()?);
        let line = |head: &str| text.lines().find_map(|line| line.strip_prefix(head));
        if line(NAMES)? != self.names.join(" ") {
            return None;
        }
        let due_s = line(DUE)?.parse().ok()?;
        let chain = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()?;
        Some((due_s, (vec![chain], key)))
    }

    /// A new one, and its private key, in PEM.
    fn made(&self, now_s: u64) -> Result<(String, Zeroizing<String>), rcgen::Error> {
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name.push(DnType::CommonName, "fanwire, self-signed");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // A clock that is a day behind ours is to take it, too.
        let (year, month, day) = date(now_s.saturating_sub(DAY_S));
        params.not_before = date_time_ymd(year, month, day);
        let (year, month, day) = date(now_s + TLS_SELF_SIGNED_DAYS * DAY_S);
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let secret = Zeroizing::new(key.serialize_der());
        Ok((pem("CERTIFICATE", certificate.der()), Zeroizing::new(pem("PRIVATE KEY", &secret))))
    }

    /// Each file is there as a whole or not at all.
    fn keep(&self, folder: &Path, certificate: &str, key: &str) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let (names, due_s) = (self.names.join(" "), self.due_s);
        let own = Zeroizing::new(format!("{NAMES}{names}\n{DUE}{due_s}\n{certificate}{key}"));
        replace(&folder.join("self-signed.pem"), &own, 0o600)?;
        replace(&folder.join("self-signed.crt"), certificate, 0o644)
    }
}

/// RFC 7468, in lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(der));
    // Room for all of it: what grows leaves copies behind, and it may be a secret.
    let mut pem = String::with_capacity(2 * (text.len() + label.len()) + 64);
    pem.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn now_s(clock: Clock) -> u64 {
    clock.now().wall_us / 1_000_000
}

/// The day of a moment: year, month and day of the month.
fn date(second: u64) -> (i32, u8, u8) {
    let moment = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
    let date = moment.unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC).date();
    (date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
}
