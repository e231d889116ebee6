//! All keys there are, wherever they are declared: the server's own, and each dialect's.
//!
//! Invariant: whoever lists or looks up keys does it here, so that none is forgotten.

use toml::de::DeValue;

use super::Config;
use super::dialects;
use super::dialects::DialectKey;
use super::dialects::Slot;
use super::error::Problem;
use super::keys;
use super::takes::Key;
use super::takes::Takes;
use super::takes::put;
use crate::dialect::Protocol;
use crate::dialect::SettingTakes;

/// A key, and where it is declared.
pub(super) enum Known {
    OfServer(&'static Key),
    OfDialect { protocol: &'static Protocol, key: DialectKey },
}

/// Every key, in the order in which the page lists them.
pub(super) fn every(protocols: &[&'static Protocol]) -> impl Iterator<Item = Known> {
    let of_dialect = |protocol: &&'static Protocol| {
        let protocol = *protocol;
        dialects::keys_of(protocol).map(move |key| Known::OfDialect { protocol, key })
    };
    keys::every().map(Known::OfServer).chain(protocols.iter().flat_map(of_dialect))
}

impl Known {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::OfServer(key) => key.name,
            Self::OfDialect { key, .. } => &key.name,
        }
    }

    pub(super) fn default(&self) -> &str {
        match self {
            Self::OfServer(key) => key.default,
            Self::OfDialect { key, .. } => &key.default,
        }
    }

    pub(super) fn doc(&self) -> &str {
        match self {
            Self::OfServer(key) => key.doc,
            Self::OfDialect { key, .. } => &key.doc,
        }
    }

    /// Which values are possible, as the page says it.
    pub(super) fn values(&self) -> String {
        match self {
            Self::OfServer(key) => key.takes.values(key.unit),
            Self::OfDialect { key, .. } => match &key.slot {
                Slot::View(takes) => takes.values(key.unit),
                Slot::Setting { takes, .. } => switch_or_number(*takes).values(key.unit),
            },
        }
    }

    /// Whether what stands on the command line is a word, which needs no quotes there.
    pub(super) fn is_word(&self, text: &str) -> bool {
        match self {
            Self::OfServer(key) => key.takes.is_word(text),
            Self::OfDialect { key, .. } => match &key.slot {
                Slot::View(takes) => takes.is_word(text),
                Slot::Setting { .. } => false,
            },
        }
    }

    /// Sets it.
    ///
    /// # Errors
    /// If it cannot have that value.
    pub(super) fn set(&self, config: &mut Config, value: &DeValue<'_>) -> Result<(), Problem> {
        let (protocol, key) = match self {
            Self::OfServer(key) => return put(config, &key.takes, value),
            Self::OfDialect { protocol, key } => (*protocol, key),
        };
        let mut dialects = config.dialects.iter_mut();
        let dialect = dialects.find(|dialect| std::ptr::eq(dialect.protocol, protocol));
        let dialect = dialect.expect("keys are listed of the protocols that are spoken");
        match &key.slot {
            Slot::View(takes) => put(&mut dialect.view, takes, value),
            Slot::Setting { index, takes } => {
                let mut set = SwitchOrNumber::default();
                put(&mut set, &switch_or_number(*takes), value)?;
                dialect.settings[*index] = set.number.max(u64::from(set.is_on));
                Ok(())
            }
        }
    }
}

/// A setting's value, of which one half is used.
#[derive(Default)]
struct SwitchOrNumber {
    is_on: bool,
    number: u64,
}

fn switch_or_number(takes: SettingTakes) -> Takes<SwitchOrNumber> {
    match takes {
        SettingTakes::Switch => Takes::Switch(|set| &mut set.is_on),
        SettingTakes::Number { min, max, .. } => {
            Takes::Number { min, max, field: |set| &mut set.number }
        }
    }
}
