//! What may be set of dialects, as their folders declare it: the same few keys for each whose clients came from somewhere, and its own settings.
//!
//! Invariant: no dialect is named here, so one that is added can be configured at once, and the page lists its keys.

use super::listen::Listen;
use super::takes::Takes;
use crate::dialect::Guest;
use crate::dialect::Protocol;
use crate::dialect::Setting;
use crate::dialect::SettingTakes;

/// How one dialect sees the topics. See `docs/dialects/mapping.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewConfig {
    /// Listeners of the dialect's own.
    pub listen: Vec<Listen>,
    pub topics: String,
    pub prefix: String,
    pub names: String,
    pub deletes: bool,
    /// Path of the file with the secret that its clients share, if there is such a thing.
    pub secret_file: String,
    /// What clients' messages are published under; empty: they are not.
    pub published_under: String,
}

/// What is set of one protocol.
#[derive(Clone, Debug)]
pub struct DialectConfig {
    pub protocol: &'static Protocol,
    /// Blank, if it cannot be set.
    pub view: ViewConfig,
    /// In the order in which they are declared.
    pub settings: Vec<u64>,
}

impl DialectConfig {
    /// Nothing is set; the defaults are written over it.
    pub(super) fn blank(protocol: &&'static Protocol) -> Self {
        let settings = vec![0; protocol.settings.len()];
        Self { protocol, view: ViewConfig::default(), settings }
    }
}

impl PartialEq for DialectConfig {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.protocol, other.protocol)
            && (&self.view, &self.settings) == (&other.view, &other.settings)
    }
}

impl Eq for DialectConfig {}

/// Where a value of a dialect's is put.
pub(super) enum Slot {
    View(Takes<ViewConfig>),
    Setting { index: usize, takes: SettingTakes },
}

/// Something that may be set of one dialect.
pub(super) struct DialectKey {
    /// With the protocol's word in front: `peat.listen`.
    pub(super) name: String,
    pub(super) slot: Slot,
    /// The default as it would be written in the file.
    pub(super) default: String,
    pub(super) unit: &'static str,
    pub(super) doc: String,
}

/// Everything that may be set of a protocol, in the order in which the page lists it.
pub(super) fn keys_of(protocol: &Protocol) -> impl Iterator<Item = DialectKey> {
    let of_guest = protocol.guest.iter().flat_map(|guest| guest_keys(protocol.key, guest));
    let settings = protocol.settings.iter().enumerate();
    of_guest.chain(settings.map(|(index, setting)| setting_key(protocol.key, index, setting)))
}

fn setting_key(table: &str, index: usize, setting: &Setting) -> DialectKey {
    let (default, unit) = match setting.takes {
        SettingTakes::Switch => ((setting.default != 0).to_string(), ""),
        SettingTakes::Number { unit, .. } => (setting.default.to_string(), unit),
    };
    DialectKey {
        name: format!("{table}.{}", setting.name),
        slot: Slot::Setting { index, takes: setting.takes },
        default,
        unit,
        doc: setting.doc.to_owned(),
    }
}

fn guest_keys(table: &str, guest: &Guest) -> Vec<DialectKey> {
    let Guest { called, origin, deletes_as, secret, published_under } = guest;
    let key = |name: &str, takes, default: &str, unit, doc| DialectKey {
        name: format!("{table}.{name}"),
        slot: Slot::View(takes),
        default: default.to_owned(),
        unit,
        doc,
    };
    let mut keys = vec![
        key(
            "listen",
            Takes::Listens(|view| &mut view.listen),
            "\"\"",
            "address:port, `\"\"`, or a list of them",
            format!(
                "A port of its own for {called}, or several, where the paths of its origin mean it alone: {origin}. `tls://` before an address has TLS spoken there, `tcp://` has it in the clear; without either it is as `tls.plain_listeners` says. Empty: it is on the shared port only."
            ),
        ),
        key(
            "topics",
            Takes::Text { field: |view| &mut view.topics },
            "\"**\"",
            "",
            format!(
                "Topics and patterns, with commas between them, that {called} sees; beyond them it sees nothing, and `all` means these."
            ),
        ),
        key(
            "prefix",
            Takes::Text { field: |view| &mut view.prefix },
            "\"\"",
            "",
            format!(
                "Stands before a name of {called} to make its topic: with `x/` the name `a` is the topic `x/a`. Empty: a topic is its own name."
            ),
        ),
        key(
            "names",
            Takes::Text { field: |view| &mut view.names },
            "\"\"",
            "",
            "Names of their own for topics, as `name=topic`, with commas between them: `aircraft=adsb/ch`.".to_owned(),
        ),
    ];
    if let Some(deletes_as) = deletes_as {
        keys.push(key(
            "deletes",
            Takes::Switch(|view| &mut view.deletes),
            "false",
            "",
            format!("Whether deletes are told as {deletes_as}. The dialect has no word for them."),
        ));
    }
    if let Some(secret) = secret {
        keys.push(key(
            "secret_file",
            Takes::Text { field: |view| &mut view.secret_file },
            "\"\"",
            "",
            (*secret).to_owned(),
        ));
    }
    keys.extend(published_under.map(|under| under_key(table, called, under)));
    keys
}

fn under_key(table: &str, called: &str, under: &str) -> DialectKey {
    DialectKey {
        name: format!("{table}.published_under"),
        slot: Slot::View(Takes::Text { field: |view| &mut view.published_under }),
        default: format!("\"{under}\""),
        unit: "",
        doc: format!(
            "Where MQTT is spoken and tables are declared, what {called} says is heard as publications to `{under}/CLIENT/request`, and answered to `{under}/CLIENT/response`; this is what stands before `/CLIENT`. Empty: it is not heard so."
        ),
    }
}
