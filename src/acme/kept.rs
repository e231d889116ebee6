//! What is kept of certificates between starts: the account, and the newest certificate with its key, each in one file.
//!
//! Invariants: only the owner can read either; each is there as a whole or not at all. What cannot be read counts as not there, and the log says why.

use std::fs;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::schedule::Span;
use crate::auth::Certificate;

/// What stands in front of the names of a certificate.
const NAMES: &str = "names: ";
/// What stands in front of the authority that issued it.
const FROM: &str = "from: ";

/// Where the certificate lies in a folder: chain and key, in PEM.
#[must_use]
pub fn certificate_path(folder: &Path) -> PathBuf {
    folder.join("acme.pem")
}

/// Where the account lies.
pub(super) fn account_path(folder: &Path) -> PathBuf {
    folder.join("acme-account.json")
}

/// A certificate that was issued before.
#[derive(Debug)]
pub(super) struct Kept {
    /// The certificate itself, without those that it was signed with.
    pub(super) own: CertificateDer<'static>,
    pub(super) good: Span,
}

/// The one that is kept, if it is for these names and from this authority.
pub(super) fn read(folder: &Path, names: &[String], directory: &str) -> Option<Kept> {
    let path = certificate_path(folder);
    let text = match fs::read_to_string(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a certificate that is kept cannot be read");
            return None;
        }
    };
    let line = |head: &str| text.lines().find_map(|line| line.strip_prefix(head));
    if line(NAMES)? != names.join(" ") || line(FROM)? != directory {
        return None;
    }
    let own = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
    let read = Certificate::read(&own).ok()?;
    let good = Span { begins_at_s: read.begins_at_s, ends_at_s: read.ends_at_s };
    Some(Kept { own, good })
}

/// Keeps a certificate in place of the former.
pub(super) fn keep(
    folder: &Path,
    (names, directory): (&[String], &str),
    (chain, key): (&str, &str),
) -> io::Result<()> {
    let text = Zeroizing::new(format!(
        "{NAMES}{}\n{FROM}{directory}\n{}\n{key}",
        names.join(" "),
        chain.trim_end()
    ));
    fs::create_dir_all(folder)?;
    replace(&certificate_path(folder), &text, 0o600)
}

/// Replaces a file as a whole, which has that mode from its first byte on.
///
/// # Errors
/// If it cannot be written: then the former one is still there.
pub fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::KeyPair;
    use rcgen::generate_simple_self_signed;

    use super::*;

    #[test]
    fn what_is_kept_is_found_again_for_the_same_names_and_authority_only() {
        let folder = std::env::temp_dir().join(format!("fanwire-acme-kept-{}", std::process::id()));
        let names = vec!["a.example.org".to_owned(), "b.example.org".to_owned()];
        let made: rcgen::CertifiedKey<KeyPair> =
            generate_simple_self_signed(names.clone()).unwrap();
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        assert!(read(&folder, &names, "https://ca.example/dir").is_none(), "nothing is there");
        keep(&folder, (&names, "https://ca.example/dir"), (&chain, &key)).unwrap();
        let path = certificate_path(&folder);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let kept = read(&folder, &names, "https://ca.example/dir").unwrap();
        assert_eq!(kept.own, *made.cert.der());
        assert!(kept.good.ends_at_s > kept.good.begins_at_s);
        assert!(read(&folder, &names[..1], "https://ca.example/dir").is_none());
        assert!(read(&folder, &names, "https://staging.example/dir").is_none());
        fs::write(&path, "names: a.example.org\n").unwrap();
        assert!(read(&folder, &names[..1], "https://ca.example/dir").is_none(), "half a file");
        fs::remove_dir_all(&folder).unwrap();
    }
}
