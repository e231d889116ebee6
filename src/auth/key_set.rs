//! The keys that tokens are checked with, and which of them a token may be checked with.
//!
//! Invariants: at most `KEYS_MAX` keys; no two of one name. A token's `kid` is compared with names in memory
//! and nothing else: it is never a path, an address or a query. Never does I/O: whoever fetches a key set
//! hands its keys in.

use std::collections::HashMap;
use std::fmt;

use crate::limits::KEYS_MAX;
use crate::limits::KEYS_TRIED_MAX;

use super::algorithm::Algorithm;
use super::key::Key;

/// Why keys are not a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetError {
    TooMany { count: usize },
    DuplicateId { id: Box<str> },
}

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { count } => write!(f, "{count} keys; at most {KEYS_MAX} are taken"),
            Self::DuplicateId { id } => write!(f, "two keys are named {id:?}"),
        }
    }
}

impl std::error::Error for KeySetError {}

/// Why no key is to be tried for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The key that the token names is for another algorithm.
    Pinned(Algorithm),
    /// The token names a key that is not here.
    UnknownId,
    /// No key is for the token's algorithm.
    Algorithm,
}

/// Some keys. Replaced as a whole when they are rotated.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    by_id: HashMap<Box<str>, usize>,
}

impl KeySet {
    /// A set of these keys.
    ///
    /// # Errors
    /// The keys are too many, or two have one name.
    pub fn new(keys: Vec<Key>) -> Result<Self, KeySetError> {
        if keys.len() > KEYS_MAX {
            return Err(KeySetError::TooMany { count: keys.len() });
        }
        let mut by_id = HashMap::new();
        for (index, key) in keys.iter().enumerate() {
            let Some(id) = &key.id else { continue };
            if by_id.insert(id.clone(), index).is_some() {
                return Err(KeySetError::DuplicateId { id: id.clone() });
            }
        }
        Ok(Self { keys, by_id })
    }

    /// This set and those keys of `others` whose names are not in it: a fetched key never takes the place of
    /// a configured one.
    ///
    /// # Errors
    /// Together they are too many, or two of the others have one name.
    pub fn joined(&self, others: Vec<Key>) -> Result<Self, KeySetError> {
        let taken = |key: &Key| key.id.as_ref().is_some_and(|id| self.by_id.contains_key(id));
        let fresh = others.into_iter().filter(|key| !taken(key));
        Self::new(self.keys.iter().cloned().chain(fresh).collect())
    }

    /// How many there are.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether a key has this name.
    pub(super) fn has_name(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// The keys to try for a token with this header, at least one and at most `KEYS_TRIED_MAX`.
    ///
    /// A name in the token picks the key of that name; if none has it, the keys without a name are meant for
    /// whatever name the issuer puts. All of them are pinned to `algorithm`.
    pub(super) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Vec<&Key>, NoKey> {
        let named = id.and_then(|id| self.by_id.get(id)).and_then(|index| self.keys.get(*index));
        if let Some(key) = named {
            return if key.algorithm == algorithm {
                Ok(vec![key])
            } else {
                Err(NoKey::Pinned(key.algorithm))
            };
        }
        let fits = |key: &&Key| key.algorithm == algorithm && (id.is_none() || key.id.is_none());
        let keys: Vec<&Key> = self.keys.iter().filter(fits).take(KEYS_TRIED_MAX).collect();
        if !keys.is_empty() {
            return Ok(keys);
        }
        let known = self.keys.iter().any(|key| key.algorithm == algorithm);
        Err(if known { NoKey::UnknownId } else { NoKey::Algorithm })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn secret(id: Option<&str>, fill: u8) -> Key {
        Key::from_secret(id, Algorithm::Hs256, &[fill; 32]).unwrap()
    }

    #[test]
    fn a_set_is_bounded_and_its_names_are_distinct() {
        let twice = KeySet::new(vec![secret(Some("a"), 1), secret(Some("a"), 2)]).unwrap_err();
        assert_eq!(twice, KeySetError::DuplicateId { id: "a".into() });
        let many = (0..=KEYS_MAX).map(|_| secret(None, 1)).collect();
        assert_eq!(KeySet::new(many).unwrap_err(), KeySetError::TooMany { count: KEYS_MAX + 1 });
    }

    #[test]
    fn a_name_picks_its_key_and_the_key_keeps_its_algorithm() {
        let (_, rsa) = fixtures::pair(Algorithm::Rs256, Some("rsa"));
        let set = KeySet::new(vec![secret(Some("a"), 1), secret(Some("b"), 2), rsa]).unwrap();
        let ids = |id, algorithm| {
            set.candidates(id, algorithm)
                .map(|keys| keys.iter().filter_map(|key| key.id()).collect::<Vec<_>>())
        };
        assert_eq!(ids(Some("b"), Algorithm::Hs256), Ok(vec!["b"]));
        assert_eq!(ids(None, Algorithm::Hs256), Ok(vec!["a", "b"]));
        assert_eq!(ids(Some("rsa"), Algorithm::Hs256), Err(NoKey::Pinned(Algorithm::Rs256)));
        assert_eq!(ids(Some("c"), Algorithm::Hs256), Err(NoKey::UnknownId));
        assert_eq!(ids(Some("../../etc/passwd"), Algorithm::Rs256), Err(NoKey::UnknownId));
        assert_eq!(ids(None, Algorithm::Es256), Err(NoKey::Algorithm));
    }

    #[test]
    fn a_key_without_a_name_serves_any_name() {
        let set = KeySet::new(vec![secret(None, 1), secret(Some("b"), 2)]).unwrap();
        let found = set.candidates(Some("whatever"), Algorithm::Hs256).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id(), None);
    }

    #[test]
    fn the_work_for_one_token_is_bounded() {
        let set = KeySet::new((0..KEYS_MAX).map(|_| secret(None, 1)).collect()).unwrap();
        assert_eq!(set.candidates(None, Algorithm::Hs256).unwrap().len(), KEYS_TRIED_MAX);
    }

    #[test]
    fn a_fetched_key_never_takes_the_place_of_a_configured_one() {
        let set = KeySet::new(vec![secret(Some("a"), 1)]).unwrap();
        let (_, ours) = fixtures::pair(Algorithm::Rs256, Some("a"));
        let (_, other) = fixtures::pair(Algorithm::Rs256, Some("b"));
        let joined = set.joined(vec![ours, other]).unwrap();
        assert_eq!(joined.len(), 2);
        assert!(joined.candidates(Some("a"), Algorithm::Hs256).is_ok());
        assert!(joined.candidates(Some("b"), Algorithm::Rs256).is_ok());
    }
}
