//! Tokens that are refused although nothing is wrong with them.
//!
//! Invariants: at most `REVOCATIONS_MAX` entries, each forgotten once no token that it is about can still be
//! in force, and never before: when there is no room, revoking fails and says so. Time is an argument:
//! seconds since 1970-01-01 UTC.

use std::collections::HashMap;
use std::fmt;

use crate::limits::REVOCATIONS_MAX;

use super::principal::Principal;

/// What is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// The token of this name.
    Token { jti: Box<str> },
    /// All of a user's tokens issued in this second or before.
    User { user: Box<str>, issued_until_s: u64 },
    /// Everyone's tokens issued in this second or before.
    IssuedUntil { at_s: u64 },
}

/// What names of notes about revocations begin with.
const TOKEN: &str = "revoked/token/";
const USER: &str = "revoked/user/";
const ALL: &str = "revoked/all";

impl Revoke {
    /// As a note that outlasts a restart: its name, and a number that only ever rises. Several of one name are together what the greatest of them is.
    #[must_use]
    pub fn to_note(&self) -> (String, u64) {
        match self {
            Self::Token { jti } => (format!("{TOKEN}{jti}"), 0),
            Self::User { user, issued_until_s } => (format!("{USER}{user}"), *issued_until_s),
            Self::IssuedUntil { at_s } => (ALL.to_owned(), *at_s),
        }
    }

    /// Back from a note; `None`: it is about something else.
    #[must_use]
    pub fn of_note(name: &str, value: u64) -> Option<Self> {
        if let Some(jti) = name.strip_prefix(TOKEN) {
            return Some(Self::Token { jti: jti.into() });
        }
        if let Some(user) = name.strip_prefix(USER) {
            return Some(Self::User { user: user.into(), issued_until_s: value });
        }
        (name == ALL).then_some(Self::IssuedUntil { at_s: value })
    }

    /// Seconds since 1970 after which so many seconds more it is forgotten, if it is told at `now_s`; `u64::MAX`: never.
    #[must_use]
    pub fn counts_from_s(&self, now_s: u64) -> u64 {
        match self {
            Self::Token { .. } => now_s,
            // A token issued later lives longer: the memory must reach from then.
            Self::User { issued_until_s, .. } => now_s.max(*issued_until_s),
            Self::IssuedUntil { .. } => u64::MAX,
        }
    }
}

/// There is no room for another revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationsFull;

impl fmt::Display for RevocationsFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{REVOCATIONS_MAX} revocations are remembered, the most there may be: revoke by age, or change the keys"
        )
    }
}

impl std::error::Error for RevocationsFull {}

/// Seconds; `u64::MAX`: for ever.
#[derive(Clone, Copy, Debug)]
struct UserEntry {
    issued_until_s: u64,
    forget_s: u64,
}

/// What was revoked. Anonymous clients have no token and are never among them.
#[derive(Debug)]
pub struct Revocations {
    kept_s: Option<u64>,
    max: usize,
    /// To when each is remembered.
    tokens: HashMap<Box<str>, u64>,
    users: HashMap<Box<str>, UserEntry>,
    /// Needs no forgetting: it is one number.
    all_issued_until_s: Option<u64>,
    /// No entry is to be forgotten before this, so that a full set is not searched in vain again and again.
    sweep_s: u64,
}

impl Revocations {
    /// None yet, with room for so many. `kept_s`: how long one is remembered (`TokenRules::revocation_kept_s`); `None`: for ever.
    #[must_use]
    pub fn bounded(kept_s: Option<u64>, max: usize) -> Self {
        Self {
            kept_s,
            max,
            tokens: HashMap::new(),
            users: HashMap::new(),
            all_issued_until_s: None,
            sweep_s: u64::MAX,
        }
    }

    /// Remembers a revocation. What was revoked stays so: a later, smaller one does not take it back.
    ///
    /// # Errors
    /// There is no room.
    pub fn revoke(&mut self, what: Revoke, now_s: u64) -> Result<(), RevocationsFull> {
        if let Revoke::IssuedUntil { at_s } = what {
            self.all_issued_until_s = self.all_issued_until_s.max(Some(at_s));
            return Ok(());
        }
        let known = match &what {
            Revoke::Token { jti } => self.tokens.contains_key(jti),
            Revoke::User { user, .. } => self.users.contains_key(user),
            Revoke::IssuedUntil { .. } => true,
        };
        if !known {
            self.make_room(now_s)?;
        }
        let from_s = what.counts_from_s(now_s);
        let forget_s = self.kept_s.map_or(u64::MAX, |kept_s| from_s.saturating_add(kept_s));
        self.sweep_s = self.sweep_s.min(forget_s);
        match what {
            Revoke::Token { jti } => {
                let known_s = self.tokens.entry(jti).or_default();
                *known_s = forget_s.max(*known_s);
            }
            Revoke::User { user, issued_until_s } => {
                let entry =
                    self.users.entry(user).or_insert(UserEntry { issued_until_s, forget_s });
                entry.issued_until_s = entry.issued_until_s.max(issued_until_s);
                entry.forget_s = entry.forget_s.max(forget_s);
            }
            Revoke::IssuedUntil { .. } => {}
        }
        Ok(())
    }

    /// Whether this principal's token was revoked. A token that does not say when it was issued counts as
    /// older than any age.
    #[must_use]
    pub fn is_revoked(&self, principal: &Principal) -> bool {
        let Some(user) = &principal.user else { return false };
        let issued_at_s = principal.issued_at_s.unwrap_or(0);
        self.all_issued_until_s.is_some_and(|at_s| issued_at_s <= at_s)
            || principal.jti.as_ref().is_some_and(|jti| self.tokens.contains_key(jti))
            || self.users.get(&**user).is_some_and(|entry| issued_at_s <= entry.issued_until_s)
    }

    /// Entries remembered.
    fn len(&self) -> usize {
        self.tokens.len() + self.users.len()
    }

    fn make_room(&mut self, now_s: u64) -> Result<(), RevocationsFull> {
        if self.len() < self.max {
            return Ok(());
        }
        if now_s >= self.sweep_s {
            self.tokens.retain(|_, forget_s| *forget_s > now_s);
            self.users.retain(|_, entry| entry.forget_s > now_s);
            let left = self
                .tokens
                .values()
                .copied()
                .chain(self.users.values().map(|entry| entry.forget_s));
            self.sweep_s = left.min().unwrap_or(u64::MAX);
        }
        if self.len() < self.max { Ok(()) } else { Err(RevocationsFull) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::anonymous::Anonymous;
    use super::*;

    fn token(user: &str, jti: Option<&str>, issued_at_s: Option<u64>) -> Principal {
        let mut principal = Anonymous::default().principal();
        principal.user = Some(Arc::from(user));
        principal.jti = jti.map(Box::from);
        principal.issued_at_s = issued_at_s;
        principal
    }

    fn user(user: &str, issued_until_s: u64) -> Revoke {
        Revoke::User { user: user.into(), issued_until_s }
    }

    fn jti(jti: &str) -> Revoke {
        Revoke::Token { jti: jti.into() }
    }

    #[test]
    fn a_token_a_user_and_an_age_can_be_revoked() {
        let mut revoked = Revocations::bounded(Some(100), REVOCATIONS_MAX);
        assert_eq!(revoked.len(), 0);
        revoked.revoke(jti("t1"), 50).unwrap();
        revoked.revoke(user("ada", 50), 50).unwrap();
        for (user, jti, issued, expected) in [
            ("bob", Some("t1"), Some(60), true),
            ("bob", Some("t2"), Some(60), false),
            ("bob", None, None, false),
            ("ada", Some("t2"), Some(49), true),
            ("ada", Some("t2"), Some(50), true),
            ("ada", Some("t2"), Some(51), false),
            ("ada", None, None, true),
        ] {
            assert_eq!(
                revoked.is_revoked(&token(user, jti, issued)),
                expected,
                "{user} {jti:?} {issued:?}"
            );
        }
        revoked.revoke(Revoke::IssuedUntil { at_s: 60 }, 70).unwrap();
        assert!(revoked.is_revoked(&token("eve", None, Some(60))));
        assert!(!revoked.is_revoked(&token("eve", None, Some(61))));
        assert!(!revoked.is_revoked(&Anonymous::default().principal()));
    }

    #[test]
    fn a_smaller_revocation_takes_nothing_back() {
        let mut revoked = Revocations::bounded(Some(100), REVOCATIONS_MAX);
        revoked.revoke(user("ada", 50), 50).unwrap();
        revoked.revoke(user("ada", 10), 51).unwrap();
        revoked.revoke(Revoke::IssuedUntil { at_s: 40 }, 51).unwrap();
        revoked.revoke(Revoke::IssuedUntil { at_s: 5 }, 51).unwrap();
        assert!(revoked.is_revoked(&token("ada", None, Some(50))));
        assert!(revoked.is_revoked(&token("bob", None, Some(40))));
    }

    #[test]
    fn when_full_it_forgets_only_what_no_token_can_outlive() {
        let mut revoked = Revocations::bounded(Some(100), 2);
        revoked.revoke(jti("t1"), 0).unwrap();
        revoked.revoke(user("ada", 10), 10).unwrap();
        assert_eq!(revoked.revoke(jti("t2"), 99), Err(RevocationsFull));
        assert_eq!(
            revoked.revoke(jti("t1"), 99),
            Ok(()),
            "known already, and now remembered for longer"
        );
        assert_eq!(revoked.revoke(jti("t2"), 109), Err(RevocationsFull));
        assert_eq!(revoked.revoke(jti("t2"), 110), Ok(()), "the user's entry is over");
        assert!(revoked.is_revoked(&token("bob", Some("t1"), None)));
        assert_eq!(revoked.len(), 2);
        assert_eq!(
            revoked.revoke(Revoke::IssuedUntil { at_s: 1 }, 110),
            Ok(()),
            "an age needs no room"
        );
    }

    #[test]
    fn a_revocation_comes_back_from_its_note() {
        for what in [jti("t1"), jti("user/x"), user("a/b", 7), Revoke::IssuedUntil { at_s: 9 }] {
            let (name, value) = what.to_note();
            assert_eq!(Revoke::of_note(&name, value), Some(what));
        }
        assert_eq!(Revoke::of_note("mqtt/session/7", 1), None);
        let mut told = Revocations::bounded(Some(100), 1);
        told.revoke(user("ada", 80), 50).unwrap();
        let mut restored = Revocations::bounded(Some(100), 1);
        restored.revoke(user("ada", 80), user("ada", 80).counts_from_s(50)).unwrap();
        for revoked in [&mut told, &mut restored] {
            assert_eq!(revoked.revoke(jti("t1"), 179), Err(RevocationsFull));
            assert_eq!(revoked.revoke(jti("t1"), 180), Ok(()));
        }
    }

    #[test]
    fn without_expiry_nothing_is_forgotten() {
        let mut revoked = Revocations::bounded(None, 1);
        revoked.revoke(jti("t1"), 0).unwrap();
        assert_eq!(revoked.revoke(jti("t2"), u64::MAX - 1), Err(RevocationsFull));
    }
}
