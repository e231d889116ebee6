//! From the configuration to the keys that tokens are checked with. Reads the files that hold them, and hands fetched ones to the shards.
//!
//! Invariants: what is no key stops the start, with the key that names it. Fetched keys come on top of configured ones, never in their
//! place; a key set that does not go with those is passed over, and the former stays.

use std::sync::Arc;

use super::access::file;
use super::access::parts;
use super::access::unusable;
use super::grants;
use crate::admin::jwks::JwksSetup;
use crate::auth::Algorithm;
use crate::auth::Jwks;
use crate::auth::JwksOrigin;
use crate::auth::Key;
use crate::auth::KeyKind;
use crate::auth::KeySet;
use crate::auth::KeySetError;
use crate::auth::TokenRules;
use crate::auth::Verifier;
use crate::auth::parse_jwks;
use crate::auth::secret_in_file;
use crate::config::Config;
use crate::config::ConfigError;
use crate::conn::Peer;
use crate::shard::Mesh;

/// What checks tokens; `None`: nothing does.
pub(super) fn verifier(config: &Config) -> Result<Option<Verifier>, ConfigError> {
    let auth = &config.auth;
    let mapping = grants::mapping(config)?;
    let mut keys = Vec::new();
    if !auth.key_file.is_empty() {
        keys.push(key(config, None, ("auth.key_file", &auth.algorithm, &auth.key_file))?);
    }
    for (index, said) in auth.keys.iter().enumerate() {
        let name = (!said.name.is_empty()).then_some(said.name.as_str());
        let place = format!("auth.keys[{index}].file");
        keys.push(key(config, name, (&place, &said.algorithm, &said.file))?);
    }
    if !auth.jwks_file.is_empty() {
        let name = "auth.jwks_file";
        let text = file(config, name, &auth.jwks_file)?;
        let set =
            parse_jwks(&text, JwksOrigin::File).map_err(|error| unusable(config, name, error))?;
        keys.extend(set.keys);
    }
    if keys.is_empty() && auth.jwks_url.is_empty() {
        return Ok(None);
    }
    let keys =
        KeySet::new(keys).map_err(|error| unusable(config, &place_of(config, &error), error))?;
    let one = |text: &str| parts(text).map(Box::from).collect();
    let rules = TokenRules {
        issuers: one(&auth.issuer),
        audiences: one(&auth.audience),
        leeway_s: auth.leeway_s,
        expiry_required: auth.expiry_required,
        lifetime_s_max: auth.lifetime_s_max,
    };
    let verifier = Verifier::new(keys, rules, mapping);
    verifier.map(Some).map_err(|error| unusable(config, "auth.leeway_s", error))
}

fn key(
    config: &Config,
    name: Option<&str>,
    (place, algorithm, path): (&str, &str, &str),
) -> Result<Key, ConfigError> {
    let bytes = file(config, place, path)?;
    let algorithm = Algorithm::from_name(algorithm)
        .ok_or_else(|| unusable(config, place, "there is no such algorithm"))?;
    let key = if algorithm.key_kind() == KeyKind::Secret {
        Key::from_secret(name, algorithm, secret_in_file(&bytes))
    } else {
        Key::from_public_pem(name, algorithm, &String::from_utf8_lossy(&bytes))
    };
    key.map_err(|error| unusable(config, place, error))
}

/// Which configured key is one too many.
fn place_of(config: &Config, error: &KeySetError) -> String {
    let last = match error {
        KeySetError::DuplicateId { id } => {
            config.auth.keys.iter().rposition(|key| *key.name == **id)
        }
        KeySetError::TooMany { .. } => config.auth.keys.len().checked_sub(1),
    };
    last.map_or_else(|| "auth.jwks_file".to_owned(), |index| format!("auth.keys[{index}].name"))
}

/// Where keys are fetched from, if they are.
pub(super) fn jwks(config: &Config) -> Result<Option<JwksSetup>, ConfigError> {
    let url = &config.auth.jwks_url;
    if url.is_empty() {
        return Ok(None);
    }
    let setup = JwksSetup::new(url, config.auth.jwks_wish_s_min);
    setup.map(Some).map_err(|error| unusable(config, "auth.jwks_url", error))
}

/// Tells every shard to check tokens with these keys, too.
pub(super) fn hand_out(configured: &Verifier, jwks: Jwks, peers: &[Peer<Mesh>]) {
    let keys = match configured.keys().joined(jwks.keys) {
        Ok(keys) => keys,
        Err(error) => {
            return tracing::warn!(%error, "fetched keys do not go with the configured ones");
        }
    };
    let verifier = Arc::new(configured.with_keys(keys));
    for peer in peers {
        // A shard that has left checks no more tokens.
        if peer.inbox.send(Mesh::Keys(Arc::clone(&verifier))).is_ok() {
            peer.doorbell.ring();
        }
    }
}
