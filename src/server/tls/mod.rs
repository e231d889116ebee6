//! Certificates: from what is configured to what the shards show their clients, and what takes its place when files change.
//!
//! Invariants: what cannot be used stops the start, with the key that names it; once the server runs, it changes nothing, and the log says why. Keys for
//! resuming sessions are the same on every shard and outlive every change. Never disconnects anybody.

mod by_name;
mod clients;
mod ordering;
mod proofs;
mod self_signed;
mod watch;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::SignatureAlgorithm;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::NoServerSessionStorage;
use rustls::server::ProducesTickets;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::written::file;
use super::written::unusable;
use crate::acme;
use crate::acme::Shown;
use crate::auth::Certificate;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::ConfigError;
use crate::limits::TLS_CERTIFICATES_MAX;
use crate::shard::Port;
use by_name::ByName;
pub(super) use ordering::Ordering;
pub(super) use ordering::settings as ordered;
use self_signed::SelfSigned;
pub(super) use watch::Watching;

/// The one protocol inside of TLS, as clients name it (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// The keys that listeners are set with, and what each is.
fn listeners(config: &Config) -> impl Iterator<Item = (String, Port)> {
    let own = config.guests().map(|(key, _)| (format!("{key}.listen"), Port::Own(key)));
    let redirect = ("tls.redirect_listen".to_owned(), Port::Redirect);
    std::iter::once(("listen".to_owned(), Port::Shared)).chain(own).chain([redirect])
}

/// Refuses a list of listeners that names something else.
pub(super) fn check_listeners(
    config: &Config,
    key: &str,
    named: &[String],
) -> Result<(), ConfigError> {
    let is_none = |name: &&String| listeners(config).all(|(key, _)| key != **name);
    let Some(unknown) = named.iter().find(is_none) else { return Ok(()) };
    let names: Vec<String> = listeners(config).map(|(key, _)| key).collect();
    let reason = format!("\"{unknown}\" is no listener; they are {}", names.join(", "));
    Err(unusable(config, key, reason))
}

/// Where certificates come from.
pub(super) struct Certificates {
    /// The key that is to blame for one, its file, and its private key's.
    files: Vec<(String, String, String)>,
    self_signed: Option<SelfSigned>,
    /// The file of the one that an authority issues, which may not be there yet.
    ordered: Option<String>,
    /// What an authority is to see now.
    proofs: Vec<(Box<str>, Arc<CertifiedKey>)>,
    provider: Arc<CryptoProvider>,
    tickets: Arc<dyn ProducesTickets>,
    /// The text of the file of clients' authorities by which sessions were begun: whoever resumes one is not checked again.
    authorities: Vec<u8>,
    config: Config,
    /// What the files were before they were read last.
    read_as: Vec<Stamp>,
    /// When the first of those that are shown is over, in seconds since 1970.
    ends_at_s: Option<u64>,
}

/// A certificate that the server would show.
#[derive(Clone, Debug)]
pub(super) struct LookedAt {
    pub(super) file: String,
    /// Seconds since 1970.
    pub(super) begins_at_s: u64,
    pub(super) ends_at_s: u64,
    pub(super) is_rsa: bool,
}

/// The text of a file of authorities, and who checks what they have signed.
type Authorities = (Vec<u8>, Arc<dyn ClientCertVerifier>);

/// What a file was when it was read; `None`: it was not there.
type Stamp = Option<(i64, i64, u64, u64)>;

/// Whether a listener speaks TLS.
pub(super) fn is_secured(config: &Config, port: Port) -> bool {
    let tls = &config.tls;
    let is_plain =
        || listeners(config).any(|(key, of)| of == port && tls.plain_listeners.contains(&key));
    tls.is_on() && port != Port::Redirect && !is_plain()
}

/// The port by which clients reach the listener that all dialects share, encrypted.
pub(super) fn https_port(config: &Config) -> Result<u16, ConfigError> {
    let tls = &config.tls;
    let port = u16::try_from(tls.redirect_port).unwrap_or(0);
    let port = if port == 0 { config.listen.port() } else { port };
    if tls.redirect_listen.is_none() {
        return Ok(port);
    }
    let key = "tls.redirect_listen";
    if !is_secured(config, Port::Shared) {
        let reason = "there is nothing to send clients to: `listen` does not speak TLS";
        return Err(unusable(config, key, reason));
    }
    if port == 0 {
        let reason = "`listen` takes any port, so set `tls.redirect_port`";
        return Err(unusable(config, key, reason));
    }
    Ok(port)
}

impl Certificates {
    /// What is configured; `None`: no TLS.
    pub(super) fn new(config: &Config) -> Result<Option<Self>, ConfigError> {
        let tls = &config.tls;
        check_listeners(config, "tls.plain_listeners", &tls.plain_listeners)?;
        let mut files = Vec::new();
        match (tls.certificate_file.as_str(), tls.key_file.as_str()) {
            ("", "") => {}
            (_, "") => {
                let reason = "its private key is missing: set `tls.key_file`";
                return Err(unusable(config, "tls.certificate_file", reason));
            }
            ("", _) => {
                let reason = "its certificate is missing: set `tls.certificate_file`";
                return Err(unusable(config, "tls.key_file", reason));
            }
            (file, key_file) => {
                files.push((
                    "tls.certificate_file".to_owned(),
                    file.to_owned(),
                    key_file.to_owned(),
                ));
            }
        }
        for (index, one) in tls.certificates.iter().enumerate() {
            let key = format!("tls.certificates[{index}]");
            files.push((key, one.file.clone(), one.key_file.clone()));
        }
        if files.len() > TLS_CERTIFICATES_MAX {
            let reason =
                format!("{} certificates; at most {TLS_CERTIFICATES_MAX} may be", files.len());
            return Err(unusable(config, "tls.certificates", reason));
        }
        if !tls.is_on() {
            if !tls.client_ca_file.is_empty() {
                let reason = "there is no TLS to show a certificate in";
                return Err(unusable(config, "tls.client_ca_file", reason));
            }
            return Ok(None);
        }
        if tls.client_required && tls.client_ca_file.is_empty() {
            let reason = "nobody can show a certificate: set `tls.client_ca_file`";
            return Err(unusable(config, "tls.client_required", reason));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tickets = aws_lc_rs::Ticketer::new()
            .map_err(|error| unusable(config, "tls.certificate_file", error))?;
        let names = Some(&tls.self_signed).filter(|names| !names.is_empty());
        let self_signed = names.map(|names| SelfSigned::new(names, &tls.folder));
        let ordered = ordering::settings(config)?.map(|settings| {
            acme::certificate_path(&settings.folder).to_string_lossy().into_owned()
        });
        Ok(Some(Self {
            files,
            self_signed,
            ordered,
            proofs: Vec::new(),
            provider,
            tickets,
            authorities: Vec::new(),
            config: config.clone(),
            read_as: Vec::new(),
            ends_at_s: None,
        }))
    }

    /// Reads the files, and makes what is missing.
    pub(super) fn load(&mut self, clock: Clock) -> Result<Arc<ServerConfig>, ConfigError> {
        // Whatever happens to a file from here on is a change.
        self.read_as = self.stamps();
        let mut shown = self.certified()?;
        shown.extend(self.ordered());
        if let Some(own) = &mut self.self_signed {
            let made = own
                .current(clock)
                .and_then(|(chain, key)| certified(chain, key, &self.provider))
                .map_err(|reason| unusable(&self.config, "tls.self_signed", reason))?;
            shown.push(made);
        }
        self.ends_at_s = shown.iter().filter_map(end_of).min();
        let resolver = ByName::new(shown, self.proofs.clone());
        let resolver =
            resolver.map_err(|error| unusable(&self.config, "tls.certificate_file", error))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&self.config, "tls.certificate_file", error))?;
        let builder = match self.clients()? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut made = builder.with_cert_resolver(Arc::new(resolver));
        made.alpn_protocols = vec![ALPN.to_vec()];
        if !self.proofs.is_empty() {
            made.alpn_protocols.push(acme::ALPN.to_vec());
        }
        made.ticketer = Arc::clone(&self.tickets);
        // A session that is resumed is in its ticket: nothing is remembered here of those who have left.
        made.session_storage = Arc::new(NoServerSessionStorage {});
        made.send_tls13_tickets = 1;
        Ok(Arc::new(made))
    }

    /// When the first of those that were loaded last is over, in seconds since 1970; `None`: there is none.
    pub(super) const fn ends_at_s(&self) -> Option<u64> {
        self.ends_at_s
    }

    /// What the files hold.
    fn certified(&self) -> Result<Vec<CertifiedKey>, ConfigError> {
        let read = |(key, file, key_file): &(String, String, String)| {
            let found = self.read(file, key_file);
            found.map_err(|reason| unusable(&self.config, key, reason))
        };
        self.files.iter().map(read).collect()
    }

    /// What an authority has issued, if it is there. One that cannot be used is ordered again, which the others need not wait for.
    fn ordered(&self) -> Option<CertifiedKey> {
        let path = self.ordered.as_ref().filter(|path| Path::new(path).exists())?;
        let read = self.read(path, path);
        read.inspect_err(|reason| {
            tracing::warn!(reason, "the certificate that was issued cannot be used");
        })
        .ok()
    }

    /// What an authority is to see from now on, in place of what it was to see before.
    ///
    /// # Errors
    /// If it cannot be made.
    fn set_proofs(&mut self, shown: &[Shown]) -> Result<(), String> {
        let made = shown.iter().map(|one| proofs::proof(one, &self.provider));
        self.proofs = made.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// What the files hold that can be read: how long each is good, and by what kind of key.
    pub(super) fn looked_at(&self) -> Vec<LookedAt> {
        let look = |(file, key_file): (&String, &String)| {
            let certified = self.read(file, key_file).ok()?;
            let read = Certificate::read(certified.cert.first()?).ok()?;
            Some(LookedAt {
                file: file.clone(),
                begins_at_s: read.begins_at_s,
                ends_at_s: read.ends_at_s,
                is_rsa: certified.key.algorithm() == SignatureAlgorithm::RSA,
            })
        };
        let own = self.files.iter().map(|(_, file, key_file)| (file, key_file));
        own.chain(self.ordered.iter().map(|path| (path, path))).filter_map(look).collect()
    }

    /// Whether everything can be used that there is. Makes nothing.
    ///
    /// # Errors
    /// What cannot.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        ByName::new(self.certified()?, Vec::new())
            .map_err(|error| unusable(&self.config, "tls.certificate_file", error))?;
        self.authorities().map(drop)
    }

    /// Goes on in the place of another: who has begun a session with that one resumes it here, as far as the same authorities checked it.
    pub(super) fn follow(&mut self, former: Self) {
        self.tickets = former.tickets;
        self.authorities = former.authorities;
        self.proofs = former.proofs;
    }

    /// Who checks what clients show, if they are asked.
    fn clients(&mut self) -> Result<Option<Arc<dyn ClientCertVerifier>>, ConfigError> {
        let (text, verifier) = match self.authorities()? {
            Some((text, verifier)) => (text, Some(verifier)),
            None => (Vec::new(), None),
        };
        if text != self.authorities {
            self.tickets = aws_lc_rs::Ticketer::new()
                .map_err(|error| unusable(&self.config, "tls.client_ca_file", error))?;
            self.authorities = text;
        }
        Ok(verifier)
    }

    /// What the file of clients' authorities holds, and who checks by them, if clients are asked.
    fn authorities(&self) -> Result<Option<Authorities>, ConfigError> {
        let tls = &self.config.tls;
        let (key, path) = ("tls.client_ca_file", tls.client_ca_file.as_str());
        if path.is_empty() {
            return Ok(None);
        }
        let text = file(&self.config, key, path)?;
        let made = clients::verifier(&text, tls.client_required, &self.provider);
        let made =
            made.map_err(|reason| unusable(&self.config, key, format_args!("{path}: {reason}")))?;
        Ok(Some((text.to_vec(), made)))
    }

    fn read(&self, file: &str, key_file: &str) -> Result<CertifiedKey, String> {
        let chain =
            CertificateDer::pem_file_iter(file).map_err(|error| format!("{file}: {error}"))?;
        let chain: Result<Vec<_>, _> = chain.collect();
        let chain = chain.map_err(|error| format!("{file}: {error}"))?;
        if chain.is_empty() {
            return Err(format!("{file}: there is no certificate in it"));
        }
        let text = fs::read(key_file).map_err(|error| format!("{key_file}: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(&Zeroizing::new(text))
            .map_err(|error| format!("{key_file}: {error}"))?;
        certified(chain, key, &self.provider)
            .map_err(|error| format!("{file} with {key_file}: {error}"))
    }

    /// What the files are now.
    fn stamps(&self) -> Vec<Stamp> {
        let paths = self.files.iter().flat_map(|(_, file, key_file)| [file, key_file]);
        let paths = paths.chain([&self.config.tls.client_ca_file]).chain(&self.ordered);
        let stamp = |path: &String| {
            let found = fs::metadata(path).ok()?;
            Some((found.mtime(), found.mtime_nsec(), found.ino(), found.size()))
        };
        paths.map(stamp).collect()
    }

    /// Whether there is something else to be read than there was, or the certificate that the server has signed itself is to be renewed.
    pub(super) fn is_due(&self, clock: Clock) -> bool {
        self.stamps() != self.read_as
            || self.self_signed.as_ref().is_some_and(|own| own.is_due(clock))
    }
}

/// When a certificate is over, in seconds since 1970, if that can be read.
fn end_of(one: &CertifiedKey) -> Option<u64> {
    Some(Certificate::read(one.cert.first()?).ok()?.ends_at_s)
}

/// A certificate with the key that belongs to it, which is overwritten once the library has made its own of it.
fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    let key = Zeroizing::new(key);
    let certified = CertifiedKey::from_der(chain, key.clone_key(), provider);
    certified.map_err(|error| error.to_string())
}
