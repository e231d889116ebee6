//! From the configuration to what the shards know of dialects and of who may do what. Reads the files that hold keys.
//!
//! Invariant: a text or a file that is not what it must be stops the start, with the key that names it.

use std::fmt::Display;
use std::fs;
use std::sync::Arc;

use super::plan::seconds;
use crate::auth::AccessLimits;
use crate::auth::AdminSecret;
use crate::auth::Algorithm;
use crate::auth::Anonymous;
use crate::auth::AnonymousAccess;
use crate::auth::JwksOrigin;
use crate::auth::Key;
use crate::auth::KeyKind;
use crate::auth::KeySet;
use crate::auth::Mapping;
use crate::auth::Origins;
use crate::auth::Rate;
use crate::auth::TokenRules;
use crate::auth::Verifier;
use crate::auth::parse_jwks;
use crate::auth::secret_in_file;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Origin;
use crate::config::Problem;
use crate::config::ViewConfig;
use crate::dialect::View;
use crate::dialect::Views;
use crate::dialect::hyperbeam;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::shard::Access;
use crate::shard::HyperBeam;
use crate::shard::OwnEvents;

fn unusable(key: &str, reason: impl Display) -> ConfigError {
    let problem = Problem::Unusable { reason: reason.to_string().into() };
    ConfigError::new(key, Origin::Machine, problem)
}

/// The members of a text with commas in it.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn file(key: &str, path: &str) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|error| unusable(key, format_args!("{path}: {error}")))
}

/// How each dialect sees the topics.
pub(super) fn views(config: &Config) -> Result<Views, ConfigError> {
    Ok(Views {
        native: View::default(),
        peat: view("peat", &config.peat)?,
        hyperbeam: view("hyperbeam", &config.hyperbeam.view)?,
        provisioning: view("provisioning", &config.provisioning)?,
    })
}

fn view(table: &str, config: &ViewConfig) -> Result<View, ConfigError> {
    let key = |name: &str| format!("{table}.{name}");
    let topics: Result<Vec<_>, _> = parts(&config.topics).map(TopicPattern::new).collect();
    let topics = topics.map_err(|error| unusable(&key("topics"), error))?;
    if topics.is_empty() {
        return Err(unusable(&key("topics"), "it names no topic"));
    }
    if !config.prefix.is_empty() {
        TopicName::new(&format!("{}a", config.prefix))
            .map_err(|error| unusable(&key("prefix"), error))?;
    }
    let mut names = Vec::new();
    for part in parts(&config.names) {
        let named = part
            .split_once('=')
            .ok_or_else(|| unusable(&key("names"), "a name is written name=topic"));
        let (name, topic) = named?;
        let topic = TopicName::new(topic.trim()).map_err(|error| unusable(&key("names"), error))?;
        names.push((name.trim().into(), topic));
    }
    let prefix = config.prefix.as_str().into();
    Ok(View { topics, prefix, names, deletes: config.deletes })
}

/// What may be set of HyperBEAM's dialect.
pub(super) fn hyperbeam(config: &Config) -> HyperBeam {
    HyperBeam {
        options: hyperbeam::Options {
            derived: config.hyperbeam.derived_topics,
            regex: config.hyperbeam.regex_topics,
        },
        info_seen: config.hyperbeam.info_seen,
        idle_s: seconds(config.hyperbeam.idle_s),
    }
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
            let bytes = file(key, path)?;
            let secret = AdminSecret::new(secret_in_file(&bytes));
            Some(Arc::new(secret.map_err(|error| unusable(key, error))?))
        }
    };
    Ok(Access {
        verifier: verifier(config)?.map(Arc::new),
        anonymous: Anonymous {
            access: match auth.anonymous.as_str() {
                "nowhere" => AnonymousAccess::Nowhere,
                "anywhere" => AnonymousAccess::Anywhere,
                _ => AnonymousAccess::Loopback,
            },
            ..Anonymous::default()
        },
        origins: Origins::new(&origins, &hosts).map_err(|error| unusable("auth.origins", error))?,
        limits: AccessLimits {
            user_connections: seconds(auth.user_connections),
            address_connections: seconds(auth.address_connections),
            handshakes: rate(auth.handshakes_per_s),
            messages: rate(auth.messages_per_s),
            ..AccessLimits::default()
        },
        admin,
        listener: config.listen.ip(),
        ..Access::default()
    })
}

fn verifier(config: &Config) -> Result<Option<Verifier>, ConfigError> {
    let auth = &config.auth;
    let mut keys = Vec::new();
    if !auth.key_file.is_empty() {
        keys.push(key(&auth.algorithm, &auth.key_file)?);
    }
    if !auth.jwks_file.is_empty() {
        let name = "auth.jwks_file";
        let text = file(name, &auth.jwks_file)?;
        let set = parse_jwks(&text, JwksOrigin::File).map_err(|error| unusable(name, error))?;
        keys.extend(set.keys);
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let keys = KeySet::new(keys).map_err(|error| unusable("auth.key_file", error))?;
    let one = |text: &str| parts(text).map(Box::from).collect();
    let rules = TokenRules {
        issuers: one(&auth.issuer),
        audiences: one(&auth.audience),
        leeway_s: auth.leeway_s,
        ..TokenRules::default()
    };
    let verifier = Verifier::new(keys, rules, Mapping::default());
    verifier.map(Some).map_err(|error| unusable("auth.leeway_s", error))
}

fn key(algorithm: &str, path: &str) -> Result<Key, ConfigError> {
    let name = "auth.key_file";
    let bytes = file(name, path)?;
    let algorithm = Algorithm::from_name(algorithm)
        .ok_or_else(|| unusable("auth.algorithm", "there is no such algorithm"))?;
    let key = if algorithm.key_kind() == KeyKind::Secret {
        Key::from_secret(None, algorithm, secret_in_file(&bytes))
    } else {
        Key::from_public_pem(None, algorithm, &String::from_utf8_lossy(&bytes))
    };
    key.map_err(|error| unusable(name, error))
}
