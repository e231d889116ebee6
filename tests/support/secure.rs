//! TLS as a client speaks it: certificates for tests, and streams that trust them.

#![expect(unreachable_pub, reason = "each test is a crate of its own")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanwire::config::Config;
use fanwire::server::Running;
use fanwire::server::Server;
use rcgen::CertificateParams;
use rcgen::Issuer;
use rcgen::KeyPair;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::StreamOwned;
use rustls::SupportedProtocolVersion;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// A client's end of a connection that is encrypted.
pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// A folder that goes when the test ends.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fanwire-tls-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Writes a certificate for these names as `<file>.pem` and its key as `<file>.key`, each as a whole; a client trusts what is returned.
    pub fn certify(&self, file: &str, names: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let certificate = made.der().clone();
        self.replace(&format!("{file}.key"), &pem("PRIVATE KEY", &key.serialize_der()));
        self.replace(&format!("{file}.pem"), &pem("CERTIFICATE", &certificate));
        certificate
    }

    pub fn replace(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Who signs clients' certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// A client's certificate and key, as its library takes them.
pub type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let made = params.self_signed(&key).unwrap();
        Self { pem: pem("CERTIFICATE", made.der()), issuer: Issuer::new(params, key) }
    }

    /// Writes what others know it by.
    pub fn publish(&self, folder: &Folder, name: &str) {
        folder.replace(name, &self.pem);
    }

    /// Signs a certificate for a client, with what is filled in.
    pub fn sign(&self, fill: impl FnOnce(&mut CertificateParams)) -> Shown {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        fill(&mut params);
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        (vec![made.der().clone()], key)
    }

    /// The same for one name of a host.
    pub fn sign_host(&self, name: &str) -> Shown {
        let name = name.to_owned().try_into().unwrap();
        self.sign(|params| params.subject_alt_names = vec![rcgen::SanType::DnsName(name)])
    }
}

/// A client that trusts this certificate, shows another if it has one, and speaks these versions.
pub fn showing(
    trusted: &CertificateDer<'static>,
    shown: Option<&Shown>,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
    Arc::new(match shown {
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain.clone(), key.clone_key()).unwrap()
        }
        None => builder.with_no_client_auth(),
    })
}

/// Writes what a client shows where a command finds it.
pub fn write_shown(folder: &Folder, file: &str, (chain, key): &Shown) {
    let all: String = chain.iter().map(|one| pem("CERTIFICATE", one)).collect();
    folder.replace(&format!("{file}.pem"), &all);
    folder.replace(&format!("{file}.key"), &pem("PRIVATE KEY", key.secret_der()));
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

/// What a file of certificates holds first.
pub fn read(path: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(Path::new(path)).unwrap()
}

/// A client that trusts these certificates only, and speaks these versions.
pub fn trusting_in(
    certificates: &[CertificateDer<'static>],
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(versions).unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// The same, of every version.
pub fn trusting(certificates: &[CertificateDer<'static>]) -> Arc<ClientConfig> {
    Arc::new(trusting_in(certificates, rustls::ALL_VERSIONS))
}

/// Connects to a name at an address, without having said anything yet.
pub fn connect(address: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> Stream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.set_nodelay(true).unwrap();
    on(socket, name, config)
}

/// The same on a socket that is connected.
pub fn on(socket: TcpStream, name: &str, config: &Arc<ClientConfig>) -> Stream {
    let name = name.to_owned().try_into().unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket)
}

/// What a configuration's text says, for a server of so many shards.
pub fn config(shards: u16, text: &str) -> Config {
    let text = format!(
        "listen = '127.0.0.1:0'\nshards = {shards}\npin = false\nconnections_max = 1000\n{text}"
    );
    Config::parse(&text, Path::new("fanwire.toml")).unwrap()
}

/// A server that stops when the test ends.
#[derive(Debug)]
pub struct Secured {
    running: Option<Running>,
    pub folder: Folder,
    pub certificate: CertificateDer<'static>,
}

impl Secured {
    /// With `/echo`, and a certificate for `localhost` that changes when `one.pem` and `one.key` do.
    pub fn start(shards: u16, more: &str) -> Self {
        let folder = Folder::new();
        let certificate = folder.certify("one", &["localhost"]);
        let (file, key) = (folder.path("one.pem"), folder.path("one.key"));
        let text =
            format!("echo = true\ntls.certificate_file = '{file}'\ntls.key_file = '{key}'\n{more}");
        let running = Some(Server::start(&config(shards, &text)).unwrap());
        Self { running, folder, certificate }
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }

    pub fn address(&self) -> SocketAddr {
        self.running().address()
    }

    pub fn client(&self) -> Arc<ClientConfig> {
        trusting(std::slice::from_ref(&self.certificate))
    }

    pub fn connect(&self) -> Stream {
        connect(self.address(), "localhost", &self.client())
    }

    /// Asks for a path, and reads to the end, which must be said.
    pub fn ask(&self, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            let _cut_off = running.join();
        }
    }
}
