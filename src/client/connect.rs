//! A connection to a server, as TCP or as TLS over it, and whom to trust with the latter.
//!
//! Invariants: a connection is made within `CONNECT_WAIT_MAX`, the TLS handshake included; unless `Trust::anyone` the server has shown a certificate
//! for its name that the machine's authorities, or those of `Trust::authorities`, vouch for. Never looks at what is said.

use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use hyper::header::HeaderValue;
use rustls::ClientConfig;
use rustls::ConfigBuilder;
use rustls::RootCertStore;
use rustls::client::WantsClientCert;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use crate::client::endpoint::Endpoint;
use crate::client::limits::CONNECT_WAIT_MAX;

/// Whom to trust with an encrypted connection, and as whom to come. Usually: the machine's authorities, as nobody.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// A PEM file with the certificate authorities that are trusted instead of the machine's.
    pub authorities: Option<PathBuf>,
    /// Any certificate is taken: whoever is in between can read and change everything.
    pub anyone: bool,
    /// PEM files with a certificate and its private key, shown to a server that asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A server, and how it is connected to.
#[derive(Clone)]
pub(crate) struct Way {
    pub(crate) endpoint: Endpoint,
    tls: Option<TlsConnector>,
    /// Where the token is that every request shows.
    token_file: Option<PathBuf>,
}

/// An open connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Way {
    /// Without encryption, as within a machine.
    pub(crate) const fn plain(endpoint: Endpoint) -> Self {
        Self { endpoint, tls: None, token_file: None }
    }

    /// As the endpoint's scheme says.
    ///
    /// # Errors
    /// If the authorities cannot be read, or there are none.
    pub(crate) fn new(endpoint: Endpoint, trust: &Trust) -> io::Result<Self> {
        if !endpoint.is_encrypted {
            return Ok(Self::plain(endpoint));
        }
        let tls = TlsConnector::from(Arc::new(client_config(trust)?));
        Ok(Self { endpoint, tls: Some(tls), token_file: None })
    }

    /// The same, as who shows the token of a file, which is read anew for each connection: it may be replaced before the token in it is over.
    ///
    /// # Errors
    /// If the file cannot be read, or holds no token.
    pub(crate) fn showing(self, token_file: Option<PathBuf>) -> io::Result<Self> {
        let way = Self { token_file, ..self };
        way.authorization().map(|_| way)
    }

    /// What a request says of who asks (`Authorization`), if that is somebody.
    ///
    /// # Errors
    /// If the file cannot be read, or holds no token.
    pub(crate) fn authorization(&self) -> io::Result<Option<HeaderValue>> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("the token file {}: {error}", path.display()))
        };
        let text = Zeroizing::new(std::fs::read_to_string(path).map_err(named)?);
        let bearer = Zeroizing::new(format!("Bearer {}", text.trim()));
        let value = HeaderValue::from_str(&bearer).ok().filter(|_| !text.trim().is_empty());
        let mut value = value
            .ok_or_else(|| named(io::Error::new(io::ErrorKind::InvalidData, "it is no token")))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// Connects, without Nagle's delay.
    ///
    /// # Errors
    /// If there is nobody, or nobody who is trusted, or it takes too long.
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        let connecting = async {
            let stream = TcpStream::connect((&*self.endpoint.host, self.endpoint.port)).await?;
            stream.set_nodelay(true)?;
            let Some(tls) = &self.tls else { return Ok(Stream::Plain(stream)) };
            let name = ServerName::try_from(self.endpoint.host.clone())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            Ok(Stream::Tls(Box::new(tls.connect(name, stream).await?)))
        };
        timeout(CONNECT_WAIT_MAX, connecting)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// What the socket said, if that is what an error is about.
pub(crate) fn io_error(error: hyper::Error) -> io::Error {
    let cause = std::error::Error::source(&error).and_then(|it| it.downcast_ref::<io::Error>());
    match cause {
        Some(cause) => io::Error::new(cause.kind(), cause.to_string()),
        None => io::Error::new(io::ErrorKind::UnexpectedEof, error),
    }
}

fn client_config(trust: &Trust) -> io::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    if trust.anyone {
        let anyone = Arc::new(Anyone(provider));
        let builder = builder.dangerous().with_custom_certificate_verifier(anyone);
        return as_whom(builder, trust);
    }
    as_whom(builder.with_root_certificates(authorities(trust)?), trust)
}

/// Shows a certificate, if there is one.
fn as_whom(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    trust: &Trust,
) -> io::Result<ClientConfig> {
    let Some((file, key_file)) = &trust.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let named = |path: &Path, error: &dyn fmt::Display| {
        io::Error::other(format!("{}: {error}", path.display()))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let chain = chain.map_err(|error| named(file, &error))?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| named(key_file, &error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| named(file, &error))
}

fn authorities(trust: &Trust) -> io::Result<RootCertStore> {
    let (certificates, whose) = match &trust.authorities {
        Some(path) => {
            let whose = path.display().to_string();
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            let certificates: Vec<CertificateDer<'static>> =
                read.map_err(|error| io::Error::other(format!("{whose}: {error}")))?;
            (certificates, whose)
        }
        None => (rustls_native_certs::load_native_certs().certs, "this machine".to_owned()),
    };
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(io::Error::other(format!("{whose} has no certificate authorities: see --ca")));
    }
    Ok(store)
}

/// Takes every certificate; signatures are still checked, so that the far end is the one that showed it.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use rustls::ServerConfig;
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
    }

    /// Greets whoever trusts it.
    async fn greet(listener: TcpListener) {
        let chain = CertificateDer::pem_file_iter(fixture("localhost.pem")).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(fixture("localhost.key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (stream, _) = listener.accept().await.unwrap();
        // Who does not trust it leaves in the middle of the handshake, which is what is asked about.
        if let Ok(mut stream) = acceptor.accept(stream).await {
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    }

    fn heard(url: impl Fn(SocketAddr) -> String, trust: &Trust) -> io::Result<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = Endpoint::parse(&url(listener.local_addr().unwrap())).unwrap();
            let server = tokio::spawn(greet(listener));
            let way = Way::new(endpoint, trust)?;
            let outcome = match way.connect().await {
                Ok(mut stream) => {
                    let mut text = String::new();
                    stream.read_to_string(&mut text).await.map(|_| text)
                }
                Err(error) => Err(error),
            };
            server.await.unwrap();
            outcome
        })
    }

    #[test]
    fn a_server_is_trusted_by_its_authority_and_by_name() {
        let ours = Trust { authorities: Some(fixture("ca.pem")), ..Trust::default() };
        let by_name = |address: SocketAddr| format!("wss://localhost:{}", address.port());
        let by_address = |address: SocketAddr| format!("https://{address}");
        assert_eq!(heard(by_name, &ours).unwrap(), "hello");
        assert_eq!(heard(by_address, &ours).unwrap(), "hello");
        let stranger = heard(by_name, &Trust::default()).unwrap_err().to_string();
        assert!(stranger.contains("certificate") || stranger.contains("authorities"), "{stranger}");
        let anyone = Trust { anyone: true, ..Trust::default() };
        assert_eq!(heard(by_address, &anyone).unwrap(), "hello");
    }

    #[test]
    fn a_file_without_authorities_is_named() {
        let trust = Trust { authorities: Some(fixture("README.md")), ..Trust::default() };
        let way = Way::new(Endpoint::parse("https://localhost").unwrap(), &trust);
        let error = way.unwrap_err().to_string();
        assert!(error.contains("README.md") && error.contains("--ca"), "{error}");
    }

    #[test]
    fn a_token_is_read_anew_for_each_connection_and_shown_to_nobody_else() {
        let path = std::env::temp_dir().join(format!("fanwire-token-{}", std::process::id()));
        let way = || Way::plain(Endpoint::parse("http://127.0.0.1:1").unwrap());
        let missing = way().showing(Some(path.clone())).unwrap_err().to_string();
        assert!(missing.starts_with(&format!("the token file {}: ", path.display())), "{missing}");
        for text in ["", " \n", "two\nlines"] {
            std::fs::write(&path, text).unwrap();
            let said = way().showing(Some(path.clone())).unwrap_err().to_string();
            assert!(said.ends_with(": it is no token"), "{text:?}: {said}");
        }
        std::fs::write(&path, "first\n").unwrap();
        let way = way().showing(Some(path.clone())).unwrap();
        for token in ["first", "second"] {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            let shown = way.authorization().unwrap().unwrap();
            assert_eq!(shown, format!("Bearer {token}"));
            assert_eq!(format!("{shown:?}"), "Sensitive");
        }
        std::fs::remove_file(path).unwrap();
    }
}
