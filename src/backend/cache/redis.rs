//! A connection to Redis, or to what speaks like it: `SET`, `MGET` and `GETRANGE` in one pipeline.
//!
//! Invariant: of a value that somebody else has put there no more is read than one of ours may have. How the protocol is spoken is the library's business.

use redis::Connection;
use redis::ConnectionLike as _;
use redis::IntoConnectionInfo as _;
use redis::Value;

use super::client::CacheAddress;
use super::client::Client;
use super::client::ClientError;
use super::client::Look;
use super::client::Put;
use super::client::Seen;
use crate::limits::CACHE_TABLES_MAX;
use crate::limits::CACHE_VALUE_BYTES_MAX;

/// A value that is longer is none of ours; one byte more is read, to know that.
const VALUE_BYTES_MAX: usize =
    CACHE_VALUE_BYTES_MAX + CACHE_TABLES_MAX * super::generations::Generation::BYTES;

/// Looks whether a text is an address of Redis, and has no secret in it.
///
/// # Errors
/// What is wrong with it.
pub fn check_redis_address(text: &str) -> Result<(), String> {
    let info = text.into_connection_info().map_err(|error| format!("`{text}`: {error}"))?;
    if info.redis_settings().password().is_some() {
        return Err("a password is said in a file, by `tables.cache_password_file`".to_owned());
    }
    Ok(())
}

pub(super) struct Redis(Connection);

impl Client for Redis {
    fn connect(address: &CacheAddress) -> Result<Self, ClientError> {
        let mut info = address.text.as_str().into_connection_info()?;
        if let Some(password) = &address.password {
            let login = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(login);
        }
        let client = redis::Client::open(info)?;
        let connection = client.get_connection_with_timeout(address.timeout)?;
        connection.set_read_timeout(Some(address.timeout))?;
        connection.set_write_timeout(Some(address.timeout))?;
        Ok(Self(connection))
    }

    fn exchange(&mut self, puts: &[Put], looks: &[Look]) -> Result<Vec<Seen>, ClientError> {
        let mut said = redis::pipe();
        for Put { key, value, ttl_s, .. } in puts {
            said.cmd("SET").arg(key).arg(&value[..]).arg("EX").arg(*ttl_s);
        }
        let mut count = puts.len();
        for look in looks {
            let Some((last, generations)) = look.split_last() else { continue };
            said.cmd("MGET").arg(generations);
            said.cmd("GETRANGE").arg(last).arg(0).arg(VALUE_BYTES_MAX);
            count += 2;
        }
        let mut said =
            self.0.req_packed_commands(&said.get_packed_pipeline(), 0, count)?.into_iter();
        for put in puts {
            match said.next() {
                Some(Value::Okay) => {}
                Some(Value::ServerError(error)) if !put.is_needed => {
                    tracing::debug!(?error, "an answer is not kept");
                }
                Some(Value::ServerError(error)) => {
                    return Err(ClientError::Refused(format!("{error:?}").into()));
                }
                _ => return Err(ClientError::Unreadable),
            }
        }
        let mut seen = Vec::with_capacity(looks.len());
        for look in looks {
            let (Some(generations), Some(value)) = (said.next(), said.next()) else {
                return Err(ClientError::Unreadable);
            };
            seen.push(seen_of(look.len(), generations, value)?);
        }
        Ok(seen)
    }
}

fn seen_of(count: usize, generations: Value, value: Value) -> Result<Seen, ClientError> {
    let bytes = |value| match value {
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::Nil => Ok(None),
        // Somebody else has put something of another kind there.
        Value::ServerError(_) => Ok(None),
        _ => Err(ClientError::Unreadable),
    };
    let mut seen: Seen = match generations {
        Value::Array(all) => all.into_iter().map(bytes).collect::<Result<_, _>>()?,
        _ => return Err(ClientError::Unreadable),
    };
    // What is not there is empty to it.
    seen.push(bytes(value)?.filter(|bytes| !bytes.is_empty() && bytes.len() <= VALUE_BYTES_MAX));
    if seen.len() == count { Ok(seen) } else { Err(ClientError::Unreadable) }
}
