//! What is written in the configuration, as it is used: texts with commas, files, and what is wrong with them.
//!
//! Invariant: an error names the key, and the place where it is written.

use std::fmt::Display;
use std::fs;

use zeroize::Zeroizing;

use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Problem;

/// What a key says cannot be used, with the place where it says so.
pub(super) fn unusable(config: &Config, key: &str, reason: impl Display) -> ConfigError {
    config.places.error(key, Problem::Unusable { reason: reason.to_string().into() })
}

/// The members of a text with commas in it.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// What a file holds, which may be a secret: it is overwritten when it is no longer needed.
pub(super) fn file(
    config: &Config,
    key: &str,
    path: &str,
) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let bytes = fs::read(path);
    let bytes = bytes.map_err(|error| unusable(config, key, format_args!("{path}: {error}")))?;
    Ok(Zeroizing::new(bytes))
}

/// As many as fit.
pub(super) fn seconds(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
