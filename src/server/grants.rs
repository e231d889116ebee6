//! From the configuration to what roles may do, and whoever has none.
//!
//! Invariant: a pattern or a filter that cannot be read stops the start, with the key, the file and the line where it stands: a restriction
//! that is misspelt must not be none.

use std::collections::HashMap;
use std::sync::Arc;

use super::written::unusable;
use crate::auth::Anonymous;
use crate::auth::AnonymousAccess;
use crate::auth::Certified;
use crate::auth::EventTypes;
use crate::auth::Grants;
use crate::auth::Mapping;
use crate::auth::NAME_KINDS;
use crate::auth::Role;
use crate::config::Config;
use crate::config::ConfigError;
use crate::event::TopicPattern;
use crate::limits::TLS_CLIENTS_MAX;
use crate::limits::TOKEN_ROLES_MAX;
use crate::limits::USER_BYTES_MAX;
use crate::matcher::Filter;

/// Which claims mean what, and what roles may do.
pub(super) fn mapping(config: &Config) -> Result<Mapping, ConfigError> {
    let auth = &config.auth;
    for (key, claim) in
        [("auth.user_claim", &auth.user_claim), ("auth.grants_claim", &auth.grants_claim)]
    {
        if claim.is_empty() {
            return Err(unusable(config, key, "it names no claim"));
        }
    }
    Ok(Mapping {
        user_claim: auth.user_claim.as_str().into(),
        role_claims: auth.role_claims.iter().map(|claim| claim.as_str().into()).collect(),
        grants_claim: auth.grants_claim.as_str().into(),
        roles: roles(config)?,
        subscribe_unsaid: grants(config, "auth.subscribe_default", &auth.subscribe_default)?,
        publish_unsaid: grants(config, "auth.publish_default", &auth.publish_default)?,
    })
}

fn roles(config: &Config) -> Result<HashMap<Box<str>, Role>, ConfigError> {
    let mut roles = HashMap::new();
    for (name, said) in &config.roles {
        let key = |what: &str| format!("roles.{name}.{what}");
        let read = |what: &str, list: &Option<Vec<String>>| match list {
            Some(list) => grants(config, &key(what), list).map(Some),
            None => Ok(None),
        };
        let role = Role {
            subscribe: read("subscribe", &said.subscribe)?,
            publish: read("publish", &said.publish)?,
            filter: match &said.filter {
                Some(text) => Some(filter(config, &key("filter"), text)?),
                None => None,
            },
        };
        roles.insert(name.as_str().into(), role);
    }
    Ok(roles)
}

fn grants(config: &Config, key: &str, list: &[String]) -> Result<Grants, ConfigError> {
    let patterns: Result<Vec<TopicPattern>, _> =
        list.iter().map(|text| TopicPattern::new(text)).collect();
    patterns.map(Grants::new).map_err(|error| unusable(config, key, error))
}

/// A filter in the text notation, or in the JSON one, as JSON text: so tokens have it.
fn filter(config: &Config, key: &str, text: &str) -> Result<Arc<str>, ConfigError> {
    let is_json = text.trim_start().starts_with('{');
    Filter::parse(text).map_err(|error| unusable(config, key, error))?;
    let quoted = || serde_json::Value::from(text).to_string();
    Ok(if is_json { text.into() } else { quoted().into() })
}

/// Who is known by a certificate, and what their roles grant.
pub(super) fn certified(config: &Config) -> Result<Certified, ConfigError> {
    let tls = &config.tls;
    let mapping = mapping(config)?;
    let key = |index: usize, what: &str| format!("tls.clients[{index}].{what}");
    if !tls.clients.is_empty() && tls.client_ca_file.is_empty() {
        let reason = "no client is asked for a certificate: set `tls.client_ca_file`";
        return Err(unusable(config, "tls.clients[0]", reason));
    }
    if tls.clients.len() > TLS_CLIENTS_MAX {
        let reason = format!("{} clients; at most {TLS_CLIENTS_MAX} may be", tls.clients.len());
        return Err(unusable(config, &format!("tls.clients[{TLS_CLIENTS_MAX}]"), reason));
    }
    let mut clients = Vec::with_capacity(tls.clients.len());
    for (index, client) in tls.clients.iter().enumerate() {
        let named = client.name.split_once(':');
        let named = named.filter(|(kind, name)| NAME_KINDS.contains(kind) && !name.is_empty());
        let (_, name) = named.ok_or_else(|| {
            let kinds = NAME_KINDS.join(":, ");
            let reason = format!("it is no name with its kind in front ({kinds}:)");
            unusable(config, &key(index, "name"), reason)
        })?;
        if tls.clients[..index].iter().any(|other| other.name == client.name) {
            let reason = "another stands before it with the same name";
            return Err(unusable(config, &key(index, "name"), reason));
        }
        let user = if client.user.is_empty() { name } else { &client.user };
        if user.len() > USER_BYTES_MAX {
            let reason = format!("a user's name has at most {USER_BYTES_MAX} bytes");
            let blamed = if client.user.is_empty() { "name" } else { "user" };
            return Err(unusable(config, &key(index, blamed), reason));
        }
        if client.roles.len() > TOKEN_ROLES_MAX {
            let reason = format!("at most {TOKEN_ROLES_MAX} roles");
            return Err(unusable(config, &key(index, "roles"), reason));
        }
        let roles = client.roles.iter().map(|role| role.as_str().into()).collect();
        clients.push((client.name.as_str().into(), mapping.of_roles(user.into(), roles)));
    }
    Ok(Certified::new(clients))
}

/// Which roles may see which types of event. Without keys nobody can show a role, so that only what is set needs one.
pub(super) fn event_types(config: &Config, has_keys: bool) -> EventTypes {
    let types = if has_keys { EventTypes::default() } else { EventTypes::open() };
    config.event_types.iter().fold(types, |types, (name, roles)| types.with(name, roles))
}

/// Where clients without a token are let in, and what they may do.
pub(super) fn anonymous(config: &Config) -> Result<Anonymous, ConfigError> {
    let access = match config.auth.anonymous.as_str() {
        "nowhere" => AnonymousAccess::Nowhere,
        "anywhere" => AnonymousAccess::Anywhere,
        _ => AnonymousAccess::Loopback,
    };
    let name = config.auth.anonymous_role.as_str();
    if name.is_empty() {
        return Ok(Anonymous { access, ..Anonymous::default() });
    }
    let role = roles(config)?.remove(name).ok_or_else(|| {
        let reason = format!("there is no table [roles.{name}]");
        unusable(config, "auth.anonymous_role", reason)
    })?;
    Ok(Anonymous {
        access,
        roles: vec![name.into()],
        subscribe: role.subscribe.unwrap_or_default(),
        publish: role.publish.unwrap_or_default(),
        filter: role.filter,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::event::TopicName;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("f.toml")).unwrap()
    }

    #[test]
    fn roles_are_what_the_file_says() {
        let config = config(
            "[roles.viewer]\nsubscribe = ['adsb/**']\nfilter = 'altitude < 10000'\n[roles.feeder]\npublish = ['adsb/*']\n",
        );
        let mapping = mapping(&config).unwrap();
        let viewer = &mapping.roles["viewer"];
        assert_eq!(viewer.filter.as_deref(), Some("\"altitude < 10000\""));
        assert_eq!(viewer.publish, None);
        let feeder = mapping.roles["feeder"].publish.as_ref().unwrap();
        assert!(feeder.covers_topic(&TopicName::new("adsb/ch").unwrap()));
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        for (text, expected) in [
            (
                "[roles.viewer]\nsubscribe = ['a//b']",
                "f.toml:2: `roles.viewer.subscribe`: cannot be used: ",
            ),
            (
                "[roles.viewer]\n\nfilter = 'altitude <'",
                "f.toml:3: `roles.viewer.filter`: cannot be used: ",
            ),
            ("[roles.viewer]\nfilter = ''", "f.toml:2: `roles.viewer.filter`: cannot be used: "),
            (
                "[auth]\npublish_default = ['']",
                "f.toml:2: `auth.publish_default`: cannot be used: ",
            ),
            ("auth.user_claim = ''", "f.toml:1: `auth.user_claim`: cannot be used: "),
        ] {
            let error = mapping(&config(text)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = anonymous(&config("auth.anonymous_role = 'guest'")).unwrap_err().to_string();
        let expected =
            "f.toml:1: `auth.anonymous_role`: cannot be used: there is no table [roles.guest]";
        assert_eq!(error, expected);
    }

    #[test]
    fn anonymous_clients_may_do_what_their_role_says_and_nothing_else() {
        let config =
            config("auth.anonymous_role = 'guest'\n[roles.guest]\nsubscribe = ['adsb/*']\n");
        let guest = anonymous(&config).unwrap();
        assert!(guest.subscribe.covers_topic(&TopicName::new("adsb/ch").unwrap()));
        assert!(!guest.subscribe.covers_topic(&TopicName::new("tasks").unwrap()));
        assert!(!guest.publish.covers_topic(&TopicName::new("adsb/ch").unwrap()));
    }
}
