//! Who is on a connection, and what that allows.
//!
//! Invariants: made from a checked token or from the settings for anonymous clients, never from what a client
//! says. Every forced filter holds for every subscription: they are ANDed, and more roles never mean fewer of
//! them. Immutable; shared as `Arc<Principal>`.

use std::sync::Arc;

use crate::event::TopicName;
use crate::event::TopicPattern;

use super::grant::Grants;

/// Bytes of a text beside its own: the counts of who shares it, and what the allocator rounds up.
pub(super) const COUNTS_BYTES: usize = 2 * size_of::<usize>() + 8;

/// Someone, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Whose token it is; `None`: anonymous.
    pub user: Option<Arc<str>>,
    pub roles: Vec<Box<str>>,
    /// The token's own name, by which it can be revoked.
    pub jti: Option<Box<str>>,
    /// Seconds since 1970-01-01 UTC.
    pub issued_at_s: Option<u64>,
    /// The second from which the connection is no longer allowed: the token's `exp` and the leeway. `None`:
    /// never.
    pub expires_at_s: Option<u64>,
    pub subscribe: Grants,
    pub publish: Grants,
    /// Filters as JSON texts (a string or an object), just as they were given. All of them hold for every
    /// subscription.
    pub forced_filters: Vec<Arc<str>>,
}

impl Principal {
    /// Bytes that it holds, itself included.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let text = |text: &str| COUNTS_BYTES + text.len();
        let roles = self.roles.iter().map(|role| size_of_val(role) + text(role));
        let filters = self.forced_filters.iter().map(|filter| size_of_val(filter) + text(filter));
        size_of::<Self>()
            + self.user.as_deref().map_or(0, text)
            + self.jti.as_deref().map_or(0, text)
            + roles.chain(filters).sum::<usize>()
            + self.subscribe.held_bytes()
            + self.publish.held_bytes()
    }

    /// Whether every topic that `wanted` can match is granted.
    #[must_use]
    pub fn may_subscribe(&self, wanted: &TopicPattern) -> bool {
        self.subscribe.covers(wanted)
    }

    /// Whether this one topic may be heard: for dialects without topic patterns, and as the last check before
    /// an event goes out.
    #[must_use]
    pub fn may_hear(&self, topic: &TopicName) -> bool {
        self.subscribe.covers_topic(topic)
    }

    /// Whether events may be published to `topic`.
    #[must_use]
    pub fn may_publish(&self, topic: &TopicName) -> bool {
        self.publish.covers_topic(topic)
    }

    /// Whether one of the roles is `role`.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| **own == *role)
    }

    /// Whether the token is over.
    #[must_use]
    pub fn is_expired(&self, now_s: u64) -> bool {
        self.expires_at_s.is_some_and(|at_s| now_s >= at_s)
    }

    /// Whether `renewed` may take this one's place on an open connection: it must be the same user's. A
    /// connection that could change hands would take one user's subscriptions into another's.
    #[must_use]
    pub fn may_become(&self, renewed: &Self) -> bool {
        self.user == renewed.user
    }
}
