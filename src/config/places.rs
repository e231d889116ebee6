//! Where each key was written, so that a mistake which shows only later is named with its place.
//!
//! Two configurations that say the same are the same, wherever they say it.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::error::Origin;
use super::error::Problem;

/// Where keys were written; those that were not have their defaults.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<Box<str>, Origin>);

impl PartialEq for Places {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

impl Places {
    pub(super) fn note(&mut self, key: &str, origin: Origin) {
        self.0.insert(key.into(), origin);
    }

    /// Where a key was written.
    #[must_use]
    pub fn of(&self, key: &str) -> Origin {
        self.0.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// What is wrong with a key, with its place.
    #[must_use]
    pub fn error(&self, key: &str, problem: Problem) -> ConfigError {
        ConfigError::new(key, self.of(key), problem)
    }
}
