//! One order, from the first request to the certificate.
//!
//! Invariants: what is shown to the authority is shown on every core before it is asked to look, and no longer once the order is over, whatever came of it. The key is new for each certificate
//! (ECDSA on P-256), and leaves this process in the file that is kept only.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use instant_acme::Account;
use instant_acme::AuthorizationStatus;
use instant_acme::CertificateIdentifier;
use instant_acme::ChallengeType;
use instant_acme::Error;
use instant_acme::Identifier;
use instant_acme::NewOrder;
use instant_acme::Order;
use instant_acme::OrderStatus;
use instant_acme::RetryPolicy;
use rcgen::CertificateParams;
use rcgen::DistinguishedName;
use rcgen::KeyPair;
use zeroize::Zeroizing;

use super::AcmeSettings;
use super::Proof;
use super::Shown;
use super::Stage;
use crate::limits::ACME_POLL_S_MAX;
use crate::outbound::AddressError;

/// Why there is no certificate.
#[derive(Debug)]
pub(super) enum Failure {
    /// The authority, or the way there.
    Authority(Box<Error>),
    /// The authority's address.
    Address(AddressError),
    /// The order took too long.
    TookTooLong,
    /// The authority has looked, and not seen what it should.
    NotOurs(String),
    /// The authority does not check names in the way that is configured.
    NoSuchProof(String),
    /// What it is to see cannot be shown.
    NotShown(String),
    /// No key or request could be made.
    Request(rcgen::Error),
    /// The certificate cannot be kept.
    Kept(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authority(error) => write!(f, "{error}"),
            Self::Address(error) => write!(f, "{error}"),
            Self::TookTooLong => write!(f, "it took too long"),
            Self::NotOurs(reason) => {
                write!(f, "the authority has not seen what it looked for: {reason}")
            }
            Self::NoSuchProof(name) => {
                write!(
                    f,
                    "the authority does not check {name} in the way that `tls.acme_challenge` says"
                )
            }
            Self::NotShown(reason) => {
                write!(f, "what the authority is to see is not shown: {reason}")
            }
            Self::Request(error) => write!(f, "no request for a certificate can be made: {error}"),
            Self::Kept(reason) => write!(f, "it cannot be kept: {reason}"),
        }
    }
}

impl Failure {
    /// Whether the authority does not know who asks (RFC 8555 section 6.7).
    pub(super) fn is_unknown_account(&self) -> bool {
        let Self::Authority(error) = self else { return false };
        let Error::Api(problem) = &**error else { return false };
        problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Timeout(_) => Self::TookTooLong,
            error => Self::Authority(Box::new(error)),
        }
    }
}

/// What was issued, in PEM.
pub(super) struct Issued {
    pub(super) chain: String,
    pub(super) key: Zeroizing<String>,
}

/// Orders a certificate; `replaced`: the one in whose place it is to be.
pub(super) async fn order(
    account: &Account,
    settings: &AcmeSettings,
    replaced: Option<CertificateIdentifier<'static>>,
    stage: &dyn Stage,
) -> Result<Issued, Failure> {
    let identifiers: Vec<Identifier> = settings.names.iter().map(|name| identifier(name)).collect();
    let mut order = begin(account, &identifiers, replaced).await?;
    let shown = show(&mut order, settings.proof, stage).await;
    let issued = match shown {
        Ok(()) => finish(&mut order, settings).await,
        Err(failure) => Err(failure),
    };
    if settings.proof == Proof::Tls
        && let Err(error) = stage.show(&[])
    {
        tracing::warn!(error, "what was shown to the authority is shown still");
    }
    issued
}

/// A name as the authority knows it.
fn identifier(name: &str) -> Identifier {
    match name.parse::<IpAddr>() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => Identifier::Dns(name.to_owned()),
    }
}

async fn begin(
    account: &Account,
    identifiers: &[Identifier],
    replaced: Option<CertificateIdentifier<'static>>,
) -> Result<Order, Failure> {
    if let Some(replaced) = replaced {
        match account.new_order(&NewOrder::new(identifiers).replaces(replaced)).await {
            Ok(order) => return Ok(order),
            // The authority does not know it, or it was replaced before: an order without that word is as good.
            Err(error @ (Error::Api(_) | Error::Unsupported(_))) => {
                tracing::debug!(%error, "the authority takes no order in the place of a certificate");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(account.new_order(&NewOrder::new(identifiers)).await?)
}

/// Shows what the authority is to see, and asks it to look.
async fn show(order: &mut Order, proof: Proof, stage: &dyn Stage) -> Result<(), Failure> {
    let kind = || match proof {
        Proof::Tls => ChallengeType::TlsAlpn01,
        Proof::Http => ChallengeType::Http01,
    };
    let mut shown = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = authorization.identifier().to_string();
        let Some(challenge) = authorization.challenge(kind()) else {
            return Err(Failure::NoSuchProof(name));
        };
        let digest = challenge.key_authorization().digest();
        let digest = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        shown.push(Shown { name, digest });
    }
    if proof == Proof::Tls && !shown.is_empty() {
        stage.show(&shown).map_err(Failure::NotShown)?;
    }
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        if let Some(mut challenge) = authorization.challenge(kind()) {
            challenge.set_ready().await?;
        }
    }
    Ok(())
}

/// Waits until the authority has seen it, and takes the certificate.
async fn finish(order: &mut Order, settings: &AcmeSettings) -> Result<Issued, Failure> {
    let patience = RetryPolicy::new().timeout(Duration::from_secs(ACME_POLL_S_MAX));
    let status = match order.poll_ready(&patience).await {
        Ok(status) => status,
        Err(error) => return Err(why(order).await.unwrap_or_else(|| error.into())),
    };
    if status == OrderStatus::Invalid {
        let reason = || Failure::NotOurs("it does not say why".to_owned());
        return Err(why(order).await.unwrap_or_else(reason));
    }
    let key = KeyPair::generate().map_err(Failure::Request)?;
    let mut params = CertificateParams::new(settings.names.clone()).map_err(Failure::Request)?;
    // The names are in the extension for them, and nothing else is said.
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(Failure::Request)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&patience).await?;
    Ok(Issued { chain, key: Zeroizing::new(key.serialize_pem()) })
}

/// What the authority says of the names that it has not found to be ours; `None`: it says nothing.
async fn why(order: &mut Order) -> Option<Failure> {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            continue;
        }
        let name = authorization.identifier().to_string();
        let failed = authorization.challenges.iter().filter_map(|one| one.error.as_ref());
        reasons.extend(failed.map(|problem| format!("{name}: {problem}")));
    }
    (!reasons.is_empty()).then(|| Failure::NotOurs(reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_name() {
        assert!(matches!(identifier("192.0.2.1"), Identifier::Ip(_)));
        assert!(matches!(identifier("2001:db8::1"), Identifier::Ip(_)));
        assert!(matches!(identifier("a.example.org"), Identifier::Dns(_)));
    }
}
