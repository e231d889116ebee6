//! From the configuration to the cache in front of tables.
//!
//! Invariant: what is wrong with it stops the start, with the key that says it; a server that is not there does not.

use std::time::Duration;

use super::written::file;
use super::written::unusable;
use crate::auth::secret_in_file;
use crate::backend::CacheUse;
use crate::backend::Kept;
use crate::backend::check_redis_address;
use crate::config::CacheChoice;
use crate::config::Config;
use crate::config::ConfigError;
use crate::limits::CACHE_SERVERS_MAX;

const SERVERS: &str = "tables.cache_servers";
const PASSWORD: &str = "tables.cache_password_file";

/// How answers are kept; `None`: they are not. `cached`: of each table, whether whole ones are.
pub(super) fn cache(config: &Config, cached: Vec<bool>) -> Result<Option<CacheUse>, ConfigError> {
    let set = &config.tables.cache;
    let servers = || servers(config);
    let kept = match set.kept {
        CacheChoice::Off | CacheChoice::Memory if !set.servers.is_empty() => {
            let reason = "`tables.cache` says that no server keeps anything";
            return Err(unusable(config, SERVERS, reason));
        }
        CacheChoice::Off => return Ok(None),
        CacheChoice::Memory => {
            Kept::Memory { bytes_max: usize::try_from(set.bytes_max).unwrap_or(usize::MAX) }
        }
        CacheChoice::Redis => Kept::Redis { servers: servers()? },
        CacheChoice::Memcached => Kept::Memcached { servers: servers()? },
    };
    let password = match set.password_file.as_str() {
        "" => None,
        _ if set.kept != CacheChoice::Redis => {
            return Err(unusable(config, PASSWORD, "only Redis is shown a password"));
        }
        path => {
            let bytes = file(config, PASSWORD, path)?;
            let password = std::str::from_utf8(secret_in_file(&bytes));
            Some(password.map_err(|error| unusable(config, PASSWORD, error))?.to_owned())
        }
    };
    Ok(Some(CacheUse {
        kept,
        password,
        namespace: set.namespace.clone(),
        ttl_s: set.ttl_s,
        timeout: Duration::from_millis(set.timeout_ms),
        whole: cached,
    }))
}

fn servers(config: &Config) -> Result<Vec<String>, ConfigError> {
    let set = &config.tables.cache;
    let wrong = |reason: &str| unusable(config, SERVERS, reason);
    if set.servers.is_empty() {
        return Err(unusable(config, "tables.cache", format_args!("`{SERVERS}` names no server")));
    }
    if set.servers.len() > CACHE_SERVERS_MAX {
        return Err(wrong(&format!("it names more than {CACHE_SERVERS_MAX} servers")));
    }
    for text in &set.servers {
        let checked = match set.kept {
            CacheChoice::Redis => check_redis_address(text),
            _ => check_socket_address(text),
        };
        checked.map_err(|reason| wrong(&reason))?;
    }
    Ok(set.servers.clone())
}

/// An address and a port; whether anybody has that name is another matter, and may change.
fn check_socket_address(text: &str) -> Result<(), String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(()),
        _ => Err(format!("`{text}`: it must be an address with a port")),
    }
}
