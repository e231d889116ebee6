//! Addresses and networks that the operator names, and who is among them.
//!
//! Invariant: an IPv4 address is the same whether it comes as itself or mapped into IPv6, on either side. Never resolves a name.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;

/// Any number of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// An address, and how many of its first bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    /// As IPv6, where IPv4 is mapped.
    bits: u128,
    prefix: u32,
}

/// A text that names no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkError {
    NotAnAddress {
        text: Box<str>,
    },
    BadPrefix {
        text: Box<str>,
        max: u32,
    },
    /// Bits are set that do not count: one of the two is a mistake.
    BitsBeyond {
        text: Box<str>,
        meant: Box<str>,
    },
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAddress { text } => write!(
                f,
                "\"{text}\" is neither an address nor a network, as \"10.0.0.1\" or \"10.0.0.0/8\""
            ),
            Self::BadPrefix { text, max } => {
                write!(f, "what stands behind the / of \"{text}\" is no number from 0 to {max}")
            }
            Self::BitsBeyond { text, meant } => {
                write!(f, "\"{text}\" has bits beyond its prefix; \"{meant}\" has not")
            }
        }
    }
}

impl std::error::Error for NetworkError {}

/// Bits in front of an IPv4 address that is mapped into IPv6 (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u32 = 96;

impl Networks {
    /// Reads addresses and networks (RFC 4632 section 3.1).
    ///
    /// # Errors
    /// The first that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, NetworkError> {
        texts.into_iter().map(Network::parse).collect::<Result<_, _>>().map(Self)
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is in one of them.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let bits = bits_of(address);
        self.0.iter().any(|network| masked(bits, network.prefix) == network.bits)
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| NetworkError::NotAnAddress { text: text.into() })?;
        let (max, before) = if address.is_ipv4() { (32, MAPPED_BITS) } else { (128, 0) };
        let said = match prefix {
            None => max,
            Some(digits) => {
                let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let number = digits.parse().ok().filter(|number| is_number && *number <= max);
                number.ok_or_else(|| NetworkError::BadPrefix { text: text.into(), max })?
            }
        };
        let (bits, prefix) = (bits_of(address), before + said);
        let network = Self { bits: masked(bits, prefix), prefix };
        if network.bits != bits {
            let first = Ipv6Addr::from_bits(network.bits);
            let first = if address.is_ipv4() { first.to_canonical() } else { first.into() };
            let meant = format!("{first}/{said}").into();
            return Err(NetworkError::BitsBeyond { text: text.into(), meant });
        }
        Ok(network)
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn masked(bits: u128, prefix: u32) -> u128 {
    bits & u128::MAX.checked_shl(128 - prefix).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_their_networks_and_no_others() {
        let networks =
            Networks::parse(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:172.16.0.0/108"]);
        let networks = networks.unwrap();
        for (address, expected) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::ffff:10.1.1.1", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("::10.0.0.1", false),
            ("::", false),
        ] {
            assert_eq!(networks.contain(address.parse().unwrap()), expected, "{address}");
        }
        let all = Networks::parse(["::/0"]).unwrap();
        assert!(all.contain("1.2.3.4".parse().unwrap()) && all.contain("::1".parse().unwrap()));
        assert!(!Networks::default().contain("127.0.0.1".parse().unwrap()));
        let four = Networks::parse(["0.0.0.0/0"]).unwrap();
        assert!(four.contain("1.2.3.4".parse().unwrap()) && !four.contain("2::".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_named() {
        for (text, message) in [
            (
                "localhost",
                "\"localhost\" is neither an address nor a network, as \"10.0.0.1\" or \"10.0.0.0/8\"",
            ),
            (
                "10.0.0.0/33",
                "what stands behind the / of \"10.0.0.0/33\" is no number from 0 to 32",
            ),
            ("::/129", "what stands behind the / of \"::/129\" is no number from 0 to 128"),
            (
                "10.0.0.0/+8",
                "what stands behind the / of \"10.0.0.0/+8\" is no number from 0 to 32",
            ),
            ("10.0.0.0/", "what stands behind the / of \"10.0.0.0/\" is no number from 0 to 32"),
            ("10.0.0.1/8", "\"10.0.0.1/8\" has bits beyond its prefix; \"10.0.0.0/8\" has not"),
            (
                "2001:db8::1/32",
                "\"2001:db8::1/32\" has bits beyond its prefix; \"2001:db8::/32\" has not",
            ),
        ] {
            assert_eq!(Networks::parse([text]).unwrap_err().to_string(), message);
        }
    }
}
