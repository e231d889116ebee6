//! Requests that the server makes itself: which addresses it asks, whom it believes to be there, and how long it waits before it asks again.
//!
//! Invariants: an address is the operator's, encrypted unless it is this machine's, and holds no password; no redirect is followed and no proxy is asked. Never asks anything by itself.

mod backoff;
mod broker;
mod line;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::config::ConfigBuilder;
use ureq::http::Uri;
use ureq::tls::Certificate;
use ureq::tls::RootCerts;
use ureq::tls::TlsConfig;
use ureq::typestate::AgentScope;

pub use backoff::Backoff;
pub use backoff::chance;
pub use broker::BrokerAddress;
pub use broker::BrokerAddressError;
pub use broker::Scheme;
pub use line::Line;
pub use line::Place;
pub use line::is_here;

/// Why an address is not one that is asked, or asking cannot begin.
#[derive(Debug)]
pub enum AddressError {
    NotAnAddress {
        like: &'static str,
    },
    /// Not `https`, nor `http` to this machine.
    Unencrypted {
        what: &'static str,
    },
    /// User and password would end up in logs.
    Credentials,
    /// There are no certificate authorities to check the server with.
    NoAuthorities {
        whose: &'static str,
    },
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAddress { like } => write!(f, "not an address such as `{like}`"),
            Self::Unencrypted { what } => {
                write!(f, "{what} over https only, or from this machine")
            }
            Self::Credentials => write!(f, "the address may not hold a user or password"),
            Self::NoAuthorities { whose } => {
                write!(f, "there are no certificate authorities to check {whose} server with")
            }
        }
    }
}

impl std::error::Error for AddressError {}

/// How an address is spoken of where it is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Wording {
    /// An example.
    pub like: &'static str,
    /// `keys are fetched`.
    pub what: &'static str,
    /// `the issuer's`.
    pub whose: &'static str,
}

/// Whether the address is encrypted.
///
/// # Errors
/// If it needs to be and is not, or is none.
pub fn check_address(url: &str, wording: Wording) -> Result<bool, AddressError> {
    let none = || AddressError::NotAnAddress { like: wording.like };
    let address: Uri = url.parse().map_err(|_| none())?;
    let authority = address.authority().ok_or_else(none)?;
    if authority.as_str().contains('@') {
        return Err(AddressError::Credentials);
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let own = is_here(host);
    match address.scheme_str() {
        Some("https") => Ok(true),
        Some("http") if own => Ok(false),
        Some("http") => Err(AddressError::Unencrypted { what: wording.what }),
        _ => Err(none()),
    }
}

/// Requests as this server makes them.
#[must_use]
pub fn requests(is_encrypted: bool) -> ConfigBuilder<AgentScope> {
    ureq::Agent::config_builder()
        .https_only(is_encrypted)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("fanwire/", env!("CARGO_PKG_VERSION")))
}

/// The certificates of those who vouch for a server: these (PEM), or those of the machine.
fn vouching(
    authorities: Option<&[u8]>,
    wording: Wording,
) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    let authorities: Vec<CertificateDer<'static>> = match authorities {
        Some(pem) => CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect(),
        None => rustls_native_certs::load_native_certs().certs,
    };
    if authorities.is_empty() {
        return Err(AddressError::NoAuthorities { whose: wording.whose });
    }
    Ok(authorities)
}

/// Believes those servers for whom these authorities vouch (PEM), or those of the machine.
///
/// # Errors
/// If there are none.
pub fn encryption(authorities: Option<&[u8]>, wording: Wording) -> Result<TlsConfig, AddressError> {
    let authorities = vouching(authorities, wording)?;
    let roots: Vec<Certificate<'static>> =
        authorities.iter().map(|der| Certificate::from_der(der.as_ref()).to_owned()).collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .build())
}

/// As `encryption`, for connections that are more than one request.
///
/// # Errors
/// If there are none.
pub fn encrypted_connections(
    authorities: Option<&[u8]>,
    wording: Wording,
) -> Result<Arc<ClientConfig>, AddressError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(vouching(authorities, wording)?);
    let none = || AddressError::NoAuthorities { whose: wording.whose };
    if roots.is_empty() {
        return Err(none());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().map_err(|_| none())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// As `encrypted_connections`, by the authorities of a file, or those of the machine.
///
/// # Errors
/// If there are none, or the file cannot be read.
pub fn encryption_by(root: Option<&Path>, wording: Wording) -> io::Result<Arc<ClientConfig>> {
    let unread = |path: &Path, error| io::Error::other(format!("{}: {error}", path.display()));
    let read = |path: &Path| std::fs::read(path).map_err(|error| unread(path, error));
    let authorities = root.map(read).transpose()?;
    encrypted_connections(authorities.as_deref(), wording).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDING: Wording = Wording {
        like: "https://issuer.example.com/jwks.json",
        what: "keys are fetched",
        whose: "the issuer's",
    };

    #[test]
    fn only_good_addresses_are_taken() {
        let checked = |url| check_address(url, WORDING);
        assert!(matches!(checked("https://issuer.example.com/jwks"), Ok(true)));
        assert!(matches!(checked("http://127.0.0.1:8080/jwks"), Ok(false)));
        assert!(matches!(checked("http://[::1]:8080/jwks"), Ok(false)));
        assert!(matches!(
            checked("http://issuer.example.com/jwks"),
            Err(AddressError::Unencrypted { .. })
        ));
        assert!(matches!(
            checked("http://localhost.example.com/"),
            Err(AddressError::Unencrypted { .. })
        ));
        assert!(matches!(
            checked("https://ada:pw@issuer.example.com/"),
            Err(AddressError::Credentials)
        ));
        for url in ["", "issuer", "file:///etc/passwd", "ftp://127.0.0.1/"] {
            assert!(matches!(checked(url), Err(AddressError::NotAnAddress { .. })), "{url}");
        }
        assert!(matches!(
            encryption(Some(b"no certificate"), WORDING),
            Err(AddressError::NoAuthorities { .. })
        ));
    }
}
