//! What an authority is shown that looks whether a name is ours: a certificate that the server signs itself, with what the authority has asked for in it (TLS-ALPN-01, RFC 8737).
//!
//! Invariant: it is for one name, and holds nothing but that name and the digest.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::CertificateParams;
use rcgen::CustomExtension;
use rcgen::KeyPair;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;

use crate::acme::Shown;

/// Such a certificate, and the name by which the authority asks for it.
///
/// # Errors
/// If none can be made.
pub(super) fn proof(
    shown: &Shown,
    provider: &CryptoProvider,
) -> Result<(Box<str>, Arc<CertifiedKey>), String> {
    let made = || -> Result<_, rcgen::Error> {
        let mut params = CertificateParams::new(vec![shown.name.clone()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&shown.digest)];
        let key = KeyPair::generate()?;
        Ok((params.self_signed(&key)?.der().clone(), key.serialize_der()))
    };
    let (certificate, key) = made().map_err(|error| error.to_string())?;
    let key = provider.key_provider.load_private_key(PrivateKeyDer::Pkcs8(key.into()));
    let key = key.map_err(|error| error.to_string())?;
    // Not checked against the key: the extension is critical, and what checks certificates here does not know it.
    let certified = CertifiedKey::new(vec![certificate], key);
    Ok((asked_for(&shown.name).into(), Arc::new(certified)))
}

/// The name that the authority asks for: of an address the one that it has backwards (RFC 8738 section 6).
fn asked_for(name: &str) -> String {
    match name.parse() {
        Ok(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Ok(IpAddr::V6(address)) => {
            let bytes = address.octets();
            let digits = bytes.iter().rev().flat_map(|byte| [byte & 0xf, byte >> 4]);
            let labels: String = digits.map(|digit| format!("{digit:x}.")).collect();
            format!("{labels}ip6.arpa")
        }
        Err(_) => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::*;

    #[test]
    fn an_address_is_asked_for_backwards() {
        assert_eq!(asked_for("a.example.org"), "a.example.org");
        assert_eq!(asked_for("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        let zeros = "0.".repeat(20);
        assert_eq!(asked_for("2001:db8::1"), format!("1.0.0.0.{zeros}8.b.d.0.1.0.0.2.ip6.arpa"));
    }

    #[test]
    fn it_holds_the_digest_as_the_standard_has_it() {
        let shown = Shown { name: "a.example.org".to_owned(), digest: [7; 32] };
        let (name, proof) = proof(&shown, &default_provider()).unwrap();
        assert_eq!(&*name, "a.example.org");
        // 1.3.6.1.5.5.7.1.31, critical, an octet string in an octet string (RFC 8737 section 3).
        let mut extension =
            vec![0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 1, 0x1f, 1, 1, 0xff, 4, 34, 4, 32];
        extension.extend([7; 32]);
        let der = proof.cert[0].as_ref();
        assert!(der.windows(extension.len()).any(|bytes| bytes == extension), "{der:?}");
    }
}
