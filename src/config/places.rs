//! Where each key was written, and as what, so that a mistake which shows only later is named with its place.
//!
//! Two configurations that say the same are the same, wherever they say it.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::error::Origin;
use super::error::Problem;

/// Where keys were written; those that were not have their defaults.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<Box<str>, (Origin, Box<str>)>);

impl PartialEq for Places {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

impl Places {
    /// Notes where a key was written, and as what; nothing: it stands for others that are.
    pub(super) fn note(&mut self, key: &str, origin: Origin, text: &str) {
        self.0.insert(key.into(), (origin, text.into()));
    }

    /// Takes a key's place over from another, be it that it has none there.
    pub(super) fn take(&mut self, key: &str, other: &Self) {
        match other.0.get(key) {
            Some(place) => self.0.insert(key.into(), place.clone()),
            None => self.0.remove(key),
        };
    }

    /// What a key was set to.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|(_, text)| &**text)
    }

    /// Every key that was written.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|key| &**key)
    }

    /// Where a key was written.
    #[must_use]
    pub fn of(&self, key: &str) -> Origin {
        self.0.get(key).map_or(Origin::Default, |(origin, _)| origin.clone())
    }

    /// What is wrong with a key, with its place.
    #[must_use]
    pub fn error(&self, key: &str, problem: Problem) -> ConfigError {
        ConfigError::new(key, self.of(key), problem)
    }
}
