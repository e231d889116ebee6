//! Certificates from an authority that signs one for whoever shows that a name is theirs (ACME, RFC 8555): ordered, kept in a folder, and renewed when the
//! authority says so (RFC 9773), or when two thirds of their time are over.
//!
//! Invariants: what fails is in the log with its reason, and is tried again later and later; nothing that fails here stops the server. The file that is kept is replaced as a whole, by a
//! certificate and its key that were issued, so the former one is shown until then. Never listens, and never shows a certificate itself: whoever does is told what to show (`Stage`).

mod account;
mod client;
mod keeper;
mod kept;
mod order;
mod schedule;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use zeroize::Zeroizing;

pub use keeper::Acme;
pub use keeper::Keeper;
pub use kept::certificate_path;
pub use kept::replace;

use crate::outbound::Wording;

/// How an authority's address is spoken of where it is wrong.
pub const WORDING: Wording = Wording {
    like: "https://acme-v02.api.letsencrypt.org/directory",
    what: "certificates are ordered",
    whose: "the authority's",
};

/// The protocol of a connection in which a name is shown to be ours (RFC 8737 section 3).
pub const ALPN: &[u8] = b"acme-tls/1";

/// How the authority sees that a name is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// By a certificate of its own on port 443 (TLS-ALPN-01, RFC 8737).
    #[default]
    Tls,
    /// By a page on port 80 (HTTP-01, RFC 8555 section 8.3).
    Http,
}

/// What is ordered, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// Names and addresses, of which there is one.
    pub names: Vec<String>,
    /// The authority's directory.
    pub directory: String,
    /// Where the authority may write to: `mailto:ops@example.org`.
    pub contacts: Vec<String>,
    pub proof: Proof,
    /// Where account and certificate are kept.
    pub folder: PathBuf,
    /// Whom we believe to be the authority (PEM), if not those whom this machine believes.
    pub authorities: Option<Vec<u8>>,
    /// As whose customer an account is made; `None`: as anybody.
    pub customer: Option<Customer>,
}

/// The key by which an authority knows its customer (external account binding, RFC 8555 section 7.3.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Customer {
    pub key_id: String,
    /// The key itself, no longer in base64.
    pub key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Customer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A name, and what a certificate for it has to hold for the authority to see that the name is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub name: String,
    /// SHA-256 of the key authorization (RFC 8737 section 3).
    pub digest: [u8; 32],
}

/// Whoever listens.
pub trait Stage: Send {
    /// Shows these to who asks by `ALPN`, in place of others; returns when every core does.
    ///
    /// # Errors
    /// Why they are not shown.
    fn show(&self, shown: &[Shown]) -> Result<(), String>;

    /// What an account calls itself: by it checks by HTTP are answered from now on.
    fn know_account(&self, thumbprint: &str);
}

/// What has become of orders, for figures.
#[derive(Debug, Default)]
pub struct AcmeFigures {
    pub issued: AtomicU64,
    pub failed: AtomicU64,
}
