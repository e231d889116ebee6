//! What may be set of hooks over HTTP.
//!
//! Never checks anything.

use crate::dialect::Hook;

/// Hooks over HTTP. See `docs/CONFIG.md` for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HooksConfig {
    /// Of each hook; empty: it is not asked.
    urls: [String; Hook::ALL.len()],
    pub secret_file: String,
    pub ca_file: String,
    pub timeout_ms: u64,
    pub concurrency: u64,
    /// Names of hooks.
    pub fail_open: Vec<String>,
    pub replaces_results: bool,
    /// Hooks are answered by whoever embeds the server, and not over HTTP. No key sets it.
    pub are_embedded: bool,
}

impl HooksConfig {
    /// Where a hook is asked, to be set.
    pub(super) const fn url_mut(&mut self, hook: Hook) -> &mut String {
        &mut self.urls[hook.index()]
    }

    /// Whether anybody answers hooks.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.are_embedded || self.urls().next().is_some()
    }

    /// The hooks that are asked over HTTP, and where.
    pub fn urls(&self) -> impl Iterator<Item = (Hook, &str)> {
        let all = Hook::ALL.into_iter().zip(self.urls.iter().map(String::as_str));
        all.filter(|(_, url)| !url.is_empty())
    }
}
