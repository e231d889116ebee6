//! Whom a hook has named: someone whom no token says.
//!
//! Invariant: rights that the hook says nothing of are those to the tables, which hooks guard; nothing else is granted. Never looks at what a client has shown.

use std::sync::Arc;

use crate::auth::Grants;
use crate::auth::Principal;
use crate::dialect::hook::Identity;
use crate::event::TopicPattern;
use crate::tables::Schema;

/// Someone, as a hook says.
pub(super) fn principal(identity: &Identity, tables: &Schema, now_s: u64) -> Principal {
    let granted = |said: &Option<Vec<TopicPattern>>| {
        let all = || tables.tables().map(|(_, table)| TopicPattern::Exact(table.topic.clone()));
        Grants::new(said.clone().unwrap_or_else(|| all().collect()))
    };
    Principal {
        user: identity.user.as_deref().map(Arc::from),
        roles: identity.roles.clone(),
        jti: None,
        // So that who was revoked comes in again only if a hook says so after that.
        issued_at_s: Some(now_s),
        expires_at_s: None,
        subscribe: granted(&identity.subscribe),
        publish: granted(&identity.publish),
        forced_filters: Vec::new(),
    }
}
