//! Where the server listens: the port that all dialects share, and those that have one of their own.
//!
//! Invariants: an address that is taken, or given twice, stops the start with the key that names it; addresses are held from before the
//! shards listen until all of them do, so that a port that was found free stays ours.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use super::error::StartError;
use super::error::Written;
use super::tls;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Listen;
use crate::config::Problem;
use crate::conn::Entry;
use crate::conn::Listener;
use crate::conn::ListenerOptions;
use crate::shard::Port;

/// One listener, on every shard.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) port: Port,
    pub(super) address: SocketAddr,
    /// The same as it is configured, where any port may do.
    pub(super) configured: SocketAddr,
    /// It speaks TLS.
    pub(super) is_secured: bool,
    /// A proxy says first for whom a connection is.
    pub(super) takes_header: bool,
    /// A former server listens there, and has handed its sockets over.
    pub(super) is_inherited: bool,
    pub(super) written: Written,
}

/// The places that are configured; the shared one first.
///
/// # Errors
/// If two are the same.
pub(super) fn places(config: &Config) -> Result<Vec<Place>, ConfigError> {
    let own = config.guests().flat_map(|(key, view)| {
        let name: Cow<'static, str> = Cow::Owned(format!("{key}.listen"));
        view.listen.iter().map(move |listen| (Port::Own(key), name.clone(), *listen))
    });
    let shared = (Port::Shared, Cow::Borrowed("listen"), Listen::from(config.listen));
    let redirect = config.tls.redirect_listen.map(|address| {
        (Port::Redirect, Cow::Borrowed("tls.redirect_listen"), Listen::from(address))
    });
    let configured = std::iter::once(shared).chain(own).chain(redirect);
    let mut places: Vec<Place> = Vec::new();
    for (port, key, Listen { address, is_secured }) in configured {
        if is_secured == Some(true) && !config.tls.is_on() {
            let reason = format!(
                "{address} is to speak TLS, and there is no certificate: set `tls.certificate_file`"
            );
            return Err(config.places.error(&key, Problem::Unusable { reason: reason.into() }));
        }
        let twin = places.iter().find(|place| place.address == address && address.port() != 0);
        if let Some(twin) = twin {
            let reason =
                format!("{address} is where `{}` listens already", twin.written.key).into();
            return Err(config.places.error(&key, Problem::Unusable { reason }));
        }
        let is_secured = is_secured.unwrap_or_else(|| tls::is_secured(config, port));
        let takes_header = config.proxy_listeners.iter().any(|listener| **listener == *key);
        let written = Written { origin: config.places.of(&key), key };
        let is_inherited = false;
        let configured = address;
        places.push(Place {
            port,
            address,
            configured,
            is_secured,
            takes_header,
            is_inherited,
            written,
        });
    }
    Ok(places)
}

/// What connections have in common.
pub(super) fn listener_options(config: &Config) -> ListenerOptions {
    let send_buffer_bytes = usize::try_from(config.send_buffer_bytes).unwrap_or(usize::MAX);
    ListenerOptions { send_buffer_bytes, peer_timeout: Duration::from_secs(config.peer_timeout_s) }
}

impl Place {
    /// Whether it can be listened on.
    pub(super) fn probe(&self) -> Result<(), StartError> {
        if self.address.port() == 0 || self.is_inherited {
            return Ok(());
        }
        Listener::probe(self.address).map_err(|error| self.error(error))
    }

    /// Takes the address, without listening yet; finds the port if any would do.
    pub(super) fn reserve(&mut self) -> Result<Listener, StartError> {
        let held = Listener::reserve(self.address).map_err(|error| self.error(error))?;
        self.address = held.address().map_err(|error| self.error(error))?;
        Ok(held)
    }

    /// What a core is told of it.
    pub(super) const fn entry(&self) -> Entry {
        let Self { port, address, is_secured, takes_header, .. } = *self;
        Entry { port, address, is_secured, takes_header }
    }

    pub(super) fn open(&self, options: ListenerOptions) -> Result<Listener, StartError> {
        Listener::open(self.address, options).map_err(|error| self.error(error))
    }

    pub(super) fn error(&self, error: std::io::Error) -> StartError {
        StartError::address(&self.written, self.address, error)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn only_what_is_configured_is_listened_on() {
        let config = |text| Config::parse(text, Path::new("f.toml")).unwrap();
        let ports = |text| -> Vec<Port> {
            places(&config(text)).unwrap().iter().map(|place| place.port).collect()
        };
        assert_eq!(ports(""), [Port::Shared]);
        let all = "peat.listen = '127.0.0.1:0'\nhyperbeam.listen = '127.0.0.1:0'\nprovisioning.listen = '[::1]:0'";
        let own = ["peat", "hyperbeam", "provisioning"].map(Port::Own);
        assert_eq!(ports(all), [&[Port::Shared], &own[..]].concat());
        let several = "[mqtt]\nlisten = ['127.0.0.1:1883', 'tcp://[::1]:0']";
        let several: Vec<_> = places(&config(several))
            .unwrap()
            .iter()
            .map(|place| (place.port, place.address.to_string(), place.is_secured))
            .collect();
        let mqtt = |address: &str| (Port::Own("mqtt"), address.to_owned(), false);
        assert_eq!(several[1..], [mqtt("127.0.0.1:1883"), mqtt("[::1]:0")]);
        assert_eq!(
            places(&config("mqtt.listen = 'tls://127.0.0.1:8883'")).unwrap_err().to_string(),
            "f.toml:1: `mqtt.listen`: cannot be used: 127.0.0.1:8883 is to speak TLS, and there is no certificate: set `tls.certificate_file`"
        );
        let twice = "listen = '127.0.0.1:9'\n[peat]\nlisten = '127.0.0.1:9'";
        assert_eq!(
            places(&config(twice)).unwrap_err().to_string(),
            "f.toml:3: `peat.listen`: cannot be used: 127.0.0.1:9 is where `listen` listens already"
        );
    }
}
