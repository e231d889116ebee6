//! Hooks: places on a request's way at which somebody else is asked whether, and how, it goes on.
//!
//! A conversation asks by a ticket (`Request::Hook`), and goes on with the [`Verdict`]; whoever is asked is a party of the mesh. An embedder answers in Rust
//! ([`Hooks`], [`Chain`]), an operator over HTTP; both are told the same [`Call`]. Invariants: a hook that was not answered, or not in words that are understood, is a [`Failure`], which
//! is never taken for a yes unless the operator has said so of that hook. Never waits.

mod call;
mod chain;
mod verdict;

pub use call::Call;
pub use call::Caller;
pub use call::Credentials;
pub use call::Json;
pub use call::Subject;
pub use chain::Chain;
pub use chain::Hooks;
pub use verdict::FAILURES;
pub use verdict::Failure;
pub use verdict::Identity;
pub use verdict::Verdict;
pub use verdict::read;

use crate::tables::asks::Asker;

//= resolvespec#3A.7
//# `before_handle`, `before_read`, `after_read`, `before_create`, `after_create`,
//# `before_update`, `after_update`, `before_delete`, `after_delete`, `before_subscribe`, `after_subscribe`, `before_unsubscribe`,
//# `after_unsubscribe`, `before_connect`, `after_connect`, `before_disconnect`, `after_disconnect`.
/// A place at which somebody is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    BeforeHandle,
    BeforeRead,
    AfterRead,
    BeforeCreate,
    AfterCreate,
    BeforeUpdate,
    AfterUpdate,
    BeforeDelete,
    AfterDelete,
    BeforeSubscribe,
    AfterSubscribe,
    BeforeUnsubscribe,
    AfterUnsubscribe,
    BeforeConnect,
    AfterConnect,
    BeforeDisconnect,
    AfterDisconnect,
}

/// How many there are.
pub const HOOK_COUNT: usize = 17;

impl Hook {
    /// All of them, in the order of their places.
    pub const ALL: [Self; HOOK_COUNT] = [
        Self::BeforeHandle,
        Self::BeforeRead,
        Self::AfterRead,
        Self::BeforeCreate,
        Self::AfterCreate,
        Self::BeforeUpdate,
        Self::AfterUpdate,
        Self::BeforeDelete,
        Self::AfterDelete,
        Self::BeforeSubscribe,
        Self::AfterSubscribe,
        Self::BeforeUnsubscribe,
        Self::AfterUnsubscribe,
        Self::BeforeConnect,
        Self::AfterConnect,
        Self::BeforeDisconnect,
        Self::AfterDisconnect,
    ];

    /// The hook's place in lists with one entry for each.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The origin's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeHandle => "before_handle",
            Self::BeforeRead => "before_read",
            Self::AfterRead => "after_read",
            Self::BeforeCreate => "before_create",
            Self::AfterCreate => "after_create",
            Self::BeforeUpdate => "before_update",
            Self::AfterUpdate => "after_update",
            Self::BeforeDelete => "before_delete",
            Self::AfterDelete => "after_delete",
            Self::BeforeSubscribe => "before_subscribe",
            Self::AfterSubscribe => "after_subscribe",
            Self::BeforeUnsubscribe => "before_unsubscribe",
            Self::AfterUnsubscribe => "after_unsubscribe",
            Self::BeforeConnect => "before_connect",
            Self::AfterConnect => "after_connect",
            Self::BeforeDisconnect => "before_disconnect",
            Self::AfterDisconnect => "after_disconnect",
        }
    }

    /// The hook of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }

    /// Whether a row has been written when it is asked: subscribers hear of the row meanwhile, but not whoever wrote it and is not answered yet.
    #[must_use]
    pub const fn is_behind_a_write(self) -> bool {
        matches!(self, Self::AfterCreate | Self::AfterUpdate | Self::AfterDelete)
    }

    /// Whether the hook's answer may replace what the client is answered.
    #[must_use]
    pub const fn sees_a_result(self) -> bool {
        self.is_behind_a_write() || matches!(self, Self::AfterRead)
    }
}

/// Some hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookSet(u32);

impl HookSet {
    /// These, and this one.
    #[must_use]
    pub const fn with(self, hook: Hook) -> Self {
        Self(self.0 | 1 << hook.index())
    }

    #[must_use]
    pub const fn contains(self, hook: Hook) -> bool {
        self.0 & 1 << hook.index() != 0
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Hook> for HookSet {
    fn from_iter<I: IntoIterator<Item = Hook>>(hooks: I) -> Self {
        hooks.into_iter().fold(Self::default(), Self::with)
    }
}

/// What conversations are told of hooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookTerms {
    /// Hooks that are asked; the others are passed over.
    pub asked: HookSet,
    /// Hooks whose failure is taken for a yes that changes nothing.
    pub fail_open: HookSet,
    /// Whether an after hook may replace what its client is answered.
    pub replaces_results: bool,
}

impl HookTerms {
    /// Whether any of the hooks is asked that are about connections.
    #[must_use]
    pub fn ask_of_connections(self) -> bool {
        let about = [
            Hook::BeforeConnect,
            Hook::AfterConnect,
            Hook::BeforeDisconnect,
            Hook::AfterDisconnect,
        ];
        about.into_iter().any(|hook| self.asked.contains(hook))
    }
}

/// To whoever answers hooks.
#[derive(Debug)]
pub struct HookAsk {
    /// Who waits; `None`: nobody.
    pub asker: Option<Asker>,
    pub call: Call,
}

/// What became of a call; it is awaited, and answered once.
pub type Answered = Result<Verdict, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_found_by_their_names_and_places() {
        for (index, hook) in Hook::ALL.into_iter().enumerate() {
            assert_eq!((hook.index(), Hook::from_name(hook.name())), (index, Some(hook)));
            let set: HookSet = [hook].into_iter().collect();
            let found: Vec<Hook> = Hook::ALL.into_iter().filter(|own| set.contains(*own)).collect();
            assert_eq!(found, [hook]);
        }
        assert_eq!(Hook::from_name("before_meta"), None);
        assert!(HookSet::default().is_empty());
    }
}
