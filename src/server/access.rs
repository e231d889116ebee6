//! From the configuration to what the shards know of dialects and of who may do what. Reads the files that hold keys.
//!
//! Invariant: a text or a file that is not what it must be stops the start, with the key that names it.

use std::sync::Arc;

use aws_lc_rs::digest::SHA512;
use aws_lc_rs::digest::digest;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use super::grants;
use super::keys;
use super::tls;
use super::written::file;
use super::written::parts;
use super::written::seconds;
use super::written::unusable;
use crate::auth::AccessLimits;
use crate::auth::AdminSecret;
use crate::auth::Networks;
use crate::auth::Origins;
use crate::auth::Rate;
use crate::auth::secret_in_file;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::DialectConfig;
use crate::config::ViewConfig;
use crate::dialect::Secret;
use crate::dialect::View;
use crate::dialect::Views;
use crate::event::Naming;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::shard::Access;
use crate::shard::Listeners;
use crate::shard::OwnEvents;
use crate::shard::Port;
use crate::shard::Proxies;
use crate::wire::http::ForwardedBy;

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
    let secret = secret(whole, &key("secret_file"), &config.secret_file)?;
    let published_under = config.published_under.as_str();
    if published_under.contains(['+', '#'])
        || published_under.starts_with(['/', '$'])
        || published_under.ends_with('/')
    {
        let why = "it is the beginning of topics: without wildcards, without a / at its ends, without a $ before it";
        return Err(unusable(whole, &key("published_under"), why));
    }
    let published_under = published_under.into();
    Ok(View { topics, naming, deletes: config.deletes, secret, published_under })
}

/// The secret that a dialect's clients share, and a token for it that nobody can tell from the secret: a new one at each start.
fn secret(whole: &Config, key: &str, path: &str) -> Result<Option<Arc<Secret>>, ConfigError> {
    if path.is_empty() {
        return Ok(None);
    }
    let bytes = file(whole, key, path)?;
    let password = std::str::from_utf8(&bytes).map_err(|error| unusable(whole, key, error))?.trim();
    if password.is_empty() {
        return Err(unusable(whole, key, "there is no secret in the file"));
    }
    let mut salted = password.as_bytes().to_vec();
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).map_err(|_| unusable(whole, key, "there are no random bytes"))?;
    salted.extend_from_slice(&salt);
    let digest = digest(&SHA512, &salted);
    let token = URL_SAFE.encode(digest).into();
    Ok(Some(Arc::new(Secret { password: password.into(), token })))
}

/// Random bytes that a dialect's token is made with.
const SALT_BYTES: usize = 64;

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
        proxies: proxies(config)?,
    })
}

/// Who is trusted to say whom a request is from.
fn proxies(config: &Config) -> Result<Proxies, ConfigError> {
    let trusted = Networks::parse(config.trusted_proxies.iter().map(String::as_str));
    let trusted = trusted.map_err(|error| unusable(config, "trusted_proxies", error))?;
    let key = "proxy_listeners";
    tls::check_listeners(config, key, &config.proxy_listeners)?;
    if trusted.is_empty() && !config.proxy_listeners.is_empty() {
        let reason = "nobody may connect there: set `trusted_proxies`";
        return Err(unusable(config, key, reason));
    }
    let by = match config.proxy_field.as_str() {
        "Forwarded" => ForwardedBy::Forwarded,
        _ => ForwardedBy::XForwardedFor,
    };
    Ok(Proxies { trusted: Arc::new(trusted), by })
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
        // One address that others reach makes all of them count as reached by others.
        let open = view.listen.iter().find(|listen| !listen.address.ip().is_loopback());
        if let Some(listen) = open.or_else(|| view.listen.first()) {
            listeners = listeners.with(Port::Own(key), listen.address.ip());
        }
    }
    let acme = &config.tls.acme;
    let is_checked = !acme.names.is_empty() && acme.challenge == "http-01";
    let listeners = listeners.https(tls::https_port(config)?, seconds(config.tls.hsts_s));
    Ok(listeners.checked(is_checked))
}
