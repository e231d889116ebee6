//! What a key is set to, as it would be written; what differs between two configurations, and when that takes effect.
//!
//! Invariants: two values that mean the same are written alike, wherever they come from; a key is listed as changed only if what it means has changed. What is secret is no
//! setting (settings name files), and what a URL says before its host is left out.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::Config;
use super::known::every;
use super::tables::TABLES;

/// A key that two configurations set differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Box<str>,
    /// The value before, as it would be written in the file; empty: there was none. `to`: the one now.
    pub from: Box<str>,
    pub to: Box<str>,
    pub when: When,
}

/// When a running server takes a new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When it reads its configuration anew (SIGHUP).
    Reload,
    Restart,
}

/// Everything there is to say about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    pub key: Box<str>,
    pub values: Box<str>,
    pub default: Box<str>,
    pub doc: Box<str>,
    pub when: When,
}

/// Keys of no table, and of tables of which others need a restart, that a running server takes.
const RELOADED: [&str; 24] = [
    "log",
    "echo",
    "deflate",
    "outbox_bytes_max",
    "subscriptions_max",
    "filter_bytes_max",
    "ping_after_s",
    "request_timeout_s",
    "upload_bytes_per_s_min",
    "close_timeout_s",
    "return_spread_s",
    "server_reference",
    "server_moved",
    "own.figures_s",
    "own.logs",
    "trusted_proxies",
    "proxy_field",
    "tls.certificate_file",
    "tls.key_file",
    "tls.redirect_port",
    "tls.redirect_listen",
    "tls.plain_listeners",
    "listen",
    "proxy_listeners",
];

/// The beginnings of names of keys that it takes.
const RELOADED_BEGIN: [&str; 9] = [
    "auth.",
    "source[",
    "tls.acme",
    "roles.",
    "event_types.",
    "tls.certificates",
    "tls.client",
    "tls.self_signed",
    "tls.folder",
];

/// Keys with such a beginning that it does not take: what they are about is begun at the start.
const NOT_RELOADED: [&str; 2] = ["auth.jwks_url", "auth.jwks_wish_s_min"];

impl When {
    /// When a key's new value is taken.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let begins = RELOADED_BEGIN.iter().any(|begin| key.starts_with(begin));
        // A dialect's own listener.
        let listens = key.ends_with(".listen");
        match (begins || listens || RELOADED.contains(&key)) && !NOT_RELOADED.contains(&key) {
            true => Self::Reload,
            false => Self::Restart,
        }
    }
}

impl Config {
    /// What a key is set to, as it would be written; empty: it is not there.
    #[must_use]
    pub fn written(&self, key: &str) -> String {
        if let Some(text) = self.places.text(key) {
            return text.to_owned();
        }
        let protocols = self.protocols();
        let known = every(&protocols).find(|known| known.name() == key);
        known.map(|known| alike(known.default())).unwrap_or_default()
    }

    /// What another configuration sets otherwise, by the names of the keys.
    #[must_use]
    pub fn changes(&self, other: &Self) -> Vec<Change> {
        let keys: BTreeSet<&str> = self.places.keys().chain(other.places.keys()).collect();
        let changes = keys.into_iter().filter_map(|key| {
            let (from, to) = (self.written(key), other.written(key));
            let change = |(from, to): (String, String)| Change {
                key: key.into(),
                from: from.into(),
                to: to.into(),
                when: When::of(key),
            };
            (from != to).then(|| change((without_user(&from), without_user(&to))))
        });
        changes.collect()
    }

    /// Takes over what another configuration says of these keys, for the next comparison: what they mean is not carried out.
    pub fn take(&mut self, other: &Self, changes: &[Change]) {
        for change in changes {
            self.places.take(&change.key, &other.places);
        }
    }

    /// Everything there is to say about a key; `None`: there is no such key.
    #[must_use]
    pub fn explain(&self, key: &str) -> Option<Explained> {
        if let Some(table) = TABLES.iter().find(|table| table.name == key) {
            let is_taken = |end: &&str| When::of(&format!("{key}{end}")) == When::Reload;
            let is_reloaded = [".", "["].iter().any(is_taken);
            return Some(Explained {
                key: key.into(),
                values: "tables with names of your own".into(),
                default: "(nothing)".into(),
                doc: table.doc.into(),
                when: if is_reloaded { When::Reload } else { When::Restart },
            });
        }
        let protocols = self.protocols();
        let known = every(&protocols).find(|known| known.name() == key)?;
        Some(Explained {
            key: key.into(),
            values: known.values().into(),
            default: known.default().into(),
            doc: known.doc().into(),
            when: When::of(key),
        })
    }

    /// A key's value as it may be shown: secrets are not.
    #[must_use]
    pub fn shown(&self, key: &str) -> String {
        without_user(&self.written(key))
    }
}

/// What a URL says of its user is for its server alone.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority_bytes = rest.find(['/', '?', '#', '"']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_bytes);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}{path}"),
        None => text.to_owned(),
    }
}

/// A value that was written in some way, as all are written here.
fn alike(text: &str) -> String {
    DeValue::parse(text).map_or_else(|_| text.to_owned(), |value| written(value.get_ref()))
}

/// A value as it would be written, always in the same way.
pub(super) fn written(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => toml::Value::from(text.as_ref()).to_string(),
        DeValue::Integer(number) => {
            let parsed = i128::from_str_radix(number.as_str(), number.radix());
            parsed.map_or_else(|_| number.to_string(), |parsed| parsed.to_string())
        }
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(list) => {
            let parts: Vec<String> = list.iter().map(|part| written(part.get_ref())).collect();
            format!("[{}]", parts.join(", "))
        }
        DeValue::Table(table) => {
            let members = table
                .iter()
                .map(|(name, value)| format!("{} = {}", name.get_ref(), written(value.get_ref())));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("f.toml")).unwrap()
    }

    fn changes(from: &str, to: &str) -> Vec<String> {
        let changes = config(from).changes(&config(to));
        let line = |change: &Change| {
            format!("{}: {} -> {} {:?}", change.key, change.from, change.to, change.when)
        };
        changes.iter().map(line).collect()
    }

    #[test]
    fn what_means_the_same_has_not_changed() {
        assert_eq!(changes("shards = 2", "shards = 0x2 # two"), [""; 0]);
        assert_eq!(
            changes("", "listen = '127.0.0.1:8080'\nauth.role_claims = [ 'role','roles' ]"),
            [""; 0]
        );
        assert_eq!(changes("[own]\nlogs = false", ""), [""; 0]);
    }

    #[test]
    fn each_change_is_named_with_when_it_is_taken() {
        let to = "shards = 3\necho = true\n[auth]\njwks_url = 'https://ada:secret@example.org/keys'\n[roles.viewer]\nsubscribe = ['a']\n[[tls.clients]]\nname = 'dns:a'\n";
        assert_eq!(
            changes("", to),
            [
                "auth.jwks_url: \"\" -> \"https://…@example.org/keys\" Restart",
                "echo: false -> true Reload",
                "roles.viewer.subscribe:  -> [\"a\"] Reload",
                "shards: 0 -> 3 Restart",
                "tls.clients[0].name:  -> \"dns:a\" Reload",
            ]
        );
        assert_eq!(changes(to, "")[2], "roles.viewer.subscribe: [\"a\"] ->  Reload");
    }

    #[test]
    fn a_secret_in_a_url_is_not_shown_and_yet_noticed() {
        let url = |user: &str| format!("auth.jwks_url = 'https://{user}example.org/keys'");
        let changed = changes(&url("ada:one@"), &url("ada:two@"));
        assert_eq!(changed.len(), 1);
        assert!(!changed[0].contains("ada"), "{}", changed[0]);
        assert_eq!(config(&url("a:b@c@")).shown("auth.jwks_url"), "\"https://…@example.org/keys\"");
    }

    #[test]
    fn every_key_that_is_taken_exists() {
        let (config, protocols) = (Config::default(), Config::default().protocols());
        for key in RELOADED.iter().chain(&NOT_RELOADED) {
            assert!(config.explain(key).is_some(), "{key}");
        }
        let is_known = |begin: &&str| {
            let tables = TABLES.iter().map(|table| table.name);
            let begin = begin.trim_end_matches(['.', '[']);
            tables.clone().any(|name| name == begin)
                || every(&protocols).any(|known| known.name().starts_with(begin))
        };
        assert!(RELOADED_BEGIN.iter().all(is_known));
    }
}
