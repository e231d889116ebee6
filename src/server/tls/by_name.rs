//! Which of several certificates a client is shown: that of the name that it asks for (SNI, RFC 6066 section 3).
//!
//! Invariants: a name of its own goes before one with a wildcard, and among equals the first that is configured; of those only what the client can check
//! (its signature schemes) is taken. Who asks for no name, or for one that there is none for, is shown the first. An authority that looks whether a name is ours (RFC 8737) is shown
//! what it is to see, and nothing else; nobody else is shown that.

use std::sync::Arc;

use rustls::server::ClientHello;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use crate::acme;

/// All of them, in the order in which they are configured.
#[derive(Debug)]
pub(super) struct ByName {
    shown: Vec<(Vec<Box<str>>, Arc<CertifiedKey>)>,
    /// What an authority is to see, by the name that it asks for.
    proofs: Vec<(Box<str>, Arc<CertifiedKey>)>,
}

impl ByName {
    /// Reads which names each is for.
    pub(super) fn new(
        certified: Vec<CertifiedKey>,
        proofs: Vec<(Box<str>, Arc<CertifiedKey>)>,
    ) -> Result<Self, webpki::Error> {
        let named = certified.into_iter().map(|one| {
            let end = EndEntityCert::try_from(&one.cert[0])?;
            let names = end.valid_dns_names().map(|name| name.to_ascii_lowercase().into());
            Ok((names.collect(), Arc::new(one)))
        });
        Ok(Self { shown: named.collect::<Result<_, _>>()?, proofs })
    }

    /// What an authority is shown that asks for this name.
    fn proof(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let found = self.proofs.iter().find(|(of, _)| of.eq_ignore_ascii_case(name));
        found.map(|(_, key)| Arc::clone(key))
    }

    /// The place of the best one for a name, of those that `can_be_checked`.
    fn find(
        &self,
        name: Option<&str>,
        can_be_checked: impl Fn(&CertifiedKey) -> bool,
    ) -> Option<usize> {
        let name = name.map(str::to_ascii_lowercase);
        let name = name.as_deref();
        let wildcard =
            name.and_then(|name| name.split_once('.')).map(|(_, rest)| format!("*.{rest}"));
        let is_for = |wanted: Option<&str>, (names, key): &(Vec<Box<str>>, Arc<CertifiedKey>)| {
            can_be_checked(key)
                && wanted.is_some_and(|wanted| names.iter().any(|name| **name == *wanted))
        };
        let exactly = self.shown.iter().position(|one| is_for(name, one));
        exactly
            .or_else(|| self.shown.iter().position(|one| is_for(wildcard.as_deref(), one)))
            .or_else(|| self.shown.iter().position(|(_, key)| can_be_checked(key)))
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Whoever offers this protocol and no other is an authority (RFC 8737 section 3).
        let is_authority = hello.alpn().is_some_and(|offered| offered.into_iter().eq([acme::ALPN]));
        if is_authority {
            return self.proof(hello.server_name()?);
        }
        let schemes = hello.signature_schemes();
        let can_be_checked = |one: &CertifiedKey| one.key.choose_scheme(schemes).is_some();
        let place = self.find(hello.server_name(), can_be_checked)?;
        Some(Arc::clone(&self.shown[place].1))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;
    use rcgen::generate_simple_self_signed;
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::PrivateKeyDer;

    use super::*;

    fn of(names: &[&str]) -> CertifiedKey {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made: rcgen::CertifiedKey<KeyPair> = generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        CertifiedKey::from_der(vec![made.cert.into()], key, &default_provider()).unwrap()
    }

    #[test]
    fn the_name_that_is_asked_for_decides() {
        let all = vec![
            of(&["first.example"]),
            of(&["*.example.org"]),
            of(&["a.example.org", "B.example.org"]),
            of(&["a.example.org"]),
        ];
        let all =
            ByName::new(all, vec![("a.example.org".into(), Arc::new(of(&["proof"])))]).unwrap();
        let proof = all.proof("A.example.org").unwrap();
        assert!(all.shown.iter().all(|(_, shown)| !Arc::ptr_eq(shown, &proof)));
        assert!(all.proof("b.example.org").is_none(), "nothing is to be seen of it");
        let found = |name: Option<&str>| all.find(name, |_| true);
        assert_eq!(found(Some("a.example.org")), Some(2));
        assert_eq!(found(Some("A.Example.ORG")), Some(2));
        assert_eq!(found(Some("b.example.org")), Some(2));
        assert_eq!(found(Some("c.example.org")), Some(1));
        assert_eq!(found(Some("example.org")), Some(0), "a wildcard is for one label");
        assert_eq!(found(Some("d.c.example.org")), Some(0), "and for one only");
        assert_eq!(found(Some("elsewhere")), Some(0));
        assert_eq!(found(None), Some(0));
        assert_eq!(all.find(Some("a.example.org"), |_| false), None);
        let second = Arc::as_ptr(&all.shown[2].1);
        let without = |one: &CertifiedKey| !std::ptr::eq(one, second);
        assert_eq!(all.find(Some("a.example.org"), without), Some(3), "what can be checked");
    }
}
