//! Where a broker or the server is, and how the MQTT client reaches it.
//!
//! Invariant: what is encrypted is reached through a tunnel, which has seen whom it is to trust. Never connects by itself.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use rumqttc::MqttOptions;
use rumqttc::Transport;

use super::tunnel::Tunnel;
use crate::cli::limits::BRIDGE_BYTES_MAX;
use crate::cli::trust::TrustArgs;
use crate::client::endpoint::Endpoint;

/// How often it pings when nothing else is said.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The ports of MQTT in the clear, and encrypted.
const PORTS: (u16, u16) = (1883, 8883);

/// A host and its port, and whether TLS is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MqttAddress {
    host: String,
    port: u16,
    is_encrypted: bool,
}

impl FromStr for MqttAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (is_encrypted, rest, default) = match text.split_once("://") {
            None => (false, text, None),
            Some(("mqtt", rest)) => (false, rest, Some(PORTS.0)),
            Some(("mqtts", rest)) => (true, rest, Some(PORTS.1)),
            Some((scheme, _)) => return Err(format!("`{scheme}` is neither `mqtt` nor `mqtts`")),
        };
        let with_port = rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let (host, port) = match (with_port, default) {
            (Some((host, port)), _) => {
                (host, port.parse().map_err(|_| format!("`{port}` is no port"))?)
            }
            (None, Some(port)) => (rest, port),
            (None, None) => {
                return Err("a host and a port, with a colon between them".to_owned());
            }
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("there is no host".to_owned());
        }
        Ok(Self { host, port, is_encrypted })
    }
}

impl fmt::Display for MqttAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_encrypted { "mqtts://" } else { "" };
        write!(f, "{scheme}{}:{}", self.host, self.port)
    }
}

/// A broker or the server, and how it is reached.
#[derive(Debug)]
pub(super) struct Reach {
    address: MqttAddress,
    tunnel: Option<Tunnel>,
}

impl Reach {
    /// Must be called inside a runtime.
    ///
    /// # Errors
    /// If what it is to trust cannot be read, or a tunnel cannot be opened.
    pub(super) fn new(address: MqttAddress, trust: &TrustArgs) -> io::Result<Self> {
        let tunnel = match address.is_encrypted {
            true => {
                let MqttAddress { host, port, is_encrypted } = address.clone();
                let endpoint = Endpoint { host, port, is_encrypted, base: String::new() };
                Some(Tunnel::open(address.to_string(), trust.way(endpoint)?)?)
            }
            false => None,
        };
        Ok(Self { address, tunnel })
    }

    /// How a client of this name connects.
    pub(super) fn options(&self, client_id: &str) -> MqttOptions {
        let mut options = match &self.tunnel {
            Some(tunnel) => {
                let mut options = MqttOptions::new(client_id, tunnel.socket(), 0);
                options.set_transport(Transport::unix());
                options
            }
            None => MqttOptions::new(client_id, self.address.host.as_str(), self.address.port),
        };
        options.set_keep_alive(KEEP_ALIVE);
        options.set_manual_acks(true);
        options.set_max_packet_size(BRIDGE_BYTES_MAX, BRIDGE_BYTES_MAX);
        options
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_people_write_it() {
        for (text, host, port, is_encrypted) in [
            ("h:1884", "h", 1884, false),
            ("mqtt://h", "h", 1883, false),
            ("mqtts://h", "h", 8883, true),
            ("mqtts://h:1", "h", 1, true),
            ("[::1]:9", "::1", 9, false),
            ("mqtts://[::1]", "::1", 8883, true),
        ] {
            let address: MqttAddress = text.parse().unwrap();
            assert_eq!(
                address,
                MqttAddress { host: host.to_owned(), port, is_encrypted },
                "{text}"
            );
        }
        for (text, why) in [
            ("h", "a host and a port, with a colon between them"),
            ("h:x", "`x` is no port"),
            (":1", "there is no host"),
            ("https://h:1", "`https` is neither `mqtt` nor `mqtts`"),
        ] {
            assert_eq!(text.parse::<MqttAddress>().unwrap_err(), why, "{text}");
        }
    }
}
