//! Clients that show a certificate: which of the names that the operator knows it has, and what that lets them do.
//!
//! Invariants: whether a certificate is to be trusted was found out before; one without a name that is known here opens nothing more than none would.
//! A client is one user by all of its certificates, so that they can be revoked together.

use std::sync::Arc;

use super::certificate::Certificate;
use super::principal::Principal;

/// Everyone who is known by a certificate, in the order in which they are configured.
#[derive(Clone, Debug, Default)]
pub struct Certified(Vec<(Arc<str>, Principal)>);

/// What is remembered of a certificate for as long as its connection lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name as it is configured.
    name: Arc<str>,
    begins_at_s: u64,
    ends_at_s: u64,
}

impl Certified {
    /// Each name with its kind in front, and who has it. The first that a certificate has counts.
    #[must_use]
    pub const fn new(clients: Vec<(Arc<str>, Principal)>) -> Self {
        Self(clients)
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name by which a certificate is known.
    #[must_use]
    pub fn find(&self, certificate: &Certificate) -> Option<Named> {
        let (name, _) = self.0.iter().find(|(name, _)| certificate.is(name))?;
        let Certificate { begins_at_s, ends_at_s, .. } = *certificate;
        Some(Named { name: Arc::clone(name), begins_at_s, ends_at_s })
    }

    /// Who that is, as it is configured now. It is in force for as long as its certificate is.
    #[must_use]
    pub fn principal(&self, named: &Named) -> Option<Principal> {
        let (_, principal) = self.0.iter().find(|(name, _)| *name == named.name)?;
        Some(Principal {
            issued_at_s: Some(named.begins_at_s),
            expires_at_s: Some(named.ends_at_s.saturating_add(1)),
            ..principal.clone()
        })
    }
}
