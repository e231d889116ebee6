//! From the configuration to what the shards know of dialects and of who may do what. Reads the files that hold keys.
//!
//! Invariant: a text or a file that is not what it must be stops the start, with the key that names it.

use std::sync::Arc;

use super::grants;
use super::keys;
use super::tls;
use super::written::file;
use super::written::parts;
use super::written::seconds;
use super::written::unusable;
use crate::auth::AccessLimits;
use crate::auth::AdminSecret;
use crate::auth::Origins;
use crate::auth::Rate;
use crate::auth::secret_in_file;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::DialectConfig;
use crate::config::ViewConfig;
use crate::dialect::View;
use crate::dialect::Views;
use crate::event::Naming;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::shard::Access;
use crate::shard::Listeners;
use crate::shard::OwnEvents;
use crate::shard::Port;

/// How each dialect sees the topics.
pub(super) fn views(config: &Config) -> Result<Views, ConfigError> {
    let own = |dialect: &DialectConfig| {
        let DialectConfig { protocol, view: written, settings } = dialect;
        let view = match protocol.guest {
            Some(_) => view(config, protocol.key, written)?,
            None => View::default(),
        };
        Ok((*protocol, view, settings.clone()))
    };
    config.dialects.iter().map(own).collect()
}

fn view(whole: &Config, table: &str, config: &ViewConfig) -> Result<View, ConfigError> {
    let key = |name: &str| format!("{table}.{name}");
    let topics: Result<Vec<_>, _> = parts(&config.topics).map(TopicPattern::new).collect();
    let topics = topics.map_err(|error| unusable(whole, &key("topics"), error))?;
    if topics.is_empty() {
        return Err(unusable(whole, &key("topics"), "it names no topic"));
    }
    if !config.prefix.is_empty() {
        TopicName::new(&format!("{}a", config.prefix))
            .map_err(|error| unusable(whole, &key("prefix"), error))?;
    }
    let mut names = Vec::new();
    for part in parts(&config.names) {
        let named = part
            .split_once('=')
            .ok_or_else(|| unusable(whole, &key("names"), "a name is written name=topic"));
        let (name, topic) = named?;
        let topic =
            TopicName::new(topic.trim()).map_err(|error| unusable(whole, &key("names"), error))?;
        names.push((name.trim().into(), topic));
    }
    let naming = Arc::new(Naming { prefix: config.prefix.as_str().into(), names });
    Ok(View { topics, naming, deletes: config.deletes })
}

/// What the server says of itself.
pub(super) fn own(config: &Config) -> OwnEvents {
    OwnEvents { figures_s: seconds(config.own.figures_s), logs: config.own.logs }
}

/// Who may do what.
pub(super) fn access(config: &Config) -> Result<Access, ConfigError> {
    let auth = &config.auth;
    let rate = |per_second: u64| Rate::per_second(seconds(per_second));
    let origins: Vec<&str> = parts(&auth.origins).collect();
    let hosts: Vec<&str> = parts(&auth.hosts).collect();
    let admin = match auth.admin_secret_file.as_str() {
        "" => None,
        path => {
            let key = "auth.admin_secret_file";
            let bytes = file(config, key, path)?;
            let secret = AdminSecret::new(secret_in_file(&bytes));
            Some(Arc::new(secret.map_err(|error| unusable(config, key, error))?))
        }
    };
    let verifier = keys::verifier(config)?.map(Arc::new);
    let certified = grants::certified(config)?;
    let can_show_roles = verifier.is_some() || !certified.is_empty();
    Ok(Access {
        keys: None,
        anonymous: grants::anonymous(config)?,
        certified,
        event_types: grants::event_types(config, can_show_roles),
        verifier,
        origins: Origins::new(&origins, &hosts)
            .map_err(|error| unusable(config, "auth.origins", error))?,
        limits: AccessLimits {
            user_connections: seconds(auth.user_connections),
            address_connections: seconds(auth.address_connections),
            handshakes: rate(auth.handshakes_per_s),
            messages: rate(auth.messages_per_s),
            publish: rate(auth.publish_per_s),
        },
        hides_figures: hides_figures(config, admin.is_some())?,
        admin,
        listeners: listeners(config)?,
    })
}

/// Whether figures need the admin secret, which there must be then.
fn hides_figures(config: &Config, has_secret: bool) -> Result<bool, ConfigError> {
    let hides = config.auth.metrics == "secret";
    if hides && !has_secret {
        let reason = "there is no secret: set `auth.admin_secret_file`";
        return Err(unusable(config, "auth.metrics", reason));
    }
    Ok(hides)
}

/// What each listener is bound to.
fn listeners(config: &Config) -> Result<Listeners, ConfigError> {
    let mut listeners = Listeners::at(config.listen.ip());
    for (key, view) in config.guests() {
        if let Some(address) = view.listen {
            listeners = listeners.with(Port::Own(key), address.ip());
        }
    }
    let own = config.guests().map(|(key, _)| Port::Own(key));
    let ports = std::iter::once(Port::Shared).chain(own);
    let listeners =
        ports.filter(|port| tls::is_secured(config, *port)).fold(listeners, Listeners::encrypted);
    Ok(listeners.https(tls::https_port(config)?, seconds(config.tls.hsts_s)))
}
