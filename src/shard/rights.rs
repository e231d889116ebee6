//! Who may come in, and what they may do: tokens, who is counted, how much each may still publish.
//!
//! Invariant: what is forbidden on one shard is forbidden on all, and limits hold over all of them together, which is why one counts for the others.

use super::allowance::Allowances;
use super::claims::Claims;
use super::groups::Groups;
use super::hold::Names;
use super::keeping::Keeping;
use super::registrar::Registrar;
use super::settings::Settings;
use super::tokens::Tokens;
use crate::limits::SHARED_SHARE;

/// One shard's part in who may come in, and what they may do.
#[derive(Debug)]
pub(super) struct Rights {
    /// Whose names are kept here.
    pub(super) claims: Claims,
    /// What has come for connections here that have names.
    pub(super) names: Names,
    /// Which sessions whose names are kept here lie in a folder.
    pub(super) keeping: Keeping,
    /// Groups that share subscriptions, and are kept here.
    pub(super) groups: Groups,
    pub(super) tokens: Tokens,
    /// On the shard that counts: everyone who is counted.
    pub(super) registrar: Registrar,
    /// What publishers may still publish, as far as the registrar has handed it out.
    pub(super) allowances: Allowances,
}

impl Rights {
    pub(super) fn new(settings: &Settings) -> Self {
        let rates_max = settings.memory.rates_max();
        let sessions_bytes = settings.memory.sessions_bytes_max;
        Self {
            claims: Claims::within(sessions_bytes),
            names: Names::default(),
            keeping: Keeping::new(settings),
            groups: Groups::within(sessions_bytes / SHARED_SHARE),
            tokens: Tokens::new(settings),
            registrar: Registrar::new(settings.access.limits, rates_max),
            allowances: Allowances::within(rates_max),
        }
    }
}
