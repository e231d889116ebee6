//! What is known of certificates outside of those who show them: until when they are good, what has become of orders, and by which account checks of an authority are answered.
//!
//! Invariant: each number has one writer; accounts are only added, and the newest counts.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::metrics::Page;
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

    pub(super) fn put(&self, page: &mut Page) {
        let ends_at_s = self.ends_at_s.load(Ordering::Relaxed);
        if ends_at_s > 0 {
            let name = "fanwire_certificate_expiry_timestamp_seconds";
            let help =
                "When the first of the certificates that are shown is over, in seconds since 1970.";
            page.head(name, "gauge", help);
            page.sample(name, "", ends_at_s);
        }
        let AcmeFigures { issued, failed } = &*self.orders;
        for (name, help, count) in [
            (
                "fanwire_certificates_issued_total",
                "Certificates that an authority has issued to this server.",
                issued,
            ),
            (
                "fanwire_certificate_orders_failed_total",
                "Orders of certificates that have failed, and are tried again.",
                failed,
            ),
        ] {
            page.head(name, "counter", help);
            page.sample(name, "", count.load(Ordering::Relaxed));
        }
    }
}
