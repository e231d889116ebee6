//! What is known of certificates outside of those who show them: until when they are good, what has become of orders, and by which account checks of an authority are answered.
//!
//! Invariant: each number has one writer; accounts are only added, and the newest counts.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::acme::AcmeFigures;
use crate::limits::ACME_ACCOUNTS_MAX;

/// All of it.
#[derive(Debug)]
pub struct CertificateBoard {
    /// When the first of those that are shown is over, in seconds since 1970; 0: none is shown.
    ends_at_s: AtomicU64,
    orders: Arc<AcmeFigures>,
    /// What accounts with an authority call themselves, the newest last.
    accounts: [OnceLock<Box<str>>; ACME_ACCOUNTS_MAX],
}

impl Default for CertificateBoard {
    fn default() -> Self {
        let accounts = [const { OnceLock::new() }; ACME_ACCOUNTS_MAX];
        Self { ends_at_s: AtomicU64::new(0), orders: Arc::default(), accounts }
    }
}

impl CertificateBoard {
    /// The first of those that are shown is over then, in seconds since 1970; `None`: none is shown.
    pub fn note_end(&self, ends_at_s: Option<u64>) {
        self.ends_at_s.store(ends_at_s.unwrap_or(0), Ordering::Relaxed);
    }

    /// What has become of orders, for whoever orders.
    #[must_use]
    pub const fn orders(&self) -> &Arc<AcmeFigures> {
        &self.orders
    }

    /// An account with an authority calls itself so: by that its checks are answered from now on.
    pub fn know_account(&self, thumbprint: &str) {
        if self.account() == Some(thumbprint) {
            return;
        }
        let is_free = |place: &&OnceLock<Box<str>>| place.get().is_none();
        let set = self.accounts.iter().find(is_free).map(|place| place.set(thumbprint.into()));
        if set != Some(Ok(())) {
            tracing::error!(
                "there was a new account too often: its checks by HTTP are answered after a restart"
            );
        }
    }

    /// What the newest account calls itself.
    pub(super) fn account(&self) -> Option<&str> {
        self.accounts.iter().map_while(OnceLock::get).last().map(|account| &**account)
    }

    /// When the first of those that are shown is over, in seconds since 1970.
    pub(super) fn ends_at_s(&self) -> Option<u64> {
        Some(self.ends_at_s.load(Ordering::Relaxed)).filter(|ends_at_s| *ends_at_s > 0)
    }
}
