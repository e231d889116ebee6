//! What is known of tokens besides the keys that they are checked with: who comes without one, which open nothing any more, when keys were wished for.
//!
//! Invariants: as many revocations are remembered as there is memory for, and as much of tokens; the same wish for keys is not repeated within `KEYS_WISH_MS`. Never
//! verifies a token.

use std::rc::Rc;
use std::sync::Arc;

use super::access::RoleFilters;
use super::access::Who;
use super::settings::Settings;
use crate::auth::Principal;
use crate::auth::Revocations;
use crate::auth::RevocationsFull;
use crate::auth::Revoke;
use crate::batch::Budget;
use crate::batch::Counted;
use crate::dialect::HOUSE;
use crate::history::log::Note;
use crate::limits::KEYS_WISH_MS;

/// One shard's.
#[derive(Debug)]
pub(super) struct Tokens {
    /// Whoever comes without a token.
    anonymous: Option<Arc<Who>>,
    revocations: Revocations,
    /// What tokens of those who are connected say, beyond what every connection may have.
    budget: Rc<Budget>,
    role_filters: RoleFilters,
    /// Tokens were revoked, and who is here with one is not closed yet.
    is_revoking: bool,
    /// When fresh keys were last wished for, in milliseconds since the start.
    keys_wished_ms: Option<u64>,
}

impl Tokens {
    pub(super) fn new(settings: &Settings) -> Self {
        let kept_s = settings.access.revocation_kept_s();
        // As long as the settings say, and as many as there is memory for.
        let revocations = Revocations::bounded(kept_s, settings.memory.revocations_max());
        Self {
            anonymous: anonymous(settings),
            revocations,
            budget: Budget::new(settings.memory.tokens_bytes_max),
            role_filters: RoleFilters::of(&settings.access),
            is_revoking: false,
            keys_wished_ms: None,
        }
    }

    /// Others may come without a token from now on. What was revoked stays so.
    pub(super) fn renew(&mut self, settings: &Settings) {
        self.anonymous = anonymous(settings);
        self.role_filters = RoleFilters::of(&settings.access);
    }

    /// Whoever comes without a token, if they may.
    pub(super) fn anonymous(&self) -> Option<Arc<Who>> {
        self.anonymous.clone()
    }

    /// The filters that roles force.
    pub(super) const fn role_filters(&self) -> &RoleFilters {
        &self.role_filters
    }

    /// Counts what someone's token says, in the place of what was counted before; `None`: there is no room for it.
    pub(super) fn count(&self, who: &Who, before: &Counted) -> Option<Counted> {
        let bytes = who.beyond_spare_bytes();
        if bytes > before.bytes() && bytes - before.bytes() > self.budget.free() {
            return None;
        }
        let mut counted = Counted::default();
        if bytes > 0 {
            counted = Counted::of(&self.budget);
            counted.set(bytes);
        }
        Some(counted)
    }

    pub(super) fn is_revoked(&self, principal: &Principal) -> bool {
        self.revocations.is_revoked(principal)
    }

    /// Has tokens open nothing any more.
    ///
    /// # Errors
    /// If as many revocations are remembered as there is room for.
    pub(super) fn revoke(&mut self, what: Revoke, now_s: u64) -> Result<(), RevocationsFull> {
        self.revocations.revoke(what, now_s)
    }

    /// What was revoked before the server started still is.
    pub(super) fn restore(&mut self, notes: &[Note]) {
        for note in notes {
            let Some(what) = Revoke::of_note(&note.name, note.value) else { continue };
            if let Err(error) = self.revoke(what, note.until_s) {
                unreachable!("the server has counted them before it started: {error}")
            }
        }
    }

    /// Whoever is here with a token that was revoked is to be closed.
    pub(super) const fn close_revoked_soon(&mut self) {
        self.is_revoking = true;
    }

    /// Whether somebody may be here with a token that was revoked.
    pub(super) const fn is_revoking(&self) -> bool {
        self.is_revoking
    }

    /// Takes the mark that something was revoked: whom it concerns is closed now.
    pub(super) const fn take_revoking(&mut self) -> bool {
        std::mem::replace(&mut self.is_revoking, false)
    }

    /// Wishes for fresh keys; false: somebody has, a moment ago.
    pub(super) fn wish_keys(&mut self, now_ms: u64) -> bool {
        let is_wished = self
            .keys_wished_ms
            .is_some_and(|wished_ms| now_ms < wished_ms.saturating_add(KEYS_WISH_MS));
        if !is_wished {
            self.keys_wished_ms = Some(now_ms);
        }
        !is_wished
    }
}

/// Whoever comes without a token, if they may.
fn anonymous(settings: &Settings) -> Option<Arc<Who>> {
    settings.access.anonymous(settings.views.of_protocol(HOUSE)).map(Arc::new)
}
