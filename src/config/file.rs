//! A file of settings, to say where in it something stands.

use std::path::Path;

use super::error::ConfigError;
use super::error::Origin;
use super::error::Problem;

/// A file, to say where in it something stands.
pub(super) struct File<'a> {
    pub(super) text: &'a str,
    pub(super) path: &'a Path,
}

impl File<'_> {
    pub(super) fn error(&self, key: &str, at: usize, problem: Problem) -> ConfigError {
        ConfigError::new(key, self.origin(at), problem)
    }

    pub(super) fn origin(&self, at: usize) -> Origin {
        let line = 1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        Origin::File { path: self.path.into(), line: u32::try_from(line).unwrap_or(u32::MAX) }
    }
}
