//! TLS as a client speaks it: certificates for tests, and streams that trust them.

#![expect(unreachable_pub, reason = "each test is a crate of its own")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rcgen::CertificateParams;
use rcgen::KeyPair;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::StreamOwned;
use rustls::SupportedProtocolVersion;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
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
