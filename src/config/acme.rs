//! What is set of certificates that an authority issues.

/// See `docs/CONFIG.md` for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcmeConfig {
    /// Empty: none is ordered.
    pub names: Vec<String>,
    pub directory: String,
    pub contacts: Vec<String>,
    pub terms_agreed: bool,
    /// `tls-alpn-01` or `http-01`.
    pub challenge: String,
    pub ca_file: String,
    /// What the operator's customer account is called at the authority; empty: it wants none.
    pub eab_key_id: String,
    pub eab_key_file: String,
}
