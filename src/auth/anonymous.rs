//! Clients without a token: where they are let in, and what they may do then.
//!
//! Invariants: off everywhere but on loopback unless the operator says otherwise, and a request that a proxy
//! passed on does not count as loopback, whoever the proxy's own connection comes from. Does not look at
//! headers itself.

use std::net::IpAddr;
use std::sync::Arc;

use super::grant::Grants;
use super::mapping::everything;
use super::principal::Principal;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whence {
    /// The address that the listener is bound to.
    pub listener: IpAddr,
    /// The address at the other end of the socket.
    pub peer: IpAddr,
    /// Whether the request has a header field that proxies add, such as `Forwarded`, `X-Forwarded-For` or `Via`, whatever the field's value.
    pub forwarded: bool,
}

impl Whence {
    /// Whether the request comes from this machine, over a listener that only this machine can reach.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let loopback = |address: IpAddr| address.to_canonical().is_loopback();
        loopback(self.listener) && loopback(self.peer) && !self.forwarded
    }
}

/// Where clients without a token are let in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnonymousAccess {
    Nowhere,
    #[default]
    Loopback,
    Anywhere,
}

/// What clients without a token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anonymous {
    pub access: AnonymousAccess,
    pub roles: Vec<Box<str>>,
    pub subscribe: Grants,
    pub publish: Grants,
    /// A filter as JSON text, forced on all of them.
    pub filter: Option<Arc<str>>,
}

impl Default for Anonymous {
    /// On loopback only, where they may do everything but what needs a role.
    fn default() -> Self {
        let everything = Grants::new(vec![everything()]);
        Self {
            access: AnonymousAccess::default(),
            roles: Vec::new(),
            subscribe: everything.clone(),
            publish: everything,
            filter: None,
        }
    }
}

impl Anonymous {
    /// Whether a request without a token is let in; if not, it needs one.
    #[must_use]
    pub fn admits(&self, whence: &Whence) -> bool {
        match self.access {
            AnonymousAccess::Nowhere => false,
            AnonymousAccess::Loopback => whence.is_loopback(),
            AnonymousAccess::Anywhere => true,
        }
    }

    /// Who a request without a token is; `None`: it needs one.
    #[must_use]
    pub fn admit(&self, whence: &Whence) -> Option<Principal> {
        self.admits(whence).then(|| self.principal())
    }

    pub(super) fn principal(&self) -> Principal {
        Principal {
            user: None,
            roles: self.roles.clone(),
            jti: None,
            issued_at_s: None,
            expires_at_s: None,
            subscribe: self.subscribe.clone(),
            publish: self.publish.clone(),
            forced_filters: self.filter.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(access: AnonymousAccess, listener: &str, peer: &str, forwarded: bool) -> bool {
        let whence =
            Whence { listener: listener.parse().unwrap(), peer: peer.parse().unwrap(), forwarded };
        Anonymous { access, ..Anonymous::default() }.admit(&whence).is_some()
    }

    #[test]
    fn by_default_only_loopback_is_let_in() {
        let access = AnonymousAccess::default();
        assert!(admitted(access, "127.0.0.1", "127.0.0.1", false));
        assert!(admitted(access, "::1", "::1", false));
        assert!(admitted(access, "::ffff:127.0.0.1", "::ffff:127.0.0.1", false));
        assert!(
            !admitted(access, "127.0.0.1", "127.0.0.1", true),
            "a proxy on this machine speaks for others"
        );
        assert!(!admitted(access, "0.0.0.0", "127.0.0.1", false), "the listener is open to all");
        assert!(!admitted(access, "10.0.0.1", "10.0.0.2", false));
    }

    #[test]
    fn the_operator_may_say_otherwise() {
        assert!(admitted(AnonymousAccess::Anywhere, "10.0.0.1", "10.0.0.2", true));
        assert!(!admitted(AnonymousAccess::Nowhere, "127.0.0.1", "127.0.0.1", false));
    }
}
