//! Whose certificates clients may show: the authorities of a file, and how much a client may say of itself.
//!
//! Invariants: what has no authority's signature, is over, or is longer than `TLS_CLIENT_CHAIN_BYTES_MAX` ends its handshake. Never decides what a client may do.

use std::sync::Arc;

use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;

use crate::limits::TLS_CLIENT_CHAIN_BYTES_MAX;

/// Checks what clients show: the library's own checks, of so many bytes at most.
#[derive(Debug)]
struct Bounded(Arc<dyn ClientCertVerifier>);

/// Who checks it, by the authorities that a file's text names.
///
/// # Errors
/// If there is none among them that can be used.
pub(super) fn verifier(
    text: &[u8],
    is_required: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if is_required { builder } else { builder.allow_unauthenticated() };
    let inner = builder.build().map_err(|error| error.to_string())?;
    Ok(Arc::new(Bounded(inner)))
}

impl ClientCertVerifier for Bounded {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let bytes: usize = own.len() + others.iter().map(|one| one.len()).sum::<usize>();
        if bytes > TLS_CLIENT_CHAIN_BYTES_MAX {
            let reason = format!(
                "the client's certificates have {bytes} bytes; {TLS_CLIENT_CHAIN_BYTES_MAX} are the most"
            );
            return Err(rustls::Error::General(reason));
        }
        self.0.verify_client_cert(own, others, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
